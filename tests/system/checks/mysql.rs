//! Kind `mysql` against a real MariaDB.

use super::{becomes, expect, fact, figure, healthy, is_cut_at, shown, unhealthy};
use farol_checks::Address;
use farol_checks::mysql::{Mysql as MysqlCheck, Settings};
use farol_checks::sql::Limits;
use farol_health::{Outcome, Status};
use farol_tests::mysql::Mysql;
use farol_tests::wait::until;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const WRITABLE: Limits = Limits { writable: true, lag_above: None, connections_above: None };

fn check(url: &str) -> MysqlCheck {
    MysqlCheck::new(Settings::from_url(url).expect("the URL is good"))
}

fn limited(url: &str, limits: Limits) -> MysqlCheck {
    MysqlCheck::new(Settings::from_url(url).expect("the URL is good").limits(limits))
}

fn reachable(server: &Mysql) -> MysqlCheck {
    MysqlCheck::new(Settings::reachable(Address::Tcp("127.0.0.1".into(), server.port())))
}

/// A server with a user `app`, whose password is `pw`.
async fn with_app(settings: &[&str]) -> Mysql {
    let server = Mysql::start_with(settings).await.unwrap();
    server.sql("CREATE DATABASE app; CREATE USER app IDENTIFIED BY 'pw'; GRANT ALL ON app.* TO app").unwrap();
    server
}

