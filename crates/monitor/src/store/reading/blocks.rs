//! Blocks and roll-ups as they come back: found without their bytes, read in batches. Decides how much one question may
//! read.

use super::{BlockRow, Rows};
use crate::store::layouts::Sets;
use crate::store::{AgentKey, LayoutKey, Level, StoreError, StoredBlock, VisitBlocks};
use bytes::Bytes;
use foldhash::{HashMap, HashSet};

/// Bytes of blocks that one question may read.
const BYTES_AT_MOST: i64 = 1 << 30;
/// Bytes that are read at once.
const BATCH_BYTES: i64 = 4 << 20;

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
    if found.iter().map(|row| row.5).sum::<i64>() > BYTES_AT_MOST {
        return Err(StoreError::TooMuch(
            "more than a gigabyte of history lies in this time; ask for a shorter one, or for one agent"
                .to_owned(),
        ));
    }
    found.sort_by_key(|(id, agent, _, last_ms, ..)| (places[agent], *last_ms, *id));
    let mut sets = Sets::default();
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
        for (id, agent, first_ms, last_ms, layout, _) in batch {
            let set = u32::try_from(*layout).ok().and_then(|key| sets.get(&LayoutKey(key)));
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
            if visit(block).is_break() {
                return Ok(());
            }
        }
        // Others wait for their turn meanwhile.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Reads the layouts of a batch that are not known yet.
async fn take_in<R: Rows>(rows: &R, batch: &[BlockRow], sets: &mut Sets) -> Result<(), StoreError> {
    let keys: HashSet<LayoutKey> =
        batch.iter().filter_map(|row| u32::try_from(row.4).ok().map(LayoutKey)).collect();
    sets.retain(|key, _| keys.contains(key));
    let missing: Vec<LayoutKey> = keys.into_iter().filter(|key| !sets.contains_key(key)).collect();
    if !missing.is_empty() {
        sets.extend(rows.sets(&missing).await?);
    }
    Ok(())
}
