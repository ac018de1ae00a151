//! Cases as they are written. Decides defaults, and what makes no sense; what a case comes to is decided by its life.

use super::sequence::{Values, Word, Words};
use farol_config::{Map, Origin};
use farol_monitor::store::ComponentKey;
use farol_rules::{Labels, Severity, Why};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// The service of a component that names none.
const SERVICE: &str = "host";
/// When a case begins that does not say it.
const START: &str = "2000-01-01T00:00:00Z";
const SEVERITIES: [(&str, Option<Severity>); 2] =
    [("warning", Some(Severity::Warning)), ("critical", Some(Severity::Critical))];
const PHASES: [(&str, Option<bool>); 2] = [("pending", Some(false)), ("firing", Some(true))];
const WHYS: [(&str, Option<Why>); 7] = [
    ("first", Some(Why::First)),
    ("more", Some(Why::More)),
    ("raised", Some(Why::Raised)),
    ("fell", Some(Why::Fell)),
    ("released", Some(Why::Released)),
    ("resolved", Some(Why::Resolved)),
    ("repeat", Some(Why::Repeat)),
];

/// A case.
pub(super) struct Case {
    pub(super) origin: Origin,
    pub(super) name: String,
    /// Between two steps.
    pub(super) interval_ms: u64,
    /// When it begins, unix milliseconds.
    pub(super) start_ms: i64,
    /// Own labels of agents.
    pub(super) agents: BTreeMap<Arc<str>, Labels>,
    pub(super) inputs: Vec<Input>,
    pub(super) expected: Vec<Expected>,
    /// All that is told; `None` where nobody asks.
    pub(super) told: Option<Vec<Notice>>,
}

/// What is put in, a step after the other.
pub(super) enum Input {
    Metric { agent: Arc<str>, name: Arc<str>, labels: Labels, values: Vec<Option<f64>> },
    Component { key: ComponentKey, kind: Arc<str>, required: bool, words: Vec<Option<Word>> },
}

/// All alerts of a moment.
pub(super) struct Expected {
    pub(super) origin: Origin,
    pub(super) at_ms: u64,
    pub(super) alerts: Vec<Wanted>,
}

/// An alert; what is not said may be anything.
pub(super) struct Wanted {
    pub(super) origin: Origin,
    pub(super) rule: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) severity: Option<Severity>,
    pub(super) fires: Option<bool>,
}

/// A notice; what is not said may be anything.
pub(super) struct Notice {
    pub(super) origin: Origin,
    pub(super) at_ms: u64,
    pub(super) receiver: Option<String>,
    pub(super) why: Option<Why>,
    pub(super) firing: Vec<Wanted>,
    pub(super) resolved: Vec<Wanted>,
}

impl Case {
    /// How many steps it has.
    pub(super) fn steps(&self) -> usize {
        let steps = self.inputs.iter().map(|input| match input {
            Input::Metric { values, .. } => values.len(),
            Input::Component { words, .. } => words.len(),
        });
        steps.max().unwrap_or(0)
    }

    /// When it ends: with its last step, or with the last thing that is asked for.
    pub(super) fn end_ms(&self) -> u64 {
        let last_step = (self.steps().saturating_sub(1) as u64).saturating_mul(self.interval_ms);
        let asked = self.expected.iter().map(|expected| expected.at_ms);
        let told = self.told.iter().flatten().map(|notice| notice.at_ms);
        asked.chain(told).max().unwrap_or(0).max(last_step)
    }
}

/// Reads a file of cases.
pub(super) fn read(m: &mut Map<'_>) -> Vec<Case> {
    let second = Duration::from_secs(1);
    let interval = m.duration("interval").within(second..=DAY).or(10 * second);
    m.list("cases", |m| {
        let start = m.parsed::<jiff::Timestamp>("start", "a moment", START).optional();
        let start = start.or_else(|| START.parse().ok()).unwrap_or_default();
        let agents = m.list("agents", |m| {
            let name: Arc<str> = m.agent_id("agent").example("node-1").required().into();
            (name, labels(m.labels("labels")))
        });
        Case {
            origin: m.origin().clone(),
            name: m.text("name").example("a busy processor").required(),
            interval_ms: ms(m.duration("interval").within(second..=DAY).or(interval)),
            start_ms: start.as_millisecond(),
            agents: agents.into_iter().collect(),
            inputs: m.list("input", input).into_iter().flatten().collect(),
            expected: m.list("expect", |m| Expected {
                origin: m.origin().clone(),
                at_ms: at(m),
                alerts: m.list("alerts", |m| wanted(m, true)),
            }),
            told: m.has("told").then(|| m.list("told", notice_of)),
        }
    })
}

