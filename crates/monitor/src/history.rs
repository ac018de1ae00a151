//! What was measured: a range of samples out of memory, blocks and roll-ups, reduced to steps. Decides where each part
//! of an answer comes from and how much one answer may hold; what is stored is the store's business.
//!
//! Each sample counts once, wherever it stands: what memory has is asked there first, then the journal where memory
//! says so, then blocks; what moves on in between is met twice, and of two samples of one time one counts. Before the
//! time from which on blocks of samples are kept there are only roll-ups.

pub(crate) mod decode;
mod found;
mod reading;
pub mod replay;

use crate::recent::Recent;
use crate::store::{
    AgentKey, Blocks, Cuts, DAY_MS, KnownAgent, Layout, Level, Store, StoreError, StoredBlock, StoredReport,
};
use farol_series::{MAX_POINTS, Point, RangeError, Reduce};
use farol_wire::SeriesType;
use reading::Reading;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Series in one answer.
pub const SERIES_AT_MOST: usize = 1_000;
/// Points in one answer, all series together.
pub const POINTS_AT_MOST: usize = 2_000_000;
/// Samples that are read for one answer, those that are left out in the end included.
pub const SAMPLES_AT_MOST: usize = 50_000_000;
/// A source ticks before its report, and a rate leans on the sample before: so much more is read on both sides.
pub(crate) const MARGIN_MS: i64 = 300_000;
/// Agents whose samples are held at once: of a day so many, of shorter times more.
const AGENTS_AT_ONCE: std::ops::RangeInclusive<usize> = 16..=128;
/// A question is answered within, or refused: what it reads is somebody else's work that waits.
pub const WITHIN: Duration = Duration::from_secs(15);
/// Bytes of blocks and reports that are read for one answer.
pub const BYTES_AT_MOST: usize = 1 << 30;

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

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// In the order of agents, then of labels; agents that have no such series are left out.
    pub series: Vec<SeriesPoints>,
    /// How fine it is from when on, in order of time.
    pub resolution: Vec<(i64, Level)>,
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
    /// It takes too long.
    #[error(
        "no answer within {} s: too much lies in this time; ask for a shorter one, or for one agent",
        WITHIN.as_secs()
    )]
    TooLong,
    /// Too many points or samples at once.
    #[error("{0}")]
    TooMuch(&'static str),
    /// The samples themselves are needed, and are gone.
    #[error(
        "{reduce} needs the samples themselves, and these are kept from {} on; ask for that time, or for avg, max or min",
        jiff::Timestamp::from_millisecond(*raw_from_ms).unwrap_or_default()
    )]
    NeedsSamples {
        /// What was asked for.
        reduce: Reduce,
        /// From when on there are samples, unix milliseconds.
        raw_from_ms: i64,
    },
    /// The store did not answer.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
}

/// Where the past is kept.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    /// All of it.
    pub store: &'a dyn Store,
    /// What memory has of it; without it everything is asked of the store.
    pub recent: Option<&'a Recent>,
}

/// Answers a question.
///
/// # Errors
/// When the range is refused, when too much matches, when it takes too long, or when the store cannot be read.
pub async fn query(past: Past<'_>, query: &Query) -> Result<Answer, HistoryError> {
    // Whatever takes long lets others have their turn in between: the end of the time is seen then.
    timeout(WITHIN, answer(past, query)).await.unwrap_or(Err(HistoryError::TooLong))
}

async fn answer(past: Past<'_>, query: &Query) -> Result<Answer, HistoryError> {
    let steps = farol_series::steps(query.from_ms, query.to_ms, query.step_ms)?;
    debug_assert!(steps <= MAX_POINTS, "steps() holds its own bound");
    let cuts = past.store.cuts();
    let raw_from_ms = cuts.of(Level::Raw);
    if query.reduce.needs_samples() && query.from_ms < raw_from_ms {
        return Err(HistoryError::NeedsSamples { reduce: query.reduce, raw_from_ms });
    }
    let agents = past.agents(query.agent.as_deref()).await?;
    let mut reading = Reading::new(query, steps, raw_from_ms);
    let mut series = Vec::new();
    for some in by_id(agents).chunks(agents_at_once(query)) {
        series.append(&mut past.series(query, some, &mut reading).await?);
    }
    Ok(Answer { series, resolution: resolution(cuts, query.from_ms, query.to_ms) })
}

