//! When a report is made: at each tick of the interval, offset by the agent's id so that a fleet does not speak all at
//! once, and at once when a status changed, at most 20 times a second. What it holds is the recorder's.

use crate::catalog::Row;
use crate::collect::{self, Collectors};
use crate::recorder::{Made, Now, Recorder};
use farol_health::Checker;
use farol_health::clock::boot_ms;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The first report does not wait for its turn: by then every check has run once.
const FIRST: Duration = Duration::from_secs(1);
/// Between two reports out of turn.
const URGENT_EVERY: Duration = Duration::from_millis(50);
/// A tick waits so long for the collectors; a file system whose device hangs then misses it.
const COLLECT_WITHIN: Duration = Duration::from_millis(250);

/// Makes the reports of one agent.
pub(crate) struct Reporter {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) checker: Checker,
    pub(crate) gatherer: Gatherer,
    /// As the monitor decided it.
    pub(crate) interval: watch::Receiver<Duration>,
    /// From the agent's id.
    pub(crate) offset: u64,
}

impl Reporter {
    /// Until `end`; the last report is the stream's.
    pub(crate) async fn run(mut self, end: CancellationToken) {
        let mut interval = *self.interval.borrow_and_update();
        let mut tick = Instant::now() + FIRST.min(interval);
        let mut ticked = false;
        let mut urgent: Option<Instant> = None;
        let mut last_urgent: Option<Instant> = None;
        // While the collectors are out for a tick: until when it waits for them.
        let mut gathering: Option<Instant> = None;
        loop {
            let urgent_at = urgent.unwrap_or(tick);
            let tick_at = gathering.unwrap_or(tick);
            tokio::select! {
                biased;
                () = end.cancelled() => return,
                () = sleep_until(urgent_at), if urgent.is_some() => {
                    self.recorder.report_news(&self.checker.snapshot(), Now::read());
                    (urgent, last_urgent) = (None, Some(Instant::now()));
                }
                () = self.gatherer.gathered(&self.recorder), if gathering.is_some() => {
                    tick = self.tick(interval);
                    (gathering, ticked) = (None, true);
                }
                () = sleep_until(tick_at) => {
                    if gathering.take().is_some() {
                        self.gatherer.is_late();
                        tick = self.tick(interval);
                        ticked = true;
                    } else {
                        self.gatherer.begin();
                        gathering = Some(Instant::now() + COLLECT_WITHIN);
                    }
                }
                () = self.recorder.due.notified(), if urgent.is_none() => {
                    let now = Instant::now();
                    urgent = Some(last_urgent.map_or(now, |last| now.max(last + URGENT_EVERY)));
                }
                Ok(()) = self.interval.changed() => {
                    interval = *self.interval.borrow_and_update();
                    self.recorder.set_interval(interval);
                    let turn = Instant::now() + until_tick(boot_ms(), interval, self.offset);
                    // The first report does not wait for the agent's turn, whatever the monitor decides.
                    tick = if ticked { turn } else { tick.min(turn) };
                }
            }
        }
    }

    /// Makes the tick's report and says when the next one is due.
    fn tick(&self, interval: Duration) -> Instant {
        self.recorder.report(&self.checker.snapshot(), Now::read(), Made::Tick);
        Instant::now() + until_tick(boot_ms(), interval, self.offset)
    }
}

