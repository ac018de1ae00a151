//! A monitor restarts under many agents: all come back soon, not all at once, nobody is called silent, and probes are
//! answered meanwhile. The agents are the library as it is, each with its own waits.

use farol_tests::crowd::Crowd;
use farol_tests::prober::{Probed, Prober};
use farol_tests::stack::Stack;
use farol_tests::wait::until;
use std::time::Duration;
use tokio::time::Instant;

/// How the monitor ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Term,
    Kill,
}

/// Between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(20);
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// What was seen.
#[derive(Debug)]
struct Storm {
    /// From the new monitor's readiness until the last agent was there.
    back: Duration,
    /// Connections opened in each second since the first one after the restart.
    seconds: Vec<usize>,
    /// The shortest time in which half of them were opened.
    half: Duration,
    probed: Probed,
}

impl Storm {
    fn busiest_over_mean(&self) -> f64 {
        let mean = self.seconds.iter().sum::<usize>() as f64 / self.seconds.len().max(1) as f64;
        self.seconds.iter().copied().max().unwrap_or(0) as f64 / mean
    }

    fn judge(&self, agents: usize, end: End) {
        let Self { back, seconds, half, probed } = self;
        let (p50, p99) = (probed.quantile(0.5), probed.quantile(0.99));
        eprintln!(
            "{agents} agents, {end:?}: back after {back:?}; connects a second {seconds:?}, the busiest {:.2} times \
             the mean, half of them within {half:?}; {} probes, p50 {p50:?}, p99 {p99:?}, {} while nobody listened",
            self.busiest_over_mean(),
            probed.took.len(),
            probed.refused
        );
        assert!(*back <= BACK_WITHIN, "back after {back:?}");
        assert!(self.busiest_over_mean() <= 3.0, "{seconds:?}");
        // A few come back within a second or two: the mean alone would allow all of them at the same moment.
        assert!(*half >= Duration::from_millis(200), "half of them came within {half:?}");
        assert!(seconds.iter().sum::<usize>() < 3 * agents, "they hammer: {seconds:?}");
        // Agents, monitor and probes share the processors of one machine; a debug build leaves little of them.
        let most = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });
        assert!(p99 < most, "p99 {p99:?}");
    }
}

/// Restarts a monitor under so many agents.
async fn storm(agents: usize, interval: &str, end: End) -> Storm {
    let mut stack = Stack::start("").await.unwrap();
    let empty = stack.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut crowd = Crowd::default();
    for number in 0..agents {
        let config = format!(
            "name: crowd-{number}\nmonitors: [\"http://{}\"]\ninterval: {interval}\nhost_root: {}\nchecks:\n  \
             - {{name: heap, service: crowd, memory: {{}}, interval: 5s}}\n",
            stack.addresses().agents,
            empty.display()
        );
        crowd.add_deaf(&config).unwrap();
    }
    everyone(&stack, agents, agents).await;
    kept(&stack, agents).await;
    drop(crowd.arrivals());

    let probes = Prober::begin(stack.addresses().http, "/health/live", PROBE_EVERY);
    match end {
        End::Term => drop(stack.stop_monitor().await.unwrap()),
        End::Kill => stack.kill_monitor().await.unwrap(),
    }
    // What was opened while the old one went is not of the storm.
    drop(crowd.arrivals());
    stack.start_monitor().await.unwrap();
    let began = Instant::now();
    everyone(&stack, agents, 0).await;
    let back = began.elapsed();
    let probed = probes.count().await;
    let arrivals = crowd.arrivals();
    let mut seconds = Vec::new();
    for at in &arrivals {
        let second = (*at - arrivals[0]).as_secs() as usize;
        seconds.resize(seconds.len().max(second + 1), 0);
        seconds[second] += 1;
    }
    let lost = stack.history_of("agent_lost").await.unwrap();
    assert!(lost.is_empty(), "{lost:?}");
    let changes = stack.history_of("component_status").await.unwrap();
    assert!(changes.iter().all(|change| change["to"] != "unknown"), "{changes:?}");
    let reports = crowd.stop().await.unwrap();
    assert!(reports.iter().all(|report| report.code == 0));
    let half = arrivals.windows(arrivals.len() / 2).map(|half| half[half.len() - 1] - half[0]).min();
    Storm { back, seconds, half: half.unwrap_or_default(), probed }
}

/// Waits until all agents speak, and looks all the while that no more are shown as lost: those that never spoke are.
async fn everyone(stack: &Stack, agents: usize, lost_at_most: usize) {
    until("every agent is there", BACK_WITHIN, async || {
        let Ok(fleet) = stack.json("/api/v1/fleet").await else { return false };
        assert!(fleet["agents"]["lost"].as_u64().unwrap() <= lost_at_most as u64, "{fleet}");
        assert_eq!(fleet["components"]["stale"].as_u64().unwrap_or(0), 0, "{fleet}");
        fleet["agents"]["here"] == agents && fleet["agents"]["connected"] == agents
    })
    .await
    .unwrap();
}

/// Waits until every agent's component is healthy and a commit has come after that: a killed monitor knows all then.
async fn kept(stack: &Stack, agents: usize) {
    let mut healthy_at = None;
    until("everybody is known to the store", BACK_WITHIN, async || {
        let fleet = stack.json("/api/v1/fleet").await.unwrap();
        let time = |value: &serde_json::Value| value.as_str()?.parse::<jiff::Timestamp>().ok();
        if healthy_at.is_none() && fleet["components"]["healthy"] == agents {
            healthy_at = time(&fleet["at"]);
        }
        let committed_at = time(&fleet["store"]["last_commit_at"]);
        healthy_at.zip(committed_at).is_some_and(|(healthy, committed)| {
            committed.duration_since(healthy) > jiff::SignedDuration::from_millis(500)
        })
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_agents_come_back_to_a_killed_monitor_one_after_another_and_none_is_called_silent() {
    storm(200, "1s", End::Kill).await.judge(200, End::Kill);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_agents_come_back_to_a_monitor_that_was_stopped_in_order() {
    storm(200, "1s", End::Term).await.judge(200, End::Term);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "the long form; two minutes"]
async fn a_thousand_agents_come_back_to_a_restarted_monitor() {
    for end in [End::Kill, End::Term] {
        storm(1_000, "10s", end).await.judge(1_000, end);
    }
}
