//! A group's reports as one journal row. Decides which boots are new and in what order runs stand.

use super::catalog::Catalog;
use crate::store::row::{self, Row, Run};
use crate::store::{AgentKey, Group, ReportRecord};
use farol_wire::Boot;
use foldhash::{HashMap, HashMapExt};

/// What the reports of a group add.
pub(super) struct Packed {
    /// Boots that have no number yet, with theirs.
    pub(super) new_boots: Vec<(u32, AgentKey, Boot)>,
    /// The row; `None` without reports.
    pub(super) row: Option<Row>,
}

/// Packs a group's reports. `number` is the row's, `last_boot` the last number given to a boot.
pub(super) fn pack(catalog: &Catalog, group: &Group, number: i64, last_boot: u32) -> Packed {
    let mut new: HashMap<(AgentKey, Boot), u32> = HashMap::new();
    let mut new_boots = Vec::new();
    let mut keyed: Vec<(u32, &ReportRecord)> = Vec::with_capacity(group.reports.len());
    for report in &group.reports {
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
    Packed { new_boots, row }
}
