//! A shutdown ends inside its budget whatever clients do, and finishes what can be finished.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use farol_shutdown::listener::{Closed, Limits};
use farol_shutdown::{Budgets, Phase, exit};
use futures::StreamExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::clients::{PREFACE, SETTINGS, SETTINGS_ACK, SEVEN, asks_for, bad_client, says};
use crate::rig::{Rig, ms, short, until};

/// What a busy machine may add to a budget.
const SLACK: Duration = ms(400);

#[tokio::test]
async fn each_bad_client_alone_ends_inside_the_budget() {
    for (name, must_be_cut) in SEVEN {
        let rig = Rig::start(short(), Limits::default(), None);
        let client = bad_client(name, rig.addr).await;
        until("the connection is open", || rig.stats.open() == 1).await;
        let stats = rig.stats.clone();
        let (report, took) = rig.stop().await;
        assert!(took <= short().total() + SLACK, "{name}: {took:?}");
        assert_eq!(report.code, exit::OK, "{name}: {report:?}");
        assert_eq!(report.connections_cut, u64::from(must_be_cut), "{name}");
        let counted = if must_be_cut { Closed::Cut } else { Closed::Drained };
        assert_eq!((stats.closed(counted), stats.open()), (1, 0), "{name}");
        drop(client);
    }
}

#[tokio::test]
async fn all_bad_clients_together_end_inside_the_budget() {
    let rig = Rig::start(short(), Limits::default(), None);
    let mut clients = Vec::new();
    for _ in 0..20 {
        for (name, _) in SEVEN {
            clients.push(bad_client(name, rig.addr).await);
        }
    }
    until("all are open", || rig.stats.open() == clients.len()).await;
    let stats = rig.stats.clone();
    let (report, took) = rig.stop().await;
    assert!(took <= short().total() + SLACK, "{took:?}");
    assert_eq!((report.code, report.connections_cut, stats.open()), (exit::OK, 80, 0));
}

#[tokio::test]
async fn nobody_there_ends_at_once() {
    let rig = Rig::start(short(), Limits::default(), None);
    let (report, took) = rig.stop().await;
    assert!(took < ms(200), "{took:?}");
    assert_eq!(report.code, exit::OK);
}

#[tokio::test]
async fn connections_are_served_while_readiness_is_off_and_refused_after() {
    let budgets = Budgets { stop_accepting: ms(600), ..short() };
    let rig = Rig::start(budgets, Limits::default(), None);
    let (addr, url) = (rig.addr, rig.url("/"));
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    rig.handle.shutdown("rolling restart");
    assert!(rig.handle.stopping().is_cancelled(), "readiness is off at once");
    assert_eq!(rig.handle.phase(), Phase::StopAcceptingRequests);
    for _ in 0..20 {
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
    }
    assert_eq!(rig.handle.phase(), Phase::StopAcceptingRequests);
    assert_eq!(rig.stats.accepted(), 20, "new connections are taken in until draining");
    let mut phases = rig.handle.phases();
    phases.wait_for(|phase| *phase >= Phase::CleanupResources).await.unwrap();
    let refused = TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn requests_in_flight_are_answered_in_full() {
    for http2 in [false, true] {
        let arrived = Arc::new(Notify::new());
        let arrives = arrived.clone();
        let late = get(|| async move {
            arrives.notify_one();
            sleep(ms(300)).await;
            "late but right"
        });
        let rig = Rig::serving(Router::new().route("/late", late), short(), Limits::default(), None);
        let client = reqwest::Client::builder();
        let client = if http2 { client.http2_prior_knowledge() } else { client };
        let client = client.build().unwrap();
        let request = client.get(rig.url("/late")).send();
        let stats = rig.stats.clone();
        let stop = async {
            arrived.notified().await;
            rig.stop().await
        };
        let (answer, (report, took)) = tokio::join!(request, stop);
        assert_eq!(answer.unwrap().text().await.unwrap(), "late but right", "http2: {http2}");
        assert_eq!((report.code, report.connections_cut), (exit::OK, 0), "http2: {http2}");
        assert!(took < short().total(), "http2: {http2}, {took:?}");
        assert_eq!(stats.closed(Closed::Cut), 0);
    }
}

#[tokio::test]
async fn a_stream_that_watches_the_token_ends_the_drain_early() {
    let budgets = Budgets { drain: ms(8_000), ..short() };
    let draining: Arc<OnceLock<farol_shutdown::Handle>> = Default::default();
    let inside = draining.clone();
    let router = Router::new().route(
        "/events",
        get(move || async move {
            let ended = inside.get().unwrap().draining().cancelled_owned();
            let events = futures::stream::repeat("tick\n").then(|event| async move {
                sleep(ms(10)).await;
                Ok::<_, std::io::Error>(event)
            });
            axum::body::Body::from_stream(events.take_until(ended))
        }),
    );
    let rig = Rig::serving(router, budgets, Limits::default(), None);
    draining.set(rig.handle.clone()).unwrap();
    let mut response = reqwest::get(rig.url("/events")).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "tick\n");
    let (body, (report, took)) = tokio::join!(response.text(), rig.stop());
    assert!(body.is_ok(), "the stream ended in order: {body:?}");
    assert!(took < ms(1_000), "{took:?}");
    assert_eq!((report.code, report.connections_cut), (exit::OK, 0));
}

#[tokio::test]
async fn a_cut_connection_takes_its_handlers_with_it() {
    let working = Arc::new(());
    let held = working.clone();
    let works = get(move || {
        let held = held.clone();
        async move {
            let _held = held;
            std::future::pending::<&'static str>().await
        }
    });
    let rig = Rig::serving(Router::new().route("/work", works), short(), Limits::default(), None);
    let http1: &[&[u8]] = &[b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n"];
    let _one = says(rig.addr, http1).await;
    let _two = says(rig.addr, &[PREFACE, SETTINGS, SETTINGS_ACK, &asks_for("/work")]).await;
    // The test's own, the router's, and one for each handler at work.
    until("both handlers are at work", || Arc::strong_count(&working) == 4).await;
    let (report, _) = rig.stop().await;
    assert_eq!((report.code, report.connections_cut), (exit::OK, 2));
    until("nobody works any more", || Arc::strong_count(&working) == 1).await;
}
