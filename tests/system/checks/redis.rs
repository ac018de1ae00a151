//! Kind `redis` against a real Redis: its figures, log-ins, and that a check recovers with its server.

mod states;

use super::{becomes, expect, fact, figure, healthy, is_cut_at, shown, unhealthy};
use farol_checks::Address;
use farol_checks::redis::{Limits, Redis as RedisCheck, Settings};
use farol_health::Status;
use farol_tests::redis::Redis;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_millis(200);

fn check(url: &str) -> RedisCheck {
    RedisCheck::new(Settings::from_url(url).expect("the URL is good"))
}

fn limited(url: &str, limits: Limits) -> RedisCheck {
    RedisCheck::new(Settings::from_url(url).expect("the URL is good").limits(limits))
}

fn reachable(server: &Redis) -> RedisCheck {
    RedisCheck::new(Settings::reachable(Address::Tcp("127.0.0.1".into(), server.port())))
}

#[tokio::test]
async fn a_running_redis_gives_its_figures_over_one_kept_connection() {
    let server = Redis::start().await.unwrap();
    let check = check(&server.url(""));
    let outcome = healthy(&check).await;
    assert_eq!(shown(&outcome, "hit_rate"), None, "nothing was looked up yet");
    assert_eq!(fact(&outcome, "memory_limit"), Some("the machine"));
    server.say("SET a 1").await.unwrap();
    for key in ["a", "a", "a", "b"] {
        server.say(&format!("GET {key}")).await.unwrap();
    }
    let outcome = healthy(&check).await;
    assert_eq!(shown(&outcome, "hit_rate"), Some(75.0));
    assert!(shown(&outcome, "memory_usage").is_some_and(|percent| percent > 0.0 && percent < 100.0));
    assert!(figure(&outcome, "cache_clients_connected") >= Some(1.0));
    assert!(fact(&outcome, "version").is_some());
    let before = server.say("INFO stats").await.unwrap();
    for _ in 0..5 {
        healthy(&check).await;
    }
    let after = server.say("INFO stats").await.unwrap();
    assert_eq!(received(&after), received(&before) + 1, "only our own question came anew");
}

fn received(info: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    line.and_then(|count| count.parse().ok()).expect("INFO tells it")
}

#[tokio::test]
async fn stop_kill_and_restart_are_seen_and_recovered_from() {
    let mut server = Redis::start().await.unwrap();
    let (check, reachable) = (check(&server.url("")), reachable(&server));
    healthy(&check).await;
    server.stop().await.unwrap();
    unhealthy(&check, "connection_refused").await;
    unhealthy(&reachable, "connection_refused").await;
    server.start_again().await.unwrap();
    healthy(&check).await;
    healthy(&reachable).await;
    server.kill().await.unwrap();
    unhealthy(&check, "connection_refused").await;
    server.start_again().await.unwrap();
    healthy(&check).await;
    server.restart().await.unwrap();
    healthy(&check).await;
}

#[tokio::test]
async fn log_ins_are_told_apart_and_the_password_is_never_told() {
    let server = Redis::start_with(&["--requirepass", "horse"]).await.unwrap();
    unhealthy(&check(&server.url("")), "auth_required").await;
    let outcome = unhealthy(&check(&server.url(":s3cret@")), "auth_failed").await;
    assert!(!outcome.message.contains("s3cret"), "{}", outcome.message);
    healthy(&check(&server.url(":horse@"))).await;
    healthy(&check(&server.url("default:horse@"))).await;
    let separately = Settings::from_url(&server.url("")).unwrap().password("horse");
    healthy(&RedisCheck::new(separately)).await;
    assert!(healthy(&reachable(&server)).await.message.contains("password"));
    let open = Redis::start().await.unwrap();
    unhealthy(&check(&open.url(":horse@")), "auth_failed").await;
}

#[tokio::test]
async fn a_user_that_may_only_ping_is_healthy_without_figures() {
    let server = Redis::start().await.unwrap();
    server.say("ACL SETUSER limited on >pw +ping").await.unwrap();
    let outcome = healthy(&check(&server.url("limited:pw@"))).await;
    assert_eq!(shown(&outcome, "memory_usage"), None);
    assert!(fact(&outcome, "hint").is_some_and(|hint| hint.contains("INFO")));
    server.say("ACL SETUSER nothing on >pw").await.unwrap();
    unhealthy(&check(&server.url("nothing:pw@")), "permission_denied").await;
}

#[tokio::test]
async fn a_full_server_is_told_as_such_even_with_a_password() {
    let server = Redis::start_with(&["--requirepass", "horse"]).await.unwrap();
    let holder = check(&server.url(":horse@"));
    healthy(&holder).await;
    server.say("AUTH horse\r\nCONFIG SET maxclients 1").await.unwrap();
    let late = check(&server.url(":horse@"));
    becomes(&late, "too_many_connections").await;
    unhealthy(&reachable(&server), "too_many_connections").await;
    drop(holder);
    becomes(&late, "ok").await;
}

#[tokio::test]
async fn a_hanging_server_is_cut_and_comes_back() {
    let server = Redis::start().await.unwrap();
    let (kept, fresh, reachable) = (check(&server.url("")), check(&server.url("")), reachable(&server));
    healthy(&kept).await;
    server.hang(true).unwrap();
    for _ in 0..3 {
        is_cut_at(DEADLINE, &kept).await;
    }
    is_cut_at(DEADLINE, &fresh).await;
    is_cut_at(DEADLINE, &reachable).await;
    server.hang(false).unwrap();
    healthy(&kept).await;
    healthy(&fresh).await;
    healthy(&reachable).await;
}
