//! The end of a process, one trouble at a time: each client that does not let go, and a store that takes nothing any
//! more. All clients together are in `shutdown`; cleanups that hang or panic are those of the shutdown library itself.

use super::shutdown::{BUDGET, DELAY, NAMES, phases, start};
use farol_health::Status;
use farol_health::grpc::client::Watched;
use farol_tests::process::Process;
use farol_tests::silent::{BEGINNINGS, Silent};
use farol_tests::speaker::{Person, Speaker};
use farol_tests::sse::Events;
use farol_tests::stack::{Addresses, SOON};
use farol_tests::watch::Watch;
use futures::future::join_all;
use rustix::process::Signal;
use serde_json::Value;
use std::any::Any;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Takes SQLite's only place for writers and holds it until its input ends.
const HOLD: &str = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('BEGIN EXCLUSIVE')
print('locked', flush=True)
sys.stdin.read()";

/// The exit code when a cleanup was cut.
const CUT: i32 = 75;

async fn speaker(at: Addresses) -> Speaker {
    let speaker = Speaker::open(at.agents, &Person::new("open")).await.unwrap();
    speaker.define(&Person::definition("shop")).await.unwrap();
    speaker.state(0, Status::Healthy).await.unwrap();
    speaker
}

async fn lock(store: &Path) -> Child {
    let mut python = Command::new("python3");
    python.args(["-c", HOLD]).arg(store).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut holder = python.spawn().expect("python3 is there: scripts/test-deps installs it");
    let mut said = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).await.unwrap();
    assert_eq!(said, "locked\n");
    holder
}

/// The trouble of this name, made at a monitor. It lasts until it is dropped.
async fn trouble(name: &'static str, at: Addresses, store: &Path) -> Box<dyn Any> {
    if let Some((_, beginning)) = BEGINNINGS.iter().find(|(what, _)| *what == name) {
        let mut all = Vec::new();
        for address in [at.http, at.agents, at.health] {
            all.push(Silent::one(address, name, beginning).await.unwrap());
        }
        return Box::new(all);
    }
    match name {
        "nothing" => Box::new(()),
        "an HTTP/2 client that acknowledges nothing" => {
            Box::new(Silent::never_acknowledges(at.http, "/api/v1/events").await.unwrap())
        }
        "an open Watch" => {
            let mut watch = Watch::begin(at.health, "").await.unwrap();
            assert!(matches!(watch.next(SOON).await.unwrap(), Watched::Status(_)));
            Box::new(watch)
        }
        "an open event stream" => {
            let mut events = Events::open(at.http, "/api/v1/events", None).await.unwrap();
            assert_eq!(events.next().await.unwrap().unwrap().name, "snapshot");
            Box::new(events)
        }
        "an agent's stream" => Box::new(speaker(at).await),
        "a locked store" => {
            let holder = lock(store).await;
            // Something to commit, which then cannot be.
            Box::new((holder, speaker(at).await))
        }
        "everything" => {
            let mut all: Vec<Box<dyn Any>> = Vec::new();
            for name in ALL.into_iter().filter(|name| *name != "everything") {
                all.push(Box::pin(trouble(name, at, store)).await);
            }
            Box::new(all)
        }
        other => unreachable!("no trouble {other}"),
    }
}

const ALL: [&str; 12] = [
    "nothing",
    BEGINNINGS[0].0,
    BEGINNINGS[1].0,
    BEGINNINGS[2].0,
    BEGINNINGS[3].0,
    BEGINNINGS[4].0,
    "an HTTP/2 client that acknowledges nothing",
    "an open Watch",
    "an open event stream",
    "an agent's stream",
    "a locked store",
    "everything",
];

async fn ends(binary: &str, parts: usize, name: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let process: Process = start(binary, "127.0.0.1:0", folder.path()).await;
    let store = folder.path().join("data/farol.db");
    let _trouble = trouble(name, Addresses::of(&process), &store).await;
    process.signal(Signal::TERM).unwrap();
    let ended = process.ended().await.unwrap();
    let log = &ended.log;
    // The agent in a standalone says its last word before the monitor drains, in what else is the delay.
    let budget = if parts == 2 { DELAY + BUDGET } else { BUDGET };
    assert!(ended.took < budget, "{binary} with {name} took {:?}", ended.took);
    let phases = phases(log);
    let names: Vec<_> = phases.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, NAMES.repeat(parts), "{binary} with {name}: {log}");
    let stuck = matches!(name, "a locked store" | "everything");
    assert_eq!(ended.code, if stuck { CUT } else { 0 }, "{binary} with {name}: {log}");
    let lines = || log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of = |message: &str| {
        let found = lines().filter(|line| line["message"] == message);
        found.filter_map(|line| line["cleanup"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let (done, failed) = (of("cleanup done"), of("cleanup failed"));
    assert_eq!(failed.iter().any(|cleanup| cleanup == "store"), stuck, "{binary} with {name}: {failed:?}");
    assert!(failed.len() <= 1, "only what is stuck fails: {failed:?}");
    assert_eq!(done.iter().any(|cleanup| cleanup == "store"), !stuck, "{binary} with {name}: {done:?}");
}

#[tokio::test]
async fn a_monitor_ends_inside_its_budget_in_every_single_trouble_and_in_all_of_them() {
    join_all(ALL.map(|name| ends("farol-monitor", 1, name))).await;
}

#[tokio::test]
async fn a_standalone_ends_inside_its_budget_with_a_locked_store_and_in_every_trouble() {
    let names = ["nothing", "a locked store", "everything"];
    join_all(names.map(|name| ends("farol", 2, name))).await;
}
