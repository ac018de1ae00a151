//! One source: its series in the order of their ids, and how a tick's samples find their places. Decides nothing
//! about ids and limits: those are in the books.
//!
//! Samples come in the same order tick after tick, so each is first held against the one that stood in its place
//! last time; only a sample that does not match is looked up by its name and labels.

use super::changes::Books;
use super::series::{Sample, Series};
use farol_series::Encoding;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Something that ticks, with its series.
#[derive(Debug)]
pub struct Source {
    id: u32,
    name: String,
    interval_ms: u32,
    /// The series in the order of their ids, which is that of a block.
    columns: Vec<Column>,
    /// Where each series is; for samples that come out of order.
    places: HashMap<Identity, usize>,
    /// The last tick's samples and where they went: what the next tick's are held against.
    last: Vec<Seen>,
    /// The row of the last tick; kept for its room.
    values: Vec<Option<f64>>,
    /// What a monitor does not take.
    refused: HashSet<Identity>,
    /// Whether a dropped series has been named in the log.
    told: bool,
}

/// One defined series of a source.
#[derive(Debug)]
pub struct Column {
    id: u32,
    series: Arc<Series>,
    encoding: Encoding,
    /// In how many ticks in a row it was absent.
    absent: u32,
    /// Whether it has to go at the end of this tick.
    retired: bool,
}

/// A sample of the last tick.
#[derive(Debug)]
struct Seen {
    series: Arc<Series>,
    /// `None` when it was dropped.
    place: Option<usize>,
}

/// A series by name and labels: the same series may not be two things at once.
#[derive(Clone, Debug)]
struct Identity(Arc<Series>);

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name() && self.0.labels() == other.0.labels()
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
        self.0.labels().hash(state);
    }
}

