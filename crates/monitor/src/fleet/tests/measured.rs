//! What the alert rules are told of an agent's series: under which labels, and what becomes of those of before.

use super::*;
use farol_rules::{Book, Graph, Observation, Orders, Route, Tree};
use farol_series::{Columns, Encoding};
use farol_wire::{Definition, SeriesDef, SeriesType, SourceDef};
use std::sync::LazyLock;

/// One set: the book knows what was judged by another.
static RULES: LazyLock<Ruleset> = LazyLock::new(|| {
    let text = "rules:\n  - {name: pool, metric: pool, critical: \"> 85\"}\n";
    Ruleset::new(crate::config::rules_in("rules.yaml", text).unwrap()).unwrap()
});

fn book() -> Book {
    let rules = RULES.clone();
    let graph = Arc::new(Graph::new(rules.rules(), &BTreeMap::new()).unwrap());
    let tree = Tree::new(Route { receiver: Some("ops".into()), ..Route::default() }).unwrap();
    Book::new(Orders { rules, graph, tree: Arc::new(tree) })
}

fn of<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

impl Scene {
    /// An agent comes with these labels of its own and this scope, and says that both components are so.
    fn comes(&self, labels: BTreeMap<String, String>, scope: &str, status: Status) -> Arc<Agent> {
        let hello = Hello { labels, scope: scope.into(), ..hello(1, self.role) };
        let Connection::Open(agent, _) = self.fleet.connect("a", &hello, self.now, &Default::default(), None)
        else {
            panic!("the agent's place is taken")
        };
        let told = self.state(&agent, [status; 2], Some(self.now.boot_ms));
        self.heard.0.lock().observed = told.observed;
        agent
    }

    /// It has pools with these labels, and each has this value. All that the rules were told since the last call.
    fn measures(&self, agent: &Arc<Agent>, pools: &[&[(&str, &str)]], value: f64) -> Vec<Observation> {
        let mut observed = self.heard().observed;
        let series = (1..).zip(pools).map(|(id, labels)| SeriesDef {
            id,
            source: 1,
            name: "pool".into(),
            labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            kind: SeriesType::Gauge,
            unit: String::new(),
            encoding: Encoding::Float.to_wire(),
        });
        let sources = vec![SourceDef { id: 1, name: "s".into(), interval_ms: 10_000 }];
        let set = Definition { sources, series: series.collect(), components: Vec::new() };
        let Ok(interned) = self.fleet.layouts.intern(set, |_| Ok::<_, std::convert::Infallible>(()));
        let mut block = Vec::new();
        let row = vec![Some(value); pools.len()];
        Columns::new(vec![Encoding::Float; row.len()]).encode(&row, &mut block).unwrap();
        let mut live = agent.live.lock();
        live.samples.start(interned.compiled);
        live.apply(&RULES, 1, &block, (self.now.run_ms, self.now.wall_ms)).unwrap();
        drop(live);
        observed.extend(self.report(agent, Vec::new()).observed);
        observed
    }
}

const POOL: &[(&str, &str)] = &[("service", "payments"), ("component", "database")];

#[test]
fn what_a_check_measures_is_of_the_same_service_and_component_as_its_status() {
    let own = of([("cluster", "eu"), ("service", "mine"), ("component", "mine")]);
    for (labels, scope) in
        [(of([]), ""), (of([]), "eu"), (own.clone(), ""), (own, "eu"), (of([("service", "mine")]), "eu")]
    {
        let scene = Scene::new(Role::Host);
        let agent = scene.comes(labels.clone(), scope, Status::Unhealthy);
        let told = scene.measures(&agent, &[POOL], 99.0);
        let places = told.iter().filter_map(|seen| match seen {
            Observation::Component(seen) if &*seen.component == "database" => Some((
                Arc::clone(&seen.service),
                Arc::clone(&seen.component),
                seen.agent.get("cluster").cloned(),
            )),
            Observation::Measured(seen) => {
                let label = |name: &str| seen.labels.get(name).cloned();
                Some((label("service")?, label("component")?, label("cluster")))
            }
            _ => None,
        });
        let places: Vec<_> = places.collect();
        assert_eq!(places.len(), 2, "{told:?}");
        assert_eq!(places[0], places[1], "{labels:?}, scope {scope:?}");
    }
}

#[test]
fn another_scope_makes_another_series_of_it_and_what_no_check_measures_keeps_its_name() {
    let scene = Scene::new(Role::Host);
    let mut book = book();
    for (scope, names) in [("eu", ["eu.payments", "theirs"]), ("us", ["theirs", "us.payments"])] {
        let agent = scene.comes(of([]), scope, Status::Healthy);
        let told = scene.measures(&agent, &[POOL, &[("service", "theirs")]], 99.0);
        book.observe(&told, farol_rules::Moment { run_ms: scene.now.run_ms, wall_ms: scene.now.wall_ms });
        let fires = book.alerts().filter(|id| book.firing_since_ms(&id.to_string()).is_some());
        let mut services: Vec<_> = fires.filter_map(|id| id.labels.get("service").cloned()).collect();
        services.sort_unstable();
        assert_eq!(services.iter().map(|name| &**name).collect::<Vec<_>>(), names);
    }
}

#[test]
fn what_was_measured_under_a_label_that_the_agent_has_no_more_is_over_after_a_restart() {
    let moment = |scene: &Scene| farol_rules::Moment { run_ms: scene.now.run_ms, wall_ms: scene.now.wall_ms };
    for (before, after, of_old) in [
        (of([("version", "1")]), of([]), 0),
        (of([("version", "1")]), of([("version", "2")]), 0),
        (of([]), of([("version", "1")]), 0),
        (of([("version", "1")]), of([("version", "1")]), 1),
    ] {
        let scene = Scene::new(Role::Host);
        let mut book = book();
        let agent = scene.comes(before.clone(), "eu", Status::Healthy);
        let two: [&[(&str, &str)]; 2] = [POOL, &[("mount", "/")]];
        book.observe(&scene.measures(&agent, &two, 99.0), moment(&scene));
        assert_eq!(book.firing(), 2);
        let mut new = Scene::new(Role::Host);
        let agents = vec![agent.live.lock().record(agent.key, &agent.id)];
        let restored = Restored { agents, last_agent_key: agent.key.0, ..Restored::default() };
        new.now.run_ms += 20_000;
        new.fleet.restore(&restored, new.now);
        let agent = new.comes(after.clone(), "eu", Status::Healthy);
        // One of the two it does not have now: of an agent with the labels of before it may come back.
        book.observe(&new.measures(&agent, &[POOL], 99.0), moment(&new));
        assert_eq!(book.firing(), 1 + of_old, "{before:?}, then {after:?}");
    }
}
