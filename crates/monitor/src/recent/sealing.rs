//! A run becomes column blocks and their roll-ups. Decides which series a roll-up keeps, and what one block holds.

use super::run::Run;
use crate::fleet::Compiled;
use crate::history::decode::Decoder;
use crate::store::{AgentKey, DAY_MS, SealedRecord};
use bytes::Bytes;
use farol_series::{Columns, Encoding, Rolled, Rollup, Sealer};
use farol_wire::{SeriesDef, SeriesType};

/// The length of a bucket.
pub(crate) const FIVE_MINUTES_MS: i64 = 300_000;

/// A clock that was set back by more was ahead: what was measured meanwhile lies in a time that is still to come.
const SET_BACK_AT_MOST_MS: i64 = DAY_MS;

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

/// Seals a run of a boot that is rolled up to some time, and says up to when it is then. `None` when it does not fit into
/// a block. One block, and one more for each time that the clock was set back in it: in a block times rise, and so a
/// counter's growth is known.
pub(super) fn seal(
    agent: AgentKey,
    run: &Run,
    keep: &Keep,
    rolled_to_ms: i64,
) -> Option<(Vec<SealedRecord>, i64)> {
    let kept = kept(&run.layout, keep);
    let mut decoder = Decoder::default();
    decoder.begin(&run.layout);
    let mut part = Part::beginning(run, (run.first_seq, run.begins_ms), rolled_to_ms);
    let mut records = Vec::new();
    run.each(|head, blocks| {
        if part.last.is_some_and(|(_, last_ms)| head.at_ms < last_ms) {
            let next = Part::beginning(run, (head.seq, head.at_ms), part.rolled_to_ms());
            records.push(std::mem::replace(&mut part, next).finish(agent, run));
        }
        part.last = Some((head.seq, head.at_ms));
        decoder.apply(head, blocks, |place, at_ms, columns| part.row(place, at_ms, columns, &kept[place]));
    });
    let rolled_to_ms = part.rolled_to_ms();
    records.push(part.finish(agent, run));
    Some((records.into_iter().collect::<Option<_>>()?, rolled_to_ms))
}

/// What becomes one block.
struct Part {
    sealer: Sealer,
    rollup: Rollup,
    first_seq: u64,
    /// The last report's number and time.
    last: Option<(u64, i64)>,
    /// The oldest and the newest sample's time.
    times: Option<(i64, i64)>,
    /// Up to when the boot was rolled up before it.
    before_ms: i64,
    /// It begins in a time that is rolled up. A counter's samples would lie between others there, and a value that is
    /// lower than the one before would look like a restart: it goes on after that time, with what it grew by meanwhile.
    is_behind: bool,
    samples: u64,
    fits: bool,
}

impl Part {
    /// An empty one that begins with this report, at this time.
    fn beginning(run: &Run, (first_seq, at_ms): (u64, i64), rolled_to_ms: i64) -> Self {
        let was_ahead = rolled_to_ms.saturating_sub(SET_BACK_AT_MOST_MS) > at_ms;
        let before_ms = if was_ahead { i64::MIN } else { rolled_to_ms };
        let layout = &*run.layout;
        let sources: Vec<(u32, &[Encoding])> =
            layout.sources.iter().map(|source| (source.id, source.encodings.as_slice())).collect();
        Self {
            sealer: Sealer::new(&sources),
            rollup: Rollup::new(FIVE_MINUTES_MS, kinds(layout)),
            first_seq,
            last: None,
            times: None,
            before_ms,
            is_behind: at_ms <= before_ms,
            samples: 0,
            fits: true,
        }
    }

    /// Takes a source's row, and of it the columns that are kept, at their positions.
    fn row(&mut self, place: usize, at_ms: i64, columns: &Columns, kept: &[(usize, usize)]) {
        self.fits &= self.sealer.tick(place, at_ms, columns).is_ok();
        let (first, last) = self.times.unwrap_or((at_ms, at_ms));
        self.times = Some((first.min(at_ms), last.max(at_ms)));
        self.samples += columns.present() as u64;
        let is_rolled = self.is_behind && at_ms <= self.before_ms;
        for (column, position) in kept {
            if is_rolled && self.rollup.kinds()[*position].counter {
                continue;
            }
            if let Some(value) = columns.value(*column) {
                self.rollup.add(*position, at_ms, value);
            }
        }
    }

    /// Up to when the boot is rolled up with it.
    fn rolled_to_ms(&self) -> i64 {
        self.times.map_or(self.before_ms, |(_, last_ms)| self.before_ms.max(last_ms))
    }

    fn finish(self, agent: AgentKey, run: &Run) -> Option<SealedRecord> {
        let rolled = if self.rollup.is_empty() { Vec::new() } else { self.rollup.encode().ok()? };
        let (last_seq, _) = self.last?;
        let (first_ms, last_ms) = self.times.unwrap_or((run.first_ms, run.last_ms));
        self.fits.then(|| SealedRecord {
            agent,
            boot: run.boot,
            first_seq: self.first_seq,
            last_seq,
            first_ms,
            last_ms,
            layout: run.layout.layout.key,
            samples: self.samples,
            bytes: if self.samples == 0 { Bytes::new() } else { self.sealer.finish().into() },
            rollup: rolled.into(),
        })
    }
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
