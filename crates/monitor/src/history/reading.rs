//! The reading of one answer, some agents at a time. Decides which series answer a question, once for each layout,
//! and decodes nothing else.

use super::decode::{Decoder, Head};
use super::found::Found;
use super::{
    BYTES_AT_MOST, HistoryError, MARGIN_MS, POINTS_AT_MOST, Query, SAMPLES_AT_MOST, SERIES_AT_MOST,
    SeriesPoints,
};
use crate::fleet::Compiled;
use crate::recent::Taken;
use crate::store::{AgentKey, Layout, LayoutKey, Level, StoredBlock, StoredReport};
use farol_series::{Sealed, SealedRollup};
use farol_wire::SeriesDef;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Samples that are held at once.
const HELD_AT_MOST: usize = 10_000_000;
/// Others have their turn after so long.
const TURN: Duration = Duration::from_millis(1);

/// Which series it is, whatever its id was at the time: the place of its agent, and its labels.
type Identity = (usize, BTreeMap<String, String>);

/// The columns of a layout that are wanted.
#[derive(Debug)]
struct Wanted {
    layout: Arc<Compiled>,
    columns: Vec<Column>,
}

impl Wanted {
    /// The places of the columns' sources, and theirs in them.
    fn wanted(&self) -> Vec<(usize, usize)> {
        self.columns.iter().map(|column| (column.source, column.column)).collect()
    }
}

/// One column.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// The place of its source in the layout, and that source's id.
    source: usize,
    id: u32,
    /// Its place in the source's blocks.
    column: usize,
    /// Its place in the layout's series.
    position: usize,
}

/// A wanted layout of one agent: where the samples of each column go.
type Places = Arc<(Arc<Wanted>, Vec<usize>)>;

