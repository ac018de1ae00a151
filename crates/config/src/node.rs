//! The tree that all sources are laid into: text, lists and maps, each with its place. Decides how two trees
//! become one; does not decide what a text means (the reader that takes it does).

use crate::problem::{Origin, Problem};
use std::collections::HashMap;

/// Longer paths stop growing: sixty-four long keys would else be repeated in each of many problems.
const MAX_PATH: usize = 512;

/// Which kind of source a value came from; a later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    Fallback,
    File,
    Alias,
    Env,
    Flag,
}

/// One value and its place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) layer: Layer,
    pub(crate) value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    /// Text as written; `plain` when without quotes, so that `null` and nothing can be told from `"null"`.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map and its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn empty_map(origin: Origin, layer: Layer) -> Self {
        Self { origin, layer, value: Value::Map(Vec::new()) }
    }

    /// Nothing written, `~` or `null`: the same as no key at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if is_null(text))
    }

    /// What a message calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Values and bytes of text in it, itself included.
    pub(crate) fn size(&self) -> (usize, usize) {
        let add = |(n, b): (usize, usize), (m, c): (usize, usize)| (n + m, b + c);
        match &self.value {
            Value::Scalar { text, .. } => (1, text.len()),
            Value::List(items) => items.iter().fold((1, 0), |sum, item| add(sum, item.size())),
            Value::Map(entries) => entries
                .iter()
                .fold((1, 0), |sum, entry| add(add(sum, (1, entry.key.len())), entry.value.size())),
        }
    }

    /// How many levels of lists and maps it has.
    pub(crate) fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }

    /// Lays `other` over this: maps merge, lists append; a value that both set is a problem.
    pub(crate) fn merge(&mut self, other: Self, path: &str, problems: &mut Vec<Problem>) {
        if other.is_null() {
            return;
        }
        if self.is_null() {
            *self = other;
            return;
        }
        match (&mut self.value, other.value) {
            (Value::List(mine), Value::List(theirs)) => mine.extend(theirs),
            (Value::Map(mine), Value::Map(theirs)) => merge_entries(mine, theirs, path, problems),
            (mine, theirs) => {
                let same = matches!((mine, theirs), (Value::Scalar { .. }, Value::Scalar { .. }));
                let message = if same {
                    format!("is set in {} already; keep one of the two", self.origin)
                } else {
                    format!(
                        "is something else in {}; a map merges with a map, a list with a list",
                        self.origin
                    )
                };
                problems.push(Problem::new(&other.origin, path, message));
            }
        }
    }
}

fn merge_entries(mine: &mut Vec<Entry>, theirs: Vec<Entry>, path: &str, problems: &mut Vec<Problem>) {
    let places: HashMap<String, usize> =
        mine.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).collect();
    for entry in theirs {
        match places.get(&entry.key) {
            Some(&index) => mine[index].value.merge(entry.value, &join(path, &entry.key), problems),
            None => mine.push(entry),
        }
    }
}

/// The YAML 1.2 core schema's words for nothing.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// `agent` and `name` → `agent.name`. A path that nobody could read any more stops growing.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.len() > MAX_PATH {
        return path.to_owned();
    }
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
