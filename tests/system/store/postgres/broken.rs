//! The server stops, crashes, hangs, takes no writes: commits are refused, nothing acknowledged is lost, nothing comes
//! twice, and the store takes again by itself.

use super::super::{Place, seqs};
use super::{Databases, InPostgres, Issued, Store, prepared, refused, takes};
use farol_monitor::store::{Piece, Retention};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_server_that_stops_or_crashes_refuses_and_takes_again_when_it_is_back() {
    let mut databases = Databases::start().await;
    databases.server.sql("CREATE DATABASE fleet").unwrap();
    let mut issued = Issued::new();
    let store = prepared(&databases.named("fleet")).await;
    for crash in [false, true, false] {
        store.commit(&issued.group()).await.unwrap();
        if crash {
            databases.server.kill().await.unwrap();
        } else {
            databases.server.stop().await.unwrap();
        }
        let group = issued.group();
        for _ in 0..2 {
            let why = refused(store.commit(&group).await);
            assert!(why.contains("PostgreSQL at 127.0.0.1:"), "{why}");
        }
        refused(store.tidy(i64::MAX / 2, &Retention::default()).await);
        databases.server.start_again().await.unwrap();
        takes(&store, &group).await;
        assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
    }
    // Questions come back by themselves too; a new start finds the same.
    let place = databases.named("fleet");
    assert_eq!(place.sql("SELECT count(*) FROM farol.journal"), (issued.last / 3).to_string());
    drop(store);
    assert_eq!(seqs(&*place.open().await, 1, 0, i64::MAX).await, issued.all());
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time_and_its_commit_is_found_out() {
    let databases = Databases::start().await;
    let place = databases.place();
    let mut short = place.by_socket();
    short.timeout = Duration::from_millis(500);
    let store = farol_monitor::store::PostgresStore::open(short).await.unwrap();
    store.commit(&super::group(Vec::new())).await.unwrap();
    let mut issued = Issued::new();
    for _ in 0..5 {
        store.commit(&issued.group()).await.unwrap();
        // Only the session that writes stands still: its commit may be made when it goes on.
        let pid = place.writer();
        InPostgres::hang(pid, true);
        let began = Instant::now();
        let group = issued.group();
        let why = refused(store.commit(&group).await);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}: {why}", began.elapsed());
        assert!(why.contains("no answer within 500ms"), "{why}");
        InPostgres::hang(pid, false);
        takes(&store, &group).await;
    }
    assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
    let rows = place.sql("SELECT count(*) FROM farol.journal");
    assert_eq!(rows, (issued.last / 3).to_string(), "no group has two rows");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_question_of_the_upkeep_that_is_given_up_takes_its_connection_with_it() {
    let databases = Databases::start().await;
    let place = databases.place();
    let mut short = place.by_socket();
    short.timeout = Duration::from_millis(500);
    let store = farol_monitor::store::PostgresStore::open(short).await.unwrap();
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let tidy = async || store.tidy(now_ms, &Retention::default()).await;
    while tidy().await.unwrap().did != Some(Piece::Journal) {}
    let pid = place.writer();
    InPostgres::hang(pid, true);
    // Which roll-ups are due is asked outside any transaction.
    let why = refused(tidy().await.map(|_| ()));
    assert!(why.contains("no answer within 500ms"), "{why}");
    InPostgres::hang(pid, false);
    assert_eq!(tidy().await.unwrap().did, Some(Piece::Retention), "what failed rests");
    assert_ne!(place.writer(), pid, "the late answer is nobody's");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_piece_of_the_upkeep_that_fails_lets_the_others_have_their_turn() {
    let databases = Databases::start().await;
    let place = databases.place();
    let store = prepared(&place).await;
    place.sql("ALTER TABLE farol.journal RENAME body TO gone");
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let (mut did, mut failed) = (Vec::new(), 0);
    for _ in 0..16 {
        match store.tidy(now_ms, &Retention::default()).await {
            Ok(tidied) => did.extend(tidied.did),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 1, "what there is cannot be measured: {did:?}");
    assert!(did.contains(&Piece::Statuses), "{did:?}");
    place.sql("ALTER TABLE farol.journal RENAME gone TO body");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_became_read_only_refuses_and_questions_go_on() {
    let databases = Databases::start().await;
    let place = databases.place();
    let store = prepared(&place).await;
    let mut issued = Issued::new();
    store.commit(&issued.group()).await.unwrap();
    databases
        .server
        .sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", place.database))
        .unwrap();
    place.terminate_writer();
    let group = issued.group();
    let why = refused(store.commit(&group).await);
    assert!(why.contains("25006") && why.contains("read-only"), "{why}");
    assert_eq!(seqs(&store, 1, 0, i64::MAX).await, [1, 2, 3]);
    databases
        .server
        .sql(&format!("ALTER DATABASE {} RESET default_transaction_read_only", place.database))
        .unwrap();
    // Nobody ends the session, to which the old setting still belongs.
    takes(&store, &group).await;
    assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
}

#[tokio::test]
async fn a_commit_that_was_given_up_half_way_leaves_nothing_in_doubt() {
    let databases = Databases::start().await;
    let place = databases.place();
    let store = prepared(&place).await;
    let mut issued = Issued::new();
    for round in 0..12 {
        let group = issued.group();
        // A server that stands still has the whole commit before it when we go, and makes it when it goes on.
        let process = place.writer();
        let hangs = round % 2 == 0;
        if hangs {
            InPostgres::hang(process, true);
        }
        let mut commit = store.commit(&group);
        let done = futures::poll!(&mut commit).is_ready();
        assert!(!(done && hangs), "a server that stands still said something");
        drop(commit);
        if hangs {
            InPostgres::hang(process, false);
        }
        // The journal hands it in again, unless it has heard of its commit.
        if !done {
            takes(&store, &group).await;
        }
    }
    assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
    let rows = place.sql("SELECT count(*) FROM farol.journal");
    assert_eq!(rows, (issued.last / 3).to_string(), "no group has two rows");
    store.close().await.unwrap();
}
