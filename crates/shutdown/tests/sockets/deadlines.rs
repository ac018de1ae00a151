//! Peers that keep a connection without using it are closed in time and counted by reason.

use std::time::Duration;

use farol_shutdown::listener::{Closed, Limits};
use tokio::io::AsyncWriteExt;

use crate::clients::{PREFACE, SETTINGS, SETTINGS_ACK, asks_for, closed_after, hears, says};
use crate::rig::{Rig, ms, short, until};

/// A HEADERS frame without the end of its block.
const HALF_HEADERS: &[u8] = &[0, 0, 1, 1, 0x1, 0, 0, 0, 1, 0x82];

fn tight() -> Limits {
    Limits {
        handshake: ms(300),
        header: ms(300),
        idle: ms(300),
        stalled: ms(300),
        keep_alive: ms(300),
        keep_alive_timeout: ms(200),
        ..Limits::default()
    }
}

#[tokio::test]
async fn every_way_of_holding_a_connection_has_its_deadline() {
    let half_headers: &[&[u8]] = &[PREFACE, SETTINGS, SETTINGS_ACK, HALF_HEADERS];
    let cases: [(&str, &[&[u8]], Closed, Duration); 9] = [
        ("silent", &[], Closed::Handshake, ms(300)),
        ("half a preface", &[&PREFACE[..17]], Closed::Handshake, ms(300)),
        ("one byte of a method", &[b"P"], Closed::Handshake, ms(300)),
        ("half a header", &[b"GET / HTTP/1.1\r\nHost"], Closed::Header, ms(300)),
        ("half an HTTP/2 header", half_headers, Closed::Header, ms(300)),
        ("preface without settings", &[PREFACE], Closed::Unresponsive, ms(500)),
        ("settings never acknowledged", &[PREFACE, SETTINGS], Closed::Unresponsive, ms(500)),
        ("pings never answered", &[PREFACE, SETTINGS, SETTINGS_ACK], Closed::Unresponsive, ms(500)),
        ("idle keep-alive", &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], Closed::Idle, ms(300)),
    ];
    for (name, said, reason, least) in cases {
        let rig = Rig::start(short(), tight(), None);
        let mut client = says(rig.addr, said).await;
        let took = closed_after(&mut client).await;
        assert!(took >= least - ms(60) && took <= ms(1_200), "{name}: {took:?}");
        until("it is counted", || rig.stats.open() == 0).await;
        assert_eq!(rig.stats.closed(reason), 1, "{name}: {:?}", rig.stats);
    }
}

#[tokio::test]
async fn bytes_that_trickle_buy_no_time() {
    let rig = Rig::start(short(), tight(), None);
    let mut client = says(rig.addr, &[b"GET / HTTP/1.1\r\n"]).await;
    let (mut reads, mut writes) = client.split();
    let trickle = async {
        loop {
            tokio::time::sleep(ms(20)).await;
            if writes.write_all(b"a: b\r\n").await.is_err() {
                break;
            }
        }
    };
    let mut buffer = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut reads, &mut buffer);
    let closed = async { tokio::time::timeout(ms(1_500), closed).await.expect("closed in time") };
    tokio::select! {
        // A reset is as good as an end.
        _end = closed => {}
        () = trickle => {}
    }
    until("it is counted", || rig.stats.closed(Closed::Header) == 1).await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_closed() {
    for http2 in [false, true] {
        // The kernel's buffers take some megabytes first; HTTP/2's windows would stop it long before that.
        let rig = Rig::start(short(), tight(), None);
        if http2 {
            let grown: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff];
            let window: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0];
            let limits = Limits { keep_alive: Duration::from_secs(60), ..tight() };
            let rig = Rig::start(short(), limits, None);
            let request = asks_for("/flood");
            let _client = hears(rig.addr, &[PREFACE, grown, SETTINGS_ACK, window, &request]).await;
            until("it is stalled", || rig.stats.closed(Closed::Stalled) == 1).await;
        } else {
            let _client = hears(rig.addr, &[b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"]).await;
            until("it is stalled", || rig.stats.closed(Closed::Stalled) == 1).await;
        }
    }
}

#[tokio::test]
async fn a_peer_that_answers_pings_and_a_long_answer_are_left_alone() {
    // A second for an answer: this client shares its thread with the server, on a machine that may be busy.
    let second = ms(1_000);
    let limits = Limits { handshake: second, stalled: second, keep_alive_timeout: second, ..tight() };
    let rig = Rig::start(short(), limits, None);
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    assert_eq!(client.get(rig.url("/")).send().await.unwrap().status(), 200);
    let mut stream = client.get(rig.url("/stream")).send().await.unwrap();
    let mut plain = reqwest::get(rig.url("/stream")).await.unwrap();
    // Longer than a ping and the time for its answer.
    let end = tokio::time::Instant::now() + ms(1_800);
    while tokio::time::Instant::now() < end {
        assert!(stream.chunk().await.unwrap().is_some());
        assert!(plain.chunk().await.unwrap().is_some());
    }
    drop((stream, plain));
    assert_eq!(client.get(rig.url("/")).send().await.unwrap().status(), 200);
    assert_eq!(rig.stats.closed(Closed::Unresponsive) + rig.stats.closed(Closed::Idle), 0);
}

#[tokio::test]
async fn hundreds_of_silent_sockets_do_not_disturb_an_honest_client() {
    let rig = Rig::start(short(), tight(), None);
    let client = reqwest::Client::new();
    let mut silent = Vec::new();
    for index in 0..400 {
        let said: &[&[u8]] = match index % 4 {
            0 => &[],
            1 => &[&PREFACE[..9]],
            2 => &[b"GET / HT"],
            _ => &[PREFACE],
        };
        silent.push(says(rig.addr, said).await);
        if index % 40 == 0 {
            assert_eq!(client.get(rig.url("/")).send().await.unwrap().text().await.unwrap(), "hello");
        }
    }
    until("all are gone", || rig.stats.open() == 0).await;
    let reasons = [Closed::Handshake, Closed::Header, Closed::Unresponsive].map(|why| rig.stats.closed(why));
    assert_eq!(reasons, [200, 100, 100]);
}

#[tokio::test]
async fn a_panicking_handler_costs_its_own_connection_only() {
    let rig = Rig::start(short(), Limits::default(), None);
    assert!(reqwest::get(rig.url("/panic")).await.is_err());
    assert_eq!(reqwest::get(rig.url("/")).await.unwrap().text().await.unwrap(), "hello");
    until("it is counted", || rig.stats.closed(Closed::Panicked) == 1).await;
    let (report, _) = rig.stop().await;
    assert_eq!(report.code, 0);
}
