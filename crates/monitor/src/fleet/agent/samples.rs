//! An agent's latest samples, source by source. Takes blocks in order; what they mean is decided elsewhere.

use crate::clock::Moment;
use crate::fleet::layout::{Compiled, CompiledSource};
use farol_series::{BlockError, Columns};
use farol_wire::SeriesDef;
use std::sync::Arc;

/// After so many intervals without a tick a source's values are no longer shown.
const FRESH_INTERVALS: u64 = 3;

/// The latest value of each series of an agent.
#[derive(Debug, Default)]
pub struct Samples {
    /// What the blocks are made with.
    layout: Option<Arc<Compiled>>,
    /// One for each source of the layout.
    sources: Vec<Source>,
    /// A key frame has come since the layout was set, so that deltas mean something.
    keyed: bool,
}

#[derive(Debug)]
struct Source {
    columns: Columns,
    /// A segment began: its next block is a key frame. Until then the last values go on to be shown.
    restart: bool,
    /// When it last ticked, on the running clock: older than its agent allows, its series are left out.
    ticked_run_ms: u64,
    /// The same, unix milliseconds.
    ticked_wall_ms: i64,
}

/// Why a report's blocks were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// Deltas without a key frame: the agent must start a segment.
    #[error("a key frame is needed")]
    NeedKeyFrame,
    /// The block's source was never defined.
    #[error("a block of source {0}, which is not defined")]
    UnknownSource(u32),
    /// The block is not one.
    #[error("the block of source {0} cannot be decoded: {1}")]
    Block(u32, #[source] BlockError),
}

/// One series and its latest value.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The series.
    pub series: &'a SeriesDef,
    /// Its position in the layout.
    pub position: u32,
    /// Its value.
    pub value: f64,
    /// When its source ticked, unix milliseconds.
    pub at_ms: i64,
}

impl Samples {
    /// Starts a segment: forgets the bases, and the values of what is no longer defined.
    pub fn start(&mut self, layout: Arc<Compiled>) {
        let columns = |source: &CompiledSource| Columns::new(source.encodings.clone());
        let same = self.layout.as_ref().is_some_and(|l| Arc::ptr_eq(l, &layout));
        if same {
            self.sources.iter_mut().for_each(|source| source.restart = true);
        } else {
            self.sources = layout
                .sources
                .iter()
                .map(|s| Source { columns: columns(s), restart: false, ticked_run_ms: 0, ticked_wall_ms: 0 })
                .collect();
        }
        self.layout = Some(layout);
        self.keyed = true;
    }

    /// The segment in force.
    pub(crate) fn layout(&self) -> Option<&Arc<Compiled>> {
        self.layout.as_ref()
    }

    /// The latest values of the source at this position of the layout.
    pub(crate) fn columns(&self, position: usize) -> Option<&Columns> {
        self.sources.get(position).map(|source| &source.columns)
    }

    /// Deltas mean nothing until the next key frame.
    pub(crate) fn lose(&mut self) {
        self.keyed = false;
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Applies one block. The position of its source in the layout.
    pub fn apply(&mut self, source: u32, data: &[u8], ticked: (u64, i64)) -> Result<usize, SampleError> {
        let layout = self.layout.as_ref().filter(|_| self.keyed).ok_or(SampleError::NeedKeyFrame)?;
        let position = layout.source(source).ok_or(SampleError::UnknownSource(source))?;
        let state = &mut self.sources[position];
        if std::mem::take(&mut state.restart) {
            state.columns.reset();
        }
        state.columns.apply(data).map_err(|e| SampleError::Block(source, e))?;
        (state.ticked_run_ms, state.ticked_wall_ms) = ticked;
        Ok(position)
    }

    /// Every series that has a value and whose source ticked within three of its own intervals, or three of the
    /// agent's reports where those are longer.
    pub fn fresh(&self, now: Moment, report_interval_ms: u32) -> impl Iterator<Item = Sample<'_>> {
        let layout = self.layout.as_deref();
        layout.into_iter().flat_map(move |layout| {
            let is_fresh = move |(compiled, source): &(&CompiledSource, &Source)| {
                let interval = u64::from(compiled.interval_ms.max(report_interval_ms));
                source.ticked_run_ms > 0
                    && now.run_ms.saturating_sub(source.ticked_run_ms) <= FRESH_INTERVALS * interval
            };
            layout.sources.iter().zip(&self.sources).filter(is_fresh).flat_map(move |(compiled, source)| {
                compiled.series.iter().zip(source.columns.values()).filter_map(move |(position, value)| {
                    let series = layout.layout.set.series.get(*position as usize)?;
                    Some(Sample { series, position: *position, value: value?, at_ms: source.ticked_wall_ms })
                })
            })
        })
    }

    /// How many series are defined.
    #[must_use]
    pub fn series(&self) -> usize {
        self.layout.as_ref().map_or(0, |l| l.layout.set.series.len())
    }
}
