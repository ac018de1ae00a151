//! The whole way from a push to its record, on a journal over a double of a store and with receivers that do what a test
//! says. Time is paused: what is waited for is exact.

mod crashes;
mod desk;
mod healing;
mod records;
mod reloads;
mod speed;
mod store;
mod telling;

use super::{Dispatcher, LaneStats, ResendError};
use crate::journal;
use crate::notify::message::tests::message;
use crate::notify::{Message, Receiver, Why};
use crate::store::{DocumentKind, Restored, Store, StoreError};
use desk::{Answer, Desk, Told};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::Shelf;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A process: ends as by a crash when it is dropped.
struct Process {
    shelf: Arc<Shelf>,
    told: Arc<Told>,
    dispatcher: Dispatcher,
    journal: journal::Journal,
    end: CancellationToken,
    sending: JoinSet<()>,
    _writer: JoinSet<Result<(), StoreError>>,
    pushed: Mutex<u64>,
}

impl Process {
    fn start(shelf: Shelf, desks: &[(&str, &Arc<Desk>)]) -> Self {
        let shelf = Arc::new(shelf);
        let (journal, writer) = journal::open(Arc::clone(&shelf) as Arc<dyn Store>, &Restored::default());
        let told = Arc::new(Told::default());
        let dispatcher = Dispatcher::new(
            journal.clone(),
            Arc::clone(&shelf) as Arc<dyn Store>,
            Arc::clone(&told) as Arc<_>,
        );
        dispatcher.set_receivers(receivers(desks));
        dispatcher.restore(shelf.of(DocumentKind::Due));
        let (mut sending, mut writing) = (JoinSet::new(), JoinSet::new());
        writing.spawn(writer.run(CancellationToken::new()));
        let (inner, end) = (Arc::clone(&dispatcher.0), CancellationToken::new());
        let ended = end.clone();
        sending.spawn(async move { inner.send_until(ended).await });
        Self { shelf, told, dispatcher, journal, end, sending, _writer: writing, pushed: Mutex::new(0) }
    }

    fn send(&self, message: Message) {
        let due = self.dispatcher.due(message);
        let number = self.journal.documents(vec![due.put()]);
        self.dispatcher.push(due, number);
    }

    /// Sends one of a conversation; ids count up.
    fn tell(&self, receiver: &str, conversation: &str) {
        let id = {
            let mut pushed = self.pushed.lock();
            *pushed += 1;
            format!("{conversation}{pushed}")
        };
        self.send(message(receiver, conversation, &id));
    }

    async fn resend(&self, id: &str) -> Result<String, ResendError> {
        let dead = self.dispatcher.dead_one(id).await?;
        self.dispatcher.resend(dead, |_| true)
    }

    fn stats(&self, receiver: &str) -> LaneStats {
        self.dispatcher.stats().remove(receiver).unwrap_or_default()
    }

    fn records(&self) -> Vec<String> {
        self.shelf.of(DocumentKind::Notice).iter().map(|document| document.key.to_string()).collect()
    }

    /// What the next process finds.
    fn crash(self) -> Shelf {
        self.shelf.reopened()
    }
}

fn receivers(desks: &[(&str, &Arc<Desk>)]) -> BTreeMap<Arc<str>, Arc<dyn Receiver>> {
    let named = |(name, desk): &(&str, &Arc<Desk>)| ((*name).into(), Arc::clone(desk) as Arc<dyn Receiver>);
    desks.iter().map(named).collect()
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The ids of a conversation, in the order in which they came.
fn of(ids: &[String], conversation: &str) -> Vec<String> {
    ids.iter().filter(|id| id.starts_with(conversation)).cloned().collect()
}