pub(super) struct Reading<'a> {
    query: &'a Query,
    steps: usize,
    /// Samples before are not kept: roll-ups stand for them.
    raw_from_ms: i64,
    /// Layouts that were looked at.
    wanted: HashMap<LayoutKey, Arc<Wanted>>,
    /// Whether they are wanted at all.
    looked_at: HashMap<LayoutKey, bool>,
    ids: Vec<Arc<str>>,
    /// The place of an agent's id.
    of_key: HashMap<AgentKey, usize>,
    places: HashMap<(usize, LayoutKey), Places>,
    /// Where a series' samples go.
    series: BTreeMap<Identity, usize>,
    found: Vec<Found>,
    /// Series of agents that are done.
    done: usize,
    /// Samples that are held, and those that were read; and bytes out of the store.
    held: usize,
    read: usize,
    bytes: usize,
    /// When others had their turn.
    turned: Instant,
    /// The agent whose reports are being read, and its state of decoding.
    now: Option<(AgentKey, Decoder)>,
    error: Option<HistoryError>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(query: &'a Query, steps: usize, raw_from_ms: i64) -> Self {
        Self {
            query,
            steps,
            raw_from_ms,
            wanted: HashMap::new(),
            looked_at: HashMap::new(),
            ids: Vec::new(),
            of_key: HashMap::new(),
            places: HashMap::new(),
            series: BTreeMap::new(),
            found: Vec::new(),
            done: 0,
            held: 0,
            read: 0,
            bytes: 0,
            turned: Instant::now(),
            now: None,
            error: None,
        }
    }

    /// Goes on to these agents.
    pub(super) fn begin(&mut self, agents: &[(Arc<str>, Vec<AgentKey>)]) {
        self.ids = agents.iter().map(|(id, _)| Arc::clone(id)).collect();
        let keyed =
            agents.iter().enumerate().flat_map(|(at, (_, keys))| keys.iter().map(move |key| (*key, at)));
        self.of_key = keyed.collect();
        // Each agent may have layouts of its own.
        self.wanted.clear();
        self.places.clear();
        self.now = None;
        self.held = 0;
    }

    /// Whether something of this layout answers the question.
    pub(super) fn wants(&self, layout: &Layout) -> bool {
        layout.set.series.iter().any(|series| self.matches(series))
    }

    /// The same, looked at once for each layout.
    pub(super) fn is_wanted(&mut self, layout: &Compiled) -> bool {
        let key = layout.layout.key;
        if let Some(known) = self.looked_at.get(&key) {
            return *known;
        }
        let wanted = self.wants(&layout.layout);
        self.looked_at.insert(key, wanted);
        wanted
    }

    /// Lets others have their turn, if they waited for some time.
    pub(super) async fn turn(&mut self) {
        if self.turned.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.turned = Instant::now();
        }
    }

    /// Takes what memory has.
    pub(super) fn memory(&mut self, agent: AgentKey, taken: &Taken) -> Result<(), HistoryError> {
        for (layout, bytes) in &taken.blocks {
            let places = self.places(agent, &layout.layout, Some(layout))?;
            self.sealed(&places, bytes)?;
        }
        let mut outcome = Ok(());
        taken.each_run(|layout, run| {
            if outcome.is_ok() {
                outcome = self.run(agent, layout, run);
            }
        });
        outcome
    }

    fn run(
        &mut self,
        agent: AgentKey,
        layout: &Arc<Compiled>,
        run: &crate::recent::Run,
    ) -> Result<(), HistoryError> {
        let places = self.places(agent, &layout.layout, Some(layout))?;
        if places.1.is_empty() {
            return Ok(());
        }
        let mut decoder = Decoder::default();
        decoder.begin_with(layout, &places.0.wanted());
        places.1.iter().for_each(|place| self.found[*place].begin());
        let mut samples = Samples::of(self);
        run.each(|head, blocks| {
            decoder.apply(head, blocks, |at, at_ms, columns| samples.row(&places, at, at_ms, columns));
        });
        self.check()
    }

    /// Takes a report out of the journal.
    pub(super) fn report(&mut self, stored: &StoredReport) -> ControlFlow<()> {
        let report = &stored.report;
        self.bytes += report.blocks.iter().map(|block| block.data.len()).sum::<usize>();
        let mut decoder = match self.now.take() {
            Some((of, decoder)) if of == report.agent => decoder,
            _ => Decoder::default(),
        };
        let (boot, seq, at_ms) = (report.boot, report.seq, report.at_ms);
        let head = Head { boot, seq, layout: report.layout, key: report.key, at_ms };
        let places = match self.places(report.agent, &stored.layout, None) {
            Ok(places) => places,
            Err(error) => return self.stop(error),
        };
        if decoder.begins_segment(&head) {
            decoder.begin_with(&places.0.layout, &places.0.wanted());
        }
        let blocks = report.blocks.iter().map(|block| (block.source, block.before_ms, &*block.data));
        let mut samples = Samples::of(self);
        decoder.apply(&head, blocks, |at, at_ms, columns| samples.row(&places, at, at_ms, columns));
        self.now = Some((report.agent, decoder));
        match self.check() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.stop(error),
        }
    }

    /// Takes a block of samples.
    pub(super) fn block(&mut self, block: &StoredBlock) -> ControlFlow<()> {
        self.bytes += block.bytes.len();
        let taken = self.places(block.agent, &block.layout, None);
        match taken.and_then(|places| self.sealed(&places, &block.bytes)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.stop(error),
        }
    }

    /// Takes the buckets of a roll-up that begin in this time.
    pub(super) fn roll_up(
        &mut self,
        block: &StoredBlock,
        level: Level,
        (from_ms, to_ms): (i64, i64),
    ) -> ControlFlow<()> {
        self.bytes += block.bytes.len();
        let places = match self.places(block.agent, &block.layout, None) {
            Ok(places) if places.1.is_empty() => return ControlFlow::Continue(()),
            Ok(places) => places,
            Err(error) => return self.stop(error),
        };
        let rollup = match SealedRollup::open(&block.bytes) {
            Ok(rollup) => rollup,
            Err(why) => return damaged(block.agent, &why),
        };
        for (column, place) in places.0.columns.iter().zip(&places.1) {
            let Ok(mut buckets) = rollup.buckets(column.position) else { continue };
            buckets.retain(|bucket| (from_ms..to_ms).contains(&bucket.start_ms));
            self.read += buckets.len();
            if !buckets.is_empty() {
                self.found[*place].add_buckets(level, &buckets);
            }
        }
        match self.check() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.stop(error),
        }
    }

    /// The series of these agents, in order.
    pub(super) async fn finish(&mut self) -> Result<Vec<SeriesPoints>, HistoryError> {
        let mut found: Vec<Option<Found>> = std::mem::take(&mut self.found).into_iter().map(Some).collect();
        self.done += found.len();
        let mut all = Vec::with_capacity(found.len());
        for ((agent, labels), place) in std::mem::take(&mut self.series) {
            let Some(found) = found[place].take() else { continue };
            let (kind, unit) = (found.kind, found.unit.clone());
            let points = found.finish(self.query)?;
            self.turn().await;
            if points.iter().any(|point| point.value.is_some()) {
                let (agent, metric) = (Arc::clone(&self.ids[agent]), self.query.metric.clone());
                all.push(SeriesPoints { agent, metric, labels, kind, unit, points });
            }
        }
        Ok(all)
    }

    /// What stopped the reading.
    pub(super) fn so_far(&mut self) -> Result<(), HistoryError> {
        self.error.take().map_or(Ok(()), Err)
    }

    fn stop(&mut self, error: HistoryError) -> ControlFlow<()> {
        self.error = Some(error);
        ControlFlow::Break(())
    }

    fn check(&self) -> Result<(), HistoryError> {
        if self.held > HELD_AT_MOST || self.read > SAMPLES_AT_MOST {
            return Err(HistoryError::TooMuch(
                "too many samples lie in this time; ask for a shorter one, for fewer series, or for one agent",
            ));
        }
        if self.bytes > BYTES_AT_MOST {
            return Err(HistoryError::TooMuch(
                "more than a gigabyte of history lies in this time; ask for a shorter one, or for one agent",
            ));
        }
        Ok(())
    }

    fn sealed(&mut self, places: &Places, bytes: &[u8]) -> Result<(), HistoryError> {
        if places.1.is_empty() {
            return Ok(());
        }
        let sealed = match Sealed::open(bytes) {
            Ok(sealed) => sealed,
            Err(why) => {
                let _goes_on = damaged(AgentKey(0), &why);
                return Ok(());
            }
        };
        for (column, place) in places.0.columns.iter().zip(&places.1) {
            self.found[*place].begin();
            let mut samples = Samples::of(self);
            let read =
                sealed.samples(column.id, column.column, |at_ms, value| samples.add(*place, at_ms, value));
            if let Err(why) = read {
                let _goes_on = damaged(AgentKey(0), &why);
            }
            self.check()?;
        }
        Ok(())
    }

    /// Where the samples of an agent's columns go that were made with this layout.
    fn places(
        &mut self,
        agent: AgentKey,
        layout: &Arc<Layout>,
        compiled: Option<&Arc<Compiled>>,
    ) -> Result<Places, HistoryError> {
        let at = self.of_key.get(&agent).copied().unwrap_or(0);
        if let Some(places) = self.places.get(&(at, layout.key)) {
            return Ok(Arc::clone(places));
        }
        let wanted = match self.wanted.get(&layout.key) {
            Some(wanted) => Arc::clone(wanted),
            None => {
                let compile = || Arc::new(Compiled::new(Arc::clone(layout)));
                let wanted = Arc::new(self.columns(compiled.cloned().unwrap_or_else(compile)));
                self.wanted.insert(layout.key, Arc::clone(&wanted));
                wanted
            }
        };
        let mut places = Vec::with_capacity(wanted.columns.len());
        for column in &wanted.columns {
            places.push(self.place(at, &layout.set.series[column.position])?);
        }
        let places = Arc::new((wanted, places));
        self.places.insert((at, layout.key), Arc::clone(&places));
        Ok(places)
    }

    fn columns(&self, layout: Arc<Compiled>) -> Wanted {
        let mut columns = Vec::new();
        for (source, of) in layout.sources.iter().enumerate() {
            for (column, position) in of.series.iter().enumerate() {
                let position = *position as usize;
                if self.matches(&layout.layout.set.series[position]) {
                    columns.push(Column { source, id: of.id, column, position });
                }
            }
        }
        columns.sort_by_key(|column| column.position);
        Wanted { layout, columns }
    }

    fn matches(&self, series: &SeriesDef) -> bool {
        let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
        series.name == self.query.metric && self.query.labels.iter().all(|(name, value)| label(name) == value)
    }

    /// Where the samples of this series go.
    fn place(&mut self, agent: usize, series: &SeriesDef) -> Result<usize, HistoryError> {
        let identity = (agent, series.labels.clone());
        if let Some(place) = self.series.get(&identity) {
            return Ok(*place);
        }
        let place = self.found.len();
        let all = self.done + place;
        if all >= SERIES_AT_MOST {
            return Err(HistoryError::TooManySeries { metric: self.query.metric.clone() });
        }
        if (all + 1).saturating_mul(self.steps) > POINTS_AT_MOST {
            return Err(HistoryError::TooMuch(
                "the answer has more than 2 000 000 points; ask for longer steps, a shorter time or fewer series",
            ));
        }
        self.found.push(Found::new(series));
        self.series.insert(identity, place);
        Ok(place)
    }
}

