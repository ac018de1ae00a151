//! Reports from before this connection. They change history and uptime, and nothing of now.

mod anew;

use super::defined::DefinedSet;
use super::pace::BACKLOG_UNIT;
use super::protocol::{Open, blocks};
use super::{Counters, Ingest};
use crate::clock::Moment;
use crate::fleet::{Compiled, Effects};
use crate::store::{ComponentKey, Covered, ReportRecord, StatusChange};
use farol_series::Columns;
use farol_wire::{Boot, ComponentDef, ComponentReport, Refused, component_report, proto};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// While the queue is crowded a message of a backlog waits so long at most, and all of them together for an interval
/// after the agent last spoke of now: behind them comes the State that says how it is. After that they are taken or
/// dropped, to come again.
const WAITS_AT_MOST: Duration = Duration::from_secs(10);

/// What comes before a message of segments may be taken; `None` when it may at once. What is of now goes first.
pub(super) fn turn(
    ingest: &Ingest,
    open: &mut Open,
    message: &proto::Backlog,
    now: Moment,
) -> Option<BoxFuture<'static, ()>> {
    let units = weight(message).div_ceil(BACKLOG_UNIT);
    let earned = Duration::from_millis(open.backlog_allowance.take_in_advance(units, now.boot_ms));
    let at_most = WAITS_AT_MOST.min(until_silent(open, now));
    if earned.is_zero() && (at_most.is_zero() || ingest.journal.has_room()) {
        return None;
    }
    let (room, by) = (ingest.journal.room(), Instant::now() + at_most);
    let turn = async move {
        tokio::time::sleep(earned).await;
        tokio::time::timeout_at(by, room).await.ok();
    };
    Some(turn.boxed())
}

/// How long until the agent has not spoken of now for an interval.
fn until_silent(open: &Open, now: Moment) -> Duration {
    let live = open.agent.live.lock();
    let until_ms = live.last_message_ms.saturating_add(u64::from(live.interval_ms));
    Duration::from_millis(until_ms.saturating_sub(now.run_ms))
}

/// What it takes to read and to keep it, in bytes.
fn weight(message: &proto::Backlog) -> u64 {
    const ENTRY: usize = 128;
    let of_report = |report: &proto::Report| {
        ENTRY * (1 + report.changed.len()) + report.blocks.iter().map(|block| block.data.len()).sum::<usize>()
    };
    let of_segment = |segment: &proto::Segment| {
        let defined = segment.define.as_ref().map_or(0, |all| all.series.len() + all.components.len());
        ENTRY * (1 + defined) + segment.reports.iter().map(of_report).sum::<usize>()
    };
    message.segments.iter().map(of_segment).sum::<usize>() as u64
}

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
    mut segment: proto::Segment,
    now: Moment,
) -> Result<(), Status> {
    let boot: Boot = segment.boot.ok_or_else(|| invalid("a segment without a boot"))?.into();
    if !open.hello.spooled.contains(&boot) {
        return Err(invalid("a segment of a boot that Hello did not name"));
    }
    let Some(set) = set_of(ingest, open, boot, &mut segment)? else { return Ok(()) };
    let follower = open.course_of(ingest, boot, now).follower.clone();
    let Some(layout) = ingest.layout(set.layout(), &mut open.new_sets, now)? else {
        ingest.journal.give_up(&follower);
        return Ok(());
    };
    check_blocks(&layout, &set, &segment.reports)?;
    let keys = keys(open, &set);
    open.arrived(boot, segment.reports.last(), now);
    let mut told = Vec::with_capacity(segment.reports.len());
    let mut records = Vec::with_capacity(segment.reports.len());
    let mut urgent = false;
    for mut report in segment.reports {
        let at_ms = open.backlog_time(boot, report.at_ms, segment.wall_offset_ms, now);
        if report.ack_now {
            open.course_of(ingest, boot, now).acks.want(report.seq);
        }
        urgent |= report.ack_now;
        told.push((report.seq, at_ms, std::mem::take(&mut report.changed)));
        records.push(ReportRecord {
            agent: open.agent.key,
            boot,
            seq: report.seq,
            layout: layout.layout.key,
            at_ms,
            key: report.key,
            blocks: blocks(&report, &set),
        });
    }
    // Until it is handed in no other stream takes the place: what that one sends would come in between.
    let agent = Arc::clone(&open.agent);
    let _place = open.place(&agent)?;
    let known = ingest.journal.queued(&follower);
    anew::begin(&layout, &mut records, known);
    let (opened, current) = (open.opened, open.hello.boot);
    let last = &mut open.past;
    let handed = ingest.journal.segment(&follower, records, urgent, |taken| {
        let mut past = Past::default();
        for (at, (seq, at_ms, changed)) in told.into_iter().enumerate().take(taken.end) {
            if taken.contains(&at) {
                past.tell(last.since(boot, seq, at_ms), at_ms, changed);
            }
            *last = Last { boot: Some(boot), seq, at_ms };
        }
        past.end_at(opened, last.leads_to(current, opened.as_of));
        past.effects(&keys)
    });
    if !handed.taken.is_empty() {
        let seq = open.past.seq;
        open.course_of(ingest, boot, now).took(seq);
    }
    Counters::add(&ingest.counters.reports, handed.taken.end);
    Counters::add(&ingest.counters.duplicates, handed.taken.start);
    Ok(())
}

