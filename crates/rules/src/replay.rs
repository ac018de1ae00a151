//! The past told to the rules: the same book as live, with the time of what is told to it. Decides when it ticks; what is
//! told and what follows is decided where it is decided live.

mod meter;

pub use meter::Meter;

use crate::{
    Book, ConversationId, Labels, Moment, Notice, Observation, Orders, Output, Severity, Window,
    next_mute_change,
};

/// What is held back by something that changed is looked at with the next tick, which live comes so soon.
const TICK_MS: u64 = 250;

/// A notice that would have been sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// When, on the running clock.
    pub run_ms: u64,
    /// To whom, and about which group.
    pub to: ConversationId,
    /// What.
    pub notice: Notice,
    /// How bad each of the notice's alerts is and what it is called, the firing ones first, each in the notice's order.
    pub alerts: Vec<(Labels, Severity)>,
}

/// A book that lives through a past.
pub struct Replay {
    book: Book,
    /// Where in it.
    now: Moment,
    /// The first tick after something was seen, on the running clock.
    tick_ms: Option<u64>,
    /// When something that mutes begins or ends next, unix milliseconds.
    mute_ms: Option<i64>,
}

impl Replay {
    /// A past that begins now, with nothing known. A window that makes no sense is left out.
    #[must_use]
    pub fn new(orders: Orders, windows: &[Window], begin: Moment) -> Self {
        let mut book = Book::new(orders);
        for window in windows {
            // It was checked where it was read.
            drop(book.maintain(window.clone(), begin));
        }
        let mute_ms = next_mute_change(begin.wall_ms, book.silences(), book.windows());
        Self { book, now: begin, tick_ms: None, mute_ms }
    }

    /// The book, as it is where the past has come to.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Where the past has come to.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Time passes up to this moment, and then this is seen. A moment before the last one is the last one.
    pub fn observe(&mut self, at: Moment, observations: &[Observation]) -> Vec<Told> {
        let mut told = self.pass(at);
        self.book.observe(observations, self.now);
        self.tick_ms.get_or_insert(self.now.run_ms + TICK_MS);
        self.take(&mut told);
        told
    }

    /// Time passes: the book ticks whenever time alone may bring something. The wall clock goes as the running one
    /// does, and is set at the end.
    pub fn pass(&mut self, to: Moment) -> Vec<Told> {
        let mut told = Vec::new();
        let to = Moment { run_ms: to.run_ms.max(self.now.run_ms), wall_ms: to.wall_ms };
        let mut from_ms = self.now.run_ms;
        while let Some(run_ms) = self.next_ms(from_ms).filter(|run_ms| *run_ms <= to.run_ms) {
            let gone = i64::try_from(run_ms - self.now.run_ms).unwrap_or(i64::MAX);
            self.now = Moment { run_ms, wall_ms: self.now.wall_ms.saturating_add(gone) };
            self.tick(&mut told);
            // Whatever is due at once has been looked at.
            from_ms = run_ms + 1;
        }
        self.now = to;
        if self.mute_ms.is_some_and(|at_ms| at_ms <= to.wall_ms) {
            self.tick(&mut told);
        }
        told
    }

    fn tick(&mut self, told: &mut Vec<Told>) {
        self.tick_ms = None;
        self.book.tick(self.now);
        if self.mute_ms.is_some_and(|at_ms| at_ms <= self.now.wall_ms) {
            self.mute_ms = next_mute_change(self.now.wall_ms, self.book.silences(), self.book.windows());
        }
        self.take(told);
    }

    /// When to tick next, not before this.
    fn next_ms(&self, from_ms: u64) -> Option<u64> {
        let due_ms = self.book.due_ms();
        let mute_ms = self.mute_ms.map(|at_ms| {
            let ahead = at_ms.saturating_sub(self.now.wall_ms).max(0);
            self.now.run_ms.saturating_add(ahead.unsigned_abs())
        });
        [due_ms, self.tick_ms, mute_ms].into_iter().flatten().min().map(|at_ms| at_ms.max(from_ms))
    }

    fn take(&mut self, told: &mut Vec<Told>) {
        let (run_ms, begin) = (self.now.run_ms, told.len());
        told.extend(self.book.take().into_iter().filter_map(|output| match output {
            Output::Notify(telling) => Some(Told {
                at_ms: telling.at_ms,
                run_ms,
                alerts: telling.alerts.iter().map(|view| (view.labels.clone(), view.severity)).collect(),
                to: telling.to,
                notice: telling.notice,
            }),
            _ => None,
        }));
        // The book looks at the conversations of one moment in any order.
        told[begin..].sort_by(|a, b| a.to.cmp(&b.to));
    }
}

/// What would have been told of a past, in order of time, and in so much time after it in which nothing more is seen.
pub fn replay(
    orders: Orders,
    past: impl IntoIterator<Item = (Moment, Vec<Observation>)>,
    after_ms: u64,
) -> Vec<Told> {
    let mut replay: Option<Replay> = None;
    let mut told = Vec::new();
    for (at, seen) in past {
        let replay = replay.get_or_insert_with(|| Replay::new(orders.clone(), &[], at));
        told.extend(replay.observe(at, &seen));
    }
    if let Some(replay) = &mut replay {
        let Moment { run_ms, wall_ms } = replay.now();
        let after = i64::try_from(after_ms).unwrap_or(i64::MAX);
        let end = Moment { run_ms: run_ms.saturating_add(after_ms), wall_ms: wall_ms.saturating_add(after) };
        told.extend(replay.pass(end));
    }
    told
}

#[cfg(test)]
mod tests;
