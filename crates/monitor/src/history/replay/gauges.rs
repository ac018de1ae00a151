//! Stored samples on their way to the rules: some agents at a time, and of each only what is not well is held. Decides
//! how many agents are asked at once.

use super::super::{HistoryError, Past, Query, SeriesPoints, of_agents};
use super::course::Course;
use super::{Fineness, Known, Side, names};
use crate::store::AgentKey;
use farol_rules::{Labels, Meter, Observation, Ruleset};
use farol_series::Reduce;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// So many agents are asked at first; fewer where they have too many series.
const AGENTS_AT_FIRST: usize = 256;
/// Observations that are held of one piece.
const SEEN_AT_MOST: usize = 5_000_000;
/// How often an agent reports of which that is not known.
const INTERVAL_MS: u64 = 10_000;

/// All agents' series, and what each set of rules makes of them.
pub(super) struct Gauges {
    /// The sets of rules.
    rules: Vec<Ruleset>,
    /// Series that any of them looks at.
    names: BTreeSet<Arc<str>>,
    agents: Vec<(Arc<str>, Vec<AgentKey>)>,
    /// How many agents are asked at once.
    at_once: usize,
    /// Of each agent, a meter for each set.
    meters: HashMap<Arc<str>, Vec<Meter>>,
}

/// What a piece of the past holds.
#[derive(Default)]
pub(super) struct Read {
    /// When, by which set's rules, what.
    pub(super) seen: Vec<(i64, usize, Vec<Observation>)>,
    pub(super) samples: u64,
}

/// Series of one agent, each by its name and own labels.
type OfAgent = BTreeMap<(Arc<str>, Labels), Vec<(i64, f64)>>;

impl Gauges {
    pub(super) fn new(sides: &[Side], agents: Vec<(Arc<str>, Vec<AgentKey>)>) -> Self {
        Self {
            rules: sides.iter().map(|side| side.orders.rules.clone()).collect(),
            names: names(sides),
            agents,
            at_once: AGENTS_AT_FIRST,
            meters: HashMap::new(),
        }
    }

    /// How many agents had a series that a rule looks at.
    pub(super) fn agents(&self) -> usize {
        self.meters.len()
    }

    /// Reads a piece of all agents' past.
    pub(super) async fn read(
        &mut self,
        past: Past<'_>,
        known: &Known,
        course: &Course,
        fineness: &Fineness,
        times: (i64, i64),
    ) -> Result<Read, HistoryError> {
        let (mut read, mut next) = (Read::default(), 0);
        if self.names.is_empty() {
            return Ok(read);
        }
        while next < self.agents.len() {
            let some = &self.agents[next..self.agents.len().min(next + self.at_once)];
            match self.some(past, some, fineness, times).await {
                Err(HistoryError::TooManySeries { .. } | HistoryError::TooMuch(_)) if some.len() > 1 => {
                    self.at_once = some.len() / 2;
                    continue;
                }
                found => {
                    next += some.len();
                    self.take(found?, known, course, fineness, &mut read)?;
                }
            }
        }
        Ok(read)
    }

    /// The points of some agents.
    async fn some(
        &self,
        past: Past<'_>,
        some: &[(Arc<str>, Vec<AgentKey>)],
        fineness: &Fineness,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<BTreeMap<Arc<str>, OfAgent>, HistoryError> {
        let mut found: BTreeMap<Arc<str>, OfAgent> = BTreeMap::new();
        for name in &self.names {
            let query = Query {
                agent: None,
                metric: name.to_string(),
                labels: BTreeMap::new(),
                from_ms,
                to_ms,
                step_ms: fineness.step_ms,
                reduce: if fineness.at_end { Reduce::Avg } else { Reduce::Last },
            };
            for series in of_agents(past, &query, some).await? {
                let SeriesPoints { agent, labels, points, .. } = series;
                let labels: Labels = labels
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                    .collect();
                let late_ms = if fineness.at_end { fineness.step_ms } else { 0 };
                let values = points.iter().filter_map(|point| Some((point.t + late_ms, point.value?)));
                let of_agent = found.entry(agent).or_default();
                of_agent.entry((Arc::clone(name), labels)).or_default().extend(values);
            }
        }
        Ok(found)
    }

    /// Lets the rules look at the points of some agents.
    fn take(
        &mut self,
        found: BTreeMap<Arc<str>, OfAgent>,
        known: &Known,
        course: &Course,
        fineness: &Fineness,
        read: &mut Read,
    ) -> Result<(), HistoryError> {
        for (agent, series) in found {
            let series = series.into_iter();
            let series: OfAgent =
                series.map(|((name, own), values)| ((name, known.in_scope(&agent, own)), values)).collect();
            let step_ms = u64::try_from(fineness.step_ms).unwrap_or(0);
            let interval_ms = known.interval_ms(&agent).unwrap_or(INTERVAL_MS).max(step_ms);
            self.make(&agent, &series, known, interval_ms);
            let Some(meters) = self.meters.get_mut(&agent) else { continue };
            let mut moments: BTreeMap<i64, Vec<(usize, f64)>> = BTreeMap::new();
            let places: HashMap<&(Arc<str>, Labels), usize> =
                meters.first().into_iter().flat_map(Meter::series).zip(0..).collect();
            for (id, values) in &series {
                let Some(place) = places.get(id) else { continue };
                read.samples += values.len() as u64;
                for (at_ms, value) in values {
                    moments.entry(*at_ms).or_default().push((*place, *value));
                }
            }
            drop(places);
            for (at_ms, values) in moments {
                let now = course.at(at_ms);
                for (side, meter) in meters.iter_mut().enumerate() {
                    let seen = meter.values(now, &values, interval_ms);
                    if !seen.is_empty() {
                        read.seen.push((at_ms, side, seen));
                    }
                }
            }
            if read.seen.len() > SEEN_AT_MOST {
                return Err(HistoryError::TooMuch(
                    "more than 5 000 000 values within hours are bad; look at the rules' thresholds",
                ));
            }
        }
        Ok(())
    }

    /// Sees to it that an agent's meters know all of these series.
    fn make(&mut self, agent: &Arc<str>, series: &OfAgent, known: &Known, interval_ms: u64) {
        let before = self.meters.get(agent);
        let had: BTreeSet<&(Arc<str>, Labels)> =
            before.and_then(|meters| meters.first()).into_iter().flat_map(Meter::series).collect();
        if before.is_some() && series.keys().all(|id| had.contains(id)) {
            return;
        }
        let mut all: BTreeSet<(Arc<str>, Labels)> = had.into_iter().cloned().collect();
        all.extend(series.keys().cloned());
        let all: Vec<_> = all.into_iter().collect();
        let labels = known.labels(agent);
        let made = self.rules.iter().enumerate().map(|(side, rules)| {
            let mut meter = Meter::new(rules, &labels, all.clone(), interval_ms);
            if let Some(old) = before.and_then(|meters| meters.get(side)) {
                meter.go_on_from(old);
            }
            meter
        });
        let made = made.collect();
        self.meters.insert(Arc::clone(agent), made);
    }
}
