//! The catalog: ids, encodings, limits, and rows that decode to what went in.

use super::*;
use farol_health::{Kind, Unit};
use farol_series::{Columns, Encoding};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn gauge(name: &'static str) -> Arc<Series> {
    Arc::new(Series::gauge(name, Unit::None))
}

fn sample(series: &Arc<Series>, value: f64) -> Sample {
    Sample { series: Arc::clone(series), value }
}

fn component(name: &str) -> Component {
    Component {
        service: "s".into(),
        name: name.into(),
        required: true,
        readiness: false,
        ttl_ms: 30_500,
        kind: "tcp".into(),
        labels: BTreeMap::new(),
    }
}

fn ids(catalog: &Catalog, source: u32) -> Vec<(u32, &str)> {
    let columns = catalog.source(source).unwrap().columns();
    columns.iter().map(|column| (column.id(), column.series().name())).collect()
}

#[test]
fn a_new_series_is_defined_behind_the_others_wherever_it_is_measured() {
    let mut catalog = Catalog::new(Limits::default());
    let source = catalog.add_source("system", 10_000).unwrap();
    let (a, b, c) = (gauge("a"), gauge("b"), gauge("c"));
    let tick = catalog.row(source, &[sample(&a, 1.0), sample(&c, 3.0)]).unwrap();
    assert_eq!(tick, Tick { values: &[Some(1.0), Some(3.0)], changed: true });
    let tick = catalog.row(source, &[sample(&a, 1.0), sample(&b, 2.0), sample(&c, 3.0)]).unwrap();
    assert_eq!(tick, Tick { values: &[Some(1.0), Some(3.0), Some(2.0)], changed: true });
    let tick = catalog.row(source, &[sample(&c, 9.0), sample(&a, 8.0)]).unwrap();
    assert_eq!(tick, Tick { values: &[Some(8.0), Some(9.0), None], changed: false });
    assert_eq!(ids(&catalog, source), [(1, "a"), (2, "c"), (3, "b")]);
}

#[test]
fn equal_series_are_one_though_they_were_made_twice() {
    let mut catalog = Catalog::new(Limits::default());
    let source = catalog.add_source("s", 1).unwrap();
    for tick in 0..3 {
        let changed =
            catalog.row(source, &[sample(&gauge("a"), 1.0), sample(&gauge("b"), 2.0)]).unwrap().changed;
        assert_eq!(changed, tick == 0);
    }
    assert_eq!(catalog.series_len(), 2);
}

#[test]
fn a_value_that_does_not_fit_widens_its_series_and_moves_the_generation() {
    let mut catalog = Catalog::new(Limits::default());
    let source = catalog.add_source("s", 1).unwrap();
    let (plain, rounded) = (gauge("plain"), Arc::new(Series::gauge("rounded", Unit::Percent).digits(2)));
    let steps = [
        ((1.0, 0.0), true, [Encoding::Integer, Encoding::Decimal(2)]),
        ((2.0, 12.34), false, [Encoding::Integer, Encoding::Decimal(2)]),
        ((0.5, 1.0), true, [Encoding::Decimal(1), Encoding::Decimal(2)]),
        ((f64::NAN, 1.0), true, [Encoding::Float, Encoding::Decimal(2)]),
        ((7.0, 99.99), false, [Encoding::Float, Encoding::Decimal(2)]),
    ];
    for ((first, second), changed, encodings) in steps {
        let tick = catalog.row(source, &[sample(&plain, first), sample(&rounded, second)]).unwrap();
        assert_eq!(tick.changed, changed, "{first} {second}");
        assert_eq!(catalog.source(source).unwrap().encodings(), encodings, "{first} {second}");
    }
    assert_eq!(ids(&catalog, source), [(1, "plain"), (2, "rounded")]);
    assert_eq!(catalog.take_changes().series, BTreeSet::from([1, 2]));
}

#[test]
fn a_series_absent_for_the_limit_of_ticks_is_retired_and_comes_back_under_another_id() {
    let mut catalog = Catalog::new(Limits { absent_ticks: 3, ..Limits::default() });
    let source = catalog.add_source("s", 1).unwrap();
    let (a, b) = (gauge("a"), gauge("b"));
    let both = [sample(&a, 1.0), sample(&b, 2.0)];
    catalog.row(source, &both).unwrap();
    catalog.take_changes();
    for expected in [false, false, true, false] {
        assert_eq!(catalog.row(source, &both[1..]).unwrap().changed, expected);
    }
    assert_eq!(ids(&catalog, source), [(2, "b")]);
    assert_eq!(catalog.take_changes().retired.series, BTreeSet::from([1]));
    assert_eq!(catalog.row(source, &both).unwrap(), Tick { values: &[Some(2.0), Some(1.0)], changed: true });
    assert_eq!(ids(&catalog, source), [(2, "b"), (3, "a")]);
}

