//! What the simulated agents issued, what was acknowledged to them, and what they said last. A report's payload follows
//! from its number, so that history can be compared value by value without keeping any.

use crate::dice::Dice;
use farol_health::Status;
use farol_wire::Boot;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// The books while agents write in them.
#[derive(Debug)]
pub struct Ledger {
    books: Mutex<Books>,
    /// Acknowledgements so far: each wakes who waits for one.
    acks: watch::Sender<u64>,
    /// Reports that went out on a connection, one that went out twice counted twice.
    sent: AtomicU64,
}

/// What was said, by the agents' numbers.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// What all payloads were made from.
    pub seed: u64,
    /// Each agent's.
    pub agents: Vec<Account>,
    /// Acknowledgements of what nobody issued, in words.
    pub strange: Vec<String>,
}

/// One agent's.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its starts, in order.
    pub starts: Vec<Start>,
    /// The status that it said last; `None` before the first.
    pub status: Option<Status>,
}

/// One start of an agent.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its boot.
    pub boot: Boot,
    /// When each report was issued, unix milliseconds; the first one's number is 1.
    pub issued_ms: Vec<i64>,
    /// The last number acknowledged.
    pub acked: u64,
}

/// Sums over all agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reports issued.
    pub issued: u64,
    /// Reports acknowledged.
    pub acked: u64,
    /// Reports that went out on a connection: one that is sent again counts again.
    pub sent: u64,
    /// Acknowledgements that came.
    pub acks: u64,
    /// Starts.
    pub starts: u64,
}

/// The two values of a report: where it stands, and a number that no other report has but by accident.
#[must_use]
pub fn payload(seed: u64, agent: u32, start: u32, seq: u64) -> [f64; 2] {
    let mark = Dice::apart(seed, u64::from(agent) << 40 | u64::from(start) << 24 | seq).throw() >> 32;
    [(u64::from(start) << 24 | seq) as f64, mark as f64]
}

/// Which start and which report a first value names.
pub(super) fn place(number: f64) -> (usize, u64) {
    let number = number as u64;
    ((number >> 24) as usize, number & 0xff_ffff)
}

/// An agent's id.
pub(super) fn id(number: u32) -> String {
    format!("oracle-{number}")
}

/// The number of the agent with this id.
pub(super) fn number(id: &str) -> Option<u32> {
    id.strip_prefix("oracle-")?.parse().ok()
}

/// This process's own wall clock, which nobody lies to.
pub(super) fn wall_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis())).unwrap_or(i64::MAX)
}

impl Books {
    /// Sums over all agents; what only a ledger counts is zero.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for start in self.agents.iter().flat_map(|account| &account.starts) {
            counts.issued += start.issued_ms.len() as u64;
            counts.acked += start.acked;
            counts.starts += 1;
        }
        counts
    }
}

impl Ledger {
    pub(super) fn new(seed: u64, agents: u32) -> Self {
        let account = || Account { starts: Vec::new(), status: None };
        let agents = (0..agents).map(|_| account()).collect();
        let books = Books { seed, agents, strange: Vec::new() };
        Self { books: Mutex::new(books), acks: watch::Sender::new(0), sent: AtomicU64::new(0) }
    }

    /// How many agents there are.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.books.lock().agents.len()
    }

    /// The books as they are now.
    #[must_use]
    pub fn books(&self) -> Books {
        self.books.lock().clone()
    }

    /// Sums over all agents.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let sent = self.sent.load(Ordering::Relaxed);
        Counts { acks: *self.acks.borrow(), sent, ..self.books.lock().counts() }
    }

    /// Acknowledgements as they come.
    #[must_use]
    pub fn acks(&self) -> watch::Receiver<u64> {
        self.acks.subscribe()
    }

    /// Agents that wait for acknowledgements: id, what is acknowledged of the start, what was issued.
    pub(super) fn unacknowledged(&self) -> Vec<(String, u64, usize)> {
        let books = self.books.lock();
        let waits = (0..).zip(&books.agents).filter_map(|(number, account)| {
            let start = account.starts.iter().find(|start| start.acked < start.issued_ms.len() as u64);
            match start {
                Some(start) => Some((id(number), start.acked, start.issued_ms.len())),
                None => account.starts.is_empty().then(|| (id(number), 0, 0)),
            }
        });
        waits.collect()
    }

    /// A new start; its place among the agent's.
    pub(super) fn begin(&self, agent: u32, boot: Boot) -> u32 {
        let starts = &mut self.books.lock().agents[agent as usize].starts;
        starts.push(Start { boot, issued_ms: Vec::new(), acked: 0 });
        starts.len() as u32 - 1
    }

    /// The next report is issued: its number and its values.
    pub(super) fn issue(&self, agent: u32, start: u32) -> (u64, [f64; 2]) {
        let mut books = self.books.lock();
        let seed = books.seed;
        let issued = &mut books.agents[agent as usize].starts[start as usize].issued_ms;
        issued.push(wall_ms());
        let seq = issued.len() as u64;
        (seq, payload(seed, agent, start, seq))
    }

    /// Reports are about to go out.
    pub(super) fn sends(&self, reports: usize) {
        self.sent.fetch_add(reports as u64, Ordering::Relaxed);
    }

    /// A status is about to be said.
    pub(super) fn says(&self, agent: u32, status: Status) {
        self.books.lock().agents[agent as usize].status = Some(status);
    }

    /// The monitor says that all up to this number is committed. `by_ack`: in an acknowledgement, not in Welcome.
    pub(super) fn ack(&self, agent: u32, start: u32, seq: u64, by_ack: bool) {
        let mut books = self.books.lock();
        let of = &mut books.agents[agent as usize].starts[start as usize];
        let issued = of.issued_ms.len() as u64;
        let before = of.acked;
        of.acked = before.max(seq.min(issued));
        let boot = of.boot.number;
        if seq > issued {
            let what = format!("{}: report {seq} of {boot} is acknowledged, {issued} were issued", id(agent));
            books.strange.push(what);
        } else if !by_ack && seq < before {
            let what =
                format!("{}: Welcome knows {boot} up to {seq}, and {before} was acknowledged", id(agent));
            books.strange.push(what);
        }
        drop(books);
        self.acks.send_modify(|acks| *acks += u64::from(by_ack));
    }
}
