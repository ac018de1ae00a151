//! What the snapshot shows, and what the observer and the log are told.

use super::*;
use crate::aggregate::Aggregate;
use crate::{Figure, Unit};
use std::cell::RefCell;
use std::fmt::Debug;
use tracing::field::{Field, Visit};
use tracing::span;

#[tokio::test(start_paused = true)]
async fn results_are_counted_shown_and_told() {
    let figure = |value| Figure::gauge("connections", value, Unit::None);
    let answer = |status, value| Act::After(2, Outcome::new(status, status.as_str(), "").with(figure(value)));
    let script = Script::new([
        answer(Status::Healthy, 1.0),
        answer(Status::Unhealthy, 2.0),
        answer(Status::Unhealthy, 3.0),
        answer(Status::Unhealthy, 4.0),
        answer(Status::Healthy, 5.0),
        answer(Status::Healthy, 6.0),
    ]);
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    assert_eq!(bench.hard("database"), Status::Starting);
    let (h, u) = (Status::Healthy, Status::Unhealthy);
    let expected = [
        (h, h, true, true),
        (u, h, false, true),
        (u, h, false, false),
        (u, u, true, false),
        (h, u, false, true),
    ];
    for (n, expected) in (1..).zip(expected) {
        let checked = bench.until_checked("database", n).await.pop().unwrap();
        let got = (checked.soft, checked.hard, checked.hard_changed, checked.reason_changed);
        assert_eq!(got, expected, "result {n}");
        let view = bench.view("database");
        assert_eq!(
            (view.soft, view.hard, &view.reason),
            (checked.soft, checked.hard, &checked.outcome.reason)
        );
        assert_eq!(*view.figures, *checked.outcome.figures);
        assert_eq!((view.checked_ms, view.response_time), (Some(checked.at_ms), checked.response_time));
        assert!(view.checked_at.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_answer_slower_than_the_limit_is_degraded() {
    let script = Script::new([Act::After(50, Outcome::healthy())]);
    let bench = Bench::start(vec![reg(Spec { degraded_above: Some(ms(20)), ..spec("database") }, &script)]);
    let checked = bench.until_checked("database", 1).await;
    assert_eq!((checked[0].hard, &*checked[0].outcome.reason), (Status::Degraded, "slow"));
    assert_eq!(checked[0].outcome.message, "it works, but its answer took longer than 20ms");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_nobody_renews_becomes_stale_and_is_told_once() {
    let script = Script::new([ok(), ok(), Act::After(1, Outcome::healthy())]);
    let bench = Bench::start(vec![reg(Spec { interval: LONG, ttl: ms(1_500), ..spec("database") }, &script)]);
    let at = bench.until_checked("database", 1).await[0].at_ms;
    bench.until("it is told", |b| !b.log.lapses().is_empty()).await;
    tokio::time::sleep(ms(10_000)).await;
    let lapses = bench.log.lapses();
    assert_eq!(lapses.len(), 1, "{lapses:?}");
    let (told_at, _, hard, stale) = &lapses[0];
    assert!(told_at - at > 1_500 && told_at - at <= 1_503, "after {}", told_at - at);
    assert_eq!((*hard, *stale), (Status::Healthy, true), "the last status stays");
    assert_eq!(bench.checker.snapshot().status_at(paused_ms()), Aggregate::Status(Status::Unknown));
    bench.until_checked("database", 2).await;
    assert_eq!(bench.checker.snapshot().status_at(paused_ms()), Aggregate::Status(Status::Healthy));
    bench.until("it is stale anew", |b| b.log.lapses().len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_start_grace_is_told_without_waiting_for_a_run() {
    let script = Script::new([refused()]);
    let spec = Spec { interval: LONG, start_grace: ms(5_000), ..spec("database") };
    let bench = Bench::start(vec![reg(spec, &script)]);
    bench.until_checked("database", 1).await;
    assert_eq!(bench.hard("database"), Status::Starting);
    assert_eq!(bench.checker.snapshot().status_at(paused_ms()), Aggregate::Status(Status::Starting));
    bench.until("the last result counts", |b| b.hard("database") == Status::Unhealthy).await;
    assert!((5_000..=5_003).contains(&bench.elapsed_ms()), "{}", bench.elapsed_ms());
    let lapses = bench.log.lapses();
    assert!(matches!(&lapses[..], [(_, _, Status::Unhealthy, false)]), "{lapses:?}");
    assert_eq!(script.starts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn draining_and_maintenance_lie_over_the_true_statuses() {
    let (good, bad) = (Script::new([ok()]), Script::new([refused()]));
    let bench = Bench::start(vec![reg(spec("good"), &good), reg(spec("bad"), &bad)]);
    let status = || bench.checker.snapshot().status_at(paused_ms());
    bench.until_checked("good", 1).await;
    bench.until_checked("bad", 1).await;
    assert_eq!(status(), Aggregate::Status(Status::Unhealthy));
    bench.checker.set_maintenance(&["bad", "nobody"]);
    assert_eq!(status(), Aggregate::Status(Status::Healthy));
    bench.until_checked("bad", 2).await;
    assert_eq!((bench.hard("bad"), bench.view("bad").maintenance), (Status::Unhealthy, true));
    let changed = Registration { fingerprint: 1, ..reg(spec("bad"), &bad) };
    bench.checker.replace(vec![reg(spec("good"), &good), changed]).unwrap();
    assert_eq!(status(), Aggregate::Status(Status::Healthy), "a reload ends no maintenance");
    bench.checker.set_draining(true);
    assert_eq!(status(), Aggregate::Maintenance);
    bench.checker.set_draining(false);
    bench.checker.set_maintenance::<&str>(&[]);
    assert_eq!(status(), Aggregate::Status(Status::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_shares_what_did_not_change() {
    let (often, seldom) = (Script::new([ok()]), Script::new([ok()]));
    let bench = Bench::start(vec![
        reg(spec("often"), &often),
        reg(Spec { interval: LONG, ..spec("seldom") }, &seldom),
    ]);
    bench.until_checked("seldom", 1).await;
    let (before, runs) = (bench.view("seldom"), bench.log.checked("often").len());
    bench.until_checked("often", runs + 3).await;
    assert!(Arc::ptr_eq(&before, &bench.view("seldom")));
}

thread_local! {
    /// This test's log lines, as `LEVEL message field=value …`.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps each thread's log lines apart. For the whole test binary: a subscriber of one thread only is not asked
/// about events that another thread meets first.
struct Lines;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn maintenance_by_hand_has_a_reason_and_ends_apart_from_draining() {
    let bench = Bench::start(vec![reg(spec("good"), &Script::new([ok()]))]);
    bench.until_checked("good", 1).await;
    let changed = bench.checker.changed();
    let (switch, shown) = (bench.checker.maintenance(), || {
        let snapshot = bench.checker.snapshot();
        (snapshot.status_at(paused_ms()), snapshot.maintenance.as_deref().map(str::to_owned))
    });
    let well = (Aggregate::Status(Status::Healthy), None);
    assert_eq!((shown(), switch.is_on()), (well.clone(), false));
    let before = *changed.borrow();
    switch.set(true, "new disks");
    assert_eq!((shown(), switch.is_on()), ((Aggregate::Maintenance, Some("new disks".into())), true));
    switch.set(true, "new disks");
    assert_eq!(*changed.borrow(), before + 1, "the same again is no news");
    switch.set(true, "old disks");
    assert_eq!(shown().1.as_deref(), Some("old disks"));
    bench.checker.set_draining(true);
    switch.set(false, "");
    assert_eq!(shown(), (Aggregate::Maintenance, None), "it still drains");
    bench.checker.set_draining(false);
    assert_eq!(shown(), well);
}

#[tokio::test(start_paused = true)]
async fn changes_and_slowness_are_logged_once_each() {
    tracing::subscriber::set_global_default(Lines).unwrap();
    let slow = || Act::After(300, Outcome::healthy());
    let script = Script::new([ok(), slow(), slow(), ok(), slow(), refused(), refused(), refused()]);
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    bench.until_checked("database", 9).await;
    let got = LINES.take();
    let count = |lines: &[String], parts: &[&str]| {
        lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    };
    let changed = "message=component changed its status component.name=\"database\"";
    let (hard, from, to) = ("state=\"hard\"", "from=\"starting\"", "to=\"healthy\"");
    assert_eq!(count(&got, &["INFO", changed, from, to, hard, "reason=\"ok\""]), 1, "{got:#?}");
    let refused = "reason=\"connection_refused\"";
    assert_eq!(count(&got, &["WARN", changed, "to=\"unhealthy\"", hard, refused]), 1, "{got:#?}");
    assert_eq!(count(&got, &[changed]), 2, "{got:#?}");
    let soft = ["DEBUG", "answered otherwise", "state=\"soft\"", "to=\"unhealthy\"", refused];
    assert_eq!(count(&got, &soft), 1, "the first answer of a row: {got:#?}");
    assert_eq!(count(&got, &["component.name", "state="]), 3, "one a change: {got:#?}");
    let warned = ["WARN", "check is slow", "slow_above_ms=250", "deadline_ms=500"];
    assert_eq!(count(&got, &warned), 1, "a row in a short while is told of once: {got:#?}");

    let script = Script::new([ok(), slow()]);
    let bench = Bench::start(vec![reg(Spec { degraded_above: Some(ms(350)), ..spec("patient") }, &script)]);
    bench.until_checked("patient", 3).await;
    assert_eq!(count(&LINES.take(), &["check is slow"]), 0, "what was set counts");

    let (mut acts, minute) = (vec![ok()], 60);
    acts.extend((0..30 * minute).map(|second| if second % 2 == 0 { slow() } else { ok() }));
    let script = Script::new(acts);
    let bench = Bench::start(vec![reg(spec("flapping"), &script)]);
    tokio::time::sleep(29 * MINUTE).await;
    assert!(bench.log.checked("flapping").len() > 29 * minute - 5);
    assert_eq!(count(&LINES.take(), &["check is slow"]), 3, "every ten minutes at most");
}
