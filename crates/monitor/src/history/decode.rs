//! From an agent's reports back to samples. Decides from where on a source can be decoded: a key report begins anew,
//! a hole or a damaged block ends it until the next one.

use crate::fleet::Compiled;
use crate::store::{Layout, LayoutKey, ReportRecord};
use farol_series::Columns;
use farol_wire::Boot;
use std::sync::Arc;

/// The state of decoding one agent.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The boot and number of the last report.
    last: Option<(Boot, u64)>,
    layout: Option<LayoutKey>,
    /// The sources that carry a wanted series, in the order of their ids.
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    id: u32,
    columns: Columns,
    /// Where the wanted series stand in the blocks, and where their samples go.
    wanted: Vec<(usize, usize)>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A key report came: the next block stands alone.
    Begins,
    /// Blocks follow on one another.
    Goes,
    /// Nothing means anything until the next key report.
    Lost,
}

impl Decoder {
    /// Whether this report begins a segment with a layout other than before, for which [`Decoder::begin`] must be
    /// called.
    pub(super) fn begins_segment(&self, report: &ReportRecord, layout: &Layout) -> bool {
        report.key && self.layout != Some(layout.key)
    }

    /// Takes a layout. `wanted` are positions in its series and the place of their samples.
    pub(super) fn begin(&mut self, layout: &Arc<Layout>, wanted: &[(usize, usize)]) {
        self.layout = Some(layout.key);
        self.sources.clear();
        if wanted.is_empty() {
            return;
        }
        for source in Compiled::new(Arc::clone(layout)).sources {
            let wanted: Vec<(usize, usize)> = wanted
                .iter()
                .filter_map(|(position, place)| {
                    let column = source.series.iter().position(|at| *at as usize == *position)?;
                    Some((column, *place))
                })
                .collect();
            if !wanted.is_empty() {
                let columns = Columns::new(source.encodings);
                self.sources.push(Source { id: source.id, columns, wanted, state: State::Lost });
            }
        }
    }

    /// Applies a report's blocks; every wanted series that is there gives a sample for each tick of its source.
    pub(super) fn apply(&mut self, report: &ReportRecord, mut sample: impl FnMut(usize, i64, f64)) {
        let follows =
            self.last.is_some_and(|(boot, seq)| boot == report.boot && seq.wrapping_add(1) == report.seq);
        self.last = Some((report.boot, report.seq));
        if report.key {
            self.sources.iter_mut().for_each(|source| source.state = State::Begins);
        } else if !follows || self.layout != Some(report.layout) {
            self.sources.iter_mut().for_each(|source| source.state = State::Lost);
        }
        for block in &report.blocks {
            let Ok(at) = self.sources.binary_search_by_key(&block.source, |source| source.id) else {
                continue;
            };
            let source = &mut self.sources[at];
            match source.state {
                State::Lost => continue,
                State::Begins => source.columns.reset(),
                State::Goes => {}
            }
            if source.columns.apply(&block.data).is_err() {
                source.state = State::Lost;
                continue;
            }
            source.state = State::Goes;
            let at_ms = report.at_ms.saturating_sub(i64::from(block.before_ms));
            for (column, place) in &source.wanted {
                if let Some(value) = source.columns.value(*column) {
                    sample(*place, at_ms, value);
                }
            }
        }
    }
}
