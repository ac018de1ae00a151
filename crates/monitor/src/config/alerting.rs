//! What of alerting is configured: rules, routes and maintenance. Which rules there are: the shipped ones, and those in
//! the files that `rules:` names. Decides that a rule of a file takes the place of a shipped one of its name, and that all
//! that is wrong in all files is told at once; how one rule is written is decided below.

mod routes;
mod rule;
mod subject;
mod windows;

use crate::notify::Templates;
use farol_config::{Map, Origin, Problem, Problems, Sources};
use farol_rules::{Matcher, Pattern, Route, Rule, Ruleset, Window};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The rules that are shipped.
const SHIPPED: &str = include_str!("../../../../config/rules/default.yaml");
/// Where they stand, in messages.
const SHIPPED_NAME: &str = "default rules";

/// What of alerting is configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// The rules, shipped ones first; they make sense together.
    pub rules: Vec<Rule>,
    /// Who is told; `None` where nothing is said.
    pub route: Option<Route>,
    /// Maintenance that stands in the configuration.
    pub windows: Vec<Window>,
}

/// A rule and where it is written.
struct Written {
    rule: Rule,
    place: Place,
    /// The rules that it depends on.
    needs: Vec<(Arc<str>, Place)>,
    is_shipped: bool,
}

impl Written {
    /// Annotations that are no templates.
    fn wrong_words(&self) -> impl Iterator<Item = Problem> {
        let errors = Templates::compile(&self.rule.annotations).err().unwrap_or_default();
        errors.into_iter().map(|error| {
            let message = format!("line {}: {}", error.line, error.why);
            self.place.problem(&format!("annotations.{}", error.name), message)
        })
    }

    fn unknown_actions(&self, known: &BTreeSet<Arc<str>>) -> impl Iterator<Item = Problem> {
        let unknown = self.rule.actions.iter().filter(|name| !known.contains(*name));
        unknown.map(|name| {
            let message = format!("there is no action `{name}`; write it under `actions:`, or take this out");
            self.place.problem("actions", message)
        })
    }
}

/// Where something is written.
struct Place {
    origin: Origin,
    key: String,
}

impl Place {
    fn of(m: &Map<'_>) -> Self {
        Self { origin: m.origin().clone(), key: m.at().to_owned() }
    }

    fn problem(&self, key: &str, message: String) -> Problem {
        let key = if key.is_empty() { self.key.clone() } else { format!("{}.{key}", self.key) };
        Problem { origin: self.origin.clone(), key, message }
    }
}

/// Reads `rules:` and `default_rules:`, and the files that the first names, whose rules may start these actions;
/// `route:`, which may name these receivers; and `maintenance:`.
pub(super) fn read(m: &mut Map<'_>, receivers: &[&str], actions: &BTreeSet<Arc<str>>) -> Alerting {
    let (route, windows) = (routes::read(m, receivers), windows::read(m));
    let files = m.files("rules");
    let with_shipped = m.flag("default_rules").or(true);
    let rules = together(shipped(with_shipped), of_files(&files), Some(actions)).unwrap_or_else(|problems| {
        m.report(problems.iter().cloned());
        Vec::new()
    });
    Alerting { rules, route, windows }
}

/// The rules of some files, with the shipped ones or without.
///
/// # Errors
/// Everything that is wrong in any of them.
pub fn rules_of(files: &[PathBuf], with_shipped: bool) -> Result<Vec<Rule>, Problems> {
    together(shipped(with_shipped), of_files(files), None)
}

fn of_files(files: &[PathBuf]) -> impl Iterator<Item = Sources> {
    files.iter().map(|file| Sources::new().file(file))
}

fn shipped(wanted: bool) -> Option<Sources> {
    wanted.then(|| Sources::new().text(SHIPPED_NAME, SHIPPED))
}

/// The rules of a text; `name` is what messages call it.
///
/// # Errors
/// Everything that is wrong in it.
pub fn rules_in(name: &str, text: &str) -> Result<Vec<Rule>, Problems> {
    together(None, [Sources::new().text(name, text)], None)
}

