//! One alert in the book: its elements, how bad they make it, and whether anybody is to hear of it.

use crate::output::{ConversationId, ElementId, ElementView, SavedAlert};
use crate::{AlertId, Ending, Labels, Moment, NAMED_AT_MOST, Rule, Severity};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// An alert: the elements of a rule that agree in its `by` labels.
#[derive(Default)]
pub(super) struct Alert {
    /// Its elements that are pending or firing.
    pub(super) parts: BTreeMap<ElementId, Part>,
    /// How many of them fire: as a warning, and critical.
    firing: [usize; 2],
    /// The most of them that fired at once, of this episode.
    pub(super) most: usize,
    /// Those that fired in this episode and do no more, as they were then, the last ones; so that an alert that is over
    /// can still be told with what was in it.
    pub(super) left: VecDeque<ElementView>,
    /// How many of those that fire somebody may hear of.
    audible: usize,
    /// How many of those that fire are held back.
    held: usize,
    /// Since when it fires, unix milliseconds; the last time that it did, once it ended.
    pub(super) episode_ms: Option<i64>,
    /// How bad it was when it was last looked at.
    pub(super) severity: Option<Severity>,
    /// Why and when it ended, unix milliseconds.
    pub(super) ended: Option<(Ending, i64)>,
    /// How the element that left last ended.
    pub(super) last_ending: Option<Ending>,
    /// When it is shown no more, on the running clock.
    pub(super) shown_until_ms: Option<u64>,
    /// Whether somebody could hear of it when it was last looked at.
    pub(super) was_audible: Option<bool>,
    /// It began and nobody could hear of it yet: what its rule starts is still to be started.
    pub(super) to_act: bool,
    /// The silence or maintenance window that muted it when that was last looked at.
    pub(super) muted_by: Option<String>,
    /// Its elements are to be looked at anew: what holds back or mutes has changed.
    pub(super) recheck: bool,
    /// The conversations that it is or was part of.
    pub(super) talks: BTreeSet<ConversationId>,
    /// The incident that it belongs to.
    pub(super) incident: Option<Arc<str>>,
    /// What its rule adds to its labels: kept, for its end may be told when the rule is gone.
    pub(super) rule_labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Other routes are in force than when it was last looked at.
    pub(super) rerouted: bool,
}

/// What an element is to its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// How bad, and since when; `None` while it is pending.
    pub(super) firing: Option<(Severity, i64)>,
    /// Neither held back nor muted.
    pub(super) audible: bool,
    /// It fires, and is held back.
    pub(super) held: bool,
}

impl Alert {
    /// An alert as it was kept.
    pub(super) fn restored(saved: &SavedAlert) -> Self {
        Self {
            episode_ms: Some(saved.episode_ms),
            severity: Some(saved.severity),
            ended: saved.ended,
            incident: saved.incident.clone(),
            was_audible: Some(!saved.quiet),
            muted_by: saved.muted_by.clone(),
            to_act: saved.to_act,
            rule_labels: saved.rule_labels.clone(),
            most: saved.most,
            left: saved.left.iter().cloned().collect(),
            // It may have been told under others.
            rerouted: true,
            ..Self::default()
        }
    }

    /// Takes over what an element is; `None` takes it out.
    pub(super) fn set(&mut self, id: &ElementId, part: Option<Part>) {
        let before = match part {
            Some(part) => self.parts.insert(id.clone(), part),
            None => self.parts.remove(id),
        };
        if let Some(before) = before {
            self.count(before, false);
        }
        if let Some(part) = part {
            self.count(part, true);
            if part.firing.is_some() {
                self.left.retain(|left| left.labels != id.labels);
            }
        }
        self.most = self.most.max(self.firing_count());
    }

    /// One that fired has left.
    pub(super) fn remember(&mut self, element: ElementView) {
        self.left.retain(|left| left.labels != element.labels);
        self.left.push_back(element);
        if self.left.len() > NAMED_AT_MOST {
            self.left.pop_front();
        }
    }

    fn count(&mut self, part: Part, more: bool) {
        let Some((severity, _)) = part.firing else { return };
        let add = |count: &mut usize| *count = if more { *count + 1 } else { count.saturating_sub(1) };
        add(&mut self.firing[severity as usize]);
        if part.audible {
            add(&mut self.audible);
        }
        if part.held {
            add(&mut self.held);
        }
    }

    /// How bad its elements make it; `None` where none fires.
    pub(super) fn worst(&self) -> Option<Severity> {
        match self.firing {
            [0, 0] => None,
            [_, 0] => Some(Severity::Warning),
            [_, _] => Some(Severity::Critical),
        }
    }

    /// How many of its elements fire.
    pub(super) fn firing_count(&self) -> usize {
        self.firing.iter().sum()
    }

    /// Whether any of its elements may be heard of.
    pub(super) fn any_audible(&self) -> bool {
        self.audible > 0
    }

    /// Whether everything of it that fires is held back.
    pub(super) fn is_held(&self) -> bool {
        self.held > 0 && self.held == self.firing_count()
    }

    /// It fires, as was last found.
    pub(super) fn is_firing(&self) -> bool {
        self.episode_ms.is_some() && self.ended.is_none()
    }

    /// As it is kept; `None` where there is nothing to keep.
    pub(super) fn saved(&self) -> Option<Box<SavedAlert>> {
        Some(Box::new(SavedAlert {
            episode_ms: self.episode_ms?,
            severity: self.severity?,
            ended: self.ended,
            incident: self.incident.clone(),
            rule_labels: self.rule_labels.clone(),
            quiet: self.was_audible == Some(false),
            muted_by: self.muted_by.clone(),
            to_act: self.to_act,
            most: self.most,
            // While it fires its elements are kept by themselves.
            left: self.left.iter().filter(|_| self.ended.is_some()).cloned().collect(),
        }))
    }
}

/// The alert that an element is part of.
pub(super) fn id_of(rule: &Rule, labels: &Labels) -> AlertId {
    let labels = match &rule.by {
        Some(by) => labels.only(by),
        None => labels.clone(),
    };
    AlertId { rule: Arc::clone(&rule.name), labels }
}

/// An alert's labels as routes, silences and receivers know them.
pub(super) fn labels_of(
    id: &AlertId,
    rule_labels: &BTreeMap<Arc<str>, Arc<str>>,
    severity: Severity,
) -> Labels {
    let own: [(Arc<str>, Arc<str>); 2] =
        [("alertname".into(), Arc::clone(&id.rule)), ("severity".into(), severity.as_str().into())];
    let with_rule = id.labels.with(rule_labels.iter());
    with_rule.with(own.iter().map(|(name, value)| (name, value)))
}

/// When an alert that ended is shown no more.
pub(super) fn shown_until_ms(now: Moment) -> u64 {
    now.run_ms + super::SHOWN_AFTER_END_MS
}
