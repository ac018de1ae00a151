//! The monitor is killed under its agents and comes back: what it says at once, how they return, and that nothing of
//! what it acknowledged is lost or counted twice.

use super::{Target, status_changes};
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_health::grpc::ServingStatus;
use farol_monitor::store::{Durability, Settings, SqliteStore, Store};
use farol_tests::crowd::Crowd;
use farol_tests::speaker::{Person, Speaker};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::{holds, until};
use farol_tests::watch::check;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

const AGENTS: usize = 50;
/// Long enough for several attempts of each agent.
const DOWN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_monitor_comes_back_with_every_status_and_every_acknowledged_report() {
    let target = Target::open().await;
    let mut stack =
        Stack::start("services: {crowd: {all: true}}\ngroups: {everyone: [crowd]}").await.unwrap();
    let mut crowd = Crowd::default();
    for number in 0..AGENTS {
        crowd.add(&config(&stack, &target, number)).unwrap();
    }
    until("all are healthy", SOON, async || everyone(&stack, "here").await == AGENTS).await.unwrap();
    until("the service is healthy", SOON, async || stack.service("crowd").await.unwrap() == "healthy")
        .await
        .unwrap();
    let mut voice = Voice::begin(&stack).await;
    voice.say_and_be_acknowledged(1..=20).await;
    let now = jiff::Timestamp::now();
    let (from, to) = (now - jiff::SignedDuration::from_secs(120), now);
    let asked =
        format!("/api/v1/history?metric=spoken_value&agent=voice&from={from}&to={to}&step=1s&reduce=last");
    let before = stack.items(&asked).await.unwrap();
    assert_eq!(before.len(), 1);

    stack.kill_monitor().await.unwrap();
    let gone = async || tokio::net::TcpStream::connect(stack.addresses().agents).await.is_err();
    holds("nobody listens", DOWN, gone).await.unwrap();
    stack.start_monitor().await.unwrap();
    // The first words after the start, before anyone can have come back.
    let first = stack.json("/health/services/crowd").await.unwrap();
    assert_eq!(first["status"], "healthy", "{first}");
    assert_eq!(stack.status("/health/services/crowd").await.unwrap(), 200);
    assert_eq!(stack.status("/health/groups/everyone").await.unwrap(), 200);
    let health = stack.addresses().health;
    for name in ["crowd", "group:everyone", "crowd/door@crowd-7"] {
        assert_eq!(check(health, name).await.unwrap(), ServingStatus::Serving, "{name}");
    }
    let restored = stack.component("crowd-7", "door").await.unwrap().unwrap();
    assert_eq!((&restored["shown_as"], &restored["stale"]), (&"healthy".into(), &false.into()));

    assert_eq!(stack.items(&asked).await.unwrap(), before, "what was acknowledged is there at once");
    until("all are back", SOON, async || everyone(&stack, "here").await == AGENTS).await.unwrap();
    assert_spread(&stack).await;
    voice.come_back(&stack).await;
    voice.say_and_be_acknowledged(21..=30).await;
    voice.assert_history(&stack, 30).await;
    // Each agent has been heard live: more than its first State.
    let seen = stack.history().await.unwrap().len();
    holds("nothing happens", Duration::from_secs(4), async || stack.history().await.unwrap().len() == seen)
        .await
        .unwrap();
    let all = stack.history().await.unwrap();
    let of_crowd = all.iter().filter(|event| event["service"] != "voice");
    assert_eq!(status_changes(of_crowd), Vec::<String>::new(), "no status goes backwards");

    // Each agent's last act is a report that must be acknowledged: every one of its reports is.
    for report in crowd.stop().await.unwrap() {
        assert_eq!(report.code, 0, "{report:?}");
    }
    let ended = stack.stop_monitor().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert_every_report_once(&stack.data_dir().join("farol.db")).await;
}

fn config(stack: &Stack, target: &Target, number: usize) -> String {
    let (agents, check) = (stack.addresses().agents, target.check_with("door", "crowd", "ttl: 60s"));
    format!(
        "name: crowd-{number}\nmonitors: [\"http://{agents}\"]\ninterval: 2s\n\
         listen: {{http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}}\nchecks:\n{check}"
    )
}

/// How many of the crowd have this presence and a healthy component.
async fn everyone(stack: &Stack, presence: &str) -> usize {
    let agents = stack.items(&format!("/api/v1/agents?presence={presence}&limit=1000")).await.unwrap();
    let healthy = stack.items("/api/v1/components?service=crowd&shown_as=healthy&limit=1000").await.unwrap();
    agents
        .iter()
        .filter(|a| a["id"].as_str().is_some_and(|id| id.starts_with("crowd-")))
        .count()
        .min(healthy.len())
}

