//! Debian's `promtool` reads every scrape page and finds nothing to complain of.

use super::shop::Shop;
use super::{PATIENCE, run, tool};
use farol_tests::process::{Process, get};
use farol_tests::wait::until;
use tokio::process::Command;

/// `promtool` exits with 3 when it has a complaint about names or help, with 1 when it cannot read the page.
async fn assert_clean(page: &str) {
    let mut command = Command::new(tool("promtool"));
    command.args(["check", "metrics"]);
    let done = run(command, page).await;
    let words = format!("{}{}", done.out, done.err);
    assert!(done.code == Some(0) && words.trim().is_empty(), "{:?}: {words}\n{page}", done.code);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_pages_of_a_standalone_are_clean() {
    let shop = Shop::open().await;
    let page = || async { shop.farol.get("/metrics/fleet").await.expect("it answers") };
    until("rates of the machine", PATIENCE, || async {
        page().await.1.contains("system_cpu_usage_percent{")
    })
    .await
    .expect("an agent has reported twice");
    let (status, text) = page().await;
    assert_eq!(status, 200);
    assert!(text.contains("system_memory_total_bytes{") && text.contains("agent=\"shop-1\""), "{text}");
    assert_clean(&text).await;
    let (status, text) = shop.farol.get("/metrics").await.expect("it answers");
    assert_eq!(status, 200);
    for name in [
        "farol_component_status{",
        "farol_component_stale{",
        "farol_service_status{",
        "process_cpu_seconds_total",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    assert_clean(&text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_an_agent_is_clean() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("agent.yaml");
    let text = "name: lonely\nlisten: {http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}\nchecks: [{name: disk, disk: {}}]\n";
    std::fs::write(&file, text).expect("the file can be written");
    let file = file.to_str().expect("a plain path");
    let agent = Process::start("farol-agent", &["--config", file], folder.path()).await.expect("it starts");
    let (status, text) = get(agent.address("agent_http"), "/metrics").await.expect("it answers");
    assert_eq!(status, 200, "{text}");
    for name in [
        "farol_component_status{",
        "farol_start_stage_seconds{stage=\"listen\"}",
        "farol_listener_connections{listener=\"agent_http\"}",
        "farol_listener_refused_total{listener=\"agent_health\",reason=\"per_address\"}",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    assert_clean(&text).await;
}
