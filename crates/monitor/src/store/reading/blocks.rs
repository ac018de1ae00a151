//! Blocks and roll-ups as they come back: found without their bytes, and read in batches if their layouts are wanted.
//! Decides how much one question may read.

use super::{BlockRow, Rows};
use crate::store::layouts::Sets;
use crate::store::{AgentKey, Blocks, LayoutKey, Level, StoreError, StoredBlock, VisitBlocks};
use bytes::Bytes;
use foldhash::{HashMap, HashSet};

/// Bytes of blocks that one question may read.
const BYTES_AT_MOST: i64 = 1 << 30;
/// Bytes that are read at once; others wait while they are looked into.
const BATCH_BYTES: i64 = 512 << 10;
/// Layouts that are looked at together.
const LAYOUTS_AT_ONCE: usize = 16;
/// What wanted ones may take up until their blocks are read; the others are read again then.
const LAYOUT_BYTES: usize = 16 << 20;

/// Shows blocks as [`Store::blocks`](crate::store::Store::blocks) promises.
pub(crate) async fn visit<R: Rows>(
    rows: &R,
    agents: &[AgentKey],
    times: (i64, i64),
    level: Level,
    visit: VisitBlocks<'_>,
) -> Result<(), StoreError> {
    let found = rows.find_blocks(agents, times, level).await?;
    let places: HashMap<i64, usize> =
        agents.iter().enumerate().map(|(at, key)| (i64::from(key.0), at)).collect();
    let mut found: Vec<BlockRow> = found.into_iter().filter(|row| places.contains_key(&row.1)).collect();
    let (wanted, mut sets) = wanted(rows, &found, visit).await?;
    found.retain(|row| wanted.contains(&row.4));
    if found.iter().map(|row| row.5).sum::<i64>() > BYTES_AT_MOST {
        return Err(StoreError::TooMuch(
            "more than a gigabyte of history lies in this time; ask for a shorter one, or for one agent"
                .to_owned(),
        ));
    }
    found.sort_by_key(|(id, agent, _, last_ms, ..)| (places[agent], *last_ms, *id));
    let mut rest = found.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |row: &&BlockRow| {
            bytes += row.5;
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (batch, after) = rest.split_at(count);
        rest = after;
        take_in(rows, batch, &mut sets).await?;
        let mut bodies: HashMap<i64, Vec<u8>> = HashMap::default();
        let ids: Vec<i64> = batch.iter().map(|row| row.0).collect();
        let mut take = |(id, body): (i64, Vec<u8>)| {
            bodies.insert(id, body);
            Ok(())
        };
        rows.block_bodies(&ids, &mut take).await?;
        for row @ (id, agent, first_ms, last_ms, ..) in batch {
            let set = layout_key(row).and_then(|key| sets.get(&key));
            let (Some(body), Some(layout)) = (bodies.remove(id), set) else { continue };
            let agent = AgentKey(u32::try_from(*agent).unwrap_or(u32::MAX));
            let layout = std::sync::Arc::clone(layout);
            let block = StoredBlock {
                agent,
                first_ms: *first_ms,
                last_ms: *last_ms,
                layout,
                bytes: Bytes::from(body),
            };
            if visit.take(block).is_break() {
                return Ok(());
            }
        }
        // Others wait for their turn meanwhile.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Which layouts of these blocks are wanted, and some of them.
async fn wanted<R: Rows>(
    rows: &R,
    found: &[BlockRow],
    visit: &mut dyn Blocks,
) -> Result<(HashSet<i64>, Sets), StoreError> {
    let keys: HashSet<LayoutKey> = found.iter().filter_map(layout_key).collect();
    let keys: Vec<LayoutKey> = keys.into_iter().collect();
    let (mut wanted, mut sets, mut bytes) = (HashSet::default(), Sets::default(), 0);
    for some in keys.chunks(LAYOUTS_AT_ONCE) {
        for (key, layout) in rows.sets(some).await? {
            if visit.wants(&layout) {
                wanted.insert(i64::from(key.0));
                bytes += layout.weight();
                if bytes <= LAYOUT_BYTES {
                    sets.insert(key, layout);
                }
            }
        }
    }
    Ok((wanted, sets))
}

fn layout_key(row: &BlockRow) -> Option<LayoutKey> {
    u32::try_from(row.4).ok().map(LayoutKey)
}

/// Reads the layouts of a batch that are not known yet.
async fn take_in<R: Rows>(rows: &R, batch: &[BlockRow], sets: &mut Sets) -> Result<(), StoreError> {
    let keys: HashSet<LayoutKey> = batch.iter().filter_map(layout_key).collect();
    let missing: Vec<LayoutKey> = keys.iter().filter(|key| !sets.contains_key(key)).copied().collect();
    if !missing.is_empty() {
        sets.retain(|key, _| keys.contains(key));
        sets.extend(rows.sets(&missing).await?);
    }
    Ok(())
}
