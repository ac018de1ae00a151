//! Sealed records on their way into a database. Decides which are new, and under which day; what is too old already goes
//! with the next retention.

use super::catalog::Catalog;
use super::pack::Packed;
use super::{DAY_MS, LayoutKey, Level, SealedRecord};
use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};
use std::collections::BTreeMap;

/// A block or roll-up to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewBlock {
    pub(crate) level: Level,
    pub(crate) day: i64,
    pub(crate) agent: u32,
    /// The interned boot and its reports; zeros where there are many.
    pub(crate) boot: u32,
    pub(crate) seqs: (u64, u64),
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) layout: LayoutKey,
    pub(crate) samples: u64,
    /// A roll-up that is one of a whole day.
    pub(crate) merged: bool,
    pub(crate) body: Bytes,
}

/// What changes in memory once they are committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Landed {
    /// Boots, each once, and up to which report they are sealed.
    pub(crate) marks: BTreeMap<u32, u64>,
    /// Layouts of which there are blocks now.
    pub(crate) layouts: Vec<LayoutKey>,
}

/// The day of a time.
pub(crate) fn day(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

/// What is to be written of a group's sealed records.
pub(crate) fn seals(catalog: &Catalog, packed: &Packed, sealed: &[SealedRecord]) -> (Vec<NewBlock>, Landed) {
    let mut marks: HashMap<u32, u64> = HashMap::new();
    let mut blocks = Vec::new();
    let mut landed = Landed::default();
    for record in sealed {
        let new =
            packed.new_boots.iter().find(|(_, agent, boot)| (*agent, *boot) == (record.agent, record.boot));
        let known = catalog.keys.get(&(record.agent, record.boot)).copied();
        let Some(boot) = known.or(new.map(|(key, ..)| *key)) else { continue };
        let mark = marks.entry(boot).or_insert_with(|| catalog.sealed(boot));
        if record.last_seq <= *mark {
            continue;
        }
        *mark = record.last_seq;
        landed.marks.insert(boot, record.last_seq);
        let parts = [(Level::Raw, &record.bytes), (Level::FiveMinutes, &record.rollup)];
        for (level, body) in parts {
            if body.is_empty() {
                continue;
            }
            landed.layouts.push(record.layout);
            blocks.push(NewBlock {
                level,
                day: day(record.first_ms),
                agent: record.agent.0,
                boot,
                seqs: (record.first_seq, record.last_seq),
                first_ms: record.first_ms,
                last_ms: record.last_ms,
                layout: record.layout,
                samples: record.samples,
                merged: false,
                body: body.clone(),
            });
        }
    }
    (blocks, landed)
}
