//! What this agent has to tell: its sources, their series and the components, each with the id that the wire uses.
//! Decides ids, the order of a source's series, how each is encoded, and when a series ends. Pure: it reads no
//! clock and sends nothing.
//!
//! An id is given once and never again, ids rise. Whatever changes the defined set moves [`Catalog::generation`]:
//! the stream then begins a new segment, with all that is defined and a key frame.

mod changes;
mod component;
mod figures;
mod limits;
mod series;
mod source;
#[cfg(test)]
mod tests;

pub use changes::{Changes, Retired};
pub use component::{Component, ComponentIds};
pub use figures::CheckSeries;
pub use limits::{CatalogFull, Limits, NoSuchSource};
pub use series::{Row, Sample, Series};
pub use source::{Column, Source};

use changes::Books;
use std::collections::BTreeMap;

/// The defined set of one agent.
#[derive(Debug)]
pub struct Catalog {
    /// By id, so that they come in the order in which they were defined.
    sources: BTreeMap<u32, Source>,
    /// By id; their order is that of the bits in a report.
    components: BTreeMap<u32, Component>,
    /// The source of each component's check, by the component's id.
    checks: BTreeMap<u32, u32>,
    /// What all sources share: ids, limits and the changes nobody has taken yet.
    books: Books,
}

/// One tick of one source, ready to be encoded.
#[derive(Debug, PartialEq)]
pub struct Tick<'a> {
    /// A value for each of the source's series, in the order of their ids; `None` for what is absent.
    pub values: &'a [Option<f64>],
    /// Whether the defined set changed with this tick: the values then belong to a new segment.
    pub changed: bool,
}

