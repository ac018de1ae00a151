//! From an agent's reports back to rows. Decides from where on a source can be decoded: a key report begins anew,
//! a hole or a damaged block ends it until the next one.

use crate::fleet::Compiled;
use crate::store::LayoutKey;
use farol_series::{Columns, Pick};
use farol_wire::Boot;

/// The state of decoding one agent.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The boot and number of the last report.
    last: Option<(Boot, u64)>,
    layout: Option<LayoutKey>,
    /// The sources that are wanted, in the order of their ids.
    sources: Vec<Source>,
}

/// What is said of a report before its blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) boot: Boot,
    pub(crate) seq: u64,
    pub(crate) layout: LayoutKey,
    pub(crate) key: bool,
    /// When it was made, unix milliseconds.
    pub(crate) at_ms: i64,
}

/// A block: its source, how long before the report that ticked, its bytes.
pub(crate) type Block<'a> = (u32, u32, &'a [u8]);

#[derive(Debug)]
struct Source {
    id: u32,
    /// Its place among the layout's sources.
    place: usize,
    columns: Columns,
    /// The few series that are wanted of many; `None` for all.
    pick: Option<Pick>,
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
    pub(crate) fn begins_segment(&self, head: &Head) -> bool {
        head.key && self.layout != Some(head.layout)
    }

    /// Takes a layout, of which all is wanted.
    pub(crate) fn begin(&mut self, layout: &Compiled) {
        self.layout = Some(layout.layout.key);
        self.sources.clear();
        for (place, source) in layout.sources.iter().enumerate() {
            let columns = Columns::new(source.encodings.clone());
            self.sources.push(Source { id: source.id, place, columns, pick: None, state: State::Lost });
        }
    }

    /// Takes a layout, of which these columns are wanted: the places of their sources, and theirs in them. The others'
    /// values mean nothing.
    pub(crate) fn begin_with(&mut self, layout: &Compiled, wanted: &[(usize, usize)]) {
        self.begin(layout);
        for source in &mut self.sources {
            let of_source = wanted.iter().filter(|(place, _)| *place == source.place);
            source.pick = Some(Pick::new(&source.columns, of_source.map(|(_, column)| *column)));
        }
        self.sources.retain(|source| wanted.iter().any(|(place, _)| *place == source.place));
    }

    /// Applies a report's blocks. Each row is shown: the place of its source in the layout, its time, its values.
    pub(crate) fn apply<'a>(
        &mut self,
        head: &Head,
        blocks: impl Iterator<Item = Block<'a>>,
        mut row: impl FnMut(usize, i64, &Columns),
    ) {
        let follows =
            self.last.is_some_and(|(boot, seq)| boot == head.boot && seq.wrapping_add(1) == head.seq);
        self.last = Some((head.boot, head.seq));
        if head.key {
            self.sources.iter_mut().for_each(|source| source.state = State::Begins);
        } else if !follows || self.layout != Some(head.layout) {
            self.sources.iter_mut().for_each(|source| source.state = State::Lost);
        }
        for (id, before_ms, data) in blocks {
            let Ok(at) = self.sources.binary_search_by_key(&id, |source| source.id) else {
                continue;
            };
            let source = &mut self.sources[at];
            match source.state {
                State::Lost => continue,
                State::Begins => source.columns.reset(),
                State::Goes => {}
            }
            let applied = match &source.pick {
                Some(pick) => source.columns.apply_to(pick, data).is_ok(),
                None => source.columns.apply(data).is_ok(),
            };
            if !applied {
                source.state = State::Lost;
                continue;
            }
            source.state = State::Goes;
            row(source.place, head.at_ms.saturating_sub(i64::from(before_ms)), &source.columns);
        }
    }
}
