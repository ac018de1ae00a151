//! An agent's roll-ups of a day become one of each layout, and with it those by the hour. Pure. Decides what is counted
//! in which: what was merged before is in the hours already, what comes late is added to both.

use super::seals::NewBlock;
use super::{LayoutKey, Level};
use farol_series::Rollup;
use std::collections::BTreeMap;

/// The length of a bucket by the hour.
const HOUR_MS: i64 = 3_600_000;

/// A roll-up by 5 minutes as it is read for merging.
#[derive(Debug)]
pub(crate) struct DayRow {
    pub(crate) id: i64,
    pub(crate) layout: i64,
    pub(crate) merged: bool,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) body: Vec<u8>,
}

/// What is known of one layout.
#[derive(Default)]
struct Sum {
    /// All of the day.
    all: Option<Rollup>,
    /// What came since the last merge.
    new: Option<Rollup>,
    first_ms: Option<i64>,
    last_ms: i64,
    new_ms: Option<(i64, i64)>,
}

/// The rows that take the place of these. What is damaged is told and left out.
pub(crate) fn merge(place: &str, day: i64, agent: u32, rows: Vec<DayRow>) -> Vec<NewBlock> {
    let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
    for row in rows {
        let rollup = match Rollup::decode(&row.body) {
            Ok(rollup) => rollup,
            Err(why) => {
                tracing::error!(store.place = place, block = row.id, %why, "a roll-up is damaged; history has a gap");
                continue;
            }
        };
        let sum = sums.entry(row.layout).or_default();
        sum.last_ms = if sum.first_ms.is_none() { row.last_ms } else { sum.last_ms.max(row.last_ms) };
        sum.first_ms = Some(sum.first_ms.map_or(row.first_ms, |first| first.min(row.first_ms)));
        if !row.merged {
            let (first, last) = sum.new_ms.unwrap_or((row.first_ms, row.last_ms));
            sum.new_ms = Some((first.min(row.first_ms), last.max(row.last_ms)));
            join(&mut sum.new, &rollup, place, row.id);
        }
        join(&mut sum.all, &rollup, place, row.id);
    }
    let made = |layout: i64, level: Level, rollup: &Rollup, (first_ms, last_ms): (i64, i64)| {
        let body = rollup.encode().ok()?;
        Some(NewBlock {
            level,
            day,
            agent,
            boot: 0,
            seqs: (0, 0),
            first_ms,
            last_ms,
            layout: LayoutKey(u32::try_from(layout).unwrap_or(u32::MAX)),
            samples: 0,
            merged: true,
            body: body.into(),
        })
    };
    let mut blocks = Vec::new();
    for (layout, sum) in sums {
        let (Some(all), Some(first_ms)) = (&sum.all, sum.first_ms) else { continue };
        blocks.extend(made(layout, Level::FiveMinutes, all, (first_ms, sum.last_ms)));
        let (Some(new), Some(times)) = (&sum.new, sum.new_ms) else { continue };
        if let Ok(hours) = new.coarsen(HOUR_MS) {
            blocks.extend(made(layout, Level::OneHour, &hours, times));
        }
    }
    blocks
}

/// Takes one into the sum. Two of one layout have the same series: the definitions are the layout's.
fn join(sum: &mut Option<Rollup>, rollup: &Rollup, place: &str, id: i64) {
    match sum {
        None => *sum = Some(rollup.clone()),
        Some(sum) => {
            if let Err(why) = sum.merge(rollup) {
                tracing::error!(store.place = place, block = id, %why, "a roll-up does not fit; history has a gap");
            }
        }
    }
}
