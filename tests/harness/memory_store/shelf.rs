//! The double's blocks and roll-ups: kept one by one, joined by whoever reads them.

use farol_monitor::store::{
    AgentKey, Cuts, DAY_MS, Layout, LayoutKey, Level, Retention, SealedRecord, Sizes, StoredBlock,
};
use farol_series::Rollup;
use std::collections::BTreeMap;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
const FIVE_MINUTES_MS: i64 = 300_000;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    kept: Vec<Kept>,
    pub(super) cuts: Cuts,
    pub(super) sizes: Sizes,
}

#[derive(Clone, Debug)]
struct Kept {
    level: Level,
    agent: AgentKey,
    layout: LayoutKey,
    first_ms: i64,
    last_ms: i64,
    bytes: bytes::Bytes,
    /// A roll-up that is counted by the hour already.
    is_merged: bool,
}

impl Kept {
    /// A roll-up by 5 minutes goes once it is counted by the hour.
    fn may_go(&self) -> bool {
        self.level != Level::FiveMinutes || self.is_merged
    }
}

impl Shelf {
    pub(super) fn add(&mut self, record: &SealedRecord) {
        for (level, bytes) in [(Level::Raw, &record.bytes), (Level::FiveMinutes, &record.rollup)] {
            if !bytes.is_empty() {
                self.kept.push(Kept {
                    level,
                    agent: record.agent,
                    layout: record.layout,
                    first_ms: record.first_ms,
                    last_ms: record.last_ms,
                    bytes: bytes.clone(),
                    is_merged: false,
                });
            }
        }
    }

    pub(super) fn find(
        &self,
        agents: &[AgentKey],
        (from_ms, to_ms): (i64, i64),
        level: Level,
        layouts: &BTreeMap<LayoutKey, Arc<Layout>>,
    ) -> Vec<StoredBlock> {
        let mut found = Vec::new();
        for agent in agents {
            let fits = |k: &&Kept| {
                (k.agent, k.level) == (*agent, level) && k.last_ms >= from_ms && k.first_ms <= to_ms
            };
            let mut all: Vec<&Kept> = self.kept.iter().filter(fits).collect();
            all.sort_by_key(|kept| kept.last_ms);
            found.extend(all.into_iter().filter_map(|kept| {
                let (first_ms, last_ms, bytes) = (kept.first_ms, kept.last_ms, kept.bytes.clone());
                let layout = Arc::clone(layouts.get(&kept.layout)?);
                Some(StoredBlock { agent: *agent, first_ms, last_ms, layout, bytes })
            }));
        }
        found
    }

    pub(super) fn layouts(&self) -> impl Iterator<Item = LayoutKey> {
        self.kept.iter().map(|kept| kept.layout)
    }

    pub(super) fn agents(&self) -> impl Iterator<Item = AgentKey> {
        self.kept.iter().map(|kept| kept.agent)
    }

    pub(super) fn tidy(&mut self, now_ms: i64, retention: &Retention) {
        self.roll_up((now_ms - 2 * HOUR_MS).div_euclid(DAY_MS) * DAY_MS);
        let ages = [retention.raw_ms, retention.five_minutes_ms, retention.one_hour_ms];
        for (level, kept_ms) in Level::ALL.into_iter().zip(ages) {
            let before_ms = now_ms.saturating_sub(kept_ms).div_euclid(DAY_MS) * DAY_MS;
            if self.cuts.of(level) > now_ms && kept_ms != Retention::FOR_EVER.raw_ms {
                // The clock was ahead when it was made: the level begins with what is left of it.
                let oldest_ms = self.kept.iter().filter(|k| k.level == level).map(|k| k.last_ms).min();
                let begins_ms = match level {
                    Level::Raw => oldest_ms.unwrap_or(now_ms).div_euclid(FIVE_MINUTES_MS) * FIVE_MINUTES_MS,
                    Level::FiveMinutes => oldest_ms.unwrap_or(now_ms).div_euclid(DAY_MS) * DAY_MS,
                    Level::OneHour => i64::MIN,
                };
                self.cuts.set(level, before_ms.max(begins_ms));
            }
            if self.kept.iter().any(|kept| kept.level == level && kept.last_ms < before_ms) {
                self.cut(level, before_ms);
            }
        }
        self.measure();
        let room = retention.budget.saturating_sub(self.sizes.journal).max(retention.budget / 4);
        while self.sizes.levels.iter().sum::<u64>() > room {
            let oldest = |level| {
                let of = self.kept.iter().filter(|kept| kept.level == level && kept.may_go());
                let spared_ms = now_ms - 2 * HOUR_MS;
                of.map(|kept| kept.last_ms).min().filter(|ms| *ms < spared_ms).map(|oldest| (level, oldest))
            };
            let Some((level, oldest_ms)) = Level::ALL.into_iter().find_map(oldest) else { break };
            self.cut(level, (oldest_ms.div_euclid(HOUR_MS) + 1) * HOUR_MS);
            self.sizes.over_budget += 1;
            self.measure();
        }
    }

    fn roll_up(&mut self, before_ms: i64) {
        let mut hours = Vec::new();
        for kept in &mut self.kept {
            if kept.level != Level::FiveMinutes || kept.is_merged || kept.first_ms >= before_ms {
                continue;
            }
            kept.is_merged = true;
            let hourly = Rollup::decode(&kept.bytes).ok().and_then(|rollup| rollup.coarsen(HOUR_MS).ok());
            let Some(bytes) = hourly.and_then(|rollup| rollup.encode().ok()) else { continue };
            hours.push(Kept { level: Level::OneHour, bytes: bytes.into(), ..kept.clone() });
        }
        self.kept.append(&mut hours);
    }

    fn cut(&mut self, level: Level, before_ms: i64) {
        self.cuts.raise(level, before_ms);
        self.kept.retain(|kept| kept.level != level || kept.last_ms >= before_ms || !kept.may_go());
    }

    fn measure(&mut self) {
        self.sizes.levels = Level::ALL.map(|level| {
            let of = self.kept.iter().filter(|kept| kept.level == level);
            of.map(|kept| kept.bytes.len() as u64 + 256).sum()
        });
    }
}
