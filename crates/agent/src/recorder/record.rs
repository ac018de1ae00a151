//! The record itself: makes reports out of what was measured and of how components stand. Pure but for its log lines;
//! times and snapshots are arguments.

use super::definitions;
use super::ticks::Ticks;
use super::told::{self, Tracked};
use super::{Counts, Now};
use crate::catalog::{Catalog, CheckSeries, Component, Limits, Row};
use crate::collect;
use crate::ring::{Layout, Ring};
use farol_health::{Checked, ComponentView, Registration, Snapshot, Status};
use farol_wire::Bitmap;
use farol_wire::proto::{Report, agent_message};
use prost::Message;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Left in each message for its frame and its short fields.
pub(super) const MESSAGE_SPARE: usize = 4 << 10;
/// Tag and length of a block in its report.
const BLOCK_FRAME: usize = 6;

/// Why a report is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// Its time has come: it takes the rows along.
    Tick,
    /// A status changed: it is short, the rows wait.
    Urgent,
    /// A key frame was asked for.
    Key,
    /// Nothing follows it.
    Last,
}

/// Catalog, waiting rows and ring of one agent.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) catalog: Catalog,
    pub(super) ring: Ring,
    ticks: Ticks,
    /// The components that are reported, by name.
    pub(super) tracked: HashMap<String, Tracked>,
    /// All that should be reported: what is refused once may be taken another time.
    wanted: Vec<(Component, u32)>,
    /// Names of components that the open stream's monitor does not take.
    refused: HashSet<String>,
    /// Components with a result since the last report.
    checked: BTreeSet<u32>,
    /// The collectors' source.
    system: Option<u32>,
    /// The set of the segment in progress, and the catalog's generation it was made at.
    layout: Option<(Arc<Layout>, u64)>,
    /// Components came or went: even a short report needs a new segment.
    pub(super) components_changed: bool,
    /// The next report begins a segment whatever else.
    pub(super) restart: bool,
    /// A live stream hears of changes of the set with each segment.
    pub(super) live: bool,
    /// The last State was taken after this report.
    pub(super) stated: u64,
    /// Up to this report an acknowledgement was asked for.
    pub(super) asked: u64,
    /// No message to the monitor may be longer.
    pub(super) message_bytes: usize,
    /// That the ring is full was said since the last stream began.
    pub(super) told_full: bool,
    /// Used again for each check's figures.
    row: Row,
}

