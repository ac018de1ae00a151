//! Reports from before this connection. They change history and uptime, and nothing of now.

use super::defined::DefinedSet;
use super::protocol::{Open, blocks};
use super::{Counters, Ingest};
use crate::clock::Moment;
use crate::fleet::{Compiled, Effects};
use crate::journal::{Follower, Submitted};
use crate::store::{ComponentKey, Covered, ReportRecord, StatusChange};
use farol_series::Columns;
use farol_wire::{Boot, ComponentReport, component_report, proto};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::Status;

/// Takes a message of segments.
pub(super) fn take(
    ingest: &Ingest,
    open: &mut Open,
    message: proto::Backlog,
    now: Moment,
) -> Result<(), Status> {
    if !open.is_live() {
        return Err(invalid("a Backlog before State"));
    }
    for segment in message.segments {
        take_segment(ingest, open, segment, now)?;
    }
    Ok(())
}

fn take_segment(
    ingest: &Ingest,
    open: &mut Open,
    segment: proto::Segment,
    now: Moment,
) -> Result<(), Status> {
    let boot: Boot = segment.boot.ok_or_else(|| invalid("a segment without a boot"))?.into();
    if !open.hello.spooled.contains(&boot) {
        return Err(invalid("a segment of a boot that Hello did not name"));
    }
    // What is refused here was refused live, too, after the segment had begun: it is left out, the rest is kept.
    let mut set = DefinedSet::default();
    let (definition, refused) = farol_wire::define(segment.define.unwrap_or_default())?;
    set.add(definition, refused, &ingest.policy.load().limits)?;
    let (layout, is_new) = ingest.fleet.layouts.intern(set.layout());
    let mut new_layout = is_new.then(|| Arc::clone(&layout.layout));
    check_blocks(&layout, &set, &segment.reports)?;
    let follower = open.follower_of(ingest, boot);
    let mut history = History::default();
    for report in segment.reports {
        let at_ms = open.backlog_time(boot, report.at_ms, segment.wall_offset_ms, now);
        history.note(&report, at_ms);
        let record = ReportRecord {
            agent: open.agent.key,
            boot,
            seq: report.seq,
            layout: layout.layout.key,
            at_ms,
            key: report.key,
            blocks: blocks(&report, &set),
        };
        if report.ack_now && boot == open.hello.boot {
            open.acks.want(report.seq);
        }
        let seq = record.seq;
        match ingest.journal.report(&follower, record, new_layout.take(), report.ack_now) {
            Submitted::Taken if boot == open.hello.boot => open.submitted = open.submitted.max(seq),
            Submitted::Taken => {}
            Submitted::Duplicate => {
                Counters::add(&ingest.counters.duplicates, 1);
                history.forget_last();
            }
            Submitted::Dropped => return Ok(()),
        }
        Counters::add(&ingest.counters.reports, 1);
    }
    let effects = history.effects(open, &set);
    ingest.outlet.publish(&effects);
    Ok(())
}

/// A segment decodes by itself: tried here, so that history never meets one that does not.
fn check_blocks(layout: &Compiled, set: &DefinedSet, reports: &[proto::Report]) -> Result<(), Status> {
    let first = reports.first().ok_or_else(|| invalid("a segment without reports"))?;
    if !first.key {
        return Err(invalid("a segment that does not begin with a key frame"));
    }
    let mut columns: Vec<Option<Columns>> = vec![None; layout.sources.len()];
    if first.seq == 0 {
        return Err(invalid("sequence number 0"));
    }
    let mut next_seq = Some(first.seq);
    for report in reports {
        if Some(report.seq) != next_seq || (report.key && report.seq != first.seq) {
            return Err(invalid("a segment with a hole, or with a second key frame"));
        }
        next_seq = report.seq.checked_add(1);
        for block in report.blocks.iter().filter(|block| !set.is_muted(block.source)) {
            let at = layout.source(block.source).ok_or_else(|| {
                invalid(&format!("a block of source {}, which is not defined", block.source))
            })?;
            let encodings = &layout.sources[at].encodings;
            columns[at].get_or_insert_with(|| Columns::new(encodings.clone())).apply(&block.data).map_err(
                |e| invalid(&format!("the block of source {} cannot be decoded: {e}", block.source)),
            )?;
        }
    }
    Ok(())
}

/// What a segment tells of its components' past.
#[derive(Default)]
struct History {
    from_ms: Option<i64>,
    to_ms: i64,
    changes: Vec<(i64, ComponentReport)>,
    /// Where the last report's changes begin.
    last: usize,
}

impl History {
    fn note(&mut self, report: &proto::Report, at_ms: i64) {
        self.last = self.changes.len();
        self.from_ms.get_or_insert(at_ms);
        self.to_ms = at_ms;
        self.changes.extend(report.changed.iter().cloned().map(|s| (at_ms, component_report(s))));
    }

    fn forget_last(&mut self) {
        self.changes.truncate(self.last);
        self.from_ms =
            (self.to_ms > self.from_ms.unwrap_or(self.to_ms) || self.last > 0).then_some(self.to_ms);
    }

    fn effects(self, open: &Open, set: &DefinedSet) -> Effects {
        let Some(from_ms) = self.from_ms else { return Effects::default() };
        let live = open.agent.live.lock();
        let key_of = |id: u32| {
            set.component(id).map(|def| ComponentKey {
                agent: Arc::clone(&open.agent.id),
                service: live.service_name(&def.service),
                component: def.name.as_str().into(),
            })
        };
        let mut covered: BTreeMap<ComponentKey, Covered> = BTreeMap::new();
        let mut changes = Vec::new();
        for (at_ms, report) in self.changes {
            let Some(key) = key_of(report.id) else { continue };
            let whole = Covered { key: key.clone(), from_ms, to_ms: self.to_ms };
            covered.entry(key.clone()).or_insert(whole);
            changes.push(StatusChange {
                key,
                at_ms,
                status: Some(report.hard),
                maintenance: report.maintenance,
                stale: false,
                reason: report.reason.into(),
            });
        }
        Effects { changes, covered: covered.into_values().collect(), ..Effects::default() }
    }
}

impl Open {
    /// The progress of a boot; the current one's is at hand.
    fn follower_of(&mut self, ingest: &Ingest, boot: Boot) -> Arc<Follower> {
        if boot == self.hello.boot {
            return Arc::clone(&self.follower);
        }
        let key = self.agent.key;
        Arc::clone(self.backlog.entry(boot).or_insert_with(|| Arc::new(ingest.journal.follow(key, boot))))
    }

    /// When a report of the past was made. Times of an earlier boot lean on the agent's wall clock, less its skew.
    fn backlog_time(&self, boot: Boot, at_ms: u64, wall_offset_ms: i64, now: Moment) -> i64 {
        if boot == self.hello.boot {
            return self.told(now).map(at_ms).1;
        }
        let skew = i64::try_from(self.hello.wall_ms).unwrap_or(i64::MAX).saturating_sub(self.hello_wall_ms);
        let wall =
            i64::try_from(at_ms).unwrap_or(i64::MAX).saturating_add(wall_offset_ms).saturating_sub(skew);
        wall.min(now.wall_ms)
    }
}

fn invalid(why: &str) -> Status {
    Status::invalid_argument(why)
}