/// The set of a segment, with what came of it before; `None` where there are no reports yet: it is another part. What
/// is refused of it is left out, the rest is kept; it is counted, and logged once a stream.
fn set_of(
    ingest: &Ingest,
    open: &mut Open,
    boot: Boot,
    segment: &mut proto::Segment,
) -> Result<Option<DefinedSet>, Status> {
    let parts = open.parts.take().filter(|(of, _)| *of == boot);
    let mut set = parts.map(|(_, set)| set).unwrap_or_default();
    let is_part = segment.reports.is_empty() && segment.define.is_some();
    let (definition, refused) = farol_wire::define(segment.define.take().unwrap_or_default())?;
    let refused = set.add(definition, refused, &ingest.policy.load().limits)?;
    Counters::add(&ingest.counters.definitions_refused, refused.len());
    if let Some(first) = refused.first().filter(|_| !std::mem::replace(&mut open.backlog_refused, true)) {
        let (Refused::Series { why, .. } | Refused::Component { why, .. }) = first;
        let (agent, refused) = (&*open.agent.id, refused.len());
        tracing::warn!(agent.id = agent, refused, reason = why, "definitions of a backlog are refused");
    }
    if is_part {
        open.parts = Some((boot, set));
        return Ok(None);
    }
    Ok(Some(set))
}

/// The components of a set as history knows them, by their ids.
fn keys(open: &Open, set: &DefinedSet) -> BTreeMap<u32, ComponentKey> {
    let live = open.agent.live.lock();
    let key = |def: &ComponentDef| ComponentKey {
        agent: Arc::clone(&open.agent.id),
        service: live.service_name(&def.service),
        component: def.name.as_str().into(),
    };
    set.components().iter().map(|def| (def.id, key(def))).collect()
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

/// The last report of the backlog so far: between it and the next one nothing changed, or that one would say so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    boot: Option<Boot>,
    seq: u64,
    at_ms: i64,
}

impl Last {
    /// From when on a report tells how its components were: from the one before it, where that is known.
    fn since(self, boot: Boot, seq: u64, at_ms: i64) -> i64 {
        let follows = self.boot == Some(boot) && self.seq.checked_add(1) == Some(seq);
        if follows { self.at_ms.min(at_ms) } else { at_ms }
    }

    /// Whether nothing is missing between it and a State that was taken after this number.
    fn leads_to(self, boot: Boot, as_of: u64) -> bool {
        self.boot == Some(boot) && self.seq >= as_of
    }
}

/// The first State of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opened {
    /// The last number given out when it was taken.
    pub(super) as_of: u64,
    /// When it came, on the monitor's wall clock.
    pub(super) at_ms: i64,
}

