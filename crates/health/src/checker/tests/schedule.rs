//! When checks run, and when they are cut.

use super::super::board::{Board, Moment, News};
use super::super::heartbeat::Heartbeat;
use super::super::verdict::End;
use super::*;
use std::sync::mpsc;

#[tokio::test(start_paused = true)]
async fn every_figure_is_there_one_second_after_the_start_and_first_runs_are_spread() {
    let scripts: Vec<_> = (0..100).map(|_| Script::new([ok()])).collect();
    let spec = |n: usize| Spec { interval: ms(10_000), ..spec(&format!("check-{n}")) };
    let bench = Bench::start(scripts.iter().enumerate().map(|(n, script)| reg(spec(n), script)).collect());
    bench
        .until("all are healthy", |b| {
            b.checker.snapshot().components.iter().all(|c| c.hard == Status::Healthy)
        })
        .await;
    assert!(bench.elapsed_ms() < 1_000, "took {} ms", bench.elapsed_ms());
    let mut first: Vec<u64> = scripts.iter().map(|s| s.starts()[0] - bench.began_ms).collect();
    first.sort_unstable();
    first.dedup();
    assert!(first.len() > 20, "only {} different moments", first.len());

    let quick = Script::new([ok()]);
    let bench = Bench::start(vec![reg(Spec { interval: ms(20), ..self::spec("quick") }, &quick)]);
    bench.until_checked("quick", 1).await;
    assert!(bench.elapsed_ms() <= 25, "no first run waits longer than an interval");
}

