//! What the book of alerts costs when much goes wrong at once: by twice as many, about twice as much. Each line tells the
//! time for all of it, for 1 000, 5 000 and 15 000.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use farol_health::Status;
use farol_rules::{
    AgentCondition, Book, ComponentSeen, Dependency, Evidence, Flap, Graph, Is, Judge, Labels, Moment,
    Observation, Orders, Route, Rule, Ruleset, Severity, Subject, Tree,
};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const MANY: [usize; 3] = [1_000, 5_000, 15_000];

fn rule(name: &str, subject: Subject, judge: Judge, by: Option<&[&str]>) -> Rule {
    Rule {
        name: name.into(),
        subject,
        matchers: Vec::new(),
        reduce: None,
        judge,
        for_ms: 0,
        keep_firing_for_ms: 0,
        flap: Flap::default(),
        by: by.map(|by| by.iter().map(|label| Arc::from(*label)).collect()),
        depends_on: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        actions: Vec::new(),
    }
}

fn down(by: Option<&[&str]>) -> Rule {
    let (statuses, severity) = (vec![Status::Unhealthy], Severity::Critical);
    let component = Subject::Component { name: None, kind: None };
    rule("down", component, Judge::Statuses { statuses, stale: false, severity }, by)
}

fn lost() -> Rule {
    let judge = Judge::Condition { severity: Severity::Critical };
    rule("lost", Subject::Agent(AgentCondition::Lost), judge, None)
}

fn held() -> Rule {
    let agent = vec![Arc::from("agent")];
    let on_agent = Dependency { rule: "lost".into(), on: agent, redundancy: None };
    Rule { depends_on: vec![on_agent], ..down(None) }
}

fn book(rules: Vec<Rule>) -> Book {
    let rules = Ruleset::new(rules).expect("the rules make sense");
    let graph = Arc::new(Graph::new(rules.rules(), &BTreeMap::new()).expect("no circles"));
    let route = Route { receiver: Some("ops".into()), ..Route::default() };
    Book::new(Orders { rules, graph, tree: Arc::new(Tree::new(route).expect("a receiver")) })
}

fn labels(n: usize) -> Labels {
    [("agent", format!("a{n}")), ("cluster", "eu".into())]
        .into_iter()
        .map(|(name, value): (&str, String)| (Arc::from(name), Arc::from(value)))
        .collect()
}

fn seen(n: usize, status: Status) -> Observation {
    Observation::Component(ComponentSeen {
        agent: labels(n),
        service: "pay".into(),
        component: "db".into(),
        kind: "tcp".into(),
        status,
        evidence: Evidence::Now,
        reason: "refused".into(),
        message: "refused".into(),
    })
}

fn is_lost(n: usize, is: Is) -> Observation {
    Observation::Agent { labels: labels(n), condition: AgentCondition::Lost, is }
}

/// Each observation by itself, 1 000 in a second, a tick each second; then ten minutes of ticks. How many outputs came.
fn play(book: &mut Book, observations: impl Iterator<Item = Observation>) -> usize {
    let (mut outputs, mut run_ms) = (0, 0);
    let at = |run_ms: u64| Moment { run_ms, wall_ms: 1_767_607_200_000_i64.saturating_add_unsigned(run_ms) };
    for observation in observations {
        run_ms += 1;
        book.observe(&[observation], at(run_ms));
        if run_ms.is_multiple_of(1_000) {
            book.tick(at(run_ms));
        }
        outputs += book.take().len();
    }
    for _ in 0..600 {
        run_ms += 1_000;
        book.tick(at(run_ms));
        outputs += book.take().len();
    }
    outputs
}

fn both(n: usize) -> impl Iterator<Item = Observation> {
    (0..n).map(|n| seen(n, Status::Unhealthy)).chain((0..n).map(|n| seen(n, Status::Healthy)))
}

fn floods(c: &mut Criterion) {
    let mut group = c.benchmark_group("book");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(2));
    for n in MANY {
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("elements_of_one_alert", n), |b| {
            b.iter(|| black_box(play(&mut book(vec![down(Some(&["service", "component"]))]), both(n))));
        });
        group.bench_function(BenchmarkId::new("alerts_in_one_conversation", n), |b| {
            b.iter(|| black_box(play(&mut book(vec![down(None)]), both(n))));
        });
        group.bench_function(BenchmarkId::new("agents_lost_with_a_child_each", n), |b| {
            b.iter(|| {
                let begins = (0..n).flat_map(|n| [is_lost(n, Is::On), seen(n, Status::Unhealthy)]);
                let ends =
                    (0..n).map(|n| is_lost(n, Is::Off)).chain((0..n).map(|n| seen(n, Status::Healthy)));
                black_box(play(&mut book(vec![lost(), held()]), begins.chain(ends)))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, floods);
criterion_main!(benches);
