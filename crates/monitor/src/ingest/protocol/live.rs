//! Live reports: statuses and samples of now.

use super::super::Counters;
use super::super::defined::DefinedSet;
use super::{Ingest, Open, speaking};
use crate::clock::Moment;
use crate::fleet::{Effects, Event, EventKind, Reported, SampleError};
use crate::journal::Submitted;
use crate::store::{BlockRecord, ReportRecord};
use farol_wire::Bitmap;
use farol_wire::proto::{self, monitor_message};
use std::collections::VecDeque;
use std::sync::Arc;
use tonic::Status;

impl Open {
    pub(super) fn report(
        &mut self,
        ingest: &Ingest,
        mut report: proto::Report,
        outbox: &mut VecDeque<monitor_message::Kind>,
        now: Moment,
    ) -> Result<(), Status> {
        if !self.live {
            return Err(Status::invalid_argument("a Report before State"));
        }
        if report.seq <= self.last_seq {
            return Err(Status::invalid_argument(format!(
                "sequence number {} after {}: numbers must rise",
                report.seq, self.last_seq
            )));
        }
        self.last_seq = report.seq;
        self.map_clock(ingest, report.at_ms, now);
        let told = self.told(now);
        let bytes = report.blocks.iter().map(|block| block.data.len()).sum();
        self.keys.came(report.key, bytes, now.run_ms);
        if report.key {
            self.start_segment(ingest, now)?;
        }
        let decodable = self.apply_blocks(ingest, &report, outbox, now)?;
        let reported = Reported {
            changed: self.statuses(std::mem::take(&mut report.changed))?,
            checked: self.checked(std::mem::take(&mut report.checked))?,
        };
        let urgent = report.ack_now;
        if urgent {
            self.course.acks.want(report.seq);
        }
        ingest.fleet.report(&self.agent, self.link.number, reported, told, report.at_ms);
        Counters::add(&ingest.counters.reports, 1);
        Counters::add(&ingest.counters.blocks, report.blocks.len());
        // What a replaced stream could not apply comes again on the one that took its place; none takes it before the
        // report is handed in.
        let agent = Arc::clone(&self.agent);
        let _place = self.place(&agent)?;
        if let Some(record) = self.record(&report, told.map(report.at_ms).1, decodable) {
            self.submit(ingest, record, urgent);
        }
        Ok(())
    }

    /// Which components were checked. While the agent may count refused ones among them, nobody can tell.
    fn checked(&self, bytes: Vec<u8>) -> Result<Bitmap, Status> {
        let most = self.set.components_len().div_ceil(8);
        if self.set.has_refused_components() {
            return Ok(Bitmap::default());
        }
        if bytes.len() > most {
            return Err(Status::invalid_argument(format!(
                "`checked` has {} bytes; the {} components defined have {most}",
                bytes.len(),
                self.set.components_len()
            )));
        }
        Ok(Bitmap::from_bytes(bytes))
    }

    fn map_clock(&mut self, ingest: &Ingest, at_ms: u64, now: Moment) {
        let Some(by) = self.clock.heard(at_ms, now.boot_ms) else { return };
        let event = Event::new(EventKind::ClockMapped, now.wall_ms).agent(&self.agent.id).message(format!(
            "every report of a minute was more than {by} ms late: the clock is mapped anew"
        ));
        ingest.outlet.publish(&Effects { events: vec![event], ..Effects::default() }, now);
    }

    /// A key frame: the blocks from here on are made with the set as it is now. While the journal has no room for the
    /// set, they go nowhere; the agent is asked to connect anew when it has.
    fn start_segment(&mut self, ingest: &Ingest, now: Moment) -> Result<(), Status> {
        if self.must_start || self.layout.is_none() {
            let Some(layout) = ingest.layout(self.set.layout(), &mut self.new_sets, now)? else {
                ingest.journal.give_up(&self.course.follower);
                (self.must_start, self.asked_for_key) = (true, true);
                return Ok(());
            };
            self.set.settle(Arc::clone(&layout));
            self.layout = Some(layout);
        }
        if let Some(layout) = &self.layout {
            speaking(&self.agent, &self.link)?.samples.start(Arc::clone(layout));
        }
        (self.must_start, self.asked_for_key) = (false, false);
        Ok(())
    }

    /// Applies the blocks; false when they must wait for a key frame, which is asked for once.
    fn apply_blocks(
        &mut self,
        ingest: &Ingest,
        report: &proto::Report,
        outbox: &mut VecDeque<monitor_message::Kind>,
        now: Moment,
    ) -> Result<bool, Status> {
        // Without a layout there is nothing to keep a report by, not even an empty one.
        if report.blocks.is_empty() && self.layout.is_some() {
            return Ok(!self.must_start);
        }
        let (told, rules) = (self.told(now), ingest.fleet.rules());
        let mut live = speaking(&self.agent, &self.link)?;
        let mut need_key = self.must_start;
        for block in report.blocks.iter().filter(|block| !self.set.is_muted(block.source)) {
            if need_key {
                break;
            }
            let ticked = told.map(report.at_ms.saturating_sub(block.before_ms));
            match live.apply(&rules, block.source, &block.data, ticked) {
                Ok(()) => {}
                Err(SampleError::NeedKeyFrame) => need_key = true,
                Err(hostile) => return Err(Status::invalid_argument(with_source(&hostile))),
            }
        }
        if need_key && !self.asked_for_key {
            self.asked_for_key = true;
            outbox.push_back(monitor_message::Kind::NeedKeyFrame(proto::NeedKeyFrame {}));
        }
        Ok(!need_key)
    }

    /// The report as the journal keeps it. Blocks that nobody can decode are left out.
    pub(in crate::ingest) fn record(
        &self,
        report: &proto::Report,
        at_ms: i64,
        decodable: bool,
    ) -> Option<ReportRecord> {
        let blocks = if decodable { blocks(report, &self.set) } else { Vec::new() };
        Some(ReportRecord {
            agent: self.agent.key,
            boot: self.hello.boot,
            seq: report.seq,
            layout: self.layout.as_ref()?.layout.key,
            at_ms,
            key: report.key,
            blocks,
        })
    }

    fn submit(&mut self, ingest: &Ingest, record: ReportRecord, urgent: bool) {
        let seq = record.seq;
        match ingest.journal.report(&self.course.follower, record, urgent) {
            Submitted::Taken => self.course.took(seq),
            Submitted::Duplicate => Counters::add(&ingest.counters.duplicates, 1),
            Submitted::Dropped => {}
        }
    }
}

/// The blocks as the journal keeps them, those of muted sources left out.
pub(in crate::ingest) fn blocks(report: &proto::Report, set: &DefinedSet) -> Vec<BlockRecord> {
    let readable = |block: &&proto::Block| !set.is_muted(block.source);
    report
        .blocks
        .iter()
        .filter(readable)
        .map(|b| BlockRecord {
            source: b.source,
            before_ms: u32::try_from(b.before_ms).unwrap_or(u32::MAX),
            data: b.data.clone(),
        })
        .collect()
}

fn with_source(error: &SampleError) -> String {
    match std::error::Error::source(error) {
        Some(source) if !error.to_string().contains(&source.to_string()) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
