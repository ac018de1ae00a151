//! What only this store can show: its file, its modes, its refusals. What every store must do is in the system tests.

mod sealing;
mod versions;

use super::fault::judge_code;
use super::{Settings, SqliteStore};
use crate::store::database::remember;
use crate::store::{
    AgentKey, AgentRecord, BlockRecord, Durability, Group, Layout, LayoutKey, ReportRecord, Retention, Store,
    StoreError, StoredReport,
};
use farol_wire::{Boot, Definition, Role};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
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

#[tokio::test]
async fn a_locked_file_refuses_and_takes_again() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let Err(StoreError::Refused(why)) = store.commit(&group(vec![report(1, 10)])).await else { panic!() };
    assert!(why.contains("locked by another process"), "{why}");
    other.execute("ROLLBACK").await.unwrap();
    store.commit(&group(vec![report(1, 10)])).await.unwrap();
    assert_eq!(seqs(&store).await, [1]);
}

#[tokio::test]
async fn a_commit_that_was_given_up_half_way_leaves_nothing_and_stops_nothing() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    store.commit(&group(vec![report(1, 10)])).await.unwrap();
    let mut given_up = 0;
    for polls in 1..12 {
        // Large enough that no disk takes it within one poll.
        let large = group(vec![report(2, 16_000_000)]);
        let mut commit = store.commit(&large);
        let mut done = false;
        for _ in 0..polls {
            done |= futures::poll!(&mut commit).is_ready();
            if done {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_micros(200)).await;
        }
        drop(commit);
        given_up += u32::from(!done);
    }
    assert!(given_up > 0, "no commit was given up");
    store.commit(&group(vec![report(3, 10)])).await.unwrap();
    let seen = seqs(&store).await;
    assert!(seen == [1, 3] || seen == [1, 2, 3], "{seen:?}");
    store.close().await.unwrap();
    assert_eq!(seqs(&open(&path).await.unwrap()).await, seen);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut raw = options.connect().await.unwrap();
    raw.execute("CREATE TABLE theirs (a)").await.unwrap();
    raw.close().await.unwrap();
    assert!(fatal(open(&path).await).contains("another program"));
}

#[tokio::test]
async fn a_damaged_file_is_told_and_what_to_do() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    for seq in 1..20 {
        store.commit(&group(vec![report(seq, 3_000)])).await.unwrap();
    }
    store.close().await.unwrap();
    let sound = std::fs::read(&path).unwrap();
    let pages = sound.len() / 4_096;
    let mut told = 0;
    for page in 0..pages {
        let mut bad = sound.clone();
        bad[page * 4_096..(page + 1) * 4_096].fill(0xa5);
        std::fs::write(&path, &bad).unwrap();
        match open(&path).await {
            Err(StoreError::Fatal(why)) => {
                assert!(why.contains("is damaged") && why.contains("aside"), "page {page}: {why}");
                told += 1;
            }
            Err(other) => panic!("page {page}: {other}"),
            // A page of the journal: found when it is read.
            Ok(store) => {
                let mut seen = 0;
                let mut visit = |stored: StoredReport| {
                    seen += 1;
                    assert_eq!(stored.report, report(stored.report.seq, 3_000));
                    ControlFlow::Continue(())
                };
                let read = store.reports(&[AgentKey(1)], i64::MIN, i64::MAX, &mut visit).await;
                assert!(read.is_err() || seen <= 19, "page {page}");
            }
        }
        for name in ["farol.db-wal", "farol.db-shm"] {
            std::fs::remove_file(path.with_file_name(name)).ok();
        }
    }
    assert!(told >= 10, "{told} of {pages} damaged pages were told at open");
    std::fs::write(&path, b"this is not a database, and longer than a header of a hundred bytes ".repeat(9))
        .unwrap();
    assert!(fatal(open(&path).await).contains("is damaged"));
}

#[tokio::test]
async fn after_a_power_loss_the_whole_file_is_checked() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    for seq in 1..40 {
        store.commit(&group(vec![report(seq, 3_000)])).await.unwrap();
    }
    store.close().await.unwrap();
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    raw.execute("UPDATE store SET closed = 0, machine = 'before'").await.unwrap();
    let root: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    raw.close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let sound = bytes.clone();
    let start = (root as usize - 1) * 4_096;
    bytes[start..start + 4_096].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    assert!(fatal(open(&path).await).contains("is damaged"));
    std::fs::write(&path, sound).unwrap();
    assert_eq!(seqs(&open(&path).await.unwrap()).await.len(), 39);
}

#[tokio::test]
async fn damage_in_one_run_costs_the_reports_until_the_next_key_report() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    for seq in 1..=9 {
        let report = ReportRecord { key: seq % 4 == 1, ..report(seq, 50) };
        store.commit(&group(vec![report])).await.unwrap();
    }
    store.close().await.unwrap();
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    raw.execute("UPDATE journal_bodies SET body = zeroblob(length(body)) WHERE id = 2").await.unwrap();
    raw.execute("UPDATE journal SET directory = zeroblob(length(directory)) WHERE id = 7").await.unwrap();
    raw.close().await.unwrap();
    let store = open(&path).await.unwrap();
    // Seven is not there at all: who decodes sees the hole before eight.
    assert_eq!(seqs(&store).await, [1, 5, 6, 8, 9]);
}

