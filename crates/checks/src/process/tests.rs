//! Real processes of this machine, and what is made of what was seen.

use super::*;
use farol_health::Status;
use std::process::{Child, Command, Stdio};

/// A program that waits, ended with the test.
struct Waits(Child);

impl Waits {
    fn start(word: &str) -> Self {
        let child = Command::new("sh")
            .args(["-c", "echo; read x; : $0", word])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut waits = Self(child);
        // When it has printed its line it is what it will be.
        std::io::Read::read_exact(waits.0.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        waits
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn check(target: Target, at_least: u32, at_most: Option<u32>) -> Process {
    Process::new(Settings { target, at_least, at_most })
}

fn pattern(word: &str) -> Target {
    Target::Pattern(regex::Regex::new(word).unwrap())
}

fn figure(outcome: &Outcome, name: &str) -> f64 {
    outcome.figures.iter().find(|figure| figure.name == name).unwrap_or_else(|| panic!("{name}")).value
}

#[tokio::test]
async fn processes_are_counted_by_their_command_lines() {
    let word = format!("farol-test-{}", std::process::id());
    let check = check(pattern(&format!("^sh -c .*{word}$")), 2, Some(2));
    assert_eq!(check.run().await.reason, "not_running");
    let _first = Waits::start(&word);
    let outcome = check.run().await;
    assert_eq!((outcome.status, outcome.reason.as_ref()), (Status::Unhealthy, "too_few"));
    let second = Waits::start(&word);
    let outcome = check.run().await;
    assert_eq!((outcome.status, outcome.reason.as_ref()), (Status::Healthy, "ok"));
    assert_eq!(figure(&outcome, "process_count"), 2.0);
    assert!(figure(&outcome, "process_resident_memory_bytes") > 10_000.0);
    assert!(figure(&outcome, "process_open_fds") >= 6.0);
    assert_eq!(figure(&outcome, "process_threads"), 2.0);
    let now = jiff_now();
    let started = figure(&outcome, "process_start_time_seconds");
    assert!(started > now - 3_600.0 && started < now + 5.0, "{started} at {now}");
    let third = Waits::start(&word);
    let outcome = check.run().await;
    assert_eq!((outcome.status, outcome.reason.as_ref()), (Status::Degraded, "too_many"));
    drop((second, third));
    assert_eq!(check.run().await.reason, "too_few");
}

/// The age of a fresh file tells the time without asking for it.
fn jiff_now() -> f64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    let modified = file.as_file().metadata().unwrap().modified().unwrap();
    modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test]
async fn a_restart_is_said_once_and_a_zombie_runs_no_more() {
    let word = format!("farol-again-{}", std::process::id());
    let check = check(pattern(&format!("{word}$")), 1, None);
    let first = Waits::start(&word);
    assert_eq!(check.run().await.reason, "ok");
    drop(first);
    let mut second = Waits::start(&word);
    let outcome = check.run().await;
    assert_eq!((outcome.status, outcome.reason.as_ref()), (Status::Healthy, "restarted"));
    assert_eq!(check.run().await.reason, "ok");
    drop(second.0.stdin.take());
    let ended = async {
        while check.run().await.reason != "not_running" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), ended)
        .await
        .expect("it ended and is not reaped");
}

#[tokio::test]
async fn a_name_is_the_kernels_or_that_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("a-rather-long-name-of-a-program");
    std::fs::copy("/bin/sh", &long).unwrap();
    let name = long.file_name().unwrap().to_str().unwrap().to_owned();
    let check = check(Target::Name(name), 1, None);
    assert_eq!(check.run().await.reason, "not_running");
    let child = Command::new(&long).args(["-c", "read x; :"]).stdin(Stdio::piped()).spawn().unwrap();
    let _child = Waits(child);
    let ran = async {
        while check.run().await.reason != "ok" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), ran).await.expect("it is found");
    let other = Process::new(Settings {
        target: Target::Name("a-rather-long-n".to_owned()),
        at_least: 1,
        at_most: None,
    });
    assert_eq!(other.run().await.reason, "ok", "as the kernel shows it");
}

#[tokio::test]
async fn a_pid_file_names_a_process_or_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.pid");
    let check = check(Target::PidFile(file.clone()), 1, None);
    assert_eq!(check.run().await.reason, "no_pid_file");
    for (text, status, reason) in [
        ("soon\n".to_owned(), Status::Unhealthy, "bad_pid_file"),
        ("-1\n".to_owned(), Status::Unhealthy, "bad_pid_file"),
        (String::new(), Status::Unhealthy, "bad_pid_file"),
        ("4294967294\n".to_owned(), Status::Unhealthy, "not_running"),
        (format!(" {}\n/var/lib\n", std::process::id()), Status::Healthy, "ok"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let outcome = check.run().await;
        assert_eq!(
            (outcome.status, outcome.reason.as_ref()),
            (status, reason),
            "{text:?}: {}",
            outcome.message
        );
    }
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(check.run().await.reason, "stale_pid_file", "the number is another's by now");
}