impl Catalog {
    /// Nothing is defined yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            sources: BTreeMap::new(),
            components: BTreeMap::new(),
            checks: BTreeMap::new(),
            books: Books::new(limits),
        }
    }

    /// Moves with every change of the defined set.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.books.generation()
    }

    /// The source of this name; a new one if there is none.
    ///
    /// # Errors
    /// There are as many sources as there may be.
    pub fn add_source(&mut self, name: &str, interval_ms: u32) -> Result<u32, CatalogFull> {
        if let Some((id, source)) = self.sources.iter_mut().find(|(_, source)| source.name() == name) {
            if source.set_interval(interval_ms) {
                self.books.define_source(*id);
            }
            return Ok(*id);
        }
        let id = self.books.new_source(self.sources.len())?;
        self.sources.insert(id, Source::new(id, name, interval_ms));
        Ok(id)
    }

    /// Retires a source and its series. One that does not exist is none of our business.
    pub fn remove_source(&mut self, id: u32) {
        if let Some(source) = self.sources.remove(&id) {
            source.retire(&mut self.books);
        }
    }

    /// The component of this service and name with the source of its check (`check:<name>`); new ones if there are
    /// none. Where anything but service and name differs, the component is defined again under its id; one that moved
    /// to another service is another component.
    ///
    /// # Errors
    /// There are as many components as there may be.
    pub fn add_component(
        &mut self,
        component: Component,
        interval_ms: u32,
    ) -> Result<ComponentIds, CatalogFull> {
        let known = self.components.iter_mut().find(|(_, known)| known.is_same(&component));
        if let Some((id, known)) = known {
            let id = *id;
            if *known != component {
                *known = component;
                self.books.define_component(id);
            }
            let source = self.checks.get(&id).copied().ok_or(CatalogFull::Sources)?;
            if self.sources.get_mut(&source).is_some_and(|source| source.set_interval(interval_ms)) {
                self.books.define_source(source);
            }
            return Ok(ComponentIds { component: id, source });
        }
        // An agent's checks have names of their own: one of this name in another service has moved.
        let moved = self.components.iter().find(|(_, known)| known.name == component.name).map(|(id, _)| *id);
        if let Some(moved) = moved {
            self.remove_component(moved);
        }
        let source = self.add_source(&format!("check:{}", component.name), interval_ms)?;
        let id = match self.books.new_component(self.components.len()) {
            Ok(id) => id,
            Err(full) => {
                self.remove_source(source);
                return Err(full);
            }
        };
        self.components.insert(id, component);
        self.checks.insert(id, source);
        Ok(ComponentIds { component: id, source })
    }

    /// Retires a component with its check's source and series.
    pub fn remove_component(&mut self, id: u32) {
        if self.components.remove(&id).is_some() {
            self.books.retire_component(id);
        }
        if let Some(source) = self.checks.remove(&id) {
            self.remove_source(source);
        }
    }

    /// Puts a tick's samples into the order of the source's series. Series seen for the first time are defined,
    /// values that do not fit widen their series, and what was absent for too long is retired.
    ///
    /// # Errors
    /// The source is not defined (it may have been removed meanwhile): drop the samples.
    pub fn row(&mut self, source: u32, samples: &[Sample]) -> Result<Tick<'_>, NoSuchSource> {
        let before = self.books.generation();
        let source = self.sources.get_mut(&source).ok_or(NoSuchSource(source))?;
        let values = source.row(samples, &mut self.books);
        Ok(Tick { values, changed: self.books.generation() != before })
    }

    /// Widens a source's series until they hold these values too. An encoding with more digits does not hold every
    /// value that the one before held, so rows that still wait are asked again when the set changes.
    pub fn hold(&mut self, source: u32, values: &[Option<f64>]) {
        if let Some(source) = self.sources.get_mut(&source) {
            source.hold(values, &mut self.books);
        }
    }

    /// Keeps to other limits: the newest series that are over are refused. The components that are over come back,
    /// the newest first; they are still defined.
    pub fn limit(&mut self, limits: Limits) -> Vec<u32> {
        let mut series: Vec<u32> = self.sources().flat_map(|s| s.columns().iter().map(Column::id)).collect();
        if series.len() > limits.series {
            series.sort_unstable();
            self.refuse(&series[limits.series..]);
        }
        self.books.set_limits(limits);
        let over = self.components.len().saturating_sub(limits.components);
        let sources_over = self.sources.len().saturating_sub(limits.sources);
        self.components.keys().rev().take(over.max(sources_over)).copied().collect()
    }

    /// The monitor does not take these series: they are retired and their samples dropped until
    /// [`Catalog::forget_refusals`].
    pub fn refuse(&mut self, series: &[u32]) {
        for source in self.sources.values_mut() {
            source.refuse(series, &mut self.books);
        }
    }

    /// What was refused may be taken now: what is still measured is defined anew.
    pub fn forget_refusals(&mut self) {
        self.sources.values_mut().for_each(Source::forget_refusals);
    }

    /// The sources, in the order of their ids.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.values()
    }

    /// The source of this id.
    #[must_use]
    pub fn source(&self, id: u32) -> Option<&Source> {
        self.sources.get(&id)
    }

    /// The components with their ids, in the order of these.
    pub fn components(&self) -> impl Iterator<Item = (u32, &Component)> {
        self.components.iter().map(|(id, component)| (*id, component))
    }

    /// The component of this id.
    #[must_use]
    pub fn component(&self, id: u32) -> Option<&Component> {
        self.components.get(&id)
    }

    /// How many components have smaller ids: the bit of this one in a report.
    #[must_use]
    pub fn component_index(&self, id: u32) -> Option<usize> {
        self.components.contains_key(&id).then(|| self.components.range(..id).count())
    }

    /// How many series are defined.
    #[must_use]
    pub fn series_len(&self) -> usize {
        self.books.series_len()
    }

    /// Samples dropped since the start: over the limit, refused, twice in a tick, or badly named.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.books.dropped()
    }

    /// What has been defined and retired since this was last asked. Whoever sends the whole set asks too, and
    /// throws the answer away.
    pub fn take_changes(&mut self) -> Changes {
        self.books.take_changes()
    }
}