#[test]
fn a_changed_type_is_a_new_id_and_two_types_at_once_do_not_take_turns() {
    let mut catalog = Catalog::new(Limits::default());
    let source = catalog.add_source("s", 1).unwrap();
    let (as_gauge, as_counter) = (gauge("a"), Arc::new(Series::counter("a", Unit::None)));
    catalog.row(source, &[sample(&as_gauge, 1.0), sample(&gauge("b"), 1.0)]).unwrap();
    let tick = catalog.row(source, &[sample(&as_counter, 2.0), sample(&gauge("b"), 1.0)]).unwrap();
    assert_eq!(tick, Tick { values: &[Some(1.0), Some(2.0)], changed: true });
    assert_eq!(ids(&catalog, source), [(2, "b"), (3, "a")]);
    assert_eq!(catalog.source(source).unwrap().columns()[1].series().kind(), Kind::Counter);
    let both = [sample(&as_counter, 2.0), sample(&as_gauge, 3.0)];
    for _ in 0..3 {
        let tick = catalog.row(source, &both).unwrap();
        assert_eq!(tick, Tick { values: &[None, Some(2.0)], changed: false });
    }
    assert_eq!(catalog.dropped(), 3);
}

#[test]
fn what_is_over_the_limit_is_dropped_and_counted_until_there_is_room() {
    let mut catalog = Catalog::new(Limits { series: 2, absent_ticks: 1, ..Limits::default() });
    let source = catalog.add_source("s", 1).unwrap();
    let all = [gauge("a"), gauge("b"), gauge("c")].map(|series| sample(&series, 1.0));
    for ticks in 1..=2 {
        assert_eq!(catalog.row(source, &all).unwrap().values, [Some(1.0), Some(1.0)]);
        assert_eq!(catalog.dropped(), ticks);
    }
    catalog.row(source, &all[1..]).unwrap();
    assert_eq!(ids(&catalog, source), [(2, "b")]);
    catalog.row(source, &all[1..]).unwrap();
    assert_eq!(ids(&catalog, source), [(2, "b"), (3, "c")]);
    let other = catalog.add_source("t", 1).unwrap();
    assert_eq!(catalog.row(other, &all[..1]).unwrap().values, []);
    assert_eq!(catalog.series_len(), 2);
}

#[test]
fn a_sample_twice_in_a_tick_or_badly_named_is_dropped() {
    let mut catalog = Catalog::new(Limits::default());
    let source = catalog.add_source("s", 1).unwrap();
    let (a, bad) = (gauge("a"), gauge("not allowed"));
    for ticks in 1..=2 {
        let tick = catalog.row(source, &[sample(&a, 1.0), sample(&bad, 5.0), sample(&a, 2.0)]).unwrap();
        assert_eq!(tick.values, [Some(1.0)]);
        assert_eq!(catalog.dropped(), ticks * 2);
    }
}

#[test]
fn what_a_monitor_refuses_stays_out_until_refusals_are_forgotten() {
    let mut catalog = Catalog::new(Limits::default());
    let source = catalog.add_source("s", 1).unwrap();
    let both = [gauge("a"), gauge("b")].map(|series| sample(&series, 1.0));
    catalog.row(source, &both).unwrap();
    let before = catalog.generation();
    catalog.refuse(&[1, 77]);
    assert!(catalog.generation() > before);
    assert_eq!(catalog.row(source, &both).unwrap(), Tick { values: &[Some(1.0)], changed: false });
    assert_eq!((ids(&catalog, source), catalog.dropped()), (vec![(2, "b")], 1));
    catalog.forget_refusals();
    assert!(catalog.row(source, &both).unwrap().changed);
    assert_eq!(ids(&catalog, source), [(2, "b"), (3, "a")]);
}

#[test]
fn components_keep_their_ids_and_take_their_series_along() {
    let mut catalog = Catalog::new(Limits { components: 2, ..Limits::default() });
    let first = catalog.add_component(component("db"), 5_000).unwrap();
    let second = catalog.add_component(component("cache"), 5_000).unwrap();
    assert_eq!(catalog.add_component(component("third"), 5_000), Err(CatalogFull::Components));
    assert_eq!(catalog.sources().count(), 2);
    assert_eq!(catalog.component_index(second.component), Some(1));
    catalog.row(first.source, &[sample(&gauge("a"), 1.0)]).unwrap();
    catalog.take_changes();

    let generation = catalog.generation();
    assert_eq!(catalog.add_component(component("db"), 5_000).unwrap(), first);
    assert_eq!(catalog.generation(), generation);
    let slower = Component { ttl_ms: 60_000, ..component("db") };
    assert_eq!(catalog.add_component(slower, 20_000).unwrap(), first);
    let changes = catalog.take_changes();
    assert_eq!(changes.components, BTreeSet::from([first.component]));
    assert_eq!(changes.sources, BTreeSet::from([first.source]));

    catalog.remove_component(first.component);
    let retired = catalog.take_changes().retired;
    assert_eq!(retired.components, BTreeSet::from([first.component]));
    assert_eq!((retired.sources.len(), retired.series.len(), catalog.series_len()), (1, 1, 0));
    assert_eq!(catalog.row(first.source, &[]), Err(NoSuchSource(first.source)));
    assert_eq!(catalog.component_index(second.component), Some(0));
    let again = catalog.add_component(component("db"), 5_000).unwrap();
    assert!(again.component > second.component && again.source > second.source);
}