impl Column {
    fn hold(&mut self, value: f64, books: &mut Books) {
        if !self.encoding.holds(value) {
            self.encoding = self.encoding.widen(value);
            books.define_series(self.id);
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it is.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// How its values are encoded.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

impl Source {
    pub(super) fn new(id: u32, name: &str, interval_ms: u32) -> Self {
        Self {
            id,
            name: name.to_owned(),
            interval_ms,
            columns: Vec::new(),
            places: HashMap::new(),
            last: Vec::new(),
            values: Vec::new(),
            refused: HashSet::new(),
            told: false,
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often it ticks.
    #[must_use]
    pub fn interval_ms(&self) -> u32 {
        self.interval_ms
    }

    /// Its series, in the order of their ids.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The encodings of its series, for a new [`farol_series::Columns`].
    #[must_use]
    pub fn encodings(&self) -> Vec<Encoding> {
        self.columns.iter().map(Column::encoding).collect()
    }

    /// `true` when it was another.
    pub(super) fn set_interval(&mut self, interval_ms: u32) -> bool {
        std::mem::replace(&mut self.interval_ms, interval_ms) != interval_ms
    }

    /// Puts a tick's samples into the order of the series.
    pub(super) fn row(&mut self, samples: &[Sample], books: &mut Books) -> &[Option<f64>] {
        self.values.clear();
        self.values.resize(self.columns.len(), None);
        for (position, sample) in samples.iter().enumerate() {
            match self.place_of(position, sample, books) {
                Some(place) if self.values[place].is_none() => self.put(place, sample.value, books),
                _ => books.drop_sample(),
            }
        }
        self.last.truncate(samples.len());
        self.retire_absent(books);
        &self.values
    }

    fn put(&mut self, place: usize, value: f64, books: &mut Books) {
        self.columns[place].hold(value, books);
        self.values[place] = Some(value);
    }

    /// Widens series until they hold these values of theirs too.
    pub(super) fn hold(&mut self, values: &[Option<f64>], books: &mut Books) {
        for (column, value) in self.columns.iter_mut().zip(values) {
            value.iter().for_each(|value| column.hold(*value, books));
        }
    }

    /// Where a sample goes, `None` when it is dropped. Remembers it for the next tick.
    fn place_of(&mut self, position: usize, sample: &Sample, books: &mut Books) -> Option<usize> {
        if let Some(seen) = self.last.get_mut(position)
            && (Arc::ptr_eq(&seen.series, &sample.series) || *seen.series == *sample.series)
            && (seen.place.is_some() || !books.has_room())
        {
            if !Arc::ptr_eq(&seen.series, &sample.series) {
                seen.series = Arc::clone(&sample.series);
            }
            return seen.place;
        }
        let place = self.find(sample, books);
        let seen = Seen { series: Arc::clone(&sample.series), place };
        match self.last.get_mut(position) {
            Some(known) => *known = seen,
            None => self.last.push(seen),
        }
        place
    }

    /// Finds a series by name and labels, or defines it.
    fn find(&mut self, sample: &Sample, books: &mut Books) -> Option<usize> {
        let identity = Identity(Arc::clone(&sample.series));
        if let Some(place) = self.places.get(&identity).copied() {
            let column = &mut self.columns[place];
            let same =
                column.series.kind() == sample.series.kind() && column.series.unit() == sample.series.unit();
            if same || self.values[place].is_some() {
                return same.then_some(place);
            }
            // Another type is another series.
            column.retired = true;
            self.places.remove(&identity);
        }
        if self.refused.contains(&identity) {
            return None;
        }
        // Refusals are remembered up to the limit as well; whoever refuses that many gets nothing new.
        let allowed = sample.series.is_valid() && self.refused.len() < books.limits().series;
        let id = if allowed { books.new_series() } else { None };
        let Some(id) = id else {
            self.tell(&sample.series, books);
            return None;
        };
        let encoding = sample.series.encoding(sample.value);
        let place = self.columns.len();
        let series = Arc::clone(&sample.series);
        self.columns.push(Column { id, series, encoding, absent: 0, retired: false });
        self.values.push(None);
        self.places.insert(identity, place);
        Some(place)
    }

    fn tell(&mut self, series: &Series, books: &Books) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (source, name) = (self.name.as_str(), series.name());
        if series.is_valid() {
            let limit = books.limits().series;
            tracing::warn!(
                source,
                series = name,
                limit,
                "too many series; what is over the limit is dropped"
            );
        } else {
            tracing::warn!(
                source,
                series = name,
                "a series has a name or label that is not allowed; it is dropped"
            );
        }
    }

    /// Counts ticks without a value and retires what was absent for too long.
    fn retire_absent(&mut self, books: &mut Books) {
        let mut any = false;
        for (column, value) in self.columns.iter_mut().zip(&self.values) {
            column.absent = if value.is_some() { 0 } else { column.absent.saturating_add(1) };
            column.retired |= column.absent >= books.limits().absent_ticks.max(1);
            any |= column.retired;
        }
        if any {
            self.compact(books);
        }
    }

    /// Takes out the series that have to go.
    fn compact(&mut self, books: &mut Books) {
        let mut moved = Vec::with_capacity(self.columns.len());
        let mut kept = 0;
        for column in &self.columns {
            moved.push((!column.retired).then_some(kept));
            if column.retired {
                books.retire_series(column.id);
            } else {
                kept += 1;
            }
        }
        self.columns.retain(|column| !column.retired);
        let mut old = moved.iter();
        self.values.retain(|_| old.next().is_some_and(Option::is_some));
        let new_place = |place: usize| moved.get(place).copied().flatten();
        self.places.retain(|_, place| new_place(*place).map(|new| *place = new).is_some());
        for seen in &mut self.last {
            seen.place = seen.place.and_then(new_place);
        }
    }

    /// Retires the series of these ids and drops their samples from now on.
    pub(super) fn refuse(&mut self, ids: &[u32], books: &mut Books) {
        let mut any = false;
        for column in self.columns.iter_mut().filter(|column| ids.contains(&column.id)) {
            column.retired = true;
            any = true;
            self.refused.insert(Identity(Arc::clone(&column.series)));
        }
        if any {
            self.compact(books);
        }
    }

    pub(super) fn forget_refusals(&mut self) {
        self.refused.clear();
    }

    /// Retires all of it.
    pub(super) fn retire(self, books: &mut Books) {
        for column in &self.columns {
            books.retire_series(column.id);
        }
        books.retire_source(self.id);
    }
}
