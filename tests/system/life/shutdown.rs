//! The end of a process: inside its budget whatever its clients do, in named phases, at once when asked twice.

use super::{Target, healthy, kinds_of};
use farol_health::Status;
use farol_health::grpc::ServingStatus;
use farol_health::grpc::client::Watched;
use farol_tests::process::{Ended, Process, get};
use farol_tests::silent::Silent;
use farol_tests::speaker::{Person, Speaker};
use farol_tests::sse::Events;
use farol_tests::stack::{Addresses, SOON, Stack};
use farol_tests::wait::until;
use farol_tests::watch::Watch;
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Draining, cleanups and the last of it, by the design's budgets; nothing waits where only this machine can ask.
pub(super) const BUDGET: Duration = Duration::from_secs(17);
/// The delay for load balancers.
pub(super) const DELAY: Duration = Duration::from_secs(5);

/// Every kind of client, on every port.
struct Clients {
    speaker: Speaker,
    watch: Watch,
    events: Events,
    silent: Vec<Silent>,
}

impl Clients {
    async fn open(at: Addresses) -> Self {
        let speaker = Speaker::open(at.agents, &Person::new("open")).await.unwrap();
        speaker.define(&Person::definition("shop")).await.unwrap();
        speaker.state(0, Status::Healthy).await.unwrap();
        let mut watch = Watch::begin(at.health, "shop").await.unwrap();
        while let Watched::UnknownService = watch.next(SOON).await.unwrap() {}
        let mut events = Events::open(at.http, "/api/v1/events", None).await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap().name, "snapshot");
        let mut silent = Vec::new();
        for address in [at.http, at.agents, at.health] {
            silent.extend(Silent::all(address).await.unwrap());
        }
        Self { speaker, watch, events, silent }
    }

    /// Each is told properly, or at least closed.
    async fn ended(mut self) {
        let code = self.speaker.ended(SOON).await.unwrap();
        assert_eq!(code, tonic::Code::Unavailable, "an agent is asked to come back");
        while let Some(event) = self.events.next().await.unwrap() {
            assert_ne!(event.text("to"), "unknown");
        }
        loop {
            match self.watch.next(SOON).await.unwrap() {
                Watched::Status(ServingStatus::NotServing) => {}
                Watched::Lost { .. } => break,
                other => panic!("the watch said {other:?}"),
            }
        }
        for silent in self.silent {
            let what = silent.what();
            let closed = tokio::time::timeout(SOON, silent.closed()).await;
            assert!(closed.is_ok(), "{what} is still open");
        }
    }
}

/// Asks for liveness again and again until nobody listens any more.
async fn liveness(http: SocketAddr) -> Vec<u16> {
    let mut answers = Vec::new();
    while let Ok((code, _)) = get(http, "/health/live").await {
        answers.push(code);
    }
    answers
}

pub(super) async fn start(name: &str, http: &str, folder: &std::path::Path) -> Process {
    let args = ["--http", http, "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];
    Process::start(name, &args, folder).await.unwrap()
}

/// What its log says of the phases: name and duration.
pub(super) fn phases(log: &str) -> Vec<(String, u64)> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ended = lines.filter(|line| line["message"] == "phase ended");
    ended
        .map(|line| {
            assert!(line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
            let duration = line["duration_ms"].as_u64().expect("each phase says how long it took");
            (line["phase"].as_str().unwrap_or_default().to_owned(), duration)
        })
        .collect()
}

pub(super) const NAMES: [&str; 4] =
    ["STOP_ACCEPTING_REQUESTS", "DRAIN_CONNECTIONS", "CLEANUP_RESOURCES", "FINAL_SHUTDOWN"];

/// Exit code 0, and every phase of every part of the process in its order.
fn assert_ended_well(ended: &Ended, parts: usize) -> Vec<(String, u64)> {
    assert_eq!(ended.code, 0, "{}", ended.log);
    let phases = phases(&ended.log);
    let names: Vec<_> = phases.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, NAMES.repeat(parts), "{}", ended.log);
    phases
}

async fn ends_inside_its_budget(name: &str, parts: usize) {
    let folder = tempfile::tempdir().unwrap();
    let process = start(name, "127.0.0.1:0", folder.path()).await;
    let at = Addresses::of(&process);
    let clients = Clients::open(at).await;
    process.signal(Signal::TERM).unwrap();
    let (ended, answers, ()) = tokio::join!(process.ended(), liveness(at.http), clients.ended());
    let ended = ended.unwrap();
    assert!(ended.took < BUDGET, "{name} took {:?}", ended.took);
    assert!(answers.iter().all(|code| *code == 200), "{answers:?}");
    let phases = assert_ended_well(&ended, parts);
    assert!(phases[0].1 < 500, "nobody beyond this machine can ask: {phases:?}");
}

