//! The life of one simulated agent: reports are issued all the time, kept until they are acknowledged, and sent as the
//! protocol says: what Welcome does not know as backlog, then live.

use super::Habits;
use super::ledger::{Ledger, wall_ms};
use super::link::{Kept, Link, Whose};
use crate::dice::Dice;
use anyhow::Result;
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_wire::Boot;
use farol_wire::proto::{Ack, monitor_message};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

/// Starts whose reports are kept: with more of them an agent does not start anew.
const STARTS_KEPT: usize = 12;
/// Reports kept: an agent that has so many issues no more until some are acknowledged.
const KEPT_AT_MOST: usize = 20_000;
/// One report in so many tells of another status.
const STATUS_IN: u64 = 12;
/// A monitor asks for a new connection within a minute; the agents take the first part of it.
const RECONNECT_AT_MOST_MS: u64 = 1_500;
/// One reconnect in so many brings all that was not acknowledged, whatever Welcome says.
const STUBBORN_IN: u64 = 4;
/// An agent that issues nothing says so often how it is.
const RENEW_EVERY: Duration = Duration::from_millis(500);
const DAY_MS: u64 = 86_400_000;

pub(super) struct Agent {
    number: u32,
    habits: Habits,
    ledger: Arc<Ledger>,
    dice: Dice,
    /// The current one last; earlier ones for as long as something of them is not acknowledged.
    starts: VecDeque<Begun>,
    status: Status,
    seed: u64,
    /// Failures in a row.
    failures: u32,
}

/// A start, and what is not acknowledged of it.
struct Begun {
    whose: Whose,
    last_seq: u64,
    kept: VecDeque<Kept>,
}

/// Why a stream is left.
enum Left {
    /// It broke.
    Broken,
    /// The agent dies, and starts anew.
    Dies,
    /// The monitor wants it to connect anew.
    Asked,
}

impl Agent {
    pub(super) fn new(number: u32, habits: Habits, ledger: Arc<Ledger>, dice: Dice) -> Self {
        let seed = ledger.books().seed;
        let starts = VecDeque::new();
        Self { number, habits, ledger, dice, starts, status: Status::Healthy, seed, failures: 0 }
    }

    pub(super) async fn live(
        mut self,
        mut way: watch::Receiver<SocketAddr>,
        mut issuing: watch::Receiver<bool>,
    ) -> Result<()> {
        self.start();
        self.ledger.says(self.number, self.status);
        let offset = self.dice.millis(0..self.habits.every.as_millis() as u64 + 1);
        let mut ticks = interval_at(Instant::now() + offset, self.habits.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let to = *way.borrow_and_update();
            let left = match self.connect(to, &mut ticks, &issuing).await {
                Some(link) => self.speak(link, &mut ticks, &mut issuing).await.unwrap_or(Left::Broken),
                None => Left::Broken,
            };
            match left {
                Left::Asked => self.failures = 0,
                Left::Dies => {
                    self.failures = 0;
                    self.start();
                }
                Left::Broken => {
                    self.failures += 1;
                    let most = 40_u64 << self.failures.min(5);
                    let wait = sleep(self.dice.millis(most / 4..most));
                    self.meanwhile(wait, &mut ticks, &issuing).await;
                }
            }
        }
    }

    /// A new start: what the last one left is in its spool.
    fn start(&mut self) {
        let clock = self.starts.back().map(|begun| begun.whose.wall_offset_ms);
        let before = self.starts.back().map_or(0, |begun| begun.whose.boot.number);
        let number = u64::try_from(wall_ms()).unwrap_or(0).max(before + 1);
        let boot = Boot { number, nonce: self.dice.throw() };
        let start = self.ledger.begin(self.number, boot);
        let wall_offset_ms = clock.unwrap_or_else(|| self.wall_offset());
        let redefine_in = self.habits.redefine_in;
        let whose = Whose { seed: self.seed, agent: self.number, start, boot, wall_offset_ms, redefine_in };
        self.forget_finished();
        self.starts.push_back(Begun { whose, last_seq: 0, kept: VecDeque::new() });
    }

    /// The agent's wall clock minus its boot clock: true, or a lie.
    fn wall_offset(&mut self) -> i64 {
        let truth = wall_ms() - i64::try_from(boot_ms()).unwrap_or(0);
        if !self.habits.lying_clocks {
            return truth;
        }
        truth + i64::try_from(self.dice.within(0..2 * DAY_MS)).unwrap_or(0) - DAY_MS as i64
    }

    fn forget_finished(&mut self) {
        self.starts.retain(|begun| !begun.kept.is_empty());
    }

    fn current(&mut self) -> &mut Begun {
        self.starts.back_mut().expect("an agent has a start")
    }

    /// The next report, if there is to be one.
    fn issue(&mut self) -> Option<Kept> {
        if self.starts.iter().map(|begun| begun.kept.len()).sum::<usize>() >= KEPT_AT_MOST {
            return None;
        }
        let changed = self.dice.once_in(STATUS_IN).then(|| {
            let all = [Status::Healthy, Status::Degraded, Status::Unhealthy];
            let now = self.status;
            *all.iter().filter(|status| **status != now).nth(self.dice.within(0..2) as usize).unwrap_or(&now)
        });
        if let Some(status) = changed {
            self.status = status;
            self.ledger.says(self.number, status);
        }
        let start = self.current().whose.start;
        let (seq, _) = self.ledger.issue(self.number, start);
        let kept = Kept { seq, at_ms: boot_ms(), changed };
        let current = self.current();
        current.last_seq = seq;
        current.kept.push_back(kept);
        Some(kept)
    }

