//! A group's reports as one journal row. Decides which boots are new and in what order runs stand.

use super::catalog::Catalog;
use super::row::{self, Row, Run};
use super::{AgentKey, ReportRecord};
use farol_wire::Boot;
use foldhash::{HashMap, HashMapExt};

/// What the reports of a group add.
#[derive(Debug)]
pub(crate) struct Packed {
    /// The row's number.
    pub(crate) number: i64,
    /// Boots that have no number yet, with theirs.
    pub(crate) new_boots: Vec<(u32, AgentKey, Boot)>,
    /// The row; `None` without reports.
    pub(crate) row: Option<Row>,
}

impl Packed {
    /// The last number it gives to a boot; 0 when it gives none.
    pub(crate) fn last_boot(&self) -> u32 {
        self.new_boots.last().map_or(0, |(key, ..)| *key)
    }
}

/// Packs a group's reports. `number` is the row's, `last_boot` the last number given to a boot.
pub(crate) fn pack<'r>(
    catalog: &Catalog,
    reports: impl IntoIterator<Item = &'r ReportRecord>,
    number: i64,
    last_boot: u32,
) -> Packed {
    let mut new: HashMap<(AgentKey, Boot), u32> = HashMap::new();
    let mut new_boots = Vec::new();
    let mut keyed: Vec<(u32, &ReportRecord)> = Vec::new();
    for report in reports {
        let whose = (report.agent, report.boot);
        let known = catalog.keys.get(&whose).or_else(|| new.get(&whose)).copied();
        let boot = known.unwrap_or_else(|| {
            let boot = last_boot + 1 + new_boots.len() as u32;
            new.insert(whose, boot);
            new_boots.push((boot, report.agent, report.boot));
            boot
        });
        keyed.push((boot, report));
    }
    keyed.sort_by_key(|(boot, report)| (*boot, report.seq));
    keyed.dedup_by_key(|(boot, report)| (*boot, report.seq));
    let (boots, reports): (Vec<u32>, Vec<&ReportRecord>) = keyed.into_iter().unzip();
    let mut start = 0;
    let runs: Vec<Run<'_>> = boots
        .chunk_by(|a, b| a == b)
        .map(|same| {
            let (boot, reports) = (same[0], &reports[start..start + same.len()]);
            start += same.len();
            let key_row = catalog.starts.get(&boot).and_then(|start| start.mark.key_row);
            Run { boot, reports, key_back: key_row.map(|row| number.abs_diff(row)) }
        })
        .collect();
    let row = (!runs.is_empty()).then(|| row::pack(&runs));
    Packed { number, new_boots, row }
}
