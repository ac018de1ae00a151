//! What the alert rules read of an agent's samples: a program over its layout, built anew when the layout, the labels or
//! the rules change. What a rule says of a value is decided by `farol-rules`.

use super::Samples;
use crate::fleet::layout::Compiled;
use farol_rules::{Labels, Measured, Moment, Observation, Program, Reading, Ruleset};
use std::collections::HashSet;
use std::sync::Arc;

/// After so many intervals without a tick an element is stale.
const FRESH_INTERVALS: u64 = 3;
/// An agent that says for so long that it has no series has none any more. Before, its collectors may be slow.
const NONE_FOR_MS: u64 = 10 * 60_000;

/// What of one agent's samples which rule looks at.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    program: Option<Box<Program>>,
    /// What the program was built for.
    layout: Option<Arc<Compiled>>,
    labels: Labels,
    /// The prefix of its services; `None` until it said one.
    scope: Option<Arc<str>>,
    /// The rules may know of it from before a restart, or from before it had no series.
    has_past: bool,
    /// When what was known of its series is gone, on the running clock, if it has none: never again once it was told.
    gone_at_ms: Option<u64>,
    /// What is to be told with the step that the samples came with.
    told: Vec<Observation>,
}

impl Watch {
    /// Of an agent that the monitor knew under these labels when it stopped.
    pub(crate) fn of_past(labels: &Labels) -> Self {
        Self { has_past: true, labels: labels.clone(), ..Self::default() }
    }

    /// The agent's services are known with this prefix. With another one than before its series are others.
    pub(crate) fn set_scope(&mut self, scope: &Arc<str>) {
        if self.scope.replace(Arc::clone(scope)).is_some_and(|before| before != *scope) {
            // No agent's: the program is built anew.
            self.labels = Labels::default();
        }
    }

