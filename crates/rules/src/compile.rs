//! A set of rules, checked as a whole and found by number: what is looked up by name for each sample otherwise is
//! looked up once. Decides which rules make no sense; what a level means over time is not decided here.

mod check;
mod definition;
mod program;
mod thresholds;
mod written;

pub use program::{Program, Reading, SourceShape, joined};
pub use written::ConditionError;

use crate::{Judge, Level, Rule, Subject};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thresholds::Thresholds;

/// The number of the next set.
static SETS: AtomicU64 = AtomicU64::new(1);

/// A set has no more rules: a binding has 16 bits for the number of its rule.
const MAX_RULES: usize = 10_000;

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: `{key}` {what}")]
pub struct CompileError {
    /// Its name.
    pub rule: Arc<str>,
    /// Where in it, as a rule is written: `clear`, `depends_on`, ….
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub what: String,
}

/// Rules that make sense together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ruleset(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    rules: Vec<Arc<Rule>>,
    /// By the number of the rule, all of these.
    fingerprints: Vec<u64>,
    thresholds: Vec<Thresholds>,
    by_name: HashMap<Arc<str>, u32>,
    by_metric: HashMap<Arc<str>, Vec<u32>>,
    /// No two sets of this process have the same.
    version: u64,
}

impl Default for Ruleset {
    /// No rules.
    fn default() -> Self {
        Self(Arc::new(Compiled {
            rules: Vec::new(),
            fingerprints: Vec::new(),
            thresholds: Vec::new(),
            by_name: HashMap::new(),
            by_metric: HashMap::new(),
            version: SETS.fetch_add(1, Ordering::Relaxed),
        }))
    }
}

impl Ruleset {
    /// Checks and numbers rules, in their order. That no rule depends on itself round corners is checked where
    /// dependencies are followed.
    ///
    /// # Errors
    /// Everything that is wrong, rule by rule.
    pub fn new(rules: Vec<Rule>) -> Result<Self, Vec<CompileError>> {
        let errors = check::all(&rules);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut by_name = HashMap::new();
        let mut by_metric: HashMap<Arc<str>, Vec<u32>> = HashMap::new();
        for (number, rule) in (0_u32..).zip(&rules) {
            by_name.insert(Arc::clone(&rule.name), number);
            if let Subject::Metric { name, .. } = &rule.subject {
                by_metric.entry(Arc::clone(name)).or_default().push(number);
            }
        }
        Ok(Self(Arc::new(Compiled {
            fingerprints: rules.iter().map(definition::fingerprint).collect(),
            thresholds: rules.iter().map(|rule| Thresholds::of(&rule.judge)).collect(),
            rules: rules.into_iter().map(Arc::new).collect(),
            by_name,
            by_metric,
            version: SETS.fetch_add(1, Ordering::Relaxed),
        })))
    }

    /// All of them; the place of a rule is its number.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.0.rules
    }

    /// The number of the rule of this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u32> {
        self.0.by_name.get(name).copied()
    }

    /// The rule of this name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Arc<Rule>> {
        self.0.rules.get(self.number(name)? as usize)
    }

    /// A hash of what a rule looks at and when that is bad: subject, matchers, window, thresholds, `by`. It is the same
    /// in each process, and another `for`, label or annotation does not change it: what was known of the rule's elements
    /// is worth keeping.
    ///
    /// # Panics
    /// With a number that is no rule's.
    #[must_use]
    pub fn fingerprint(&self, rule: u32) -> u64 {
        self.0.fingerprints[rule as usize]
    }

    /// A number that no other set of this process has.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// The rules that look at such subjects, by number.
    pub fn about(&self, is: impl Fn(&Subject) -> bool) -> impl Iterator<Item = (u32, &Arc<Rule>)> {
        (0_u32..).zip(&self.0.rules).filter(move |(_, rule)| is(&rule.subject))
    }

    /// The level of a value by a rule's thresholds, without its window.
    #[must_use]
    pub fn level_of_value(&self, rule: u32, value: f64) -> Option<Level> {
        let rule = rule as usize;
        let has_thresholds = matches!(self.0.rules.get(rule)?.judge, Judge::Thresholds { .. });
        (has_thresholds && !value.is_nan()).then(|| self.0.thresholds[rule].level(value))
    }
}

#[cfg(test)]
mod tests;
