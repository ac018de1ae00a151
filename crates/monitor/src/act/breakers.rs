//! All breakers by their names. Decides nothing of its own: each question and each word goes to one of them, and those
//! who publish the states are told when one changes. Locked for a look or a step, never over an await.

use super::breaker::{Admission, Breaker, BreakerPolicy, Cause, State};
use super::carried::Carried;
use farol_rules::{AlertId, Moment};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The named breakers.
#[derive(Debug)]
pub struct Breakers {
    /// By name, with how each behaves.
    all: Mutex<BTreeMap<Arc<str>, (BreakerPolicy, Breaker)>>,
    /// Rises with each change of a state: what is published and kept is behind it.
    generation: watch::Sender<u64>,
}

/// A breaker as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: Arc<str>,
    /// When this was noted, on the running clock that its times are of.
    pub run_ms: u64,
    /// The same, unix milliseconds.
    pub at_ms: i64,
    /// What it knows.
    pub breaker: Breaker,
}

/// A breaker as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerView {
    /// Its name.
    pub name: Arc<str>,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Since then, unix milliseconds.
    pub since_ms: i64,
    /// Open until then, unix milliseconds; `None` when it is not open, or until someone closes it.
    pub until_ms: Option<i64>,
    /// Why it is so.
    #[serde(flatten)]
    pub because: Cause,
    /// Alerts that opened it and are not over.
    pub firing: Vec<AlertId>,
}

impl BreakerView {
    /// Whether calls are to be made, a few at least.
    #[must_use]
    pub fn lets_through(&self) -> bool {
        self.state != "open"
    }
}

/// No breaker of this name is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no breaker of this name is configured; name it in an action `circuit_breaker`")]
pub struct NoSuchBreaker;

impl Breakers {
    /// All of them closed.
    #[must_use]
    pub fn new(policies: impl IntoIterator<Item = (Arc<str>, BreakerPolicy)>) -> Self {
        let all = policies.into_iter().map(|(name, policy)| (name, (policy, Breaker::default())));
        Self { all: Mutex::new(all.collect()), generation: watch::Sender::new(0) }
    }

    /// A new configuration: those that stay keep their state. The names of those that do not.
    pub fn replace(&self, policies: impl IntoIterator<Item = (Arc<str>, BreakerPolicy)>) -> Vec<Arc<str>> {
        let mut all = self.all.lock();
        let mut old = std::mem::take(&mut *all);
        for (name, policy) in policies {
            let breaker = old.remove(&name).map(|(_, breaker)| breaker).unwrap_or_default();
            all.insert(name, (policy, breaker));
        }
        drop(all);
        self.rise();
        old.into_keys().collect()
    }

    /// As they were kept by a process that was last alive then, unix milliseconds. The names of those that are
    /// configured no more: they are left out.
    pub fn restore(
        &self,
        kept: impl IntoIterator<Item = Kept>,
        alive_until_ms: i64,
        now: Moment,
    ) -> Vec<Arc<str>> {
        let (mut all, mut gone) = (self.all.lock(), Vec::new());
        for Kept { name, run_ms, at_ms, breaker } in kept {
            match all.get_mut(&name) {
                Some((_, known)) => {
                    let noted = Moment { run_ms, wall_ms: at_ms };
                    *known = breaker.carried(Carried::new(noted, alive_until_ms, now));
                }
                None => gone.push(name),
            }
        }
        drop(all);
        self.rise();
        gone
    }

    /// To be kept.
    #[must_use]
    pub fn kept(&self, now: Moment) -> Vec<Kept> {
        let all = self.all.lock();
        let one = |(name, (_, breaker)): (&Arc<str>, &(BreakerPolicy, Breaker))| Kept {
            name: Arc::clone(name),
            run_ms: now.run_ms,
            at_ms: now.wall_ms,
            breaker: breaker.clone(),
        };
        all.iter().map(one).collect()
    }

    /// Moves with each change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    fn rise(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// One step of one breaker.
    fn with<T>(
        &self,
        name: &str,
        step: impl FnOnce(&BreakerPolicy, &mut Breaker) -> T,
    ) -> Result<T, NoSuchBreaker> {
        let mut all = self.all.lock();
        let (policy, breaker) = all.get_mut(name).ok_or(NoSuchBreaker)?;
        let before = breaker.clone();
        let said = step(policy, breaker);
        let changed = before != *breaker;
        drop(all);
        if changed {
            self.rise();
        }
        Ok(said)
    }

