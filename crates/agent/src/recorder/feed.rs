//! What a stream takes out of the record, in the order the protocol wants: the whole set and State, then the backlog,
//! then what is live. Decides nothing about connections.

use super::record::{MESSAGE_SPARE, Made, Record};
use super::{Now, Recorder, definitions, told};
use crate::catalog::Limits as CatalogLimits;
use crate::ring::{Next, Piece};
use farol_health::Snapshot;
use farol_wire::proto::{Dropped, Segment, State, agent_message};
use farol_wire::{Boot, Limits};

/// What a stream begins with.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Defines, State, and what was lost.
    pub(crate) messages: Vec<agent_message::Kind>,
    /// The backlog begins after this sequence number.
    pub(crate) cursor: u64,
}

/// The stream's end of the recorder. There is one stream at a time.
pub(crate) struct Feed<'r> {
    pub(crate) recorder: &'r Recorder,
    pub(crate) boot: Boot,
}

impl Feed<'_> {
    /// A monitor said Welcome: it knows all up to `mark`, so much of earlier boots, and takes so much. What was refused
    /// before is offered again: this may be another monitor, or the same one with other limits.
    pub(crate) fn open(
        &self,
        snapshot: &Snapshot,
        mark: u64,
        past: &[(Boot, u64)],
        limits: &Limits,
    ) -> Opening {
        self.recorder.to_spool.notify_one();
        let mut record = self.recorder.record.lock();
        record.ring.resume(mark, past);
        record.message_bytes = limits.max_message_bytes;
        record.fit(limits);
        record.forget_refusals();
        record.add_wanted();
        let shed = record.ring.shed_unfit(limits);
        if shed > 0 {
            tracing::warn!(
                segments = shed,
                "reports from before are over this monitor's limits; they are dropped"
            );
        }
        record.catalog.take_changes();
        let define = definitions::whole(&record.catalog);
        let chunk = definitions::CHUNK_BYTES.min(limits.max_message_bytes / 2);
        let mut messages: Vec<_> =
            definitions::pieces(define, chunk).into_iter().map(agent_message::Kind::Define).collect();
        messages.push(record.state(snapshot));
        messages.extend(record.dropped());
        (record.live, record.restart, record.asked, record.told_full) = (false, true, 0, false);
        Opening { messages, cursor: record.ring.acked() }
    }

    /// State as it is now, after what changed of the set; for a stream whose backlog still flows.
    pub(crate) fn state(&self, snapshot: &Snapshot) -> Vec<agent_message::Kind> {
        let mut record = self.recorder.record.lock();
        let mut messages = record.announce();
        messages.push(record.state(snapshot));
        messages.extend(record.dropped());
        messages
    }

    /// The next part of the backlog. Its last report asks for an acknowledgement when nothing follows it.
    pub(crate) fn backlog(&self, cursor: u64, budget: usize) -> Piece {
        let mut record = self.recorder.record.lock();
        let mut piece = record.ring.backlog(cursor, budget);
        match &mut piece {
            Piece::Chunk(chunk) if chunk.ends || record.wants_ack() => {
                let last = chunk.segments.last_mut().and_then(|segment| segment.reports.last_mut());
                last.into_iter().for_each(|report| report.ack_now = true);
                if chunk.boot == self.boot {
                    record.asked = chunk.last;
                }
            }
            Piece::Chunk(_) | Piece::Nothing => {}
            Piece::Wait(_) => self.recorder.to_spool.notify_one(),
        }
        piece
    }

    /// What was taken of it, as messages of at most so many bytes.
    pub(crate) fn messages(segments: Vec<Segment>, budget: usize) -> Vec<agent_message::Kind> {
        definitions::backlog(segments, budget)
    }

    /// The disk takes too long over the next part.
    pub(crate) fn give_up_reading(&self) {
        self.recorder.record.lock().ring.give_up_reading();
        self.recorder.to_spool.notify_one();
    }

    /// Goes live when the backlog is sent: the next report begins a segment. Gives what to say first (State, if reports
    /// were made since the last one) and where the live reports begin.
    pub(crate) fn go_live(
        &self,
        snapshot: &Snapshot,
        cursor: u64,
    ) -> Option<(Vec<agent_message::Kind>, u64)> {
        let mut record = self.recorder.record.lock();
        if record.ring.holds_after(cursor) {
            return None;
        }
        (record.live, record.restart) = (true, true);
        record.ring.go_live();
        let mut messages = record.announce();
        if record.ring.last() > record.stated {
            messages.push(record.state(snapshot));
        }
        Some((messages, record.ring.last()))
    }

    /// What follows on a live stream, preceded by what must be said before it.
    pub(crate) fn next(&self, cursor: u64) -> (Vec<agent_message::Kind>, Next) {
        let mut record = self.recorder.record.lock();
        let said = record.dropped();
        let mut next = record.ring.next(cursor);
        if let Next::Report(_, report) = &mut next
            && (report.ack_now || record.wants_ack())
        {
            report.ack_now = true;
            record.asked = report.seq;
        }
        (said, next)
    }

    /// Makes a report out of turn.
    pub(crate) fn report(&self, snapshot: &Snapshot, now: Now, made: Made) -> u64 {
        self.recorder.report(snapshot, now, made)
    }

    /// The monitor has committed all up to this one.
    pub(crate) fn acknowledge(&self, seq: u64) {
        self.recorder.record.lock().ring.acknowledge(seq);
        self.recorder.to_spool.notify_one();
    }

    /// The same of an earlier boot. False when it was not sent.
    pub(crate) fn acknowledge_past(&self, boot: Boot, seq: u64) -> bool {
        self.recorder.to_spool.notify_one();
        self.recorder.record.lock().ring.acknowledge_past(boot, seq)
    }

    /// Whether another stream must bring what this one does not.
    pub(crate) fn others_wait(&self) -> bool {
        self.recorder.record.lock().ring.others_wait()
    }

    /// Makes the last report: from here on nothing waits in memory alone.
    pub(crate) fn finish(&self, snapshot: &Snapshot, now: Now) -> u64 {
        self.recorder.record.lock().ring.finish();
        self.report(snapshot, now, Made::Last)
    }

    /// The monitor does not take these: they are retired, and what holds them is dropped.
    pub(crate) fn refuse(&self, series: &[u32], components: &[u32]) {
        let mut record = self.recorder.record.lock();
        record.refuse_series(series);
        record.refuse_components(components);
        record.ring.shed_where(|layout| {
            let define = layout.define();
            define.series.iter().any(|s| series.contains(&s.id))
                || define.components.iter().any(|c| components.contains(&c.id))
        });
        record.restart = true;
    }

    /// The stream is gone: changes of the set are told anew when the next one begins.
    pub(crate) fn close(&self) {
        let mut record = self.recorder.record.lock();
        record.live = false;
        record.ring.close();
        self.recorder.to_spool.notify_one();
    }

    /// The names of components; all when no id is given.
    pub(crate) fn names(&self, ids: &[u32]) -> Vec<String> {
        let record = self.recorder.record.lock();
        let known = record.catalog.components();
        known.filter(|(id, _)| ids.is_empty() || ids.contains(id)).map(|(_, c)| c.name.clone()).collect()
    }
}

