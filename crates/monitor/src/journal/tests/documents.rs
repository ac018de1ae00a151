//! Documents on their way: the last word, what is told of their commits, and bounds.

use super::{Bench, refused, report};
use crate::journal::Documents;
use crate::journal::documents::DOCUMENT_BYTES_AT_MOST;
use crate::store::DocumentKind::{self, Conversation, Element, IncidentEntry, Notice};
use crate::store::{Document, DocumentChange, StoreError};
use std::time::Duration;
use tokio::time::Instant;

fn document(kind: DocumentKind, key: &str, body: &str) -> Document {
    Document { kind, key: key.into(), at_ms: 1, body: body.to_owned().into() }
}

fn put(kind: DocumentKind, key: &str, body: &str) -> DocumentChange {
    DocumentChange::Put(document(kind, key, body))
}

fn delete(kind: DocumentKind, key: &str) -> DocumentChange {
    DocumentChange::Delete { kind, key: key.into() }
}

/// A mebibyte, nearly.
fn large(kind: DocumentKind, key: &str) -> DocumentChange {
    put(kind, key, &"x".repeat((1 << 20) - 1_000))
}

/// So many of these there is room for.
const ROOM: u64 = (DOCUMENT_BYTES_AT_MOST >> 20) as u64;

/// What each group with documents had.
fn groups(bench: &Bench) -> Vec<Vec<DocumentChange>> {
    let groups = bench.store.groups.lock();
    groups.iter().map(|(_, group)| group.documents.clone()).filter(|all| !all.is_empty()).collect()
}

fn keys(changes: &[DocumentChange]) -> Vec<&str> {
    changes.iter().map(|change| &**change.place().1).collect()
}

