//! The components of this process, each with its counter, its timers and its view. Decides what a timer or the end
//! of a run changes; takes every clock as an argument and starts nothing itself.

mod slot;

use super::agenda::{Agenda, Timer};
use super::heartbeat::{Heartbeat, Mark};
use super::register::{self, Changes, RegisterError};
use super::verdict::{End, Verdict};
use super::{Checked, Observer};
use crate::{Check, ComponentView, Outcome, Registration, Snapshot};
use slot::Slot;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// First runs are spread over so much time, or one interval if that is less. Small enough that every figure is
/// there one second after the start.
const FIRST_RUNS_WITHIN: Duration = Duration::from_millis(800);

/// So many different moments in that time: runs that share one share a wake-up and a snapshot, ever after.
const FIRST_RUN_MOMENTS: u32 = 32;

/// All components.
#[derive(Default)]
pub(super) struct Board {
    /// In the order of their registration.
    slots: Vec<Slot>,
    /// Where in `slots` each id stands.
    places: HashMap<u64, usize>,
    /// When what is due.
    agenda: Agenda,
    /// The next component's id. Ids are never used again, so that a late end of a run finds no other component.
    next_id: u64,
    /// A scheduler has begun: new components get their first run.
    armed: bool,
    /// The process drains.
    draining: bool,
    /// Why somebody put the process under maintenance by hand.
    maintenance: Option<Arc<str>>,
    /// Something changed that the last snapshot does not show.
    unseen: bool,
    /// What the observer has not been told yet; emptied with each publication.
    news: Vec<News>,
}

/// Something to tell the observer.
pub(super) enum News {
    Checked(Arc<str>, Checked),
    Lapsed(Arc<ComponentView>),
    Removed(Arc<str>),
}

impl News {
    pub(super) fn tell(self, observer: &dyn Observer) {
        match self {
            Self::Checked(name, result) => observer.checked(&name, &result),
            Self::Lapsed(view) => observer.lapsed(&view.name, &view),
            Self::Removed(name) => observer.removed(&name),
        }
    }
}

/// A run to be started.
pub(super) struct Start {
    pub(super) id: u64,
    pub(super) check: Arc<dyn Check>,
}

/// The moment, on both clocks, and the pulse as it was looked at then.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) now: Instant,
    pub(super) now_ms: u64,
    pub(super) pulse: &'a Heartbeat,
}

impl Board {
    /// A scheduler begins: every first run is due soon, what was asked for is due now. The runs of one before it
    /// were cut with it.
    pub(super) fn arm(&mut self, now: Instant) {
        self.armed = true;
        for slot in &mut self.slots {
            slot.flight = None;
            let wait = if slot.asked { Duration::ZERO } else { first_wait(slot) };
            self.agenda.set(slot.id, Timer::Run, after(now, wait));
        }
    }

