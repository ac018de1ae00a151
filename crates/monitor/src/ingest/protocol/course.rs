//! How far the reports of one boot are on this stream: what was handed in, what is committed, what to acknowledge.

use super::super::pace::Acks;
use crate::journal::Follower;
use crate::nudges::Nudges;
use farol_wire::{Boot, proto};
use std::sync::Arc;

/// One boot's reports on one stream.
pub(in crate::ingest) struct Course {
    boot: Boot,
    pub(in crate::ingest) follower: Follower,
    pub(in crate::ingest) acks: Acks,
    /// The last number handed to the journal.
    submitted: u64,
    /// A commit up to here wakes the stream: an acknowledgement is due then.
    awaited: u64,
}

impl Course {
    /// `resumed` is what Welcome told of this boot. What was committed since then, by the stream before, is still to be
    /// acknowledged: the agent sends it again.
    pub(super) fn new(boot: Boot, follower: Follower, resumed: u64, now_ms: u64) -> Self {
        let acks = Acks::new(resumed, now_ms);
        let submitted = follower.committed();
        Self { boot, follower, acks, submitted, awaited: u64::MAX }
    }

    /// Reports up to this one were taken by the journal.
    pub(in crate::ingest) fn took(&mut self, seq: u64) {
        self.submitted = self.submitted.max(seq);
    }

    /// What is to be acknowledged now. The stream is woken by the commit that makes the next one due.
    pub(super) fn due(&mut self, now_ms: u64, nudges: &Arc<Nudges>) -> Option<proto::Ack> {
        let mut due = None;
        loop {
            let committed = self.follower.committed();
            due = self.acks.due(committed, now_ms).or(due);
            self.acks.rest(committed, now_ms);
            let awaited = self.acks.next_seq();
            if self.awaited == awaited || self.follower.awaits(awaited, nudges) {
                self.awaited = awaited;
                return due.map(|seq| self.ack(seq));
            }
        }
    }

    /// Waits until all that was handed in is committed.
    pub(super) async fn all_committed(&self) {
        if self.submitted > 0 && !self.follower.is_broken() {
            self.follower.beyond(self.submitted - 1).await;
        }
    }

    /// What is committed, if it is any of this stream's business.
    pub(super) fn last_ack(&self) -> Option<proto::Ack> {
        let committed = self.follower.committed();
        (self.submitted > 0 && committed > 0 && !self.follower.is_broken()).then(|| self.ack(committed))
    }

    fn ack(&self, seq: u64) -> proto::Ack {
        proto::Ack { boot: Some(self.boot.into()), seq }
    }
}
