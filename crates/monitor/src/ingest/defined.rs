//! The set an agent has defined on its stream. Keeps the limits; refuses what is over by id.

use farol_series::Encoding;
use farol_wire::{ComponentDef, Definition, Invalid, Limits, Refused, SeriesDef, SourceDef};
use std::collections::{BTreeMap, BTreeSet};

/// Everything defined on a stream, by id.
#[derive(Debug, Default)]
pub(crate) struct DefinedSet {
    sources: BTreeMap<u32, SourceDef>,
    series: BTreeMap<u32, SeriesDef>,
    components: BTreeMap<u32, ComponentDef>,
    /// Ids given up: they are never reused.
    retired: BTreeSet<u32>,
}

/// So many retired ids are remembered; a stream that retires more must connect anew.
const RETIRED_AT_MOST: usize = 100_000;

impl DefinedSet {
    /// Adds what a Define says. The entries that are not taken come back with a reason each.
    pub(crate) fn add(&mut self, definition: Definition, limits: &Limits) -> Result<Vec<Refused>, Invalid> {
        let mut refused = Vec::new();
        for source in definition.sources {
            if self.sources.len() >= limits.max_components && !self.sources.contains_key(&source.id) {
                return Err(Invalid::new(format!("more than {} sources", limits.max_components)));
            }
            self.sources.insert(source.id, source);
        }
        for series in definition.series {
            if let Err(why) = self.series_fits(&series, limits) {
                refused.push(Refused::Series(series.id, why));
            } else {
                self.series.insert(series.id, series);
            }
        }
        for component in definition.components {
            let over = self.components.len() >= limits.max_components;
            if over && !self.components.contains_key(&component.id) {
                let why = format!("more than {} components", limits.max_components);
                refused.push(Refused::Component(component.id, why));
            } else {
                self.components.insert(component.id, component);
            }
        }
        Ok(refused)
    }

    fn series_fits(&self, series: &SeriesDef, limits: &Limits) -> Result<(), String> {
        if !self.sources.contains_key(&series.source) {
            return Err(format!("source {} is not defined", series.source));
        }
        let (kind, digits) = series.encoding;
        if Encoding::from_wire(kind, digits).is_err() {
            return Err(format!("unknown encoding {kind} with {digits} digits"));
        }
        if self.retired.contains(&series.id) {
            return Err(format!("id {} was retired and is not reused", series.id));
        }
        match self.series.get(&series.id) {
            Some(known)
                if known.name != series.name
                    || known.kind != series.kind
                    || known.source != series.source =>
            {
                Err(format!("id {} is {} already; a changed series is a new id", series.id, known.name))
            }
            Some(_) => Ok(()),
            None if self.series.len() >= limits.max_series => {
                Err(format!("more than {} series", limits.max_series))
            }
            None => Ok(()),
        }
    }

    /// Takes ids out.
    pub(crate) fn retire(
        &mut self,
        series: &[u32],
        components: &[u32],
        sources: &[u32],
    ) -> Result<(), Invalid> {
        for id in series {
            if self.series.remove(id).is_some() {
                self.retired.insert(*id);
            }
        }
        if self.retired.len() > RETIRED_AT_MOST {
            return Err(Invalid::new(format!(
                "more than {RETIRED_AT_MOST} series retired on one stream; connect anew"
            )));
        }
        components.iter().for_each(|id| drop(self.components.remove(id)));
        for id in sources {
            self.sources.remove(id);
            self.series.retain(|_, s| s.source != *id);
        }
        Ok(())
    }

    /// The sources and series, in the order of their ids.
    pub(crate) fn layout(&self) -> Definition {
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

    pub(crate) fn has_component(&self, id: u32) -> bool {
        self.components.contains_key(&id)
    }

    pub(crate) fn component(&self, id: u32) -> Option<&ComponentDef> {
        self.components.get(&id)
    }
}
