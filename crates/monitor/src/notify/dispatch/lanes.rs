//! The receivers' queues, each apart from the others. Decides what is kept of a notice that is over and what there is to
//! tell about a receiver; what goes next is decided by its queue.

use super::attempts::{Attempt, Outcome};
use super::flight::Flown;
use crate::journal::Documents;
use crate::notify::ledger::{Due, NoticeRecord, Verdict, no_more_due};
use crate::notify::message::{Message, Why};
use crate::notify::queue::{Entry, Landed, Landing, Queue, Turn};
use crate::notify::receivers::{Failure, Receiver};
use crate::store::DocumentChange;
use farol_health::clock::wall_ms;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::time::Instant;

/// A notice that waited longer before the process began is not given up before an hour of tries.
const WAITED_AT_MOST_MS: i64 = 23 * 3_600_000;
/// With so many words that wait to be told, more on attempts are left out. Of those on a receiver there are a few each, and
/// nobody would say them again.
const TELLINGS_AT_MOST: usize = 20_000;

/// Dead notices made due again that are remembered; the oldest go.
const RESENT_AT_MOST: usize = 1_000;

const QUEUE_FULL: &str = "queue_full: too many notices wait for this receiver";
const REMOVED: &str = "receiver removed: the configuration has none of this name";

/// What a queue carries of a notice.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) message: Arc<Message>,
    /// Under which it is due in the store.
    key: Arc<str>,
    /// The hand-in that records it; 0 if an earlier process saw it committed.
    pub(super) number: u64,
    /// When it was pushed.
    pub(super) handed: Instant,
    /// The hand-in that says that the one before it was sent.
    pub(super) after: u64,
    tries: u32,
    /// Those that failed.
    failed: u32,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
}

impl Load {
    fn record(&self, outcome: Verdict, why: Option<&str>) -> NoticeRecord {
        NoticeRecord {
            message: Message::clone(&self.message),
            outcome,
            why: why.map(str::to_owned),
            attempts: self.tries,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            over_ms: wall_ms(),
            resent_as: None,
        }
    }

    /// It is over, in one hand-in.
    fn over(&self, outcome: Verdict, why: Option<&str>) -> [DocumentChange; 2] {
        [no_more_due(&self.key), self.record(outcome, why).put()]
    }
}

/// A notice that goes now, and to whom.
pub(super) struct Departure {
    pub(super) name: Arc<str>,
    pub(super) conversation: Arc<str>,
    pub(super) receiver: Arc<dyn Receiver>,
    pub(super) load: Load,
}

/// Something to tell, in its order.
pub(super) enum Telling {
    Attempted(Attempt),
    Failing(Arc<str>, Option<String>),
    /// A try failed, and why, after one that did not; or the first one after that which did not fail. For the log.
    Turned(Arc<str>, Option<String>),
    Full(Arc<str>, bool),
}

/// How a receiver does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Notices that wait, those on their way included.
    pub waiting: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Those on their way.
    pub in_flight: usize,
    /// The oldest waits for so long, milliseconds.
    pub oldest_ms: Option<u64>,
    /// Notices taken since the start.
    pub sent: u64,
    /// Tries that failed since the start.
    pub failed: u64,
    /// Notices that died since the start.
    pub dead: u64,
    /// Of those, the ones for which there was no room.
    pub dropped: u64,
    /// When the next one is tried, in so many milliseconds; nothing where those that may be tried are on their way.
    pub next_in_ms: Option<u64>,
    /// Since it failed for a minute, or a notice died: why the last try failed.
    pub failing: Option<String>,
    /// When the last try failed, Unix milliseconds, and why; nothing once it took something.
    pub last_failure: Option<(i64, String)>,
}

/// A notice that waits, for those who ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which notice.
    pub notice_id: String,
    /// To whom.
    pub receiver: Arc<str>,
    /// When it was made, Unix milliseconds.
    pub at_ms: i64,
    /// Tries of it that failed since the process began.
    pub failed: u32,
    /// It is on its way.
    pub in_flight: bool,
    /// When it is tried again, Unix milliseconds; nothing while it is on its way, or behind another of its conversation.
    pub next_ms: Option<i64>,
}

#[derive(Default)]
struct Lane {
    queue: Queue<Load>,
    /// Nothing once it is removed: what is on its way ends.
    receiver: Option<Arc<dyn Receiver>>,
    counts: LaneStats,
    told_full: bool,
}

