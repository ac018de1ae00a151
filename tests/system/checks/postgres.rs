//! Kind `postgres` against a real PostgreSQL: its figures, log-ins, and that a check recovers with its server.

mod standby;
mod states;

use super::{becomes, expect, fact, figure, healthy, is_cut_at, shown, unhealthy};
use farol_checks::Address;
use farol_checks::postgres::{Postgres as PostgresCheck, Settings};
use farol_checks::sql::Limits;
use farol_health::{Outcome, Status};
use farol_tests::postgres::{PASSWORD, Postgres, SUPERUSER};
use farol_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn check(url: &str) -> PostgresCheck {
    PostgresCheck::new(Settings::from_url(url).expect("the URL is good"))
}

fn limited(url: &str, limits: Limits) -> PostgresCheck {
    PostgresCheck::new(Settings::from_url(url).expect("the URL is good").limits(limits))
}

fn reachable(server: &Postgres) -> PostgresCheck {
    PostgresCheck::new(Settings::reachable(Address::Tcp("127.0.0.1".into(), server.port())))
}

/// The processes that serve our checks.
fn sessions(server: &Postgres) -> Vec<i32> {
    let pids = server
        .sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'farol' ORDER BY pid")
        .expect("the superuser can ask");
    pids.lines().map(|pid| pid.parse().expect("a number")).collect()
}

/// The first outcome that sees so many sessions: those of other commands end a moment after the commands.
async fn with_open(check: &PostgresCheck, open: f64) -> Outcome {
    let mut last = Outcome::healthy();
    let end = tokio::time::Instant::now() + 20 * SECOND;
    while figure(&last, "database_connections_open") != Some(open) {
        assert!(tokio::time::Instant::now() < end, "there are not {open} sessions: {last:?}");
        last = healthy(check).await;
    }
    last
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("it is there");
}

#[tokio::test]
async fn a_running_postgresql_gives_its_figures_over_one_kept_connection() {
    let server = Postgres::start_with(&["max_connections=20"]).await.unwrap();
    let check = check(&server.superuser_url());
    for _ in 0..5 {
        healthy(&check).await;
    }
    let one = sessions(&server);
    healthy(&check).await;
    assert_eq!(sessions(&server), one, "the connection is kept");
    assert_eq!(one.len(), 1);
    let outcome = with_open(&check, 1.0).await;
    assert_eq!(shown(&outcome, "connections.max"), Some(20.0));
    assert_eq!(shown(&outcome, "connections.active"), Some(0.0));
    assert_eq!(shown(&outcome, "connections.idle"), Some(0.0));
    assert_eq!(figure(&outcome, "database_connections_used_percent"), Some(5.0));
    assert!(figure(&outcome, "database_response_seconds").is_some_and(|seconds| seconds < 1.0));
    assert!(
        fact(&outcome, "version").is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    );
    assert_eq!(fact(&outcome, "role"), Some("primary"));
}

#[tokio::test]
async fn other_sessions_are_counted_by_state() {
    let server = Postgres::start().await.unwrap();
    let (idle, other) = (check(&server.superuser_url()), check(&server.socket_url(SUPERUSER)));
    healthy(&idle).await;
    let outcome = with_open(&other, 2.0).await;
    assert_eq!(shown(&outcome, "connections.idle"), Some(1.0));
}

#[tokio::test]
async fn a_role_that_may_not_see_the_others_leaves_out_what_it_cannot_know() {
    let server = Postgres::start().await.unwrap();
    server.sql("CREATE ROLE app LOGIN PASSWORD 'pw'").unwrap();
    let (other, app) = (check(&server.superuser_url()), check(&server.url("app", "pw", "postgres")));
    healthy(&other).await;
    let outcome = with_open(&app, 2.0).await;
    assert_eq!(shown(&outcome, "connections.active"), None);
    assert!(fact(&outcome, "hint").is_some_and(|hint| hint.contains("pg_read_all_stats")));
    server.sql("GRANT pg_read_all_stats TO app").unwrap();
    assert_eq!(shown(&with_open(&app, 2.0).await, "connections.idle"), Some(1.0));
    server.sql("REVOKE SELECT ON pg_stat_activity FROM PUBLIC").unwrap();
    let outcome = healthy(&app).await;
    assert!(fact(&outcome, "hint").is_some_and(|hint| hint.contains("pg_stat_activity")));
}

