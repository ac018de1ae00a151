//! What may be defined, and what is refused by id.

use super::*;
use farol_wire::SeriesType;

const LIMITS: Limits = Limits { max_series: 3, max_components: 2, max_message_bytes: 1 << 20 };

fn source(id: u32) -> SourceDef {
    SourceDef { id, name: format!("s{id}"), interval_ms: 1_000 }
}

fn series(id: u32, source: u32) -> SeriesDef {
    SeriesDef {
        id,
        source,
        name: format!("m{id}"),
        labels: BTreeMap::new(),
        kind: SeriesType::Gauge,
        encoding: (1, 0),
        unit: String::new(),
    }
}

fn component(id: u32, name: &str) -> ComponentDef {
    ComponentDef {
        id,
        service: "shop".into(),
        name: name.into(),
        required: true,
        readiness: false,
        ttl_ms: 1_000,
        kind: "tcp".into(),
        labels: BTreeMap::new(),
    }
}

/// Two sources, each with a series, and two components.
fn set() -> DefinedSet {
    let mut set = DefinedSet::default();
    let definition = Definition {
        sources: vec![source(1), source(2)],
        series: vec![series(1, 1), series(2, 2)],
        components: vec![component(1, "database"), component(2, "cache")],
    };
    assert_eq!(set.add(definition, Vec::new(), &LIMITS), Ok(Vec::new()));
    set
}

fn add_series(set: &mut DefinedSet, entry: SeriesDef) -> String {
    let definition = Definition { series: vec![entry], ..Definition::default() };
    match set.add(definition, Vec::new(), &LIMITS).unwrap().as_slice() {
        [] => "taken".into(),
        [Refused::Series { why, .. }] => why.clone(),
        other => panic!("{other:?}"),
    }
}

fn add_component(set: &mut DefinedSet, entry: ComponentDef) -> String {
    let definition = Definition { components: vec![entry], ..Definition::default() };
    match set.add(definition, Vec::new(), &LIMITS).unwrap().as_slice() {
        [] => "taken".into(),
        [Refused::Component { why, .. }] => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_id_means_one_series_for_ever() {
    let other = [
        SeriesDef { name: "n".into(), ..series(1, 1) },
        SeriesDef { kind: SeriesType::Counter, ..series(1, 1) },
        SeriesDef { source: 2, ..series(1, 1) },
        SeriesDef { labels: [("a".into(), "b".into())].into(), ..series(1, 1) },
        SeriesDef { unit: "bytes".into(), ..series(1, 1) },
    ];
    for changed in other {
        assert!(add_series(&mut set(), changed).contains("a changed series is a new id"));
    }
    let mut set = set();
    assert_eq!(add_series(&mut set, SeriesDef { encoding: (3, 0), ..series(1, 1) }), "taken", "wider");
    set.retire(&[1], &[], &[]).unwrap();
    assert!(add_series(&mut set, series(1, 1)).contains("retired"));
}

#[test]
fn an_id_means_one_component_for_ever() {
    let mut set = set();
    assert!(add_component(&mut set, component(1, "other")).contains("shop/database"));
    assert_eq!(add_component(&mut set, ComponentDef { ttl_ms: 5, ..component(2, "cache") }), "taken");
    set.retire(&[], &[2], &[]).unwrap();
    assert!(add_component(&mut set, component(2, "cache")).contains("retired"));
    assert_eq!(add_component(&mut set, component(3, "cache")), "taken");
    assert!(add_component(&mut set, component(4, "queue")).contains("more than 2 components"));
}

#[test]
fn a_source_keeps_its_name_and_takes_its_series_with_it() {
    let mut set = set();
    let again = |source| Definition { sources: vec![source], ..Definition::default() };
    let renamed = SourceDef { name: "x".into(), ..source(1) };
    assert!(set.add(again(renamed), Vec::new(), &LIMITS).unwrap_err().to_string().contains("s1 already"));
    set.retire(&[], &[], &[1]).unwrap();
    assert!(set.add(again(source(1)), Vec::new(), &LIMITS).unwrap_err().to_string().contains("retired"));
    assert!(add_series(&mut set, series(1, 2)).contains("retired"));
}

#[test]
fn a_source_with_a_refused_series_is_mute_until_the_series_is_retired() {
    let mut set = set();
    add_series(&mut set, SeriesDef { encoding: (99, 0), ..series(7, 2) });
    assert!(set.is_muted(2) && !set.is_muted(1));
    set.retire(&[7], &[], &[]).unwrap();
    assert!(!set.is_muted(2));
    // The id was the first source's, the second one claims it: both are unclear.
    add_series(&mut set, SeriesDef { source: 2, ..series(1, 1) });
    assert!(set.is_muted(1) && set.is_muted(2));
}

#[test]
fn a_refused_component_is_known_as_such_until_it_is_retired() {
    let mut set = set();
    add_component(&mut set, component(3, "queue"));
    assert!(set.is_refused(3) && set.has_refused_components() && !set.has_component(3));
    set.retire(&[], &[3], &[]).unwrap();
    assert!(!set.is_refused(3) && !set.has_refused_components());
}

#[test]
fn long_labels_are_refused_before_they_take_up_too_much() {
    let long = |id| SeriesDef {
        labels: [("a".into(), "x".repeat(1_024)), ("b".into(), "y".repeat(1_024))].into(),
        ..series(id, 1)
    };
    let mut set = DefinedSet::default();
    let definition = Definition { sources: vec![source(1)], ..Definition::default() };
    set.add(definition, Vec::new(), &LIMITS).unwrap();
    assert_eq!(add_series(&mut set, long(1)), "taken");
    assert_eq!(add_series(&mut set, long(2)), "taken");
    assert!(add_series(&mut set, long(3)).contains("shorter labels"));
    set.retire(&[1], &[], &[]).unwrap();
    assert_eq!(add_series(&mut set, long(4)), "taken", "what is retired makes room");
}

#[test]
fn a_set_that_is_settled_is_the_same_set_and_goes_on_to_change() {
    let mut set = set();
    let (before, bytes) = (set.layout(), set.bytes);
    let layout = crate::store::Layout { key: crate::store::LayoutKey(1), set: before.clone() };
    set.settle(Arc::new(Compiled::new(Arc::new(layout))));
    assert_eq!(set.layout(), before);
    assert!(set.sources.is_empty() && set.series.is_empty(), "the layout holds them");
    let other = SeriesDef { name: "other".into(), ..series(1, 1) };
    assert!(add_series(&mut set, other).contains("id 1 is m1 already"));
    set.retire(&[1], &[], &[]).unwrap();
    assert_eq!(set.layout().series, before.series[1..]);
    assert!(set.bytes < bytes);
}