fn counted(server: &Mysql, name: &str) -> u64 {
    let line = server.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'")).unwrap();
    line.split_whitespace().last().and_then(|value| value.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_running_mariadb_gives_its_figures_over_one_kept_connection() {
    let server = with_app(&["--max-connections=20"]).await;
    let (check, other) = (check(&server.url("app:pw", "app")), check(&server.url("app:pw", "app")));
    healthy(&check).await;
    healthy(&other).await;
    let before = counted(&server, "Connections");
    for _ in 0..5 {
        healthy(&check).await;
    }
    // Ours of the question before, and of this one.
    assert_eq!(counted(&server, "Connections"), before + 1, "the connection is kept");
    let mut last = Outcome::healthy();
    until("the other session alone", 20 * SECOND, async || {
        last = healthy(&check).await;
        figure(&last, "database_connections_open") == Some(2.0)
            && shown(&last, "connections.active") == Some(0.0)
    })
    .await
    .unwrap();
    assert_eq!(shown(&last, "connections.idle"), Some(1.0));
    assert_eq!(shown(&last, "connections.max"), Some(20.0));
    assert_eq!(figure(&last, "database_connections_used_percent"), Some(10.0));
    assert_eq!(figure(&last, "database_read_only"), Some(0.0));
    assert_eq!(figure(&last, "database_slow_queries_total"), Some(0.0));
    assert!(figure(&last, "database_uptime_seconds").is_some_and(|uptime| uptime < 600.0));
    assert!(figure(&last, "database_response_seconds").is_some_and(|seconds| seconds < 1.0));
    assert!(fact(&last, "version").is_some_and(|version| version.contains("MariaDB")));
    assert!(fact(&last, "hint").is_some_and(|hint| hint.contains("REPLICA MONITOR")));
    server.sql("GRANT REPLICA MONITOR ON *.* TO app").unwrap();
    let fresh = self::check(&server.url("app:pw", "app"));
    assert_eq!(fact(&healthy(&fresh).await, "role"), Some("primary"));
}

#[tokio::test]
async fn stop_kill_and_restart_are_seen_and_recovered_from() {
    let mut server = with_app(&[]).await;
    let (check, reachable) = (check(&server.url("app:pw", "app")), reachable(&server));
    let socket = self::check(&server.socket_url());
    healthy(&check).await;
    healthy(&socket).await;
    assert!(healthy(&reachable).await.message.contains("`url`"));
    server.stop().await.unwrap();
    unhealthy(&check, "connection_refused").await;
    unhealthy(&reachable, "connection_refused").await;
    unhealthy(&socket, "socket_missing").await;
    server.start_again().await.unwrap();
    healthy(&check).await;
    healthy(&socket).await;
    server.kill().await.unwrap();
    unhealthy(&check, "connection_refused").await;
    server.start_again().await.unwrap();
    healthy(&check).await;
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    healthy(&check).await;
}

#[tokio::test]
async fn a_starting_server_does_not_answer_and_then_does() {
    let mut server = with_app(&[]).await;
    let (check, reachable) = (check(&server.url("app:pw", "app")), reachable(&server));
    server.stop().await.unwrap();
    let slowly = server.path("slowly.sql");
    std::fs::write(&slowly, "SELECT SLEEP(2);\n").unwrap();
    server.set(format!("--init-file={}", slowly.display()));
    server.begin_start().unwrap();
    // It listens before it takes anyone in.
    let silent = || async { tokio::time::timeout(SECOND / 5, super::run(&check)).await.is_err() };
    until("the open port of a server that starts", 20 * SECOND, silent).await.unwrap();
    is_cut_at(SECOND / 5, &reachable).await;
    becomes(&check, "ok").await;
    healthy(&reachable).await;
}

#[tokio::test]
async fn wrong_log_ins_are_told_apart_and_the_password_is_never_told() {
    let server = with_app(&[]).await;
    server.sql("CREATE USER locked IDENTIFIED BY 'pw' ACCOUNT LOCK").unwrap();
    server.sql("CREATE USER modern IDENTIFIED VIA ed25519 USING PASSWORD('pw')").ok();
    let table = [
        (server.url("app:s3cret", "app"), "auth_failed"),
        (server.url("nobody:s3cret", "app"), "auth_failed"),
        (server.url("app:pw", "missing"), "permission_denied"),
        (server.url("locked:pw", ""), "account_locked"),
        (server.url("app:pw", "app") + "?ssl-mode=REQUIRED", "tls_failed"),
        (server.socket_url().replace("/?", "/missing?"), "no_such_database"),
    ];
    for (url, reason) in table {
        let outcome = unhealthy(&check(&url), reason).await;
        assert!(!outcome.message.contains("s3cret"), "{outcome:?}");
    }
    let separately = Settings::from_url(&server.url("app:s3cret", "app")).unwrap();
    healthy(&MysqlCheck::new(separately.password("pw"))).await;
    let elsewhere =
        "CREATE USER far@'192.0.2.77' IDENTIFIED BY 'pw'; DELETE FROM mysql.global_priv WHERE Host = '%'";
    server
        .sql(&format!(
            "{elsewhere}; DELETE FROM mysql.global_priv WHERE Host = '127.0.0.1'; FLUSH PRIVILEGES"
        ))
        .unwrap();
    unhealthy(&check(&server.url("far:pw", "")), "host_not_allowed").await;
    healthy(&reachable(&server)).await;
}

#[tokio::test]
async fn a_stranger_who_asks_often_is_never_blocked() {
    let server = with_app(&["--max-connect-errors=3"]).await;
    let reachable = reachable(&server);
    for _ in 0..10 {
        healthy(&reachable).await;
    }
    assert!(!server.log().contains("Aborted"), "{}", server.log());
    healthy(&check(&server.url("app:pw", "app"))).await;
}

#[tokio::test]
async fn a_full_server_and_a_full_user_are_told_as_such() {
    let server = with_app(&["--max-connections=10"]).await;
    server.sql("CREATE USER few IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1").unwrap();
    let first = check(&server.url("few:pw", ""));
    healthy(&first).await;
    unhealthy(&check(&server.url("few:pw", "")), "too_many_connections").await;
    let url = server.url("app:pw", "app");
    let share = limited(&url, Limits { connections_above: Some(90.0), ..Limits::default() });
    let holders: Vec<_> = (0..8).map(|_| check(&url)).collect();
    for holder in &holders {
        becomes(holder, "ok").await;
    }
    becomes(&share, "connections_high").await;
    let late = check(&url);
    unhealthy(&late, "too_many_connections").await;
    // One more is kept for root, and whoever comes to it is asked for a password first.
    let root = check(&server.socket_url());
    becomes(&root, "ok").await;
    unhealthy(&reachable(&server), "too_many_connections").await;
    drop((holders, first, root));
    becomes(&late, "ok").await;
    becomes(&share, "ok").await;
}

#[tokio::test]
async fn a_read_only_server_is_degraded_where_writes_are_wanted() {
    let server = with_app(&["--read-only"]).await;
    let url = server.url("app:pw", "app");
    let wanted = limited(&url, WRITABLE);
    let outcome = expect(&wanted, Status::Degraded, "read_only").await;
    assert_eq!(figure(&outcome, "database_read_only"), Some(1.0));
    healthy(&check(&url)).await;
    server.sql("SET GLOBAL read_only = OFF").unwrap();
    healthy(&wanted).await;
}

#[tokio::test]
async fn a_replica_tells_its_lag_and_that_it_has_lost_its_source() {
    let mut source = with_app(&["--log-bin=bin", "--server-id=1"]).await;
    let replica = with_app(&["--server-id=2"]).await;
    source.sql("GRANT REPLICATION SLAVE ON *.* TO app").unwrap();
    replica.sql("GRANT REPLICA MONITOR ON *.* TO app; RESET MASTER").unwrap_or_default();
    let port = source.port();
    let follow = format!(
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='app', MASTER_PASSWORD='pw', \
         MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=4, MASTER_CONNECT_RETRY=1; \
         SET GLOBAL replicate_do_db = 'shop'; START SLAVE"
    );
    replica.sql(&follow).unwrap();
    let url = replica.url("app:pw", "app");
    let check = check(&url);
    let mut last = Outcome::healthy();
    until("a replica that is up to date", 20 * SECOND, async || {
        last = super::run(&check).await;
        figure(&last, "database_replication_lag_seconds") == Some(0.0)
    })
    .await
    .unwrap();
    assert_eq!((last.reason.as_ref(), fact(&last, "role")), ("ok", Some("replica")));
    expect(&limited(&url, WRITABLE), Status::Degraded, "in_recovery").await;

    let late = limited(&url, Limits { lag_above: Some(SECOND), ..Limits::default() });
    healthy(&late).await;
    source.sql("CREATE DATABASE shop; USE shop; CREATE TABLE t (a INT)").unwrap();
    until("the table", 20 * SECOND, async || replica.sql("SELECT * FROM shop.t").is_ok()).await.unwrap();
    // A reader that holds the table makes the replica wait.
    let holder = hold(&replica, "LOCK TABLES shop.t READ; SELECT SLEEP(4)");
    until("the lock", 20 * SECOND, async || replica.sql("SHOW PROCESSLIST").unwrap().contains("SLEEP"))
        .await
        .unwrap();
    source.sql("USE shop; INSERT INTO t VALUES (2)").unwrap();
    becomes(&late, "replication_lag").await;
    holder.await.unwrap();
    becomes(&late, "ok").await;

    source.stop().await.unwrap();
    becomes(&check, "replica_link_down").await;
    source.start_again().await.unwrap();
    becomes(&check, "ok").await;
    replica.sql("STOP SLAVE SQL_THREAD").unwrap();
    expect(&check, Status::Degraded, "replica_stopped").await;
}

/// A session that runs this beside us.
fn hold(server: &Mysql, text: &'static str) -> tokio::task::JoinHandle<()> {
    let socket = server.path("socket");
    tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new("mariadb");
        command.args(["--no-defaults", "--user=root", "--execute", text]);
        command.arg(format!("--socket={}", socket.display()));
        assert!(command.output().expect("mariadb is installed").status.success());
    })
}

#[tokio::test]
async fn a_hanging_server_is_cut_and_comes_back() {
    let server = with_app(&[]).await;
    let (kept, fresh, reachable) =
        (check(&server.url("app:pw", "app")), check(&server.url("app:pw", "app")), reachable(&server));
    healthy(&kept).await;
    server.hang(true).unwrap();
    for check in [&kept, &kept, &fresh, &reachable] {
        is_cut_at(SECOND / 5, check).await;
    }
    server.hang(false).unwrap();
    for check in [&kept, &fresh, &reachable] {
        healthy(check).await;
    }
}

#[tokio::test]
async fn another_server_at_the_port_is_named() {
    let redis = farol_tests::redis::Redis::start().await.unwrap();
    let other = format!("mysql://app@127.0.0.1:{}/app", redis.port());
    // Redis waits for us to speak, as a server that starts does.
    is_cut_at(SECOND / 5, &check(&other)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let speak = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, b"\x05\0\0\0HELLO").await);
        }
    };
    let other = check(&format!("mysql://app@127.0.0.1:{port}/app"));
    tokio::select! {
        _ = unhealthy(&other, "not_mysql") => {}
        () = speak => {}
    }
}