/// The same of a few agents, however long it takes. They must be so few that all they have fits into one answer.
pub(crate) async fn of_agents(
    past: Past<'_>,
    query: &Query,
    agents: &[(Arc<str>, Vec<AgentKey>)],
) -> Result<Vec<SeriesPoints>, HistoryError> {
    let steps = farol_series::steps(query.from_ms, query.to_ms, query.step_ms)?;
    let mut reading = Reading::new(query, steps, past.store.cuts().of(Level::Raw));
    past.series(query, agents, &mut reading).await
}

impl Past<'_> {
    /// The agents asked for, forgotten ones included.
    async fn agents(&self, id: Option<&str>) -> Result<Vec<KnownAgent>, StoreError> {
        let known =
            self.recent.and_then(|recent| id.map_or_else(|| recent.everyone(), |id| recent.named(id)));
        if let Some(known) = known {
            return Ok(known);
        }
        let round = self.recent.map(Recent::names_round);
        let all = self.store.agents().await?;
        if let (Some(recent), Some(round)) = (self.recent, round) {
            recent.learn_names(&all, round);
        }
        Ok(all.into_iter().filter(|agent| id.is_none_or(|id| *id == *agent.id)).collect())
    }

    /// The series of some agents.
    async fn series(
        &self,
        query: &Query,
        agents: &[(Arc<str>, Vec<AgentKey>)],
        reading: &mut Reading<'_>,
    ) -> Result<Vec<SeriesPoints>, HistoryError> {
        reading.begin(agents);
        let keys: Vec<AgentKey> = agents.iter().flat_map(|(_, keys)| keys).copied().collect();
        self.samples(query, &keys, reading).await?;
        let cuts = self.store.cuts();
        let (raw_from_ms, five_from_ms) = (cuts.of(Level::Raw), cuts.of(Level::FiveMinutes));
        for (level, from_ms, to_ms) in [
            (Level::FiveMinutes, five_from_ms, raw_from_ms),
            (Level::OneHour, cuts.of(Level::OneHour), five_from_ms),
        ] {
            self.roll_ups(query, &keys, level, (from_ms, to_ms), reading).await?;
        }
        reading.finish().await
    }

    /// Reads samples: memory, then the journal where memory does not have it, then blocks.
    async fn samples(
        &self,
        query: &Query,
        keys: &[AgentKey],
        reading: &mut Reading<'_>,
    ) -> Result<(), HistoryError> {
        let (from_ms, to_ms) =
            (query.from_ms.saturating_sub(MARGIN_MS), query.to_ms.saturating_add(MARGIN_MS));
        let (mut of_journal, mut of_blocks, mut blocks_to_ms) = (Vec::new(), Vec::new(), i64::MIN);
        for key in keys {
            let Some(recent) = self.recent else {
                of_journal.push(*key);
                of_blocks.push(*key);
                blocks_to_ms = to_ms;
                continue;
            };
            let taken = recent.of(*key, from_ms, to_ms, |layout| reading.is_wanted(layout));
            reading.memory(*key, &taken)?;
            reading.turn().await;
            // What the journal has may be sealed before it is asked.
            let is_whole = |_: &i64| !taken.is_in_journal;
            let covers_ms = taken.covers_from_ms.filter(is_whole).unwrap_or(i64::MAX);
            of_journal.extend(taken.is_in_journal.then_some(*key));
            if covers_ms > from_ms {
                of_blocks.push(*key);
                blocks_to_ms = blocks_to_ms.max(to_ms.min(covers_ms));
            }
        }
        if !of_journal.is_empty() {
            let mut visit = |stored: StoredReport| reading.report(&stored);
            self.store.reports(&of_journal, from_ms, to_ms, &mut visit).await?;
        }
        if !of_blocks.is_empty() {
            let mut visit = Samples(reading);
            self.store.blocks(&of_blocks, from_ms, blocks_to_ms, Level::Raw, &mut visit).await?;
        }
        reading.so_far()
    }

    /// Reads roll-ups for the time in which they are the finest there is.
    async fn roll_ups(
        &self,
        query: &Query,
        keys: &[AgentKey],
        level: Level,
        (kept_from_ms, kept_to_ms): (i64, i64),
        reading: &mut Reading<'_>,
    ) -> Result<(), HistoryError> {
        // A rate leans on the bucket before.
        let before_ms = if level == Level::OneHour { 3 * 3_600_000 } else { 3 * MARGIN_MS };
        let from_ms = query.from_ms.saturating_sub(before_ms).max(kept_from_ms);
        let to_ms = query.to_ms.min(kept_to_ms);
        if from_ms >= to_ms {
            return Ok(());
        }
        let mut visit = RollUps { reading, level, times: (from_ms, to_ms) };
        self.store.blocks(keys, from_ms, to_ms, level, &mut visit).await?;
        reading.so_far()
    }
}

