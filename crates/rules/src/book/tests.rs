//! Histories of a fleet as scripts: what is seen at which second, and every notice that leaves, in full.

mod acts;
mod clocks;
mod fleet;
mod known;
mod lives;
mod people;
mod random;
mod routes;
mod timeline;
mod values;

use super::{Away, Book, Orders, SavedBook};
use crate::{
    Acknowledgement, AgentCondition, AlertId, AlertView, ComponentSeen, Condition, Dependency, ElementId,
    Ending, Evidence, Flap, Graph, Incident, Is, Judge, Keep, Labels, Level, Matcher, Measured, Moment,
    MonitorCondition, Notice, Observation, Operator, Output, Pattern, Route, Rule, Ruleset, SavedAlert,
    SavedConversation, SavedElement, Severity, Shown, Silence, Subject, Telling, Tree, Why, Window,
};
use farol_health::Status;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A Monday, ten o'clock UTC.
const BEGAN_MS: i64 = 1_767_607_200_000;

/// In a scene: the version of the rules that are in force when it is seen.
const BY_THOSE_IN_FORCE: u64 = 0;

/// A rule about something, critical, at once.
fn rule(name: &str, subject: Subject, judge: Judge) -> Rule {
    Rule {
        name: name.into(),
        subject,
        matchers: Vec::new(),
        reduce: None,
        judge,
        for_ms: 0,
        keep_firing_for_ms: 0,
        flap: Flap::default(),
        by: None,
        depends_on: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        actions: Vec::new(),
    }
}

/// Components that are unhealthy, one alert for all instances.
fn down() -> Rule {
    let judge =
        Judge::Statuses { statuses: vec![Status::Unhealthy], stale: false, severity: Severity::Critical };
    let component = Subject::Component { name: None, kind: None };
    Rule { by: Some(vec!["service".into(), "component".into()]), ..rule("down", component, judge) }
}

/// Agents that are lost, one alert each.
fn lost() -> Rule {
    condition("lost", Subject::Agent(AgentCondition::Lost))
}

fn condition(name: &str, subject: Subject) -> Rule {
    rule(name, subject, Judge::Condition { severity: Severity::Critical })
}

/// A value above 75 is a warning, above 85 critical, below 70 well.
fn cpu() -> Rule {
    let is = |operator, number| Some(Condition { operator, number });
    let judge = Judge::Thresholds {
        warning: is(Operator::Above, 75.0),
        critical: is(Operator::Above, 85.0),
        clear: is(Operator::Below, 70.0),
    };
    rule("cpu", Subject::Metric { name: "cpu_percent".into(), of: None }, judge)
}

/// Services that are unhealthy.
fn service_down() -> Rule {
    let judge =
        Judge::Statuses { statuses: vec![Status::Unhealthy], stale: false, severity: Severity::Critical };
    rule("service", Subject::Service(None), judge)
}

impl Rule {
    fn held_by(mut self, rule: &str, on: &[&str]) -> Self {
        let on = on.iter().map(|label| Arc::from(*label)).collect();
        self.depends_on.push(Dependency { rule: rule.into(), on, redundancy: None });
        self
    }

    fn each(self) -> Self {
        Self { by: None, ..self }
    }

    fn after_s(self, seconds: u64) -> Self {
        Self { for_ms: seconds * 1_000, ..self }
    }
}

fn orders(rules: &[Rule], route: Route) -> Orders {
    let rules = Ruleset::new(rules.to_vec()).unwrap();
    let graph = Arc::new(Graph::new(rules.rules(), &BTreeMap::new()).unwrap());
    Orders { rules, graph, tree: Arc::new(Tree::new(route).unwrap()) }
}

fn to(receiver: &str) -> Route {
    Route { receiver: Some(receiver.into()), ..Route::default() }
}

fn is(label: &str, value: &str) -> Matcher {
    Matcher { label: label.into(), pattern: Pattern::Is(value.into()) }
}

/// Everything that must outlast the process, as the store has it.
#[derive(Clone, Default)]
struct Ledger {
    elements: BTreeMap<String, (ElementId, SavedElement)>,
    alerts: BTreeMap<String, (AlertId, SavedAlert)>,
    talks: BTreeMap<String, (crate::ConversationId, SavedConversation)>,
    incidents: BTreeMap<String, Incident>,
    acknowledgements: BTreeMap<String, Acknowledgement>,
    silences: BTreeMap<String, Silence>,
    windows: BTreeMap<String, Window>,
}

/// Through the text in which it is stored.
fn stored<T: Serialize + DeserializeOwned>(is: &T) -> T {
    serde_json::from_str(&serde_json::to_string(is).unwrap()).unwrap()
}

fn put<I: std::fmt::Debug + Clone, B: Serialize + DeserializeOwned>(
    map: &mut BTreeMap<String, (I, B)>,
    id: &I,
    is: Option<&B>,
) {
    let key = format!("{id:?}");
    match is {
        Some(is) => drop(map.insert(key, (id.clone(), stored(is)))),
        None => drop(map.remove(&key)),
    }
}

