//! What the schema takes.

use super::connect::Link;
use super::{PostgresSettings, fault};
use crate::store::measure::Measured;
use anyhow::Context;

const SIZE: &str = "
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint, coalesce(bool_or(c.relname = 'blocks'), false),
  coalesce(bool_or(c.relname = 'agents'), false)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'farol' AND c.relkind = 'r'";

const AGENTS: &str = "SELECT count(*) FROM farol.agents WHERE forgotten_ms IS NULL";

const SAMPLES: &str = "
SELECT coalesce(sum(samples), 0)::bigint, coalesce(sum(bytes), 0)::bigint FROM farol.blocks WHERE level = 0";

pub(in crate::store) async fn measure(settings: &PostgresSettings) -> anyhow::Result<Measured> {
    let place = settings.server.place();
    let judged = |e: sqlx::Error| fault::judge_opening(&place, &e);
    let mut link = Link::open(settings, "farol store estimate").await.map_err(judged)?;
    let size: Vec<(i64, bool, bool)> = link.all(sqlx::query_as(SIZE)).await.map_err(judged)?;
    let found = size.first().copied().filter(|(_, _, is_store)| *is_store);
    let (bytes, sealed, _) = found.with_context(|| format!("there is no store in {place}"))?;
    let agents: Vec<(i64,)> = link.all(sqlx::query_as(AGENTS)).await.map_err(judged)?;
    let samples: Vec<(i64, i64)> = match sealed {
        true => link.all(sqlx::query_as(SAMPLES)).await.map_err(judged)?,
        false => Vec::new(),
    };
    let (samples, sample_bytes) = samples.first().copied().unwrap_or_default();
    let agents = agents.first().map_or(0, |(agents,)| *agents);
    let [store_bytes, agents, samples, sample_bytes] =
        [bytes, agents, samples, sample_bytes].map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Measured { store_bytes, agents, samples, sample_bytes })
}
