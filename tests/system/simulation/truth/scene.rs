//! Runs one history and compares what was sent with what the table says. A line of the table is a time in seconds,
//! within which the notice must have been decided, and the notice in short: why, and `+` an alert that fires or `-` one
//! that ended and how, both sorted.

use super::super::hosts::MonitorSeat;
use super::super::network::Epoch;
use super::pod::Pod;
use farol_health::Status;
use farol_health::clock::wall_ms;
use farol_monitor::notify::{AlertWord, NoticeRecord, Verdict};
use farol_monitor::store::DocumentKind;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use turmoil::{Builder, Sim};

const MONITOR: &str = "monitor";
/// Hosts take turns of this length.
const TURN: Duration = Duration::from_millis(100);

/// A line of the table.
pub(super) type Told = (RangeInclusive<i64>, &'static str);

/// A fleet, and what becomes of it.
pub(super) struct Scene {
    sim: Sim<'static>,
    epoch: Epoch,
    monitor: Arc<MonitorSeat>,
    pods: Vec<Arc<Pod>>,
    folder: TempDir,
    /// What the wall clock showed when it began.
    begun_ms: Arc<AtomicI64>,
}

impl Scene {
    /// So many pods `pod-0`, …, all well, with these rules beside the shipped ones and further lines of the monitor's
    /// configuration.
    pub(super) fn begin(pods: usize, rules: &str, further: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.yaml");
        std::fs::write(
            &file,
            if rules.is_empty() { "rules: []".to_owned() } else { format!("rules:\n{rules}") },
        )
        .unwrap();
        let config = format!(
            "rules: [\"{}\"]\nreceivers: {{ops: {{log: {{}}}}}}\nroute: {{receiver: ops, group_interval: 1m}}\n{further}",
            file.display()
        );
        let mut sim = Builder::new()
            .rng_seed(7)
            .tick_duration(TURN)
            .simulation_duration(Duration::from_secs(4 * 3_600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(20))
            .tcp_capacity(4_096)
            .build();
        let epoch = Epoch::next();
        let monitor = MonitorSeat::with(epoch, folder.path().to_owned(), &config);
        let begun_ms = Arc::new(AtomicI64::new(0));
        let (seat, begun) = (Arc::clone(&monitor), Arc::clone(&begun_ms));
        sim.host(MONITOR, move || {
            let (seat, begun) = (Arc::clone(&seat), Arc::clone(&begun));
            async move {
                epoch.join().await;
                let elapsed = turmoil::sim_elapsed().expect("called in the simulation");
                begun.store(wall_ms() - i64::try_from(elapsed.as_millis())?, Ordering::Relaxed);
                seat.run().await
            }
        });
        let mut scene = Self { sim, epoch, monitor, pods: Vec::new(), folder, begun_ms };
        (0..pods).for_each(|_| scene.join());
        scene
    }

    /// One more pod.
    pub(super) fn join(&mut self) {
        let pod = Pod::new(format!("pod-{}", self.pods.len()), self.epoch, self.folder.path().to_owned());
        self.pods.push(Arc::clone(&pod));
        self.sim.host(pod.name().to_owned(), move || Arc::clone(&pod).run(MONITOR));
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    /// Lets time pass up to this second.
    pub(super) fn until(&mut self, second: u64) {
        while self.now_ms() < second * 1_000 {
            self.sim.step().unwrap();
        }
    }

    pub(super) fn say(&self, pods: Range<usize>, status: Status) {
        self.pods[pods].iter().for_each(|pod| pod.say(status));
    }

    pub(super) fn measure(&self, pod: usize, load: Option<f64>) {
        self.pods[pod].measure(load);
    }

    /// The network between these pods and the monitor swallows everything.
    pub(super) fn cut(&mut self, pods: Range<usize>) {
        self.pods[pods].iter().for_each(|pod| self.sim.partition(pod.name(), MONITOR));
    }

    pub(super) fn heal(&mut self, pods: Range<usize>) {
        self.pods[pods].iter().for_each(|pod| self.sim.repair(pod.name(), MONITOR));
    }

    /// These pods get SIGTERM.
    pub(super) fn end(&mut self, pods: Range<usize>) {
        self.pods[pods].iter().for_each(|pod| pod.end());
    }

    pub(super) fn kill_pod(&mut self, pod: usize) {
        self.sim.crash(self.pods[pod].name());
    }

    pub(super) fn start_pod(&mut self, pod: usize) {
        self.sim.bounce(self.pods[pod].name());
    }

    pub(super) fn kill_monitor(&mut self) {
        self.sim.crash(MONITOR);
    }

    /// SIGTERM, and its end is waited for.
    pub(super) fn stop_monitor(&mut self) {
        self.monitor.end();
        let end_ms = self.now_ms() + 30_000;
        while self.sim.is_host_running(MONITOR) {
            assert!(self.now_ms() < end_ms, "the monitor does not end");
            self.sim.step().unwrap();
        }
    }

    pub(super) fn start_monitor(&mut self) {
        self.sim.bounce(MONITOR);
    }

    /// What the ledger says was sent, by second; nothing waits.
    pub(super) fn heard(&self) -> Vec<(i64, String)> {
        let store = Arc::clone(&self.monitor.store.lock());
        let due = store.documents_of(DocumentKind::Due);
        assert!(due.is_empty(), "{} notices wait", due.len());
        let read = |body: &[u8]| serde_json::from_slice::<NoticeRecord>(body).unwrap();
        let mut sent: Vec<_> =
            store.documents_of(DocumentKind::Notice).iter().map(|document| read(&document.body)).collect();
        sent.sort_by_key(|record| (record.message.at_ms, record.message.conversation.clone()));
        let begun_ms = self.begun_ms.load(Ordering::Relaxed);
        sent.iter().map(|record| ((record.message.at_ms - begun_ms) / 1_000, short(record))).collect()
    }

    /// Exactly this was sent.
    pub(super) fn told(&self, expected: &[Told]) {
        let told = self.heard();
        let is_it =
            |((at_s, told), (when, words)): (&(i64, String), &Told)| when.contains(at_s) && told == words;
        let same = told.len() == expected.len() && told.iter().zip(expected).all(is_it);
        let lines = |lines: Vec<String>| lines.join("\n");
        assert!(
            same,
            "sent was\n{}\nwhere there should have been\n{}",
            lines(told.iter().map(|told| format!("{told:?}")).collect()),
            lines(expected.iter().map(|told| format!("{told:?}")).collect())
        );
    }
}

/// A notice in short.
fn short(record: &NoticeRecord) -> String {
    assert_eq!(record.outcome, Verdict::Sent);
    let mut words: Vec<String> = record.message.alerts.iter().map(word).collect();
    words.sort_unstable();
    let held = match record.message.held_back {
        0 => String::new(),
        held => format!(", {held} held"),
    };
    format!(
        "{}: {}{held}",
        serde_json::to_value(record.message.why).unwrap().as_str().unwrap(),
        words.join(" ")
    )
}

/// An alert in short: its rule, what it is about and how many are in it; `!` when it is critical.
fn word(word: &AlertWord) -> String {
    let about = ["service", "component", "agent"]
        .iter()
        .filter_map(|label| word.labels.get(label).map(|value| &**value));
    let about: Vec<&str> = about.collect();
    let bad = if word.severity == farol_rules::Severity::Critical { "!" } else { "" };
    let how_many = match word.elements.total {
        0 | 1 => String::new(),
        many => format!("×{many}"),
    };
    let name = format!("{}({}){how_many}{bad}", word.rule, about.join(" "));
    match word.ended {
        Some(ended) => format!("-{name} {}", ended.as_str()),
        None => format!("+{name}"),
    }
}
