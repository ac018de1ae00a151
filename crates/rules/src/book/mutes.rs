//! What people hold back: silences, acknowledgements, maintenance windows. Decides what holds for which alert now.

use super::Book;
use crate::incident::EntryKind;
use crate::output::{Keep, MuteView};
use crate::{
    Acknowledgement, AlertId, InForce, Labels, Moment, MuteError, Muted, MutedBy, Severity, Silence,
    SilenceState, Window, next_mute_change, room_for_mute,
};
use std::collections::HashMap;
use std::sync::Arc;

/// All that mutes.
#[derive(Default)]
pub(super) struct Mutes {
    /// Silences that are not over.
    pub(super) silences: Vec<Silence>,
    /// Maintenance windows that are not over.
    pub(super) windows: Vec<Window>,
    /// By the alert that each is for.
    pub(super) acknowledgements: HashMap<AlertId, Acknowledgement>,
    /// When any of it begins or ends next, unix milliseconds.
    next_ms: Option<i64>,
    /// What of it is in force until then. A clock that is set back does not change it, nor does what else is muted
    /// after that: what began goes on until its end comes by the wall clock.
    in_force: InForce,
    /// What is over, until that is told.
    pub(super) over: Vec<Keep>,
    /// What is ended just now, and by whom.
    pub(super) ended: Option<(MutedBy, String)>,
}

impl Mutes {
    /// What mutes something with these labels.
    pub(super) fn muted(&self, labels: &Labels) -> Option<Muted> {
        self.in_force.muted(labels)
    }

    /// What mutes something with these labels, for people.
    pub(super) fn shown(&self, labels: &Labels) -> Option<MuteView> {
        let mut all = self.in_force.all_that_mute(labels);
        let Muted { by, until_ms } = all.next()?;
        let signed = match &by {
            MutedBy::Silence(id) => {
                let silence = self.silences.iter().find(|silence| silence.id == *id);
                silence.map(|silence| (&silence.author, &silence.reason))
            }
            MutedBy::Window(id) => {
                let window = self.windows.iter().find(|window| window.id == *id);
                window.map(|window| (&window.author, &window.reason))
            }
        };
        let (author, reason) = signed.map(|(a, r)| (a.clone(), r.clone())).unwrap_or_default();
        Some(MuteView { by, author, reason, until_ms, others: all.count() })
    }

    /// Whether something began or ended since the last call.
    pub(super) fn changed_by(&mut self, now_ms: i64) -> bool {
        let changed = self.next_ms.is_some_and(|next_ms| next_ms <= now_ms);
        if changed {
            self.plan(now_ms);
        }
        changed
    }

    /// The clock was set: what is in force is found anew.
    pub(super) fn look_again(&mut self) {
        self.next_ms = Some(i64::MIN);
    }

    /// Finds what is in force now, and until when that is so. What is over is dropped.
    pub(super) fn plan(&mut self, now_ms: i64) {
        let Self { silences, windows, over, .. } = self;
        silences.retain(|silence| {
            let stays = silence.state(now_ms) != SilenceState::Expired;
            over.extend((!stays).then(|| Keep::SilenceOver(Arc::clone(&silence.id))));
            stays
        });
        windows.retain(|window| {
            let stays = !window.is_over(now_ms);
            over.extend((!stays).then(|| Keep::WindowOver(Arc::clone(&window.id))));
            stays
        });
        let at = InForce::at(now_ms, &self.silences, &self.windows);
        self.in_force = at.going_on(&self.in_force, now_ms);
        let acknowledgements = self.acknowledgements.values().filter_map(|ack| ack.next_change(now_ms));
        let mutes = next_mute_change(now_ms, &self.silences, &self.windows);
        self.next_ms = acknowledgements.chain(mutes).min();
    }
}

impl Book {
    /// Takes a silence, a new one or another form of one that is there.
    ///
    /// # Errors
    /// It makes no sense, or there are too many.
    pub fn silence(&mut self, silence: Silence, now: Moment) -> Result<(), MuteError> {
        silence.check()?;
        if !self.mutes.silences.contains(&silence) {
            self.mutes.in_force.forget(&silence.id, false);
        }
        self.mutes.silences.retain(|known| known.id != silence.id);
        room_for_mute(self.mutes.silences.len())?;
        self.mutes.silences.push(silence);
        self.muted_anew(now);
        Ok(())
    }

    /// Ends a silence now, as wished `by` somebody. As it was; `None` where there is none.
    pub fn unsilence(&mut self, id: &str, by: Option<&str>, now: Moment) -> Option<Silence> {
        let at = self.mutes.silences.iter().position(|silence| *silence.id == *id)?;
        let silence = self.mutes.silences.remove(at);
        self.mutes.in_force.forget(id, false);
        self.mutes.ended = by.map(|by| (MutedBy::Silence(Arc::clone(&silence.id)), by.to_owned()));
        self.muted_anew(now);
        Some(silence)
    }

