//! What stays and what goes when the checks are replaced.

use super::*;
use crate::{Changes, RegisterError};

fn names(bench: &Bench) -> Vec<String> {
    bench.checker.snapshot().components.iter().map(|c| c.name.to_string()).collect()
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_check_goes_on_a_changed_one_keeps_its_status_and_a_dropped_one_is_gone() {
    let [kept, changed, dropped, added] = [ok(), refused(), Act::Hang, ok()].map(|act| Script::new([act]));
    let slow = |name| Spec { interval: LONG, deadline: MINUTE, ..spec(name) };
    let bench = Bench::start(vec![
        reg(slow("dropped"), &dropped),
        reg(slow("kept"), &kept),
        reg(slow("changed"), &changed),
    ]);
    bench.until_checked("kept", 1).await;
    bench.until_checked("changed", 1).await;
    bench.until("the one to be dropped is in flight", |_| dropped.runs_now() == 1).await;

    let never = Script::new([refused()]);
    let better = Script::new([ok()]);
    let changes = bench
        .checker
        .replace(vec![
            reg(slow("added"), &added),
            Registration { fingerprint: 1, ..reg(Spec { required: false, ..slow("changed") }, &better) },
            reg(slow("kept"), &never),
        ])
        .unwrap();
    let expected = Changes {
        added: list(&["added"]),
        removed: list(&["dropped"]),
        kept: list(&["kept"]),
        changed: list(&["changed"]),
    };
    assert_eq!(changes, expected);
    assert_eq!(names(&bench), ["added", "changed", "kept"], "in the new order");
    let view = bench.view("changed");
    assert_eq!((view.hard, &*view.reason, view.required), (Status::Unhealthy, "connection_refused", false));
    assert_eq!(bench.hard("kept"), Status::Healthy);
    assert!(
        bench.log.0.lock().iter().any(|(_, told)| matches!(told, Told::Removed(who) if who == "dropped"))
    );

    bench.until("the new result counts at once", |b| b.hard("changed") == Status::Healthy).await;
    assert!(bench.elapsed_ms() < 3_000, "soon, not after an interval");
    bench.until("the dropped one's run is cut", |_| dropped.runs_now() == 0).await;
    tokio::time::sleep(ms(10_000)).await;
    assert!(bench.log.checked("dropped").is_empty(), "nothing is told of what is gone");
    assert_eq!(kept.starts().len(), 1, "its cadence is not disturbed");
    bench.until_checked("kept", 2).await;
    assert_eq!(
        (kept.starts().len(), never.starts().len()),
        (2, 0),
        "the old check is kept, with its connections"
    );
}

#[tokio::test(start_paused = true)]
async fn another_specification_is_a_change_even_with_the_same_fingerprint() {
    let script = Script::new([ok()]);
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    bench.until_checked("database", 1).await;
    let changes =
        bench.checker.replace(vec![reg(Spec { interval: ms(7), ..spec("database") }, &script)]).unwrap();
    assert_eq!(changes.changed, ["database"]);
    let again =
        bench.checker.replace(vec![reg(Spec { interval: ms(7), ..spec("database") }, &script)]).unwrap();
    assert!(again.is_empty(), "{again:?}");
    let same = reg(Spec { interval: ms(7), ..spec("database") }, &script);
    let other = bench.checker.replace(vec![Registration { fingerprint: 1, ..same }]).unwrap();
    assert_eq!(other.changed, ["database"], "nor is another check the same for its specification");
}

#[tokio::test(start_paused = true)]
async fn a_changed_check_has_no_second_start_grace_and_no_thresholds_for_its_first_result() {
    let spec = || Spec { start_grace: LONG, ..spec("database") };
    let bench = Bench::start(vec![reg(spec(), &Script::new([ok()]))]);
    bench.until("it is healthy", |b| b.hard("database") == Status::Healthy).await;
    let wrong = Registration { fingerprint: 1, ..reg(spec(), &Script::new([refused()])) };
    bench.checker.replace(vec![wrong]).unwrap();
    let told = bench.log.checked("database").len();
    let first = bench.until_checked("database", told + 1).await.pop().unwrap();
    assert_eq!((first.hard, first.hard_changed), (Status::Unhealthy, true));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_in_leaves_everything_as_it_was() {
    let script = Script::new([ok()]);
    let bench = Bench::start(vec![reg(spec("database"), &script)]);
    let long = "x".repeat(129);
    let with_service = |service: &str| Spec { service: service.to_owned(), ..spec("b") };
    for (bad, expected) in [
        (vec![spec("b"), spec("b")], RegisterError::DuplicateName("b".into())),
        (vec![spec("")], RegisterError::BadName(String::new())),
        (vec![spec("a b")], RegisterError::BadName("a b".into())),
        (vec![spec("ä")], RegisterError::BadName("ä".into())),
        (vec![spec(&long)], RegisterError::BadName(long.clone())),
        (vec![with_service("a/b")], RegisterError::BadService { name: "b".into(), service: "a/b".into() }),
        (vec![Spec { interval: Duration::ZERO, ..spec("b") }], RegisterError::NoInterval("b".into())),
        (vec![Spec { deadline: Duration::ZERO, ..spec("b") }], RegisterError::NoDeadline("b".into())),
    ] {
        let registrations = bad.into_iter().map(|spec| reg(spec, &script)).collect();
        assert_eq!(bench.checker.replace(registrations), Err(expected));
        assert_eq!(names(&bench), ["database"]);
    }
    let longest = "x".repeat(128);
    bench.checker.register(reg(spec(&longest), &script)).unwrap();
    assert_eq!(names(&bench), ["database".to_owned(), longest]);
    let taken = bench.checker.register(reg(spec("database"), &script));
    assert_eq!(taken, Err(RegisterError::DuplicateName("database".into())));
}

#[tokio::test(start_paused = true)]
async fn a_registered_check_runs_beside_the_others_and_the_longest_times_do_no_harm() {
    let bench = Bench::start(Vec::new());
    assert_eq!(bench.checker.snapshot().components.len(), 0);
    let queue =
        crate::check_fn("queue", || async { Outcome::degraded("long", "the queue is long; add a worker") });
    let longest = Spec {
        interval: Duration::MAX,
        deadline: Duration::MAX,
        ttl: Duration::MAX,
        start_grace: Duration::MAX,
        degraded_above: Some(Duration::MAX),
        ..Spec::new("queue", "shop")
    };
    bench.checker.register(Registration::new(longest, queue)).unwrap();
    bench.until("it was run", |b| b.hard("queue") == Status::Degraded).await;
    assert_eq!(bench.view("queue").kind, "queue");
}
