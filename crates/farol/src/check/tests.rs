//! `farol check` on real checks: which run, what they make together, and what is refused.

use super::*;
use crate::terminal::printed::Printed;
use farol_health::Status;
use std::io::Write;
use std::net::TcpListener;

async fn check(file: &str, args: CheckArgs) -> (Verdict, String) {
    let mut config = tempfile::NamedTempFile::new().unwrap();
    config.write_all(file.as_bytes()).unwrap();
    let printed = Printed::default();
    let args = CheckArgs { config: Some(config.path().to_owned()), ..args };
    let verdict = run(&args, &mut printed.terminal()).await;
    (verdict, printed.text())
}

/// A port that nobody listens on, and one that somebody does.
fn ports() -> (u16, TcpListener) {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    (port, TcpListener::bind("127.0.0.1:0").unwrap())
}

fn file(nested: bool, required: bool) -> (String, TcpListener) {
    let (closed, open) = ports();
    let port = open.local_addr().unwrap().port();
    let checks = format!(
        "checks: [{{name: door, tcp: {{address: \"127.0.0.1:{port}\"}}}}, \
         {{name: wall, required: {required}, tcp: {{address: \"127.0.0.1:{closed}\"}}}}]"
    );
    (if nested { format!("agent: {{{checks}}}") } else { checks }, open)
}

#[tokio::test]
async fn a_required_check_that_fails_makes_the_whole_unhealthy_and_an_optional_one_degraded() {
    for (nested, required, expected) in
        [(true, true, Status::Unhealthy), (false, true, Status::Unhealthy), (true, false, Status::Degraded)]
    {
        let (text, _open) = file(nested, required);
        let (verdict, printed) = check(&text, CheckArgs::default()).await;
        assert_eq!(verdict.unwrap(), expected.into(), "{printed}");
        assert!(printed.contains("2 checks, 1 not healthy: wall"), "{printed}");
    }
}

#[tokio::test]
async fn only_the_named_checks_run_and_an_unknown_name_is_told_with_the_known_ones() {
    let (text, _open) = file(true, true);
    let named = |name: &str| CheckArgs { names: vec![name.to_owned()], json: true, ..CheckArgs::default() };
    let (verdict, printed) = check(&text, named("door")).await;
    assert_eq!(verdict.unwrap(), Status::Healthy.into());
    let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(value["components"].as_array().unwrap().len(), 1);
    assert_eq!(value["components"][0]["name"], "door");
    let (verdict, printed) = check(&text, named("roof")).await;
    let error = verdict.unwrap_err();
    assert!(error.is_configuration() && printed.is_empty());
    assert!(error.to_string().contains("`roof`; there are: door, wall"), "{error}");
}

#[tokio::test]
async fn a_check_that_hangs_ends_at_the_given_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let text = format!("checks: [{{name: web, interval: 60s, deadline: 60s, http: {{url: \"{url}\"}}}}]");
    let args = CheckArgs { timeout: Some(Duration::from_millis(50)), ..CheckArgs::default() };
    let (verdict, printed) = check(&text, args).await;
    assert_eq!(verdict.unwrap(), Status::Unhealthy.into(), "{printed}");
}

#[tokio::test]
async fn every_mistake_of_a_file_is_told_at_once() {
    let (verdict, _) = check(
        "agent:\n  checks:\n    - {name: a, tcp: {address: nowhere}}\n    - {name: a, interval: 5 parsecs, disk: {}}\n",
        CheckArgs::default(),
    )
    .await;
    let error = verdict.unwrap_err();
    assert!(error.is_configuration());
    let text = error.to_string();
    for word in [":3: agent.checks[0].tcp.address", ":4: agent.checks[1].interval", "agent.checks[1].name"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_list_without_checks_is_a_mistake_and_a_missing_list_means_this_machine() {
    for text in ["agent: {checks: []}", "name: x"] {
        let (verdict, _) = check(text, CheckArgs::default()).await;
        let error = verdict.unwrap_err();
        assert!(error.is_configuration() && error.to_string().contains("no checks"), "{error}");
    }
    let names = vec!["memory".to_owned()];
    let (verdict, printed) = check("monitor: {}", CheckArgs { names, ..CheckArgs::default() }).await;
    assert!(verdict.is_ok() && printed.contains("memory"), "{printed}");
}
