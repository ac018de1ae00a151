//! What each state of a real Redis is called.

use super::*;
use farol_health::{Registration, Spec};
use farol_tests::wait::until;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;

const WRITABLE: Limits = Limits { writable: true, memory_above: None };
const SOON: Duration = Duration::from_secs(20);

async fn degraded(check: &RedisCheck, reason: &str) {
    let outcome = expect(check, Status::Degraded, reason).await;
    assert!(outcome.message.len() > 20, "a human can act on it: {}", outcome.message);
    assert!(shown(&outcome, "memory_usage").is_some(), "figures stay: {outcome:?}");
}

/// The port of a server that has gone.
async fn dead_port() -> String {
    let gone = Redis::start().await.unwrap();
    gone.port().to_string()
}

#[tokio::test]
async fn a_loading_server_is_told_as_such() {
    let mut server = Redis::start_with(&["--enable-debug-command", "yes"]).await.unwrap();
    server.say("DEBUG POPULATE 2000").await.unwrap();
    server.say("SAVE").await.unwrap();
    server.kill().await.unwrap();
    let check = check(&server.url(""));
    let slowly = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
    server.start_again_with(&slowly).await.unwrap();
    becomes(&check, "loading").await;
    unhealthy(&reachable(&server), "loading").await;
    becomes(&check, "ok").await;
}

#[tokio::test]
async fn a_replica_without_its_primary_is_degraded_or_refuses_to_serve() {
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &dead_port().await]).await.unwrap();
    let check = check(&replica.url(""));
    degraded(&check, "replica_link_down").await;
    healthy(&reachable(&replica)).await;
    replica.say("CONFIG SET replica-serve-stale-data no").await.unwrap();
    let outcome = unhealthy(&check, "master_down").await;
    assert!(shown(&outcome, "memory_usage").is_some(), "figures stay: {outcome:?}");
    unhealthy(&reachable(&replica), "master_down").await;
}

#[tokio::test]
async fn a_replica_that_follows_is_well_and_takes_no_writes() {
    let primary = Redis::start().await.unwrap();
    let port = primary.port().to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"])
        .await
        .unwrap();
    let check = check(&replica.url(""));
    becomes(&check, "ok").await;
    let outcome = healthy(&check).await;
    assert_eq!(fact(&outcome, "role"), Some("slave"));
    assert!(figure(&outcome, "cache_replication_silence_seconds").is_some());
    degraded(&limited(&replica.url(""), WRITABLE), "read_only").await;
    let outcome = healthy(&limited(&primary.url(""), WRITABLE)).await;
    assert_eq!(figure(&outcome, "cache_replicas_connected"), Some(1.0));
}

#[tokio::test]
async fn a_primary_without_enough_replicas_is_degraded() {
    let primary = Redis::start_with(&["--min-replicas-to-write", "1"]).await.unwrap();
    degraded(&check(&primary.url("")), "too_few_replicas").await;
    degraded(&limited(&primary.url(""), WRITABLE), "too_few_replicas").await;
    assert!(primary.say("SET a 1").await.unwrap().starts_with("-NOREPLICAS"));
}

#[tokio::test]
async fn a_redis_that_cannot_save_is_degraded() {
    let server = Redis::start().await.unwrap();
    let check = check(&server.url(""));
    server.say("SET a 1").await.unwrap();
    healthy(&limited(&server.url(""), WRITABLE)).await;
    // A folder stands where the file must go.
    std::fs::create_dir_all(server.path("dump.rdb/taken")).unwrap();
    server.say("CONFIG SET save \"3600 1\"").await.unwrap();
    server.say("BGSAVE").await.unwrap();
    until("the failed save", SOON, async || server.say("PING").await.unwrap().starts_with("-MISCONF"))
        .await
        .unwrap();
    degraded(&check, "persistence_failed").await;
    degraded(&limited(&server.url(""), WRITABLE), "persistence_failed").await;
    expect(&reachable(&server), Status::Degraded, "persistence_failed").await;
    server.say("CONFIG SET stop-writes-on-bgsave-error no").await.unwrap();
    degraded(&check, "persistence_failed").await;
    std::fs::remove_dir_all(server.path("dump.rdb")).unwrap();
    server.say("BGSAVE").await.unwrap();
    becomes(&check, "ok").await;
}

#[tokio::test]
async fn memory_is_judged_against_its_maximum() {
    let full = Redis::start_with(&["--maxmemory", "100kb"]).await.unwrap();
    let outcome = expect(&check(&full.url("")), Status::Degraded, "memory_full").await;
    assert_eq!(fact(&outcome, "memory_limit"), Some("maxmemory"));
    degraded(&limited(&full.url(""), WRITABLE), "memory_full").await;
    let high = Limits { memory_above: Some(1.0), ..Limits::default() };
    let roomy =
        Redis::start_with(&["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"]).await.unwrap();
    let outcome = expect(&limited(&roomy.url(""), high), Status::Degraded, "memory_high").await;
    assert!(shown(&outcome, "memory_usage").is_some_and(|percent| percent < 50.0), "{outcome:?}");
    healthy(&limited(&roomy.url(""), Limits { memory_above: Some(90.0), ..high })).await;
}

#[tokio::test]
async fn a_write_that_is_tried_changes_nothing() {
    let server = Redis::start().await.unwrap();
    let check = limited(&server.url(""), WRITABLE);
    healthy(&check).await;
    assert_eq!(server.say("DBSIZE").await.unwrap(), ":0");
    for value in ["SET farol:writable kept", "RPUSH list a"] {
        server.say(value).await.unwrap();
    }
    healthy(&check).await;
    assert!(server.say("GET farol:writable").await.unwrap().ends_with("kept"));
    server.say("ACL SETUSER reader on >pw +ping +info").await.unwrap();
    degraded(&limited(&server.url("reader:pw@"), WRITABLE), "permission_denied").await;
}

/// An address of this machine beside the loopback one, if there is one. Nothing is sent.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

#[tokio::test]
async fn protected_mode_is_told_as_such() {
    // A machine with nothing but its loopback address has no strangers.
    let Some(address) = own_address() else { return };
    let server = Redis::start_with(&["--bind", "0.0.0.0"]).await.unwrap();
    healthy(&check(&server.url(""))).await;
    for login in ["", ":horse@"] {
        let strange = check(&format!("redis://{login}{address}:{}", server.port()));
        for _ in 0..20 {
            let outcome = unhealthy(&strange, "protected_mode").await;
            assert!(outcome.message.len() < 400, "{}", outcome.message);
        }
    }
    let reachable = RedisCheck::new(Settings::reachable(Address::Tcp(address.to_string(), server.port())));
    unhealthy(&reachable, "protected_mode").await;
}

#[tokio::test]
async fn a_slow_answer_is_degraded() {
    let server = Redis::start().await.unwrap();
    let check = Arc::new(check(&server.url("")));
    let spec = || Spec {
        deadline: Duration::from_secs(10),
        degraded_above: Some(DEADLINE),
        ..Spec::new("cache", "shop")
    };
    let registration = || Registration { spec: spec(), check: check.clone(), fingerprint: 0 };
    let once = async || farol_health::run_once(vec![registration()]).await.expect("one check").remove(0);
    assert_eq!(once().await.reason, "ok");
    server.say("CLIENT PAUSE 600").await.unwrap();
    let slow = once().await;
    assert_eq!((slow.hard, slow.reason.as_ref()), (Status::Degraded, "slow"));
    assert_eq!(once().await.reason, "ok");
}
