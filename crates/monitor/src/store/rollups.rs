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
    pub(crate) body: Vec<u8>,
}

/// What is known of one layout.
#[derive(Default)]
struct Sum {
    /// All of the day.
    all: Option<Rollup>,
    /// What came since the last merge.
    new: Option<Rollup>,
}

/// The rows that take the place of these: one of each layout and level, several where one would be too large. What is
/// damaged is told and left out.
pub(crate) fn merge(place: &str, day: i64, agent: u32, mut rows: Vec<DayRow>) -> Vec<NewBlock> {
    // In the order of time: what a counter grew by is known best so.
    rows.sort_by_key(|row| (row.first_ms, row.id));
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
        if !row.merged {
            join(&mut sum.new, &rollup, place, row.id);
        }
        join(&mut sum.all, &rollup, place, row.id);
    }
    let mut blocks = Vec::new();
    for (layout, sum) in sums {
        let hours = sum.new.and_then(|new| new.coarsen(HOUR_MS).ok());
        for (level, rollup) in [(Level::FiveMinutes, sum.all), (Level::OneHour, hours)] {
            let parts = rollup.map(|rollup| encoded(place, rollup)).unwrap_or_default();
            blocks.extend(parts.into_iter().map(|(body, (first_ms, last_ms))| NewBlock {
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
            }));
        }
    }
    blocks
}

/// A roll-up as bytes, each with its times: parted until each part can be read again.
fn encoded(place: &str, rollup: Rollup) -> Vec<(Vec<u8>, (i64, i64))> {
    let (mut done, mut waiting) = (Vec::new(), vec![rollup]);
    while let Some(next) = waiting.pop() {
        let Some(times) = next.times() else { continue };
        match next.encode() {
            Ok(body) => done.push((body, times)),
            Err(why) => match next.halves() {
                Some((early, late)) => waiting.extend([late, early]),
                None => {
                    tracing::error!(store.place = place, %why, "a roll-up has too many series; history has a gap")
                }
            },
        }
    }
    done
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

#[cfg(test)]
mod tests {
    use super::{DayRow, HOUR_MS, Level, merge};
    use crate::store::DAY_MS;
    use farol_series::{Encoding, Rolled, Rollup};

    const FIVE_MINUTES_MS: i64 = 300_000;

    #[test]
    fn a_day_of_more_series_than_fit_in_one_roll_up_becomes_several() {
        let kinds = vec![Rolled { encoding: Encoding::Integer, counter: false }; 4_000];
        let part = |id: i64, from: i64, to: i64| {
            let mut rollup = Rollup::new(FIVE_MINUTES_MS, kinds.iter().copied());
            (0..kinds.len())
                .for_each(|at| (from..to).for_each(|n| rollup.add(at, n * FIVE_MINUTES_MS + 7, 5.0)));
            let (first_ms, _) = rollup.times().unwrap();
            DayRow { id, layout: 1, merged: false, first_ms, body: rollup.encode().unwrap() }
        };
        let blocks = merge("here", 0, 1, vec![part(2, 144, 288), part(1, 0, 144)]);
        let of = |level| blocks.iter().filter(move |block| block.level == level);
        assert_eq!((of(Level::FiveMinutes).count(), of(Level::OneHour).count()), (2, 1));
        assert!(blocks.iter().all(|block| block.merged));
        for (level, length_ms) in [(Level::FiveMinutes, FIVE_MINUTES_MS), (Level::OneHour, HOUR_MS)] {
            let mut next = 0;
            for block in of(level) {
                let rollup = Rollup::decode(&block.body).unwrap();
                assert_eq!(rollup.times(), Some((block.first_ms, block.last_ms)));
                for bucket in rollup.buckets(3_999) {
                    assert_eq!(bucket.start_ms, next);
                    next += length_ms;
                }
            }
            assert_eq!(next, DAY_MS, "{level:?}");
        }
    }
}