#[tokio::test(start_paused = true)]
async fn documents_close_the_group_at_once_and_who_waits_is_told_of_the_commit() {
    let bench = Bench::new([]);
    let mut told = bench.journal.committed_documents();
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(50).await;
    *bench.store.takes.lock() = Duration::from_millis(30);
    assert_eq!(bench.journal.documents(vec![put(Element, "a", "1"), put(Conversation, "c", "1")]), 1);
    assert_eq!(bench.journal.documents(Vec::new()), 1, "nothing was handed in");
    bench.pass(10).await;
    assert_eq!(bench.store.times(), [50], "not a fifth of a second after the report");
    assert_eq!(bench.journal.documents(vec![delete(Element, "a")]), 2);
    assert_eq!(bench.journal.health().queued_documents, 1);
    assert!(!told.has_changed().unwrap());
    told.changed().await.unwrap();
    let now = *told.borrow_and_update();
    assert_eq!((now.committed, now.lost, now.refusing), (1, 0, false), "the second is still on its way");
    assert!(now.holds(1) && !now.holds(2));
    told.changed().await.unwrap();
    assert!(told.borrow_and_update().holds(2));
    let expected = [vec![put(Element, "a", "1"), put(Conversation, "c", "1")], vec![delete(Element, "a")]];
    assert_eq!(groups(&bench), expected);
    assert_eq!(bench.store.seqs()[0], [1], "reports that wait go with them");
    // Groups without documents wake nobody.
    bench.journal.report(&follower, report(2, 10), true);
    bench.pass(1_000).await;
    assert!(!told.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_last_word_on_a_document_waits_and_a_refused_one_takes_no_newer_ones_place() {
    let bench = Bench::new([refused(), refused()]);
    *bench.store.takes.lock() = Duration::from_millis(30);
    let first = ["kept", "changed", "deleted", "again"].map(|key| put(Element, key, "old"));
    bench.journal.documents([first.to_vec(), vec![delete(Element, "back")]].concat());
    bench.pass(10).await;
    // While the first group is on its way.
    bench.journal.documents(vec![put(Element, "changed", "between"), put(Notice, "kept", "other kind")]);
    bench.journal.documents(vec![delete(Element, "deleted"), put(Element, "changed", "new")]);
    bench.pass(500).await;
    // While it refuses.
    bench.journal.documents(vec![put(Element, "again", "new"), put(Element, "back", "new")]);
    bench.pass(5_000).await;
    let all = groups(&bench);
    assert_eq!(all.len(), 3);
    let mut last = all[2].clone();
    last.sort_by_key(|change| (change.place().0, change.place().1.clone()));
    let expected = [
        put(Element, "again", "new"),
        put(Element, "back", "new"),
        put(Element, "changed", "new"),
        delete(Element, "deleted"),
        put(Element, "kept", "old"),
        put(Notice, "kept", "other kind"),
    ];
    assert_eq!(last, expected);
    assert!(bench.journal.committed_documents().borrow().holds(4));
    let health = bench.journal.health();
    assert_eq!((health.queued_documents, health.dropped_documents), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_of_a_refusal_at_once_and_of_its_end() {
    let bench = Bench::new([refused()]);
    let mut told = bench.journal.committed_documents();
    let number = bench.journal.documents(vec![put(Notice, "n", "due")]);
    let began = Instant::now();
    told.changed().await.unwrap();
    let now = *told.borrow_and_update();
    assert!(now.refusing && !now.holds(number) && began.elapsed() < Duration::from_millis(50));
    told.changed().await.unwrap();
    let now = *told.borrow_and_update();
    assert!(!now.refusing && now.holds(number));
    // A store without documents that refuses is told too.
    bench.store.answers.lock().push_back(refused());
    bench.journal.blind(1, 2);
    told.changed().await.unwrap();
    assert!(told.borrow_and_update().refusing);
    bench.pass(60_000).await;
    assert_eq!(*told.borrow(), now);
    bench.store.answers.lock().push_back(StoreError::Fatal("gone".to_owned()));
    bench.journal.documents(vec![put(Notice, "m", "due")]);
    bench.pass(100).await;
    let end = *told.borrow_and_update();
    assert!(end.refusing && !end.holds(number + 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_wakes_nobody_and_who_looks_sees_since_when() {
    let bench = Bench::new([]);
    let told = bench.journal.committed_documents();
    *bench.store.takes.lock() = Duration::from_secs(9);
    let began = Instant::now();
    bench.journal.documents(vec![put(Notice, "n", "due")]);
    bench.pass(5_000).await;
    assert!(!told.has_changed().unwrap());
    let now = *told.borrow();
    assert!(now.busy_since.is_some_and(|since| since < began + Duration::from_millis(50)), "{now:?}");
    bench.pass(5_000).await;
    assert_eq!(*told.borrow(), Documents { committed: 1, ..Documents::default() });
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_the_end_is_committed() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_millis(30);
    bench.journal.documents(vec![put(Element, "a", "1")]);
    bench.pass(10).await;
    bench.journal.documents(vec![put(Element, "b", "1")]);
    let store = std::sync::Arc::clone(&bench.store);
    bench.end().await.unwrap();
    let all: Vec<usize> = store.groups.lock().iter().map(|(_, group)| group.documents.len()).collect();
    assert_eq!(all, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn without_room_what_may_be_missed_goes_oldest_first_and_never_what_still_goes_on() {
    let bench = Bench::new([refused(), refused()]);
    bench.journal.documents(vec![put(Element, "first", "x")]);
    bench.pass(100).await;
    let spare = |key| DocumentChange::PutSpare(document(Notice, key, &"x".repeat((1 << 20) - 1_000)));
    bench.journal.documents(vec![large(IncidentEntry, "spare 1"), large(Conversation, "c")]);
    bench.journal.documents(vec![large(IncidentEntry, "spare 2"), large(Notice, "sent"), spare("sent")]);
    let filling: Vec<String> = (0..ROOM - 4).map(|n| format!("e{n}")).collect();
    for key in &filling {
        bench.journal.documents(vec![large(Element, key)]);
    }
    assert_eq!(bench.journal.health().dropped_documents, 0, "they fit");
    for dropped in 1..=3 {
        let number = bench.journal.documents(vec![large(Element, &format!("more {dropped}"))]);
        assert_eq!(bench.journal.health().dropped_documents, dropped);
        assert_eq!(bench.journal.0.state.lock().queue.documents.lost, number);
    }
    // Nothing else may go: it is the new one that does, and the word before stays.
    let small = put(Element, "small", &"s".repeat(100_000));
    bench.journal.documents(vec![large(Element, "one too many"), large(IncidentEntry, "and one"), small]);
    let number = bench.journal.documents(vec![put(Element, "c", "y"), put(Element, "small", "z")]);
    assert_eq!(bench.journal.health().dropped_documents, 6);
    // A word of the same size, a smaller one and a deletion always fit in their places.
    bench.journal.documents(vec![
        large(Element, "e0"),
        put(Element, "e1", "now small"),
        delete(Element, "e2"),
    ]);
    let sure = bench.journal.documents(vec![large(Element, "fits again")]);
    bench.pass(5_000).await;
    let last = groups(&bench).pop().unwrap();
    let found = keys(&last);
    for key in ["first", "c", "e0", "e1", "e2", "e27", "more 1", "more 3", "small", "fits again"] {
        assert!(found.contains(&key), "{key} is not in {found:?}");
    }
    for key in ["spare 1", "spare 2", "sent", "one too many", "and one"] {
        assert!(!found.contains(&key), "{key} is in {found:?}");
    }
    assert_eq!(bench.journal.health().dropped_documents, 6);
    let told = *bench.journal.committed_documents().borrow();
    assert_eq!((told.committed, told.lost), (sure, number - 1));
    assert!(
        told.holds(sure) && !told.holds(number - 1),
        "it was dropped, and nobody is told that it is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn of_those_that_may_be_missed_the_oldest_goes_alone_when_that_is_enough() {
    let bench = Bench::new([refused(), refused()]);
    bench.journal.blind(1, 2);
    bench.pass(300).await;
    bench.journal.documents(vec![large(IncidentEntry, "older"), large(IncidentEntry, "younger")]);
    bench.journal.documents((2..=ROOM).map(|n| large(Element, &n.to_string())).collect());
    bench.pass(5_000).await;
    let last = groups(&bench).pop().unwrap();
    assert_eq!((last.len() as u64, keys(&last)[0]), (ROOM, "younger"));
    assert_eq!(bench.journal.health().dropped_documents, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_finds_room_before_what_came_since() {
    let bench = Bench::new([refused(), refused()]);
    *bench.store.takes.lock() = Duration::from_secs(1);
    let all = |name: &str| (0..ROOM).map(|n| large(Element, &format!("{name}{n}"))).collect::<Vec<_>>();
    bench.journal.documents(all("old"));
    bench.pass(10).await;
    bench.journal.documents(all("new"));
    bench.journal.documents(vec![large(Element, "old3")]);
    // The last of these found no room already.
    assert_eq!(bench.journal.health().dropped_documents, 1);
    bench.pass(1_000).await;
    assert_eq!(bench.journal.health().dropped_documents, 1 + ROOM);
    bench.pass(9_000).await;
    let last = groups(&bench).pop().unwrap();
    assert_eq!(last.len() as u64, ROOM);
    assert!(keys(&last).iter().all(|key| key.starts_with("old")), "{:?}", keys(&last));
    let told = *bench.journal.committed_documents().borrow();
    assert_eq!((told.committed, told.lost), (3, 3), "of none of them it is said that it is kept");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_too_long_is_dropped_and_counted() {
    let bench = Bench::new([]);
    let (fits, long) = ("k".repeat(1_024), "k".repeat(1_025));
    let number = bench.journal.documents(vec![put(Element, &fits, ""), put(Element, &long, "")]);
    let larger = put(Element, "large", &"x".repeat(DOCUMENT_BYTES_AT_MOST));
    bench.journal.documents(vec![larger]);
    bench.pass(100).await;
    assert_eq!(keys(&groups(&bench).concat()), [&fits]);
    assert_eq!(bench.journal.health().dropped_documents, 2);
    assert!(!bench.journal.committed_documents().borrow().holds(number));
}