impl Ledger {
    fn take(&mut self, keep: &Keep) {
        match keep {
            Keep::Element(id, is) => put(&mut self.elements, id, is.as_deref()),
            Keep::Alert(id, is) => put(&mut self.alerts, id, is.as_deref()),
            Keep::Conversation(id, is) => put(&mut self.talks, id, is.as_deref()),
            Keep::Incident(incident) => {
                drop(self.incidents.insert(incident.id.to_string(), stored(&**incident)));
            }
            Keep::Acknowledged(id) => drop(self.acknowledgements.remove(&id.to_string())),
            Keep::SilenceOver(id) => drop(self.silences.remove(&**id)),
            Keep::WindowOver(id) => drop(self.windows.remove(&**id)),
        }
    }

    fn saved(&self) -> SavedBook {
        let ledger = self.clone();
        SavedBook {
            elements: ledger.elements.into_values().collect(),
            alerts: ledger.alerts.into_values().collect(),
            conversations: ledger.talks.into_values().collect(),
            incidents: ledger.incidents.into_values().collect(),
            silences: ledger.silences.into_values().collect(),
            windows: ledger.windows.into_values().collect(),
            acknowledgements: ledger.acknowledgements.into_values().collect(),
        }
    }

    /// Nothing of alerts is kept for ever.
    fn is_empty(&self) -> bool {
        let open = self.incidents.values().any(|incident| incident.ended_ms.is_none());
        self.elements.is_empty() && self.alerts.is_empty() && self.talks.is_empty() && !open
    }
}

/// A fleet, a monitor with its clocks, and all that it told.
struct Scene {
    book: Book,
    orders: Orders,
    ledger: Ledger,
    /// Milliseconds for which the monitor ran, over restarts.
    ran_ms: u64,
    /// Of which this process does not know.
    hidden_ms: u64,
    /// What the wall clock was moved by besides.
    moved_ms: i64,
    told: Vec<String>,
    tellings: Vec<Telling>,
    events: Vec<String>,
    entries: Vec<(Arc<str>, String)>,
    /// The lines of all time lines, as people read them.
    lines: Vec<String>,
    /// The actions that were asked for, and the ends that were told.
    acts: Vec<String>,
}

impl Scene {
    fn new(rules: &[Rule]) -> Self {
        Self::routed(rules, to("ops"))
    }

    fn routed(rules: &[Rule], route: Route) -> Self {
        let orders = orders(rules, route);
        Self {
            book: Book::new(orders.clone()),
            orders,
            ledger: Ledger::default(),
            ran_ms: 0,
            hidden_ms: 0,
            moved_ms: 0,
            told: Vec::new(),
            tellings: Vec::new(),
            events: Vec::new(),
            entries: Vec::new(),
            lines: Vec::new(),
            acts: Vec::new(),
        }
    }

    fn now(&self) -> Moment {
        let wall_ms = BEGAN_MS + i64::try_from(self.ran_ms).unwrap() + self.moved_ms;
        Moment { run_ms: self.ran_ms - self.hidden_ms, wall_ms }
    }

    fn see(&mut self, observations: &[Observation]) {
        let mut observations = observations.to_vec();
        for observation in &mut observations {
            if let Observation::Measured(seen) = observation
                && seen.set == BY_THOSE_IN_FORCE
            {
                seen.set = self.book.rules().version();
            }
        }
        self.book.observe(&observations, self.now());
        self.take();
    }

    /// Lets time go by to this second, with a look every second.
    fn until(&mut self, second: u64) {
        while self.ran_ms < second * 1_000 {
            self.ran_ms += 1_000;
            self.book.tick(self.now());
            self.take();
        }
    }

    /// The process is killed, and starts again so many seconds later.
    fn restart(&mut self, down_s: i64) {
        let alive_until = self.now().wall_ms;
        self.moved_ms += down_s * 1_000;
        self.hidden_ms = self.ran_ms;
        self.book = Book::new(self.orders.clone());
        let away = Away { alive_until_wall_ms: alive_until, news_within_ms: 60_000 };
        self.book.restore(self.ledger.saved(), away, self.now());
        self.take();
    }

    fn order(&mut self, rules: &[Rule], route: Route) {
        self.orders = orders(rules, route);
        self.book.order(self.orders.clone(), self.now());
        self.take();
    }

