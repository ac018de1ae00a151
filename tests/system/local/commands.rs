//! Commands under a real agent: their figures reach the scrape page, and what they start ends at the deadline.

use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use std::path::Path;

/// Alive: neither gone nor waiting to be reaped.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

#[tokio::test]
async fn a_commands_grandchild_does_not_outlive_its_deadline_and_figures_are_scraped() {
    let stack = Stack::start("").await.unwrap();
    let pids = stack.path("pids");
    let stuck = format!("sh -c 'sleep 1000 & echo $! >> {}; wait' & wait", pids.display());
    let checks = format!(
        "interval: 1s\nchecks:\n\
         - name: stuck\n  command: {{argv: [sh, -c, \"{stuck}\"]}}\n  deadline: 400ms\n  interval: 500ms\n  \
           failure_threshold: 1\n  start_grace: 0s\n\
         - name: load\n  command: {{argv: [echo, \"OK - low | load1=0.25;5;10\"]}}\n  deadline: 2s\n  interval: 2s\n"
    );
    let agent = stack.agent("alpha", &checks).await.unwrap();
    let told = stack.shows("alpha", "stuck", "unhealthy", SOON).await.unwrap();
    assert_eq!(told["reason"], "deadline_exceeded");
    stack.shows("alpha", "load", "healthy", SOON).await.unwrap();
    until("its figures are scraped", SOON, async || {
        let (_, page) = farol_tests::process::get(stack.addresses().http, "/metrics/fleet").await.unwrap();
        page.lines().any(|line| {
            line.starts_with("command_value{") && line.contains("label=\"load1\"") && line.ends_with(" 0.25")
        })
    })
    .await
    .unwrap();
    let ended = agent.stop().await.unwrap();
    assert_eq!(ended.code, 0);
    let started: Vec<String> = std::fs::read_to_string(&pids).unwrap().lines().map(str::to_owned).collect();
    assert!(!started.is_empty());
    until("none of them is left", SOON, async || !started.iter().any(|pid| lives(pid))).await.unwrap();
}