/// A number that is always the same for an id, and different for different ones.
pub(crate) fn offset_of(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// How long until the agent's next turn. One that is very near was just taken.
fn until_tick(now_ms: u64, interval: Duration, offset: u64) -> Duration {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let since = (now_ms % interval_ms + interval_ms - offset % interval_ms) % interval_ms;
    let left = interval_ms - since;
    Duration::from_millis(if left < interval_ms / 4 { left + interval_ms } else { left })
}

/// Runs the collectors where they may block.
pub(crate) struct Gatherer {
    config: collect::Config,
    /// At hand, or out in the task below.
    idle: Option<(Collectors, Row)>,
    out: JoinSet<(Collectors, Row, u64)>,
    /// They are late; said once.
    late: bool,
}

impl Gatherer {
    pub(crate) fn new(config: collect::Config) -> Self {
        Self { idle: Some((Collectors::new(&config), Row::new())), config, out: JoinSet::new(), late: false }
    }

    /// Begins to measure once. Those that hang are waited for at the next tick, and nothing is made up meanwhile.
    fn begin(&mut self) {
        if let Some((mut collectors, mut row)) = self.idle.take() {
            self.out.spawn_blocking(move || {
                collectors.collect(&mut row);
                (collectors, row, boot_ms())
            });
        }
    }

    /// Waits for the figures and records them. Nothing is lost when it is dropped before.
    async fn gathered(&mut self, recorder: &Recorder) {
        match self.out.join_next().await {
            Some(Ok((collectors, row, at_ms))) => {
                recorder.system(&row, at_ms);
                self.idle = Some((collectors, row));
                self.late = false;
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the collectors failed; they begin anew");
                self.idle = Some((Collectors::new(&self.config), Row::new()));
            }
            None => self.idle = Some((Collectors::new(&self.config), Row::new())),
        }
    }

    /// They did not come in time.
    fn is_late(&mut self) {
        if !std::mem::replace(&mut self.late, true) {
            tracing::warn!("this machine's figures take long; does a disk or a mount hang?");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_turn_is_its_own_part_of_the_interval_and_comes_once() {
        let ten = Duration::from_secs(10);
        for (now_ms, offset, expected_ms) in [
            (100_000, 3_000, 3_000),
            (100_000, 13_000, 3_000),
            (103_000, 3_000, 10_000),
            (0, 9_000, 9_000),
            (103_005, 3_000, 9_995),
            // Very near: that turn was just taken, woken a little early; the next one follows a whole interval later.
            (102_999, 3_000, 10_001),
            (0, u64::MAX, 11_615),
        ] {
            let wait = until_tick(now_ms, ten, offset);
            assert_eq!(wait.as_millis() as u64, expected_ms, "{now_ms} {offset}");
        }
        assert_ne!(offset_of("shop:payments-1"), offset_of("shop:payments-2"));
        assert_eq!(offset_of("a"), offset_of("a"));
    }

    #[tokio::test]
    async fn the_collectors_come_back_and_tell_their_figures() {
        let boot = farol_wire::Boot { number: 1, nonce: 1 };
        let recorder = Recorder::new(boot, 1 << 20, Duration::from_secs(10), &[]);
        let mut gatherer = Gatherer::new(collect::Config::default());
        for _ in 0..2 {
            gatherer.begin();
            gatherer.gathered(&recorder).await;
        }
        assert!(gatherer.idle.is_some());
        assert!(recorder.counts().series > 20, "{:?}", recorder.counts());
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_change_goes_out_at_once_while_a_collector_hangs_and_the_tick_comes_without_its_figures()
    {
        let ask = || std::future::ready(farol_health::Outcome::healthy());
        let check = farol_health::check_fn("test", ask);
        let checks = [farol_health::Registration::new(farol_health::Spec::new("database", "shop"), check)];
        let boot = farol_wire::Boot { number: 1, nonce: 1 };
        let recorder = Arc::new(Recorder::new(boot, 1 << 20, Duration::from_secs(10), &checks));
        let mut gatherer = Gatherer { idle: None, ..Gatherer::new(collect::Config::default()) };
        gatherer.out.spawn(std::future::pending());
        let (_decided, interval) = watch::channel(Duration::from_secs(10));
        let reporter = Reporter {
            recorder: Arc::clone(&recorder),
            checker: Checker::new(checks.to_vec(), Arc::new(())).unwrap(),
            gatherer,
            interval,
            offset: 0,
        };
        let mut running = JoinSet::new();
        running.spawn(reporter.run(CancellationToken::new()));
        tokio::time::sleep(FIRST + COLLECT_WITHIN / 4).await;
        assert_eq!(recorder.counts().reports, 0, "the tick waits for the collectors");
        recorder.look();
        tokio::time::sleep(COLLECT_WITHIN / 4).await;
        assert_eq!(recorder.counts().reports, 1, "what is urgent does not");
        tokio::time::sleep(COLLECT_WITHIN).await;
        assert_eq!(recorder.counts().reports, 2, "the tick goes without what hangs");
    }
}
