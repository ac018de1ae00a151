//! GELF as an independent input in Python understands it: chunks, compression, frames, an input that goes and comes.

use farol_tests::process::Process;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use parking_lot::Mutex;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const ANY_PORT: [&str; 6] = ["--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];

/// The input. Killed when dropped.
struct Input {
    child: Child,
    port: u16,
    records: Arc<Mutex<Vec<Value>>>,
}

impl Input {
    fn open(transport: &str, port: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/logs/gelf_input.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(transport).arg(port.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("Python runs");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.next().expect("it tells its port").unwrap().parse().expect("a port");
        let records = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&records);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().push(serde_json::from_str(&line).expect("it prints JSON"));
            }
        });
        Self { child, port, records }
    }

    fn close(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The first record with this message and field.
    async fn hears(&self, message: &str, field: &str, value: &str) -> Value {
        let mut found = None;
        let what = format!("a record `{message}` with {field} {value}");
        until(&what, SOON, async || {
            let is = |record: &&Value| record["short_message"] == message && record[field] == value;
            found = self.records.lock().iter().find(is).cloned();
            found.is_some()
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", self.records.lock()));
        found.unwrap()
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // One that was closed has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn monitor(folder: &Path, env: &[(&str, &str)]) -> Process {
    let env: Vec<_> = env.iter().copied().chain([("LOG_FORMAT", "gelf"), ("LOG_LEVEL", "info")]).collect();
    Process::start_with("farol-monitor", &ANY_PORT, &env, folder).await.unwrap()
}

#[tokio::test]
async fn datagrams_are_understood_however_they_are_compressed_and_chunked() {
    for (compression, chunk_bytes, came) in [
        ("zlib", "1420", "whole zlib"),
        ("gzip", "128", "chunked gzip"),
        ("none", "128", "chunked none"),
        ("none", "8192", "whole none"),
    ] {
        let (folder, input) = (tempfile::tempdir().unwrap(), Input::open("udp", 0));
        let to = format!("udp://127.0.0.1:{}", input.port);
        let env = [
            ("LOG_GELF", to.as_str()),
            ("LOG_GELF_COMPRESSION", compression),
            ("LOG_GELF_CHUNK_BYTES", chunk_bytes),
        ];
        let monitor = monitor(folder.path(), &env).await;
        let record = input.hears("the monitor is ready", "_transport", came).await;
        assert_eq!(record["level"], 6, "{record}");
        assert_eq!(record["_listen.http"], monitor.address("http").to_string(), "{record}");
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        assert_eq!(record["host"], host, "{record}");
        monitor.get("/api/v1/fleet").await.unwrap();
        let record = input.hears("request", "_path", "/api/v1/fleet").await;
        assert_eq!(record["_correlation_id"].as_str().map(str::len), Some(32), "{record}");
        assert_eq!(record["_status"], 200, "{record}");
        let ended = monitor.stop().await.unwrap();
        assert_eq!((ended.code, ended.log.as_str()), (0, ""), "nothing is told on standard error");
    }
}

#[tokio::test]
async fn records_wait_for_a_connection_that_was_lost_and_standard_error_is_told() {
    let (folder, input) = (tempfile::tempdir().unwrap(), Input::open("tcp", 0));
    let to = format!("tcp://127.0.0.1:{}", input.port);
    let monitor = monitor(folder.path(), &[("LOG_GELF", &to)]).await;
    input.hears("the monitor is ready", "_transport", "frame none").await;
    let port = input.port;
    input.close();
    let mut asked = 0;
    until("the loss is told", SOON, async || {
        monitor.get(&format!("/api/v1/fleet/{asked}")).await.unwrap();
        asked += 1;
        monitor.log().contains("the log cannot be sent")
    })
    .await
    .unwrap();
    monitor.get("/api/v1/during").await.unwrap();
    let input = Input::open("tcp", port);
    input.hears("request", "_path", "/api/v1/during").await;
    until("the end of the outage is told", SOON, async || monitor.log().contains("the log is sent again"))
        .await
        .unwrap();
    let log = monitor.log();
    let told: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 2, "{log}");
    assert_eq!((&told[0]["level"], &told[0]["log.output"]), (&"ERROR".into(), &to[6..].into()));
    monitor.stop().await.unwrap();
}

#[tokio::test]
async fn an_input_that_is_never_there_delays_neither_the_start_nor_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["tcp", "udp"] {
        let to = format!("{scheme}://{closed}");
        let monitor = monitor(&folder.path().join(scheme), &[("LOG_GELF", &to)]).await;
        until("the failure is told", SOON, async || {
            monitor.get("/api/v1/fleet").await.unwrap();
            monitor.log().contains("the log cannot be sent")
        })
        .await
        .unwrap();
        let ended = monitor.stop().await.unwrap();
        assert_eq!(ended.code, 0, "{}", ended.log);
        assert_eq!(ended.log.matches("the log cannot be sent").count(), 1, "{}", ended.log);
    }
}
