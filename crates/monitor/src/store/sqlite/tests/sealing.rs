//! Journal rows go with their seals, whatever the clock and the file do.

use super::{BOOT, group, open, place, report, seqs};
use crate::store::sqlite::SqliteStore;
use crate::store::{AgentKey, Group, LayoutKey, Retention, SealedRecord, Store};
use sqlx::Executor;

#[tokio::test]
async fn a_row_that_was_committed_before_the_clock_was_set_back_goes_once_it_is_sealed() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    for seq in 1..=2 {
        store.commit(&group(vec![report(seq, 10)])).await.unwrap();
    }
    let set = "UPDATE journal SET committed_ms = committed_ms + 3000000 WHERE id = 1";
    store.writer.lock().await.as_mut().unwrap().connection.execute(set).await.unwrap();
    let now_ms = jiff::Timestamp::now().as_millisecond() + 600_000;
    let tidy = async |now_ms: i64| {
        while store.tidy(now_ms, &Retention::default()).await.unwrap().more {}
        seqs(&store).await
    };
    assert_eq!(tidy(now_ms).await, [1, 2]);
    store.commit(&Group { sealed: vec![sealed(1, 2)], ..Group::default() }).await.unwrap();
    tidy(now_ms + 3_600_000).await;
    assert_eq!(journal_rows(&store).await, 0);
}

fn sealed(first_seq: u64, last_seq: u64) -> SealedRecord {
    SealedRecord {
        agent: AgentKey(1),
        boot: BOOT,
        first_seq,
        last_seq,
        first_ms: 1_000,
        last_ms: 2_000,
        layout: LayoutKey(1),
        samples: 2,
        bytes: Default::default(),
        rollup: Default::default(),
    }
}

async fn journal_rows(store: &SqliteStore) -> i64 {
    let mut writer = store.writer.lock().await;
    let count = sqlx::query_scalar("SELECT count(*) FROM journal");
    count.fetch_one(&mut writer.as_mut().unwrap().connection).await.unwrap()
}

#[tokio::test]
async fn sealed_rows_whose_deletion_was_refused_are_looked_at_again() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    let says = async |sql: &'static str| {
        store.writer.lock().await.as_mut().unwrap().connection.execute(sql).await.unwrap();
    };
    let mut now_ms = jiff::Timestamp::now().as_millisecond();
    // The second of three rows waits for its seal; the others are deleted at once.
    for (seq, record) in [(1, Some(sealed(1, 1))), (2, None), (3, Some(sealed(2, 3)))] {
        store.commit(&group(vec![report(seq, 10)])).await.unwrap();
        if let Some(record) = record {
            store.commit(&Group { sealed: vec![record], ..Group::default() }).await.unwrap();
        }
        says("CREATE TRIGGER refuses BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'not now'); END")
            .await;
        let mut refused = 0;
        for is_over in [false, true] {
            now_ms += 120_000;
            loop {
                match store.tidy(now_ms, &Retention::default()).await {
                    Ok(tidied) if !tidied.more => break,
                    Ok(_) => {}
                    Err(_) => refused += 1,
                }
            }
            if !is_over {
                says("DROP TRIGGER refuses").await;
            }
        }
        assert_eq!(
            (refused, journal_rows(&store).await),
            (i32::from(seq != 2), i64::from(seq == 2)),
            "{seq}"
        );
    }
}

#[tokio::test]
async fn of_several_seals_of_a_boot_in_one_group_the_last_counts() {
    let (_dir, path) = place();
    let store = open(&path).await.unwrap();
    store.commit(&group((1..=90).map(|seq| report(seq, 10)).collect())).await.unwrap();
    let seals = (0..30).map(|n| sealed(3 * n + 1, 3 * n + 3)).collect();
    store.commit(&Group { sealed: seals, ..Group::default() }).await.unwrap();
    store.close().await.unwrap();
    let restored = open(&path).await.unwrap().restore().await.unwrap();
    assert_eq!(restored.sealed, [(AgentKey(1), BOOT, 90)]);
}