    /// One that opened it fires.
    ///
    /// # Errors
    /// There is no such breaker; so with all that follow.
    pub fn fire(&self, name: &str, alert: &AlertId, now: Moment) -> Result<(), NoSuchBreaker> {
        self.with(name, |policy, breaker| breaker.fire(policy, alert, now))
    }

    /// An alert is over: every breaker that waits for it knows.
    pub fn resolved(&self, alert: &AlertId, now: Moment) {
        self.each(|_, breaker| breaker.resolved(alert, now));
    }

    /// Alerts that are over by now: after a restart nobody says so any more.
    pub fn forget(&self, is_over: impl Fn(&AlertId) -> bool, now: Moment) {
        self.each(|_, breaker| {
            let over: Vec<AlertId> = breaker.firing().filter(|alert| is_over(alert)).cloned().collect();
            over.iter().for_each(|alert| breaker.resolved(alert, now));
        });
    }

    /// What time brings about.
    pub fn step(&self, now: Moment) {
        self.each(|policy, breaker| breaker.step(policy, now));
    }

    fn each(&self, step: impl Fn(&BreakerPolicy, &mut Breaker)) {
        let mut changed = false;
        for (policy, breaker) in self.all.lock().values_mut() {
            let before = (breaker.since_ms(), breaker.state(), breaker.firing().len());
            step(policy, breaker);
            changed |= before != (breaker.since_ms(), breaker.state(), breaker.firing().len());
        }
        if changed {
            self.rise();
        }
    }

    /// Whether one call may be made.
    ///
    /// # Errors
    /// There is no such breaker.
    pub fn admit(&self, name: &str, now: Moment) -> Result<Admission, NoSuchBreaker> {
        self.with(name, |policy, breaker| breaker.admit(policy, now))
    }

    /// How one that was let through fared.
    ///
    /// # Errors
    /// There is no such breaker.
    pub fn report(&self, name: &str, success: bool, now: Moment) -> Result<(), NoSuchBreaker> {
        self.with(name, |policy, breaker| breaker.report(policy, success, now))
    }

    /// Someone opens it, for so long or until someone closes it.
    ///
    /// # Errors
    /// There is no such breaker.
    pub fn open(
        &self,
        name: &str,
        (author, reason): (&str, &str),
        for_ms: Option<u64>,
        now: Moment,
    ) -> Result<(), NoSuchBreaker> {
        self.with(name, |_, breaker| breaker.open(author, reason, for_ms, now))
    }

    /// Someone closes it.
    ///
    /// # Errors
    /// There is no such breaker.
    pub fn close(
        &self,
        name: &str,
        (author, reason): (&str, &str),
        now: Moment,
    ) -> Result<(), NoSuchBreaker> {
        self.with(name, |_, breaker| breaker.close(author, reason, now))
    }

    /// Whether calls are to be made, a few at least, as one of them was when it was looked at last; `None` where there
    /// is no such breaker. Unlike [`Breakers::status`] it is a look and no step.
    #[must_use]
    pub fn lets_through(&self, name: &str) -> Option<bool> {
        self.all.lock().get(name).map(|(_, breaker)| !matches!(breaker.state(), State::Open { .. }))
    }

    /// One of them, as it is now.
    #[must_use]
    pub fn status(&self, name: &str, now: Moment) -> Option<BreakerView> {
        let name: Arc<str> = name.into();
        self.with(&name, |policy, breaker| {
            breaker.step(policy, now);
            view(&name, breaker, now)
        })
        .ok()
    }

    /// All of them, as they are now.
    #[must_use]
    pub fn all(&self, now: Moment) -> Vec<BreakerView> {
        self.step(now);
        self.all.lock().iter().map(|(name, (_, breaker))| view(name, breaker, now)).collect()
    }
}

