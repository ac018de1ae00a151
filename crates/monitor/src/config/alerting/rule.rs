//! One rule as it is written. Decides the defaults of what is not; whether the whole makes sense is asked of the rule.

use super::{Place, matchers, ms, subject};
use farol_config::Map;
use farol_health::Status;
use farol_rules::{Condition, Dependency, Flap, Judge, Reduction, Rule, Severity, Subject};
use farol_series::Reduce;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const SEVERITIES: [(&str, Severity); 2] = [("warning", Severity::Warning), ("critical", Severity::Critical)];
/// The labels that make one alert of many components: one dead database is one.
const COMPONENT_BY: [&str; 2] = ["service", "component"];
/// Staleness among the statuses.
const STALE: &str = "stale";
/// What says how bad it is, and what it goes with.
const JUDGES: [(&str, &str); 5] = [
    ("warning", "metric"),
    ("critical", "metric"),
    ("clear", "metric"),
    ("status", "component, service or group"),
    ("severity", "component, service, group, agent or monitor"),
];

/// Reads a rule and the rules that it depends on. It is complete where something is wrong, too: others depend on it.
pub(super) fn read(m: &mut Map<'_>) -> (Rule, Vec<(Arc<str>, Place)>) {
    let name = m.name("name").example("cpu_high").required();
    // Instead of the stand-in: two rules without a name do not have the same one.
    let name = if m.is_sound() { name } else { String::new() };
    let subject = subject::read(m);
    let judge = read_judge(m, subject.as_ref());
    let (depends_on, needs): (Vec<_>, Vec<_>) = m.list("depends_on", read_dependency).into_iter().unzip();
    let is_known = subject.is_some();
    let subject = subject.unwrap_or(Subject::Service(None));
    let by = if m.has("by") { Some(words(m.texts("by"))) } else { default_by(m, &subject) };
    let rule = Rule {
        name: Arc::from(name),
        subject,
        matchers: matchers(m),
        reduce: m.map("reduce", read_reduction).flatten(),
        judge,
        for_ms: ms(m.duration("for").within(Duration::ZERO..=7 * DAY).or(Duration::ZERO)),
        keep_firing_for_ms: ms(m
            .duration("keep_firing_for")
            .within(Duration::ZERO..=7 * DAY)
            .or(Duration::ZERO)),
        flap: m.section("flap", read_flap),
        by,
        depends_on,
        labels: m.labels("labels").into_iter().map(pair).collect(),
        annotations: m.pairs("annotations").into_iter().map(pair).collect::<BTreeMap<_, _>>(),
        actions: words(m.texts("actions")),
    };
    if is_known && m.is_sound() {
        for flaw in rule.flaws() {
            m.problem(flaw.key, flaw.what);
        }
    }
    (rule, needs.into_iter().flatten().collect())
}

fn default_by(m: &mut Map<'_>, subject: &Subject) -> Option<Vec<Arc<str>>> {
    // For the dump, and to make the key known.
    match subject {
        Subject::Component { .. } => Some(words(m.texts_or("by", &COMPONENT_BY))),
        _ => {
            m.ignore("by");
            None
        }
    }
}

fn read_judge(m: &mut Map<'_>, subject: Option<&Subject>) -> Judge {
    let mine: &[&str] = match subject {
        Some(Subject::Metric { .. }) => &["warning", "critical", "clear"],
        Some(Subject::Component { .. } | Subject::Service(_) | Subject::Group(_)) => &["status", "severity"],
        Some(Subject::Agent(_) | Subject::Monitor(_)) => &["severity"],
        // What it looks at has its problem, and nobody knows which of these go with it.
        None => &["warning", "critical", "clear", "status", "severity"],
    };
    for (key, with) in JUDGES.iter().filter(|(key, _)| !mine.contains(key)) {
        m.ignore(key);
        if m.has(key) {
            m.problem(key, format!("goes with {with} only; take it out"));
        }
    }
    if mine.contains(&"warning") {
        let judge = Judge::Thresholds {
            warning: condition(m, "warning"),
            critical: condition(m, "critical"),
            clear: condition(m, "clear"),
        };
        if subject.is_some() {
            return judge;
        }
    }
    let (statuses, stale) = if mine.contains(&"status") { read_statuses(m) } else { (Vec::new(), false) };
    let severity = m.one_of("severity", &SEVERITIES).or(Severity::Critical);
    match subject {
        Some(Subject::Agent(_) | Subject::Monitor(_)) => Judge::Condition { severity },
        _ => Judge::Statuses { statuses, stale, severity },
    }
}

fn condition(m: &mut Map<'_>, key: &str) -> Option<Condition> {
    m.parsed::<Condition>(key, "a comparison", "> 75").optional()
}

fn read_statuses(m: &mut Map<'_>) -> (Vec<Status>, bool) {
    let (mut statuses, mut stale) = (Vec::new(), false);
    for word in m.texts_or("status", &["unhealthy"]) {
        match word.parse::<Status>() {
            _ if word == STALE => stale = true,
            Ok(status) if !statuses.contains(&status) => statuses.push(status),
            Ok(_) => m.problem("status", format!("has `{word}` twice; take one out")),
            Err(_) => {
                let known = "unknown, starting, healthy, degraded, unhealthy, stale";
                m.problem("status", format!("has `{word}`, which is no status; write some of {known}"));
            }
        }
    }
    (statuses, stale)
}

/// Reads `{avg: 1m}`; `None` has its problem.
fn read_reduction(m: &mut Map<'_>) -> Option<Reduction> {
    let mut found = Vec::new();
    for how in Reduce::ALL {
        let over = m.duration(how.as_str()).within(SECOND..=DAY).optional();
        found.extend(over.map(|over| Reduction { how, over_ms: ms(over) }));
    }
    let written = m.keys().len();
    match found[..] {
        [one] if written == 1 => Some(one),
        // A key that is none, or a time that is none, has its problem.
        [] | [_] if !m.is_sound() || m.keys().iter().any(|key| key.parse::<Reduce>().is_err()) => None,
        _ => {
            m.problem_here("is one reduction and its window; write for instance `{avg: 1m}`");
            None
        }
    }
}

fn read_flap(m: &mut Map<'_>) -> Flap {
    let usual = Flap::default();
    let within = m.duration("within").within(SECOND..=DAY).or(Duration::from_millis(usual.within_ms));
    Flap { changes: m.integer::<u32>("changes").within(0..=1_000).or(usual.changes), within_ms: ms(within) }
}

/// The rule that is needed is told apart: not where it has a problem already.
fn read_dependency(m: &mut Map<'_>) -> (Dependency, Option<(Arc<str>, Place)>) {
    let rule: Arc<str> = m.name("rule").example("agent_lost").required().into();
    let need = m.is_sound().then(|| (Arc::clone(&rule), Place::of(m)));
    let on = words(m.texts("on"));
    let redundancy = m.name("redundancy_group").optional().map(Arc::from);
    (Dependency { rule, on, redundancy }, need)
}

fn words(texts: Vec<String>) -> Vec<Arc<str>> {
    texts.into_iter().map(Arc::from).collect()
}

fn pair((name, text): (String, String)) -> (Arc<str>, Arc<str>) {
    (Arc::from(name), Arc::from(text))
}
