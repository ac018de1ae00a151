//! A whole run at TRACE with secrets wherever they may stand: none is in any output, and what was refused has a line.

use crate::peers::run;
use farol_tests::process::Process;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use serde_json::Value;
use std::path::Path;

const ANY_PORT: [&str; 6] = ["--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];

/// Each stands somewhere of its own and nowhere else.
pub(super) const CANARIES: [&str; 8] = [
    "canary-url-password",
    "canary-redis-password",
    "canary-header-value",
    "canary-env-password",
    "canary-file-password",
    "canary-query-token",
    "canary-bearer-token",
    "canary-basic-cookie",
];

pub(super) fn config(folder: &Path) -> String {
    let file = folder.join("password");
    std::fs::write(&file, "canary-file-password\n").unwrap();
    let file = file.display();
    format!(
        r#"
agent:
  name: canary
  checks:
    - {{name: by-url, postgres: {{url: "postgres://app:canary-url-password@127.0.0.1:1/app"}}, interval: 1s}}
    - {{name: by-file, postgres: {{url: "postgres://app@127.0.0.1:1/app", password_file: "{file}"}}, interval: 1s}}
    - {{name: cache, redis: {{url: "redis://:canary-redis-password@127.0.0.1:1"}}, interval: 1s}}
    - {{name: page, http: {{url: "http://127.0.0.1:1/", headers: {{authorization: "Bearer canary-header-value"}}}}, interval: 1s}}
"#
    )
}

async fn records(process: &Process, name: &str) -> Vec<Value> {
    let mut found = Vec::new();
    until(name, SOON, async || {
        found = process.log().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect();
        found.retain(|record| record["event.name"] == name);
        !found.is_empty()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
    found
}

#[tokio::test]
async fn no_secret_is_in_any_output_of_a_whole_run_at_trace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("farol.yaml");
    std::fs::write(&file, config(folder.path())).unwrap();
    let args: Vec<&str> = ["--config", file.to_str().unwrap()].into_iter().chain(ANY_PORT).collect();
    let env = [("LOG_LEVEL", "trace"), ("LOG_REPEATS", "0"), ("DB_PASSWORD", "canary-env-password")];
    let farol = Process::start_with("farol", &args, &env, &folder.path().join("run")).await.unwrap();
    let http = farol.address("http");
    let token = std::fs::read_to_string(folder.path().join("run/data/operator.token")).unwrap();
    let client = reqwest::Client::new();
    for authorization in ["Bearer canary-bearer-token", &format!("Bearer {}", token.trim())] {
        let asked = client
            .post(format!("http://{http}/api/v1/reload?token=canary-query-token"))
            .header("authorization", authorization)
            .header("cookie", "session=canary-basic-cookie")
            .header("content-length", "0")
            .send();
        asked.await.unwrap();
    }
    let mut pages = String::new();
    for path in ["/api/v1/components", "/health/detailed", "/api/v1/events", "/metrics"] {
        pages.push_str(&farol.get(path).await.unwrap().1);
    }
    until("every check has run", SOON, async || {
        let list = farol.json("/api/v1/components?agent=canary").await.unwrap();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.len() >= 4 && items.iter().all(|item| item["checked_at"].is_string())
    })
    .await
    .unwrap();
    records(&farol, "wrong_token").await;
    let (_, dump) = farol.get("/api/v1/components").await.unwrap();
    pages.push_str(&dump);
    let ended = farol.stop().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert!(ended.log.lines().count() > 100, "it was at TRACE:\n{}", ended.log);
    assert!(ended.log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", ended.log);
    let mut jq = tokio::process::Command::new("jq");
    jq.args(["-e", "-c", "[.timestamp, .level, .message, .target] | all"]);
    let read = run(jq, &ended.log).await;
    assert_eq!((read.code, read.err.as_str()), (Some(0), ""));
    assert_eq!(read.out.lines().filter(|all| *all == "true").count(), ended.log.lines().count());
    for secret in CANARIES.into_iter().chain([token.trim()]) {
        for (what, text) in [("the log", &ended.log), ("a page", &pages)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} is in {what}: {line:?}");
        }
    }
}

#[tokio::test]
async fn who_guesses_tokens_is_told_of_and_waits_and_a_level_is_changed_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let env = [("LOG_LEVEL", "info")];
    let monitor = Process::start_with("farol-monitor", &ANY_PORT, &env, folder.path()).await.unwrap();
    let token = std::fs::read_to_string(folder.path().join("data/operator.token")).unwrap();
    let url = format!("http://{}/api/v1/log-level", monitor.address("http"));
    let client = reqwest::Client::new();
    let ask = async |token: &str, level: &str| {
        let asked =
            client.post(format!("{url}?level={level}")).bearer_auth(token).header("content-length", "0");
        let answer = asked.send().await.unwrap();
        let waits = answer.headers().contains_key("retry-after");
        (answer.status().as_u16(), waits, answer.json::<Value>().await.unwrap())
    };
    for _ in 0..10 {
        assert_eq!(ask("wrong", "debug").await.0, 401);
    }
    let (status, waits, problem) = ask("wrong", "debug").await;
    assert_eq!((status, waits, &problem["code"]), (429, true, &"too_many_wrong_tokens".into()));
    let told = records(&monitor, "wrong_token").await;
    assert_eq!((&told[0]["level"], &told[0]["event.kind"]), (&"WARNING".into(), &"security".into()));
    assert_eq!((&told[0]["peer.address"], &told[0]["outcome"]), (&"127.0.0.1".into(), &"refused".into()));
    assert_eq!(told[0]["correlation_id"].as_str().map(str::len), Some(32), "{}", told[0]);
    records(&monitor, "too_many_wrong_tokens").await;

    let token = token.trim();
    assert_eq!(ask(token, "loud").await.0, 400);
    monitor.get("/health").await.unwrap();
    assert!(!monitor.log().contains("\"path\":\"/health\""), "probes are told at DEBUG only");
    let (status, _, set) = ask(token, "debug").await;
    assert_eq!((status, &set["before"]), (200, &"info".into()), "{set}");
    records(&monitor, "log_level_set").await;
    monitor.get("/health").await.unwrap();
    until("a probe's line", SOON, async || monitor.log().contains("\"path\":\"/health\"")).await.unwrap();
    assert_eq!(ask(token, "critical").await.2["level"], "critical");
    let before = monitor.log().lines().count();
    monitor.get("/api/v1/fleet").await.unwrap();
    let ended = monitor.stop().await.unwrap();
    let after: Vec<_> = ended.log.lines().skip(before).collect();
    assert!(after.iter().all(|line| !line.contains("/api/v1/fleet")), "{after:?}");
}

#[tokio::test]
async fn a_file_sets_the_level_a_variable_wins_and_a_reload_changes_it() {
    use rustix::process::Signal;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("monitor.yaml");
    std::fs::write(&file, "logging: {level: warning}").unwrap();
    let args: Vec<&str> = ["--config", file.to_str().unwrap()].into_iter().chain(ANY_PORT).collect();
    let by_file = [("LOG_LEVEL", "")];
    let monitor =
        Process::start_with("farol-monitor", &args, &by_file, &folder.path().join("a")).await.unwrap();
    monitor.get("/api/v1/fleet").await.unwrap();
    assert!(!monitor.log().contains("\"INFO\""), "nothing below WARNING: {}", monitor.log());
    std::fs::write(&file, "logging: {level: info, format: text}").unwrap();
    monitor.signal(Signal::HUP).unwrap();
    until("a line at INFO", SOON, async || {
        monitor.get("/api/v1/fleet").await.unwrap();
        monitor.log().contains("/api/v1/fleet")
    })
    .await
    .unwrap();
    monitor.stop().await.unwrap();

    let by_variable = [("LOG_LEVEL", "error")];
    let monitor =
        Process::start_with("farol-monitor", &args, &by_variable, &folder.path().join("b")).await.unwrap();
    monitor.get("/api/v1/fleet").await.unwrap();
    let log = monitor.stop().await.unwrap().log;
    assert!(!log.contains(" INFO "), "the variable wins over the file: {log}");
}
