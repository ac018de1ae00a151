//! Documents: what alerting keeps is there after every restart as it was told last, in pages of the newest first, and
//! goes when it is too old or is deleted.

use super::{Case, Group, Place};
use farol_monitor::store::DocumentKind::{
    Action, Breaker, Conversation, Due, Element, Incident, IncidentEntry, Notice, Silence,
};
use farol_monitor::store::{
    DAY_MS, DOCUMENTS_AT_MOST, Document, DocumentChange, DocumentKind, DocumentPage, Retention, Store,
};
use farol_tests::dice::Dice;
use futures::FutureExt;

pub(super) const CASES: &[Case] = &[
    ("documents are found again as they were told last", |place| last_word(place).boxed()),
    ("any text is a key, and any bytes are a body", |place| any_bytes(place).boxed()),
    ("documents come in pages, newest first", |place| pages(place).boxed()),
    ("a group may hold very many documents", |place| many(place).boxed()),
    ("documents go at their kind's age, and no other way but deleted", |place| ages(place).boxed()),
    ("nothing of documents goes while the clock is not trusted", |place| untrusted(place).boxed()),
    ("documents are measured", |place| measured(place).boxed()),
];

pub(super) fn document(kind: DocumentKind, key: &str, at_ms: i64, body: &str) -> Document {
    Document { kind, key: key.into(), at_ms, body: body.to_owned().into() }
}

fn put(kind: DocumentKind, key: &str, at_ms: i64, body: &str) -> DocumentChange {
    DocumentChange::Put(document(kind, key, at_ms, body))
}

fn delete(kind: DocumentKind, key: &str) -> DocumentChange {
    DocumentChange::Delete { kind, key: key.into() }
}

pub(super) async fn commit(store: &dyn Store, documents: Vec<DocumentChange>) {
    store.commit(&Group { documents, ..Group::default() }).await.unwrap();
}

/// All of a kind, newest first.
pub(super) async fn all(store: &dyn Store, kind: DocumentKind) -> Vec<Document> {
    store.documents(kind, DocumentPage::default()).await.unwrap()
}

async fn last_word(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.restore().await.unwrap().documents, []);
    let first = vec![
        put(Element, "cpu/one", 5, "pending"),
        put(Element, "cpu/two", 5, "firing"),
        put(Silence, "cpu/one", 5, "the same key of another kind"),
        put(Notice, "n1", 6, "due"),
        put(IncidentEntry, "i1/1", 6, "began"),
        // Of several in one group the last counts.
        put(Conversation, "c1", 7, "old"),
        put(Conversation, "c2", 7, "gone"),
        delete(Conversation, "c3"),
        put(Conversation, "c1", 8, "new"),
        delete(Conversation, "c2"),
        put(Conversation, "c3", 9, "back"),
    ];
    commit(&*store, first).await;
    let second = vec![
        put(Element, "cpu/one", 4, "firing since before"),
        delete(Element, "cpu/two"),
        delete(Element, "never"),
        DocumentChange::PutSpare(document(Notice, "n1", 6, "sent")),
    ];
    commit(&*store, second).await;
    let expected = [
        document(Element, "cpu/one", 4, "firing since before"),
        document(Conversation, "c1", 8, "new"),
        document(Conversation, "c3", 9, "back"),
        document(Silence, "cpu/one", 5, "the same key of another kind"),
    ];
    for again in 0..3 {
        // While it is open, as `kill -9` leaves it, and after it was closed.
        let store = if again == 0 { store.clone() } else { place.open().await };
        let mut found = store.restore().await.unwrap().documents;
        found.sort_by_key(|document| (document.kind, document.key.clone()));
        assert_eq!(found, expected, "a start is given those that are kept until they are deleted");
        assert_eq!(all(&*store, Notice).await, [document(Notice, "n1", 6, "sent")]);
        assert_eq!(all(&*store, IncidentEntry).await, [document(IncidentEntry, "i1/1", 6, "began")]);
        assert_eq!(all(&*store, Element).await, expected[..1]);
        if again == 1 {
            store.close().await.unwrap();
        }
    }
}

