//! Components that nobody asks: results come by themselves, and silence means what the check says.

use super::{Bench, Script, ms, ok, reg, spec};
use crate::{Outcome, Registration, Spec, Status, check_fn, run_once};

/// Told at least every second; silence is unhealthy.
fn heartbeat() -> Registration {
    let spec = Spec {
        told: true,
        interval: ms(1_000),
        ttl: ms(10_000),
        failure_threshold: 1,
        success_threshold: 1,
        ..spec("job")
    };
    Registration::new(spec, check_fn("heartbeat", || std::future::ready(Outcome::unhealthy("missed", ""))))
}

fn shown(bench: &Bench) -> (Status, String) {
    let view = bench.view("job");
    (view.hard, view.reason.to_string())
}

#[tokio::test(start_paused = true)]
async fn it_starts_until_the_first_word_and_silence_after_the_last_one_counts() {
    let bench = Bench::start(vec![heartbeat()]);
    tokio::time::sleep(ms(950)).await;
    assert_eq!(shown(&bench).0, Status::Starting);
    assert!(bench.checker.tell("job", Outcome::healthy()));
    assert_eq!(shown(&bench), (Status::Healthy, "ok".to_owned()), "at once");
    tokio::time::sleep(ms(950)).await;
    assert_eq!(shown(&bench).0, Status::Healthy);
    assert!(bench.checker.tell("job", Outcome::degraded("slow", "")));
    assert_eq!(shown(&bench), (Status::Degraded, "slow".to_owned()));
    tokio::time::sleep(ms(950)).await;
    assert_eq!(shown(&bench).0, Status::Degraded, "each word starts the time anew");
    tokio::time::sleep(ms(100)).await;
    assert_eq!(shown(&bench), (Status::Unhealthy, "missed".to_owned()));
    tokio::time::sleep(ms(60_000)).await;
    assert_eq!(shown(&bench).0, Status::Unhealthy);
    let now_ms = super::paused_ms();
    assert!(!bench.view("job").is_stale(now_ms), "silence is told again");
    assert!(bench.checker.tell("job", Outcome::healthy()));
    assert_eq!(shown(&bench).0, Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn nothing_was_ever_told() {
    let bench = Bench::start(vec![heartbeat()]);
    tokio::time::sleep(ms(1_100)).await;
    assert_eq!(shown(&bench), (Status::Unhealthy, "missed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn it_cannot_be_asked_and_others_cannot_be_told() {
    let bench = Bench::start(vec![heartbeat(), reg(spec("database"), &Script::new([ok()]))]);
    assert!(!bench.checker.tell("nobody", Outcome::healthy()));
    assert!(!bench.checker.tell("database", Outcome::healthy()), "it is asked");
    assert_eq!(bench.checker.check_now(&["job"]), 1);
    tokio::time::sleep(ms(500)).await;
    assert_eq!(shown(&bench).0, Status::Starting, "asking it says nothing");
    assert!(run_once(vec![heartbeat()]).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_changes_nothing_does_not_start_the_time_anew() {
    let bench = Bench::start(vec![heartbeat()]);
    assert!(bench.checker.tell("job", Outcome::healthy()));
    tokio::time::sleep(ms(900)).await;
    bench.checker.replace(vec![heartbeat()]).unwrap();
    assert_eq!(shown(&bench).0, Status::Healthy);
    tokio::time::sleep(ms(200)).await;
    assert_eq!(shown(&bench).0, Status::Unhealthy);
}