/// What a segment tells of its components' past, reports that were known already left out.
#[derive(Default)]
struct Past {
    /// The time that it covers, for all components of its set: who is not named did not change.
    covers: Option<(i64, i64)>,
    /// It leads up to State, which told the rest.
    up_to_state: bool,
    changes: Vec<(i64, ComponentReport)>,
}

impl Past {
    fn tell(&mut self, since_ms: i64, at_ms: i64, changed: Vec<proto::ComponentStatus>) {
        let from_ms = self.covers.map_or(since_ms, |(from_ms, _)| from_ms);
        self.covers = Some((from_ms, at_ms));
        self.changes.extend(changed.into_iter().map(|status| (at_ms, component_report(status))));
    }

    /// From the stream's first State on, statuses are told live. A backlog that leads up to it covers all until then.
    fn end_at(&mut self, opened: Opened, leads_to_it: bool) {
        self.up_to_state = leads_to_it;
        if let Some((_, to_ms)) = &mut self.covers {
            *to_ms = if leads_to_it { opened.at_ms } else { opened.at_ms.min(*to_ms) };
        }
    }

    fn effects(self, keys: &BTreeMap<u32, ComponentKey>) -> Effects {
        let Some((from_ms, to_ms)) = self.covers else { return Effects::default() };
        let stale_after = !self.up_to_state;
        let changes = self.changes.into_iter().filter_map(|(at_ms, report)| {
            Some(StatusChange {
                key: keys.get(&report.id)?.clone(),
                at_ms,
                status: Some(report.hard),
                maintenance: report.maintenance,
                muted: false,
                stale: false,
                reason: report.reason.into(),
            })
        });
        let covered = |key: &ComponentKey| Covered { key: key.clone(), from_ms, to_ms, stale_after };
        Effects {
            changes: changes.collect(),
            covered: keys.values().map(covered).collect(),
            ..Effects::default()
        }
    }
}

impl Open {
    /// A report of this boot that is here cannot be made later: the clock is mapped by what it tells.
    fn arrived(&mut self, boot: Boot, newest: Option<&proto::Report>, now: Moment) {
        if let Some(report) = newest.filter(|_| boot == self.hello.boot) {
            self.clock.arrived(report.at_ms, now.boot_ms);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: Boot = Boot { number: 7, nonce: 7 };

    /// What reports with these numbers and times cover, up to a State of 1 000 ms taken after report 5.
    fn covered(mut last: Last, reports: &[(u64, i64)]) -> Option<(i64, i64)> {
        let mut past = Past::default();
        for (seq, at_ms) in reports {
            past.tell(last.since(BOOT, *seq, *at_ms), *at_ms, Vec::new());
            last = Last { boot: Some(BOOT), seq: *seq, at_ms: *at_ms };
        }
        past.end_at(Opened { as_of: 5, at_ms: 1_000 }, last.leads_to(BOOT, 5));
        past.covers
    }

    #[test]
    fn a_backlog_covers_from_the_report_before_it_to_its_last_or_to_the_state_it_leads_to() {
        let none = Last::default();
        let third = Last { boot: Some(BOOT), seq: 3, at_ms: 300 };
        for (last, reports, expected) in [
            (none, &[(2, 200), (3, 300)][..], (200, 300)),
            (third, &[(4, 400)], (300, 400)),
            (third, &[(4, 400), (5, 500)], (300, 1_000)),
            // A hole, and another boot: nothing is known of the time between.
            (third, &[(5, 500)], (500, 1_000)),
            (Last { boot: Some(Boot { number: 6, ..BOOT }), ..third }, &[(4, 400)], (400, 400)),
            // Made after State: told live in the meantime.
            (third, &[(4, 400), (5, 500), (6, 1_200)], (300, 1_000)),
            (third, &[(4, 1_100)], (300, 1_000)),
        ] {
            assert_eq!(covered(last, reports), Some(expected), "{last:?} {reports:?}");
        }
        assert_eq!(covered(third, &[]), None);
    }
}
