//! One agent's series on their way to the rules, value by value: what live reads off whole rows. Decides which series
//! are worth reading; what a value means is the program's.

use crate::{Labels, Measured, Moment, Observation, Program, Ruleset, SourceShape, Subject};
use farol_series::{Columns, Encoding};
use std::collections::BTreeSet;
use std::sync::Arc;

/// After so many intervals without a value an element is stale.
const FRESH_INTERVALS: u64 = 3;

/// The series of one agent, and what the rules make of them.
pub struct Meter {
    program: Program,
    /// Holds the one value that is shown to the program.
    columns: Columns,
    /// Where it is written to, and not read from.
    scratch: Vec<u8>,
    /// Each series is a source of its own, as they come.
    series: Vec<(Arc<str>, Labels)>,
    /// Series that others are a percentage of: they are told first.
    totals: BTreeSet<usize>,
}

impl Meter {
    /// The names of all series that rules look at.
    #[must_use]
    pub fn names(rules: &Ruleset) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        for rule in rules.rules() {
            if let Subject::Metric { name, of } = &rule.subject {
                names.insert(Arc::clone(name));
                names.extend(of.iter().cloned());
            }
        }
        names
    }

    /// Of an agent with these labels, whose series of these names and own labels come so often.
    #[must_use]
    pub fn new(rules: &Ruleset, agent: &Labels, series: Vec<(Arc<str>, Labels)>, interval_ms: u64) -> Self {
        let shapes: Vec<SourceShape> =
            series.iter().map(|one| SourceShape { interval_ms, series: vec![one.clone()] }).collect();
        let is_total = |name: &Arc<str>| {
            rules.rules().iter().any(|rule| match &rule.subject {
                Subject::Metric { of, .. } => of.as_ref() == Some(name),
                _ => false,
            })
        };
        let totals = series.iter().enumerate().filter(|(_, (name, _))| is_total(name));
        Self {
            program: Program::new(rules, &shapes, agent),
            columns: Columns::new(vec![Encoding::Float]),
            scratch: Vec::new(),
            totals: totals.map(|(at, _)| at).collect(),
            series,
        }
    }

    /// The series, in their order.
    #[must_use]
    pub fn series(&self) -> &[(Arc<str>, Labels)] {
        &self.series
    }

    /// Goes on where another of the same agent was.
    pub fn go_on_from(&mut self, old: &Self) {
        self.program.go_on_from(&old.program);
    }

    /// Takes the values of one moment, each with the number of its series.
    pub fn values(&mut self, at: Moment, values: &[(usize, f64)], interval_ms: u64) -> Vec<Observation> {
        let fresh_for_ms = FRESH_INTERVALS * interval_ms;
        let (first, then): (Vec<_>, Vec<_>) = values.iter().partition(|(at, _)| self.totals.contains(at));
        let mut seen = Vec::new();
        for (source, value) in first.into_iter().chain(then) {
            self.columns.reset();
            self.scratch.clear();
            if self.columns.encode(&[Some(value)], &mut self.scratch).is_err() {
                continue;
            }
            let mut readings = Vec::new();
            self.program.source(source, &self.columns, at, |reading| readings.push(reading));
            let rules = self.program.rules();
            seen.extend(readings.into_iter().map(|reading| {
                Observation::Measured(Measured {
                    set: rules.version(),
                    rule: Arc::clone(&rules.rules()[reading.rule as usize].name),
                    labels: self.program.labels(reading.element),
                    level: reading.level,
                    value: reading.value,
                    fresh_for_ms,
                })
            }));
        }
        seen
    }
}
