//! What of one agent's series which rule looks at. Matching and hashing happen when it is built; a sample costs
//! comparisons only.

use super::{Compiled, Ruleset};
use crate::window::Window;
use crate::{Labels, Level, Matcher, Moment, Rule, Subject};
use farol_series::Columns;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Stands for no window and no total.
const NONE: u32 = u32::MAX;
/// Nothing was told yet.
const UNTOLD: u8 = 0;
/// It is clear, and was for so long that nothing is left of what a life counts: nothing is told any more.
const SETTLED: u8 = 5;
/// After so many intervals without a tick no life's clock goes.
const FRESH_INTERVALS: u64 = 3;

/// The series of a source, in the order of its columns.
#[derive(Clone, Debug, Default)]
pub struct SourceShape {
    /// How often it ticks; 0 where nobody knows.
    pub interval_ms: u64,
    /// Name and own labels of each series.
    pub series: Vec<(Arc<str>, Labels)>,
}

/// What a rule has to know of an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The number of the rule in its set.
    pub rule: u32,
    /// The number of the element in its program.
    pub element: u32,
    /// How bad it is.
    pub level: Level,
    /// The value that was judged: after window and percentage.
    pub value: f64,
}

/// What of one agent's series which rule looks at: one element each.
#[derive(Clone, Debug)]
pub struct Program {
    rules: Ruleset,
    /// By source, and within it by column.
    bindings: Vec<Binding>,
    sources: Vec<Source>,
    windows: Vec<Window>,
    /// The latest values of which others are a percentage; NaN while there is none.
    totals: Vec<f64>,
    /// Where these come from.
    feeds: Vec<Feed>,
    /// The series' own labels, by element: read by nothing that is done for each sample.
    labels: Vec<Labels>,
    /// By element, for how many milliseconds of ticks clear values are told yet: a life's clock goes while it is told
    /// something, and what is well must last before it is over. Read for what is not settled only.
    unsettled_ms: Vec<u64>,
    agent: Labels,
}

/// A rule that looks at a series. The place in the list is the element's number.
#[derive(Clone, Copy, Debug)]
struct Binding {
    column: u32,
    window: u32,
    total: u32,
    rule: u16,
    /// What was told last: [`UNTOLD`], [`SETTLED`], or [`mark`] of a level.
    told: u8,
}

/// A series that is some others' total.
#[derive(Clone, Copy, Debug)]
struct Feed {
    column: u32,
    total: u32,
}

#[derive(Clone, Debug, Default)]
struct Source {
    bindings: Range<usize>,
    feeds: Range<usize>,
    /// How often it ticks; 0 where nobody knows.
    interval_ms: u64,
    /// When it ticked last, on the running clock.
    ticked_ms: u64,
}

impl Source {
    /// It ticks. How much of the time since it ticked last it was seen.
    fn tick(&mut self, run_ms: u64) -> u64 {
        let since = run_ms.saturating_sub(self.ticked_ms);
        self.ticked_ms = run_ms;
        if self.interval_ms == 0 { since } else { since.min(FRESH_INTERVALS * self.interval_ms) }
    }
}

impl Program {
    /// Finds what each rule looks at. Of series that have the same name and labels the first one counts.
    #[must_use]
    pub fn new(rules: &Ruleset, sources: &[SourceShape], agent: &Labels) -> Self {
        let mut building = Building::new(&rules.0, sources);
        let mut program = Self {
            rules: rules.clone(),
            bindings: Vec::new(),
            sources: Vec::with_capacity(sources.len()),
            windows: Vec::new(),
            totals: Vec::new(),
            feeds: Vec::new(),
            labels: Vec::new(),
            unsettled_ms: Vec::new(),
            agent: agent.clone(),
        };
        for source in sources {
            let first = program.bindings.len();
            for (column, (name, labels)) in (0_u32..).zip(&source.series) {
                building.bind(&mut program, source.interval_ms, column, (name, labels));
            }
            program.sources.push(Source {
                bindings: first..program.bindings.len(),
                interval_ms: source.interval_ms,
                ..Source::default()
            });
        }
        building.feed(&mut program);
        program
    }

