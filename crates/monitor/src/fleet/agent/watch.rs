//! What the alert rules read of an agent's samples: a program over its layout, built anew when the layout, the labels or
//! the rules change. What a rule says of a value is decided by `farol-rules`.

use super::Samples;
use crate::fleet::layout::Compiled;
use farol_rules::{Labels, Level, Measured, Moment, Observation, Program, Reading, Ruleset};
use std::collections::HashSet;
use std::sync::Arc;

/// After so many intervals without a tick an element is stale.
const FRESH_INTERVALS: u64 = 3;

/// What of one agent's samples which rule looks at.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    program: Option<Box<Program>>,
    /// What the program was built for.
    layout: Option<Arc<Compiled>>,
    labels: Labels,
    /// What is to be told with the step that the samples came with.
    told: Vec<Observation>,
}

impl Watch {
    /// Reads a tick of the source at this position of the layout.
    #[inline]
    pub(crate) fn read(
        &mut self,
        rules: &Ruleset,
        labels: &Labels,
        samples: &Samples,
        position: usize,
        ticked: (u64, i64),
        report_interval_ms: u32,
    ) {
        let Some(layout) = samples.layout() else { return };
        let same = self.layout.as_ref().is_some_and(|known| Arc::ptr_eq(known, layout));
        let is_current =
            same && self.program.as_ref().is_some_and(|p| p.rules().version() == rules.version());
        if !is_current || (!labels.is_same(&self.labels) && *labels != self.labels) {
            self.build(rules, labels, layout);
        }
        let (Some(program), Some(columns)) = (&mut self.program, samples.columns(position)) else { return };
        let interval = layout.sources.get(position).map_or(0, |source| source.interval_ms);
        let fresh_for_ms = FRESH_INTERVALS * u64::from(interval.max(report_interval_ms));
        let at = Moment { run_ms: ticked.0, wall_ms: ticked.1 };
        let mut readings = Vec::new();
        program.source(position, columns, at, |reading| readings.push(reading));
        for reading in readings {
            self.told.push(measured(program, reading, fresh_for_ms));
        }
    }

    fn build(&mut self, rules: &Ruleset, labels: &Labels, layout: &Arc<Compiled>) {
        let mut program = Box::new(Program::new(rules, layout.shapes(), labels));
        match self.program.take() {
            Some(old) => {
                program.go_on_from(&old);
                self.told.extend(gone(&old, &program));
            }
            // What was known before a restart of what it has no more is over.
            None => {
                program.unsettle();
                self.told.push(Observation::Looked {
                    agent: labels.get("agent").cloned().unwrap_or_else(|| "".into()),
                    elements: elements(&program).collect(),
                });
            }
        }
        self.program = Some(program);
        (self.layout, self.labels) = (Some(Arc::clone(layout)), labels.clone());
    }

    /// What there is to tell since the last call.
    pub(crate) fn take(&mut self) -> Vec<Observation> {
        std::mem::take(&mut self.told)
    }

    /// Which rule looks at which element, for those who ask why.
    pub(crate) fn elements(&self) -> impl Iterator<Item = (Arc<str>, Labels)> {
        self.program.iter().flat_map(|program| elements(program))
    }

    /// The next value of everything is told, whatever it is.
    pub(crate) fn tell_all(&mut self) {
        if let Some(program) = &mut self.program {
            program.tell_all();
        }
    }
}

fn measured(program: &Program, reading: Reading, fresh_for_ms: u64) -> Observation {
    Observation::Measured(Measured {
        rule: Arc::clone(&program.rules().rules()[reading.rule as usize].name),
        labels: program.labels(reading.element),
        level: reading.level,
        value: reading.value,
        fresh_for_ms,
    })
}

fn elements(program: &Program) -> impl Iterator<Item = (Arc<str>, Labels)> {
    (0..u32::try_from(program.len()).unwrap_or(u32::MAX)).map(|element| {
        let rule = &program.rules().rules()[program.rule(element) as usize];
        (Arc::clone(&rule.name), program.labels(element))
    })
}

/// What was not clear, and is looked at no more.
fn gone(old: &Program, new: &Program) -> Vec<Observation> {
    let not_clear = (0..u32::try_from(old.len()).unwrap_or(u32::MAX))
        .filter(|element| !matches!(old.told(*element), None | Some(Level::Clear)));
    let mut gone: Vec<(Arc<str>, Labels)> = not_clear
        .map(|element| {
            (Arc::clone(&old.rules().rules()[old.rule(element) as usize].name), old.labels(element))
        })
        .collect();
    if !gone.is_empty() {
        let has: HashSet<_> = elements(new).collect();
        gone.retain(|element| !has.contains(element));
    }
    gone.into_iter().map(|(rule, labels)| Observation::ReadingGone { rule, labels }).collect()
}
