//! How soon a receiver is called, on a store on disk.

use super::*;
use crate::config;
use crate::store::Durability;
use tokio::time::{Instant, timeout};

/// Trials, and how long half of them may take: far less than a group commit's fifth of a second, or any tick.
const TRIALS: usize = 60;
const HALF_WITHIN: Duration = Duration::from_millis(30);

#[tokio::test]
async fn a_receiver_is_called_as_soon_as_the_disk_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let settings = config::Store::Sqlite { path: "farol.db".into(), durability: Durability::Normal };
    let store = crate::store::open(&settings, dir.path()).await.unwrap();
    let (journal, writer) = journal::open(Arc::clone(&store), &store.restore().await.unwrap());
    let (ops, told) = (Desk::new(Answer::Take), Arc::new(Told::default()));
    let dispatcher = Dispatcher::new(journal.clone(), store, told);
    dispatcher.set_receivers(receivers(&[("ops", &ops)]));
    let (cleaning, end) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks: JoinSet<()> = JoinSet::new();
    let (inner, ends) = (Arc::clone(&dispatcher.0), end.clone());
    tasks.spawn(async move { inner.send_until(ends).await });
    let mut writing = JoinSet::new();
    writing.spawn(writer.run(cleaning.clone()));
    let mut took = Vec::with_capacity(TRIALS);
    for n in 0..TRIALS {
        let began = Instant::now();
        let due = dispatcher.due(message("ops", "c", &n.to_string()));
        let number = journal.documents(vec![due.put()]);
        dispatcher.push(due, number);
        let called = async {
            while ops.tried.lock().len() <= n {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), called).await.unwrap();
        took.push(began.elapsed());
        let taken = async {
            while dispatcher.stats()["ops"].waiting > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), taken).await.unwrap();
    }
    took.sort_unstable();
    let half = took[TRIALS / 2];
    println!("from the push to the call: half within {half:?}, the slowest {:?}", took[TRIALS - 1]);
    assert!(half < HALF_WITHIN, "{took:?}");
    assert!(ops.taken.lock().iter().all(|got| !got.unrecorded));
    end.cancel();
    cleaning.cancel();
    writing.join_next().await.unwrap().unwrap().unwrap();
}