#[derive(Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Arc<str>, Lane>,
    /// Waits to be told by the sending task.
    tellings: VecDeque<Telling>,
    /// Dead notices that were made due again lately: the store may still say that they are dead.
    resent: VecDeque<String>,
}

impl Lanes {
    /// What is to be committed by it.
    pub(super) fn set_receivers(
        &mut self,
        mut receivers: BTreeMap<Arc<str>, Arc<dyn Receiver>>,
    ) -> Vec<DocumentChange> {
        let mut changes = Vec::new();
        for (name, lane) in &mut self.lanes {
            let Some(receiver) = receivers.remove(name) else {
                lane.receiver = None;
                for entry in lane.queue.take_still() {
                    lane.counts.dead += 1;
                    changes.extend(die(&mut self.tellings, name, &entry.load, REMOVED));
                }
                if lane.counts.failing.take().is_some() {
                    tell(&mut self.tellings, Telling::Failing(Arc::clone(name), None));
                }
                continue;
            };
            // One that is as it was goes on with what it knows: parts that were taken, pauses, open connections.
            let is_same = |before: &Arc<dyn Receiver>| {
                Arc::ptr_eq(before, &receiver)
                    || before.origin().is_some_and(|before| receiver.origin() == Some(before))
            };
            if !lane.receiver.as_ref().is_some_and(is_same) {
                lane.queue.hurry();
                lane.receiver = Some(receiver);
            }
        }
        for (name, receiver) in receivers {
            self.lanes.insert(name, Lane { receiver: Some(receiver), ..Lane::default() });
        }
        changes
    }