    /// Takes a maintenance window.
    ///
    /// # Errors
    /// It makes no sense, or there are too many.
    pub fn maintain(&mut self, window: Window, now: Moment) -> Result<(), MuteError> {
        window.check()?;
        if !self.mutes.windows.contains(&window) {
            self.mutes.in_force.forget(&window.id, true);
        }
        self.mutes.windows.retain(|known| known.id != window.id);
        room_for_mute(self.mutes.windows.len())?;
        self.mutes.windows.push(window);
        self.muted_anew(now);
        Ok(())
    }

    /// Takes a maintenance window out, as wished `by` somebody. As it was; `None` where there is none.
    pub fn end_maintenance(&mut self, id: &str, by: Option<&str>, now: Moment) -> Option<Window> {
        let at = self.mutes.windows.iter().position(|window| *window.id == *id)?;
        let window = self.mutes.windows.remove(at);
        self.mutes.in_force.forget(id, true);
        self.mutes.ended = by.map(|by| (MutedBy::Window(Arc::clone(&window.id)), by.to_owned()));
        self.muted_anew(now);
        Some(window)
    }

    /// Somebody takes care of an alert. False where it does not fire.
    ///
    /// # Errors
    /// It is not signed.
    pub fn acknowledge(&mut self, mut ack: Acknowledgement, now: Moment) -> Result<bool, MuteError> {
        ack.check()?;
        // What ended in between is seen: below, what is in force is found anew.
        self.pass(now);
        let Some(alert) = self.alerts.get(&ack.alert).filter(|alert| alert.is_firing()) else {
            return Ok(false);
        };
        let (Some(episode_ms), Some(severity)) = (alert.episode_ms, alert.severity) else { return Ok(false) };
        (ack.episode_ms, ack.severity) = (episode_ms, severity);
        let (id, incident) = (ack.alert.clone(), alert.incident.clone());
        if let Some(incident) = incident {
            let text = format!("{} takes care of it: {}", ack.author, ack.reason);
            self.enter(&incident, EntryKind::Acknowledged, &id, now, text);
        }
        self.mutes.acknowledgements.insert(id.clone(), ack);
        self.mutes.plan(now.wall_ms);
        self.dirty.insert(id);
        self.flush(now);
        Ok(true)
    }

    /// Whether an alert is acknowledged. An acknowledgement that does not hold any more is over for good.
    pub(super) fn is_acknowledged(
        &mut self,
        id: &AlertId,
        episode_ms: i64,
        severity: Severity,
        now: Moment,
    ) -> bool {
        let Some(ack) = self.mutes.acknowledgements.get(id) else { return false };
        let holds = ack.holds(episode_ms, severity, now.wall_ms);
        if !holds {
            let worse = ack.severity < severity;
            let why = if worse { "it is worse than it was then" } else { "its time is up" };
            let author = ack.author.clone();
            self.drop_acknowledgement(id);
            self.note_unacknowledged(id, &author, why, now);
        }
        holds
    }

    pub(super) fn drop_acknowledgement(&mut self, id: &AlertId) {
        if self.mutes.acknowledgements.remove(id).is_some() {
            self.keep(Keep::Acknowledged(id.clone()));
        }
    }

    /// The acknowledgement of an alert.
    #[must_use]
    pub fn acknowledgement(&self, id: &AlertId) -> Option<&Acknowledgement> {
        self.mutes.acknowledgements.get(id)
    }

    /// Nobody takes care of it any more, as wished `by` somebody. False where nobody did.
    pub fn unacknowledge(&mut self, id: &AlertId, by: Option<&str>, now: Moment) -> bool {
        let was = self.mutes.acknowledgements.remove(id);
        if let Some(ack) = &was {
            let why = by.map_or_else(|| "taken back".to_owned(), |by| format!("taken back by {by}"));
            self.note_unacknowledged(id, &ack.author, &why, now);
        }
        self.dirty.insert(id.clone());
        self.flush(now);
        was.is_some()
    }

    /// What mutes has changed: every alert is looked at anew, and told at once where it still fires.
    pub(super) fn muted_anew(&mut self, now: Moment) {
        self.mutes.plan(now.wall_ms);
        self.recheck_all();
        self.flush(now);
        self.mutes.ended = None;
    }

    pub(super) fn recheck_all(&mut self) {
        for (id, alert) in &mut self.alerts {
            alert.recheck = true;
            self.dirty.insert(id.clone());
        }
    }
}
