//! The book's conversations: who is told of an alert, when each conversation is looked at, and when it is kept.

use super::{Book, Due, LOOK_AGAIN_MS};
use crate::output::{ConversationId, Keep, Output, Telling};
use crate::{AlertId, Conversation, Ending, Lane, Moment, Notice, Severity, Standing, Waits};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// After a pause so many new critical alerts of one conversation are told the moment they come, each in a notice of its
/// own. Those after them are a crowd: what comes within a second is told at once.
const AT_ONCE: u8 = 8;

/// A conversation and the alerts that it is about.
pub(super) struct Talk {
    pub(super) conversation: Conversation,
    /// Of the route that last led to it.
    pub(super) waits: Waits,
    /// That route's place in the tree.
    pub(super) route: Arc<str>,
    /// What is to be said in it at the next look.
    changed: BTreeMap<AlertId, Standing>,
    /// When it was last looked at, on the running clock.
    looked_ms: Option<u64>,
    /// So many more looks need not wait.
    at_once: u8,
    /// When it is looked at next: the agenda has no later look than that, and need have no second one.
    planned_ms: Option<u64>,
    /// As it was last kept, if it was.
    kept: Option<(Option<u64>, usize, usize)>,
}

impl Talk {
    fn new() -> Self {
        Self::of(Conversation::default())
    }

    /// As it was kept.
    pub(super) fn restored(conversation: Conversation) -> Self {
        let kept = Some(conversation.mark());
        Self { kept, ..Self::of(conversation) }
    }

    fn of(conversation: Conversation) -> Self {
        Self {
            waits: conversation.waits(),
            conversation,
            route: "".into(),
            changed: BTreeMap::new(),
            looked_ms: None,
            at_once: AT_ONCE,
            planned_ms: None,
            kept: None,
        }
    }

    pub(super) fn put(&mut self, standing: Standing) {
        self.changed.insert(standing.id.clone(), standing);
    }

    /// When to look at it for what just changed: at once, unless that was just done. What is `urgent` waits for no look
    /// unless it is one of a crowd.
    fn look_ms(&mut self, urgent: bool, now: Moment) -> u64 {
        let Some(looked_ms) = self.looked_ms else { return now.run_ms };
        if looked_ms + 2 * LOOK_AGAIN_MS <= now.run_ms {
            self.at_once = AT_ONCE;
        }
        let again_ms = looked_ms + LOOK_AGAIN_MS;
        if urgent && again_ms > now.run_ms && self.at_once > 0 {
            self.at_once -= 1;
            return now.run_ms;
        }
        again_ms.max(now.run_ms)
    }

    /// Whether it is news to the receiver that this alert is critical. What is released comes in crowds.
    fn is_urgent(&self, standing: &Standing) -> bool {
        let bad = standing.severity == Severity::Critical && standing.audible && standing.ended.is_none();
        let told = || self.conversation.told_of(&standing.id);
        let is_raised = || told().is_some_and(|told| told.severity < Severity::Critical);
        bad && (!self.conversation.knows(&standing.id) || is_raised())
    }

    /// Whether the end of this alert must be said here.
    fn knows(&self, id: &AlertId) -> bool {
        self.changed.contains_key(id) || self.conversation.knows(id)
    }

    /// Whether the receiver believes that this alert fires, or waits to hear of it.
    pub(super) fn owes(&self, id: &AlertId) -> bool {
        self.changed.contains_key(id) || self.conversation.told_of(id).is_some()
    }
}

impl Book {
    /// Says how an alert stands to all who are to know: where its routes lead, and where they led when it was told.
    pub(super) fn voice(&mut self, id: &AlertId, standing: &Standing, lanes: Vec<Lane>, now: Moment) {
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let mut talks = std::mem::take(&mut alert.talks);
        let rerouted = std::mem::take(&mut alert.rerouted);
        let here: BTreeSet<ConversationId> =
            lanes.into_iter().map(|lane| self.say(lane, standing.clone(), now)).collect();
        talks.retain(|talk| {
            here.contains(talk) || self.talks.get(talk).is_some_and(|known| known.knows(&standing.id))
        });
        for talk in talks.difference(&here) {
            if !rerouted {
                self.unroute(talk, standing.clone(), now);
            } else if !self.hand_over(talk, &here, id) {
                let ended = Some(standing.ended.unwrap_or(Ending::Removed));
                self.unroute(talk, Standing { ended, ..standing.clone() }, now);
            } else {
                self.look_soon(talk, false, now);
            }
        }
        talks.extend(here);
        if let Some(alert) = self.alerts.get_mut(id) {
            alert.talks = talks;
        }
    }