    /// Waits, and goes on issuing.
    async fn meanwhile<T>(
        &mut self,
        what: impl Future<Output = T>,
        ticks: &mut Interval,
        issuing: &watch::Receiver<bool>,
    ) -> T {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return done,
                _ = ticks.tick() => if *issuing.borrow() { self.issue(); }
            }
        }
    }

    /// Opens a stream up to the end of the backlog.
    async fn connect(
        &mut self,
        to: SocketAddr,
        ticks: &mut Interval,
        issuing: &watch::Receiver<bool>,
    ) -> Option<Link> {
        // With reports of an earlier start in the spool, whose times lean on it, the clock is left alone.
        if self.habits.lying_clocks && self.starts.len() == 1 {
            let lie = self.wall_offset();
            self.current().whose.wall_offset_ms = lie;
        }
        let (whose, current) = (self.current().whose, self.current().whose.boot);
        let boots = self.starts.iter().filter(|b| !b.kept.is_empty() || b.whose.boot == current);
        let boots = boots.map(|begun| begun.whose.boot).collect();
        let opened = self.meanwhile(Link::open(to, whose, boots), ticks, issuing).await;
        let (mut link, welcome) = opened.ok()?;
        let (as_of, status) = (self.current().last_seq, self.status);
        let resume = |agent: &mut Self| welcome.resume.iter().for_each(|ack| agent.acknowledged(ack, false));
        // Now and then it does not listen to Welcome: what comes again must change nothing.
        let listens = !self.dice.once_in(STUBBORN_IN);
        if listens {
            resume(self);
        }
        link.introduce(&whose, as_of, status).await.ok()?;
        for begun in self.starts.iter().filter(|begun| !begun.kept.is_empty()) {
            let kept: Vec<Kept> = begun.kept.iter().copied().collect();
            self.ledger.sends(kept.len());
            link.backlog(&begun.whose, &kept).await.ok()?;
        }
        if !listens {
            resume(self);
        }
        Some(link)
    }

    /// Speaks live until the stream is left.
    async fn speak(
        &mut self,
        mut link: Link,
        ticks: &mut Interval,
        issuing: &mut watch::Receiver<bool>,
    ) -> Result<Left> {
        let mut until = None;
        issuing.mark_unchanged();
        let mut renewed = Instant::now();
        loop {
            let asked = async {
                match until {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = ticks.tick() => {
                    if !*issuing.borrow() {
                        self.renew(&link, &mut renewed).await?;
                        continue;
                    }
                    if self.dice.once_in(self.habits.start_in) && self.starts.len() < STARTS_KEPT {
                        return Ok(Left::Dies);
                    }
                    let ack_now = self.dice.once_in(self.habits.ack_now_in);
                    self.report(&mut link, ack_now).await?;
                }
                Ok(()) = issuing.changed() => {
                    // The last one for now: with it everything that waits is asked for.
                    let waits = self.starts.iter().any(|begun| !begun.kept.is_empty());
                    if !*issuing.borrow_and_update() && waits {
                        self.report(&mut link, true).await?;
                    }
                }
                answer = link.answer() => match answer? {
                    monitor_message::Kind::Ack(ack) => {
                        self.failures = 0;
                        self.acknowledged(&ack, true);
                    }
                    monitor_message::Kind::NeedKeyFrame(_) => link.begin_segment(),
                    monitor_message::Kind::Reconnect(reconnect) => {
                        let most = u64::from(reconnect.within_ms).clamp(1, RECONNECT_AT_MOST_MS);
                        until.get_or_insert(Instant::now() + self.dice.millis(0..most));
                    }
                    _ => {}
                },
                () = asked => return Ok(Left::Asked),
            }
        }
    }

    /// While no reports are issued it must not seem to be lost.
    async fn renew(&mut self, link: &Link, renewed: &mut Instant) -> Result<()> {
        if renewed.elapsed() < RENEW_EVERY {
            return Ok(());
        }
        *renewed = Instant::now();
        let (as_of, status) = (self.current().last_seq, self.status);
        link.state(as_of, status).await
    }

    async fn report(&mut self, link: &mut Link, ack_now: bool) -> Result<()> {
        let Some(kept) = self.issue() else { return Ok(()) };
        self.ledger.sends(1);
        let whose = self.current().whose;
        link.report(&whose, kept, ack_now).await
    }

    /// All of this start up to a number is committed.
    fn acknowledged(&mut self, ack: &Ack, by_ack: bool) {
        let Some(boot) = ack.boot.map(Boot::from) else { return };
        let Some(begun) = self.starts.iter_mut().find(|begun| begun.whose.boot == boot) else { return };
        while begun.kept.front().is_some_and(|kept| kept.seq <= ack.seq) {
            begun.kept.pop_front();
        }
        self.ledger.ack(self.number, begun.whose.start, ack.seq, by_ack);
    }
}