/// Where samples go, and in which time.
struct Samples<'r> {
    found: &'r mut Vec<Found>,
    held: &'r mut usize,
    read: &'r mut usize,
    from_ms: i64,
    to_ms: i64,
}

impl<'r> Samples<'r> {
    fn of(reading: &'r mut Reading<'_>) -> Self {
        let from_ms = reading.query.from_ms.saturating_sub(MARGIN_MS).max(reading.raw_from_ms);
        Self {
            found: &mut reading.found,
            held: &mut reading.held,
            read: &mut reading.read,
            from_ms,
            to_ms: reading.query.to_ms,
        }
    }

    #[inline]
    fn add(&mut self, place: usize, at_ms: i64, value: f64) {
        *self.read += 1;
        if at_ms >= self.from_ms && at_ms < self.to_ms {
            *self.held += 1;
            self.found[place].add(at_ms, value);
        }
    }

    /// Adds the wanted values of a source's row.
    fn row(&mut self, places: &Places, source: usize, at_ms: i64, columns: &farol_series::Columns) {
        for (column, place) in places.0.columns.iter().zip(&places.1) {
            if column.source == source
                && let Some(value) = columns.value(column.column)
            {
                self.add(*place, at_ms, value);
            }
        }
    }
}

/// Says that there is a gap.
fn damaged(agent: AgentKey, why: &dyn std::error::Error) -> ControlFlow<()> {
    tracing::error!(agent.key = agent.0, why = %why, "a block of history is damaged; the answer has a gap there");
    ControlFlow::Continue(())
}
