//! What only this store can show: its server, its sessions, its refusals. What every store must do is in the suite.

mod broken;
mod doors;
mod monitor;
mod writer;

use super::in_postgres::{Databases, InPostgres, settings};
use super::{BOOT, Group, group, report};
use farol_monitor::store::{PostgresStore, Store, StoreError};
use farol_tests::stack::SOON;
use farol_tests::wait::until;

/// The next reports of agent 1: one group after another, each with some.
struct Issued {
    /// The last number that was given.
    last: u64,
}

impl Issued {
    fn new() -> Self {
        Self { last: 0 }
    }

    /// Three reports; the first of all is a key report.
    fn group(&mut self) -> Group {
        let reports = (self.last + 1..=self.last + 3).map(|seq| report(1, BOOT, seq, seq as i64, seq == 1));
        self.last += 3;
        Group { reports: reports.collect(), ..Group::default() }
    }

    /// What must be there when all of them were committed.
    fn all(&self) -> Vec<u64> {
        (1..=self.last).collect()
    }
}

/// A store that knows its agent.
async fn prepared(place: &InPostgres<'_>) -> PostgresStore {
    let store = place.store().await;
    store.commit(&group(Vec::new())).await.unwrap();
    store
}

/// Hands a group in until the store takes it, as the journal does.
async fn takes(store: &dyn Store, group: &Group) {
    until("the store takes", SOON, async || match store.commit(group).await {
        Ok(()) => true,
        Err(StoreError::Refused(_)) => false,
        Err(other) => panic!("{other}"),
    })
    .await
    .unwrap();
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn fatal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Fatal(why)) => why,
        other => panic!("not fatal: {other:?}"),
    }
}
