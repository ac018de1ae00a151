//! The defined set: sources, series and components. A bad entry is refused by its id, so that the rest lives.

use super::{Invalid, labels, metric_name_is_valid, name_is_valid};
use crate::limits::MAX_ID;
use crate::proto;
use std::collections::BTreeMap;

/// What a Define adds, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definition {
    /// What ticks.
    pub sources: Vec<SourceDef>,
    /// What is measured.
    pub series: Vec<SeriesDef>,
    /// What has a status.
    pub components: Vec<ComponentDef>,
}

/// Something that ticks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceDef {
    /// Its id on the stream.
    pub id: u32,
    /// Its name, for people.
    pub name: String,
    /// How often it ticks.
    pub interval_ms: u32,
}

/// How a series moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeriesType {
    /// Up and down.
    Gauge,
    /// Only up, until its source restarts.
    Counter,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeriesDef {
    /// Its id on the stream.
    pub id: u32,
    /// The source that carries it.
    pub source: u32,
    /// Its name in Prometheus style.
    pub name: String,
    /// What tells it from others of the same name.
    pub labels: BTreeMap<String, String>,
    /// How it moves.
    pub kind: SeriesType,
    /// Kind and digits as farol-series numbers them.
    pub encoding: (u32, u32),
    /// What it counts; may be empty.
    pub unit: String,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ComponentDef {
    /// Its id on the stream.
    pub id: u32,
    /// Its service, without the agent's scope.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Whether the instance depends on it.
    pub required: bool,
    /// Whether readiness asks it.
    pub readiness: bool,
    /// A status older than this is stale.
    pub ttl_ms: u32,
    /// The kind of its check.
    pub kind: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// An entry of a Define that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A series.
    Series {
        /// Its id.
        id: u32,
        /// The source whose blocks carry it.
        source: u32,
        /// Why.
        why: String,
    },
    /// A component.
    Component {
        /// Its id.
        id: u32,
        /// Why.
        why: String,
    },
}

/// Checks a Define. Bad series and components are refused one by one; a bad source is an error of the whole
/// message, because its blocks could not be told apart.
pub fn define(message: proto::Define) -> Result<(Definition, Vec<Refused>), Invalid> {
    let mut taken = Definition::default();
    let mut refused = Vec::new();
    for source in message.sources {
        if !id_is_valid(source.id) || !name_is_valid(&source.name) {
            return Err(Invalid::new(format!(
                "source {} has the name {:.60?}; ids are 1 to {MAX_ID}, names [A-Za-z0-9._-]{{1,128}}",
                source.id, source.name
            )));
        }
        taken.sources.push(SourceDef { id: source.id, name: source.name, interval_ms: source.interval_ms });
    }
    for entry in message.series {
        let (id, source) = (entry.id, entry.source);
        match SeriesDef::try_from(entry) {
            Ok(series) => taken.series.push(series),
            Err(why) => refused.push(Refused::Series { id, source, why: why.to_string() }),
        }
    }
    for entry in message.components {
        let id = entry.id;
        match ComponentDef::try_from(entry) {
            Ok(component) => taken.components.push(component),
            Err(why) => refused.push(Refused::Component { id, why: why.to_string() }),
        }
    }
    Ok((taken, refused))
}

fn id_is_valid(id: u32) -> bool {
    (1..=MAX_ID).contains(&id)
}

impl TryFrom<proto::Series> for SeriesDef {
    type Error = Invalid;

    fn try_from(entry: proto::Series) -> Result<Self, Invalid> {
        if !id_is_valid(entry.id) {
            return Err(Invalid::new(format!("series id {} is not in 1 to {MAX_ID}", entry.id)));
        }
        if !metric_name_is_valid(&entry.name) {
            return Err(Invalid::new(format!("{:.60?} is not a metric name", entry.name)));
        }
        if entry.unit.len() > 64 {
            return Err(Invalid::new("the unit has more than 64 bytes"));
        }
        let kind = match entry.r#type {
            1 => SeriesType::Gauge,
            2 => SeriesType::Counter,
            other => return Err(Invalid::new(format!("unknown series type {other}"))),
        };
        Ok(Self {
            id: entry.id,
            source: entry.source,
            name: entry.name,
            labels: labels(entry.labels)?,
            kind,
            encoding: (entry.encoding, entry.digits),
            unit: entry.unit,
        })
    }
}

impl TryFrom<proto::Component> for ComponentDef {
    type Error = Invalid;

    fn try_from(entry: proto::Component) -> Result<Self, Invalid> {
        if !id_is_valid(entry.id) {
            return Err(Invalid::new(format!("component id {} is not in 1 to {MAX_ID}", entry.id)));
        }
        for name in [&entry.service, &entry.name] {
            if !name_is_valid(name) {
                return Err(Invalid::new(format!("{name:.60?} is not a name; use [A-Za-z0-9._-]{{1,128}}")));
            }
        }
        if entry.kind.len() > 64 {
            return Err(Invalid::new("the kind has more than 64 bytes"));
        }
        if entry.ttl_ms == 0 {
            return Err(Invalid::new(format!("component {} has no ttl", entry.name)));
        }
        Ok(Self {
            id: entry.id,
            service: entry.service,
            name: entry.name,
            required: entry.required,
            readiness: entry.readiness,
            ttl_ms: entry.ttl_ms,
            kind: entry.kind,
            labels: labels(entry.labels)?,
        })
    }
}

impl From<&Definition> for proto::Define {
    fn from(set: &Definition) -> Self {
        Self {
            sources: set.sources.iter().map(Into::into).collect(),
            series: set.series.iter().map(Into::into).collect(),
            components: set.components.iter().map(Into::into).collect(),
        }
    }
}

impl From<&SourceDef> for proto::Source {
    fn from(source: &SourceDef) -> Self {
        Self { id: source.id, name: source.name.clone(), interval_ms: source.interval_ms }
    }
}

impl From<&SeriesDef> for proto::Series {
    fn from(series: &SeriesDef) -> Self {
        Self {
            id: series.id,
            source: series.source,
            name: series.name.clone(),
            labels: series.labels.clone().into_iter().collect(),
            r#type: match series.kind {
                SeriesType::Gauge => 1,
                SeriesType::Counter => 2,
            },
            encoding: series.encoding.0,
            digits: series.encoding.1,
            unit: series.unit.clone(),
        }
    }
}

impl From<&ComponentDef> for proto::Component {
    fn from(component: &ComponentDef) -> Self {
        Self {
            id: component.id,
            service: component.service.clone(),
            name: component.name.clone(),
            required: component.required,
            readiness: component.readiness,
            ttl_ms: component.ttl_ms,
            kind: component.kind.clone(),
            labels: component.labels.clone().into_iter().collect(),
        }
    }
}