#[tokio::test]
async fn a_stop_is_seen_and_a_start_too() {
    let mut server = Postgres::start().await.unwrap();
    let (check, reachable) = (check(&server.superuser_url()), reachable(&server));
    let socket = self::check(&server.socket_url(SUPERUSER));
    healthy(&check).await;
    healthy(&socket).await;
    assert!(healthy(&reachable).await.message.contains("`url`"));
    server.stop().await.unwrap();
    unhealthy(&check, "connection_refused").await;
    unhealthy(&reachable, "connection_refused").await;
    unhealthy(&socket, "socket_missing").await;
    server.start_again().await.unwrap();
    healthy(&check).await;
    healthy(&reachable).await;
    healthy(&socket).await;
}

#[tokio::test]
async fn a_kill_and_a_crash_of_one_process_are_survived() {
    let mut server = Postgres::start().await.unwrap();
    let check = check(&server.superuser_url());
    healthy(&check).await;
    server.kill().await.unwrap();
    becomes(&check, "connection_refused").await;
    server.start_again().await.unwrap();
    healthy(&check).await;
    signal(sessions(&server)[0], Signal::KILL);
    becomes(&check, "ok").await;
}

#[tokio::test]
async fn a_restart_between_two_runs_goes_unnoticed() {
    let mut server = Postgres::start().await.unwrap();
    let check = check(&server.superuser_url());
    healthy(&check).await;
    server.restart().await.unwrap();
    healthy(&check).await;
}

#[tokio::test]
async fn wrong_log_ins_are_told_apart_and_the_password_is_never_told() {
    let server = Postgres::start().await.unwrap();
    let table = [
        (server.url(SUPERUSER, "s3cret", "postgres"), "auth_failed"),
        (server.url("nobody", "s3cret", "postgres"), "auth_failed"),
        (server.url(SUPERUSER, PASSWORD, "missing"), "no_such_database"),
        (server.superuser_url() + "?sslmode=require", "tls_failed"),
    ];
    for (url, reason) in table {
        let outcome = unhealthy(&check(&url), reason).await;
        assert!(!outcome.message.contains("s3cret") && !outcome.message.contains(PASSWORD), "{outcome:?}");
    }
    let separately = Settings::from_url(&server.url(SUPERUSER, "s3cret", "postgres")).unwrap();
    healthy(&PostgresCheck::new(separately.password(PASSWORD))).await;
}

#[tokio::test]
async fn a_run_cut_in_the_middle_of_a_query_leaves_no_poisoned_connection() {
    let server = Postgres::start().await.unwrap();
    let check = check(&server.superuser_url());
    healthy(&check).await;
    let stuck = sessions(&server)[0];
    signal(stuck, Signal::STOP);
    is_cut_at(SECOND / 5, &check).await;
    healthy(&check).await;
    signal(stuck, Signal::CONT);
    until("the end of the cut session", 20 * SECOND, || {
        let open = sessions(&server);
        std::future::ready(open.len() == 1 && open[0] != stuck)
    })
    .await
    .unwrap();
    healthy(&check).await;
}

#[tokio::test]
async fn a_hanging_server_is_cut_and_comes_back() {
    let server = Postgres::start().await.unwrap();
    let (check, reachable) = (check(&server.superuser_url()), reachable(&server));
    server.hang(true).unwrap();
    is_cut_at(SECOND / 5, &check).await;
    is_cut_at(SECOND / 5, &reachable).await;
    server.hang(false).unwrap();
    healthy(&check).await;
    healthy(&reachable).await;
}

#[tokio::test]
async fn tls_is_used_and_verified_when_asked_for() {
    let mut server = Postgres::start().await.unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = server.write("data/server.crt", &certificate.cert.pem()).unwrap();
    server.write("data/server.key", &certificate.signing_key.serialize_pem()).unwrap();
    server.write("data/postgresql.auto.conf", "ssl = on\n").unwrap();
    server.restart().await.unwrap();
    let url = server.superuser_url().replace("127.0.0.1", "localhost");
    healthy(&check(&format!("{url}?sslmode=require"))).await;
    let message = unhealthy(&check(&format!("{url}?sslmode=verify-full")), "tls_failed").await.message;
    assert!(message.contains("certificate"), "{message}");
    healthy(&check(&format!("{url}?sslmode=verify-full&sslrootcert={}", ca.display()))).await;
    let missing = format!("{url}?sslmode=verify-full&sslrootcert=/no/such.pem");
    expect(&check(&missing), Status::Unknown, "bad_settings").await;
}
