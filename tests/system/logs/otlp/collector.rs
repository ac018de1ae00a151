//! The collector as a child process, and what it has received.

use crate::peers::python;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use parking_lot::Mutex;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Killed when dropped.
pub(super) struct Collector {
    child: Child,
    port: u16,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// On this port, or on a free one for 0.
    pub(super) fn open(port: u16) -> Self {
        Self::start(&[port.to_string()])
    }

    /// On a free port; refuses messages of more bytes.
    pub(super) fn limited(bytes: usize) -> Self {
        Self::start(&["0".to_owned(), bytes.to_string()])
    }

    fn start(args: &[String]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/logs/collector.py");
        let mut command = Command::new(python());
        command.arg(script).args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("Python runs");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.next().expect("it tells its port").unwrap().parse().expect("a port");
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().push(serde_json::from_str(&line).expect("it prints JSON"));
            }
        });
        Self { child, port, received }
    }

    /// `logging:` of a process that exports here.
    pub(super) fn logging(&self, more: &str) -> String {
        format!("logging: {{otlp: {{endpoint: \"{}\", interval: 1s{more}}}}}\n", self.url())
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All of one signal so far.
    pub(super) fn all(&self, signal: &str) -> Vec<Value> {
        self.received.lock().iter().filter(|item| item["signal"] == signal).cloned().collect()
    }

    /// The first of a signal of which this is true.
    pub(super) async fn first(&self, signal: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        until(what, SOON, async || {
            found = self.all(signal).into_iter().find(&is);
            found.is_some()
        })
        .await
        .unwrap_or_else(|error| {
            let all: Vec<_> = self.all(signal).iter().map(|item| short(item, signal)).collect();
            panic!("{error}: {}", all.join(" | "))
        });
        found.unwrap()
    }
}

fn short(item: &Value, signal: &str) -> String {
    match signal {
        "logs" => item["message"].to_string(),
        _ => format!("{} {}", item["name"], item["fields"]),
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // One that failed has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
