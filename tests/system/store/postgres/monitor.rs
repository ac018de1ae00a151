//! Real monitors and a real agent over a real PostgreSQL: start, outage, restart, and what is told of it.

use super::super::seqs;
use super::{Databases, InPostgres, PostgresStore, Store};
use farol_tests::postgres::{PASSWORD, Postgres, SUPERUSER};
use farol_tests::process::{self, Process};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// A monitor's file for this database.
fn config(place: &InPostgres<'_>) -> String {
    let (port, name) = (place.server.port(), &place.database);
    format!(
        "store: {{postgres: {{port: {port}, name: {name}, user: {SUPERUSER}, password: {PASSWORD}, timeout: 5s}}}}\n"
    )
}

/// An agent's file: a component that is always well, and a report twice a second.
const AGENT: &str = "interval: 1s\nchecks:\n  - {name: memory, service: machine, memory: {}}\n";

/// How many samples of one series history has; none while nobody answers.
async fn samples(stack: &Stack) -> u64 {
    let path = "/api/v1/history?metric=system_memory_total_bytes&agent=alpha&from=-5m&step=1m&reduce=count";
    let Ok(items) = stack.items(path).await else { return 0 };
    let values = items.first().and_then(|series| series["values"].as_array()).map_or(&[][..], Vec::as_slice);
    values.iter().filter_map(Value::as_f64).sum::<f64>() as u64
}

async fn database(stack: &Stack) -> Value {
    stack.json("/health/detailed").await.unwrap()["components"]["database"].clone()
}

async fn metric(stack: &Stack, line: &str) -> Option<f64> {
    let (_, page) = process::get(stack.addresses().http, "/metrics").await.unwrap();
    let line = page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[tokio::test]
async fn what_a_monitor_acknowledged_is_there_after_an_outage_and_a_kill() {
    let mut databases = Databases::start().await;
    let (config, name) = {
        let place = databases.place();
        (config(&place), place.database.clone())
    };
    let mut stack = Stack::start(&config).await.unwrap();
    let agent = stack.agent("alpha", AGENT).await.unwrap();
    until("samples in history", SOON, async || samples(&stack).await >= 2).await.unwrap();
    until("the last commit's time", SOON, async || database(&stack).await["response_time"].is_string())
        .await
        .unwrap();
    let told = database(&stack).await;
    assert_eq!((&told["status"], &told["connections"]["max"]), (&"healthy".into(), &9.into()), "{told}");
    assert!(told["connections"]["idle"].is_number() && told["connections"]["active"].is_number(), "{told}");
    assert_eq!(metric(&stack, "farol_store_connections_max").await, Some(9.0));
    assert!(metric(&stack, "farol_store_connections{state=\"idle\"}").await.is_some());

    // The server is away: live health goes on, readiness too, and the outage is told.
    databases.server.stop().await.unwrap();
    until("the store refuses", SOON, async || database(&stack).await["status"] == "degraded").await.unwrap();
    let told = database(&stack).await;
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("PostgreSQL at 127.0.0.1") && !message.contains(PASSWORD), "{told}");
    assert_eq!(stack.status("/health/ready").await.unwrap(), 200);
    stack.shows("alpha", "memory", "healthy", SOON).await.unwrap();

    // Killed: it comes back with the fleet as it was, and the agent brings again what was not acknowledged.
    stack.kill_monitor().await.unwrap();
    databases.server.start_again().await.unwrap();
    stack.start_monitor().await.unwrap();
    let restored = stack.component("alpha", "memory").await.unwrap().unwrap();
    assert_eq!(restored["shown_as"], "healthy", "{restored}");
    let before = samples(&stack).await;
    assert!(before >= 2, "{before} samples after the restart");
    until("the outage is filled in", SOON, async || samples(&stack).await > before + 2).await.unwrap();

    // A monitor that goes on takes again by itself.
    databases.server.kill().await.unwrap();
    until("the store refuses", SOON, async || database(&stack).await["status"] == "degraded").await.unwrap();
    databases.server.start_again().await.unwrap();
    until("the store takes again", SOON, async || database(&stack).await["status"] == "healthy")
        .await
        .unwrap();
    agent.kill().await.unwrap();
    let ended = stack.stop_monitor().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert!(!ended.log.contains(PASSWORD), "the password is in the log");
    assert_every_report_once(&databases.named(&name)).await;
}