impl Record {
    pub(super) fn new(catalog: Catalog, ring: Ring) -> Self {
        Self {
            catalog,
            ring,
            ticks: Ticks::default(),
            tracked: HashMap::new(),
            wanted: Vec::new(),
            refused: HashSet::new(),
            checked: BTreeSet::new(),
            system: None,
            layout: None,
            components_changed: false,
            restart: true,
            live: false,
            stated: 0,
            asked: 0,
            message_bytes: farol_wire::Limits::default().max_message_bytes,
            told_full: false,
            row: Row::new(),
        }
    }

    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.system = self.catalog.add_source(collect::SOURCE, millis(interval)).ok();
    }

    pub(super) fn set_checks(&mut self, checks: &[Registration]) {
        self.wanted = checks.iter().map(|r| (Component::from(r), millis(r.spec.interval))).collect();
        let wanted = |id: &u32, catalog: &Catalog| {
            let known = catalog.component(*id);
            known.is_some_and(|k| checks.iter().any(|r| r.spec.name == k.name && r.spec.service == k.service))
        };
        let gone: Vec<String> = self
            .tracked
            .iter()
            .filter(|(_, t)| !wanted(&t.ids.component, &self.catalog))
            .map(|(name, _)| name.clone())
            .collect();
        gone.iter().for_each(|name| self.remove(name));
        self.forget_refusals();
        self.add_wanted();
    }

    /// Defines what is wanted and not refused.
    pub(super) fn add_wanted(&mut self) {
        let before = self.catalog.generation();
        let mut full = None;
        for (component, interval_ms) in self.wanted.clone() {
            if self.refused.contains(&component.name) {
                continue;
            }
            let (service, name) = (component.service.clone(), component.name.clone());
            match self.catalog.add_component(component, interval_ms) {
                Ok(ids) => {
                    let known = self.tracked.get(&name).is_some_and(|t| t.ids == ids);
                    if !known {
                        let series = CheckSeries::new(service, name.as_str());
                        self.tracked.insert(name, Tracked::new(ids, series));
                    }
                }
                Err(error) => full = Some((name, error)),
            }
        }
        if let Some((name, error)) = full {
            tracing::warn!(component.name = name, %error, "not all components are reported");
        }
        self.components_changed |= self.catalog.generation() != before;
    }

    fn remove(&mut self, name: &str) {
        let Some(tracked) = self.tracked.remove(name) else { return };
        self.catalog.remove_component(tracked.ids.component);
        self.ticks.forget(tracked.ids.source);
        self.checked.remove(&tracked.ids.component);
        self.components_changed = true;
    }

    /// The monitor does not take these series.
    pub(super) fn refuse_series(&mut self, ids: &[u32]) {
        self.catalog.refuse(ids);
        self.ticks.realign(&self.catalog);
    }

    /// Keeps the catalog to these limits. The components that are over come back; they are still defined.
    pub(super) fn limit(&mut self, limits: Limits) -> Vec<u32> {
        let over = self.catalog.limit(limits);
        self.ticks.realign(&self.catalog);
        over
    }

    /// The monitor does not take these components.
    pub(super) fn refuse_components(&mut self, ids: &[u32]) {
        let names: Vec<String> = self
            .tracked
            .iter()
            .filter(|(_, t)| ids.contains(&t.ids.component))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.remove(&name);
            self.refused.insert(name);
        }
    }

    /// Another stream or another set of checks: what was refused may be taken now.
    pub(super) fn forget_refusals(&mut self) {
        self.refused.clear();
        self.catalog.forget_refusals();
    }

    pub(super) fn system(&mut self, row: &Row, at_ms: u64) {
        if let Some(source) = self.system {
            // A source that was removed meanwhile has nothing to say.
            self.ticks.add(&mut self.catalog, source, at_ms, row.samples()).ok();
        }
    }

    /// A check was run. Whether a report is due at once.
    pub(super) fn checked(&mut self, name: &str, result: &Checked) -> bool {
        let Some(tracked) = self.tracked.get_mut(name) else { return false };
        let urgent = tracked.is_urgent(result.hard, result.soft);
        if result.skipped {
            return urgent;
        }
        self.checked.insert(tracked.ids.component);
        self.row.clear();
        let outcome = &result.outcome;
        tracked.series.samples(outcome.status, result.response_time, &outcome.figures, &mut self.row);
        let source = tracked.ids.source;
        self.ticks.add(&mut self.catalog, source, result.at_ms, self.row.samples()).ok();
        urgent || self.ticks.are_many()
    }

    pub(super) fn is_urgent(&self, name: &str, hard: Status, soft: Status) -> bool {
        self.tracked.get(name).is_some_and(|tracked| tracked.is_urgent(hard, soft))
    }

    /// Whether a report out of turn would say anything.
    pub(super) fn has_news(&self, snapshot: &Snapshot, now_ms: u64) -> bool {
        let is_new = |view: &ComponentView| {
            self.tracked.get(&*view.name).is_some_and(|t| t.is_new(view, snapshot.draining, now_ms))
        };
        self.components_changed
            || self.ticks.are_many()
            || snapshot.components.iter().any(|view| is_new(view))
    }

    /// Makes a report and gives its sequence number.
    pub(super) fn report(&mut self, snapshot: &Snapshot, now: Now, made: Made) -> u64 {
        let with_rows = made != Made::Urgent || self.ticks.are_many();
        let other_set = self.layout.as_ref().is_none_or(|(_, at)| *at != self.catalog.generation());
        let key = self.restart
            || made == Made::Key
            || self.components_changed
            || self.ring.must_begin()
            || (with_rows && other_set && !self.ticks.is_empty());
        if key {
            self.begin(now, other_set);
        }
        let mut report = Report {
            seq: 0,
            at_ms: now.boot_ms,
            key,
            changed: self.changes(snapshot, key, now.boot_ms),
            checked: self.take_checked(),
            blocks: if with_rows { self.ticks.blocks(&self.catalog, now.boot_ms) } else { Vec::new() },
            ack_now: made == Made::Last,
            padding: Vec::new(),
        };
        self.shorten(&mut report);
        let (lost, seq) = (self.ring.lost_total(), self.ring.push(report));
        if self.ring.lost_total() > lost && !std::mem::replace(&mut self.told_full, true) {
            tracing::warn!(
                bytes = self.ring.bytes(),
                "ring and spool are full: the oldest reports are dropped"
            );
        }
        seq
    }

    /// Makes it fit into a message. Statuses take no more than half of one, so that the report can also go with its
    /// set, as backlog.
    fn shorten(&self, report: &mut Report) {
        let blocks: usize = report.blocks.iter().map(|block| block.encoded_len() + BLOCK_FRAME).sum();
        let rest = blocks + report.checked.len() + MESSAGE_SPARE;
        let room = (self.message_bytes / 2).min(self.message_bytes.saturating_sub(rest));
        told::shorten(&mut report.changed, room);
    }

    /// Begins a segment with the set as it is.
    fn begin(&mut self, now: Now, other_set: bool) {
        let layout = match &self.layout {
            Some((layout, _)) if !other_set => Arc::clone(layout),
            _ => Arc::new(Layout::new(&definitions::whole(&self.catalog))),
        };
        self.layout = Some((Arc::clone(&layout), self.catalog.generation()));
        self.ticks.begin(other_set);
        let announce = if self.live { self.announce() } else { Vec::new() };
        let wall_offset_ms = now.wall_ms.saturating_sub_unsigned(now.boot_ms);
        self.ring.begin(layout, wall_offset_ms, announce);
        (self.restart, self.components_changed) = (false, false);
    }

    /// What changed of the set since a stream last heard of it.
    pub(super) fn announce(&mut self) -> Vec<agent_message::Kind> {
        let changes = self.catalog.take_changes();
        definitions::changed(&self.catalog, &changes)
    }

    fn changes(
        &mut self,
        snapshot: &Snapshot,
        all: bool,
        now_ms: u64,
    ) -> Vec<farol_wire::proto::ComponentStatus> {
        let (tracked, checked) = (&mut self.tracked, &self.checked);
        let entry = |view: &Arc<ComponentView>| {
            let tracked = tracked.get_mut(&*view.name)?;
            let told = tracked.tell(view, snapshot.draining, all, now_ms);
            // Words come when they come: when one did is not to be guessed from the report's own time.
            let came = farol_checks::is_told(view.kind) && checked.contains(&tracked.ids.component);
            told.or_else(|| came.then(|| tracked.renewed(view, snapshot.draining))?)
        };
        snapshot.components.iter().filter_map(entry).collect()
    }

    /// Which components had a result, by their places among all ids.
    fn take_checked(&mut self) -> Vec<u8> {
        let mut bits = Bitmap::default();
        let mut checked = std::mem::take(&mut self.checked).into_iter().peekable();
        for (position, (id, _)) in self.catalog.components().enumerate() {
            while checked.peek().is_some_and(|c| *c < id) {
                checked.next();
            }
            if checked.peek() == Some(&id) {
                bits.set(position);
            }
        }
        bits.into_bytes()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            reports: self.ring.last(),
            acked: self.ring.acked(),
            unacked: self.ring.unacked(),
            lost: self.ring.lost_total(),
            ring_bytes: self.ring.bytes(),
            series: self.catalog.series_len(),
            samples_dropped: self.catalog.dropped() + self.ticks.dropped(),
        }
    }
}

/// As the wire has it.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
