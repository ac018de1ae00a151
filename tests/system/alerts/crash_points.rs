//! The monitor ends at each named point round its ledger, on both stores. `scripts/torture --only ledger` does the same
//! for long.

use farol_tests::dice::seed;
use farol_tests::faults::{Kind, telling};

/// Each of these points, one after another on the same data.
async fn each(kind: Kind, part: &[&str]) {
    let mut scene = telling::Scene::begin(kind, seed()).await.unwrap();
    for name in part {
        let done = telling::at(&mut scene, name).await;
        eprintln!("{}", done.unwrap_or_else(|error| panic!("{name}: {error:#}\n{}", scene.told())));
    }
    let judged = scene.finish().await;
    let judged = judged.unwrap_or_else(|error| panic!("{error:#}\n{}", scene.told()));
    assert!(judged.notices >= part.len(), "{judged}");
}

/// In parts that run beside each other.
const PARTS: [&[&str]; 4] = [
    &["before_firing", "after_firing", "before_mark", "after_mark", "before_resolved", "after_resolved"],
    &[
        "before_element",
        "after_element",
        "before_incident",
        "after_incident",
        "before_conversation",
        "after_conversation",
    ],
    &["held", "answered", "refused", "hung_up", "starts", "anytime"],
    &["before_silence", "after_silence", "before_acknowledgement", "after_acknowledgement"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_is_told_and_so_is_its_end_at_the_points_of_a_notice_on_sqlite() {
    each(Kind::Sqlite, PARTS[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_is_told_and_so_is_its_end_at_the_points_of_a_notice_on_postgresql() {
    each(Kind::Postgres, PARTS[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_is_told_and_so_is_its_end_at_the_points_of_what_is_kept_on_sqlite() {
    each(Kind::Sqlite, PARTS[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_is_told_and_so_is_its_end_at_the_points_of_what_is_kept_on_postgresql() {
    each(Kind::Postgres, PARTS[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_is_told_and_so_is_its_end_at_the_points_of_a_send_on_sqlite() {
    each(Kind::Sqlite, PARTS[2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_is_told_and_so_is_its_end_at_the_points_of_a_send_on_postgresql() {
    each(Kind::Postgres, PARTS[2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_said_is_kept_or_was_not_confirmed_on_sqlite() {
    each(Kind::Sqlite, PARTS[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_said_is_kept_or_was_not_confirmed_on_postgresql() {
    each(Kind::Postgres, PARTS[3]).await;
}

#[test]
fn every_point_is_in_a_part() {
    let names = telling::names();
    let missing: Vec<_> = names.iter().filter(|name| !PARTS.iter().any(|part| part.contains(name))).collect();
    assert!(names.len() >= 12 && missing.is_empty(), "{missing:?} are never tried");
}
