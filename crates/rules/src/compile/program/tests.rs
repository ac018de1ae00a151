//! Programs: what is bound, what is told, and against a plain evaluation.

use super::*;
use crate::{Flap, Judge, Pattern, Reduction};
use farol_series::{Encoding, Reduce};
use proptest::prelude::*;

fn metric(name: &str, judge: [Option<&str>; 3]) -> Rule {
    let [warning, critical, clear] = judge.map(|text| text.map(|text| text.parse().unwrap()));
    Rule {
        name: format!("{name}_rule").into(),
        subject: Subject::Metric { name: name.into(), of: None },
        matchers: Vec::new(),
        reduce: None,
        judge: Judge::Thresholds { warning, critical, clear },
        for_ms: 0,
        keep_firing_for_ms: 0,
        flap: Flap { changes: 0, within_ms: 0 },
        by: None,
        depends_on: Vec::new(),
        labels: Default::default(),
        annotations: Default::default(),
        actions: Vec::new(),
    }
}

fn shape(series: &[(&str, &[(&str, &str)])]) -> SourceShape {
    let labels = |labels: &[(&str, &str)]| -> Labels {
        labels.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
    };
    let series = series.iter().map(|(name, own)| (Arc::from(*name), labels(own))).collect();
    SourceShape { interval_ms: 10_000, series }
}

fn row(values: &[Option<f64>]) -> Columns {
    let encodings = vec![Encoding::Float; values.len()];
    let (mut sender, mut columns, mut block) =
        (Columns::new(encodings.clone()), Columns::new(encodings), Vec::new());
    sender.encode(values, &mut block).unwrap();
    if !block.is_empty() {
        columns.apply(&block).unwrap();
    }
    columns
}

/// What a program says to a row.
fn told(program: &mut Program, source: usize, ms: u64, values: &[Option<f64>]) -> Vec<(u32, Level, f64)> {
    let (mut all, at) = (Vec::new(), Moment { run_ms: ms, wall_ms: ms.cast_signed() });
    program.source(source, &row(values), at, |r| all.push((r.element, r.level, r.value)));
    all
}

fn agent() -> Labels {
    Labels::from([("agent", "shop-1"), ("cluster", "eu")])
}

#[test]
fn a_binding_takes_sixteen_bytes() {
    assert_eq!(size_of::<Binding>(), 16);
}

#[test]
fn what_was_always_clear_is_told_once_and_what_is_not_each_time() {
    let rules = Ruleset::new(vec![metric("cpu", [Some("> 75"), Some("> 85"), Some("< 70")])]).unwrap();
    let mut program = Program::new(&rules, &[shape(&[("cpu", &[])])], &agent());
    let values = [50.0, 60.0, 80.0, 80.0, 72.0, 72.0, 90.0, f64::NAN, 69.0, 68.0, 67.0, 72.0];
    let levels: Vec<Option<Level>> = (0..)
        .zip(values)
        .map(|(i, value)| {
            told(&mut program, 0, i * 10_000, &[Some(value)]).first().map(|(_, level, _)| *level)
        })
        .collect();
    let (clear, between, warning) = (Some(Level::Clear), Some(Level::Between), Some(Level::Warning));
    let first = [clear, None, warning, warning, between, between];
    let then = [Some(Level::Critical), None, clear, clear, None, between];
    assert_eq!(levels, [first, then].concat());
    assert_eq!(told(&mut program, 0, 900_000, &[None]), [], "an absent value says nothing");
    assert_eq!(program.told(0), between);
    assert_eq!(told(&mut program, 7, 900_000, &[Some(99.0)]), [], "no such source");
    told(&mut program, 0, 910_000, &[Some(1.0)]);
    program.tell_all();
    assert_eq!(told(&mut program, 0, 920_000, &[Some(1.0)]), [(0, Level::Clear, 1.0)]);
}

/// At which of these seconds a value of 1 is told.
fn clear_told(program: &mut Program, seconds: impl Iterator<Item = u64>) -> Vec<u64> {
    seconds.filter(|s| !told(program, 0, s * 1_000, &[Some(1.0)]).is_empty()).collect()
}