    /// Takes a tick of a source: tells what differs from what was told last, each value of what was not clear, and each
    /// clear one until it was clear for as long as the rule keeps it firing or flapping. A value that is absent or NaN
    /// says nothing, and neither does a percentage of what is absent or not above 0.
    #[inline]
    pub fn source(&mut self, source: usize, columns: &Columns, at: Moment, mut tell: impl FnMut(Reading)) {
        let Some(source) = self.sources.get_mut(source) else { return };
        let passed_ms = source.tick(at.run_ms);
        let Source { bindings, feeds, .. } = source;
        for feed in &self.feeds[feeds.clone()] {
            self.totals[feed.total as usize] = columns.value(feed.column as usize).unwrap_or(f64::NAN);
        }
        let thresholds = &self.rules.0.thresholds[..];
        let elements = bindings.clone();
        // Elements of one series stand side by side.
        let mut latest = (NONE, None);
        for (element, binding) in elements.zip(&mut self.bindings[bindings.clone()]) {
            if latest.0 != binding.column {
                latest = (binding.column, columns.value(binding.column as usize));
            }
            let Some(mut value) = latest.1 else { continue };
            if binding.total != NONE {
                let total = self.totals[binding.total as usize];
                value = if total > 0.0 { value / total * 100.0 } else { f64::NAN };
            }
            if binding.window != NONE {
                if value.is_nan() {
                    continue;
                }
                value = self.windows[binding.window as usize].push(at, value).unwrap_or(f64::NAN);
            }
            let thresholds = &thresholds[usize::from(binding.rule)];
            if value.is_nan() || binding.told == SETTLED && thresholds.is_clear(value) {
                continue;
            }
            let level = thresholds.level(value);
            if level == Level::Clear && binding.told == SETTLED {
                continue;
            }
            let unsettled_ms = &mut self.unsettled_ms[element];
            *unsettled_ms = match (level, mark(level) == binding.told) {
                (Level::Clear, true) => unsettled_ms.saturating_sub(passed_ms),
                (Level::Clear, false) => *unsettled_ms,
                _ => settling_ms(&self.rules.0.rules[usize::from(binding.rule)]),
            };
            let is_settled = level == Level::Clear && *unsettled_ms == 0;
            binding.told = if is_settled { SETTLED } else { mark(level) };
            tell(Reading { rule: u32::from(binding.rule), element: element as u32, level, value });
        }
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether no rule looks at anything here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// The set that it was built from.
    #[must_use]
    pub fn rules(&self) -> &Ruleset {
        &self.rules
    }

    /// The elements of a source, by number.
    #[must_use]
    pub fn elements(&self, source: usize) -> Range<u32> {
        let all = self.sources.get(source).map_or(0..0, |source| source.bindings.clone());
        all.start as u32..all.end as u32
    }

    /// The number of an element's rule.
    ///
    /// # Panics
    /// With a number that is no element's.
    #[must_use]
    pub fn rule(&self, element: u32) -> u32 {
        u32::from(self.bindings[element as usize].rule)
    }

    /// An element's labels: its agent's and its series'. Where both have a name, the series' is `exported_…`; where a
    /// check measures it, `service` and `component` are the series'.
    ///
    /// # Panics
    /// With a number that is no element's.
    #[must_use]
    pub fn labels(&self, element: u32) -> Labels {
        joined(&self.agent, &self.labels[element as usize])
    }

    /// What was told of an element last.
    ///
    /// # Panics
    /// With a number that is no element's.
    #[must_use]
    pub fn told(&self, element: u32) -> Option<Level> {
        let told = self.bindings[element as usize].told;
        if told == SETTLED {
            return Some(Level::Clear);
        }
        [Level::Clear, Level::Between, Level::Warning, Level::Critical]
            .into_iter()
            .find(|level| mark(*level) == told)
    }

    /// Forgets what was told: the next value of each element is told, whatever it is.
    pub fn tell_all(&mut self) {
        for binding in &mut self.bindings {
            binding.told = UNTOLD;
        }
    }

    /// There may be lives from before a restart, that this program knows nothing of: what is clear is told as if it had
    /// not been until now.
    pub fn unsettle(&mut self) {
        self.unsettled_ms = self.bindings.iter().map(|binding| settling_ms(self.rule_of(binding))).collect();
    }

    /// Goes on where an earlier program of the same agent was, after its layout, its labels or the rules changed:
    /// windows and totals stay filled, and what was not settled is not, nor is what the earlier one did not have under
    /// the same rule: it may have been there before. What was told is told again.
    pub fn go_on_from(&mut self, old: &Self) {
        let before: HashMap<_, _> = old.named().zip(&old.unsettled_ms).collect();
        let was_asked = |binding: &Binding| {
            let number = u32::from(binding.rule);
            let known = old.rules.number(&self.rule_of(binding).name);
            known.is_some_and(|known| old.rules.fingerprint(known) == self.rules.fingerprint(number))
        };
        let same = self.rules.version() == old.rules.version();
        let left_ms = self.named().zip(&self.bindings).map(|(name, binding)| match before.get(&name) {
            Some(0) => 0,
            Some(left_ms) if same => **left_ms,
            None if !was_asked(binding) => 0,
            _ => settling_ms(self.rule_of(binding)),
        });
        self.unsettled_ms = left_ms.collect();
        for (new, old_place) in self.places_in(old, |binding| binding.window) {
            self.windows[new as usize].go_on_from(&old.windows[old_place as usize]);
        }
        for (new, old_place) in self.places_in(old, |binding| binding.total) {
            self.totals[new as usize] = old.totals[old_place as usize];
        }
    }

    fn rule_of(&self, binding: &Binding) -> &Rule {
        &self.rules.0.rules[usize::from(binding.rule)]
    }

    /// Each element's rule and its series' labels, in their order.
    fn named(&self) -> impl Iterator<Item = (&str, &Labels)> {
        self.bindings.iter().map(|binding| &*self.rule_of(binding).name).zip(&self.labels)
    }

    /// The places of windows or totals that an element has here and had there: the same question about the same series.
    fn places_in(&self, old: &Self, place: impl Fn(&Binding) -> u32) -> Vec<(u32, u32)> {
        let all = |of: &'_ Self| -> Vec<(u64, u32, u32)> {
            let placed = (0_u32..).zip(&of.bindings).filter(|(_, binding)| place(binding) != NONE);
            placed
                .map(|(e, binding)| (of.rules.fingerprint(u32::from(binding.rule)), e, place(binding)))
                .collect()
        };
        let before: HashMap<(u64, &Labels), u32> =
            all(old).into_iter().map(|(print, e, place)| ((print, &old.labels[e as usize]), place)).collect();
        let both = all(self).into_iter();
        both.filter_map(|(print, e, new)| Some((new, *before.get(&(print, &self.labels[e as usize]))?)))
            .collect()
    }
}