#[tokio::test(start_paused = true)]
async fn runs_keep_their_cadence_however_long_they_take() {
    let script = Script::new([300, 10, 450, 1, 200].map(|wait| Act::After(wait, Outcome::healthy())));
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    bench.until_checked("database", 20).await;
    let starts = script.starts();
    let drift = |n: usize| starts[n].abs_diff(starts[0] + 1_000 * n as u64);
    assert!((0..20).all(|n| drift(n) <= 2), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn missed_runs_are_not_made_up_for() {
    let script = Script::new([ok()]);
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    bench.until_checked("database", 1).await;
    tokio::time::advance(ms(5_500)).await;
    bench.until_checked("database", 3).await;
    let starts = script.starts();
    assert!(starts[1] - starts[0] >= 5_500, "{starts:?}");
    assert!(starts[2] - starts[1] >= 1_000, "no burst: {starts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_check_past_its_deadline_is_cut_and_unhealthy() {
    let script = Script::new([Act::Hang, ok()]);
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    let checked = bench.until_checked("database", 1).await;
    assert_eq!(checked[0].outcome.reason, "deadline_exceeded");
    assert_eq!(checked[0].hard, Status::Unhealthy);
    let took = checked[0].response_time.unwrap();
    assert!(took >= ms(500) && took <= ms(502), "{took:?}");
    assert!(checked[0].outcome.message.starts_with("no answer within 500ms: "));
    bench.until("its future is dropped", |_| script.runs_now() == 0).await;
    let checked = bench.until_checked("database", 2).await;
    assert_eq!(checked[1].soft, Status::Healthy, "the next run is not hindered");
    assert_eq!(script.starts()[1] - script.starts()[0], 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_check_slower_than_its_interval_never_runs_twice_at_once() {
    let script = Script::new([Act::After(950, Outcome::healthy())]);
    let slow = Spec { interval: ms(100), deadline: ms(5_000), ..spec("slow") };
    let bench = Bench::start(vec![reg(slow, &script)]);
    for _ in 0..50 {
        bench.checker.check_now(&["slow"]);
        tokio::time::sleep(ms(70)).await;
    }
    let checked = bench.until_checked("slow", 5).await;
    assert_eq!(script.most_at_once(), 1);
    assert!(checked.iter().all(|c| c.hard == Status::Healthy));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_or_panicking_check_delays_no_other() {
    let hanging: Vec<_> = (0..50).map(|_| Script::new([Act::Hang])).collect();
    let (panicking, at_once) = (Script::new([Act::Panic]), Script::new([Act::PanicAtOnce]));
    let good = Script::new([ok()]);
    let mut all = vec![reg(spec("good"), &good), reg(spec("bad"), &panicking), reg(spec("worse"), &at_once)];
    all.extend(hanging.iter().enumerate().map(|(n, s)| reg(spec(&format!("hanging-{n}")), s)));
    let bench = Bench::start(all);
    bench.until_checked("good", 10).await;
    let starts = good.starts();
    assert!((0..10).all(|n| starts[n].abs_diff(starts[0] + 1_000 * n as u64) <= 2), "{starts:?}");
    for name in ["bad", "worse"] {
        let checked = bench.until_checked(name, 9).await;
        assert!(checked.iter().all(|c| c.outcome.reason == "check_panicked" && c.soft == Status::Unknown));
        assert_eq!(bench.hard(name), Status::Unknown);
    }
    assert!(hanging.iter().all(|s| s.most_at_once() == 1));
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_checks_run_a_few_at_a_time_and_those_that_hang_never_pile_up() {
    let good: Vec<_> = (0..300).map(|_| Script::new([Act::After(5, Outcome::healthy())])).collect();
    let hanging: Vec<_> = (0..10).map(|_| Script::new([Act::Hang])).collect();
    let all = |kind: &str, scripts: &[Arc<Script>]| {
        let numbered = scripts.iter().enumerate();
        numbered.map(|(n, script)| reg(spec(&format!("{kind}-{n}")), script)).collect::<Vec<_>>()
    };
    let mut checks = all("good", &good);
    checks.extend(all("hanging", &hanging));
    let bench = Bench::start(checks);
    let mut most = 0;
    while bench.elapsed_ms() < 10_000 {
        tokio::time::sleep(ms(1)).await;
        most = most.max(good.iter().map(|s| s.runs_now()).sum());
    }
    assert!((5..=40).contains(&most), "{most} of 300 at once");
    for script in &good {
        let starts = script.starts();
        assert!(starts.len() >= 9, "{} runs in 10 s", starts.len());
        assert!(
            (0..starts.len()).all(|n| starts[n].abs_diff(starts[0] + 1_000 * n as u64) <= 2),
            "{starts:?}"
        );
    }
    assert!(hanging.iter().all(|script| script.most_at_once() == 1 && script.starts().len() >= 9));
    assert!(bench.checker.0.board.lock().timers() <= 4 * 310);
}

/// Not in paused time: the thread is truly held, in the way that tokio has for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_that_holds_its_thread_is_judged_runs_once_and_delays_no_other() {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let holding = crate::check_fn("holding", move || {
        let (held, starts) = (Arc::clone(&held), Arc::clone(&counted));
        async move {
            starts.fetch_add(1, Ordering::Relaxed);
            let ended = tokio::task::block_in_place(|| held.lock().recv().is_err());
            Outcome::unknown(if ended { "ended" } else { "released" }, "")
        }
    });
    let quick = Spec { interval: ms(20), deadline: ms(30), ..spec("holding") };
    let good = crate::check_fn("good", || async { Outcome::healthy() });
    let good = Registration::new(Spec { name: "good".into(), ..quick.clone() }, good);
    let log = Arc::new(Log::default());
    let checker =
        Checker::new(vec![Registration::new(quick, holding), good], Arc::<Log>::clone(&log)).unwrap();
    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(checker.run(token.clone()));
    let give_up = Instant::now() + MINUTE;
    let wait = async |so: &dyn Fn() -> bool| {
        while !so() {
            assert!(Instant::now() < give_up, "told: {:#?}", log.0.lock());
            tokio::time::sleep(ms(2)).await;
        }
    };
    let judged = || log.checked("holding").iter().filter(|c| c.outcome.reason == "deadline_exceeded").count();
    wait(&|| judged() >= 5 && log.checked("good").len() >= 5).await;
    assert_eq!(starts.load(Ordering::Relaxed), 1, "it has not let go, so it is not run again");
    drop(release);
    wait(&|| {
        starts.load(Ordering::Relaxed) > 1 && reasons(&log.checked("holding")).contains(&"ended".into())
    })
    .await;
    token.cancel();
    tasks.join_all().await;
    let ended = reasons(&log.checked("holding")).iter().filter(|r| *r == "ended").count();
    assert!(
        ended < starts.load(Ordering::Relaxed),
        "the answer of a run that was judged came too late to count"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_its_run_was_judged_does_not_count() {
    let start = Instant::now();
    let pulse = Heartbeat::new(start, 1_000_000);
    let moment = |wait| Moment { now: start + ms(wait), now_ms: 1_000_000 + wait, pulse: &pulse };
    let mut board = Board::default();
    board.register(reg(spec("database"), &Script::new([Act::Hang])), start, 1_000_000).unwrap();
    board.arm(start);
    let run = board.turn(moment(1_000)).pop().unwrap();
    let mut tasks = JoinSet::new();
    board.started(run.id, pulse.mark(moment(1_000).now), tasks.spawn(std::future::pending::<()>()));
    board.turn(moment(1_499));
    assert!(board.take_news().is_empty());
    board.turn(moment(1_500));
    let news = board.take_news();
    assert!(
        matches!(&news[..], [News::Checked(_, checked)] if checked.outcome.reason == "deadline_exceeded")
    );
    board.landed(run.id, Some(End::Answered { outcome: Outcome::healthy(), took: ms(499) }), moment(1_501));
    assert!(board.take_news().is_empty());
    assert_eq!(board.turn(moment(3_000)).len(), 1, "and the next run is free to start");
}

#[tokio::test(start_paused = true)]
async fn check_now_runs_at_once_and_counts_the_interval_from_then() {
    let script = Script::new([ok()]);
    let bench = Bench::start(vec![reg(Spec { interval: LONG, ..spec("database") }, &script)]);
    bench.until_checked("database", 1).await;
    tokio::time::sleep(ms(10_000)).await;
    let asked = paused_ms();
    assert_eq!(bench.checker.check_now(&["database", "nobody"]), 1);
    bench.until_checked("database", 2).await;
    assert!(script.starts()[1] - asked <= 1);
    bench.until_checked("database", 3).await;
    assert!((script.starts()[2] - asked).abs_diff(30_000) <= 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_cuts_what_runs_and_a_second_scheduler_waits_for_the_first() {
    let script = Script::new([Act::Hang]);
    let mut bench = Bench::start(vec![reg(Spec { deadline: LONG, ..spec("database") }, &script)]);
    bench.until("it runs", |_| script.runs_now() == 1).await;
    let second = CancellationToken::new();
    bench.tasks.spawn(bench.checker.clone().run(second.clone()));
    tokio::time::sleep(ms(10_000)).await;
    assert_eq!(script.starts().len(), 1, "only one scheduler runs");
    bench.token.cancel();
    bench.until("the second one takes over", |_| script.starts().len() == 2).await;
    assert_eq!(script.runs_now(), 1, "the first one's run was cut");
    second.cancel();
    bench.tasks.join_all().await;
    assert_eq!(script.runs_now(), 0);
}

#[tokio::test(start_paused = true)]
async fn once_runs_all_together_and_the_first_result_counts() {
    let scripts =
        [Script::new([ok()]), Script::new([refused()]), Script::new([Act::Hang]), Script::new([Act::Panic])];
    let names = ["a", "b", "c", "d"];
    let registrations =
        names.iter().zip(&scripts).map(|(name, s)| reg(Spec::new(*name, "shop"), s)).collect();
    let since = Instant::now();
    let views = super::super::run_once(registrations).await.unwrap();
    assert!(since.elapsed() <= ms(510), "{:?}", since.elapsed());
    let got: Vec<_> = views.iter().map(|v| (&*v.name, v.hard, &*v.reason)).collect();
    let expected = [
        ("a", Status::Healthy, "ok"),
        ("b", Status::Unhealthy, "connection_refused"),
        ("c", Status::Unhealthy, "deadline_exceeded"),
        ("d", Status::Unknown, "check_panicked"),
    ];
    assert_eq!(got, expected);
    assert!(scripts.iter().all(|s| s.starts().len() == 1));
    assert!(super::super::run_once(Vec::new()).await.unwrap().is_empty());
}
