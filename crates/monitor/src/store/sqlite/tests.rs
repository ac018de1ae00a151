//! What only this store can show: its file, its modes, its refusals. What every store must do is in the system tests.

use super::{Durability, Settings, SqliteStore};
use crate::store::{
    AgentKey, AgentRecord, BlockRecord, Group, Layout, LayoutKey, ReportRecord, Store, StoreError,
    StoredReport,
};
use farol_wire::{Boot, Definition, Role};
use sqlx::Executor;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const BOOT: Boot = Boot { number: u64::MAX, nonce: 1 << 63 };

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/farol.db");
    (dir, path)
}

async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(Settings { path: path.to_owned(), durability: Durability::Normal }).await
}

fn report(seq: u64, bytes: usize) -> ReportRecord {
    ReportRecord {
        agent: AgentKey(1),
        boot: BOOT,
        seq,
        layout: LayoutKey(1),
        at_ms: 1_000 * seq as i64,
        key: seq == 1,
        blocks: vec![BlockRecord { source: 1, before_ms: 0, data: vec![7; bytes].into() }],
    }
}

fn group(reports: Vec<ReportRecord>) -> Group {
    Group {
        agents: vec![AgentRecord {
            key: AgentKey(1),
            id: "one".into(),
            role: Role::Host,
            labels: Arc::default(),
            version: "1".into(),
            interval_ms: 10_000,
            last_seen_ms: 5,
            boot: BOOT,
        }],
        layouts: vec![Arc::new(Layout { key: LayoutKey(1), set: Definition::default() })],
        reports,
        ..Group::default()
    }
}

async fn seqs(store: &SqliteStore) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut visit = |stored: StoredReport| {
        seen.push(stored.report.seq);
        ControlFlow::Continue(())
    };
    store.reports(&[AgentKey(1)], i64::MIN, i64::MAX, &mut visit).await.unwrap();
    seen
}

fn fatal(result: Result<SqliteStore, StoreError>) -> String {
    match result {
        Err(StoreError::Fatal(why)) => why,
        other => panic!("not fatal: {other:?}"),
    }
}

#[tokio::test]
async fn the_directory_and_the_files_are_for_their_owner_alone() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    store.commit(&group(vec![report(1, 10)])).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for name in ["farol.db", "farol.db-wal", "farol.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    store.close().await.unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _again = open(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn closing_leaves_one_file_that_opens_again_as_the_same_store() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    let id = store.id();
    store.commit(&group(vec![report(1, 10), report(2, 10)])).await.unwrap();
    store.close().await.unwrap();
    assert!(!path.with_file_name("farol.db-wal").exists());
    let refused = store.commit(&Group::default()).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let again = open(&path).await.unwrap();
    assert_eq!(again.id(), id);
    assert_eq!(seqs(&again).await, [1, 2]);
    assert_eq!(again.restore().await.unwrap().marks, [(AgentKey(1), BOOT, 2)]);
}

#[tokio::test]
async fn a_full_disk_refuses_whole_groups_and_takes_again_when_there_is_room() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    store.commit(&group(vec![report(1, 10)])).await.unwrap();
    limit_pages(&store, "PRAGMA max_page_count = 60").await;
    for _ in 0..3 {
        let refused = store.commit(&group(vec![report(2, 1 << 20)])).await;
        let Err(StoreError::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("is full"), "{why}");
    }
    assert_eq!(seqs(&store).await, [1]);
    store.commit(&group(vec![report(2, 10)])).await.unwrap();
    limit_pages(&store, "PRAGMA max_page_count = 1000000").await;
    store.commit(&group(vec![report(3, 1 << 20)])).await.unwrap();
    assert_eq!(seqs(&store).await, [1, 2, 3]);
}

async fn limit_pages(store: &SqliteStore, pragma: &'static str) {
    let mut writer = store.writer.lock().await;
    writer.as_mut().unwrap().connection.execute(pragma).await.unwrap();
}
