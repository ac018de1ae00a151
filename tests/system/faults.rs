//! What is done to a monitor under load, in short: an oracle of simulated agents knows what it said, and afterwards
//! history must be that. `scripts/torture` does the same for long. A seed is printed; `FAROL_SEED` gives one.

#![allow(clippy::unwrap_used, reason = "what breaks fails its test, with the seed above it")]

mod crash_points;
mod deaf;

use farol_tests::dice::seed;
use farol_tests::faults::disk::Disk;
use farol_tests::faults::{Kind, Scene, clock, disk, kill, pause, slow, storm};
use farol_tests::oracle::Habits;
use farol_tests::wait::until;
use std::time::Duration;

fn few() -> Habits {
    Habits { agents: 25, ..Habits::default() }
}

async fn killed(kind: Kind) {
    let mut scene = Scene::begin(kind.ground().await.unwrap(), seed(), few()).await.unwrap();
    for _ in 0..3 {
        eprintln!("{}", kill::monitor(&mut scene).await.unwrap());
    }
    // The agents change their definitions after a while, which seals what came before.
    let sealed =
        async || scene.victim.metric("farol_sealed_blocks_total").await.is_some_and(|blocks| blocks > 0.0);
    until("some of it is sealed", Duration::from_secs(30), sealed).await.unwrap();
    let judgement = scene.finish().await.unwrap();
    assert!(judgement.counts.issued > 150 && judgement.counts.acks > 10, "{judgement:?}");
    // Some of it out of blocks, by REST and at rest.
    assert!(judgement.sealed > 0 && judgement.sealed < judgement.found, "{judgement:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_killed_at_random_loses_and_doubles_nothing_on_sqlite() {
    killed(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_killed_at_random_loses_and_doubles_nothing_on_postgresql() {
    killed(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_killed_stopped_and_cut_off_loses_and_doubles_nothing() {
    let ground = Kind::Postgres.ground().await.unwrap();
    let mut scene = Scene::begin(ground, seed(), few()).await.unwrap();
    for _ in 0..2 {
        eprintln!("{}", kill::server(&mut scene).await.unwrap());
    }
    scene.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_loses_and_doubles_nothing() {
    let ground = Kind::Sqlite.ground().await.unwrap();
    let mut scene = Scene::begin(ground, seed(), few()).await.unwrap();
    eprintln!("{}", storm::round(&mut scene, Duration::from_secs(5)).await.unwrap());
    scene.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_that_stands_still_calls_nobody_lost_and_loses_nothing() {
    let ground = Kind::Sqlite.ground().await.unwrap();
    let mut scene = Scene::begin(ground, seed(), few()).await.unwrap();
    // Longer than three report intervals of the agents.
    eprintln!("{}", pause::monitor(&mut scene, Duration::from_millis(4_500)).await.unwrap());
    scene.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_lived_through_and_recovered_from() {
    let Some(disk) = Disk::mount(16).unwrap() else { return };
    let mut scene = disk::scene(&disk, seed(), few()).await.unwrap();
    eprintln!("{}", disk::round(&mut scene, &disk).await.unwrap());
    scene.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_makes_nothing_grow_and_loses_nothing() {
    let ground = Kind::Sqlite.ground().await.unwrap();
    let slower = Duration::from_millis(700);
    let mut scene = slow::scene(ground, seed(), few(), slower).await.unwrap();
    eprintln!("{}", slow::round(&mut scene, Duration::from_secs(4)).await.unwrap());
    scene.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wall_clocks_that_jump_and_lie_move_no_status_and_lose_nothing() {
    let ground = Kind::Sqlite.ground().await.unwrap();
    let habits = Habits { lying_clocks: true, start_in: 60, ..few() };
    let mut scene = clock::scene(ground, seed(), habits).await.unwrap();
    scene.oracle.acknowledged(60, Duration::from_secs(10)).await.unwrap();
    // Back and forth, and at the end so late that all lies in the past.
    for seconds in [-1_800, 7_200] {
        eprintln!("{}", clock::round(&mut scene, seconds).await.unwrap());
    }
    scene.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_whose_wall_clocks_lie_have_their_history_at_its_time() {
    let habits = Habits { lying_clocks: true, start_in: 40, ..few() };
    let mut scene = Scene::begin(Kind::Sqlite.ground().await.unwrap(), seed(), habits).await.unwrap();
    for _ in 0..2 {
        eprintln!("{}", kill::monitor(&mut scene).await.unwrap());
    }
    let judgement = scene.finish().await.unwrap();
    assert!(judgement.counts.starts > 20, "{judgement:?}");
}
