//! Getters of maps and lists. Each decides what its items are; the items themselves are read by the caller.

use super::scalars::checked_name;
use super::{Kind, Map, Wanted};
use crate::node::{Entry, Node, Value, join};
use crate::problem::{Origin, Problem, quoted};
use crate::secret::{HIDDEN, Secret};
use crate::taken::Taken;
use std::collections::BTreeMap;

/// The most labels of one thing, and the longest value of one.
const MAX_LABELS: usize = 64;
const MAX_LABEL: usize = 1024;

impl<'t> Map<'t> {
    /// A map, if it is there.
    pub fn map<T>(&mut self, key: &str, reader: impl FnOnce(&mut Map<'_>) -> T) -> Option<T> {
        self.know(key);
        // `sqlite:` with nothing after it still says that there is one.
        let node = &self.entries.iter().find(|entry| entry.key == key)?.value;
        let path = join(&self.path, key);
        let (value, taken) = self.child(node, path, reader)?;
        self.record(key, taken);
        Some(value)
    }

    /// A map that has defaults: read as an empty one where it is missing.
    pub fn section<T>(&mut self, key: &str, reader: impl FnOnce(&mut Map<'_>) -> T) -> T {
        self.know(key);
        let path = join(&self.path, key);
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let child = entry.and_then(|entry| Map::of(&entry.value, path.clone()));
        if let (Some(entry), None) = (entry, &child) {
            self.wrong_map(&entry.value, &path);
            // The map that is not one has its problem; what it lacks is none.
            return reader(&mut Map::empty(entry.value.origin.clone(), path));
        }
        let mut child = child.unwrap_or_else(|| Map::empty(self.origin.clone(), path));
        let value = reader(&mut child);
        let taken = self.absorb(child);
        // What is neither written nor has a default is nothing that was taken.
        if entry.is_some() || !matches!(&taken, Taken::Map(entries, _) if entries.is_empty()) {
            self.record(key, taken);
        }
        value
    }

    /// A list of maps; a missing one is empty.
    pub fn list<T>(&mut self, key: &str, mut reader: impl FnMut(&mut Map<'_>) -> T) -> Vec<T> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let path = join(&self.path, key);
        let Some(items) = self.items(key, node, "[{…}]") else { return Vec::new() };
        let mut values = Vec::new();
        let mut taken = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if let Some((value, item)) = self.child(item, format!("{path}[{index}]"), &mut reader) {
                values.push(value);
                taken.push(item);
            }
        }
        self.record(key, Taken::List(taken, node.origin.clone()));
        values
    }

    /// A list of texts; a missing one is empty.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let path = join(&self.path, key);
        let Some(items) = self.items(key, node, "[one, two]") else { return Vec::new() };
        let (values, taken) = self.items_as_texts(&path, items);
        self.record(key, Taken::List(taken, node.origin.clone()));
        values
    }

    /// A list of texts that has a default.
    pub fn texts_or(&mut self, key: &str, default: &[&str]) -> Vec<String> {
        if self.take(key).is_some() {
            return self.texts(key);
        }
        let shown =
            |text: &&str| Taken::Value { text: (*text).to_owned(), is_text: true, origin: Origin::Default };
        self.record(key, Taken::List(default.iter().map(shown).collect(), Origin::Default));
        default.iter().map(|text| (*text).to_owned()).collect()
    }

    /// A map of named things, each a map (or nothing, which is an empty one), in the order of the file.
    pub fn entries<T>(
        &mut self,
        key: &str,
        mut reader: impl FnMut(&str, &mut Map<'_>) -> T,
    ) -> Vec<(String, T)> {
        let mut values = Vec::new();
        self.each(key, "{name: {}}", |map, path, entry| {
            let name = map.good_name(entry, path)?;
            let (value, taken) = map.child(&entry.value, path.to_owned(), |m| reader(&name, m))?;
            values.push((name, value));
            Some(taken)
        });
        values
    }

    /// A map of named lists of texts, such as `groups: {checkout: [payments, kestra]}`.
    pub fn texts_by_name(&mut self, key: &str) -> Vec<(String, Vec<String>)> {
        let mut values = Vec::new();
        self.each(key, "{name: [one, two]}", |map, path, entry| {
            let name = map.good_name(entry, path)?;
            let items = map.items(&entry.key, &entry.value, "[one, two]")?;
            let (texts, taken) = map.items_as_texts(path, items);
            values.push((name, texts));
            Some(Taken::List(taken, entry.value.origin.clone()))
        });
        values
    }

    /// A map of texts with any keys, in the order of the file.
    pub fn pairs(&mut self, key: &str) -> Vec<(String, String)> {
        let mut values = Vec::new();
        self.each(key, "{key: text}", |map, path, entry| {
            let text = map.one_text(&entry.value, path, "key: text")?;
            values.push((entry.key.clone(), text.clone()));
            Some(text_taken(text, &entry.value))
        });
        values
    }

    /// A map of secrets with any keys, such as the headers of a request.
    pub fn secret_pairs(&mut self, key: &str) -> Vec<(String, Secret)> {
        let mut values = Vec::new();
        self.each(key, "{key: text}", |map, path, entry| {
            let text = map.one_text(&entry.value, path, "key: text")?;
            values.push((entry.key.clone(), Secret::new(text)));
            Some(text_taken(HIDDEN.to_owned(), &entry.value))
        });
        values
    }

    /// Labels: names as Prometheus allows them, values of up to 1024 bytes, at most 64.
    pub fn labels(&mut self, key: &str) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        self.each(key, "{cluster: eu}", |map, path, entry| {
            let text = map.one_text(&entry.value, path, "cluster: eu")?;
            if let Some(message) = wrong_label(&entry.key, &text) {
                map.problems.push(Problem::new(&entry.origin, path, message));
                return None;
            }
            values.insert(entry.key.clone(), text.clone());
            Some(text_taken(text, &entry.value))
        });
        if values.len() > MAX_LABELS {
            self.problem(key, format!("has {} labels; {MAX_LABELS} are the most", values.len()));
        }
        values
    }

    /// Reads a map node with the caller's reader; `None` (and a problem) when it is no map.
    fn child<T>(
        &mut self,
        node: &Node,
        path: String,
        reader: impl FnOnce(&mut Map<'_>) -> T,
    ) -> Option<(T, Taken)> {
        let Some(mut child) = Map::of(node, path.clone()) else {
            self.wrong_map(node, &path);
            return None;
        };
        let value = reader(&mut child);
        let taken = self.absorb(child);
        Some((value, taken))
    }

    fn absorb(&mut self, child: Map<'_>) -> Taken {
        let origin = child.origin.clone();
        let (taken, problems) = child.finish();
        self.problems.extend(problems);
        Taken::Map(taken, origin)
    }

    fn wrong_map(&mut self, node: &Node, path: &str) {
        self.wrong_kind(node, path, Wanted { kind: Kind::Map, example: "{key: value}" });
    }

    /// Goes through the entries of a map whose keys are the user's.
    fn each(
        &mut self,
        key: &str,
        example: &str,
        mut read: impl FnMut(&mut Self, &str, &'t Entry) -> Option<Taken>,
    ) {
        let Some(node) = self.take(key) else { return };
        let path = join(&self.path, key);
        let Value::Map(entries) = &node.value else {
            let example = format!("{key}: {example}");
            self.wrong_kind(node, &path, Wanted { kind: Kind::Map, example: &example });
            return;
        };
        let mut taken = Vec::new();
        for entry in entries {
            if let Some(value) = read(self, &join(&path, &entry.key), entry) {
                taken.push((entry.key.clone(), value));
            }
        }
        self.record(key, Taken::Map(taken, node.origin.clone()));
    }

    fn items(&mut self, key: &str, node: &'t Node, example: &str) -> Option<&'t [Node]> {
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        let path = join(&self.path, key);
        let example = format!("{key}: {example}");
        self.wrong_kind(node, &path, Wanted { kind: Kind::List, example: &example });
        None
    }

    fn items_as_texts(&mut self, path: &str, items: &[Node]) -> (Vec<String>, Vec<Taken>) {
        let mut values = Vec::new();
        let mut taken = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(text) = self.one_text(item, &format!("{path}[{index}]"), "- text") {
                values.push(text.clone());
                taken.push(text_taken(text, item));
            }
        }
        (values, taken)
    }

    pub(super) fn one_text(&mut self, node: &Node, path: &str, example: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } if !node.is_null() => Some(text.clone()),
            _ => {
                self.wrong_kind(node, path, Wanted { kind: Kind::Single, example });
                None
            }
        }
    }

    fn good_name(&mut self, entry: &Entry, path: &str) -> Option<String> {
        checked_name(&entry.key, "")
            .map_err(|message| self.problems.push(Problem::new(&entry.origin, path, message)))
            .ok()
    }
}

pub(super) fn text_taken(text: String, node: &Node) -> Taken {
    Taken::Value { text, is_text: true, origin: node.origin.clone() }
}

fn wrong_label(name: &str, value: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.chars().all(good)
        || name.starts_with(|c: char| c.is_ascii_digit())
        || name.is_empty()
        || name.len() > 128
    {
        return Some(format!(
            "{} is not a label's name; use letters, digits, `_`, no digit first",
            quoted(name)
        ));
    }
    if value.len() > MAX_LABEL {
        return Some(format!("is longer than {MAX_LABEL} bytes; shorten it"));
    }
    value.chars().any(char::is_control).then(|| "holds a control character; remove it".to_owned())
}
