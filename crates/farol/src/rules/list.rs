//! Rules in a table for people, and as JSON for programs. The JSON's keys are promised in --help.

use crate::table;
use crate::terminal::Terminal;
use farol_rules::{AgentCondition, Judge, MonitorCondition, Pattern, Rule, Subject};
use serde_json::{Value, json};
use std::time::Duration;

/// One rule a line, and how many there are.
pub(super) fn table(rules: &[&Rule], terminal: &Terminal) -> String {
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            let by = rule.by.as_ref().map_or("each".to_owned(), |by| by.join(", "));
            vec![rule.name.to_string(), subject(rule), bad(&rule.judge), time(rule.for_ms), by]
        })
        .collect();
    let word = if rules.len() == 1 { "rule" } else { "rules" };
    let count = format!("{} {word}, nothing is wrong", rules.len());
    if rows.is_empty() {
        return count;
    }
    format!("{}\n\n{count}", table::render(&["RULE", "LOOKS AT", "BAD", "FOR", "BY"], &rows, terminal))
}

/// A duration as it is written in files.
pub(super) fn time(ms: u64) -> String {
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms >= length && ms.is_multiple_of(length) {
            return format!("{}{unit}", ms / length);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{}ms", Duration::from_millis(ms).as_millis()) }
}

fn pattern(pattern: Option<&Pattern>) -> String {
    pattern.map_or("*".to_owned(), ToString::to_string)
}

fn subject(rule: &Rule) -> String {
    let mut text = match &rule.subject {
        Subject::Metric { name, of: None } => format!("metric {name}"),
        Subject::Metric { name, of: Some(of) } => format!("metric {name} in % of {of}"),
        Subject::Component { name, kind: None } => format!("component {}", pattern(name.as_ref())),
        Subject::Component { name, kind } => {
            format!("component {} of kind {}", pattern(name.as_ref()), pattern(kind.as_ref()))
        }
        Subject::Service(name) => format!("service {}", pattern(name.as_ref())),
        Subject::Group(name) => format!("group {}", pattern(name.as_ref())),
        Subject::Agent(condition) => format!("agent {}", agent_word(*condition)),
        Subject::Monitor(condition) => format!("monitor {}", monitor_word(*condition)),
    };
    if let Some(reduction) = rule.reduce {
        text.push_str(&format!(", {} over {}", reduction.how, time(reduction.over_ms)));
    }
    for matcher in &rule.matchers {
        text.push_str(&format!(", {}: {}", matcher.label, matcher.pattern));
    }
    text
}

fn agent_word(condition: AgentCondition) -> &'static str {
    match condition {
        AgentCondition::Lost => "lost",
        AgentCondition::Restarting => "restarting",
        AgentCondition::IdentityConflict => "identity_conflict",
        AgentCondition::ReportsDropped => "reports_dropped",
    }
}

fn monitor_word(condition: MonitorCondition) -> &'static str {
    match condition {
        MonitorCondition::StoreUnusable => "store_unusable",
        MonitorCondition::QueueFull => "queue_full",
        MonitorCondition::ReceiverFailing => "receiver_failing",
        MonitorCondition::ClockJump => "clock_jump",
        MonitorCondition::Blind => "blind",
        MonitorCondition::ReloadFailed => "reload_failed",
        MonitorCondition::HeartbeatFailing => "heartbeat_failing",
        MonitorCondition::ActionFailed => "action_failed",
    }
}

fn bad(judge: &Judge) -> String {
    match judge {
        Judge::Thresholds { warning, critical, clear } => {
            let parts = [("warning", warning), ("critical", critical), ("clear", clear)];
            let parts = parts.iter().filter_map(|(word, c)| c.map(|c| format!("{word} {c}")));
            parts.collect::<Vec<_>>().join(", ")
        }
        Judge::Statuses { statuses, stale, severity } => {
            let mut words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
            words.extend(stale.then_some("stale"));
            format!("{severity} when {}", words.join(", "))
        }
        Judge::Condition { severity } => severity.to_string(),
    }
}

/// All of each rule.
pub(super) fn json(rules: &[&Rule]) -> Value {
    rules.iter().map(|rule| one(rule)).collect()
}

fn one(rule: &Rule) -> Value {
    let on: Vec<Value> = rule
        .depends_on
        .iter()
        .map(|on| json!({"rule": on.rule, "on": on.on, "redundancy_group": on.redundancy}))
        .collect();
    json!({
        "name": rule.name,
        "looks_at": subject(rule),
        "bad": bad(&rule.judge),
        "for_ms": rule.for_ms,
        "keep_firing_for_ms": rule.keep_firing_for_ms,
        "by": rule.by,
        "depends_on": on,
        "labels": rule.labels,
        "annotations": rule.annotations,
        "actions": rule.actions,
    })
}