async fn any_bytes(place: &dyn Place) {
    let store = place.open().await;
    let long = "k".repeat(1_024);
    let keys = ["", "\0", "a\0b", "it's \"1\" \\x00", "ü/\u{10ffff}", "%_*?", long.as_str()];
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let documents: Vec<Document> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| Document {
            body: body[..n * 10_000].to_vec().into(),
            ..document(Element, key, 0, "")
        })
        .collect();
    commit(&*store, documents.iter().cloned().map(DocumentChange::Put).collect()).await;
    let mut found = place.open().await.restore().await.unwrap().documents;
    found.sort_by_key(|document| document.body.len());
    assert_eq!(found, documents);
    for expected in &documents {
        let page = DocumentPage { prefix: Some(expected.key.clone()), ..DocumentPage::default() };
        let found = place.open().await.documents(Element, page).await.unwrap();
        let begin_so = documents.iter().filter(|other| other.key.starts_with(&*expected.key));
        assert_eq!(found.len(), begin_so.count(), "{:?}", expected.key);
        assert!(found.contains(expected));
    }
    let store = place.open().await;
    commit(&*store, keys.iter().map(|key| delete(Element, key)).collect()).await;
    assert_eq!(all(&*store, Element).await, []);
}

/// Every page of a question, one after another.
async fn walk(store: &dyn Store, kind: DocumentKind, mut page: DocumentPage) -> Vec<Document> {
    let mut seen: Vec<Document> = Vec::new();
    loop {
        let found = store.documents(kind, page.clone()).await.unwrap();
        assert!(found.len() <= page.limit);
        let Some(last) = found.last() else { return seen };
        page.after = Some((last.at_ms, last.key.clone()));
        seen.extend(found);
    }
}

async fn pages(place: &dyn Place) {
    let store = place.open().await;
    let dice = &mut Dice::new(7);
    let mut documents: Vec<Document> = (0..300)
        .map(|n| {
            let key = format!("{}/{n}", dice.one_of(&["a", "b", "b/c", "ü"]));
            document(IncidentEntry, &key, dice.within(0..40) as i64 - 20, &n.to_string())
        })
        .collect();
    let others = (0..50).map(|n| put(Action, &format!("a/{n}"), n - 20, ""));
    commit(&*store, documents.iter().cloned().map(DocumentChange::Put).chain(others).collect()).await;
    documents.sort_by(|a, b| (b.at_ms, &b.key).cmp(&(a.at_ms, &a.key)));
    let mut asked = 0;
    for (from_ms, to_ms) in [(i64::MIN, i64::MAX), (-20, 19), (-5, 5), (3, 3), (5, -5), (20, i64::MAX)] {
        for prefix in [None, Some(""), Some("a/"), Some("b"), Some("ü/"), Some("none")] {
            let expected: Vec<&Document> = documents
                .iter()
                .filter(|d| (from_ms..=to_ms).contains(&d.at_ms))
                .filter(|d| prefix.is_none_or(|prefix| d.key.starts_with(prefix)))
                .collect();
            for limit in [1, 7, 1_000] {
                if limit == 1 && expected.len() > 50 {
                    continue;
                }
                let prefix = prefix.map(Into::into);
                let page = DocumentPage { from_ms, to_ms, prefix, after: None, limit };
                let found = walk(&*store, IncidentEntry, page.clone()).await;
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{page:?}");
                asked += 1;
            }
        }
    }
    assert!(asked > 80, "{asked}");
    // A page goes on where the one before ended although that document is gone, or was never in this time.
    let after = Some((1_000, "z".into()));
    let page = DocumentPage { to_ms: 5, after, limit: 3, ..DocumentPage::default() };
    let expected: Vec<_> = documents.iter().filter(|d| d.at_ms <= 5).take(3).cloned().collect();
    assert_eq!(store.documents(IncidentEntry, page).await.unwrap(), expected);
    let none = DocumentPage { limit: 0, ..DocumentPage::default() };
    assert_eq!(store.documents(IncidentEntry, none).await.unwrap(), []);
}

