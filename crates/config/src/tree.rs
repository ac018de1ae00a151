//! The merged sources, ready to be read. Decides that all problems of a read come at once; does not know any
//! key.

use crate::map::Map;
use crate::node::Node;
use crate::problem::{Problem, Problems};
use crate::taken::Taken;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// All sources as one tree. [`read`](Self::read) takes values out of it.
pub struct Tree {
    root: Node,
    /// Problems of the sources that did not keep them from being read, such as a key that is given twice:
    /// every read tells them with its own.
    pending: Vec<Problem>,
    /// What the last read took, for [`dump`](Self::dump).
    taken: Mutex<Vec<(String, Taken)>>,
}

impl Tree {
    pub(crate) fn new(root: Node, pending: Vec<Problem>) -> Self {
        Self { root, pending, taken: Mutex::default() }
    }

    /// Reads the whole tree with one reader.
    ///
    /// # Errors
    /// All problems at once: those of the sources, wrong and missing values, and keys that nobody took.
    pub fn read<T>(&self, reader: impl FnOnce(&mut Map<'_>) -> T) -> Result<T, Problems> {
        let mut map = Map::root(&self.root);
        let value = reader(&mut map);
        let (taken, mut problems) = map.finish();
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        problems.extend(self.pending.iter().cloned());
        if problems.is_empty() { Ok(value) } else { Err(Problems::sorted(problems)) }
    }

    /// What the last [`read`](Self::read) took, defaults included, as YAML that can be loaded again. Each line
    /// ends with the value's source; secrets are `***`.
    #[must_use]
    pub fn dump(&self) -> String {
        Taken::yaml(&self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Tree {
    /// No values: any of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").finish_non_exhaustive()
    }
}
