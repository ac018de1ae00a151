//! A number that stands for what a rule looks at. Decides which parts of a rule that is.

use crate::{Judge, Pattern, Rule, Subject};

/// A hash of what is looked at and when it is bad; the same in each process and each version of this program.
pub(super) fn fingerprint(rule: &Rule) -> u64 {
    // FNV-1a: written down, unlike the standard library's.
    let text = definition(rule);
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The definition in words; what is written by people is quoted, so that no two rules have the same.
fn definition(rule: &Rule) -> String {
    let mut text = subject(&rule.subject);
    for matcher in &rule.matchers {
        piece(&mut text, "match", &format!("{:?} {:?}", matcher.label, matcher.pattern.to_string()));
    }
    if let Some(reduction) = rule.reduce {
        piece(&mut text, "reduce", &format!("{} {}", reduction.how, reduction.over_ms));
    }
    match &rule.judge {
        Judge::Thresholds { warning, critical, clear } => {
            for (key, condition) in [("warning", warning), ("critical", critical), ("clear", clear)] {
                if let Some(condition) = condition {
                    piece(&mut text, key, &condition.to_string());
                }
            }
        }
        Judge::Statuses { statuses, stale, severity } => {
            let mut words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
            words.sort_unstable();
            piece(&mut text, "status", &format!("{} {stale} {severity}", words.join(" ")));
        }
        Judge::Condition { severity } => piece(&mut text, "condition", severity.as_str()),
    }
    if let Some(by) = &rule.by {
        piece(&mut text, "by", &format!("{by:?}"));
    }
    text
}

fn subject(subject: &Subject) -> String {
    let pattern = |pattern: &Option<Pattern>| format!("{:?}", pattern.as_ref().map(ToString::to_string));
    match subject {
        Subject::Metric { name, of } => format!("metric {name:?} {of:?}"),
        Subject::Component { name, kind } => format!("component {} {}", pattern(name), pattern(kind)),
        Subject::Service(name) => format!("service {}", pattern(name)),
        Subject::Group(name) => format!("group {}", pattern(name)),
        Subject::Agent(condition) => format!("agent {condition:?}"),
        Subject::Monitor(condition) => format!("monitor {condition:?}"),
    }
}

fn piece(text: &mut String, key: &str, value: &str) {
    for part in ["\n", key, " ", value] {
        text.push_str(part);
    }
}