    /// Whether the rules know anything of its agent from before a restart. Where not, nothing is told twice.
    pub(crate) fn set_past(&mut self, has_past: bool) {
        self.has_past = has_past;
    }

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
        let shapes = layout.shapes(self.scope.as_deref().unwrap_or_default());
        let mut program = Box::new(Program::new(rules, &shapes, labels));
        let for_good = *labels != self.labels;
        match self.program.take() {
            Some(old) => {
                program.go_on_from(&old);
                self.told.extend(gone(&old, &program, for_good));
            }
            // What was known before of what it does not have is stale, and gone if it does not come back.
            None => {
                if self.has_past {
                    program.unsettle();
                }
                self.told.push(looked(labels, elements(&program).collect(), for_good));
            }
        }
        self.program = Some(program);
        (self.layout, self.labels) = (Some(Arc::clone(layout)), labels.clone());
    }

    /// A report came, with samples or without. What has no series is never read.
    pub(crate) fn reported(&mut self, labels: &Labels, samples: &Samples, now_ms: u64) {
        if samples.layout().is_none_or(|layout| !layout.layout.set.series.is_empty()) {
            self.gone_at_ms = None;
        } else if now_ms >= *self.gone_at_ms.get_or_insert(now_ms.saturating_add(NONE_FOR_MS)) {
            self.gone_at_ms = Some(u64::MAX);
            (self.program, self.layout, self.has_past) = (None, None, true);
            self.told.push(looked(labels, Vec::new(), *labels != self.labels));
        }
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

fn looked(labels: &Labels, elements: Vec<(Arc<str>, Labels)>, for_good: bool) -> Observation {
    Observation::Looked { labels: labels.clone(), elements, for_good }
}

fn measured(program: &Program, reading: Reading, fresh_for_ms: u64) -> Observation {
    Observation::Measured(Measured {
        set: program.rules().version(),
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

/// What is looked at no more. Also what was clear: it may be kept firing, or flap. Under other labels of the agent it will
/// not be looked at again.
fn gone(old: &Program, new: &Program, for_good: bool) -> impl Iterator<Item = Observation> {
    let has: HashSet<_> = elements(new).collect();
    let gone = elements(old).filter(move |element| !has.contains(element));
    gone.map(move |(rule, labels)| Observation::ReadingGone { rule, labels, for_good })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Layouts;
    use farol_series::{Columns, Encoding};
    use farol_wire::{Definition, SeriesDef, SeriesType, SourceDef};

    /// Disks by their source, as an agent has them one after the other.
    struct Agent {
        rules: Ruleset,
        labels: Labels,
        layouts: Layouts,
        samples: Samples,
        watch: Watch,
        now_ms: u64,
    }

    impl Agent {
        fn new() -> Self {
            let text = "rules:\n  - {name: disk, metric: disk, critical: \"> 85\", keep_firing_for: 2m}\n";
            Self {
                rules: Ruleset::new(crate::config::rules_in("rules.yaml", text).unwrap()).unwrap(),
                labels: Labels::from([("agent", "a")]),
                layouts: Layouts::default(),
                samples: Samples::default(),
                watch: Watch::default(),
                now_ms: 0,
            }
        }

        /// From now on it has these disks.
        fn has(&mut self, disks: &[(u32, &str)]) {
            let sources = [1, 2].map(|id| SourceDef { id, name: "s".into(), interval_ms: 10_000 });
            let series = (1..).zip(disks).map(|(id, (source, mount))| SeriesDef {
                id,
                source: *source,
                name: "disk".into(),
                labels: [("mount".into(), (*mount).into())].into(),
                kind: SeriesType::Gauge,
                unit: String::new(),
                encoding: Encoding::Float.to_wire(),
            });
            let set =
                Definition { sources: sources.into(), series: series.collect(), components: Vec::new() };
            let Ok(interned) = self.layouts.intern(set, |_| Ok::<_, std::convert::Infallible>(()));
            self.samples.start(interned.compiled);
        }

        /// A tick of one source, and what is said of it.
        fn tick(&mut self, source: u32, values: &[f64]) -> Vec<String> {
            self.now_ms += 10_000;
            let mut block = Vec::new();
            let row: Vec<_> = values.iter().map(|value| Some(*value)).collect();
            Columns::new(vec![Encoding::Float; row.len()]).encode(&row, &mut block).unwrap();
            let ticked = (self.now_ms, 0);
            let Some(layout) = self.samples.layout().cloned() else { panic!("it has none") };
            self.samples.start(layout);
            let position = self.samples.apply(source, &block, ticked).unwrap();
            self.watch.read(&self.rules, &self.labels, &self.samples, position, ticked, 10_000);
            let mount = |labels: &Labels| labels.get("mount").unwrap().to_string();
            let word = |seen: &Observation| match seen {
                Observation::Measured(seen) => format!("{} {:?}", mount(&seen.labels), seen.level),
                Observation::ReadingGone { labels, .. } => format!("{} gone", mount(labels)),
                Observation::Looked { elements, .. } => format!("{} looked at", elements.len()),
                other => panic!("{other:?}"),
            };
            self.watch.take().iter().map(word).collect()
        }
    }

    #[test]
    fn what_an_agent_has_no_more_is_gone_though_it_was_clear_when_last_seen() {
        let mut agent = Agent::new();
        agent.has(&[(1, "/"), (1, "/data")]);
        assert_eq!(agent.tick(1, &[5.0, 99.0]), ["2 looked at", "/ Clear", "/data Critical"]);
        agent.tick(1, &[5.0, 5.0]);
        agent.has(&[(1, "/")]);
        assert_eq!(agent.tick(1, &[5.0]), ["/data gone", "/ Clear"]);
    }

    #[test]
    fn what_comes_back_clear_is_told_for_as_long_as_it_may_have_been_kept_firing() {
        let mut agent = Agent::new();
        agent.has(&[(1, "/")]);
        agent.tick(1, &[99.0]);
        agent.has(&[]);
        for _ in 0..=NONE_FOR_MS / 10_000 {
            agent.now_ms += 10_000;
            agent.watch.reported(&agent.labels, &agent.samples, agent.now_ms);
        }
        agent.watch.take();
        agent.has(&[(1, "/")]);
        assert_eq!(agent.tick(1, &[5.0]), ["1 looked at", "/ Clear"]);
        for _ in 0..11 {
            assert_eq!(agent.tick(1, &[5.0]), ["/ Clear"]);
        }
    }

    #[test]
    fn what_an_agent_has_no_more_is_gone_though_it_was_not_seen_since_its_layout_changed_before() {
        let mut agent = Agent::new();
        agent.has(&[(1, "/"), (2, "/data")]);
        agent.tick(1, &[5.0]);
        assert_eq!(agent.tick(2, &[99.0]), ["/data Critical"]);
        agent.has(&[(1, "/"), (2, "/data"), (1, "/tmp")]);
        agent.tick(1, &[5.0, 5.0]);
        agent.has(&[(1, "/"), (1, "/tmp")]);
        assert_eq!(agent.tick(1, &[5.0, 5.0])[0], "/data gone");
    }
}
