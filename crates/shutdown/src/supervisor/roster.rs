//! Who is still there: named entries, removed when their guard drops. Says who is left, and when nobody is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;

#[derive(Clone, Default)]
pub(crate) struct Roster {
    inside: Arc<Inside>,
}

struct Inside {
    entries: Mutex<Entries>,
    /// How many are inside, to wait for none.
    count: watch::Sender<usize>,
}

impl Default for Inside {
    fn default() -> Self {
        Inside { entries: Mutex::default(), count: watch::Sender::new(0) }
    }
}

#[derive(Default)]
struct Entries {
    /// The next entry's id.
    next: u64,
    by_id: BTreeMap<u64, Entry>,
}

struct Entry {
    name: Cow<'static, str>,
    /// How to end it by force, where it is a task.
    abort: Option<AbortHandle>,
}

/// One who is inside: leaves when dropped.
pub struct Entered {
    id: u64,
    name: Cow<'static, str>,
    inside: Arc<Inside>,
}

impl Roster {
    pub(crate) fn enter(&self, name: Cow<'static, str>) -> Entered {
        let mut entries = self.inside.entries.lock();
        let id = entries.next;
        entries.next += 1;
        entries.by_id.insert(id, Entry { name: name.clone(), abort: None });
        self.inside.count.send_replace(entries.by_id.len());
        Entered { id, name, inside: Arc::clone(&self.inside) }
    }

    /// Gives the entry a way to be ended by force; does nothing when it has left.
    pub(crate) fn abort_with(&self, id: u64, abort: AbortHandle) {
        if let Some(entry) = self.inside.entries.lock().by_id.get_mut(&id) {
            entry.abort = Some(abort);
        }
    }

    /// Ready when nobody is inside.
    pub(crate) async fn emptied(&self) {
        let mut count = self.inside.count.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _nobody = count.wait_for(|count| *count == 0).await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inside.entries.lock().by_id.is_empty()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.inside.entries.lock().by_id.values().map(|entry| entry.name.clone().into_owned()).collect()
    }

    pub(crate) fn abort_all(&self) {
        for entry in self.inside.entries.lock().by_id.values() {
            if let Some(abort) = &entry.abort {
                abort.abort();
            }
        }
    }
}

impl Entered {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The name it entered under.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut entries = self.inside.entries.lock();
        entries.by_id.remove(&self.id);
        self.inside.count.send_replace(entries.by_id.len());
    }
}

impl std::fmt::Debug for Entered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entered").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_inside_are_named_until_their_guard_drops() {
        let roster = Roster::default();
        roster.emptied().await;
        let first = roster.enter("store".into());
        let second = roster.enter("store".into());
        assert_eq!(roster.names(), ["store", "store"], "a name may be there twice");
        drop(first);
        assert_eq!(roster.names(), ["store"]);
        drop(second);
        roster.emptied().await;
        assert!(roster.names().is_empty());
    }
}
