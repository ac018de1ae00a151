//! One monitor writes: what happens to one whose session ends, and to one that is overtaken.

use super::super::{Place, seqs};
use super::{Databases, Issued, PostgresStore, Store, fatal, group, prepared, refused, takes};
use farol_monitor::store::Retention;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use sqlx::{Connection, PgConnection};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[tokio::test]
async fn sessions_that_are_ended_in_the_middle_of_commits_cost_no_group_and_double_none() {
    let databases = Databases::start().await;
    let place = databases.place();
    let store = PostgresStore::open(place.by_socket()).await.unwrap();
    store.commit(&group(Vec::new())).await.unwrap();
    let mut issued = Issued::new();
    let mut killer = databases.session().await.unwrap();
    let done = AtomicBool::new(false);
    let (ended, mut groups) = (AtomicU64::new(0), 0_u64);
    let commits = async {
        // A slow machine needs longer for as many ends.
        let long = tokio::time::Instant::now() + Duration::from_secs(60);
        let few = || ended.load(Ordering::Relaxed) < 50 && tokio::time::Instant::now() < long;
        while groups < 200 || few() {
            takes(&store, &issued.group()).await;
            groups += 1;
        }
        done.store(true, Ordering::Relaxed);
    };
    let terminations = async {
        while !done.load(Ordering::Relaxed) {
            let killed = kill(&mut killer, &place.database).await;
            let all = ended.fetch_add(killed, Ordering::Relaxed) + killed;
            // Another moment of a commit each time.
            tokio::time::sleep(Duration::from_micros(2_000 + 1_370 * all % 8_000)).await;
        }
    };
    futures::join!(commits, terminations);
    let ended = ended.into_inner();
    assert!(ended >= 50, "only {ended} sessions were ended");
    assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
    let rows = place.sql("SELECT count(*) FROM farol.journal");
    assert_eq!(rows, groups.to_string(), "each group has one row, after {ended} sessions were ended");
    let restored = store.restore().await.unwrap();
    assert_eq!(restored.marks[0].2, issued.last);
    store.close().await.unwrap();
    assert_eq!(seqs(&*place.open().await, 1, 0, i64::MAX).await, issued.all());
}

/// Ends the writer's session; how many there were.
async fn kill(killer: &mut PgConnection, database: &str) -> u64 {
    const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                        WHERE datname = $1 AND application_name LIKE 'farol-monitor ________________'";
    sqlx::query(KILL).bind(database).execute(killer).await.unwrap().rows_affected()
}

#[tokio::test]
async fn a_monitor_that_was_overtaken_writes_nothing_more_and_says_why() {
    let databases = Databases::start().await;
    let place = databases.place();
    let first = prepared(&place).await;
    let mut issued = Issued::new();
    first.commit(&issued.group()).await.unwrap();
    let why = refused(PostgresStore::open(place.settings()).await.map(|_| ()));
    assert!(why.contains("is written by another monitor"), "{why}");
    // The first one is cut off; the second takes over.
    let second = place.open().await;
    second.commit(&issued.group()).await.unwrap();
    let rows = place.sql("SELECT max(id), count(*) FROM farol.journal");
    let refused = refused(first.commit(&issued.group()).await);
    assert!(refused.contains("is written by another monitor"), "{refused}");
    second.close().await.unwrap();
    for result in
        [first.commit(&issued.group()).await, first.tidy(0, &Retention::default()).await.map(|_| ())]
    {
        let why = fatal(result);
        assert!(why.contains("another monitor has taken over the store"), "{why}");
    }
    assert_eq!(place.sql("SELECT max(id), count(*) FROM farol.journal"), rows);
}

#[tokio::test]
async fn a_session_of_ours_that_we_never_heard_of_does_not_keep_us_from_writing() {
    let databases = Databases::start().await;
    let place = databases.place();
    let store = prepared(&place).await;
    let mut issued = Issued::new();
    let pid = place.writer();
    let name = format!("SELECT application_name FROM pg_stat_activity WHERE pid = {pid}");
    let name = databases.server.sql(&name).unwrap();
    // A connection that got the lock, and broke before its answer came: the server still keeps it.
    let url = format!("{}?application_name={name}", databases.server.superuser_url());
    let url = url.replace("/postgres?", &format!("/{}?", place.database));
    let mut lost = PgConnection::connect(&url).await.unwrap();
    place.terminate_writer();
    until("it has the lock", SOON, async || {
        let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock(1180792431, 1937010546)");
        taken.fetch_one(&mut lost).await.unwrap()
    })
    .await
    .unwrap();
    takes(&store, &issued.group()).await;
    assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
}

#[tokio::test]
async fn a_server_that_lost_what_it_confirmed_is_told_as_such() {
    let databases = Databases::start().await;
    let place = databases.place();
    let store = prepared(&place).await;
    let mut issued = Issued::new();
    store.commit(&issued.group()).await.unwrap();
    // As after a crash without synchronous commits, or on a replica that was behind.
    place.sql("UPDATE farol.store SET commits = commits - 1");
    place.terminate_writer();
    let why = fatal(store.commit(&issued.group()).await);
    assert!(why.contains("lost the last 1 commits") && why.contains("Start Farol again"), "{why}");
}

#[tokio::test]
async fn one_that_lost_its_lock_behind_a_pooler_writes_nothing_either() {
    let databases = Databases::start().await;
    let place = databases.place();
    let store = prepared(&place).await;
    // A pooler that shares sessions out by transactions loses the lock; the number in the store does not lie.
    place.sql("UPDATE farol.store SET epoch = epoch + 1");
    let mut issued = Issued::new();
    let why = fatal(store.commit(&issued.group()).await);
    assert!(why.contains("another monitor has taken over"), "{why}");
    assert_eq!(place.sql("SELECT count(*) FROM farol.journal"), "0");
}
