//! The monitor ends at each named point once, on both stores.

use super::few;
use farol_tests::dice::seed;
use farol_tests::faults::{Kind, Scene, crash};
use farol_tests::oracle::Habits;

/// Each of these points, one after another on the same data.
async fn each(kind: Kind, part: &[&str]) {
    let seed = seed();
    let habits = Habits { agents: 12, ..few() };
    let mut scene = match part.contains(&"mid_migration") {
        true => {
            let (scene, done) = crash::first_start(kind, seed, habits).await.unwrap();
            eprintln!("{done}");
            scene
        }
        false => Scene::begin(kind.ground().await.unwrap(), seed, habits).await.unwrap(),
    };
    scene.oracle.acknowledged(10, std::time::Duration::from_secs(10)).await.unwrap();
    for name in part.iter().filter(|name| **name != "mid_migration") {
        eprintln!("{}", crash::at(&mut scene, name).await.unwrap());
    }
    scene.finish().await.unwrap();
}

/// In parts, so that each is short and they run beside each other.
const PARTS: [&[&str]; 5] = [
    &["mid_migration", "after_open", "before_restore", "after_restore", "mid_start", "mid_restart_pass"],
    &["before_commit", "after_commit", "after_ack", "mid_transaction", "before_sealed", "after_sealed"],
    &["before_upkeep", "after_upkeep", "after_marks", "before_close", "after_close"],
    &["after_journal", "after_roll_ups"],
    &["after_retention", "after_budget", "after_statuses", "after_documents"],
];

/// Those that only a file has.
const OF_A_FILE: &[&str] = &["mid_checkpoint", "after_checkpoint", "after_pages"];

/// Met only when the database makes a piece of upkeep wait more than once, which a quick one seldom does: they are tried
/// in the long form, `scripts/torture`.
const BY_CHANCE: &[&str] = &["during_journal", "during_statuses", "during_documents", "during_pages"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_points_of_a_start_on_sqlite() {
    each(Kind::Sqlite, PARTS[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_points_of_a_start_on_postgresql() {
    each(Kind::Postgres, PARTS[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_points_of_a_commit_on_sqlite() {
    each(Kind::Sqlite, PARTS[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_points_of_a_commit_on_postgresql() {
    each(Kind::Postgres, PARTS[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_points_of_upkeep_and_of_an_end_on_sqlite() {
    each(Kind::Sqlite, PARTS[2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_points_of_upkeep_and_of_an_end_on_postgresql() {
    each(Kind::Postgres, PARTS[2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_points_of_a_file_that_looks_after_itself() {
    each(Kind::Sqlite, OF_A_FILE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_what_upkeep_does_to_sealed_journal_and_to_roll_ups_on_sqlite() {
    each(Kind::Sqlite, PARTS[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_what_upkeep_does_to_sealed_journal_and_to_roll_ups_on_postgresql() {
    each(Kind::Postgres, PARTS[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_what_upkeep_does_to_ages_and_budget_on_sqlite() {
    each(Kind::Sqlite, PARTS[4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_what_upkeep_does_to_ages_and_budget_on_postgresql() {
    each(Kind::Postgres, PARTS[4]).await;
}

#[test]
fn every_point_is_in_a_part() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let names = crash::names(kind);
        assert!(names.len() >= 12, "{names:?}");
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !OF_A_FILE.contains(name) && !BY_CHANCE.contains(name))
            .filter(|name| !PARTS.iter().any(|part| part.contains(name)))
            .collect();
        assert!(missing.is_empty(), "{missing:?} are never tried");
    }
}
