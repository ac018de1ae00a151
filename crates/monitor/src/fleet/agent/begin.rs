//! How an agent begins: as one that the monitor has just learned of, or as it was known when the monitor stopped. What
//! becomes of it then is not decided here.

use super::super::component::Component;
use super::super::planned::{Drains, Planned};
use super::super::step::Step;
use super::Live;
use super::losses::Losses;
use super::presence::{Presence, RESTORE_AT_MOST_MS, restore_grace_ms};
use super::samples::Samples;
use super::starts::Starts;
use super::watch::Watch;
use crate::clock::Moment;
use crate::store::{AgentRecord, ComponentRecord};
use farol_rules::Labels;
use farol_wire::Hello;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Live {
    /// An agent that the monitor has just learned of. It is lost until it speaks.
    pub(crate) fn new(hello: &Hello, planned: Arc<Planned>, now: Moment) -> Self {
        Self {
            role: hello.role,
            labels: Arc::new(hello.labels.clone()),
            version: hello.version.as_str().into(),
            scope: hello.scope.as_str().into(),
            interval_ms: hello.interval_ms,
            boot: hello.boot,
            skew_ms: 0,
            stream: None,
            spoke: false,
            is_forgotten: false,
            presence: Presence::Lost { since_ms: now.run_ms },
            lost_anew_ms: None,
            last_message_ms: now.run_ms,
            last_seen_ms: now.wall_ms,
            connected_ms: None,
            components: Vec::new(),
            told: Vec::new(),
            rule_labels: Labels::default(),
            told_lost: false,
            planned,
            drains: Drains::default(),
            by_id: BTreeMap::new(),
            order: Vec::new(),
            samples: Samples::default(),
            losses: Losses::default(),
            starts: Starts::default(),
            watch: Watch::default(),
            look_ms: u64::MAX,
            may_be_due_sooner: true,
        }
    }

    /// An agent as the monitor knew it when it stopped: it has a while to speak, and until then its statuses stand if they
    /// are young enough; if not, the next tick finds them stale. One that was lost then still is.
    pub(crate) fn restored(
        record: &AgentRecord,
        components: &[ComponentRecord],
        (planned, grace_ms): (Arc<Planned>, u64),
        now: Moment,
    ) -> Self {
        let AgentRecord { last_seen_ms, interval_ms, .. } = *record;
        let age = now.wall_ms.saturating_sub(last_seen_ms);
        let stands = (0..=RESTORE_AT_MOST_MS).contains(&age);
        let until_ms = now.run_ms + restore_grace_ms(interval_ms, grace_ms);
        let was_lost = !components.is_empty() && components.iter().all(|record| record.stale);
        let presence = if was_lost {
            Presence::Lost { since_ms: now.run_ms }
        } else {
            Presence::Restored { until_ms, stands }
        };
        let run_ms =
            |at: i64| now.run_ms.saturating_sub(now.wall_ms.saturating_sub(at).max(0).unsigned_abs());
        let components: Vec<Component> = components
            .iter()
            .map(|record| {
                let mut component = Component::restored(record, last_seen_ms, interval_ms);
                component.checked_run_ms = component.checked_wall_ms.map(run_ms);
                component
            })
            .collect();
        Self {
            role: record.role,
            labels: Arc::clone(&record.labels),
            version: Arc::clone(&record.version),
            scope: "".into(),
            interval_ms,
            boot: record.boot,
            skew_ms: 0,
            stream: None,
            spoke: true,
            is_forgotten: false,
            presence,
            lost_anew_ms: was_lost.then_some(until_ms),
            last_message_ms: run_ms(last_seen_ms),
            last_seen_ms,
            connected_ms: None,
            told: Vec::new(),
            rule_labels: Labels::default(),
            told_lost: false,
            planned,
            drains: Drains::default(),
            by_id: BTreeMap::new(),
            order: Vec::new(),
            samples: Samples::default(),
            losses: Losses::default(),
            starts: Starts::default(),
            watch: Watch::default(),
            look_ms: u64::MAX,
            may_be_due_sooner: true,
            components,
        }
    }

    /// Counts what was restored into the services. All of it was told before the monitor stopped.
    pub(crate) fn settle_restored(&mut self, id: &Arc<str>, step: &mut Step<'_>) {
        self.label(id);
        self.watch = Watch::of_past(&self.rule_labels);
        let draining = self.draining();
        self.told = self.components.iter().map(|c| (c.known(draining), None)).collect();
        self.told_lost = self.is_lost();
        self.components.iter_mut().for_each(|component| component.bad.lost = self.told_lost);
        self.recount(id, self.services(), step);
    }
}