/// The store itself: the agent's numbers from the first to the last, each once; up to its mark in blocks, then in the
/// journal.
async fn assert_every_report_once(place: &InPostgres<'_>) {
    let store = PostgresStore::open(place.settings()).await.unwrap();
    let agents = store.agents().await.unwrap();
    assert_eq!(agents.iter().map(|agent| &*agent.id).collect::<Vec<_>>(), ["alpha"]);
    let sealed = store.restore().await.unwrap().sealed.first().map_or(0, |(.., last)| *last);
    let mut seen: Vec<u64> = (1..=sealed).collect();
    seen.extend(seqs(&store, agents[0].key.0, 0, i64::MAX).await);
    assert!(seen.len() >= 5, "{seen:?}");
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
    store.close().await.unwrap();
}

/// A monitor that is still starting, in a folder of its own.
struct Starting {
    child: tokio::process::Child,
    folder: TempDir,
}

const LISTEN: &str = "listen: {http: \"127.0.0.1:0\", agents: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}\nstore: {postgres: {}}\n";

impl Starting {
    /// The environment says where the database is, as people's deployments do.
    fn new(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("monitor.yaml"), LISTEN).unwrap();
        let args =
            ["--config", &path("monitor.yaml"), "--data-dir", &path("data"), "--ready-file", &path("ready")];
        let log = std::fs::File::create(path("log")).unwrap();
        let mut command = process::command("farol-monitor", &args).unwrap();
        command.envs(env.iter().copied()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), folder }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The lines that tell of an attempt that failed.
    fn attempts(&self) -> Vec<Value> {
        let lines = self.log();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"].as_str().is_some_and(|m| m.contains("tried again"))).collect()
    }

    async fn code(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let ended = tokio::time::timeout(SOON, self.child.wait()).await.unwrap().unwrap();
        ended.code().or_else(|| ended.signal().map(|n| 128 + n)).unwrap()
    }
}