async fn many(place: &dyn Place) {
    let store = place.open().await;
    let count = DOCUMENTS_AT_MOST as i64 + 2_345;
    let body = "x".repeat(700);
    let all_of = |at_ms| (0..count).map(move |n| (n, at_ms));
    let changes = all_of(1).chain(all_of(2)).map(|(n, at_ms)| put(Element, &n.to_string(), at_ms, &body));
    commit(&*store, changes.collect()).await;
    commit(&*store, vec![put(Notice, "large", 1, &"y".repeat(20 << 20))]).await;
    let found = place.open().await.restore().await.unwrap().documents;
    assert_eq!(found.len() as i64, count);
    assert!(found.iter().all(|document| document.at_ms == 2 && document.body.len() == 700));
    let store = place.open().await;
    let page = DocumentPage { limit: usize::MAX, ..DocumentPage::default() };
    assert_eq!(
        store.documents(Element, page).await.unwrap().len(),
        DOCUMENTS_AT_MOST + 1,
        "one says that there are more"
    );
    assert_eq!(all(&*store, Notice).await[0].body.len(), 20 << 20);
    commit(&*store, (1..count).map(|n| delete(Element, &n.to_string())).collect()).await;
    assert_eq!(all(&*store, Element).await.len(), 1);
}

async fn tidy(store: &dyn Store, now_ms: i64, retention: &Retention) -> usize {
    for step in 1..10_000 {
        if !store.tidy(now_ms, retention).await.unwrap().more {
            return step;
        }
    }
    panic!("the upkeep does not come to an end");
}

const NOW_MS: i64 = 2_000_000_000_000;

/// For each kind one that is as old as it may be, and 1 500 that are a bit older.
fn of_all_ages() -> Vec<DocumentChange> {
    let aged = DocumentKind::ALL.into_iter().flat_map(|kind| {
        let limit_ms = NOW_MS - kind.kept_ms().unwrap_or(4_000 * DAY_MS);
        let older = (1..=1_500).map(move |n| put(kind, &format!("old {n}"), limit_ms - n, "{}"));
        older.chain([put(kind, "just not", limit_ms, "{}"), put(kind, "ahead", NOW_MS + DAY_MS, "{}")])
    });
    aged.collect()
}

async fn ages(place: &dyn Place) {
    let ages = [(Notice, 30), (Incident, 400), (IncidentEntry, 400), (Action, 400)];
    let store = place.open().await;
    commit(&*store, of_all_ages()).await;
    tidy(&*store, NOW_MS, &Retention::default()).await;
    for kind in DocumentKind::ALL {
        let known = ages.iter().find(|(aged, _)| *aged == kind).map(|(_, days)| days * DAY_MS);
        assert_eq!(kind.kept_ms(), known, "{kind:?}");
        let found = all(&*store, kind).await;
        if known.is_some() {
            let keys: Vec<&str> = found.iter().map(|document| &*document.key).collect();
            assert_eq!(keys, ["ahead", "just not"], "{kind:?}");
        } else {
            assert_eq!(found.len(), 1_502, "{kind:?} is kept until it is deleted");
        }
    }
    let restored = place.open().await.restore().await.unwrap().documents;
    let until_deleted = DocumentKind::ALL.iter().filter(|kind| kind.kept_ms().is_none()).count();
    assert_eq!(restored.len(), until_deleted * 1_502);
    assert!(restored.iter().any(|d| d.kind == Breaker) && restored.iter().any(|d| d.kind == Due));
}

async fn untrusted(place: &dyn Place) {
    let store = place.open().await;
    commit(&*store, of_all_ages()).await;
    let retention = Retention { budget: Retention::default().budget, ..Retention::FOR_EVER };
    tidy(&*store, NOW_MS, &retention).await;
    for kind in DocumentKind::ALL {
        assert_eq!(all(&*store, kind).await.len(), 1_502, "{kind:?}");
    }
}

async fn measured(place: &dyn Place) {
    let store = place.open().await;
    let documents = async |now_ms| {
        tidy(&*store, now_ms, &Retention::default()).await;
        let sizes = store.sizes();
        assert!(sizes.total() >= sizes.documents);
        sizes.documents
    };
    let (one, two) = (put(Element, "one", 1, "12345"), put(Element, "two", 1, ""));
    commit(&*store, vec![one, two.clone(), put(Element, "three", 1, "1")]).await;
    assert_eq!(documents(NOW_MS).await, 3 * 64 + 11 + 6);
    commit(&*store, vec![put(Element, "one", 2, "1234567"), two, put(Element, "four", 1, "")]).await;
    assert_eq!(documents(NOW_MS + 1_000_000).await, 4 * 64 + 15 + 8);
    commit(&*store, vec![delete(Element, "one"), delete(Element, "never")]).await;
    assert_eq!(documents(NOW_MS + 2_000_000).await, 3 * 64 + 12 + 1);
}
