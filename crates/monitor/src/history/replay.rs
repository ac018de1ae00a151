//! What rules would have told of the stored past. Reads it a piece at a time, in order, and tells it to as many sets of
//! rules as are asked about. Decides how fine the past is told; what follows from it is decided where it is live.

mod course;
mod gauges;
mod picture;

pub use picture::{Known, Picture};

use super::{HistoryError, Past, by_id, resolution};
use crate::alerting::Plan;
use crate::alerting::blind_for;
use crate::config;
use crate::store::{ComponentFilter, Level, StatusChange, Store, StoreError};
use course::Course;
use farol_health::aggregate::Policy;
use farol_rules::{Meter, Moment, Observation, Orders, Replay, Told, Window};
use gauges::Gauges;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Notices of one set of rules: over it the rules are wrong, or the time is too long.
pub const TOLD_AT_MOST: usize = 100_000;
/// A piece that holds too much is cut down to this at least.
const PIECE_AT_LEAST_MS: i64 = 60_000;

/// Rules, and who is told.
pub struct Side {
    /// What the book goes by.
    pub orders: Orders,
    /// Maintenance of the configuration.
    pub windows: Vec<Window>,
}

/// Rules that make no sense together; says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SideError(String);

impl Side {
    /// What a monitor makes of this: `needs` is which services each service needs.
    ///
    /// # Errors
    /// What makes no sense.
    pub fn new(
        settings: &config::Alerting,
        needs: &BTreeMap<Arc<str>, Vec<Arc<str>>>,
    ) -> Result<Self, SideError> {
        let plan = Plan::new(settings, needs, None).map_err(|error| SideError(error.to_string()))?;
        let (orders, windows) = plan.into_orders();
        Ok(Self { orders, windows })
    }
}

/// Which past.
#[derive(Clone, Debug)]
pub struct Span {
    /// From here, unix milliseconds.
    pub from_ms: i64,
    /// Up to here.
    pub to_ms: i64,
    /// Declared services, and how many instances each needs.
    pub services: BTreeMap<String, Policy>,
    /// Groups of them.
    pub groups: BTreeMap<String, BTreeSet<String>>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Retold {
    /// What each set of rules would have told, in order of time.
    pub told: Vec<Vec<Told>>,
    /// How fine samples were from when on.
    pub resolution: Vec<(i64, Level)>,
    /// Status changes that were told to the rules.
    pub changes: u64,
    /// Samples that were.
    pub samples: u64,
    /// Alerts that fire at the end, of each set.
    pub firing: Vec<usize>,
    /// Agents of which anything was looked at.
    pub agents: usize,
}

/// Tells a past to these sets of rules. `seen` hears how much of the time is behind, from 0 to 1.
///
/// # Errors
/// The store cannot be read, or more is told than anybody could read.
pub async fn retell(
    store: &dyn Store,
    span: &Span,
    sides: &[Side],
    seen: &mut (dyn FnMut(f64) + Send),
) -> Result<Retold, HistoryError> {
    let restored = store.restore().await?;
    let known = Known::of(&restored);
    let agents = by_id(store.agents().await?);
    let course = Course::new(span.from_ms, store.blind(span.from_ms, span.to_ms).await?);
    let past = Past { store, recent: None };
    let mut telling = Telling {
        past,
        gauges: Gauges::new(sides, agents),
        picture: Picture::new(known.clone(), &span.services, &span.groups),
        replays: sides
            .iter()
            .map(|side| Replay::new(side.orders.clone(), &side.windows, course.at(span.from_ms)))
            .collect(),
        known,
        course,
        retold: Retold { told: vec![Vec::new(); sides.len()], ..Retold::default() },
    };
    telling.retold.resolution = resolution(store.cuts(), span.from_ms, span.to_ms);
    let mut from_ms = span.from_ms;
    let mut is_first = true;
    while from_ms < span.to_ms {
        let whole = (span.to_ms - span.from_ms) as f64;
        seen((from_ms - span.from_ms) as f64 / whole);
        from_ms = telling.piece(from_ms, span.to_ms, is_first).await?;
        is_first = false;
    }
    Ok(telling.finish(span.to_ms))
}

/// The store from its beginning to its end.
struct Telling<'a> {
    past: Past<'a>,
    gauges: Gauges,
    picture: Picture,
    known: Known,
    course: Course,
    replays: Vec<Replay>,
    retold: Retold,
}

/// What is told to all sets of rules, or to one of them, and when.
struct Line {
    at_ms: i64,
    /// The number of the set; `None` is all.
    to: Option<usize>,
    /// The monitor did not run in this time, which ends now.
    blind: Option<(i64, i64)>,
    seen: Vec<Observation>,
}

impl Line {
    fn to_all(at_ms: i64, seen: Vec<Observation>) -> Self {
        Self { at_ms, to: None, blind: None, seen }
    }
}

