//! Real programs: what becomes of their ends, of what they print and of what they start.

use super::*;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

fn shell(script: &str) -> Command {
    Command::new(Settings::new(["sh", "-c", script].map(str::to_owned).to_vec()))
}

/// The time within which anything that must come comes.
const SOON: Duration = Duration::from_secs(10);

async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Alive: neither gone nor waiting to be reaped.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

#[tokio::test]
async fn the_exit_code_is_the_status_and_the_first_line_the_message() {
    for (script, status, reason, message) in [
        ("echo 'OK - fine|a=1'", Status::Healthy, "ok", "OK - fine"),
        ("true", Status::Healthy, "ok", ""),
        ("echo slow; exit 1", Status::Degraded, "command_warning", "slow"),
        ("echo down; echo more; exit 2", Status::Unhealthy, "command_critical", "down"),
        ("echo 'no such thing' >&2; exit 3", Status::Unknown, "command_unknown", "no such thing"),
        ("exit 2", Status::Unhealthy, "command_critical", "`sh` fails and says not why"),
        (
            "echo hm; exit 17",
            Status::Unknown,
            "command_exit_code",
            "`sh` exited with 17; a plugin exits with 0, 1, 2 or 3. hm",
        ),
        ("kill -9 $$", Status::Unknown, "command_killed", "`sh` was ended by signal 9: see its log"),
    ] {
        let outcome = shell(script).run().await;
        let seen = (outcome.status, outcome.reason.as_ref(), outcome.message.as_str());
        assert_eq!(seen, (status, reason, message), "{script}");
    }
    let figures = shell("echo 'OK|a=1;2;3'").run().await.figures;
    assert_eq!(figures.iter().map(|f| f.value).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn what_cannot_be_run_is_unknown_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "x").unwrap();
    for (program, reason) in [
        ("no-such-program", "command_not_found"),
        ("/no/such/program", "command_not_found"),
        (plain.to_str().unwrap(), "command_not_allowed"),
    ] {
        let outcome = Command::new(Settings::new(vec![program.to_owned()])).run().await;
        assert_eq!((outcome.status, outcome.reason.as_ref()), (Status::Unknown, reason), "{program}");
    }
    let settings = Settings { cwd: dir.path().join("gone"), ..Settings::new(vec!["true".to_owned()]) };
    assert_eq!(Command::new(settings).run().await.reason, "command_not_found");
}

#[tokio::test]
async fn no_shell_reads_the_words_and_the_environment_is_next_to_empty() {
    let settings = Settings::new(["echo", "$HOME; `id`", "*"].map(str::to_owned).to_vec());
    assert_eq!(Command::new(settings).run().await.message, "$HOME; `id` *");

    let settings = Settings {
        env: vec![("TOKEN".into(), "s3cret".into()), ("LANG".into(), "de".into())],
        cwd: "/tmp".into(),
        ..Settings::new(
            ["sh", "-c", "env | sort | tr '\\n' ' '; pwd; readlink /proc/self/fd/0"]
                .map(str::to_owned)
                .to_vec(),
        )
    };
    assert!(!format!("{settings:?}").contains("s3cret"));
    let message = Command::new(settings).run().await.message;
    // `PWD`, `SHLVL` and `_` are the shell's own.
    let names: Vec<_> =
        message.split(' ').filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect();
    let given: Vec<_> =
        names.into_iter().filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_" | "OLDPWD")).collect();
    assert_eq!(given, ["LANG", "LC_ALL", "PATH", "TOKEN"], "{message}");
    assert!(message.contains("LANG=de") && message.ends_with("/tmp"), "{message}");
}

#[tokio::test]
async fn it_has_no_input_and_none_of_our_files() {
    // A file that whoever started us left open for us.
    let _inherited = rustix::io::dup(std::fs::File::open("/dev/null").unwrap()).unwrap();
    let list = ["ls", "-m", "/proc/self/fd"].map(str::to_owned).to_vec();
    // The third is the folder that it lists.
    assert_eq!(Command::new(Settings::new(list)).run().await.message, "0, 1, 2, 3");
    assert_eq!(shell("readlink /proc/self/fd/0").run().await.message, "/dev/null");
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_and_only_its_beginning_kept() {
    let script = "echo first; head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero >&2; exit 1";
    let outcome = timeout(SOON, shell(script).run()).await.expect("it never waits for a reader");
    assert_eq!((outcome.reason.as_ref(), outcome.message.as_str()), ("command_warning", "first"));
    let long = timeout(SOON, shell("head -c 3000000 /dev/zero | tr '\\0' x").run()).await.unwrap();
    assert!(long.message.len() <= 512 && long.message.starts_with("xxx"));
}

#[tokio::test]
async fn at_its_deadline_it_is_killed_with_its_children_and_reaped() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let script = format!(
        "sh -c 'sleep 1000 & echo $! >> {0}; trap \"\" TERM INT HUP; wait' & echo $! >> {0}; echo $$ >> {0}; \
         trap \"\" TERM; wait; sleep 1000",
        file.display()
    );
    let check = shell(&script);
    let mut run = check.run();
    let pids = || -> Vec<String> {
        std::fs::read_to_string(&file).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    let started = until("all three have started", || pids().len() == 3);
    tokio::select! {
        outcome = &mut run => panic!("it ended: {outcome:?}"),
        () = started => {}
    }
    let pids = pids();
    assert!(pids.iter().all(|pid| lives(pid)), "{pids:?}");
    drop(run);
    until("nobody of the group is left", || !pids.iter().any(|pid| lives(pid))).await;
    let leader = Path::new("/proc").join(&pids[2]);
    until("the leader is reaped", || pids.len() == 3 && !leader.exists()).await;
}

#[tokio::test]
async fn what_it_leaves_behind_ends_with_it() {
    let outcome = timeout(SOON, shell("sleep 1000 & echo $!").run()).await.expect("it waits for nobody");
    assert_eq!(outcome.status, Status::Healthy);
    let pid = outcome.message;
    assert!(!pid.is_empty());
    until("the child is gone", || !lives(&pid)).await;
}

#[tokio::test]
async fn one_who_left_the_group_and_holds_the_pipe_delays_nothing() {
    let began = Instant::now();
    let outcome = shell("setsid sleep 20 & echo $!").run().await;
    assert_eq!(outcome.status, Status::Healthy);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let pid = outcome.message.parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
}
