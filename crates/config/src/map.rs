//! The reader of one map. Decides what is known, missing or of the wrong kind and collects the problems; the
//! single kinds of values are in the modules below.

mod collections;
mod field;
mod files;
mod scalars;
mod secrets;

pub use field::{DefaultFor, Field};

use crate::node::{Entry, Node, Value, join};
use crate::problem::{Origin, Problem, quoted};
use crate::source::{no_list, no_map};
use crate::suggest;
use crate::taken::Taken;

/// How many unknown keys of one map are told one by one.
const TOLD: usize = 100;
/// The most known keys that an unknown one's message lists.
const LISTED: usize = 48;

/// Takes values out of one map of the configuration. Every getter makes its key known; a wrong value is
/// recorded as a problem and reading goes on with a default or stand-in, so that all problems come at once.
/// What was built from stand-ins is never handed out: [`Tree::read`](crate::Tree::read) fails then.
pub struct Map<'t> {
    entries: &'t [Entry],
    origin: Origin,
    /// For instance `agent.checks[2]`; empty at the root.
    path: String,
    /// Keys that a reader has asked for.
    known: Vec<String>,
    taken: Vec<(String, Taken)>,
    problems: Vec<Problem>,
}

impl<'t> Map<'t> {
    pub(crate) fn root(node: &'t Node) -> Self {
        Self::of(node, String::new()).unwrap_or_else(|| Self::empty(node.origin.clone(), String::new()))
    }

    /// A reader of a map node, or of nothing as an empty map; `None` for other nodes.
    fn of(node: &'t Node, path: String) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            _ if node.is_null() => &[],
            _ => return None,
        };
        Some(Self { entries, ..Self::empty(node.origin.clone(), path) })
    }

    fn empty(origin: Origin, path: String) -> Self {
        let (known, taken, problems) = (Vec::new(), Vec::new(), Vec::new());
        Self { entries: &[], origin, path, known, taken, problems }
    }

    /// Ends the reading: what was taken, and the problems, those of unknown keys included.
    pub(crate) fn finish(mut self) -> (Vec<(String, Taken)>, Vec<Problem>) {
        let unknown: Vec<&Entry> =
            self.entries.iter().filter(|entry| !self.known.contains(&entry.key)).collect();
        for entry in unknown.iter().take(TOLD) {
            let message = self.unknown(&entry.key);
            let key = before_colon(&entry.key);
            self.problems.push(Problem::new(&entry.origin, &join(&self.path, key), message));
        }
        if let Some(entry) = unknown.get(TOLD) {
            let message = format!("from here on {} more unknown keys", unknown.len() - TOLD);
            self.problems.push(Problem::new(&entry.origin, &self.path, message));
        }
        (self.taken, self.problems)
    }

    fn unknown(&self, key: &str) -> String {
        if before_colon(key).len() < key.len() {
            return format!("a space is missing after {}", quoted(&format!("{}:", before_colon(key))));
        }
        let word = quoted(key);
        if let Some(meant) = suggest::nearest(key, self.known.iter().map(String::as_str)) {
            return format!("unknown key {word}; did you mean `{meant}`?");
        }
        if self.known.is_empty() {
            return format!("unknown key {word}; nothing is set here");
        }
        let mut known: Vec<&str> = self
            .known
            .iter()
            .map(String::as_str)
            .filter(|key| !key.ends_with("_file"))
            .take(LISTED)
            .collect();
        known.sort_unstable();
        format!("unknown key {word}; known here: {}", known.join(", "))
    }

    /// Where this map stands, for instance `agent.checks[2]`; empty at the root.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.path
    }

    /// Where this map was written.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether a key is written, even with nothing after it. Does not make it known.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Whether this key has a value, right or wrong. Does not make it known.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The keys that are written here. Does not make them known.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.key.clone()).collect()
    }

    /// Makes a key known without reading it: it is someone else's.
    pub fn ignore(&mut self, key: &str) {
        self.know(key);
    }

    /// Records what is wrong with a key's value, given what else is set.
    pub fn problem(&mut self, key: &str, message: impl Into<String>) {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let origin = entry.map_or(&self.origin, |entry| &entry.value.origin);
        self.problems.push(Problem::new(origin, &join(&self.path, key), message));
    }

    /// Records what is wrong with this map as a whole.
    pub fn problem_here(&mut self, message: impl Into<String>) {
        self.problems.push(Problem::new(&self.origin, &self.path, message));
    }

    /// Records problems of what was read from elsewhere on behalf of this map, such as a file that it names.
    pub fn report(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// Whether nothing wrong was found here so far, so that what was read is what was written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn know(&mut self, key: &str) {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
    }

    fn find(&self, key: &str) -> Option<&'t Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value).filter(|node| !node.is_null())
    }

    /// Makes a key known and gives its node, if it is set.
    fn take(&mut self, key: &str) -> Option<&'t Node> {
        self.know(key);
        self.find(key)
    }

    /// Remembers what was taken for the dump.
    fn record(&mut self, key: &str, taken: Taken) {
        match self.taken.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = taken,
            None => self.taken.push((key.to_owned(), taken)),
        }
    }

    /// A value of the wrong kind: says what was found and what is wanted.
    fn wrong_kind(&mut self, node: &Node, path: &str, wanted: Wanted<'_>) {
        let from_file = matches!(node.origin, Origin::File { .. });
        let message = match wanted.kind {
            Kind::List if !from_file => no_list(&node.origin),
            Kind::Map if !from_file => no_map(&node.origin),
            kind => format!(
                "is {}, {} is wanted; write for instance `{}`",
                node.kind(),
                kind.word(),
                wanted.example
            ),
        };
        self.problems.push(Problem::new(&node.origin, path, message));
    }
}

/// The key that was meant by `{password:hunter2}`, which YAML takes as one long key: what follows may be secret.
fn before_colon(key: &str) -> &str {
    key.split(':').next().unwrap_or_default()
}

/// What a reader wants to find.
#[derive(Clone, Copy)]
struct Wanted<'e> {
    kind: Kind,
    /// How it is written, key included.
    example: &'e str,
}

#[derive(Clone, Copy)]
enum Kind {
    Single,
    List,
    Map,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Single => "a single value",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }
}

#[cfg(test)]
mod tests;