#[tokio::test]
async fn a_monitor_that_nobody_reports_to_sees_that_its_database_is_away() {
    let mut databases = Databases::start().await;
    let config = format!("{}ready_requires_store: true\n", config(&databases.place()));
    let stack = Stack::start(&config).await.unwrap();
    assert_eq!(stack.status("/health/ready").await.unwrap(), 200);
    databases.server.stop().await.unwrap();
    until("it is told", SOON, async || stack.status("/health/ready").await.unwrap() == 503).await.unwrap();
    let told = database(&stack).await;
    assert_eq!(told["status"], "unhealthy", "{told}");
    databases.server.start_again().await.unwrap();
    until("it is back", SOON, async || stack.status("/health/ready").await.unwrap() == 200).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_away_at_start_is_waited_for() {
    let mut server = Postgres::start().await.unwrap();
    server.stop().await.unwrap();
    let port = server.port().to_string();
    let env = [
        ("DB_PORT", port.as_str()),
        ("DB_USER", SUPERUSER),
        ("DB_PASSWORD", PASSWORD),
        ("DB_RETRY_DELAY", "0.2"),
        ("DB_MAX_RETRIES", "100"),
    ];
    let monitor = Starting::new(&env);
    until("two attempts", SOON, async || monitor.attempts().len() >= 2).await.unwrap();
    for (at, line) in (1..).zip(monitor.attempts()) {
        assert_eq!(
            (&line["level"], &line["attempt"], &line["of"]),
            (&"WARNING".into(), &at.into(), &101.into())
        );
        assert!(
            line["next_in_ms"].is_u64() && line["why"].as_str().unwrap().contains("PostgreSQL at"),
            "{line}"
        );
    }
    // The database `farol` does not exist yet either: whoever started the server makes it a moment later.
    server.start_again().await.unwrap();
    until("an attempt at the server", SOON, async || monitor.log().contains("3D000")).await.unwrap();
    server.sql("CREATE DATABASE farol").unwrap();
    let ready = || std::fs::read_to_string(monitor.folder.path().join("ready"));
    until("the monitor is ready", SOON, async || ready().is_ok()).await.unwrap();
    let ready: Value = serde_json::from_str(&ready().unwrap()).unwrap();
    let http: SocketAddr = ready["http"].as_str().unwrap().parse().unwrap();
    assert_eq!(process::get(http, "/health/ready").await.unwrap().0, 200);
    assert!(!monitor.log().contains(PASSWORD));
}

#[tokio::test]
async fn waiting_for_a_database_ends_at_once_when_asked_and_when_it_is_in_vain() {
    let port = "1";
    let patient = [("DB_PORT", port), ("DB_RETRY_DELAY", "30"), ("DB_MAX_RETRIES", "1000")];
    let mut monitor = Starting::new(&patient);
    until("an attempt", SOON, async || !monitor.attempts().is_empty()).await.unwrap();
    let asked = Instant::now();
    let pid = i32::try_from(monitor.child.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(monitor.code().await, 0, "{}", monitor.log());
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());

    let hasty = [("DB_PORT", port), ("DB_RETRY_DELAY", "10ms"), ("DB_MAX_RETRIES", "3")];
    let mut monitor = Starting::new(&hasty);
    assert_eq!(monitor.code().await, 1, "{}", monitor.log());
    assert_eq!(monitor.attempts().len(), 3, "{}", monitor.log());
    for word in ["did not open in 4 attempts", "max_retries", "cannot be reached"] {
        assert!(monitor.log().contains(word), "{word} is not in {}", monitor.log());
    }
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again() {
    let server = Postgres::start().await.unwrap();
    let port = server.port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let secret: &str = secret.to_str().unwrap();
    let env = [("DB_PORT", port.as_str()), ("DB_USER", SUPERUSER), ("DB_PASSWORD_FILE", secret)];
    let mut monitor = Starting::new(&env);
    assert_eq!(monitor.code().await, 1, "{}", monitor.log());
    assert_eq!(monitor.attempts(), Vec::<Value>::new());
    let log = monitor.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["level"], &last["message"]), (&"CRITICAL".into(), &"the monitor cannot go on".into()));
    assert!(last["error"].as_str().unwrap().contains("28P01"), "{last}");
    assert!(monitor.log().contains("28P01") && !monitor.log().contains("hunter2"), "{}", monitor.log());
}

#[tokio::test]
async fn a_second_monitor_says_who_writes_and_a_standalone_keeps_its_history_there_too() {
    let databases = Databases::start().await;
    let place = databases.place();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("farol.yaml");
    let listen = "listen: {http: \"127.0.0.1:0\", agents: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}";
    std::fs::write(
        &file,
        format!("monitor: {{{listen}, store: {{postgres: {{}}}}}}\nagent: {{interval: 1s}}\n"),
    )
    .unwrap();
    let port = place.server.port().to_string();
    let env = [
        ("DB_PORT", port.as_str()),
        ("DB_NAME", place.database.as_str()),
        ("DB_USER", SUPERUSER),
        ("DB_PASSWORD", PASSWORD),
    ];
    let args = ["--config", file.to_str().unwrap()];
    let standalone =
        Process::start_with("farol", &args, &env, &folder.path().join("standalone")).await.unwrap();
    until("its reports are kept", SOON, async || place.sql("SELECT count(*) FROM farol.journal") != "0")
        .await
        .unwrap();
    assert!(!Path::new(&folder.path().join("standalone/data/farol.db")).exists());
    let mut second = Starting::new(&[&env[..], &[("DB_MAX_RETRIES", "0")]].concat());
    assert_eq!(second.code().await, 1, "{}", second.log());
    assert!(second.log().contains("is written by another monitor: `farol-monitor "), "{}", second.log());
    assert_eq!(standalone.stop().await.unwrap().code, 0);
}
