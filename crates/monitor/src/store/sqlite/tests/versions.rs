//! Files of other versions of this program.

use super::{AgentKey, BOOT, fatal, group, open, place, report, seqs};
use crate::store::{Document, DocumentChange, DocumentKind, Group, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let (_dir, path) = place();
    open(&path).await.unwrap().close().await.unwrap();
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    raw.execute("PRAGMA user_version = 99").await.unwrap();
    raw.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let why = fatal(open(&path).await);
    assert!(why.contains("version 99") && why.contains("newer Farol"), "{why}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// What the later migrations add, taken away again.
const AS_BEFORE_MUTED: &str = "
ALTER TABLE status_changes DROP COLUMN muted;
PRAGMA user_version = 4";
const AS_BEFORE_DOCUMENTS: &str = "
ALTER TABLE status_changes DROP COLUMN muted;
DROP TABLE documents; ALTER TABLE store DROP COLUMN document_bytes;
PRAGMA user_version = 3";
const AS_BEFORE_BLOCKS: &str = "
ALTER TABLE status_changes DROP COLUMN muted;
DROP TABLE documents; ALTER TABLE store DROP COLUMN document_bytes;
DROP TABLE blocks; DROP TABLE block_bodies;
ALTER TABLE boots DROP COLUMN sealed_seq; ALTER TABLE boots DROP COLUMN sealed_ms;
ALTER TABLE store DROP COLUMN raw_cut_ms; ALTER TABLE store DROP COLUMN five_minutes_cut_ms;
ALTER TABLE store DROP COLUMN one_hour_cut_ms;
ALTER TABLE store DROP COLUMN raw_bytes; ALTER TABLE store DROP COLUMN five_minutes_bytes;
ALTER TABLE store DROP COLUMN one_hour_bytes;
PRAGMA user_version = 1";

#[tokio::test]
async fn a_store_of_an_older_program_opens_with_all_that_it_has_and_takes_what_is_new() {
    for older in [AS_BEFORE_BLOCKS, AS_BEFORE_DOCUMENTS, AS_BEFORE_MUTED] {
        let (_dir, path) = place();
        let store = open(&path).await.unwrap();
        store.commit(&group(vec![report(1, 10), report(2, 10)])).await.unwrap();
        store.close().await.unwrap();
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        connection.execute(older).await.unwrap();
        connection.close().await.unwrap();
        let store = open(&path).await.unwrap();
        assert_eq!(seqs(&store).await, [1, 2]);
        let restored = store.restore().await.unwrap();
        assert_eq!((restored.marks, restored.sealed.len()), (vec![(AgentKey(1), BOOT, 2)], 0));
        assert_eq!(restored.documents, []);
        let kind = DocumentKind::Element;
        let document = Document { kind, key: "a".into(), at_ms: 1, body: "{}".into() };
        let documents = vec![DocumentChange::Put(document.clone())];
        store.commit(&Group { documents, ..group(vec![report(3, 10)]) }).await.unwrap();
        store.close().await.unwrap();
        let store = open(&path).await.unwrap();
        assert_eq!(seqs(&store).await, [1, 2, 3]);
        assert_eq!(store.restore().await.unwrap().documents, [document]);
    }
}