fn view(name: &Arc<str>, breaker: &Breaker, now: Moment) -> BreakerView {
    let (state, until) = match breaker.state() {
        State::Closed => ("closed", None),
        State::Open { until_run_ms } => ("open", until_run_ms),
        State::HalfOpen { .. } => ("half_open", None),
    };
    let wall = |run_ms: u64| now.wall_ms.saturating_add_unsigned(run_ms.saturating_sub(now.run_ms));
    BreakerView {
        name: Arc::clone(name),
        state,
        since_ms: breaker.since_ms(),
        until_ms: until.map(wall),
        because: breaker.because().clone(),
        firing: breaker.firing().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_rules::Labels;

    const POLICY: BreakerPolicy = BreakerPolicy { open_for_ms: 30_000, half_open_probes: 1 };

    fn at(seconds: u64) -> Moment {
        Moment { run_ms: seconds * 1_000, wall_ms: 7_000_000 + seconds as i64 * 1_000 }
    }

    fn alert() -> AlertId {
        AlertId { rule: "slow".into(), labels: Labels::default() }
    }

    #[test]
    fn a_reload_and_a_restart_keep_what_is_known() {
        let breakers = Breakers::new([("pay".into(), POLICY), ("old".into(), POLICY)]);
        breakers.fire("pay", &alert(), at(0)).unwrap();
        let gone = breakers.replace([("pay".into(), POLICY), ("new".into(), POLICY)]);
        assert_eq!(gone, [Arc::from("old")]);
        assert_eq!(breakers.fire("old", &alert(), at(1)), Err(NoSuchBreaker));
        let after = Breakers::new([("pay".into(), POLICY)]);
        let gone = after.restore(breakers.kept(at(2)), at(2).wall_ms, at(2));
        assert_eq!(gone, [Arc::from("new")]);
        let view = after.status("pay", at(2)).unwrap();
        assert_eq!((view.state, view.until_ms), ("open", Some(at(30).wall_ms)));
        assert!(!view.lets_through() && view.firing == [alert()]);
        assert_eq!(after.all(at(2)).len(), 1);
        after.resolved(&alert(), at(31));
        assert_eq!(after.status("pay", at(31)).unwrap().state, "closed");
    }

    #[test]
    fn on_another_machine_it_is_open_for_as_long_as_was_left_when_the_monitor_ended() {
        let later = |moment: Moment, run_ms| Moment { run_ms, wall_ms: moment.wall_ms + 3_600_000 };
        for (uptime, next) in [(2_592_000, 60_000), (60, 2_592_000_000)] {
            let breakers = Breakers::new([("pay".into(), POLICY)]);
            breakers.fire("pay", &alert(), at(uptime)).unwrap();
            let kept = breakers.kept(at(uptime + 1));
            let text = serde_json::to_string(&kept).unwrap();
            let kept: Vec<Kept> = serde_json::from_str(&text).unwrap();
            let (ended, now) = (at(uptime + 10), later(at(uptime), next));
            let after = Breakers::new([("pay".into(), POLICY)]);
            assert_eq!(after.restore(kept, ended.wall_ms, now), Vec::<Arc<str>>::new());
            let view = after.status("pay", now).unwrap();
            assert_eq!((view.state, view.until_ms), ("open", Some(now.wall_ms + 20_000)), "{uptime}");
            let now = Moment { run_ms: next + 20_000, wall_ms: now.wall_ms + 20_000 };
            assert_eq!(after.status("pay", now).unwrap().state, "half_open", "{uptime}");
        }
    }

    #[test]
    fn an_alert_whose_end_was_not_kept_holds_no_breaker_after_a_restart() {
        let later = AlertId { rule: "dead".into(), labels: Labels::default() };
        let breakers = Breakers::new([("pay".into(), POLICY), ("mail".into(), POLICY)]);
        breakers.fire("pay", &alert(), at(0)).unwrap();
        breakers.fire("mail", &alert(), at(0)).unwrap();
        breakers.fire("mail", &later, at(0)).unwrap();
        breakers.step(at(30));
        breakers.forget(|over| *over == alert(), at(31));
        let (pay, mail) = (breakers.status("pay", at(31)).unwrap(), breakers.status("mail", at(31)).unwrap());
        assert_eq!((pay.state, pay.because, pay.firing), ("closed", Cause::Recovered, vec![]));
        assert_eq!((mail.state, mail.firing), ("half_open", vec![later]));
    }

    #[test]
    fn watchers_are_told_of_changes_and_of_nothing_else() {
        let breakers = Breakers::new([("pay".into(), POLICY)]);
        let mut changes = breakers.changes();
        breakers.step(at(0));
        breakers.resolved(&alert(), at(0));
        assert!(breakers.status("pay", at(0)).is_some() && !changes.has_changed().unwrap());
        breakers.open("pay", ("ann", "a release"), None, at(1)).unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        breakers.close("pay", ("ann", "over"), at(2)).unwrap();
        assert!(changes.has_changed().unwrap());
    }
}