#[test]
fn what_was_not_clear_is_told_until_it_was_clear_for_as_long_as_a_life_counts() {
    let mut cpu = metric("cpu", [None, Some("> 85"), None]);
    (cpu.keep_firing_for_ms, cpu.flap) = (20_000, Flap { changes: 6, within_ms: 30_000 });
    let rules = Ruleset::new(vec![cpu.clone()]).unwrap();
    let shapes = [shape(&[("cpu", &[])])];
    let mut program = Program::new(&rules, &shapes, &agent());
    let every_ten = |from: u64, to: u64| (from..to).step_by(10);
    told(&mut program, 0, 0, &[Some(99.0)]);
    assert_eq!(clear_told(&mut program, every_ten(10, 200)), [10, 20, 30, 40, 50, 60]);
    assert_eq!(program.told(0), Some(Level::Clear));
    // Time without a value does not count, but for as long as what was seen is still new.
    told(&mut program, 0, 1_000_000, &[Some(99.0)]);
    assert_eq!(clear_told(&mut program, every_ten(1_010, 1_030)), [1_010, 1_020]);
    assert_eq!(clear_told(&mut program, every_ten(2_000, 2_100)), [2_000, 2_010]);
    // Neither a new layout nor other rules end it, and of what is settled nothing more is told than once.
    told(&mut program, 0, 3_000_000, &[Some(99.0)]);
    assert_eq!(clear_told(&mut program, every_ten(3_010, 3_040)), [3_010, 3_020, 3_030]);
    let mut new = Program::new(&rules, &shapes, &agent());
    new.go_on_from(&program);
    assert_eq!(clear_told(&mut new, every_ten(3_040, 3_200)), [3_040, 3_050, 3_060, 3_070]);
    let mut settled = Program::new(&rules, &shapes, &agent());
    settled.go_on_from(&new);
    assert_eq!(clear_told(&mut settled, every_ten(3_200, 3_400)), [3_200]);
    cpu.keep_firing_for_ms = 40_000;
    program.tell_all();
    let mut other = Program::new(&Ruleset::new(vec![cpu]).unwrap(), &shapes, &agent());
    other.go_on_from(&program);
    assert_eq!(clear_told(&mut other, every_ten(3_040, 3_200)).last(), Some(&3_110));
    // After a restart nobody knows.
    let mut restarted = Program::new(&rules, &shapes, &agent());
    restarted.unsettle();
    assert_eq!(clear_told(&mut restarted, every_ten(0, 200)), [0, 10, 20, 30, 40, 50]);
}

#[test]
fn matchers_see_the_agents_labels_and_the_series_own_and_a_clash_is_exported() {
    let mut eu = metric("disk", [None, Some("> 85"), None]);
    let is =
        |label: &str, text: &str| Matcher { label: label.into(), pattern: Pattern::parse(text).unwrap() };
    eu.matchers = vec![is("cluster", "eu"), is("mount", "~/data.*"), is("exported_agent", "!x")];
    let rules = Ruleset::new(vec![metric("other", [Some("> 1"), None, None]), eu]).unwrap();
    let source = shape(&[
        ("disk", &[("mount", "/")]),
        ("disk", &[("mount", "/data"), ("agent", "inner")]),
        ("disk", &[("mount", "/data"), ("agent", "inner")]),
        ("disk", &[("mount", "/data2"), ("agent", "x")]),
        ("cpu", &[]),
    ]);
    let program = Program::new(&rules, &[SourceShape::default(), source.clone()], &agent());
    assert_eq!(
        (program.len(), program.elements(0), program.elements(1), program.rule(0)),
        (1, 0..0, 0..1, 1)
    );
    let expected = [("agent", "shop-1"), ("cluster", "eu"), ("exported_agent", "inner"), ("mount", "/data")];
    assert_eq!(program.labels(0), Labels::from(expected));
    let us = Labels::from([("agent", "shop-1"), ("cluster", "us")]);
    assert!(Program::new(&rules, &[source], &us).is_empty());
}

#[test]
fn a_percentage_needs_its_total_from_any_source_and_never_divides_by_nothing() {
    let mut used = metric("used", [None, Some("> 90"), None]);
    used.subject = Subject::Metric { name: "used".into(), of: Some("max".into()) };
    let rules = Ruleset::new(vec![used]).unwrap();
    let pool: &[(&str, &str)] = &[("pool", "a")];
    let sources =
        [shape(&[("used", pool), ("used", &[("pool", "b")])]), shape(&[("max", &[]), ("max", pool)])];
    let mut program = Program::new(&rules, &sources, &agent());
    assert_eq!(program.len(), 1, "of pool b nobody knows the total");
    assert_eq!(told(&mut program, 0, 0, &[Some(19.0), Some(5.0)]), [], "the total has not come");
    assert_eq!(told(&mut program, 1, 0, &[Some(1.0), Some(20.0)]), []);
    assert_eq!(told(&mut program, 0, 1, &[Some(19.0), Some(5.0)]), [(0, Level::Critical, 95.0)]);
    for total in [Some(0.0), Some(-1.0), None, Some(f64::NAN)] {
        told(&mut program, 1, 2, &[Some(1.0), total]);
        assert_eq!(told(&mut program, 0, 2, &[Some(19.0), None]), [], "{total:?}");
    }
}