    /// How an alert stands is said in one conversation.
    fn say(&mut self, lane: Lane, standing: Standing, now: Moment) -> ConversationId {
        let id = ConversationId { receiver: lane.receiver, group: lane.group };
        let talk = self.talks.entry(id.clone()).or_insert_with(Talk::new);
        talk.waits = lane.waits;
        talk.route = lane.path;
        let urgent = talk.is_urgent(&standing);
        talk.put(standing);
        self.look_soon(&id, urgent, now);
        id
    }

    /// An alert that ended, or whose routes lead elsewhere by now, is said to be so where it was told.
    fn unroute(&mut self, id: &ConversationId, standing: Standing, now: Moment) {
        let Some(talk) = self.talks.get_mut(id) else { return };
        talk.put(Standing { routed: standing.ended.is_some(), ..standing });
        self.look_soon(id, false, now);
    }

    /// Other routes lead to the same receiver in another conversation: that one goes on with what was told in this one.
    fn hand_over(&mut self, from: &ConversationId, to: &BTreeSet<ConversationId>, id: &AlertId) -> bool {
        let Some(to) = to.iter().find(|to| to.receiver == from.receiver) else { return false };
        let Some(mut old) = self.talks.remove(from) else { return false };
        let new = self.talks.get_mut(to);
        let adopted = new.is_some_and(|new| new.conversation.adopt(&mut old.conversation, id));
        if adopted {
            old.changed.remove(id);
        }
        self.talks.insert(from.clone(), old);
        adopted
    }

    fn look_soon(&mut self, id: &ConversationId, urgent: bool, now: Moment) {
        if self.talking.contains(id) {
            return;
        }
        let Some(talk) = self.talks.get_mut(id) else { return };
        let at_ms = talk.look_ms(urgent, now);
        if at_ms <= now.run_ms {
            self.talking.insert(id.clone());
        } else {
            self.plan_talk(id, Some(at_ms));
        }
    }

    fn plan_talk(&mut self, id: &ConversationId, at_ms: Option<u64>) {
        let Some(talk) = self.talks.get_mut(id) else { return };
        if at_ms.is_some_and(|at_ms| talk.planned_ms.is_none_or(|planned| at_ms < planned)) {
            talk.planned_ms = at_ms;
            self.plan(at_ms, Due::Talk(id.clone()));
        }
    }

    /// Looks at one conversation: a notice may follow.
    pub(super) fn talk(&mut self, id: &ConversationId, now: Moment) {
        let Some(talk) = self.talks.get_mut(id) else { return };
        let changed: Vec<Standing> = std::mem::take(&mut talk.changed).into_values().collect();
        (talk.looked_ms, talk.planned_ms) = (Some(now.run_ms), None);
        let notice = talk.conversation.change(&changed, &talk.waits, now);
        let (idle, mark) = (talk.conversation.is_idle(), talk.conversation.mark());
        let news = match idle {
            true => talk.kept.is_some() || notice.is_some(),
            false => {
                notice.is_some() || talk.kept.map_or(mark.0.is_some() || mark.1 > 0, |kept| kept != mark)
            }
        };
        if news {
            talk.kept = (!idle).then_some(mark);
            let kept = (!idle).then(|| Box::new(talk.conversation.saved(now)));
            self.keep(Keep::Conversation(id.clone(), kept));
        }
        if let Some(notice) = notice {
            self.notify(id, notice, now);
        }
        if idle {
            self.talks.remove(id);
        } else {
            self.plan_talk(id, mark.0.map(|due_ms| due_ms.max(now.run_ms + 1)));
        }
    }

    /// Keeps every conversation as it is now.
    pub(super) fn keep_talks(&mut self, now: Moment) {
        let mut kept = Vec::new();
        for (id, talk) in &mut self.talks {
            if !talk.conversation.is_idle() {
                talk.kept = Some(talk.conversation.mark());
                kept.push(Keep::Conversation(id.clone(), Some(Box::new(talk.conversation.saved(now)))));
            }
        }
        kept.into_iter().for_each(|kept| self.keep(kept));
    }

    fn notify(&mut self, id: &ConversationId, notice: Notice, now: Moment) {
        let firing = notice.firing.iter().map(|voiced| &voiced.id);
        let over = notice.resolved.iter().filter(|over| !over.again).map(|over| &over.id);
        let alerts = firing.chain(over).filter_map(|alert| self.view(alert, now)).collect();
        let telling = Telling { to: id.clone(), notice, alerts, at_ms: now.wall_ms };
        self.outputs.push(Output::Notify(Box::new(telling)));
    }
}
