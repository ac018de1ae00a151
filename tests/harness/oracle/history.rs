//! What a store holds of the oracle's agents, read through the store's own seam.

use super::ledger::{Books, number, place};
use super::link::{MARK, NUMBER};
use super::verdict::Found;
use anyhow::{Context, Result};
use farol_config::Sources;
use farol_monitor::Config;
use farol_monitor::store::{self, AgentKey, Layout, Level, Store, StoredBlock, StoredReport};
use farol_series::{Columns, Encoding, Sealed};
use farol_wire::Boot;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

/// What a store was left with.
#[derive(Debug, Default)]
pub struct Left {
    /// Reports, agent by agent and boot by boot, as history gives them.
    pub found: Vec<Found>,
    /// So many of them stand in sealed blocks, the others in the journal.
    pub sealed: u64,
}

/// Everything in the store that this configuration names; the monitor must not run.
///
/// # Errors
/// The configuration is wrong, or the store cannot be read.
pub async fn at_rest(config: &Path, data_dir: &Path, books: &Books) -> Result<Left> {
    let tree = Sources::new().file(config).load()?;
    let config = tree.read(Config::read)?;
    let store = store::open(&config.store, data_dir).await?;
    let left = in_store(&*store, books).await;
    store.close().await?;
    left
}

/// Everything in a store. A block knows no boots and no numbers: the books tell whose start the first series names.
///
/// # Errors
/// The store cannot be read.
pub async fn in_store(store: &dyn Store, books: &Books) -> Result<Left> {
    let agents: HashMap<AgentKey, u32> =
        store.agents().await?.iter().filter_map(|known| Some((known.key, number(&known.id)?))).collect();
    let mut keys: Vec<AgentKey> = agents.keys().copied().collect();
    keys.sort_unstable();
    let mut parts: Vec<Vec<Found>> = Vec::new();
    let mut broken = Ok(());
    let mut visit = |stored: StoredBlock| {
        let Some(agent) = agents.get(&stored.agent) else { return ControlFlow::Continue(()) };
        match in_block(*agent, &stored, books) {
            Ok(part) => parts.push(part),
            Err(why) => broken = Err(why),
        }
        ControlFlow::Continue(())
    };
    store.blocks(&keys, i64::MIN / 2, i64::MAX / 2, Level::Raw, &mut visit).await?;
    broken?;
    let sealed = parts.iter().map(|part| part.len() as u64).sum();
    let mut reader = Reader { agents, columns: None, found: Vec::new() };
    let mut visit = |stored: StoredReport| {
        reader.take(&stored);
        ControlFlow::Continue(())
    };
    store.reports(&keys, i64::MIN / 2, i64::MAX / 2, &mut visit).await?;
    let whose = |a: &Found, b: &Found| (a.agent, a.boot) == (b.agent, b.boot);
    parts.extend(reader.found.chunk_by(whose).map(<[Found]>::to_vec));
    // Blocks come by their times, and one with two boots would be one in disorder. Within a part nothing is moved.
    parts.sort_by_key(|part| part.first().map(|first| (first.agent, first.boot, first.seq)));
    Ok(Left { found: parts.concat(), sealed })
}

/// The reports of a block, in its order.
fn in_block(agent: u32, stored: &StoredBlock, books: &Books) -> Result<Vec<Found>> {
    let sealed = Sealed::open(&stored.bytes).context("a sealed block")?;
    let series = &stored.layout.set.series;
    // In the order of the ticks: with a wall clock that was set it is not that of the times.
    let column = |name: &str| -> Result<Vec<(i64, f64)>> {
        let at = series.iter().position(|series| series.name == name).context("a layout of the oracle")?;
        let mut samples = Vec::new();
        sealed.samples(series[at].source, at, |at_ms, value| samples.push((at_ms, value)))?;
        Ok(samples)
    };
    let (numbers, marks) = (column(NUMBER)?, column(MARK)?);
    let mut marks = marks.into_iter().peekable();
    let reports = numbers.into_iter().map(|(at_ms, number)| {
        let (start, seq) = place(number);
        let known = books.agents.get(agent as usize).and_then(|account| account.starts.get(start));
        // Nobody's: it is told as never said.
        let boot = known.map_or(Boot { number: u64::MAX, nonce: 0 }, |start| start.boot);
        let mark = marks.next_if(|(mark_ms, _)| *mark_ms == at_ms).map(|(_, mark)| mark);
        Found { agent, boot, seq, at_ms, values: [Some(number), mark] }
    });
    Ok(reports.collect())
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
        let value = |name: &str| {
            let at = stored.layout.set.series.iter().position(|series| series.name == name)?;
            columns.as_ref()?.value(at)
        };
        let values = [value(NUMBER), value(MARK)];
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
    let named = |name: &str| series.iter().any(|series| series.name == name);
    let ours = series.len() == 2 && named(NUMBER) && named(MARK);
    let encodings = series.iter().map(|series| Encoding::from_wire(series.encoding.0, series.encoding.1));
    encodings.collect::<Result<_, _>>().ok().filter(|_| ours)
}
