//! What a store holds of the oracle's agents, read through the store's own seam.

use super::ledger::number;
use super::link::{MARK, NUMBER};
use super::verdict::Found;
use anyhow::Result;
use farol_config::Sources;
use farol_monitor::Config;
use farol_monitor::store::{self, AgentKey, Layout, Store, StoredReport};
use farol_series::{Columns, Encoding};
use farol_wire::Boot;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Everything in the store that this configuration names; the monitor must not run.
///
/// # Errors
/// The configuration is wrong, or the store cannot be read.
pub async fn at_rest(config: &Path, data_dir: &Path) -> Result<Vec<Found>> {
    let tree = Sources::new().file(config).load()?;
    let config = tree.read(Config::read)?;
    let store = store::open(&config.store, data_dir).await?;
    let found = in_store(&*store).await;
    store.close().await?;
    found
}

/// Everything in a store.
///
/// # Errors
/// The store cannot be read.
pub async fn in_store(store: &dyn Store) -> Result<Vec<Found>> {
    let agents: HashMap<AgentKey, u32> =
        store.agents().await?.iter().filter_map(|known| Some((known.key, number(&known.id)?))).collect();
    let mut keys: Vec<AgentKey> = agents.keys().copied().collect();
    keys.sort_unstable();
    let mut reader = Reader { agents, columns: None, found: Vec::new() };
    let mut visit = |stored: StoredReport| {
        reader.take(&stored);
        ControlFlow::Continue(())
    };
    store.reports(&keys, i64::MIN / 2, i64::MAX / 2, &mut visit).await?;
    Ok(reader.found)
}

struct Reader {
    agents: HashMap<AgentKey, u32>,
    /// Of the segment that is being read: whose, the last number, and the values.
    columns: Option<(AgentKey, Boot, u64, Columns)>,
    found: Vec<Found>,
}

impl Reader {
    fn take(&mut self, stored: &StoredReport) {
        let report = &stored.report;
        let Some(agent) = self.agents.get(&report.agent) else { return };
        let follows = |(of, boot, seq, columns): (AgentKey, Boot, u64, Columns)| {
            let next = (of, boot, seq + 1) == (report.agent, report.boot, report.seq);
            next.then_some(columns)
        };
        let columns = match report.key {
            true => encodings(&stored.layout).map(Columns::new),
            false => self.columns.take().and_then(follows),
        };
        let columns = columns.and_then(|mut columns| {
            let applied = report.blocks.iter().all(|block| columns.apply(&block.data).is_ok());
            applied.then_some(columns)
        });
        let value = |at| columns.as_ref().and_then(|columns| columns.value(at));
        let values = [value(0), value(1)];
        self.found.push(Found {
            agent: *agent,
            boot: report.boot,
            seq: report.seq,
            at_ms: report.at_ms,
            values,
        });
        self.columns = columns.map(|columns| (report.agent, report.boot, report.seq, columns));
    }
}

/// Those of the two series; `None` for a layout that is not the oracle's.
fn encodings(layout: &Layout) -> Option<Vec<Encoding>> {
    let series = &layout.set.series;
    let ours = series.iter().map(|series| series.name.as_str()).eq([NUMBER, MARK]);
    let encodings = series.iter().map(|series| Encoding::from_wire(series.encoding.0, series.encoding.1));
    encodings.collect::<Result<_, _>>().ok().filter(|_| ours)
}
