//! What a rule looks at: exactly one of the keys that say it.

use farol_config::Map;
use farol_rules::{AgentCondition, MonitorCondition, Pattern, Subject};
use std::sync::Arc;

/// The keys that say what a rule looks at; `component` and `kind` may stand together.
const KEYS: [&str; 7] = ["metric", "component", "kind", "service", "group", "agent", "monitor"];

const AGENT: [(&str, AgentCondition); 4] = [
    ("lost", AgentCondition::Lost),
    ("restarting", AgentCondition::Restarting),
    ("identity_conflict", AgentCondition::IdentityConflict),
    ("reports_dropped", AgentCondition::ReportsDropped),
];

const MONITOR: [(&str, MonitorCondition); 8] = [
    ("store_unusable", MonitorCondition::StoreUnusable),
    ("queue_full", MonitorCondition::QueueFull),
    ("receiver_failing", MonitorCondition::ReceiverFailing),
    ("clock_jump", MonitorCondition::ClockJump),
    ("blind", MonitorCondition::Blind),
    ("reload_failed", MonitorCondition::ReloadFailed),
    ("heartbeat_failing", MonitorCondition::HeartbeatFailing),
    ("action_failed", MonitorCondition::ActionFailed),
];

/// Reads it. `None` has its problem.
pub(super) fn read(m: &mut Map<'_>) -> Option<Subject> {
    let written: Vec<&str> = KEYS.into_iter().filter(|key| m.has(key)).collect();
    let (component, kind) = (pattern(m, "component"), pattern(m, "kind"));
    let (service, group) = (pattern(m, "service"), pattern(m, "group"));
    let metric = m.text("metric").example("system_cpu_usage_percent").optional();
    let of = m.text("percent_of").example("database_connections_max").optional();
    let agent = m.one_of("agent", &AGENT).optional();
    let monitor = m.one_of("monitor", &MONITOR).optional();
    if m.has("percent_of") && !m.has("metric") {
        m.problem("percent_of", "goes with `metric` only; take it out");
    }
    match written[..] {
        [] => {
            let text = "says nothing of what it looks at; write for instance `metric: system_cpu_usage_percent` or \
                        `component: \"*\"`";
            m.problem_here(text);
            None
        }
        ["metric"] => Some(Subject::Metric { name: Arc::from(metric?), of: of.map(Arc::from) }),
        ["component" | "kind"] | ["component", "kind"] => {
            Some(Subject::Component { name: component?, kind: kind? })
        }
        ["service"] => Some(Subject::Service(service?)),
        ["group"] => Some(Subject::Group(group?)),
        ["agent"] => agent.map(Subject::Agent),
        ["monitor"] => monitor.map(Subject::Monitor),
        [first, .., last] => {
            m.problem(
                last,
                format!("stands beside `{first}`, and a rule looks at one thing; take one of the two out"),
            );
            None
        }
        [_] => None,
    }
}

/// A pattern; `Some(None)` is any: it says `*`, or is not there. `None` has its problem.
fn pattern(m: &mut Map<'_>, key: &str) -> Option<Option<Pattern>> {
    match m.text(key).example("\"*\"").optional() {
        None => (!m.has(key)).then_some(None),
        Some(any) if any == "*" => Some(None),
        Some(text) => match Pattern::parse(&text) {
            Ok(pattern) => Some(Some(pattern)),
            Err(error) => {
                m.problem(key, format!("{error}; write for instance `~payments-.*`"));
                None
            }
        },
    }
}
