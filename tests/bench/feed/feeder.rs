//! The thread that plays the agents: makes their reports and hands them over, at their rate or as fast as they are
//! taken. Its CPU is counted apart.

use super::inbox::{Inbox, framed};
use crate::clock::{now_ns, sleep_until};
use crate::tape::{Replay, Tape};
use anyhow::anyhow;
use farol_wire::proto::{AgentMessage, agent_message};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is due is looked for so often.
const LOOK_NS: u64 = 1_000_000;
/// A full inbox is looked at again after so long, flat out.
const AGAIN_NS: u64 = 100_000;
/// Flat out an agent still sends fewer messages than a monitor takes for abuse.
const REPORTS_A_SECOND_AT_MOST: u64 = 150;
/// Flat out so many reports wait for their commit at most: a journal with more drops them.
const UNCOMMITTED_AT_MOST: u64 = 20_000;
/// And what is committed is asked for after so many.
const ASK_EVERY: u64 = 256;
const SECOND: u64 = 1_000_000_000;

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Wait,
    Rate,
    FlatOut,
    Stop,
}

/// What the thread has done; every number only grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    pub(super) reports: u64,
    pub(super) samples: u64,
    pub(super) bytes: u64,
    /// Reports that were not handed over when they were due, because the one before was not taken.
    pub(super) late: u64,
    pub(super) cpu_ns: u64,
}

impl Work {
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            reports: self.reports - earlier.reports,
            samples: self.samples - earlier.samples,
            bytes: self.bytes - earlier.bytes,
            late: self.late - earlier.late,
            cpu_ns: self.cpu_ns - earlier.cpu_ns,
        }
    }
}

#[derive(Default)]
struct Shared {
    pace: AtomicU8,
    reports: AtomicU64,
    samples: AtomicU64,
    bytes: AtomicU64,
    late: AtomicU64,
    cpu_ns: AtomicU64,
}

/// How many reports are committed.
pub(super) type Committed = Box<dyn Fn() -> u64 + Send>;

/// The running thread.
pub(super) struct Feeder {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Feeder {
    pub(super) fn start(
        inboxes: Vec<Arc<Inbox>>,
        tape: Arc<Tape>,
        interval: Duration,
        committed: Committed,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let replays = (0..inboxes.len()).map(|number| Replay::new(&tape, number)).collect();
        let stride = stride(inboxes.len());
        let agents = Agents {
            inboxes,
            replays,
            tape,
            shared: Arc::clone(&shared),
            committed,
            waiting: None,
            next: 0,
            stride,
        };
        let thread =
            std::thread::Builder::new().name("feeder".to_owned()).spawn(move || agents.run(interval))?;
        Ok(Self { shared, thread })
    }

    pub(super) fn set(&self, pace: Pace) {
        self.shared.pace.store(pace as u8, Ordering::Release);
    }

    pub(super) fn work(&self) -> Work {
        let read = |of: &AtomicU64| of.load(Ordering::Acquire);
        let Shared { reports, samples, bytes, late, cpu_ns, .. } = &*self.shared;
        Work {
            reports: read(reports),
            samples: read(samples),
            bytes: read(bytes),
            late: read(late),
            cpu_ns: read(cpu_ns),
        }
    }

    /// Waits for its end; how many reports were handed over in all.
    pub(super) fn end(self) -> anyhow::Result<u64> {
        self.set(Pace::Stop);
        self.thread.join().map_err(|_| anyhow!("the feeding thread panicked"))?;
        Ok(self.shared.reports.load(Ordering::Acquire))
    }
}

struct Agents {
    inboxes: Vec<Arc<Inbox>>,
    replays: Vec<Replay>,
    tape: Arc<Tape>,
    shared: Arc<Shared>,
    committed: Committed,
    /// A report that was made and not taken yet, flat out, and whose.
    waiting: Option<usize>,
    /// Reports due so far.
    next: u64,
    stride: u64,
}

impl Agents {
    fn run(mut self, interval: Duration) {
        let each = (interval.as_nanos() as u64 / self.inboxes.len() as u64).max(1);
        let fastest = (SECOND / (self.inboxes.len() as u64 * REPORTS_A_SECOND_AT_MOST)).max(1);
        let (mut began, mut first, mut pace) = (now_ns(), 0, Pace::Wait);
        loop {
            let asked = self.pace();
            if asked != pace {
                (began, first, pace) = (now_ns(), self.next, asked);
            }
            let every = match pace {
                Pace::Wait => 0,
                Pace::Rate => each,
                Pace::FlatOut => fastest,
                Pace::Stop => return,
            };
            let due = (now_ns() - began).checked_div(every).map_or(0, |due| due + 1);
            let held = self.catch_up(first + due, pace);
            self.shared.cpu_ns.store(thread_cpu_ns(), Ordering::Release);
            sleep_until(now_ns() + if held { AGAIN_NS } else { LOOK_NS });
        }
    }

    /// Hands over what is due; true when one that was not taken holds up the rest.
    fn catch_up(&mut self, due: u64, pace: Pace) -> bool {
        while self.next < due && self.pace() == pace {
            if pace == Pace::FlatOut && self.next.is_multiple_of(ASK_EVERY) && self.is_ahead() {
                return true;
            }
            let agents = self.inboxes.len() as u64;
            let number = self.waiting.take().unwrap_or((self.next * self.stride % agents) as usize);
            if self.inboxes[number].is_full() {
                if pace == Pace::FlatOut {
                    self.waiting = Some(number);
                    return true;
                }
                self.shared.late.fetch_add(1, Ordering::AcqRel);
            } else {
                self.report(number);
            }
            self.next += 1;
        }
        false
    }

    /// Too many reports wait for their commit.
    fn is_ahead(&self) -> bool {
        let sent = self.shared.reports.load(Ordering::Acquire);
        sent > (self.committed)() + UNCOMMITTED_AT_MOST
    }

    fn report(&mut self, number: usize) {
        let (report, samples) = self.replays[number].next(&self.tape);
        let piece = framed(&[AgentMessage { kind: Some(agent_message::Kind::Report(report)) }]);
        let bytes = piece.len() as u64;
        self.inboxes[number].put(piece).expect("only this thread fills it");
        self.shared.samples.fetch_add(samples, Ordering::AcqRel);
        self.shared.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.shared.reports.fetch_add(1, Ordering::AcqRel);
    }

    fn pace(&self) -> Pace {
        let paces = [Pace::Wait, Pace::Rate, Pace::FlatOut, Pace::Stop];
        paces[usize::from(self.shared.pace.load(Ordering::Acquire)) % paces.len()]
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.shared.cpu_ns.store(thread_cpu_ns(), Ordering::Release);
    }
}

/// Neighbours in memory do not report one after the other: a step that meets every agent once in a round.
fn stride(agents: usize) -> u64 {
    let agents = agents as u64;
    let common = |a: u64, b: u64| {
        let (mut a, mut b) = (a, b);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (agents * 618 / 1_000..).find(|step| common(*step, agents) == 1).unwrap_or(1)
}

fn thread_cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * SECOND + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::stride;

    #[test]
    fn every_agent_has_its_turn_once_in_a_round() {
        for agents in [1, 2, 3, 10, 97, 1_000, 100_000] {
            let step = stride(agents);
            let mut met = vec![false; agents];
            (0..agents as u64).for_each(|n| met[(n * step % agents as u64) as usize] = true);
            assert!(met.iter().all(|met| *met), "{agents} {step}");
        }
    }
}
