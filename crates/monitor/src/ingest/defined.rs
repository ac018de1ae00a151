//! The set an agent has defined on its stream. Keeps the limits and the rule that an id means one thing for ever;
//! refuses what breaks them by id. What a refusal means for later messages is asked here and decided in `protocol`.

mod weight;

use super::ids::{IdSet, TooScattered};
use crate::fleet::Compiled;
use farol_series::Encoding;
use farol_wire::{ComponentDef, Definition, Invalid, Limits, Refused, SeriesDef, SourceDef};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything defined on a stream, by id.
#[derive(Debug, Default)]
pub(crate) struct DefinedSet {
    sources: BTreeMap<u32, SourceDef>,
    series: BTreeMap<u32, SeriesDef>,
    /// The sources and series where they stand now, while nothing changes: agents that define the same share them.
    settled: Option<Arc<Compiled>>,
    components: BTreeMap<u32, ComponentDef>,
    /// Ids given up: they are never reused.
    retired: Ids,
    /// Ids refused, which the agent may still use until it has heard of it and retires them.
    refused: Ids,
    /// Sources with series that were refused: nobody can tell their blocks' parts apart until these are retired.
    muted: IdSet,
    /// What the definitions take up: names and labels are a stranger's, too.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Ids {
    sources: IdSet,
    series: IdSet,
    components: IdSet,
}

impl DefinedSet {
    /// Adds what a Define says. The entries that are not taken come back with a reason each; `refused` holds those
    /// that were not taken before.
    pub(crate) fn add(
        &mut self,
        definition: Definition,
        mut refused: Vec<Refused>,
        limits: &Limits,
    ) -> Result<Vec<Refused>, Invalid> {
        self.unsettle();
        for source in definition.sources {
            self.source_fits(&source, limits)?;
            self.sources.insert(source.id, source);
        }
        for series in definition.series {
            let weight = weight::of_series(&series);
            match self.series_fits(&series, weight, limits) {
                Ok(()) => {
                    let before = self.series.get(&series.id).map_or(0, weight::of_series);
                    self.bytes = self.bytes + weight - before;
                    self.series.insert(series.id, series);
                }
                Err(why) => refused.push(Refused::Series { id: series.id, source: series.source, why }),
            }
        }
        for component in definition.components {
            let weight = weight::of_component(&component);
            match self.component_fits(&component, weight, limits) {
                Ok(()) => {
                    let before = self.components.get(&component.id).map_or(0, weight::of_component);
                    self.bytes = self.bytes + weight - before;
                    self.components.insert(component.id, component);
                }
                Err(why) => refused.push(Refused::Component { id: component.id, why }),
            }
        }
        self.note(&refused)?;
        Ok(refused)
    }

    fn note(&mut self, refused: &[Refused]) -> Result<(), Invalid> {
        for entry in refused {
            match entry {
                Refused::Series { id, source, .. } => {
                    self.refused.series.insert(*id)?;
                    self.muted.insert(*source)?;
                    // The id may be another source's: then its blocks are no longer clear either.
                    if let Some(known) = self.series.get(id) {
                        self.muted.insert(known.source)?;
                    }
                }
                Refused::Component { id, .. } => self.refused.components.insert(*id)?,
            }
        }
        Ok(())
    }

    fn source_fits(&self, source: &SourceDef, limits: &Limits) -> Result<(), Invalid> {
        if self.retired.sources.contains(source.id) {
            return Err(Invalid::new(format!("source {} was retired; ids are not reused", source.id)));
        }
        match self.sources.get(&source.id) {
            Some(known) if known.name != source.name => Err(Invalid::new(format!(
                "source {} is {} already; another source is a new id",
                source.id, known.name
            ))),
            None if self.sources.len() >= limits.max_components => {
                Err(Invalid::new(format!("more than {} sources", limits.max_components)))
            }
            _ => Ok(()),
        }
    }

    fn series_fits(&self, series: &SeriesDef, weight: usize, limits: &Limits) -> Result<(), String> {
        if !self.sources.contains_key(&series.source) {
            return Err(format!("source {} is not defined", series.source));
        }
        let (kind, digits) = series.encoding;
        if Encoding::from_wire(kind, digits).is_err() {
            return Err(format!("unknown encoding {kind} with {digits} digits"));
        }
        if self.retired.series.contains(series.id) {
            return Err(format!("id {} was retired and is not reused", series.id));
        }
        match self.series.get(&series.id) {
            Some(known) if !is_the_same(known, series) => {
                Err(format!("id {} is {} already; a changed series is a new id", series.id, known.name))
            }
            Some(_) => Ok(()),
            None if self.series.len() >= limits.max_series => {
                Err(format!("more than {} series", limits.max_series))
            }
            None => weight::fits(self.bytes + weight, limits),
        }
    }

