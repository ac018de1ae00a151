//! Circuit breakers that an alert opens, and their states in a real Redis.

use super::{LIMIT, Live, World, action, alert};
use farol_monitor::act::{Actions, BreakerPolicy, Mirror, Outcome, Settings, What};
use farol_tests::redis::Redis;
use farol_tests::wait::until;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const POLICY: BreakerPolicy = BreakerPolicy { open_for_ms: 30_000, half_open_probes: 1 };

fn settings(redis: Option<&Redis>) -> Settings {
    let mut trip = action(What::Breaker { name: "payments".into(), policy: POLICY });
    trip.verify = None;
    let ttl = Duration::from_secs(3);
    Settings {
        actions: [("trip".into(), trip)].into(),
        mirror: redis.map(|redis| Mirror { redis: redis.url("").parse().unwrap(), ttl }),
        ..Settings::default()
    }
}

/// Waits until what Redis holds has these words.
async fn redis_says(redis: &Redis, words: &str) {
    let says = async || redis.say("GET farol:breaker:payments").await.is_ok_and(|said| said.contains(words));
    until(words, LIMIT, says).await.unwrap();
}

#[tokio::test]
async fn an_alert_opens_it_time_half_opens_it_and_the_alerts_end_closes_it() {
    let (redis, world) = (Redis::start().await.unwrap(), World::new());
    let live = Live::start(settings(Some(&redis)), &world);
    redis_says(&redis, r#""state":"closed""#).await;
    live.actions.start(world.request("trip"));
    let record = world.ended(1).await;
    assert_eq!((record.outcome, &*record.target), (Outcome::Done, "breaker payments"));
    redis_says(&redis, r#""state":"open""#).await;
    redis_says(&redis, r#""rule":"slow""#).await;
    world.pass(Duration::from_secs(30));
    redis_says(&redis, r#""state":"half_open""#).await;
    live.actions.resolved(&alert(), world.now());
    redis_says(&redis, r#""state":"closed""#).await;
    let ttl = redis.say("PTTL farol:breaker:payments").await.unwrap();
    let ttl: i64 = ttl.trim_start_matches(':').parse().unwrap();
    assert!((1..=3_000).contains(&ttl), "{ttl}");
    live.stop().await;
    let gone = async || redis.say("EXISTS farol:breaker:payments").await.is_ok_and(|said| said == ":0");
    until("the key's end", LIMIT, gone).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_is_gone_or_hangs_delays_no_decision_and_is_written_when_it_is_back() {
    let (mut redis, world) = (Redis::start().await.unwrap(), World::new());
    let live = Live::start(settings(Some(&redis)), &world);
    redis_says(&redis, r#""state":"closed""#).await;
    redis.hang(true).unwrap();
    live.actions.start(world.request("trip"));
    world.ended(1).await;
    let breakers = live.actions.breakers();
    assert_eq!(breakers.status("payments", world.now()).unwrap().state, "open");
    redis.kill().await.unwrap();
    breakers.close("payments", ("ann", "it is well"), world.now()).unwrap();
    assert_eq!(breakers.status("payments", world.now()).unwrap().state, "closed");
    redis.start_again().await.unwrap();
    redis_says(&redis, r#""author":"ann""#).await;
    // Longer than its time to live: it is written again and again.
    let there = async || redis.say("EXISTS farol:breaker:payments").await.is_ok_and(|said| said == ":1");
    farol_tests::wait::holds("the key", Duration::from_secs(5), there).await.unwrap();
    live.actions.replace(settings(None));
    let gone = async || !there().await;
    until("the key's end after a reload", LIMIT, gone).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_leaves_it_closed() {
    let (mut settings, world) = (settings(None), World::new());
    settings.actions.get_mut("trip").unwrap().policy.dry_run = true;
    let live = Live::start(settings, &world);
    live.actions.start(world.request("trip"));
    assert_eq!(world.ended(1).await.outcome, Outcome::WouldRun);
    let view = live.actions.breakers().status("payments", world.now()).unwrap();
    assert!(view.lets_through() && view.state == "closed");
}

#[tokio::test]
async fn an_alert_that_ends_while_its_action_begins_is_not_waited_for() {
    let (world, looks) = (World::new(), Arc::new(AtomicU32::new(0)));
    let mut surroundings = world.surroundings();
    surroundings.firing = Arc::new(move |_, _| Some(looks.fetch_add(1, Ordering::Relaxed) == 0));
    let (actions, runner) = Actions::new(settings(None), surroundings);
    let live = Live::run(actions, runner);
    live.actions.start(world.request("trip"));
    assert_eq!(world.ended(1).await.outcome, Outcome::Done);
    let view = live.actions.breakers().status("payments", world.now()).unwrap();
    assert_eq!((view.state, view.firing), ("open", vec![]), "until its time is up");
}
