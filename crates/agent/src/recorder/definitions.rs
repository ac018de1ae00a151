//! The catalog as the wire has it: whole, or what changed, in messages of bounded length. Decides the words; ids and
//! order are the catalog's.

use crate::catalog::{Catalog, Changes, Column, Source};
use farol_health::{Kind, Unit};
use farol_wire::proto::{self, Backlog, Define, Retire, Segment, agent_message};
use farol_wire::{ComponentDef, SeriesDef, SeriesType, SourceDef};
use prost::Message;

/// A Define is cut into pieces of this length.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// All that is defined.
pub(super) fn whole(catalog: &Catalog) -> Define {
    Define {
        sources: catalog.sources().map(source).collect(),
        series: catalog.sources().flat_map(|s| s.columns().iter().map(|c| series(s, c))).collect(),
        components: catalog.components().map(|(id, c)| component(id, c)).collect(),
    }
}

/// What changed: first what is no more, then what is new.
pub(super) fn changed(catalog: &Catalog, changes: &Changes) -> Vec<agent_message::Kind> {
    let mut messages = Vec::new();
    let retired = &changes.retired;
    if !(retired.series.is_empty() && retired.components.is_empty() && retired.sources.is_empty()) {
        messages.push(agent_message::Kind::Retire(Retire {
            series: retired.series.iter().copied().collect(),
            components: retired.components.iter().copied().collect(),
            sources: retired.sources.iter().copied().collect(),
        }));
    }
    let define = Define {
        sources: catalog.sources().filter(|s| changes.sources.contains(&s.id())).map(source).collect(),
        series: catalog
            .sources()
            .flat_map(|s| s.columns().iter().map(move |c| (s, c)))
            .filter(|(_, c)| changes.series.contains(&c.id()))
            .map(|(s, c)| series(s, c))
            .collect(),
        components: catalog
            .components()
            .filter(|(id, _)| changes.components.contains(id))
            .map(|(id, c)| component(id, c))
            .collect(),
    };
    messages.extend(pieces(define, CHUNK_BYTES).into_iter().map(agent_message::Kind::Define));
    messages
}

/// Segments of the backlog in messages of at most so many bytes: a set that is too long goes before its reports, in parts.
pub(super) fn backlog(segments: Vec<Segment>, most: usize) -> Vec<agent_message::Kind> {
    let message = |segments| agent_message::Kind::Backlog(Backlog { segments });
    let whole: usize = segments.iter().map(|segment| segment.encoded_len() + 6).sum();
    if whole <= most {
        return vec![message(segments)];
    }
    let mut messages = Vec::new();
    for mut segment in segments {
        let define = segment.define.take().unwrap_or_default();
        let part = |part| Segment { boot: segment.boot, define: Some(part), ..Segment::default() };
        messages.extend(pieces(define, most.min(CHUNK_BYTES)).into_iter().map(|p| message(vec![part(p)])));
        messages.push(message(vec![segment]));
    }
    messages
}

/// Cuts a Define: sources stand before the series that name them.
pub(super) fn pieces(define: Define, most: usize) -> Vec<Define> {
    let mut cut = Cut { most, done: Vec::new(), open: Define::default(), bytes: 0 };
    for source in define.sources {
        cut.room_for(source.encoded_len()).sources.push(source);
    }
    for series in define.series {
        cut.room_for(series.encoded_len()).series.push(series);
    }
    for component in define.components {
        cut.room_for(component.encoded_len()).components.push(component);
    }
    if cut.bytes > 0 {
        cut.done.push(cut.open);
    }
    cut.done
}

struct Cut {
    most: usize,
    done: Vec<Define>,
    open: Define,
    bytes: usize,
}

impl Cut {
    fn room_for(&mut self, bytes: usize) -> &mut Define {
        // Tag and length before each entry.
        let bytes = bytes + 6;
        if self.bytes > 0 && self.bytes + bytes > self.most {
            self.done.push(std::mem::take(&mut self.open));
            self.bytes = 0;
        }
        self.bytes += bytes;
        &mut self.open
    }
}

fn source(source: &Source) -> proto::Source {
    let def =
        SourceDef { id: source.id(), name: wire_name(source.name()), interval_ms: source.interval_ms() };
    (&def).into()
}

/// `check:database` is `check.database` on the wire, whose names have no colon and at most 128 bytes.
fn wire_name(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '.' };
    name.chars().take(128).map(legal).collect()
}

fn series(source: &Source, column: &Column) -> proto::Series {
    let series = column.series();
    let def = SeriesDef {
        id: column.id(),
        source: source.id(),
        name: series.name().to_owned(),
        labels: series.labels().iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        kind: match series.kind() {
            Kind::Gauge => SeriesType::Gauge,
            Kind::Counter => SeriesType::Counter,
        },
        encoding: column.encoding().to_wire(),
        unit: unit(series.unit()).to_owned(),
    };
    (&def).into()
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "",
        Unit::Percent => "percent",
        Unit::Bytes => "bytes",
        Unit::Seconds => "seconds",
    }
}

fn component(id: u32, component: &crate::catalog::Component) -> proto::Component {
    let def = ComponentDef {
        id,
        service: component.service.clone(),
        name: component.name.clone(),
        required: component.required,
        readiness: component.readiness,
        ttl_ms: component.ttl_ms.max(1),
        kind: component.kind.clone(),
        labels: component.labels.clone(),
    };
    (&def).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_define_is_cut_with_sources_first_and_nothing_is_lost() {
        let series = |id| proto::Series { id, source: 1, name: format!("series_{id}"), ..Default::default() };
        let component = |id| proto::Component { id, name: format!("c{id}"), ..Default::default() };
        let define = Define {
            sources: vec![proto::Source { id: 1, name: "system".into(), interval_ms: 10_000 }],
            series: (1..=500).map(series).collect(),
            components: (1..=50).map(component).collect(),
        };
        let pieces = pieces(define.clone(), 1_000);
        assert!(pieces.len() > 5);
        assert!(pieces.iter().all(|piece| piece.encoded_len() <= 1_000));
        assert_eq!(pieces[0].sources.len(), 1);
        let mut whole = Define::default();
        for piece in pieces {
            whole.sources.extend(piece.sources);
            whole.series.extend(piece.series);
            whole.components.extend(piece.components);
        }
        assert_eq!(whole, define);
        assert!(super::pieces(Define::default(), 1_000).is_empty());
    }

    #[test]
    fn a_sources_name_is_one_the_wire_takes() {
        for name in
            ["system", "check:database", &format!("check:{}", "x".repeat(128)), "scrape http://a:9/b c"]
        {
            assert!(farol_wire::name_is_valid(&wire_name(name)), "{name}");
        }
    }
}
