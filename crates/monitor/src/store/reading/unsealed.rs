//! The journal's reports that are not sealed, row by row, as a start replays them. Decides nothing about what becomes
//! of them.

use super::{Directory, Rows, directory};
use crate::store::layouts::Sets;
use crate::store::row::unpack;
use crate::store::{LayoutKey, StoreError, StoredReport, Visit};
use bytes::Bytes;
use foldhash::HashSet;
use std::sync::Arc;

/// Shows the next rows as [`Store::unsealed`](crate::store::Store::unsealed) promises.
pub(crate) async fn visit<R: Rows>(
    rows: &R,
    after: i64,
    visit: Visit<'_>,
) -> Result<Option<i64>, StoreError> {
    let slice = rows.rows_after(after).await?;
    let Some(next) = slice.last().map(|((id, ..), _)| *id) else { return Ok(None) };
    let memory = rows.memory();
    let read: Vec<(i64, Directory, Bytes)> = slice
        .into_iter()
        .filter_map(|(row, body)| directory(memory, &row).map(|(id, found)| (id, found, Bytes::from(body))))
        .collect();
    let wanted: HashSet<LayoutKey> =
        read.iter().flat_map(|(_, found, _)| &found.entries).flat_map(|entry| entry.layouts()).collect();
    let sets: Sets = rows.sets(&wanted.into_iter().collect::<Vec<_>>()).await?;
    for (id, found, body) in &read {
        for entry in &found.entries {
            let start = memory.catalog.read().starts.get(&entry.boot).copied();
            let Some(start) = start.filter(|start| start.sealed < entry.last_seq) else { continue };
            let run = body.slice(entry.start.min(body.len())..(entry.start + entry.length).min(body.len()));
            let reports = match unpack(entry, start.agent, start.boot, run) {
                Ok(reports) => reports,
                Err(why) => {
                    tracing::error!(store.place = %memory.place, journal.row = id, %why, "reports are damaged");
                    continue;
                }
            };
            for report in reports.into_iter().filter(|report| report.seq > start.sealed) {
                let Some(layout) = sets.get(&report.layout).map(Arc::clone) else {
                    memory.count_undecodable();
                    continue;
                };
                if visit(StoredReport { report, layout }).is_break() {
                    return Ok(Some(next));
                }
            }
        }
    }
    Ok(Some(next))
}