#[test]
fn a_check_that_moves_to_another_service_is_another_component() {
    let mut catalog = Catalog::new(Limits { components: 1, ..Limits::default() });
    let before = catalog.add_component(component("db"), 5_000).unwrap();
    let after = catalog.add_component(Component { service: "t".into(), ..component("db") }, 5_000).unwrap();
    assert!(after.component > before.component && after.source > before.source);
    assert_eq!((catalog.components().count(), catalog.sources().count()), (1, 1));
}

/// What may happen to a catalog.
#[derive(Clone, Debug)]
enum Step {
    /// A tick of one of three sources: which of its series are measured, of what type, and their values.
    Tick(usize, Vec<(usize, bool, f64)>),
    /// One of the sources is removed and made anew.
    Replace(usize),
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i32>().prop_map(f64::from),
        any::<i32>().prop_map(|n| f64::from(n) / 100.0),
        any::<u64>().prop_map(f64::from_bits),
        Just(-0.0),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let samples = prop::collection::vec((0_usize..12, prop::bool::weighted(0.05), value()), 0..14);
    prop_oneof![
        12 => (0_usize..3, samples).prop_map(|(source, samples)| Step::Tick(source, samples)),
        1 => (0_usize..3).prop_map(Step::Replace),
    ]
}

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// Both ends of one source's blocks.
struct Ends {
    source: u32,
    generation: u64,
    encoder: Columns,
    decoder: Columns,
}

impl Ends {
    /// Encodes a tick as the stream does, decodes it, and holds the result against what went in.
    fn carry(&mut self, catalog: &mut Catalog, samples: &[Sample]) -> Result<(), TestCaseError> {
        let values = catalog.row(self.source, samples).unwrap().values.to_vec();
        let source = catalog.source(self.source).unwrap();
        if catalog.generation() != self.generation {
            self.encoder = Columns::new(source.encodings());
            self.decoder = Columns::new(source.encodings());
            self.generation = catalog.generation();
        }
        let mut block = Vec::new();
        self.encoder.encode(&values, &mut block).unwrap();
        self.decoder.apply(&block).unwrap();
        let mut first: BTreeMap<&str, &Sample> = BTreeMap::new();
        for sample in samples {
            first.entry(sample.series.name()).or_insert(sample);
        }
        let mut decoded = BTreeMap::new();
        for (index, column) in source.columns().iter().enumerate() {
            if let Some(value) = self.decoder.value(index) {
                prop_assert_eq!(column.series().kind(), first[column.series().name()].series.kind());
                decoded.insert(column.series().name(), value.to_bits());
            }
        }
        let expected: BTreeMap<_, _> = first.iter().map(|(name, s)| (*name, s.value.to_bits())).collect();
        prop_assert_eq!(decoded, expected);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn rows_decode_to_the_samples_that_went_in_and_no_id_is_ever_used_again(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut catalog = Catalog::new(Limits { absent_ticks: 2, ..Limits::default() });
        let ends = |catalog: &mut Catalog, n: usize| Ends {
            source: catalog.add_source(NAMES[n], 1).unwrap(),
            generation: 0,
            encoder: Columns::new(Vec::new()),
            decoder: Columns::new(Vec::new()),
        };
        let mut all = [0, 1, 2].map(|n| ends(&mut catalog, n));
        // What each id has ever meant, and what those who follow the changes know.
        let mut meanings: BTreeMap<u32, (u32, String, Kind)> = BTreeMap::new();
        let mut followed: BTreeSet<u32> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Replace(n) => {
                    let old = all[n].source;
                    catalog.remove_source(old);
                    all[n] = ends(&mut catalog, n);
                    prop_assert!(all[n].source > old);
                }
                Step::Tick(n, samples) => {
                    let samples: Vec<Sample> = samples.into_iter().map(|(name, counter, value)| {
                        let kind = if counter { Kind::Counter } else { Kind::Gauge };
                        Sample { series: Arc::new(Series::of(NAMES[name], kind, Unit::None)), value }
                    }).collect();
                    all[n].carry(&mut catalog, &samples)?;
                }
            }
            let changes = catalog.take_changes();
            prop_assert!(changes.retired.series.iter().all(|id| followed.remove(id)));
            followed.extend(&changes.series);
            let mut defined = BTreeSet::new();
            for source in catalog.sources() {
                prop_assert!(source.columns().is_sorted_by(|a, b| a.id() < b.id()));
                for column in source.columns() {
                    let meaning = (source.id(), column.series().name().to_owned(), column.series().kind());
                    let known = meanings.entry(column.id()).or_insert_with(|| meaning.clone());
                    prop_assert_eq!(&*known, &meaning);
                    prop_assert!(defined.insert(column.id()));
                }
            }
            prop_assert_eq!(defined.len(), catalog.series_len());
            prop_assert_eq!(&defined, &followed);
        }
    }
}