impl Recorder {
    /// Makes a report and wakes the stream.
    pub(crate) fn report(&self, snapshot: &Snapshot, now: Now, made: Made) -> u64 {
        let seq = self.record.lock().report(snapshot, now, made);
        self.fresh.notify_one();
        self.to_spool.notify_one();
        seq
    }
}

impl Recorder {
    /// Makes a report out of turn, if it would say anything.
    pub(crate) fn report_news(&self, snapshot: &Snapshot, now: Now) {
        let mut record = self.record.lock();
        if record.has_news(snapshot, now.boot_ms) {
            record.report(snapshot, now, Made::Urgent);
            self.fresh.notify_one();
            self.to_spool.notify_one();
        }
    }
}

impl Record {
    /// Whether the ring is so full that its acknowledgement should not wait, and was not asked for yet.
    fn wants_ack(&self) -> bool {
        self.ring.is_half_full() && self.asked <= self.ring.acked()
    }

    /// Every component now.
    fn state(&mut self, snapshot: &Snapshot) -> agent_message::Kind {
        self.stated = self.ring.last();
        let id_of = |name: &str| self.tracked.get(name).map(|tracked| tracked.ids.component);
        let mut components: Vec<_> = told::reported(snapshot, id_of).collect();
        told::shorten(&mut components, self.message_bytes.saturating_sub(MESSAGE_SPARE));
        agent_message::Kind::State(State { as_of: self.ring.last(), components })
    }

    fn dropped(&mut self) -> Vec<agent_message::Kind> {
        let lost = self.ring.take_lost().into_iter();
        lost.map(|(boot, span)| {
            let (first, last) = (span.first, span.last);
            tracing::warn!(
                boot = boot.number,
                first,
                last,
                "reports are lost: ring and spool were full, or damaged"
            );
            agent_message::Kind::Dropped(Dropped {
                boot: Some(boot.into()),
                first: span.first,
                last: span.last,
            })
        })
        .collect()
    }

    /// Keeps to a monitor's limits.
    fn fit(&mut self, limits: &Limits) {
        let mine = CatalogLimits::default();
        let components = mine.components.min(limits.max_components);
        let series = mine.series.min(limits.max_series);
        let over = self.limit(CatalogLimits { series, components, sources: components, ..mine });
        if !over.is_empty() {
            let limit = limits.max_components;
            tracing::warn!(components = over.len(), limit, "the monitor takes no more components");
            self.refuse_components(&over);
        }
    }
}