/// Where nobody says which actions there are, any may be named.
fn together(
    shipped: Option<Sources>,
    files: impl IntoIterator<Item = Sources>,
    actions: Option<&BTreeSet<Arc<str>>>,
) -> Result<Vec<Rule>, Problems> {
    let (mut written, mut problems) = (Vec::new(), Vec::new());
    let shipped = shipped.into_iter().map(|sources| (sources, true));
    for (sources, is_shipped) in shipped.chain(files.into_iter().map(|sources| (sources, false))) {
        read_file(sources, is_shipped, &mut written, &mut problems);
    }
    let written = unique(written, &mut problems);
    let names: Vec<&str> = written.iter().map(|written| &*written.rule.name).collect();
    for (other, place) in written.iter().flat_map(|written| &written.needs) {
        if !names.contains(&&**other) {
            let mut message = format!("there is no rule `{other}`; name one that there is, or take this out");
            if SHIPPED.contains(&format!("- name: {other}\n")) {
                message = format!(
                    "`{other}` is a shipped rule, and `default_rules` is false; write one of this name"
                );
            }
            problems.push(place.problem("rule", message));
        }
    }
    for written in &written {
        problems.extend(written.wrong_words());
        problems.extend(actions.iter().flat_map(|known| written.unknown_actions(known)));
    }
    if problems.is_empty() {
        // What is left is of the set as a whole.
        let rules = written.iter().map(|written| written.rule.clone()).collect();
        for error in Ruleset::new(rules).err().unwrap_or_default() {
            let at = written.iter().find(|written| written.rule.name == error.rule);
            problems.extend(at.map(|written| written.place.problem(error.key, error.what)));
        }
    }
    if problems.is_empty() {
        Ok(written.into_iter().map(|written| written.rule).collect())
    } else {
        Err(problems.into_iter().collect())
    }
}

/// Reads one file. Rules in which something is wrong come too: others may depend on them.
fn read_file(sources: Sources, is_shipped: bool, written: &mut Vec<Written>, problems: &mut Vec<Problem>) {
    let read = sources.load().and_then(|tree| {
        tree.read(|m| {
            m.list("rules", |m| {
                let (rule, needs) = rule::read(m);
                written.push(Written { rule, place: Place::of(m), needs, is_shipped });
            });
        })
    });
    problems.extend(read.err().iter().flat_map(Problems::iter).cloned());
}

/// Each name once: a rule of a file wins over a shipped one, and takes its place; two of files are a mistake.
fn unique(all: Vec<Written>, problems: &mut Vec<Problem>) -> Vec<Written> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut unique: Vec<Written> = Vec::with_capacity(all.len());
    for written in all {
        match places.get(&written.rule.name) {
            // It has its problem.
            _ if written.rule.name.is_empty() => unique.push(written),
            Some(at) if unique[*at].is_shipped && !written.is_shipped => unique[*at] = written,
            Some(at) => {
                let (name, first) = (&written.rule.name, &unique[*at].place.origin);
                // A rule without a name has its problem.
                if !name.is_empty() {
                    let message =
                        format!("`{name}` is the name of the rule at {first}, too; give each its own");
                    problems.push(written.place.problem("name", message));
                }
            }
            None => {
                places.insert(Arc::clone(&written.rule.name), unique.len());
                unique.push(written);
            }
        }
    }
    unique
}

/// Reads `match:`.
fn matchers(m: &mut Map<'_>) -> Vec<Matcher> {
    let mut matchers = Vec::new();
    for (label, text) in m.pairs("match") {
        match Pattern::parse(&text) {
            Ok(pattern) => matchers.push(Matcher { label: Arc::from(label), pattern }),
            Err(error) => {
                m.problem("match", format!("`{label}`: {error}; write for instance `~payments-.*`"))
            }
        }
    }
    matchers
}

/// Whole milliseconds.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