/// They did not come all at once.
async fn assert_spread(stack: &Stack) {
    let events = stack.history().await.unwrap();
    let connected = events.iter().filter(|event| event["kind"] == "agent_connected");
    let mut at: Vec<i64> = connected
        .filter_map(|event| event["at"].as_str()?.parse::<jiff::Timestamp>().ok())
        .map(jiff::Timestamp::as_millisecond)
        .collect();
    at.sort_unstable();
    assert_eq!(at.len(), AGENTS, "each came back once");
    let whole = at[AGENTS - 1] - at[0];
    assert!(whole >= 500, "all came within {whole} ms");
    let crowded = at.windows(AGENTS / 2).map(|half| half[half.len() - 1] - half[0]).min().unwrap_or_default();
    assert!(crowded >= 100, "half of them came within {crowded} ms: {at:?}");
}

/// One agent spoken by hand: it knows what was acknowledged.
struct Voice {
    person: Person,
    speaker: Option<Speaker>,
    start_ms: u64,
    said: u64,
}

impl Voice {
    async fn begin(stack: &Stack) -> Self {
        let mut person = Person::new("voice");
        person.interval = Duration::from_secs(60);
        let mut voice = Self { person, speaker: None, start_ms: boot_ms() - 40_000, said: 0 };
        voice.come_back(stack).await;
        voice
    }

    /// A new stream of the same start, with everything it ever said as backlog.
    async fn come_back(&mut self, stack: &Stack) {
        drop(self.speaker.take());
        let set = Person::definition("voice");
        let speaker = Speaker::open(stack.addresses().agents, &self.person).await.unwrap();
        assert_eq!(speaker.resume_after(self.person.boot), self.said, "what was acknowledged is known");
        speaker.define(&set).await.unwrap();
        speaker.state(self.said, Status::Healthy).await.unwrap();
        if self.said > 0 {
            let reports: Vec<_> = (1..=self.said).map(|seq| self.report(seq)).collect();
            speaker.backlog(self.person.boot, &set, &reports, false).await.unwrap();
        }
        self.speaker = Some(speaker);
    }

    /// Each value is a power of two: a sum tells which are there and how often.
    fn report(&self, seq: u64) -> (u64, u64, [f64; 2]) {
        (seq, self.start_ms + seq * 1_000, [2_f64.powi(seq as i32), seq as f64])
    }

    async fn say_and_be_acknowledged(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        let last = *numbers.end();
        let reports: Vec<_> = numbers.map(|seq| self.report(seq)).collect();
        let speaker = self.speaker.as_mut().unwrap();
        for (seq, at_ms, values) in reports {
            speaker.report(seq, at_ms, values, seq == last).await.unwrap();
        }
        assert_eq!(speaker.acknowledged(last).await.unwrap(), last);
        self.said = last;
    }

    async fn assert_history(&self, stack: &Stack, last: i32) {
        for (reduce, expected) in [("count", f64::from(last)), ("sum", 2_f64.powi(last + 1) - 2.0)] {
            let path =
                format!("/api/v1/history?metric=spoken_value&agent=voice&from=-2m&step=2m&reduce={reduce}");
            let items = stack.items(&path).await.unwrap();
            assert_eq!(items[0]["values"], serde_json::json!([expected]), "{reduce}");
        }
    }
}

/// The store itself: each start's numbers from the first to the last, each once; up to its mark in blocks, then in the
/// journal.
async fn assert_every_report_once(path: &Path) {
    let settings = Settings { path: path.to_owned(), durability: Durability::Normal };
    let store = SqliteStore::open(settings).await.unwrap();
    let agents = store.agents().await.unwrap();
    assert_eq!(agents.len(), AGENTS + 1);
    let keys: Vec<_> = agents.iter().map(|agent| agent.key).collect();
    let sealed = store.restore().await.unwrap().sealed;
    let sealed = sealed.into_iter().map(|(agent, boot, last)| ((agent, boot), (1..=last).collect()));
    let mut seen: BTreeMap<_, Vec<u64>> = sealed.collect();
    let mut visit = |stored: farol_monitor::store::StoredReport| {
        let report = stored.report;
        seen.entry((report.agent, report.boot)).or_default().push(report.seq);
        ControlFlow::Continue(())
    };
    store.reports(&keys, 0, i64::MAX, &mut visit).await.unwrap();
    assert_eq!(seen.len(), AGENTS + 1, "one start of each");
    for ((agent, _), numbers) in &seen {
        let last = numbers.len() as u64;
        assert!(last >= 4, "{agent:?} reported only {numbers:?}");
        assert_eq!(*numbers, (1..=last).collect::<Vec<_>>(), "{agent:?}");
    }
    store.close().await.unwrap();
}
