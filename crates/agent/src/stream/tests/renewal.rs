//! A monitor asks for a new stream: until its moment the agent speaks on the old one as always.

use super::*;

/// By far longer than a test takes. A stream may still end at once, by chance: then the test is begun again.
const LONG_MS: u32 = 600_000;
const ATTEMPTS: usize = 4;

async fn asked(stream: &Arrival, within_ms: u32) {
    stream.say(Kind::Reconnect(proto::Reconnect { within_ms, reason: "a test".to_owned() })).await;
}

/// An agent with a live stream that is to be renewed some time.
async fn begin(double: &mut Double, further: &str) -> (Alive, Arrival) {
    let alive = start(&[double.address], further);
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
    asked(&stream, LONG_MS).await;
    (alive, stream)
}

/// Hears until something is understood; false when the agent ended its half before.
async fn heard(stream: &mut Arrival, mut done: impl FnMut(&Understanding) -> bool) -> bool {
    while !done(&stream.heard) {
        if !stream.hear().await {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn an_agent_that_is_to_connect_anew_speaks_on_and_does_what_it_is_told_until_then() {
    for _ in 0..ATTEMPTS {
        let mut double = Double::start().await;
        let (alive, mut stream) = begin(&mut double, "").await;
        let (lives, keys) = (lives(&stream), stream.heard.keys);
        stream.say(Kind::NeedKeyFrame(proto::NeedKeyFrame {})).await;
        let mut whole =
            heard(&mut stream, |heard| heard.keys > keys && heard.order.matches('L').count() >= lives + 8)
                .await;
        alive.said.set(Status::Unhealthy);
        whole = whole
            && heard(&mut stream, |heard| heard.statuses["database"].hard == Status::Unhealthy as i32).await;
        if !whole {
            continue;
        }
        let last = *stream.heard.seqs.last().unwrap();
        stream.ack(last).await;
        assert!(heard(&mut stream, |_| alive.running.counts().acked >= last).await);
        assert_eq!(alive.status_of_link(), (Status::Healthy, "ok".to_owned()));
        return;
    }
    panic!("the agent ends its stream as soon as it is asked for another");
}

#[tokio::test]
async fn a_nearer_moment_counts_and_what_was_not_acknowledged_comes_again_at_once() {
    let mut double = Double::start().await;
    let (_alive, mut stream) = begin(&mut double, "").await;
    asked(&stream, 0).await;
    asked(&stream, LONG_MS).await;
    stream.hear_all().await;
    let seen = stream.heard.seqs.clone();
    drop(stream);
    let ended = Instant::now();
    let mut stream = double.stream(0).await;
    assert!(ended.elapsed() < Duration::from_secs(1), "no further wait: {:?}", ended.elapsed());
    stream.until(|heard| heard.order.contains('L')).await;
    assert!(stream.heard.order.contains('B'), "{}", stream.heard.order);
    assert!(seen.iter().all(|seq| stream.heard.seqs.contains(seq)), "{seen:?} {:?}", stream.heard.seqs);
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_moment_is_opened_again_as_any_other() {
    let mut double = Double::start().await;
    let (_alive, stream) = begin(&mut double, "").await;
    stream.fail(tonic::Status::unavailable("gone")).await;
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
}

#[tokio::test]
async fn an_agent_that_ends_before_the_moment_says_goodbye_and_its_last_report_as_always() {
    for _ in 0..ATTEMPTS {
        let mut double = Double::start().await;
        let (mut alive, mut stream) = begin(&mut double, "role: pod").await;
        alive.handle.shutdown("a test");
        if !heard(&mut stream, |heard| heard.goodbye.is_some()).await {
            continue;
        }
        assert_eq!(stream.heard.goodbye, Some(proto::goodbye::Kind::Workload));
        stream.hear_all().await;
        let last = *stream.heard.seqs.last().unwrap();
        assert_eq!(stream.heard.ack_now.last(), Some(&last), "{}", stream.heard.order);
        stream.ack(last).await;
        let report = alive.end().await;
        assert_eq!((report.code, report.failures.len()), (0, 0), "{report:?}");
        return;
    }
    panic!("the agent ends its stream as soon as it is asked for another");
}