/// For how long a value that is not clear is to be clear until nothing is left of it: the alert is over when it was
/// well for `keep_firing_for`, and steady when that end has left the window of flapping. Never 0, which is settled.
fn settling_ms(rule: &Rule) -> u64 {
    let flap_ms = if rule.flap.changes > 0 { rule.flap.within_ms } else { 0 };
    rule.keep_firing_for_ms.saturating_add(flap_ms).max(1)
}

/// One byte for a level.
const fn mark(level: Level) -> u8 {
    match level {
        Level::Clear => 1,
        Level::Between => 2,
        Level::Warning => 3,
        Level::Critical => 4,
    }
}

/// The labels of an agent and of one of its series; where both have a name, the series' becomes another. But what a check measures is of the service and
/// component that its status is of, whatever the agent calls itself.
#[must_use]
pub fn joined(agent: &Labels, series: &Labels) -> Labels {
    const PLACE: [&str; 2] = ["service", "component"];
    let is_of_component = PLACE.iter().all(|name| series.get(name).is_some());
    let is_own = |name: &str| is_of_component && PLACE.contains(&name);
    let own = series.iter().map(|(name, value)| {
        let taken = !is_own(name) && agent.get(name).is_some();
        (if taken { Arc::from(format!("exported_{name}")) } else { Arc::clone(name) }, Arc::clone(value))
    });
    let agent = agent.iter().filter(|(name, _)| !is_own(name));
    own.chain(agent.map(|(name, value)| (Arc::clone(name), Arc::clone(value)))).collect()
}