    fn take(&mut self) {
        for output in self.book.take() {
            match output {
                Output::Notify(telling) => {
                    let words = words(&telling.notice);
                    self.told.push(format!("{} {} {words}", self.ran_ms / 1_000, telling.to.receiver));
                    self.tellings.push(*telling);
                }
                Output::Keep(keep) => self.ledger.take(&keep),
                Output::Alert(event) => self.events.push(format!("{:?} {}", event.change, event.id)),
                Output::Entry(incident, entry) => {
                    let (second, kind) = (self.ran_ms / 1_000, format!("{:?}", entry.kind));
                    self.lines.push(format!("{second} {kind}: {}", entry.text));
                    self.entries.push((incident, kind));
                }
                Output::Act(act) => {
                    self.acts.push(format!("do {} {}", act.action, short(&act.alert)));
                }
            }
        }
    }

    /// What was told since the last call.
    fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    fn view(&self, rule: &str, labels: Labels) -> AlertView {
        self.book.view(&AlertId { rule: rule.into(), labels }, self.now()).unwrap()
    }

    fn silence(&mut self, id: &str, matcher: Matcher, from_s: i64, to_s: i64) {
        let now = self.now();
        let silence = Silence {
            id: id.into(),
            matchers: vec![matcher],
            starts_ms: BEGAN_MS + from_s * 1_000,
            ends_ms: BEGAN_MS + to_s * 1_000,
            author: "ana".into(),
            reason: "test".into(),
            created_ms: now.wall_ms,
        };
        self.book.silence(silence.clone(), now).unwrap();
        self.ledger.silences.insert(id.into(), silence);
        self.take();
    }

    fn acknowledge(&mut self, rule: &str, labels: Labels, ends_s: Option<i64>) {
        let alert = AlertId { rule: rule.into(), labels };
        let ack = Acknowledgement {
            alert: alert.clone(),
            episode_ms: 0,
            severity: Severity::Warning,
            author: "ana".into(),
            reason: "on it".into(),
            at_ms: self.now().wall_ms,
            ends_ms: ends_s.map(|ends_s| BEGAN_MS + ends_s * 1_000),
        };
        assert!(self.book.acknowledge(ack, self.now()).unwrap(), "{alert} fires");
        let taken = self.book.acknowledgement(&alert).unwrap().clone();
        self.ledger.acknowledgements.insert(alert.to_string(), taken);
        self.take();
    }
}

/// A notice in short: `+` it fires, `^` raised, `v` fell, `>` released, `=` as before, `-` over, `!` critical, `~` quiet.
fn words(notice: &Notice) -> String {
    let over = notice.resolved.iter().map(|over| {
        let again = if over.again { " again" } else { "" };
        format!("-{} {}{again}", short(&over.id), over.ending.as_str())
    });
    let firing = notice.firing.iter().map(|alert| {
        let sign = match alert.why {
            Why::First => "+",
            Why::Raised => "^",
            Why::Fell => "v",
            Why::Released => ">",
            _ => "=",
        };
        let bad = if alert.severity == Severity::Critical { "!" } else { "" };
        format!("{sign}{}{bad}", short(&alert.id))
    });
    let quiet = notice.quiet.iter().map(|(id, _)| format!("~{}", short(id)));
    let all: Vec<String> = over.chain(firing).chain(quiet).collect();
    format!("{:?}: {}", notice.why, all.join(", "))
}

fn short(id: &AlertId) -> String {
    let values = id.labels.iter().map(|(_, value)| &**value);
    [&*id.rule].into_iter().chain(values).collect::<Vec<_>>().join("/")
}

fn agent(name: &str) -> Labels {
    Labels::from([("agent", name), ("cluster", "eu")])
}

fn component(of: &str, name: &str, status: Status, evidence: Evidence) -> Observation {
    Observation::Component(ComponentSeen {
        agent: agent(of),
        service: "pay".into(),
        component: name.into(),
        kind: "tcp".into(),
        status,
        evidence,
        reason: "r".into(),
        message: "m".into(),
    })
}

/// The database as an agent sees it.
fn bad(of: &str) -> Observation {
    component(of, "db", Status::Unhealthy, Evidence::Now)
}

fn good(of: &str) -> Observation {
    component(of, "db", Status::Healthy, Evidence::Now)
}

fn absent(of: &str, status: Status) -> Observation {
    component(of, "db", status, Evidence::Absent)
}

fn is_lost(of: &str, is: Is) -> Observation {
    Observation::Agent { labels: agent(of), condition: AgentCondition::Lost, is }
}

fn gone(of: &str, how: Ending) -> Observation {
    Observation::AgentGone { agent: of.into(), how }
}

fn measured(of: &str, value: f64) -> Observation {
    let level = match value {
        v if v > 85.0 => Level::Critical,
        v if v > 75.0 => Level::Warning,
        v if v < 70.0 => Level::Clear,
        _ => Level::Between,
    };
    let (rule, labels) = ("cpu".into(), agent(of));
    Observation::Measured(Measured {
        set: BY_THOSE_IN_FORCE,
        rule,
        labels,
        level,
        value,
        fresh_for_ms: 30_000,
    })
}

fn db() -> Labels {
    Labels::from([("component", "db"), ("service", "pay")])
}
