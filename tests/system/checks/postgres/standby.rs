//! A real standby: how far it is behind, and why it does not open.

use super::*;

const LATE: Limits = Limits { writable: false, lag_above: Some(SECOND), connections_above: None };

fn lag(outcome: &Outcome) -> Option<f64> {
    figure(outcome, "database_replication_lag_seconds")
}

/// Commits something, so that there is something to replay.
fn write(primary: &Postgres) {
    primary.sql("CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1)").unwrap();
}

#[tokio::test]
async fn a_replica_tells_its_lag_and_its_role() {
    let primary = Postgres::start().await.unwrap();
    let standby = primary.standby(&[]).await.unwrap();
    let check = limited(&standby.superuser_url(), LATE);
    write(&primary);
    until("the replayed row", 20 * SECOND, async || standby.sql("SELECT * FROM t").is_ok()).await.unwrap();
    becomes(&check, "ok").await;
    let outcome = healthy(&check).await;
    assert_eq!((fact(&outcome, "role"), lag(&outcome)), (Some("replica"), Some(0.0)));
    assert_eq!(lag(&healthy(&self::check(&primary.superuser_url())).await), None);
    let writable = Limits { writable: true, ..Limits::default() };
    expect(&limited(&standby.superuser_url(), writable), Status::Degraded, "in_recovery").await;

    standby.sql("ALTER SYSTEM SET recovery_min_apply_delay = '1h'").unwrap();
    standby.sql("SELECT pg_reload_conf()").unwrap();
    until("the new setting", 20 * SECOND, async || {
        standby.sql("SHOW recovery_min_apply_delay").unwrap() == "1h"
    })
    .await
    .unwrap();
    write(&primary);
    becomes(&check, "replication_lag").await;
    let late = expect(&check, Status::Degraded, "replication_lag").await;
    assert!(lag(&late) > Some(1.0) && !late.message.contains("1h"), "{late:?}");
    standby.sql("ALTER SYSTEM SET recovery_min_apply_delay = 0").unwrap();
    standby.sql("SELECT pg_reload_conf()").unwrap();
    becomes(&check, "ok").await;
}

#[tokio::test]
async fn a_receiver_that_hangs_is_seen_as_lag() {
    let primary = Postgres::start().await.unwrap();
    let standby = primary.standby(&["wal_receiver_timeout=2s"]).await.unwrap();
    let check = limited(&standby.superuser_url(), LATE);
    becomes(&check, "ok").await;
    let receiver = standby.sql("SELECT pid FROM pg_stat_wal_receiver").unwrap().parse().unwrap();
    signal(receiver, Signal::STOP);
    write(&primary);
    becomes(&check, "replication_lag").await;
    signal(receiver, Signal::CONT);
    becomes(&check, "ok").await;
}

#[tokio::test]
async fn a_replica_without_its_primary_is_degraded() {
    let mut primary = Postgres::start().await.unwrap();
    let standby = primary.standby(&["wal_retrieve_retry_interval=100ms"]).await.unwrap();
    let check = check(&standby.superuser_url());
    becomes(&check, "ok").await;
    primary.stop().await.unwrap();
    becomes(&check, "replica_link_down").await;
    expect(&check, Status::Degraded, "replica_link_down").await;
    primary.start_again().await.unwrap();
    becomes(&check, "ok").await;
    standby.sql("SELECT pg_promote()").unwrap();
    until("a primary", 20 * SECOND, async || fact(&healthy(&check).await, "role") == Some("primary"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_standby_that_answers_nobody_is_told_as_such() {
    let primary = Postgres::start().await.unwrap();
    let mut standby = primary.standby(&[]).await.unwrap();
    let check = check(&standby.superuser_url());
    healthy(&check).await;
    standby.stop().await.unwrap();
    standby.set("hot_standby=off");
    standby.begin_start().unwrap();
    becomes(&check, "hot_standby_off").await;
    unhealthy(&check, "hot_standby_off").await;
    unhealthy(&reachable(&standby), "hot_standby_off").await;
}

#[tokio::test]
async fn a_standby_that_is_not_consistent_yet_is_told_as_such() {
    let mut primary = Postgres::start().await.unwrap();
    let mut standby = primary.standby(&["wal_retrieve_retry_interval=100ms"]).await.unwrap();
    let check = check(&standby.superuser_url());
    // The standby begins at this checkpoint; what is replayed after it lies in the next segment.
    primary.sql("CHECKPOINT").unwrap();
    primary.sql("SELECT pg_switch_wal()").unwrap();
    write(&primary);
    let newest = primary.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())").unwrap();
    until("the replayed row", 20 * SECOND, async || standby.sql("SELECT * FROM t").is_ok()).await.unwrap();
    standby.stop().await.unwrap();
    primary.stop().await.unwrap();
    std::fs::remove_file(standby.path("data/pg_wal").join(newest)).unwrap();
    standby.begin_start().unwrap();
    becomes(&check, "recovery_not_consistent").await;
    unhealthy(&reachable(&standby), "recovery_not_consistent").await;
    primary.start_again().await.unwrap();
    becomes(&check, "ok").await;
}
