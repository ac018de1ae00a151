//! A run becomes a column block and its roll-up. Decides which series a roll-up keeps.

use super::run::Run;
use crate::fleet::Compiled;
use crate::history::decode::Decoder;
use crate::store::{AgentKey, SealedRecord};
use bytes::Bytes;
use farol_series::{Encoding, Rolled, Rollup, Sealer};
use farol_wire::{SeriesDef, SeriesType};

/// The length of a bucket.
pub(crate) const FIVE_MINUTES_MS: i64 = 300_000;

/// Which series are kept as roll-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep(pub Vec<String>);

impl Default for Keep {
    fn default() -> Self {
        Self(["component", "system_", "farol_"].map(str::to_owned).to_vec())
    }
}

impl Keep {
    /// Whether a series is: its name begins so, or it has a label of this name, as the figures of checks have
    /// `component`.
    #[must_use]
    pub fn takes(&self, series: &SeriesDef) -> bool {
        self.0.iter().any(|word| series.name.starts_with(word.as_str()) || series.labels.contains_key(word))
    }
}

/// Seals a run. `None` when it does not fit into a block.
pub(super) fn seal(agent: AgentKey, run: &Run, keep: &Keep) -> Option<SealedRecord> {
    let layout = &*run.layout;
    let sources: Vec<(u32, &[Encoding])> =
        layout.sources.iter().map(|source| (source.id, source.encodings.as_slice())).collect();
    let mut sealer = Sealer::new(&sources);
    let mut rollup = Rollup::new(FIVE_MINUTES_MS, kinds(layout));
    let kept = kept(layout, keep);
    let mut decoder = Decoder::default();
    decoder.begin(layout, |_| true);
    let mut samples = 0;
    let mut fits = true;
    let mut times: Option<(i64, i64)> = None;
    run.each(|head, blocks| {
        decoder.apply(head, blocks, |place, at_ms, columns| {
            fits &= sealer.tick(place, at_ms, columns).is_ok();
            let (first, last) = times.unwrap_or((at_ms, at_ms));
            times = Some((first.min(at_ms), last.max(at_ms)));
            samples += columns.values().flatten().count() as u64;
            for (column, position) in &kept[place] {
                if let Some(value) = columns.value(*column) {
                    rollup.add(*position, at_ms, value);
                }
            }
        });
    });
    let rolled = if rollup.is_empty() { Vec::new() } else { rollup.encode().ok()? };
    let (first_ms, last_ms) = times.unwrap_or((run.first_ms, run.last_ms));
    fits.then(|| SealedRecord {
        agent,
        boot: run.boot,
        first_seq: run.first_seq,
        last_seq: run.last_seq,
        first_ms,
        last_ms,
        layout: layout.layout.key,
        samples,
        bytes: if samples == 0 { Bytes::new() } else { sealer.finish().into() },
        rollup: rolled.into(),
    })
}

/// What a roll-up must know of a layout's series.
fn kinds(layout: &Compiled) -> impl Iterator<Item = Rolled> {
    layout.layout.set.series.iter().map(|series| {
        let (kind, digits) = series.encoding;
        let encoding = Encoding::from_wire(kind, digits).unwrap_or(Encoding::Float);
        Rolled { encoding, counter: series.kind == SeriesType::Counter }
    })
}

/// Of each source the columns that are kept, with their positions in the layout.
fn kept(layout: &Compiled, keep: &Keep) -> Vec<Vec<(usize, usize)>> {
    let is_kept = |position: &u32| {
        let series = layout.layout.set.series.get(*position as usize);
        !layout.repeats.contains(position) && series.is_some_and(|series| keep.takes(series))
    };
    let of_source = |series: &Vec<u32>| {
        let columns = series.iter().enumerate().filter(|(_, position)| is_kept(position));
        columns.map(|(column, position)| (column, *position as usize)).collect()
    };
    layout.sources.iter().map(|source| of_source(&source.series)).collect()
}
