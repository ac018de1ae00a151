//! What a process says of others while it gets no processor time, and after the machine slept.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_deadline_missed_while_the_process_was_starved_is_skipped_and_three_are_unknown() {
    let other = Script::new([ok(), Act::Hang]);
    let hog = Script::new([ok(), Act::Block(800)]);
    let spec = |name| Spec { deadline: ms(600), ..spec(name) };
    let bench = Bench::start(vec![reg(spec("other"), &other), reg(spec("hog"), &hog)]);
    let first = bench.until_checked("other", 1).await;
    bench.until_checked("hog", 1).await;
    // Both at one moment, so that the one is in flight while the other takes the processor.
    for round in 2..=4 {
        let renewed = bench.view("other").checked_ms;
        tokio::time::sleep(ms(100)).await;
        bench.checker.check_now(&["other", "hog"]);
        let checked = bench.until_checked("other", round).await;
        let last = checked.last().unwrap();
        assert!(last.skipped, "{last:?}");
        assert_eq!(last.outcome.reason, "agent_starved");
        assert_eq!(last.soft, Status::Healthy, "a skipped run is no result");
        assert_eq!(bench.view("other").checked_ms, renewed, "and renews nothing");
        let (hard, reason) =
            if round < 4 { (Status::Healthy, "ok") } else { (Status::Unknown, "agent_starved") };
        assert_eq!((last.hard, &*bench.view("other").reason), (hard, reason), "round {round}");
        bench.until_checked("hog", round).await;
    }
    assert_eq!(first[0].hard, Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn without_starvation_the_same_misses_are_unhealthy() {
    let script = Script::new([ok(), Act::Hang]);
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    let checked = bench.until_checked("database", 4).await;
    assert_eq!(reasons(&checked), ["ok", "deadline_exceeded", "deadline_exceeded", "deadline_exceeded"]);
    assert_eq!(checked[3].hard, Status::Unhealthy);
    assert!(checked.iter().all(|c| !c.skipped));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_counts_however_starved_the_process_was() {
    let (good, hog) =
        (Script::new([Act::After(50, Outcome::healthy())]), Script::new([ok(), Act::Block(300)]));
    let bench = Bench::start(vec![reg(spec("good"), &good), reg(spec("hog"), &hog)]);
    for round in 1..=5 {
        bench.checker.check_now(&["good", "hog"]);
        let checked = bench.until_checked("good", round).await;
        assert_eq!(reasons(&checked[round - 1..round]), ["ok"]);
        bench.until_checked("hog", round).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_machine_slept_everything_is_asked_again_within_two_seconds() {
    let script = Script::new([ok()]);
    let spec = Spec { interval: LONG, ttl: 2 * LONG, ..spec("database") };
    let bench = Bench::start(vec![reg(spec, &script)]);
    bench.until_checked("database", 1).await;
    tokio::time::sleep(ms(10_000)).await;
    SLEPT_MS.set(3 * 3_600_000);
    assert_eq!(bench.view("database").status_at(paused_ms()), Status::Unknown, "stale");
    let woke = paused_ms();
    bench.until_checked("database", 2).await;
    assert!(paused_ms() - woke < 2_000);
    assert_eq!(bench.view("database").status_at(paused_ms()), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_goes_on_whatever_the_checks_do_and_ends_with_the_scheduler() {
    let script = Script::new([Act::Hang]);
    let mut bench = Bench::start(vec![reg(Spec { deadline: 2 * LONG, ..spec("database") }, &script)]);
    for _ in 0..100 {
        tokio::time::sleep(ms(100)).await;
        assert!(paused_ms() - bench.checker.heartbeat() <= 51);
    }
    let idle = Bench::start(Vec::new());
    for _ in 0..100 {
        tokio::time::sleep(ms(100)).await;
        assert!(paused_ms() - idle.checker.heartbeat() <= 1_001);
    }
    bench.token.cancel();
    while bench.tasks.join_next().await.is_some() {}
    let last = bench.checker.heartbeat();
    tokio::time::sleep(ms(10_000)).await;
    assert_eq!(bench.checker.heartbeat(), last);
}
