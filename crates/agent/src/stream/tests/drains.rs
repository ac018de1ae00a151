//! What the monitor's windows drain, and that it ends where the monitor says nothing any more.

use super::*;

#[tokio::test]
async fn a_drain_ends_by_itself_when_its_time_is_over_with_or_without_a_stream() {
    for stays in [true, false] {
        let mut double = Double::start().await;
        let alive = start(&[double.address], "accept_drain: true");
        let mut stream = double.stream(0).await;
        stream.until(|heard| heard.order.contains('L')).await;
        let drain = |remaining_ms| {
            let components = vec!["database".to_owned(), "nobody".to_owned()];
            Kind::Maintenance(proto::Maintenance { components, remaining_ms, ..Default::default() })
        };
        let drains = || alive.running.snapshot().components.iter().any(|c| c.maintenance);
        // The later word counts.
        stream.say(drain(1)).await;
        stream.say(drain(600)).await;
        let said = tokio::time::Instant::now();
        stream.until(|heard| heard.statuses["database"].maintenance).await;
        let stream = stays.then_some(stream);
        while drains() {
            assert!(said.elapsed() < Duration::from_secs(10), "it does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(said.elapsed() >= Duration::from_millis(590), "{:?}", said.elapsed());
        if let Some(mut stream) = stream {
            stream.until(|heard| !heard.statuses["database"].maintenance).await;
        }
    }
}
