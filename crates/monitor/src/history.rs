//! What was measured: a range of samples out of the journal, reduced to steps. Decides which series answer a question
//! and how much one answer may hold; what is stored is the store's business.

mod decode;
mod fold;

use crate::store::{AgentKey, KnownAgent, Store, StoreError, StoredReport};
use decode::Decoder;
use farol_series::{MAX_POINTS, Point, RangeError, Reduce};
use farol_wire::{SeriesDef, SeriesType};
use fold::Fold;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Series in one answer.
pub const SERIES_AT_MOST: usize = 1_000;
/// Points in one answer, all series together.
pub const POINTS_AT_MOST: usize = 2_000_000;
/// A source ticks before its report, and a rate leans on the sample before: so much more is read on both sides.
const MARGIN_MS: i64 = 300_000;

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The agent's id; `None` for all.
    pub agent: Option<String>,
    /// The metric's name.
    pub metric: String,
    /// Labels that a series must have with exactly these values; an empty value means that it must not have it. The
    /// series of a check have `service` and `component`.
    pub labels: BTreeMap<String, String>,
    /// From here, unix milliseconds.
    pub from_ms: i64,
    /// Up to, but not at, here.
    pub to_ms: i64,
    /// The length of a step.
    pub step_ms: i64,
    /// What becomes of a step's samples.
    pub reduce: Reduce,
}

/// One series and its points: one per step, also where there was nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPoints {
    /// The agent's id.
    pub agent: Arc<str>,
    /// The metric's name.
    pub metric: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How it moves.
    pub kind: SeriesType,
    /// What it counts; may be empty.
    pub unit: String,
    /// One per step.
    pub points: Vec<Point>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The range makes no sense, or has too many steps.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Too many series match.
    #[error(
        "more than {SERIES_AT_MOST} series of {metric} match; name an agent, or labels such as service and component"
    )]
    TooManySeries {
        /// The metric asked for.
        metric: String,
    },
    /// Too many points or samples at once.
    #[error("{0}")]
    TooMuch(&'static str),
    /// The store did not answer.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
}

/// Answers a question. Series stand in the order of agents, then of labels; agents that have no such series are
/// left out.
///
/// # Errors
/// When the range is refused, when too much matches, or when the store cannot be read.
pub async fn query(store: &dyn Store, query: &Query) -> Result<Vec<SeriesPoints>, HistoryError> {
    let steps = farol_series::steps(query.from_ms, query.to_ms, query.step_ms)?;
    debug_assert!(steps <= MAX_POINTS, "steps() holds its own bound");
    let known = store.agents().await?;
    let known: Vec<KnownAgent> =
        known.into_iter().filter(|a| query.agent.as_ref().is_none_or(|id| **id == *a.id)).collect();
    let keys: Vec<AgentKey> = known.iter().map(|agent| agent.key).collect();
    let mut reading = Reading::new(query, steps, known);
    let mut visit = |stored: StoredReport| reading.take(&stored);
    let (from_ms, to_ms) = (query.from_ms.saturating_sub(MARGIN_MS), query.to_ms.saturating_add(MARGIN_MS));
    store.reports(&keys, from_ms, to_ms, &mut visit).await?;
    reading.finish()
}

/// Which series it is, whatever its id was at the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Identity {
    agent: Arc<str>,
    labels: BTreeMap<String, String>,
}

/// The reading of one answer.
struct Reading<'a> {
    query: &'a Query,
    steps: usize,
    agents: HashMap<AgentKey, Arc<str>>,
    /// The agent whose reports are being read, and its state of decoding.
    now: Option<(AgentKey, Decoder)>,
    /// Where a series' samples go.
    places: BTreeMap<Identity, usize>,
    folds: Vec<Fold>,
    about: Vec<(SeriesType, String)>,
    /// Samples that wait to be reduced.
    waiting: usize,
    error: Option<HistoryError>,
}

/// Samples that wait until they are reduced to steps, and how many a single step may hold.
const WAITING: usize = 1 << 20;
const WAITING_AT_MOST: usize = 8 << 20;

