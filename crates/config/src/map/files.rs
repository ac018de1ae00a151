//! The files that a key names. Decides where their names begin and what `*` stands for; does not read them.

use super::Map;
use super::collections::text_taken;
use super::scalars::base_of;
use crate::node::{Node, Value, join};
use crate::problem::{Origin, Problem, quoted};
use crate::source::matches;
use crate::taken::Taken;
use std::path::{Path, PathBuf};
use std::slice;

impl Map<'_> {
    /// The files that a pattern or a list of patterns names, such as `rules/*.yaml`: relative ones start at the
    /// directory of the file where they stand, as of `include`. A pattern may name no file at all; a name without `*` is
    /// given whether there is such a file or not. Each file comes once, in the order of the patterns.
    pub fn files(&mut self, key: &str) -> Vec<PathBuf> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let path = join(&self.path, key);
        let items: &[Node] = match &node.value {
            Value::List(items) => items,
            _ => slice::from_ref(node),
        };
        let (mut files, mut taken) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let at = if items.len() > 1 { format!("{path}[{index}]") } else { path.clone() };
            let Some(pattern) = self.one_text(item, &at, &format!("{key}: conf.d/*.yaml")) else { continue };
            match named(&pattern, &item.origin) {
                Ok(named) => files.extend(named),
                Err(message) => {
                    let message = format!("{}: {message}", quoted(&pattern));
                    self.problems.push(Problem::new(&item.origin, &at, message));
                }
            }
            taken.push(text_taken(pattern, item));
        }
        self.record(key, Taken::List(taken, node.origin.clone()));
        let mut unique: Vec<PathBuf> = Vec::with_capacity(files.len());
        for file in files {
            if !unique.contains(&file) {
                unique.push(file);
            }
        }
        unique
    }
}

fn named(pattern: &str, origin: &Origin) -> Result<Vec<PathBuf>, String> {
    if pattern.is_empty() || pattern.contains('\0') {
        return Err("is no file name; write for instance `rules/*.yaml`".to_owned());
    }
    let whole = base_of(origin).join(pattern);
    if !pattern.contains('*') {
        return Ok(vec![whole]);
    }
    let own = match origin {
        Origin::File { path, .. } => Path::new(path.as_ref()),
        _ => Path::new(""),
    };
    matches(&whole, own)
}
