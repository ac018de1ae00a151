//! What became of the reports of one boot: committed, in doubt, lost. Decides what dropping some of them means; not
//! which are dropped.

/// Sequence numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Span {
    pub(super) fn len(self) -> u64 {
        self.last - self.first + 1
    }
}

/// The fate of one boot's reports.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// Every report up to this one is committed.
    acked: u64,
    /// The last one given to the open stream; 0 while there is none.
    sent: u64,
    /// Dropped after it was given to the open stream; rising. As many at most as there are layouts to be refused.
    pub(super) doubtful: Vec<Span>,
    /// Dropped for good and not announced yet.
    pub(super) lost: Vec<Span>,
    /// All that was ever lost.
    lost_total: u64,
}

impl Fate {
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn lost_total(&self) -> u64 {
        self.lost_total
    }

    /// The open stream's monitor has committed all up to this one. False when it had before.
    pub(super) fn acknowledge(&mut self, seq: u64) -> bool {
        if seq <= self.acked {
            return false;
        }
        self.acked = seq;
        self.doubtful.retain(|span| span.last > seq);
        self.doubtful.iter_mut().for_each(|span| span.first = span.first.max(seq + 1));
        true
    }

    /// There is another stream: what was in doubt is decided.
    pub(super) fn resume(&mut self) {
        self.sent = 0;
        std::mem::take(&mut self.doubtful).into_iter().for_each(|span| self.lose(span));
    }

    /// Given to the open stream up to this one.
    pub(super) fn note_sent(&mut self, seq: u64) {
        self.sent = self.sent.max(seq);
    }

    /// These are held no longer. Says how many are not known to be committed.
    pub(super) fn shed(&mut self, first: u64, last: u64) -> u64 {
        let first = first.max(self.acked + 1);
        if first > last {
            return 0;
        }
        let sent = self.sent.min(last);
        if sent >= first {
            add(&mut self.doubtful, Span { first, last: sent });
        }
        if last > sent {
            self.lose(Span { first: first.max(sent + 1), last });
        }
        last - first + 1
    }

    fn lose(&mut self, span: Span) {
        self.lost_total += span.len();
        add(&mut self.lost, span);
    }

    /// What was lost since this was last asked: to be announced.
    pub(super) fn take_lost(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.lost)
    }

    /// Whether all is said and known of what was dropped.
    pub(super) fn is_settled(&self) -> bool {
        self.lost.is_empty() && self.doubtful.is_empty()
    }
}

/// Adds a span to rising ones that do not touch it; neighbours become one.
fn add(spans: &mut Vec<Span>, span: Span) {
    let at = spans.partition_point(|other| other.first < span.first);
    spans.insert(at, span);
    spans.dedup_by(|next, before| {
        let joins = before.last + 1 == next.first;
        if joins {
            before.last = next.last;
        }
        joins
    });
}