    fn component_fits(&self, component: &ComponentDef, weight: usize, limits: &Limits) -> Result<(), String> {
        if self.retired.components.contains(component.id) {
            return Err(format!("id {} was retired and is not reused", component.id));
        }
        match self.components.get(&component.id) {
            Some(known) if known.service != component.service || known.name != component.name => {
                Err(format!(
                    "id {} is {}/{} already; another component is a new id",
                    component.id, known.service, known.name
                ))
            }
            Some(known) => weight::fits(self.bytes + weight - weight::of_component(known), limits),
            None if self.components.len() >= limits.max_components => {
                Err(format!("more than {} components", limits.max_components))
            }
            None => weight::fits(self.bytes + weight, limits),
        }
    }

    /// Takes ids out. They are never taken in again.
    pub(crate) fn retire(
        &mut self,
        series: &[u32],
        components: &[u32],
        sources: &[u32],
    ) -> Result<(), Invalid> {
        self.unsettle();
        for id in series {
            self.refused.series.remove(*id);
            if let Some(known) = self.series.remove(id) {
                self.bytes -= weight::of_series(&known);
                self.retired.series.insert(*id)?;
            }
        }
        for id in components {
            self.refused.components.remove(*id);
            if let Some(known) = self.components.remove(id) {
                self.bytes -= weight::of_component(&known);
                self.retired.components.insert(*id)?;
            }
        }
        for id in sources {
            if self.sources.remove(id).is_some() {
                self.retired.sources.insert(*id)?;
                self.retire_series_of(*id)?;
            }
            self.muted.remove(*id);
        }
        if self.refused.series.is_empty() {
            self.muted = IdSet::default();
        }
        Ok(())
    }

    fn retire_series_of(&mut self, source: u32) -> Result<(), Invalid> {
        let ids: Vec<u32> = self.series.values().filter(|s| s.source == source).map(|s| s.id).collect();
        self.retire(&ids, &[], &[])
    }

    /// Whether the blocks of this source cannot be read because some of its series were refused.
    pub(crate) fn is_muted(&self, source: u32) -> bool {
        self.muted.contains(source)
    }

    /// Whether this component was refused, and the agent has not retired it yet.
    pub(crate) fn is_refused(&self, component: u32) -> bool {
        self.refused.components.contains(component)
    }

    /// Whether any component was refused: the agent counts it among the bits of its reports until it retires it.
    pub(crate) fn has_refused_components(&self) -> bool {
        !self.refused.components.is_empty()
    }

    /// Nothing more is to be said about the sources and series for now: this layout was made of them.
    pub(crate) fn settle(&mut self, layout: Arc<Compiled>) {
        self.sources = BTreeMap::new();
        self.series = BTreeMap::new();
        self.settled = Some(layout);
    }

    /// They are about to change.
    fn unsettle(&mut self) {
        if let Some(settled) = self.settled.take() {
            let set = settled.layout.set.clone();
            self.sources = set.sources.into_iter().map(|source| (source.id, source)).collect();
            self.series = set.series.into_iter().map(|series| (series.id, series)).collect();
        }
    }

    /// The sources and series, in the order of their ids.
    pub(crate) fn layout(&self) -> Definition {
        if let Some(settled) = &self.settled {
            return settled.layout.set.clone();
        }
        Definition {
            sources: self.sources.values().cloned().collect(),
            series: self.series.values().cloned().collect(),
            components: Vec::new(),
        }
    }

    /// The components, in the order of their ids.
    pub(crate) fn components(&self) -> Vec<ComponentDef> {
        self.components.values().cloned().collect()
    }

    pub(crate) fn components_len(&self) -> usize {
        self.components.len()
    }

    pub(crate) fn has_component(&self, id: u32) -> bool {
        self.components.contains_key(&id)
    }

    pub(crate) fn component(&self, id: u32) -> Option<&ComponentDef> {
        self.components.get(&id)
    }
}

/// Only the encoding may change under an id.
fn is_the_same(known: &SeriesDef, series: &SeriesDef) -> bool {
    known.name == series.name
        && known.kind == series.kind
        && known.source == series.source
        && known.labels == series.labels
        && known.unit == series.unit
}

impl From<TooScattered> for Invalid {
    fn from(_: TooScattered) -> Self {
        Self::new("the ids lie too far apart to be remembered; connect anew and count from 1")
    }
}

#[cfg(test)]
mod tests;