impl Telling<'_> {
    /// Tells a piece of the past, and says where it ends.
    async fn piece(&mut self, from_ms: i64, to_ms: i64, is_first: bool) -> Result<i64, HistoryError> {
        let fineness = Fineness::at(&self.retold.resolution, from_ms);
        let mut end_ms = fineness.end(from_ms, to_ms, &self.retold.resolution);
        let changes = loop {
            match self.past.store.status_changes(ComponentFilter::default(), from_ms, end_ms).await {
                Err(StoreError::TooMuch(_)) if end_ms - from_ms > PIECE_AT_LEAST_MS => {
                    end_ms = from_ms + (end_ms - from_ms) / 2;
                }
                read => break read?,
            }
        };
        let blind = self.course.ends(from_ms, end_ms);
        let mut lines: Vec<Line> =
            blind.map(|blind| Line { blind: Some(blind), ..Line::to_all(blind.1, Vec::new()) }).collect();
        lines.extend(self.changed(&changes, (from_ms, end_ms), is_first));
        drop(changes);
        let read =
            self.gauges.read(self.past, &self.known, &self.course, &fineness, (from_ms, end_ms)).await?;
        self.retold.samples += read.samples;
        let of_side = |(at_ms, side, seen)| Line { to: Some(side), ..Line::to_all(at_ms, seen) };
        lines.extend(read.seen.into_iter().map(of_side));
        lines.sort_by_key(|line| line.at_ms);
        for line in lines {
            self.tell(&line)?;
        }
        Ok(end_ms)
    }

    /// Lines of what changed in this time; in the first piece also of what was so when it began.
    fn changed(
        &mut self,
        changes: &[StatusChange],
        (from_ms, to_ms): (i64, i64),
        is_first: bool,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        let (before, during): (Vec<_>, Vec<_>) =
            changes.iter().filter(|change| change.at_ms < to_ms).cloned().partition(|c| c.at_ms < from_ms);
        let mut add = |changes: &[StatusChange], at_ms| {
            self.retold.changes += changes.len() as u64;
            let seen = self.picture.change(changes);
            lines.push(Line::to_all(at_ms, seen));
        };
        if is_first {
            // The last word on each.
            let last: BTreeMap<_, _> = before.iter().map(|change| (&change.key, change)).collect();
            let last: Vec<_> = last.into_values().filter(|change| change.status.is_some()).cloned().collect();
            add(&last, from_ms);
        }
        for moment in during.chunk_by(|a, b| a.at_ms == b.at_ms) {
            add(moment, moment.first().map_or(from_ms, |change| change.at_ms));
        }
        lines
    }

    fn tell(&mut self, line: &Line) -> Result<(), HistoryError> {
        let now = self.course.at(line.at_ms);
        for (side, replay) in self.replays.iter_mut().enumerate() {
            if line.to.is_some_and(|to| to != side) {
                continue;
            }
            let told = &mut self.retold.told[side];
            if let Some((from_ms, to_ms)) = line.blind {
                // It did not run: the rules stood still, and are told so.
                let wall_ms = from_ms.max(replay.now().wall_ms);
                told.extend(replay.pass(Moment { wall_ms, ..now }));
                told.extend(replay.observe(now, blind_for(to_ms - from_ms).as_slice()));
            }
            told.extend(replay.observe(now, &line.seen));
            if told.len() > TOLD_AT_MOST {
                return Err(HistoryError::TooMuch(
                    "more than 100 000 notices would have been sent; ask for a shorter time, or look at the rules",
                ));
            }
        }
        Ok(())
    }

    fn finish(mut self, to_ms: i64) -> Retold {
        let end = self.course.at(to_ms);
        for (replay, told) in self.replays.iter_mut().zip(&mut self.retold.told) {
            told.extend(replay.pass(end));
        }
        self.retold.firing = self.replays.iter().map(|replay| replay.book().firing()).collect();
        self.retold.agents = self.gauges.agents();
        self.retold
    }
}

/// How fine samples are at a time.
struct Fineness {
    /// A step of the question.
    step_ms: i64,
    /// How much is read at once.
    piece_ms: i64,
    /// Values are of the past step: known at its end.
    at_end: bool,
}

impl Fineness {
    fn at(resolution: &[(i64, Level)], at_ms: i64) -> Self {
        let level = resolution.iter().rev().find(|(from_ms, _)| *from_ms <= at_ms).map(|(_, level)| *level);
        let (step, piece, at_end) = match level {
            Some(Level::Raw) | None => (1, 30 * 60, false),
            Some(Level::FiveMinutes) => (300, 12 * 3_600, true),
            Some(Level::OneHour) => (3_600, 7 * 86_400, true),
        };
        Self { step_ms: step * 1_000, piece_ms: piece * 1_000, at_end }
    }

    /// Where a piece that begins here ends: it is of one fineness.
    fn end(&self, from_ms: i64, to_ms: i64, resolution: &[(i64, Level)]) -> i64 {
        let next = resolution.iter().map(|(begin_ms, _)| *begin_ms).find(|begin_ms| *begin_ms > from_ms);
        to_ms.min(from_ms + self.piece_ms).min(next.unwrap_or(i64::MAX))
    }
}

/// The names of all series that any of these rules look at.
fn names(sides: &[Side]) -> BTreeSet<Arc<str>> {
    sides.iter().flat_map(|side| Meter::names(&side.orders.rules)).collect()
}

#[cfg(test)]
mod tests;
