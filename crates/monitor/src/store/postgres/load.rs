//! Reads at open what the database holds. What it means is `store/load.rs`'s.

use super::connect::Link;
use super::{documents, fault};
use crate::store::layouts::{Sets, decode};
use crate::store::load::{Loaded, Raw};
use crate::store::reading::DirectoryRow;
use crate::store::row::Directory;
use crate::store::{LayoutKey, StoreError};
use sqlx::postgres::PgRow;

const STORE: &str = "SELECT id, last_commit_ms, last_agent, last_boot FROM farol.store";

const AGENTS: &str = "
SELECT key, id, role, labels, version, interval_ms, last_seen_ms, boot_number, boot_nonce, forgotten_ms
FROM farol.agents a WHERE forgotten_ms IS NULL OR EXISTS (SELECT 1 FROM farol.boots b WHERE b.agent = a.key) ORDER BY key";

const COMPONENTS: &str = "
SELECT n.agent, n.service, n.component, c.required, c.readiness, c.ttl_ms, c.kind, c.hard, c.soft, c.reason, c.message,
  c.checked_ms, c.changed_ms, c.stale
FROM farol.components c JOIN farol.component_names n ON n.key = c.name ORDER BY c.name";

const TAIL: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM farol.journal WHERE id > $1 ORDER BY id";

const CUTS: &str = "SELECT raw_cut_ms, five_minutes_cut_ms, one_hour_cut_ms FROM farol.store";

/// Those of which there are blocks are walked along the index: asked for one by one, the server would read all blocks for
/// each that has none.
const LAYOUT_SIZES: &str = "
WITH RECURSIVE used (layout) AS (
  SELECT min(layout) FROM farol.blocks
  UNION ALL
  SELECT (SELECT min(b.layout) FROM farol.blocks b WHERE b.layout > u.layout) FROM used u WHERE u.layout IS NOT NULL)
SELECT l.key, octet_length(l.define)::bigint, l.key IN (SELECT layout FROM used WHERE layout IS NOT NULL)
FROM farol.layouts l ORDER BY l.key";

const BOOTS: &str = "SELECT key, agent, number, nonce, sealed_seq FROM farol.boots ORDER BY key";

const OLDEST: &str = "SELECT min(id) FROM farol.journal";

/// Layouts by key.
pub(super) const LAYOUTS: &str = "SELECT key, define FROM farol.layouts WHERE key = ANY($1) ORDER BY key";

/// Deletes layouts by key, but for those of which there are blocks; tells which are gone.
pub(super) const DELETE_LAYOUTS: &str = "
DELETE FROM farol.layouts l WHERE l.key = ANY($1)
  AND NOT EXISTS (SELECT FROM farol.blocks b WHERE b.layout = l.key)
RETURNING l.key";

/// Reads everything. With `prune` nobody knows the layouts yet: unused ones are deleted.
pub(super) async fn load(place: &str, link: &mut Link, prune: bool) -> Result<Loaded, StoreError> {
    let judged = |e: sqlx::Error| fault::judge(place, &e);
    let damaged = |why: String| StoreError::Fatal(fault::damaged(place, &why));
    let store = all(place, link, STORE).await?.pop().ok_or_else(|| damaged("it has no id".to_owned()))?;
    let marks: Option<(i64, Vec<u8>)> =
        all(place, link, "SELECT journal, body FROM farol.marks").await?.pop();
    let marked_row = marks.as_ref().map_or(0, |(row, _)| *row);
    let tail: Vec<DirectoryRow> = link.all(sqlx::query_as(TAIL).bind(marked_row)).await.map_err(judged)?;
    let tail: Result<Vec<_>, String> = tail.iter().map(Directory::of_row).collect();
    let oldest: Vec<(Option<i64>,)> = all(place, link, OLDEST).await?;
    let cuts = all(place, link, CUTS).await?.pop().unwrap_or_default();
    let raw = Raw {
        store,
        cuts,
        marks,
        tail: tail.map_err(damaged)?,
        oldest_row: oldest.first().and_then(|(row,)| *row),
        layouts: all(place, link, LAYOUT_SIZES).await?,
        boots: all(place, link, BOOTS).await?,
        agents: all(place, link, AGENTS).await?,
        components: all(place, link, COMPONENTS).await?,
        documents: documents::until_deleted(link).await.map_err(judged)?,
    };
    let mut loaded = Loaded::of(raw, prune).map_err(damaged)?;
    if !loaded.gone.is_empty() {
        let delete = sqlx::query(DELETE_LAYOUTS).bind(keys(&loaded.gone));
        link.run(delete).await.map_err(judged)?;
    }
    let found = link.all(sqlx::query_as(LAYOUTS).bind(keys(&loaded.wanted))).await.map_err(judged)?;
    loaded.take(sets(place, found)?);
    Ok(loaded)
}

async fn all<T>(place: &str, link: &mut Link, sql: &'static str) -> Result<Vec<T>, StoreError>
where
    T: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
{
    link.all(sqlx::query_as(sql)).await.map_err(|e| fault::judge(place, &e))
}

/// Layouts as they were read.
pub(super) fn sets(place: &str, rows: Vec<(i64, Vec<u8>)>) -> Result<Sets, StoreError> {
    let damaged = |why: String| StoreError::Fatal(fault::damaged(place, &why));
    let mut sets = Sets::default();
    for (key, define) in rows {
        let key = u32::try_from(key).map_err(|_| damaged(format!("{key} is no layout's key")))?;
        let layout = decode(LayoutKey(key), &define).map_err(damaged)?;
        sets.insert(layout.key, layout);
    }
    Ok(sets)
}

/// Keys as the database takes them.
pub(super) fn keys(keys: &[LayoutKey]) -> Vec<i64> {
    keys.iter().map(|key| i64::from(key.0)).collect()
}