#[tokio::test]
async fn a_monitor_ends_inside_its_budget_with_every_kind_of_client_on_every_port() {
    ends_inside_its_budget("farol-monitor", 1).await;
}

#[tokio::test]
async fn a_standalone_ends_inside_its_budget_with_every_kind_of_client_on_every_port() {
    // The agent in it ends first, then the monitor.
    ends_inside_its_budget("farol", 2).await;
}

#[tokio::test]
async fn a_monitor_that_others_can_reach_says_that_it_is_not_ready_and_serves_on_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let process = start("farol-monitor", "0.0.0.0:0", folder.path()).await;
    let http = SocketAddr::from(([127, 0, 0, 1], process.address("http").port()));
    let mut watch = Watch::begin(process.address("health"), "").await.unwrap();
    watch.becomes(ServingStatus::Serving, &[], SOON).await.unwrap();
    assert_eq!(get(http, "/health/ready").await.unwrap().0, 200);
    process.signal(Signal::TERM).unwrap();
    let began = Instant::now();
    until("readiness says no", SOON, async || get(http, "/health/ready").await.unwrap().0 == 503)
        .await
        .unwrap();
    watch.becomes(ServingStatus::NotServing, &[], SOON).await.unwrap();
    assert_eq!(get(http, "/api/v1/fleet").await.unwrap().0, 200, "it serves on");
    let (ended, answers) = tokio::join!(process.ended(), liveness(http));
    let ended = ended.unwrap();
    assert!(answers.len() > 10 && answers.iter().all(|code| *code == 200), "{answers:?}");
    assert!((DELAY..BUDGET + DELAY).contains(&began.elapsed()), "it took {:?}", began.elapsed());
    let phases = assert_ended_well(&ended, 1);
    assert!((4_900..6_000).contains(&phases[0].1), "{phases:?}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for (name, signal, code) in [("farol-monitor", Signal::TERM, 143), ("farol", Signal::INT, 130)] {
        let folder = tempfile::tempdir().unwrap();
        let process = start(name, "0.0.0.0:0", folder.path()).await;
        let at = Addresses::of(&process);
        let http = SocketAddr::from(([127, 0, 0, 1], at.http.port()));
        let clients = Clients::open(Addresses { http, ..at }).await;
        process.signal(signal).unwrap();
        until("the first phase", SOON, async || process.log().contains(NAMES[0])).await.unwrap();
        process.signal(signal).unwrap();
        let ended = process.ended().await.unwrap();
        assert_eq!(ended.code, code, "{}", ended.log);
        assert!(ended.took <= Duration::from_millis(200), "{name} took {:?}", ended.took);
        drop(clients);
    }
}

#[tokio::test]
async fn an_agent_ends_inside_its_budget_with_silent_clients_on_its_ports_and_says_goodbye_first() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let config = format!("role: pod\ninterval: 1s\nchecks:\n{}", target.check("door", "shop"));
    let agent = stack.agent("alpha", &config).await.unwrap();
    healthy(&stack, "alpha", "door", "shop").await;
    let ports = [agent.address("agent_http"), agent.address("agent_health")];
    let mut watch = Watch::begin(ports[1], "").await.unwrap();
    watch.becomes(ServingStatus::Serving, &[ServingStatus::NotServing], SOON).await.unwrap();
    let mut silent = Vec::new();
    for port in ports {
        silent.extend(Silent::all(port).await.unwrap());
    }
    agent.signal(Signal::TERM).unwrap();
    let began = Instant::now();
    // Long before the drain is over the monitor knows.
    stack.shows("alpha", "door", "maintenance", Duration::from_secs(1)).await.unwrap();
    let (ended, answers) = tokio::join!(agent.ended(), liveness(ports[0]));
    assert_ended_well(&ended.unwrap(), 1);
    assert!(began.elapsed() < BUDGET, "it took {:?}", began.elapsed());
    assert!(answers.iter().all(|code| *code == 200), "{answers:?}");
    until("it is gone", SOON, async || stack.component("alpha", "door").await.unwrap().is_none())
        .await
        .unwrap();
    let kinds = stack.history().await.unwrap();
    assert!(kinds_of(&kinds, "alpha").ends_with(&["component_removed", "agent_left"]));
}