    /// What is to be committed by it.
    pub(super) fn push(&mut self, due: Due, number: u64, now_ms: u64) -> Vec<DocumentChange> {
        let waited = if number == 0 { wall_ms().saturating_sub(due.message.at_ms) } else { 0 };
        let load = Load {
            message: Arc::clone(&due.message),
            key: Arc::clone(due.key()),
            number,
            handed: Instant::now(),
            after: 0,
            tries: 0,
            failed: 0,
            first_ms: None,
            last_ms: None,
        };
        let receiver: &str = &due.message.receiver;
        let known = self.lanes.get_key_value(receiver).map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| receiver.into());
        let Some(lane) = self.lanes.get_mut(&name).filter(|lane| lane.receiver.is_some()) else {
            return die(&mut self.tellings, &name, &load, REMOVED).into();
        };
        let gone = lane.queue.push(Entry {
            order: due.order,
            conversation: Arc::clone(&due.group),
            repeat: due.message.why == Why::Repeat,
            weight: due.weight(),
            since_ms: i64::try_from(now_ms).unwrap_or(i64::MAX) - waited.clamp(0, WAITED_AT_MOST_MS),
            load,
        });
        let mut changes = Vec::new();
        for entry in gone {
            lane.counts.dead += 1;
            lane.counts.dropped += 1;
            changes.extend(die(&mut self.tellings, &name, &entry.load, QUEUE_FULL));
        }
        changes
    }

    /// The next notice that goes, and who takes it.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Departure> {
        self.lanes.iter_mut().find_map(|(name, lane)| {
            let receiver = lane.receiver.as_ref()?;
            let entry = lane.queue.next(now_ms)?;
            let (name, receiver) = (Arc::clone(name), Arc::clone(receiver));
            Some(Departure { name, conversation: entry.conversation, receiver, load: entry.load })
        })
    }

    /// A try ended. What is to be committed by it.
    pub(super) fn land(
        &mut self,
        name: &Arc<str>,
        conversation: &str,
        flown: Flown,
        now_ms: u64,
    ) -> Vec<DocumentChange> {
        let Some(lane) = self.lanes.get_mut(name) else { return Vec::new() };
        let Some(load) = lane.queue.first_mut(conversation) else { return Vec::new() };
        load.tries += 1;
        load.failed += u32::from(!matches!(flown.result, Ok(_) | Err(Failure::Partly { .. })));
        load.first_ms.get_or_insert(flown.began_ms);
        load.last_ms = Some(flown.began_ms);
        let load = load.clone();
        let landing = landing(&flown.result, lane.receiver.is_some());
        let failed_before = lane.queue.strain.why().is_some();
        let landed = lane.queue.land(conversation, &landing, now_ms, RandomState::new().hash_one(now_ms));
        let why = lane.queue.strain.why().map(str::to_owned);
        if lane.counts.failing.is_some() && why.is_some() {
            lane.counts.failing.clone_from(&why);
        }
        if failed_before != why.is_some() && lane.receiver.is_some() {
            tell(&mut self.tellings, Telling::Turned(Arc::clone(name), why.clone()));
        }
        lane.counts.last_failure = why.map(|why| (wall_ms(), why));
        let (outcome, changes) = match (flown.result, &landing, landed) {
            (Ok(sent), ..) => {
                lane.counts.sent += 1;
                let changes = load.over(Verdict::Sent, sent.note.as_deref());
                (Outcome::Sent { note: sent.note }, changes.into())
            }
            (Err(failure), landing, Some(Landed::Again(at_ms))) => {
                lane.counts.failed += u64::from(!matches!(landing, Landing::Partly { .. }));
                let in_ms = i64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(i64::MAX);
                let why = failure.why().to_owned();
                let next_ms = wall_ms().saturating_add(in_ms);
                let outcome = match landing {
                    Landing::Partly { .. } => Outcome::Partly { why, next_ms },
                    _ => Outcome::Retry { why, next_ms },
                };
                (outcome, Vec::new())
            }
            (Err(failure), landing, landed) => {
                lane.counts.failed += 1;
                lane.counts.dead += 1;
                let why = why_dead(&failure, landing, landed.as_ref());
                let changes = load.over(Verdict::Dead, Some(&why));
                (Outcome::Dead { why }, changes.into())
            }
        };
        tell(
            &mut self.tellings,
            Telling::Attempted(Attempt {
                number: load.tries,
                failed: load.failed,
                at_ms: flown.began_ms,
                outcome,
                took: flown.took,
                unrecorded: flown.unrecorded,
                ..Attempt::none(&load.message, name, 0, "")
            }),
        );
        changes
    }

    /// The conversation's next notice goes when this hand-in is committed: a crash repeats one of them, not both.
    pub(super) fn follow(&mut self, name: &str, conversation: &str, number: u64) {
        if let Some(load) = self.lanes.get_mut(name).and_then(|lane| lane.queue.first_mut(conversation)) {
            load.after = number;
        }
    }

    /// Takes what is to be told by now, and lets go of receivers that are removed.
    pub(super) fn take_tellings(&mut self, now_ms: u64) -> VecDeque<Telling> {
        for (name, lane) in &mut self.lanes {
            if lane.receiver.is_some()
                && let Some(why) = lane.queue.strain.tells(now_ms)
            {
                lane.counts.failing.clone_from(&why);
                tell(&mut self.tellings, Telling::Failing(Arc::clone(name), why));
            }
            if let Some(full) = lane.queue.tells_full(lane.told_full) {
                lane.told_full = full;
                tell(&mut self.tellings, Telling::Full(Arc::clone(name), full));
            }
        }
        self.lanes.retain(|_, lane| lane.receiver.is_some() || !lane.queue.is_empty());
        std::mem::take(&mut self.tellings)
    }

    /// Whether a dead notice may be made due again: once, also while the store has not taken that yet.
    pub(super) fn resends(&mut self, notice_id: &str) -> bool {
        let first = !self.resent.iter().any(|id| id == notice_id);
        if first {
            if self.resent.len() >= RESENT_AT_MOST {
                self.resent.pop_front();
            }
            self.resent.push_back(notice_id.to_owned());
        }
        first
    }

    /// When to look again, though nothing else happens.
    pub(super) fn wakes_ms(&self) -> Option<u64> {
        let lanes = self.lanes.values().filter(|lane| lane.receiver.is_some());
        lanes.filter_map(|lane| lane.queue.wakes_ms()).min()
    }

    /// Those that wait and are not surely in the store, with their keys there.
    pub(super) fn unrecorded(&self, documents: &Documents) -> Vec<(Arc<str>, Arc<Message>)> {
        let loads = self.lanes.values().flat_map(|lane| lane.queue.waiting()).map(|entry| &entry.load);
        let missing = loads.filter(|load| load.number > 0 && !documents.holds(load.number));
        missing.map(|load| (Arc::clone(&load.key), Arc::clone(&load.message))).collect()
    }

    pub(super) fn has_receiver(&self, name: &str) -> bool {
        self.lanes.get(name).is_some_and(|lane| lane.receiver.is_some())
    }

    /// Whether an alert that fires anew is another one to this receiver.
    pub(super) fn has_episodes(&self, name: &str) -> bool {
        let lane = self.lanes.get(name);
        lane.and_then(|lane| lane.receiver.as_ref()).is_some_and(|receiver| receiver.has_episodes())
    }

    pub(super) fn stats(&self, now_ms: u64) -> BTreeMap<Arc<str>, LaneStats> {
        let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let stats = |lane: &Lane| {
            let (waiting, bytes, in_flight) = lane.queue.load();
            let oldest_ms = lane.queue.oldest_since_ms();
            let oldest_ms = oldest_ms.map(|since_ms| now_ms.saturating_sub(since_ms).unsigned_abs());
            let next_ms = lane.queue.next_ms().map(|at_ms| i64::try_from(at_ms).unwrap_or(i64::MAX));
            let next_in_ms = next_ms.map(|at_ms| at_ms.saturating_sub(now_ms).max(0).unsigned_abs());
            LaneStats { waiting, bytes, in_flight, oldest_ms, next_in_ms, ..lane.counts.clone() }
        };
        self.lanes.iter().map(|(name, lane)| (Arc::clone(name), stats(lane))).collect()
    }

    /// Those that wait and tell of this alert, in their order.
    pub(super) fn waiting(&self, alert: &str, now_ms: u64) -> Vec<Waiting> {
        let mut found = Vec::new();
        for (name, lane) in &self.lanes {
            let turns = lane.queue.turns();
            let about =
                turns.filter(|(entry, _)| entry.load.message.alerts.iter().any(|word| word.id == alert));
            found.extend(about.map(|(entry, turn)| {
                let message = &entry.load.message;
                let at = |at_ms: u64| i64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(i64::MAX);
                let waiting = Waiting {
                    notice_id: message.notice_id.clone(),
                    receiver: Arc::clone(name),
                    at_ms: message.at_ms,
                    failed: entry.load.failed,
                    in_flight: turn == Turn::Now,
                    next_ms: match turn {
                        Turn::At(at_ms) => Some(wall_ms().saturating_add(at(at_ms))),
                        Turn::Now | Turn::Behind => None,
                    },
                };
                (entry.order, waiting)
            }));
        }
        found.sort_by_key(|(order, _)| *order);
        found.into_iter().map(|(_, waiting)| waiting).collect()
    }
}

