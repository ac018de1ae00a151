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
    /// Dropped after it was given to the open stream, or not known to be committed; rising. As many at most as there are
    /// layouts to be refused.
    pub(super) doubtful: Vec<Span>,
    /// Dropped for good and not announced on the open stream.
    pub(super) lost: Vec<Span>,
    /// Announced on the open stream, when so many reports of the agent's own boot were made. The monitor has heard it
    /// when it acknowledges a later one.
    pub(super) told: Vec<(u64, Span)>,
    /// All that was ever lost.
    lost_total: u64,
}

/// What became of dropped reports, for those who come after this start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The next Welcome says whether they are committed.
    Doubtful,
    Certain,
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

    /// There is another stream. What was announced and perhaps not heard is announced again.
    pub(super) fn resume(&mut self) {
        self.sent = 0;
        std::mem::take(&mut self.told).into_iter().for_each(|(_, span)| add(&mut self.lost, span));
    }

    /// Its monitor said how much it knows: what was in doubt is decided. Says how many are lost.
    pub(super) fn decide(&mut self) -> u64 {
        let before = self.lost_total;
        std::mem::take(&mut self.doubtful).into_iter().for_each(|span| self.lose(span));
        self.lost_total - before
    }

    /// Given to the open stream up to this one.
    pub(super) fn note_sent(&mut self, seq: u64) {
        self.sent = self.sent.max(seq);
    }

    /// These are held no longer. Says how many are lost by that now; others are in doubt.
    pub(super) fn shed(&mut self, first: u64, last: u64) -> u64 {
        let before = self.lost_total;
        let first = first.max(self.acked + 1);
        let sent = self.sent.min(last);
        self.doubt(first, sent);
        let first = first.max(sent + 1);
        if first <= last {
            self.lose(Span { first, last });
        }
        self.lost_total - before
    }

    /// These are not held, and may be committed.
    pub(super) fn doubt(&mut self, first: u64, last: u64) {
        let first = first.max(self.acked + 1);
        if first <= last {
            add(&mut self.doubtful, Span { first, last });
        }
    }

    /// The start before has noted this and could not announce it.
    pub(super) fn inherit(&mut self, span: Span, was: Loss) {
        match was {
            Loss::Doubtful => add(&mut self.doubtful, span),
            Loss::Certain => add(&mut self.lost, span),
        }
    }

    /// What the next start must know.
    pub(super) fn dropped(&self) -> impl Iterator<Item = (Span, Loss)> {
        let lost = self.told.iter().map(|(_, span)| span).chain(&self.lost);
        let doubtful = self.doubtful.iter().map(|span| (*span, Loss::Doubtful));
        lost.map(|span| (*span, Loss::Certain)).chain(doubtful)
    }

    fn lose(&mut self, span: Span) {
        self.lost_total += span.len();
        add(&mut self.lost, span);
    }

    /// What is to be announced on the open stream, `made` reports of the agent's own boot after its start: so much of it
    /// at most.
    pub(super) fn take_lost(&mut self, made: u64, most: usize) -> Vec<Span> {
        let some: Vec<Span> = self.lost.drain(..most.min(self.lost.len())).collect();
        self.told.extend(some.iter().map(|span| (made, *span)));
        some
    }

    /// The monitor has what came on the stream up to this report of the agent's own boot.
    pub(super) fn heard(&mut self, seq: u64) {
        self.told.retain(|(made, _)| *made >= seq);
    }

    /// Whether all is said and known of what was dropped.
    pub(super) fn is_settled(&self) -> bool {
        self.lost.is_empty() && self.doubtful.is_empty() && self.told.is_empty()
    }

    pub(super) fn is_doubtful(&self) -> bool {
        !self.doubtful.is_empty()
    }
}

/// Adds a span to rising ones; those that touch or overlap become one.
fn add(spans: &mut Vec<Span>, span: Span) {
    let at = spans.partition_point(|other| other.first < span.first);
    spans.insert(at, span);
    spans.dedup_by(|next, before| {
        let joins = before.last + 1 >= next.first;
        if joins {
            before.last = before.last.max(next.last);
        }
        joins
    });
}
