//! What the configuration is made of, and which source wins: flag, environment, alias, file, fallback. Decides
//! nothing about single keys.

mod file;
mod overlay;

pub(crate) use file::{matches, read_bounded};
pub(crate) use overlay::{no_list, no_map};

use crate::node::{Layer, Node};
use crate::problem::{Origin, Problem, Problems};
use crate::tree::Tree;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// The sources of one configuration. [`load`](Self::load) makes them one [`Tree`].
#[derive(Clone, Default)]
pub struct Sources {
    /// Files and texts, in the order in which they were given.
    inputs: Vec<Input>,
    /// Prefixes of environment variables and the path under which their keys land.
    prefixes: Vec<Prefix>,
    /// The variables that were given with the prefixes. May hold secrets: never printed.
    vars: BTreeMap<OsString, OsString>,
    /// Variable names of their own and the key each fills in; and whether a bare number is one of seconds.
    aliases: Vec<(String, String, bool)>,
    /// Like aliases, but they make what they stand in.
    variables: Vec<(String, String)>,
    /// Like variables, but the file wins over them.
    fallbacks: Vec<(String, String)>,
    /// Flags that were given: name, key, value.
    flags: Vec<(String, String, String)>,
}

#[derive(Clone)]
enum Input {
    File(PathBuf),
    Text(String, String),
}

#[derive(Clone)]
struct Prefix {
    /// For instance `FAROL_AGENT`.
    name: String,
    /// Where its keys land; empty for the root.
    at: Vec<String>,
}

impl Sources {
    /// No source: every value has its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A YAML file, which must exist. Several files merge: maps merge, lists append, a value set twice is a
    /// problem.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.inputs.push(Input::File(path.into()));
        self
    }

    /// YAML text under a name for its problems. `include` and relative paths start at the name's directory.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.inputs.push(Input::Text(name.to_owned(), text.to_owned()));
        self
    }

    /// Environment variables. With the prefix `FAROL_AGENT`, `FAROL_AGENT__LISTEN__HTTP` is the key
    /// `listen.http`, or `agent.listen.http` with `at` being `agent`. Empty variables count as not set.
    ///
    /// Variables of other names are kept for [`alias`](Self::alias) only. A single underscore after the prefix
    /// is none of ours: Kubernetes sets `FAROL_AGENT_PORT` for a service called `farol-agent`.
    #[must_use]
    pub fn env<K, V>(mut self, prefix: &str, at: Option<&str>, vars: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        self.prefixes.push(Prefix { name: prefix.to_owned(), at: overlay::segments(at.unwrap_or_default()) });
        self.vars.extend(vars.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// A variable of another name (given with [`env`](Self::env)) that fills in a key, if what the key stands
    /// in exists: `DB_HOST` never chooses the store. It wins over the file only.
    #[must_use]
    pub fn alias(mut self, variable: &str, path: &str) -> Self {
        self.aliases.push((variable.to_owned(), path.to_owned(), false));
        self
    }

    /// The same of a duration: `DB_TIMEOUT=30` means 30 seconds there, as people write it.
    #[must_use]
    pub fn alias_in_seconds(mut self, variable: &str, path: &str) -> Self {
        self.aliases.push((variable.to_owned(), path.to_owned(), true));
        self
    }

    /// A variable of another name (given with [`env`](Self::env)) that sets a key, whatever it stands in. It wins
    /// over the file only.
    #[must_use]
    pub fn variable(mut self, variable: &str, path: &str) -> Self {
        self.variables.push((variable.to_owned(), path.to_owned()));
        self
    }

    /// A variable of another name (given with [`env`](Self::env)) that sets a key where nothing else does, or where the
    /// file says `auto`: one that other programs share, so that the file's own word counts.
    #[must_use]
    pub fn fallback(mut self, variable: &str, path: &str) -> Self {
        self.fallbacks.push((variable.to_owned(), path.to_owned()));
        self
    }

    /// A flag of the command line; `None` when it was not given.
    #[must_use]
    pub fn flag(mut self, name: &str, path: &str, value: impl Into<Option<String>>) -> Self {
        if let Some(value) = value.into() {
            self.flags.push((name.to_owned(), path.to_owned(), value));
        }
        self
    }

    /// Reads and merges all sources.
    ///
    /// # Errors
    /// Files that cannot be read, are not YAML, or are too large or too deep. Smaller problems wait in the tree
    /// and are told with those of [`Tree::read`], so that all come at once.
    pub fn load(self) -> Result<Tree, Problems> {
        let mut files = file::Files::default();
        let mut root: Option<Node> = None;
        for input in &self.inputs {
            let node = match input {
                Input::File(path) => files.read(path),
                Input::Text(name, text) => files.parse(&Arc::from(name.as_str()), text.as_bytes()),
            };
            match (&mut root, node) {
                (Some(root), Some(node)) => root.merge(node, "", &mut files.problems),
                (None, node) => root = node,
                (Some(_), None) => {}
            }
        }
        let file::Files { fatal, mut problems, .. } = files;
        if fatal {
            return Err(Problems::sorted(problems));
        }
        let mut root = root.unwrap_or_else(|| Node::empty_map(Origin::Default, Layer::File));
        self.lay_over(&mut root, &mut problems);
        Ok(Tree::new(root, problems))
    }

    fn lay_over(&self, root: &mut Node, problems: &mut Vec<Problem>) {
        for (name, path, value) in &self.flags {
            let origin = Origin::Flag(name.clone());
            let given = overlay::Given { origin, layer: Layer::Flag, text: value.clone(), creates: true };
            overlay::set(root, &overlay::segments(path), given, problems);
        }
        for prefix in &self.prefixes {
            overlay::environment(root, &prefix.name, &prefix.at, &self.vars, problems);
        }
        for (variable, path, in_seconds) in &self.aliases {
            let how = overlay::How { layer: Layer::Alias, creates: false, in_seconds: *in_seconds };
            overlay::alias(root, variable, path, how, &self.vars, problems);
        }
        for (all, layer) in [(&self.variables, Layer::Alias), (&self.fallbacks, Layer::Fallback)] {
            let how = overlay::How { layer, creates: true, in_seconds: false };
            for (variable, path) in all {
                overlay::alias(root, variable, path, how, &self.vars, problems);
            }
        }
    }
}

#[cfg(test)]
mod tests;