fn tell(tellings: &mut VecDeque<Telling>, telling: Telling) {
    if tellings.len() < TELLINGS_AT_MOST || !matches!(telling, Telling::Attempted(_)) {
        tellings.push_back(telling);
    }
}

/// It is over without having been taken, and is not on its way.
fn die(tellings: &mut VecDeque<Telling>, name: &Arc<str>, load: &Load, why: &str) -> [DocumentChange; 2] {
    tell(tellings, Telling::Attempted(Attempt::none(&load.message, name, wall_ms(), why)));
    load.over(Verdict::Dead, Some(why))
}

/// What a try's end means: of a receiver that is gone, nothing is tried again.
fn landing(result: &Result<crate::notify::receivers::Sent, Failure>, stays: bool) -> Landing {
    match result {
        Ok(_) => Landing::Taken,
        Err(Failure::Retry { why, .. } | Failure::Partly { why, .. } | Failure::Unsure { why }) if !stays => {
            Landing::Refused { why: format!("{REMOVED}; its last answer: {why}") }
        }
        Err(Failure::Retry { why, after }) => Landing::Failed { why: why.clone(), pause: *after },
        Err(Failure::Partly { taken, why, after }) => {
            Landing::Partly { taken: *taken, why: why.clone(), pause: *after }
        }
        Err(Failure::Unsure { why }) => Landing::Unsure { why: why.clone() },
        Err(Failure::Dead { why }) => Landing::Refused { why: why.clone() },
    }
}

fn why_dead(failure: &Failure, landing: &Landing, landed: Option<&Landed<Load>>) -> String {
    let why = match landing {
        Landing::Refused { why }
        | Landing::Failed { why, .. }
        | Landing::Partly { why, .. }
        | Landing::Unsure { why } => why,
        Landing::Taken => failure.why(),
    };
    match (landed, landing) {
        (Some(Landed::GivenUp(_)), Landing::Unsure { .. }) => format!("given up after ten minutes: {why}"),
        (Some(Landed::GivenUp(_)), _) => format!("given up after a day: {why}"),
        _ => why.to_owned(),
    }
}
