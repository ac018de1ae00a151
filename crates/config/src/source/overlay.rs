//! Laying flags and environment variables over the tree. Decides which key a variable means and that lists
//! and maps are not replaced by text; does not decide whether a key is known (its reader does).

use crate::node::{Entry, Layer, Node, Value};
use crate::problem::{Origin, Problem, quoted};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// One value from outside the file.
pub(super) struct Given {
    pub(super) origin: Origin,
    pub(super) layer: Layer,
    pub(super) text: String,
    /// Whether it makes the maps that it stands in.
    pub(super) creates: bool,
}

/// `monitor.listen.http` → its parts.
pub(super) fn segments(path: &str) -> Vec<String> {
    path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Lays every variable with the prefix over the tree.
pub(super) fn environment(
    root: &mut Node,
    prefix: &str,
    at: &[String],
    vars: &BTreeMap<OsString, OsString>,
    problems: &mut Vec<Problem>,
) {
    let start = format!("{prefix}__");
    for (name, value) in vars {
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(&start) else { continue };
        let origin = Origin::Env(name.clone().into_owned());
        let Some(text) = text(value, &origin, problems) else { continue };
        let parts: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        if parts.iter().any(String::is_empty) {
            let message = format!("names no key; write `{start}` and the key, levels parted by `__`");
            problems.push(Problem::new(&origin, "", message));
            continue;
        }
        let path = at.iter().cloned().chain(parts).collect::<Vec<_>>();
        set(root, &path, Given { origin, layer: Layer::Env, text, creates: true }, problems);
    }
}

/// What a variable of another name does to its key.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) layer: Layer,
    /// Whether it makes the maps that the key stands in.
    pub(super) creates: bool,
    /// A bare number is one of seconds.
    pub(super) in_seconds: bool,
}

/// Fills in one key from a variable of another name, if what it stands in exists or is to be made.
pub(super) fn alias(
    root: &mut Node,
    variable: &str,
    path: &str,
    how: How,
    vars: &BTreeMap<OsString, OsString>,
    problems: &mut Vec<Problem>,
) {
    let Some(value) = vars.get(OsStr::new(variable)) else { return };
    let origin = Origin::Env(variable.to_owned());
    let Some(mut text) = text(value, &origin, problems) else { return };
    if how.in_seconds && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        text.push('s');
    }
    let given = Given { origin, layer: how.layer, text, creates: how.creates };
    set(root, &segments(path), given, problems);
}

/// A variable's value; an empty one counts as not set.
fn text(value: &OsStr, origin: &Origin, problems: &mut Vec<Problem>) -> Option<String> {
    match value.to_str() {
        Some("") => None,
        Some(text) => Some(text.to_owned()),
        None => {
            problems.push(Problem::new(origin, "", "is not UTF-8; set it again"));
            None
        }
    }
}

/// Sets one value, unless a stronger source has set it.
pub(super) fn set(root: &mut Node, path: &[String], given: Given, problems: &mut Vec<Problem>) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut here = root;
    for (depth, part) in parents.iter().enumerate() {
        let Some(entries) = open(here, &path[..depth], &given, problems) else { return };
        let index = match place(entries, part) {
            Some(index) => index,
            None if given.creates => {
                let value = Node::empty_map(given.origin.clone(), given.layer);
                entries.push(Entry { key: part.clone(), origin: given.origin.clone(), value });
                entries.len() - 1
            }
            None => return,
        };
        here = &mut entries[index].value;
    }
    let Some(entries) = open(here, parents, &given, problems) else { return };
    let Given { origin, layer, text, .. } = given;
    let node = Node { origin: origin.clone(), layer, value: Value::Scalar { text, plain: false } };
    match place(entries, last) {
        None => entries.push(Entry { key: last.clone(), origin, value: node }),
        Some(index) => {
            let entry = &mut entries[index];
            match &entry.value.value {
                Value::Scalar { text, .. } if entry.value.layer <= layer || yields(text, layer) => {
                    *entry = Entry { key: entry.key.clone(), origin, value: node };
                }
                Value::Scalar { .. } => {}
                Value::List(_) => problems.push(Problem::new(&origin, &path.join("."), no_list(&origin))),
                Value::Map(_) => problems.push(Problem::new(&origin, &path.join("."), no_map(&origin))),
            }
        }
    }
}

/// Whether a key leaves its value to the variable of a fallback.
fn yields(text: &str, layer: Layer) -> bool {
    layer == Layer::Fallback && text == "auto"
}

/// The entries of a map; what is not set yet becomes an empty one.
fn open<'n>(
    node: &'n mut Node,
    path: &[String],
    given: &Given,
    problems: &mut Vec<Problem>,
) -> Option<&'n mut Vec<Entry>> {
    if node.is_null() {
        node.value = Value::Map(Vec::new());
    }
    let message = match &node.value {
        Value::List(_) => no_list(&given.origin),
        Value::Scalar { .. } => {
            format!("is a single value in {}, so that nothing can be set beneath it", node.origin)
        }
        Value::Map(_) => String::new(),
    };
    match &mut node.value {
        Value::Map(entries) => Some(entries),
        _ if given.creates => {
            problems.push(Problem::new(&given.origin, &path.join("."), message));
            None
        }
        _ => None,
    }
}

/// The entry that a part of a variable's name means: `MY_SVC` also means the key `my-svc`.
fn place(entries: &[Entry], part: &str) -> Option<usize> {
    let plain = |key: &str| -> String {
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
    };
    entries
        .iter()
        .position(|entry| entry.key == part)
        .or_else(|| entries.iter().position(|entry| plain(&entry.key) == plain(part)))
}

/// Why a list stays as it is.
pub(crate) fn no_list(origin: &Origin) -> String {
    match origin {
        Origin::Env(name) => {
            format!(
                "is a list; lists cannot be set by environment. Unset {} and write it in the file",
                quoted(name)
            )
        }
        _ => "is a list; lists cannot be set by a flag. Write it in the file".to_owned(),
    }
}

/// Why a map stays as it is.
pub(crate) fn no_map(origin: &Origin) -> String {
    match origin {
        Origin::Env(name) => format!("is a map; set its keys one by one, each as `{name}__KEY`"),
        _ => "is a map; set its keys one by one".to_owned(),
    }
}
