//! Check, List and Watch by the public rules.

use super::{PATIENCE, Table, asked, next, serve, serve_with, watch_name};
use crate::grpc::pb::health_check_response::ServingStatus as Wire;
use crate::grpc::{Limits, ServingStatus, pb, watchers};
use futures::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::{Instant, timeout};
use tonic::Code;

#[tokio::test]
async fn check_tells_known_names_exactly_and_unknown_ones_are_not_found() {
    let table = Table::new(&[
        ("", ServingStatus::Serving),
        ("payments", ServingStatus::NotServing),
        ("kestra", ServingStatus::Unknown),
    ]);
    let served = serve(table).await;
    let mut client = served.client().await;
    for (name, status) in [("", Wire::Serving), ("payments", Wire::NotServing), ("kestra", Wire::Unknown)] {
        assert_eq!(client.check(asked(name)).await.unwrap().into_inner().status(), status, "{name}");
    }
    for name in ["Payments", "payments ", "pay", "payments/"] {
        assert_eq!(client.check(asked(name)).await.unwrap_err().code(), Code::NotFound, "{name}");
    }
}

#[tokio::test]
async fn a_name_over_512_bytes_is_an_invalid_argument() {
    let longest = "é".repeat(256);
    let served = serve(Table::new(&[(&longest, ServingStatus::Serving)])).await;
    let mut client = served.client().await;
    assert!(client.check(asked(&longest)).await.is_ok());
    for name in [format!("{longest}x"), "x".repeat(60_000)] {
        assert_eq!(client.check(asked(&name)).await.unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(client.watch(asked(&name)).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let huge = "x".repeat(100_000);
    assert_eq!(client.check(asked(&huge)).await.unwrap_err().code(), Code::OutOfRange);
    assert!(client.check(asked(&longest)).await.is_ok(), "the connection lives on");
}

#[tokio::test]
async fn list_tells_up_to_100_names_and_refuses_more() {
    let table = Table::new(&[("", ServingStatus::NotServing)]);
    for index in 1..100 {
        table.set(&format!("service-{index}"), ServingStatus::Serving);
    }
    let served = serve(table.clone()).await;
    let mut client = served.client().await;
    let statuses = client.list(pb::HealthListRequest {}).await.unwrap().into_inner().statuses;
    assert_eq!(statuses.len(), 100);
    assert_eq!(statuses[""].status(), Wire::NotServing);
    assert_eq!(statuses["service-99"].status(), Wire::Serving);
    table.set("one too many", ServingStatus::Serving);
    let refused = client.list(pb::HealthListRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn watch_tells_the_status_at_once_then_each_change_and_nothing_else() {
    let table = Table::new(&[("payments", ServingStatus::Serving)]);
    let served = serve(table.clone()).await;
    let mut client = served.client().await;
    let mut payments = watch_name(&mut client, "payments").await;
    let mut later = watch_name(&mut client, "later").await;
    assert_eq!(next(&mut payments).await, Some(Wire::Serving));
    assert_eq!(next(&mut later).await, Some(Wire::ServiceUnknown), "the stream stays open");

    table.set("later", ServingStatus::Serving);
    assert_eq!(next(&mut later).await, Some(Wire::Serving), "an unknown name became known");
    table.set("later", ServingStatus::Serving);
    table.set("other", ServingStatus::Serving);
    table.set("payments", ServingStatus::NotServing);
    assert_eq!(next(&mut payments).await, Some(Wire::NotServing));
    table.set("payments", ServingStatus::Unknown);
    assert_eq!(next(&mut payments).await, Some(Wire::Unknown));
    table.set("payments", None);
    assert_eq!(next(&mut payments).await, Some(Wire::ServiceUnknown), "a known name was removed");

    table.set("later", ServingStatus::NotServing);
    assert_eq!(next(&mut later).await, Some(Wire::NotServing), "equal values in between were not told");
}

#[tokio::test]
async fn a_watcher_that_does_not_read_keeps_the_newest_status_only() {
    let table = Table::new(&[("payments", ServingStatus::Serving)]);
    let watchers = watchers::Watchers::new(table.clone(), 1);
    let mut subscription = watchers.subscribe("payments").unwrap();
    assert_eq!(subscription.latest(), Some(ServingStatus::Serving));
    for _ in 0..500 {
        table.set("payments", ServingStatus::NotServing);
        table.set("payments", ServingStatus::Unknown);
        tokio::task::yield_now().await;
    }
    timeout(PATIENCE, async {
        while subscription.moved().await && subscription.latest() != Some(ServingStatus::Unknown) {}
    })
    .await
    .unwrap();
    let looks = table.looks.load(Ordering::Relaxed);
    assert!(looks < 100, "a thousand changes were gathered into {looks} looks");
}

#[tokio::test]
async fn a_change_by_time_alone_is_seen_without_a_notice() {
    let table = Arc::new(Table::with_notice(&[("payments", ServingStatus::Serving)], false));
    let served = serve(table.clone()).await;
    let mut watch = watch_name(&mut served.client().await, "payments").await;
    assert_eq!(next(&mut watch).await, Some(Wire::Serving));
    table.set("payments", ServingStatus::NotServing);
    assert_eq!(next(&mut watch).await, Some(Wire::NotServing));
}

#[tokio::test]
async fn watchers_beyond_the_cap_are_refused_until_one_goes() {
    let table = Table::new(&[("a", ServingStatus::Serving)]);
    let served = serve_with(table, Limits { watchers: 2, ..Limits::default() }).await;
    let mut client = served.client().await;
    let mut first = watch_name(&mut client, "a").await;
    let mut second = watch_name(&mut client, "b").await;
    assert_eq!(next(&mut first).await, Some(Wire::Serving));
    assert_eq!(next(&mut second).await, Some(Wire::ServiceUnknown));
    assert_eq!(client.watch(asked("a")).await.unwrap_err().code(), Code::ResourceExhausted);
    assert!(client.check(asked("a")).await.is_ok(), "Check is not refused");
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    let mut third = loop {
        match client.watch(asked("a")).await {
            Ok(watch) => break watch.into_inner(),
            Err(refused) => assert_eq!(refused.code(), Code::ResourceExhausted),
        }
        assert!(Instant::now() < deadline, "the place was never freed");
    };
    assert_eq!(next(&mut third).await, Some(Wire::Serving));
}

#[tokio::test]
async fn nothing_is_kept_or_done_when_nobody_watches() {
    let table = Table::new(&[("a", ServingStatus::Serving)]);
    let watchers = watchers::Watchers::new(table.clone(), 10);
    let (one, two) = (watchers.subscribe("a").unwrap(), watchers.subscribe("a").unwrap());
    assert_eq!(watchers.kept(), (1, 2, true));
    drop(one);
    assert_eq!(watchers.kept(), (1, 1, true));
    drop(two);
    let deadline = Instant::now() + PATIENCE;
    while watchers.kept() != (0, 0, false) {
        assert!(Instant::now() < deadline, "left over: {:?}", watchers.kept());
        tokio::task::yield_now().await;
    }
    let mut again = watchers.subscribe("a").unwrap();
    assert_eq!(again.latest(), Some(ServingStatus::Serving));
    table.set("a", ServingStatus::NotServing);
    assert!(timeout(PATIENCE, again.moved()).await.unwrap());
    assert_eq!(again.latest(), Some(ServingStatus::NotServing), "the looking began anew");
}

#[tokio::test]
async fn when_the_source_breaks_streams_end_and_come_again() {
    let table = Table::new(&[("a", ServingStatus::Serving)]);
    let served = serve(table.clone()).await;
    let mut client = served.client().await;
    let mut watch = watch_name(&mut client, "a").await;
    assert_eq!(next(&mut watch).await, Some(Wire::Serving));
    table.broken.store(true, Ordering::Relaxed);
    let end = timeout(PATIENCE, watch.message()).await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    table.broken.store(false, Ordering::Relaxed);
    let mut watch = watch_name(&mut client, "a").await;
    assert_eq!(next(&mut watch).await, Some(Wire::Serving));
    table.set("a", ServingStatus::NotServing);
    assert_eq!(next(&mut watch).await, Some(Wire::NotServing));
}

#[tokio::test]
async fn draining_tells_the_last_change_and_ends_every_watch() {
    let table = Table::new(&[("flips", ServingStatus::Serving), ("stays", ServingStatus::Serving)]);
    let served = serve(table.clone()).await;
    let mut client = served.client().await;
    let mut flips = watch_name(&mut client, "flips").await;
    let mut stays = watch_name(&mut client, "stays").await;
    assert_eq!(next(&mut flips).await, Some(Wire::Serving));
    assert_eq!(next(&mut stays).await, Some(Wire::Serving));
    table.set("flips", ServingStatus::NotServing);
    served.draining.cancel();
    assert_eq!(next(&mut flips).await, Some(Wire::NotServing), "told although both came at once");
    assert_eq!(next(&mut flips).await, None);
    assert_eq!(next(&mut stays).await, None);
    let mut late = watch_name(&mut client, "stays").await;
    assert_eq!(next(&mut late).await, Some(Wire::Serving));
    assert_eq!(next(&mut late).await, None, "a watch that begins now ends after its first message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watchers_of_many_names_each_end_at_the_last_status() {
    let table = Table::new(&[]);
    let served = serve(table.clone()).await;
    let client = served.client().await;
    let all = stream::iter(0..500).map(|index| {
        let mut client = client.clone();
        async move { watch_name(&mut client, &format!("service-{}", index % 100)).await }
    });
    let mut watches: Vec<_> = all.buffer_unordered(100).collect().await;
    for watch in &mut watches {
        assert_eq!(next(watch).await, Some(Wire::ServiceUnknown));
    }
    for round in 0..20 {
        for name in 0..100 {
            let status = if round % 2 == 0 { ServingStatus::Serving } else { ServingStatus::Unknown };
            table.set(&format!("service-{name}"), status);
        }
    }
    for name in 0..100 {
        table.set(&format!("service-{name}"), ServingStatus::NotServing);
    }
    for watch in &mut watches {
        let (mut told, mut last) = (0, None);
        while last != Some(Wire::NotServing) {
            last = next(watch).await;
            told += 1;
        }
        assert!(told <= 21, "{told} messages");
    }
}