    /// After the machine slept: every result is old, so each is asked again soon.
    pub(super) fn run_all_soon(&mut self, now: Instant) {
        for slot in self.slots.iter().filter(|slot| !slot.spec.told) {
            self.agenda.set(slot.id, Timer::Run, now + first_wait(slot));
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.agenda.next()
    }

    #[cfg(test)]
    pub(super) fn timers(&self) -> usize {
        self.agenda.len()
    }

    pub(super) fn set_draining(&mut self, draining: bool) {
        self.unseen |= self.draining != draining;
        self.draining = draining;
    }

    /// Says whether that changed anything.
    pub(super) fn switch_maintenance(&mut self, reason: Option<&str>) -> bool {
        let changes = self.maintenance.as_deref() != reason;
        if changes {
            self.maintenance = reason.map(Arc::from);
            self.unseen = true;
        }
        changes
    }

    pub(super) fn set_maintenance<N: AsRef<str>>(&mut self, names: &[N]) {
        let names: HashSet<&str> = names.iter().map(AsRef::as_ref).collect();
        for slot in &mut self.slots {
            let maintenance = names.contains(&*slot.view.name);
            if slot.view.maintenance != maintenance {
                Arc::make_mut(&mut slot.view).maintenance = maintenance;
                self.unseen = true;
            }
        }
    }

    pub(super) fn check_now<N: AsRef<str>>(&mut self, names: &[N], now: Instant) -> usize {
        let names: HashSet<&str> = names.iter().map(AsRef::as_ref).collect();
        let mut known = 0;
        for slot in self.slots.iter_mut().filter(|slot| names.contains(&*slot.view.name)) {
            known += 1;
            if slot.spec.told {
                continue;
            }
            slot.asked = true;
            if self.armed {
                self.agenda.set(slot.id, Timer::Run, now);
            }
        }
        known
    }

    pub(super) fn register(
        &mut self,
        registration: Registration,
        now: Instant,
        now_ms: u64,
    ) -> Result<(), RegisterError> {
        register::verify([&registration])?;
        if self.slots.iter().any(|slot| slot.spec.name == registration.spec.name) {
            return Err(RegisterError::DuplicateName(registration.spec.name));
        }
        let id = self.new_id();
        self.places.insert(id, self.slots.len());
        self.slots.push(Slot::new(id, registration, now_ms));
        self.set_out(self.slots.len() - 1, now);
        self.unseen = true;
        Ok(())
    }

    pub(super) fn replace(
        &mut self,
        registrations: Vec<Registration>,
        now: Instant,
        now_ms: u64,
    ) -> Result<Changes, RegisterError> {
        register::verify(&registrations)?;
        let mut changes = Changes::default();
        let mut before: HashMap<String, Slot> =
            std::mem::take(&mut self.slots).into_iter().map(|slot| (slot.spec.name.clone(), slot)).collect();
        self.places.clear();
        for registration in registrations {
            let name = registration.spec.name.clone();
            let (slot, undisturbed) = match before.remove(&name) {
                Some(slot) if slot.is_same(&registration) => {
                    changes.kept.push(name);
                    (slot, true)
                }
                Some(slot) => {
                    self.agenda.forget(slot.id);
                    changes.changed.push(name);
                    (slot.changed(self.new_id(), registration, now_ms), false)
                }
                None => {
                    changes.added.push(name);
                    (Slot::new(self.new_id(), registration, now_ms), false)
                }
            };
            let place = self.slots.len();
            self.places.insert(slot.id, place);
            self.slots.push(slot);
            if !undisturbed {
                self.set_out(place, now);
            }
        }
        for (name, slot) in before {
            self.agenda.forget(slot.id);
            slot.abort();
            self.news.push(News::Removed(Arc::clone(&slot.view.name)));
            changes.removed.push(name);
        }
        changes.removed.sort_unstable();
        self.unseen = true;
        Ok(changes)
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Sets the first timers of a component that is new or was changed.
    fn set_out(&mut self, place: usize, now: Instant) {
        let slot = &self.slots[place];
        if slot.counter.grace_until_ms().is_some() {
            self.agenda.set(slot.id, Timer::Grace, after(now, slot.spec.start_grace));
        }
        if slot.view.checked_ms.is_some() {
            self.agenda.set(slot.id, Timer::Stale, now);
        }
        if self.armed {
            self.agenda.set(slot.id, Timer::Run, after(now, first_wait(slot)));
        }
    }

    /// A result came by itself. What a run that is under way says of the silence before it is no longer asked.
    pub(super) fn told(&mut self, name: &str, outcome: Outcome, now: Instant, now_ms: u64) -> bool {
        let of_name = |slot: &Slot| slot.spec.told && *slot.view.name == *name;
        let Some(place) = self.slots.iter().position(of_name) else { return false };
        let slot = &mut self.slots[place];
        if let Some(flight) = &mut slot.flight {
            flight.overdue = true;
            flight.abort.abort();
        }
        self.agenda.clear(slot.id, Timer::Deadline);
        if self.armed {
            self.agenda.set(slot.id, Timer::Run, after(now, slot.spec.interval));
        }
        self.count(place, Verdict::told(outcome), now, now_ms);
        true
    }

    /// A run was started.
    pub(super) fn started(&mut self, id: u64, since: Mark, abort: AbortHandle) {
        if let Some(&place) = self.places.get(&id) {
            let slot = &mut self.slots[place];
            self.agenda.set(id, Timer::Deadline, after(since.at, slot.spec.deadline));
            slot.flight = Some(slot::Flight { since, overdue: false, abort });
        }
    }

    /// The task of a run has ended; `end` is `None` when it was cut.
    pub(super) fn landed(&mut self, id: u64, end: Option<End>, moment: Moment<'_>) {
        let Some(&place) = self.places.get(&id) else { return };
        let Some(flight) = self.slots[place].flight.take() else { return };
        self.agenda.clear(id, Timer::Deadline);
        if let (Some(end), false) = (end, flight.overdue) {
            self.judge(place, end, flight.since, moment);
        }
    }

    /// Does what is due and says which runs to start.
    pub(super) fn turn(&mut self, moment: Moment<'_>) -> Vec<Start> {
        let mut starts = Vec::new();
        while let Some((at, id, timer)) = self.agenda.pop_due(moment.now) {
            let Some(&place) = self.places.get(&id) else { continue };
            match timer {
                Timer::Run => starts.extend(self.run_due(place, at, moment)),
                Timer::Deadline => self.overdue(place, moment),
                Timer::Grace => self.grace_over(place, moment),
                Timer::Stale => self.maybe_stale(place, moment),
            }
        }
        starts
    }

    /// The next run. Its successor is due one interval after this one was, or after now if that has passed.
    fn run_due(&mut self, place: usize, at: Instant, moment: Moment<'_>) -> Option<Start> {
        let slot = &mut self.slots[place];
        slot.asked = false;
        let next = after(at, slot.spec.interval);
        let next = if next <= moment.now { after(moment.now, slot.spec.interval) } else { next };
        self.agenda.set(slot.id, Timer::Run, next);
        match &slot.flight {
            None => return Some(Start { id: slot.id, check: Arc::clone(&slot.check) }),
            // It was cut and has not let go: it holds its thread. It still gives no answer, and that counts.
            Some(flight) if flight.overdue => {
                let waited = moment.now - flight.since.at;
                self.judge(place, End::Overdue { waited }, moment.pulse.mark(moment.now), moment);
            }
            Some(_) => {}
        }
        None
    }

    fn overdue(&mut self, place: usize, moment: Moment<'_>) {
        let Some(flight) = &mut self.slots[place].flight else { return };
        flight.overdue = true;
        flight.abort.abort();
        let since = flight.since;
        self.judge(place, End::Overdue { waited: moment.now - since.at }, since, moment);
    }

    fn judge(&mut self, place: usize, end: End, since: Mark, moment: Moment<'_>) {
        let slot = &self.slots[place];
        let verdict = Verdict::of(end, &slot.spec, &*slot.check, moment.pulse.starved_since(since));
        self.count(place, verdict, moment.now, moment.now_ms);
    }

    fn count(&mut self, place: usize, verdict: Verdict, now: Instant, now_ms: u64) {
        let slot = &mut self.slots[place];
        let checked = slot.take(verdict, now_ms);
        if !checked.skipped {
            self.agenda.set(slot.id, Timer::Stale, after(now, slot.fresh_for(now_ms)));
        }
        self.news.push(News::Checked(Arc::clone(&slot.view.name), checked));
        self.unseen = true;
    }

    fn grace_over(&mut self, place: usize, moment: Moment<'_>) {
        let slot = &mut self.slots[place];
        let Some(until_ms) = slot.counter.grace_until_ms() else { return };
        if until_ms > moment.now_ms {
            let left = Duration::from_millis(until_ms - moment.now_ms);
            self.agenda.set(slot.id, Timer::Grace, after(moment.now, left));
        } else if slot.grace_over(moment.now_ms) {
            self.news.push(News::Lapsed(Arc::clone(&slot.view)));
            self.unseen = true;
        }
    }

    fn maybe_stale(&mut self, place: usize, moment: Moment<'_>) {
        let slot = &self.slots[place];
        if slot.view.is_stale(moment.now_ms) {
            slot.log_stale();
            self.news.push(News::Lapsed(Arc::clone(&slot.view)));
            self.unseen = true;
        } else {
            self.agenda.set(slot.id, Timer::Stale, after(moment.now, slot.fresh_for(moment.now_ms)));
        }
    }

    /// What readers should see, if it differs from what they see.
    pub(super) fn changed_snapshot(&mut self) -> Option<Snapshot> {
        std::mem::take(&mut self.unseen).then(|| Snapshot {
            components: self.slots.iter().map(|slot| Arc::clone(&slot.view)).collect(),
            draining: self.draining || self.maintenance.is_some(),
            maintenance: self.maintenance.clone(),
        })
    }

    pub(super) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }
}

/// A time that far ahead, or in a year if it lies beyond what the clock can say.
fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(365 * 86_400))
}

/// How long a component's first run waits: for one that is told, until its silence means something.
fn first_wait(slot: &Slot) -> Duration {
    if slot.spec.told { slot.spec.interval } else { spread(slot) }
}

/// How long the first run of others waits: always the same for a name, and spread
/// over different ones.
fn spread(slot: &Slot) -> Duration {
    let mut hasher = DefaultHasher::new();
    slot.spec.name.hash(&mut hasher);
    let moment = u32::try_from(hasher.finish() % u64::from(FIRST_RUN_MOMENTS)).unwrap_or(0);
    FIRST_RUNS_WITHIN.min(slot.spec.interval) * moment / FIRST_RUN_MOMENTS
}