/// `None` has its problem.
fn input(m: &mut Map<'_>) -> Option<Input> {
    match (m.has("metric"), m.has("component")) {
        (true, false) => {
            let mut own = m.labels("labels");
            let agent = own.remove("agent").unwrap_or_default();
            Some(Input::Metric {
                agent: agent.into(),
                name: m.text("metric").required().into(),
                labels: labels(own),
                values: m
                    .parsed::<Values>("values", "a sequence of values", "50+0x6 90x12 _x3 60")
                    .required()
                    .0,
            })
        }
        (false, true) => Some(Input::Component {
            key: ComponentKey {
                agent: m.agent_id("agent").example("node-1").required().into(),
                service: m.name("service").or(SERVICE).into(),
                component: m.name("component").required().into(),
            },
            kind: m.text("kind").or("").into(),
            required: m.flag("required").or(true),
            words: m
                .parsed::<Words>("status", "a sequence of statuses", "healthy unhealthyx3 healthy")
                .required()
                .0,
        }),
        _ => {
            let keys = m.keys();
            keys.iter().for_each(|key| m.ignore(key));
            m.problem_here("is neither a `metric` with `values` nor a `component` with `status`");
            None
        }
    }
}

fn wanted(m: &mut Map<'_>, with_phase: bool) -> Wanted {
    Wanted {
        origin: m.origin().clone(),
        rule: m.name("rule").example("cpu_high").required(),
        labels: m.labels("labels"),
        severity: m.one_of("severity", &SEVERITIES).optional().flatten(),
        fires: if with_phase { m.one_of("phase", &PHASES).optional().flatten() } else { None },
    }
}

fn notice_of(m: &mut Map<'_>) -> Notice {
    Notice {
        origin: m.origin().clone(),
        at_ms: at(m),
        receiver: m.name("receiver").optional(),
        why: m.one_of("why", &WHYS).optional().flatten(),
        firing: m.list("firing", |m| wanted(m, false)),
        resolved: m.list("resolved", |m| wanted(m, false)),
    }
}

fn at(m: &mut Map<'_>) -> u64 {
    ms(m.duration("at").within(Duration::ZERO..=400 * DAY).example("2m").required())
}

fn labels(labels: BTreeMap<String, String>) -> Labels {
    labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A time of a case, as people write it: `2m30s`.
pub(super) fn time(ms: u64) -> String {
    let (mut text, mut left) = (String::new(), ms);
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= length {
            text.push_str(&format!("{}{unit}", left / length));
        }
        left %= length;
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A notice in words.
pub(super) fn notice(
    at: &str,
    receiver: &str,
    why: Option<&str>,
    firing: &[String],
    resolved: &[String],
) -> String {
    let mut text = format!("at {at} to {receiver}");
    if let Some(why) = why {
        text.push_str(&format!(", {why}"));
    }
    for (word, alerts) in [("firing", firing), ("resolved", resolved)] {
        if !alerts.is_empty() {
            text.push_str(&format!(", {word} {}", alerts.join(" ")));
        }
    }
    text
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule)?;
        if !self.labels.is_empty() {
            write!(f, "{}", labels(self.labels.clone()))?;
        }
        match self.fires {
            Some(true) => f.write_str(" firing")?,
            Some(false) => f.write_str(" pending")?,
            None => {}
        }
        self.severity.map_or(Ok(()), |severity| write!(f, " {severity}"))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |alerts: &[Wanted]| alerts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let receiver = self.receiver.as_deref().unwrap_or("anybody");
        let why = self.why.map(super::super::report::why);
        f.write_str(&notice(&time(self.at_ms), receiver, why, &words(&self.firing), &words(&self.resolved)))
    }
}
