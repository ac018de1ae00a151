//! The books that all sources share: which ids have been given, how many series there are, and what changed since
//! somebody last asked.

use super::limits::{CatalogFull, Limits};
use farol_wire::limits::MAX_ID;
use std::collections::BTreeSet;

/// What the defined set gained and lost. Bounded: what came and went in between is in neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sources that are new or have another interval.
    pub sources: BTreeSet<u32>,
    /// Series that are new or encoded more widely.
    pub series: BTreeSet<u32>,
    /// Components that are new or set up in another way.
    pub components: BTreeSet<u32>,
    /// What is no more.
    pub retired: Retired,
}

/// Ids that are no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Sources.
    pub sources: BTreeSet<u32>,
    /// Series, those of retired sources among them.
    pub series: BTreeSet<u32>,
    /// Components.
    pub components: BTreeSet<u32>,
}

/// What all sources share.
#[derive(Debug)]
pub(super) struct Books {
    limits: Limits,
    generation: u64,
    sources: Ids,
    series: Ids,
    components: Ids,
    /// Series defined now.
    series_len: usize,
    /// Samples dropped since the start.
    dropped: u64,
}

/// The ids of one kind of thing.
#[derive(Debug, Default)]
struct Ids {
    /// The last one given; 0 is never given.
    last: u32,
    /// The last one that was given when somebody asked for changes: those above are known to nobody.
    told: u32,
    /// Defined since then.
    defined: BTreeSet<u32>,
    /// Retired since then.
    retired: BTreeSet<u32>,
}

impl Ids {
    fn give(&mut self) -> Option<u32> {
        self.last = Some(self.last + 1).filter(|id| *id <= MAX_ID)?;
        self.defined.insert(self.last);
        Some(self.last)
    }

    fn retire(&mut self, id: u32) {
        self.defined.remove(&id);
        if id <= self.told {
            self.retired.insert(id);
        }
    }

    fn take(&mut self) -> (BTreeSet<u32>, BTreeSet<u32>) {
        self.told = self.last;
        (std::mem::take(&mut self.defined), std::mem::take(&mut self.retired))
    }
}

impl Books {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            generation: 0,
            sources: Ids::default(),
            series: Ids::default(),
            components: Ids::default(),
            series_len: 0,
            dropped: 0,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn series_len(&self) -> usize {
        self.series_len
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts a sample that goes nowhere.
    pub(super) fn drop_sample(&mut self) {
        self.dropped += 1;
    }

    /// Whether one more series may be defined.
    pub(super) fn has_room(&self) -> bool {
        self.series_len < self.limits.series && self.series.last < MAX_ID
    }

    pub(super) fn new_source(&mut self, defined: usize) -> Result<u32, CatalogFull> {
        let room = defined < self.limits.sources;
        let id = room.then(|| self.sources.give()).flatten().ok_or(CatalogFull::Sources)?;
        self.generation += 1;
        Ok(id)
    }

    pub(super) fn new_component(&mut self, defined: usize) -> Result<u32, CatalogFull> {
        let room = defined < self.limits.components;
        let id = room.then(|| self.components.give()).flatten().ok_or(CatalogFull::Components)?;
        self.generation += 1;
        Ok(id)
    }

    pub(super) fn new_series(&mut self) -> Option<u32> {
        let id = self.has_room().then(|| self.series.give()).flatten()?;
        self.series_len += 1;
        self.generation += 1;
        Some(id)
    }

    pub(super) fn define_source(&mut self, id: u32) {
        self.sources.defined.insert(id);
        self.generation += 1;
    }

    pub(super) fn define_series(&mut self, id: u32) {
        self.series.defined.insert(id);
        self.generation += 1;
    }

    pub(super) fn define_component(&mut self, id: u32) {
        self.components.defined.insert(id);
        self.generation += 1;
    }

    pub(super) fn retire_source(&mut self, id: u32) {
        self.sources.retire(id);
        self.generation += 1;
    }

    pub(super) fn retire_series(&mut self, id: u32) {
        self.series.retire(id);
        self.series_len -= 1;
        self.generation += 1;
    }

    pub(super) fn retire_component(&mut self, id: u32) {
        self.components.retire(id);
        self.generation += 1;
    }

    pub(super) fn take_changes(&mut self) -> Changes {
        let (sources, retired_sources) = self.sources.take();
        let (series, retired_series) = self.series.take();
        let (components, retired_components) = self.components.take();
        let retired =
            Retired { sources: retired_sources, series: retired_series, components: retired_components };
        Changes { sources, series, components, retired }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_unseen_is_not_told() {
        let mut books = Books::new(Limits::default());
        let (a, b) = (books.new_series().unwrap(), books.new_series().unwrap());
        assert_eq!(books.take_changes().series, BTreeSet::from([a, b]));
        let c = books.new_series().unwrap();
        books.retire_series(c);
        books.define_series(a);
        books.retire_series(a);
        let changes = books.take_changes();
        assert_eq!((changes.series, changes.retired.series), (BTreeSet::new(), BTreeSet::from([a])));
        assert_eq!(books.take_changes(), Changes::default());
        assert_eq!(books.series_len(), 1);
    }

    #[test]
    fn when_all_ids_are_given_nothing_more_is_defined() {
        let mut books = Books::new(Limits::default());
        books.series.last = MAX_ID - 1;
        assert_eq!(books.new_series(), Some(MAX_ID));
        assert_eq!(books.new_series(), None);
        books.sources.last = MAX_ID;
        assert_eq!(books.new_source(0), Err(CatalogFull::Sources));
        assert_eq!((books.series.last, books.series_len()), (MAX_ID, 1));
    }
}