#[tokio::test]
async fn reports_whose_definitions_are_gone_are_a_gap_that_is_counted_and_their_key_is_not_given_again() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    let with = |seq, layout, key| ReportRecord { layout: LayoutKey(layout), key, ..report(seq, 10) };
    let reports = vec![with(1, 1, true), with(2, 9, true), with(3, 9, false), with(4, 1, true)];
    store.commit(&group(reports)).await.unwrap();
    assert_eq!((seqs(&store).await, store.undecodable()), (vec![1, 4], 2));
    assert_eq!(store.restore().await.unwrap().last_layout_key, 9, "the journal names it");
    // Closing saves the marks: after that the journal's rows are not looked at.
    store.close().await.unwrap();
    let again = open(&path).await.unwrap();
    assert_eq!(again.restore().await.unwrap().last_layout_key, 9, "the marks name it");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    for seq in 1..=30 {
        store.commit(&group(vec![report(seq, 2_000)])).await.unwrap();
        store.tidy(i64::from(seq as u32) * 61_000, &Retention::default()).await.unwrap();
    }
    // A copy of the files as they lie there is what a killed process leaves.
    let copy = path.with_file_name("copy.db");
    for end in ["", "-wal"] {
        let name = |base: &Path| PathBuf::from(format!("{}{end}", base.display()));
        std::fs::copy(name(&path), name(&copy)).unwrap();
    }
    let found = open(&copy).await.unwrap();
    assert_eq!(seqs(&found).await, (1..=30).collect::<Vec<_>>());
    assert_eq!(found.restore().await.unwrap().marks, [(AgentKey(1), BOOT, 30)]);
}

#[tokio::test]
async fn nothing_is_tried_any_more_after_a_fatal_error() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    store.commit(&group(vec![report(1, 10)])).await.unwrap();
    let failed: Result<(), StoreError> = Err(StoreError::Fatal("the sync failed".to_owned()));
    remember(&store, failed).await.unwrap_err();
    for result in
        [store.commit(&Group::default()).await, store.tidy(0, &Retention::default()).await.map(|_| ())]
    {
        assert!(matches!(&result, Err(StoreError::Fatal(why)) if why == "the sync failed"), "{result:?}");
    }
    store.close().await.unwrap();
    assert_eq!(seqs(&open(&path).await.unwrap()).await, [1], "what was committed stands");
}

#[tokio::test]
async fn the_log_before_the_file_stays_small() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    for seq in 1..=100 {
        store.commit(&group(vec![report(seq, 500_000)])).await.unwrap();
        store.tidy(1_000, &Retention::default()).await.unwrap();
    }
    let wal = std::fs::metadata(path.with_file_name("farol.db-wal")).unwrap().len();
    assert!(wal < 10 << 20, "{wal} bytes of log after 50 MB");
}

#[tokio::test]
async fn what_is_larger_than_a_batch_of_reading_comes_whole_and_in_order() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    for seq in 1..=8 {
        // Four megabytes of each of eight agents.
        let of = |agent: u32| ReportRecord { agent: AgentKey(agent), ..report(seq, 1 << 19) };
        store.commit(&group((1..=8).map(of).collect())).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut visit = |stored: StoredReport| {
        assert_eq!(stored.report.blocks[0].data.len(), 1 << 19);
        seen.push((stored.report.agent.0, stored.report.seq));
        ControlFlow::Continue(())
    };
    let agents: Vec<AgentKey> = (1..=8).rev().map(AgentKey).collect();
    store.reports(&agents, 0, i64::MAX, &mut visit).await.unwrap();
    let expected: Vec<_> = (1..=8).rev().flat_map(|agent| (1..=8).map(move |seq| (agent, seq))).collect();
    assert_eq!(seen, expected);
}

#[test]
fn each_error_of_the_library_is_judged() {
    let table: &[(u32, bool, &str)] = &[
        (13, false, "is full"),
        (5, false, "locked"),
        (261, false, "locked"),
        (6, false, "locked"),
        (8, false, "cannot be written"),
        (14, false, "cannot be opened"),
        (778, false, "code 778"),
        (266, false, "code 266"),
        (7, false, "code 7"),
        (522, true, "damaged"),
        (11, true, "damaged"),
        (267, true, "damaged"),
        (26, true, "damaged"),
        (8458, true, "damaged"),
        (1034, true, "synced"),
        (1290, true, "synced"),
        (1032, true, "moved or deleted"),
    ];
    for (code, is_fatal, words) in table {
        let judged = judge_code(Path::new("/data/farol.db"), *code, "words of the library");
        assert_eq!(matches!(judged, StoreError::Fatal(_)), *is_fatal, "{code}: {judged}");
        assert!(
            judged.to_string().contains(words) && judged.to_string().contains("/data/farol.db"),
            "{judged}"
        );
    }
    let lacks = judge_code(Path::new("/data/farol.db"), 1, "no such column: last_seen_ms");
    assert!(matches!(&lacks, StoreError::Fatal(why) if why.contains("is damaged")), "{lacks}");
}
