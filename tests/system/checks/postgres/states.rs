//! What each state of a real PostgreSQL is called.

use super::*;
use farol_health::{ComponentView, Registration, Spec};
use std::sync::Arc;

#[tokio::test]
async fn a_full_server_is_told_as_such() {
    let settings = ["max_connections=5", "superuser_reserved_connections=3", "max_wal_senders=0"];
    let server = Postgres::start_with(&settings).await.unwrap();
    server.sql("CREATE ROLE app LOGIN PASSWORD 'pw'").unwrap();
    let url = server.url("app", "pw", "postgres");
    let holders = [check(&url), check(&url)];
    for holder in &holders {
        becomes(holder, "ok").await;
    }
    let late = check(&url);
    unhealthy(&late, "too_many_connections").await;
    let share = Limits { connections_above: Some(60.0), ..Limits::default() };
    let superuser = limited(&server.superuser_url(), share);
    becomes(&superuser, "connections_high").await;
    drop(holders);
    becomes(&late, "ok").await;
    becomes(&superuser, "ok").await;
}

#[tokio::test]
async fn a_starting_server_is_told_as_such() {
    let mut server = Postgres::start().await.unwrap();
    let (check, reachable) = (check(&server.superuser_url()), reachable(&server));
    server.stop().await.unwrap();
    // A standby that waits for its archive before anything else starts for as long as we like.
    let go = server.path("go");
    server.write("data/standby.signal", "").unwrap();
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done; false", go.display());
    server.write("data/postgresql.auto.conf", &format!("restore_command = '{wait}'\n")).unwrap();
    server.begin_start().unwrap();
    becomes(&check, "starting_up").await;
    unhealthy(&reachable, "starting_up").await;
    server.write("go", "").unwrap();
    becomes(&check, "ok").await;
    assert_eq!(fact(&healthy(&check).await, "role"), Some("replica"));
}

#[tokio::test]
async fn a_stopping_server_is_told_as_such() {
    let server = Postgres::start().await.unwrap();
    let (session, late) = (check(&server.superuser_url()), check(&server.superuser_url()));
    healthy(&session).await;
    server.begin_stop().unwrap();
    becomes(&late, "shutting_down").await;
    unhealthy(&reachable(&server), "shutting_down").await;
    drop(session);
    becomes(&late, "connection_refused").await;
}

#[tokio::test]
async fn a_server_that_recovers_from_a_crash_is_told_as_such() {
    let server = Postgres::start().await.unwrap();
    let (check, holder) = (check(&server.superuser_url()), self::check(&server.superuser_url()));
    healthy(&holder).await;
    let stuck = sessions(&server)[0];
    healthy(&check).await;
    let victim = *sessions(&server).iter().find(|pid| **pid != stuck).unwrap();
    // The crash of one process ends all, and recovery waits for the one that cannot end itself.
    signal(stuck, Signal::STOP);
    signal(victim, Signal::KILL);
    becomes(&check, "recovery_mode").await;
    unhealthy(&reachable(&server), "recovery_mode").await;
    signal(stuck, Signal::KILL);
    becomes(&check, "ok").await;
}

#[tokio::test]
async fn a_closed_database_and_a_role_without_log_in_are_told() {
    let server = Postgres::start().await.unwrap();
    server.sql("CREATE DATABASE closed ALLOW_CONNECTIONS false").unwrap();
    server.sql("CREATE ROLE nobody PASSWORD 'pw'").unwrap();
    unhealthy(&check(&server.url(SUPERUSER, PASSWORD, "closed")), "database_closed").await;
    unhealthy(&check(&server.url("nobody", "pw", "postgres")), "auth_failed").await;
}

#[tokio::test]
async fn a_read_only_server_is_degraded_where_writes_are_wanted() {
    let server = Postgres::start().await.unwrap();
    server.sql("CREATE ROLE app LOGIN PASSWORD 'pw'").unwrap();
    let writable = Limits { writable: true, ..Limits::default() };
    let (url, app) = (server.superuser_url(), server.url("app", "pw", "postgres"));
    let (wanted, blind) = (limited(&url, writable), limited(&app, writable));
    healthy(&wanted).await;
    server.sql("REVOKE SELECT ON pg_stat_activity FROM PUBLIC").unwrap();
    healthy(&blind).await;
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on").unwrap();
    server.sql("SELECT pg_reload_conf()").unwrap();
    becomes(&wanted, "read_only").await;
    expect(&wanted, Status::Degraded, "read_only").await;
    becomes(&blind, "read_only").await;
    healthy(&check(&url)).await;
    server.sql("SET default_transaction_read_only = off; SELECT 1").unwrap();
}

/// One run of the checker: the deadline, and what is slow, are its.
async fn once(check: &Arc<PostgresCheck>) -> Arc<ComponentView> {
    let spec =
        Spec { deadline: 10 * SECOND, degraded_above: Some(SECOND / 2), ..Spec::new("database", "shop") };
    let registration = Registration { spec, check: check.clone(), fingerprint: 0 };
    let mut views = farol_health::run_once(vec![registration]).await.expect("one check");
    views.remove(0)
}

#[tokio::test]
async fn a_slow_answer_is_degraded() {
    let server = Postgres::start_with(&["post_auth_delay=1"]).await.unwrap();
    let check = Arc::new(check(&server.superuser_url()));
    let slow = once(&check).await;
    assert_eq!((slow.hard, slow.reason.as_ref()), (Status::Degraded, "slow"));
    assert!(slow.response_time.is_some_and(|took| took >= SECOND), "{:?}", slow.response_time);
    // The log-in was slow; over the kept connection it is quick.
    let quick = once(&check).await;
    assert_eq!((quick.hard, quick.reason.as_ref()), (Status::Healthy, "ok"));
}

#[tokio::test]
async fn a_postmaster_that_hangs_is_seen_though_its_sessions_answer() {
    let server = Postgres::start().await.unwrap();
    let check = check(&server.superuser_url());
    for _ in 0..3 {
        healthy(&check).await;
    }
    let began = tokio::time::Instant::now();
    server.hang(true).unwrap();
    healthy(&check).await;
    let cut = || async { tokio::time::timeout(SECOND / 2, super::super::run(&check)).await.is_err() };
    until("the end of the kept connection", 20 * SECOND, cut).await.unwrap();
    assert!(began.elapsed() < 12 * SECOND, "{:?}", began.elapsed());
    server.hang(false).unwrap();
    healthy(&check).await;
}