/// Takes in blocks of samples.
struct Samples<'r, 'q>(&'r mut Reading<'q>);

impl Blocks for Samples<'_, '_> {
    fn wants(&mut self, layout: &Layout) -> bool {
        self.0.wants(layout)
    }

    fn take(&mut self, block: StoredBlock) -> ControlFlow<()> {
        self.0.block(&block)
    }
}

/// Takes in roll-ups.
struct RollUps<'r, 'q> {
    reading: &'r mut Reading<'q>,
    level: Level,
    times: (i64, i64),
}

impl Blocks for RollUps<'_, '_> {
    fn wants(&mut self, layout: &Layout) -> bool {
        self.reading.wants(layout)
    }

    fn take(&mut self, block: StoredBlock) -> ControlFlow<()> {
        self.reading.roll_up(&block, self.level, self.times)
    }
}

/// How many agents are asked together.
fn agents_at_once(query: &Query) -> usize {
    let (least, most) = (*AGENTS_AT_ONCE.start(), *AGENTS_AT_ONCE.end());
    let ranges_a_day = DAY_MS / query.to_ms.saturating_sub(query.from_ms).clamp(1, DAY_MS);
    usize::try_from(ranges_a_day).map_or(most, |ranges| least.saturating_mul(ranges).min(most))
}

/// Agents by id, in order, with all their keys.
fn by_id(agents: Vec<KnownAgent>) -> Vec<(Arc<str>, Vec<AgentKey>)> {
    let mut all: BTreeMap<Arc<str>, Vec<AgentKey>> = BTreeMap::new();
    for agent in agents {
        all.entry(agent.id).or_default().push(agent.key);
    }
    all.into_iter().collect()
}

/// How fine it is from when on in this time.
fn resolution(cuts: Cuts, from_ms: i64, to_ms: i64) -> Vec<(i64, Level)> {
    let parts = [
        (i64::MIN, Level::OneHour),
        (cuts.of(Level::FiveMinutes), Level::FiveMinutes),
        (cuts.of(Level::Raw), Level::Raw),
    ];
    let ends = parts.iter().skip(1).map(|(from_ms, _)| *from_ms).chain([i64::MAX]);
    let in_range = parts
        .iter()
        .zip(ends)
        .map(|((begin_ms, level), end_ms)| (from_ms.max(*begin_ms), to_ms.min(end_ms), *level));
    in_range
        .filter(|(from_ms, to_ms, _)| from_ms < to_ms)
        .map(|(from_ms, _, level)| (from_ms, level))
        .collect()
}