#[test]
fn a_new_layout_goes_on_with_its_windows_and_tells_again() {
    let mut mean = metric("cpu", [None, Some("> 50"), None]);
    mean.reduce = Some(Reduction { how: Reduce::Avg, over_ms: 60_000 });
    let rules = Ruleset::new(vec![mean.clone()]).unwrap();
    let mut old =
        Program::new(&rules, &[shape(&[("cpu", &[("core", "0")]), ("cpu", &[("core", "1")])])], &agent());
    told(&mut old, 0, 10_000, &[Some(0.0), Some(10.0)]);
    // The same rule with another text is the same question; the cores have changed places.
    mean.for_ms = 60_000;
    let rules = Ruleset::new(vec![metric("a", [Some("> 1"), None, None]), mean.clone()]).unwrap();
    let cores = [shape(&[]), shape(&[("cpu", &[("core", "1")]), ("cpu", &[("core", "0")])])];
    let mut new = Program::new(&rules, &cores, &agent());
    new.go_on_from(&old);
    let said = told(&mut new, 1, 20_000, &[Some(100.0), Some(30.0)]);
    assert_eq!(said, [(0, Level::Critical, 55.0), (1, Level::Clear, 15.0)]);
    // Another threshold is another question.
    mean.judge = Judge::Thresholds { warning: None, critical: Some("> 60".parse().unwrap()), clear: None };
    let mut other = Program::new(&Ruleset::new(vec![mean]).unwrap(), &cores, &agent());
    other.go_on_from(&new);
    assert_eq!(told(&mut other, 1, 30_000, &[Some(100.0), None]), [(0, Level::Critical, 100.0)]);
}

proptest! {
    #[test]
    fn a_program_says_what_a_plain_evaluation_says(
        thresholds in prop::collection::vec((-5i32..5, 0i32..5, any::<bool>()), 1..5),
        rows in prop::collection::vec(prop::collection::vec(prop::option::of(-10i32..10), 6), 1..30),
    ) {
        let rules: Vec<Rule> = thresholds.iter().enumerate().map(|(i, (at, gap, with_clear))| {
            let [warning, critical] = [*at, at + gap].map(|n| format!("> {n}"));
            let clear = format!("< {at}");
            let mut rule = metric(["a", "b"][i % 2], [Some(&warning), Some(&critical), with_clear.then_some(&clear)]);
            rule.name = format!("r{i}").into();
            rule
        }).collect();
        let names = ["a", "c", "b", "a", "b", "a"];
        let own = ["0", "1", "2", "3", "4", "5"].map(|n| [("n", n)]);
        let series: Vec<(&str, &[(&str, &str)])> = names.iter().zip(&own).map(|(n, l)| (*n, &l[..])).collect();
        let set = Ruleset::new(rules).unwrap();
        let mut program = Program::new(&set, &[shape(&series)], &agent());
        // So many clear values of each are told yet.
        let mut left: HashMap<(usize, usize), u32> = HashMap::new();
        for (t, values) in (0u64..).zip(&rows) {
            let values: Vec<Option<f64>> = values.iter().map(|v| v.map(f64::from)).collect();
            let mut expected = Vec::new();
            for (column, value) in values.iter().enumerate() {
                for (r, (at, gap, with_clear)) in thresholds.iter().enumerate() {
                    let (Some(value), true) = (*value, ["a", "b"][r % 2] == names[column]) else { continue };
                    let level = if value > f64::from(at + gap) { Level::Critical }
                        else if value > f64::from(*at) { Level::Warning }
                        else if *with_clear && value >= f64::from(*at) { Level::Between }
                        else { Level::Clear };
                    let left = left.entry((column, r)).or_insert(1);
                    let is_told = level != Level::Clear || *left > 0;
                    *left = if level == Level::Clear { left.saturating_sub(1) } else { 2 };
                    if is_told {
                        expected.push((format!("r{r}"), column.to_string(), level, value));
                    }
                }
            }
            let said: Vec<_> = told_readings(&mut program, t, &values).into_iter().map(|r| {
                let rule = set.rules()[r.rule as usize].name.to_string();
                (rule, program.labels(r.element).get("n").unwrap().to_string(), r.level, r.value)
            }).collect();
            prop_assert_eq!(said, expected);
        }
    }
}

fn told_readings(program: &mut Program, ms: u64, values: &[Option<f64>]) -> Vec<Reading> {
    let mut all = Vec::new();
    program.source(0, &row(values), Moment { run_ms: ms, wall_ms: 0 }, |reading| all.push(reading));
    all
}
