//! An agent as the first process of a container: it hears its signals, and clears away orphans that become its
//! children.

use farol_tests::process::command;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A process and its namespace; all in it end when this one does.
const UNSHARE: [&str; 4] = ["--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"];
/// An orphan is cleared away at the second look.
const REAPED_WITHIN: Duration = Duration::from_secs(15);

/// Whether this machine lets us make process namespaces.
async fn allowed() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(UNSHARE).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    unshare.status().await.is_ok_and(|status| status.success())
}

/// The children of a process, zombies among them.
fn children(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn start(folder: &Path) -> Child {
    let agent = command("farol-agent", &[]).unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(UNSHARE).arg(agent.as_std().get_program());
    unshare.arg("--data-dir").arg(folder.join("data")).arg("--ready-file").arg(folder.join("ready.json"));
    unshare.arg("--config").arg(folder.join("agent.yaml"));
    unshare.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).kill_on_drop(true);
    unshare.spawn().unwrap()
}

#[tokio::test]
async fn as_pid_1_it_hears_its_signals_and_clears_orphans_away() {
    if !allowed().await {
        eprintln!("SKIPPED: this machine forbids process namespaces (unshare --pid), so PID 1 is not tested");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = "name: first\nmonitors: []\nlisten: {http: \"127.0.0.1:0\"}\n";
    std::fs::write(folder.path().join("agent.yaml"), config).unwrap();
    let mut unshare = start(folder.path());
    let ready = folder.path().join("ready.json");
    until("it is ready", SOON, async || ready.exists()).await.unwrap();
    let outer = i32::try_from(unshare.id().unwrap()).unwrap();
    let agent = children(outer)[0];

    let mut enter = Command::new("nsenter");
    enter.args(["--target", &agent.to_string(), "--pid", "--mount", "sh", "-c"]);
    enter.arg("sleep 1 & sleep 1 & exit 0");
    assert!(enter.status().await.unwrap().success());
    until("the orphans are its children", SOON, async || children(agent).len() == 2).await.unwrap();
    until("they are cleared away", REAPED_WITHIN, async || children(agent).is_empty()).await.unwrap();

    kill_process(Pid::from_raw(agent).unwrap(), Signal::TERM).unwrap();
    let status = timeout(SOON, unshare.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
}