impl<'a> Reading<'a> {
    fn new(query: &'a Query, steps: usize, known: Vec<KnownAgent>) -> Self {
        Self {
            query,
            steps,
            agents: known.into_iter().map(|agent| (agent.key, agent.id)).collect(),
            now: None,
            places: BTreeMap::new(),
            folds: Vec::new(),
            about: Vec::new(),
            waiting: 0,
            error: None,
        }
    }

    fn take(&mut self, stored: &StoredReport) -> ControlFlow<()> {
        match self.read(stored) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn read(&mut self, stored: &StoredReport) -> Result<(), HistoryError> {
        let agent = stored.report.agent;
        let mut decoder = match self.now.take() {
            Some((of, decoder)) if of == agent => decoder,
            _ => Decoder::default(),
        };
        if decoder.begins_segment(&stored.report, &stored.layout) {
            let wanted =
                stored.layout.set.series.iter().enumerate().filter(|(_, series)| self.matches(series));
            let wanted: Vec<(usize, &SeriesDef)> = wanted.collect();
            let mut places = Vec::with_capacity(wanted.len());
            for (position, series) in wanted {
                places.push((position, self.place(agent, series)?));
            }
            decoder.begin(&stored.layout, &places);
        }
        let (folds, waiting) = (&mut self.folds, &mut self.waiting);
        decoder.apply(&stored.report, |place, at_ms, value| {
            *waiting += 1;
            folds[place].add(at_ms, value);
        });
        self.now = Some((agent, decoder));
        if self.waiting >= WAITING {
            let until = stored.report.at_ms.saturating_sub(MARGIN_MS);
            self.waiting = self.folds.iter_mut().map(|fold| fold.reduce_until(self.query, until)).sum();
            if self.waiting >= WAITING_AT_MOST {
                return Err(HistoryError::TooMuch(
                    "a step of this length holds too many samples; ask for fewer series, or shorter steps",
                ));
            }
        }
        Ok(())
    }

    fn matches(&self, series: &SeriesDef) -> bool {
        let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
        series.name == self.query.metric && self.query.labels.iter().all(|(name, value)| label(name) == value)
    }

    /// Where the samples of this series go.
    fn place(&mut self, agent: AgentKey, series: &SeriesDef) -> Result<usize, HistoryError> {
        let id = self.agents.get(&agent).cloned().unwrap_or_else(|| "".into());
        let identity = Identity { agent: id, labels: series.labels.clone() };
        if let Some(place) = self.places.get(&identity) {
            return Ok(*place);
        }
        let place = self.folds.len();
        if place >= SERIES_AT_MOST {
            return Err(HistoryError::TooManySeries { metric: self.query.metric.clone() });
        }
        if (place + 1).saturating_mul(self.steps) > POINTS_AT_MOST {
            return Err(HistoryError::TooMuch(
                "the answer has more than 2 000 000 points; ask for longer steps, a shorter time or fewer series",
            ));
        }
        self.folds.push(Fold::new(self.query.from_ms));
        self.about.push((series.kind, series.unit.clone()));
        self.places.insert(identity, place);
        Ok(place)
    }

    fn finish(self) -> Result<Vec<SeriesPoints>, HistoryError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut folds: Vec<Option<Fold>> = self.folds.into_iter().map(Some).collect();
        let mut about: Vec<Option<(SeriesType, String)>> = self.about.into_iter().map(Some).collect();
        let mut all = Vec::with_capacity(folds.len());
        for (identity, place) in self.places {
            let (Some(fold), Some((kind, unit))) = (folds[place].take(), about[place].take()) else {
                continue;
            };
            let points = fold.finish(self.query);
            if points.iter().any(|point| point.value.is_some()) {
                let Identity { agent, labels } = identity;
                all.push(SeriesPoints {
                    agent,
                    metric: self.query.metric.clone(),
                    labels,
                    kind,
                    unit,
                    points,
                });
            }
        }
        Ok(all)
    }
}
