//! The example as a user has it: started, asked over its port, watched, ended by a signal; and the READMEs show it.

#![allow(clippy::unwrap_used, reason = "the whole binary is tests")]

use farol_health::grpc::ServingStatus::{NotServing, Serving};
use farol_health::grpc::client::{self, Retry, Watched};
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take here.
const SOON: Duration = Duration::from_secs(10);
const SOURCE: &str = include_str!("../examples/service.rs");

struct Service {
    child: Child,
    said: BufReader<ChildStderr>,
    url: String,
}

impl Service {
    fn start() -> Self {
        let here = std::env::current_exe().unwrap();
        let folder = here.parent().and_then(Path::parent).unwrap();
        let binary = folder.join("examples/service");
        assert!(
            binary.exists(),
            "{} is not built; run `cargo build --workspace --examples`",
            binary.display()
        );
        let mut command = Command::new(binary);
        command.env("LISTEN", "127.0.0.1:0").stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut url = String::new();
        said.read_line(&mut url).unwrap();
        Self { child, said, url: url.trim_end().to_owned() }
    }

    async fn ask(&self, path: &str) -> (u16, Value) {
        let answer = timeout(SOON, reqwest::get(format!("{}{path}", self.url))).await.unwrap().unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    fn terminate(&self) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), Signal::TERM).unwrap();
    }

    async fn ended(&mut self) -> (Option<i32>, String) {
        let end = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let code = timeout(SOON, end).await.expect("it ends");
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        (code, rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Without effect when it has ended, as it should have.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

#[tokio::test]
async fn the_example_answers_probes_and_watchers_and_ends_in_order() {
    let mut service = Service::start();
    let began = Instant::now();
    while service.ask("/health/ready").await.0 != 200 {
        assert!(began.elapsed() < SOON, "it is never ready");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        service.ask("/health/ready").await.1,
        json!({"ready": true, "dependencies": {"queue": "available"}})
    );
    while service.ask("/health").await.1["status"] != "healthy" {
        assert!(began.elapsed() < SOON, "it is never healthy");
        sleep(Duration::from_millis(20)).await;
    }
    for (path, status) in [
        ("/", 200),
        ("/health", 200),
        ("/health/detailed", 200),
        ("/health/live", 200),
        ("/readyz", 200),
        ("/health/groups/workers", 200),
        ("/health/groups/nobody", 404),
        ("/nothing", 404),
    ] {
        assert_eq!(service.ask(path).await.0, status, "{path}");
    }
    let group = service.ask("/health/groups/workers").await.1;
    assert_eq!(group["components"], json!({"worker-1": "healthy", "worker-2": "healthy"}));
    assert!(service.ask("/health").await.1.get("version").is_none(), "no details");

    let endpoint = tonic::transport::Endpoint::from_shared(service.url.clone()).unwrap();
    let channel = endpoint.connect().await.unwrap();
    for name in ["", "shop", "shop/queue", "group:workers"] {
        assert_eq!(client::check(channel.clone(), name, SOON).await.unwrap(), Serving, "{name}");
    }
    let retry = Retry { first: Duration::from_millis(50), most: Duration::from_millis(200) };
    let mut watch = client::watch(channel, "shop", retry).boxed();
    let mut next = async || timeout(SOON, watch.next()).await.expect("a word").expect("the watch goes on");
    assert!(matches!(next().await, Watched::Status(Serving)));

    service.terminate();
    let mut last = next().await;
    if matches!(last, Watched::Status(NotServing)) {
        last = next().await;
    }
    assert!(matches!(last, Watched::Lost { .. }), "{last:?}");
    let (code, said) = service.ended().await;
    assert_eq!(code, Some(0));
    assert!(said.contains("the queue is closed"), "{said}");
}

#[test]
fn the_example_is_short_and_both_readmes_show_it() {
    assert!(SOURCE.lines().count() <= 60, "{} lines", SOURCE.lines().count());
    // Without its title and its lint.
    let code = SOURCE.splitn(3, "\n\n").nth(2).unwrap();
    for (path, readme) in [
        ("crates/health/README.md", include_str!("../README.md")),
        ("crates/shutdown/README.md", include_str!("../../shutdown/README.md")),
    ] {
        assert!(readme.contains(code), "{path} does not show crates/health/examples/service.rs as it is");
    }
}