/// What is needed only while a program is built.
struct Building<'b> {
    rules: &'b Compiled,
    sources: &'b [SourceShape],
    /// Series that may be totals.
    known: HashSet<(&'b str, &'b Labels)>,
    /// Totals that are asked for, by name and labels.
    totals: HashMap<(&'b str, &'b Labels), u32>,
    /// Series that some rule's name was met with.
    seen: HashSet<(&'b str, &'b Labels)>,
}

impl<'b> Building<'b> {
    fn new(rules: &'b Compiled, sources: &'b [SourceShape]) -> Self {
        let of = |rule: &'b Arc<Rule>| match &rule.subject {
            Subject::Metric { of, .. } => of.as_deref(),
            _ => None,
        };
        let names: HashSet<&str> = rules.rules.iter().filter_map(of).collect();
        let series = sources.iter().flat_map(|source| &source.series);
        let known = series.filter(|(name, _)| names.contains(&**name)).map(|(name, own)| (&**name, own));
        Self { rules, sources, known: known.collect(), totals: HashMap::new(), seen: HashSet::new() }
    }

    fn bind(
        &mut self,
        program: &mut Program,
        interval_ms: u64,
        column: u32,
        (name, labels): (&'b str, &'b Labels),
    ) {
        let Some(numbers) = self.rules.by_metric.get(name) else { return };
        if !self.seen.insert((name, labels)) {
            return;
        }
        let all = joined(&program.agent, labels);
        for number in numbers {
            let rule = &self.rules.rules[*number as usize];
            if !Matcher::all(&rule.matchers, &all) {
                continue;
            }
            let Some(total) = self.total(rule, labels) else { continue };
            let window = rule.reduce.map_or(NONE, |reduction| {
                program.windows.push(Window::new(reduction.how, reduction.over_ms, interval_ms));
                program.windows.len() as u32 - 1
            });
            // No set has more rules than 16 bits can number.
            program.bindings.push(Binding { column, window, total, rule: *number as u16, told: UNTOLD });
            program.labels.push(labels.clone());
            program.unsettled_ms.push(0);
        }
    }

    /// The total that a rule wants of a series, or that it wants none; `None` where there is no such series, so that
    /// there is nothing to look at.
    fn total(&mut self, rule: &'b Rule, labels: &'b Labels) -> Option<u32> {
        let Subject::Metric { of: Some(of), .. } = &rule.subject else { return Some(NONE) };
        if !self.known.contains(&(&**of, labels)) {
            return None;
        }
        let next = self.totals.len() as u32;
        Some(*self.totals.entry((of, labels)).or_insert(next))
    }

    /// Writes down where the totals come from.
    fn feed(self, program: &mut Program) {
        program.totals = vec![f64::NAN; self.totals.len()];
        let mut wanted = self.totals;
        for (shape, source) in self.sources.iter().zip(&mut program.sources) {
            let first = program.feeds.len();
            for (column, (name, labels)) in (0_u32..).zip(&shape.series) {
                if let Some(total) = wanted.remove(&(&**name, labels)) {
                    program.feeds.push(Feed { column, total });
                }
            }
            source.feeds = first..program.feeds.len();
        }
    }
}

#[cfg(test)]
mod tests;
