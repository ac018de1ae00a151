//! What the report of an agent costs its rules, for each pair of a rule and a series: 50 rules over 100 series on each
//! of 1 000 agents, whose reports come in random order. `named`: each rule looks at the two series of its name;
//! `all`: each rule looks at all hundred.
#![allow(missing_docs, reason = "criterion makes the entry point")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farol_rules::{Flap, Judge, Labels, Moment, Program, Reduction, Rule, Ruleset, SourceShape, Subject};
use farol_series::{Columns, Encoding, Reduce};
use std::hint::black_box;
use std::sync::Arc;

const RULES: usize = 50;
const SERIES: usize = 100;
const AGENTS: usize = 1_000;

/// A rule over one of so many names.
fn rule(number: usize, names: usize, over_ms: Option<u64>) -> Rule {
    let threshold = |text: &str| Some(text.parse().expect("is a condition"));
    Rule {
        name: format!("rule_{number}").into(),
        subject: Subject::Metric { name: format!("series_{}", number % names).into(), of: None },
        matchers: Vec::new(),
        reduce: over_ms.map(|over_ms| Reduction { how: Reduce::Avg, over_ms }),
        judge: Judge::Thresholds {
            warning: threshold("> 75"),
            critical: threshold("> 85"),
            clear: threshold("< 70"),
        },
        for_ms: 60_000,
        keep_firing_for_ms: 0,
        flap: Flap::default(),
        by: None,
        depends_on: Vec::new(),
        labels: Default::default(),
        annotations: Default::default(),
        actions: Vec::new(),
    }
}

/// Three rows of values; one in a hundred is bad.
fn rows() -> Vec<Columns> {
    let mut sender = Columns::new(vec![Encoding::Decimal(2); SERIES]);
    let mut row = |seed: usize| {
        let value =
            |i: usize| if (i + seed).is_multiple_of(100) { 95.0 } else { ((i * 7 + seed * 13) % 60) as f64 };
        let mut block = Vec::new();
        let values: Vec<Option<f64>> = (0..SERIES).map(|i| Some(value(i))).collect();
        sender.encode(&values, &mut block).expect("is held");
        sender.clone()
    };
    (0..3).map(&mut row).collect()
}

fn report(c: &mut Criterion) {
    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Elements((RULES * SERIES * AGENTS) as u64));
    for (looks_at, names) in [("named", RULES), ("all", 1)] {
        for (window, over_ms) in [("plain", None), ("avg_1m", Some(60_000))] {
            let rules = (0..RULES).map(|number| rule(number, names, over_ms)).collect();
            let rules = Ruleset::new(rules).expect("makes sense");
            let series = (0..SERIES).map(|i| {
                let number = i.to_string();
                (Arc::from(format!("series_{}", i % names)), Labels::from([("number", &*number)]))
            });
            let shape = [SourceShape { interval_ms: 10_000, series: series.collect() }];
            let mut programs: Vec<Program> = (0..AGENTS)
                .map(|i| Program::new(&rules, &shape, &Labels::from([("agent", &*format!("agent-{i}"))])))
                .collect();
            // As many as there are agents and prime to it: each comes once a round, far from the one before.
            let order: Vec<usize> = (0..AGENTS).map(|i| i * 387 % AGENTS).collect();
            let (rows, mut round) = (rows(), 0);
            group.bench_function(format!("{looks_at}/{window}"), |b| {
                b.iter(|| {
                    round += 1;
                    let at = Moment { run_ms: round * 10_000, wall_ms: (round * 10_000).cast_signed() };
                    let mut told = 0_u64;
                    for agent in &order {
                        programs[*agent].source(0, &rows[round as usize % 3], at, |reading| {
                            told += u64::from(black_box(reading).rule > 0);
                        });
                    }
                    told
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, report);
criterion_main!(benches);
