//! Which rules make no sense, and why: each by itself, and all together.

use super::{CompileError, MAX_RULES};
use crate::{Condition, Judge, MonitorCondition, Operator, Rule, Subject};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// The most items of a list of a rule.
const MAX_ITEMS: usize = 64;

/// Everything that is wrong.
pub(super) fn all(rules: &[Rule]) -> Vec<CompileError> {
    let mut errors = Vec::new();
    let by_name: HashMap<&str, &Rule> = rules.iter().map(|rule| (&*rule.name, rule)).collect();
    let mut seen = HashSet::new();
    for rule in rules {
        let mut found = Found(Vec::new());
        if !seen.insert(&*rule.name) {
            found.tell("name", "is another rule's too; give each its own");
        }
        one(rule, &mut found);
        for dependency in &rule.depends_on {
            match by_name.get(&*dependency.rule) {
                Some(parent) => joined(rule, parent, &dependency.on, &mut found),
                None => {
                    let other = &dependency.rule;
                    found.tell("depends_on", format!("names `{other}`, and there is no such rule"));
                }
            }
        }
        errors.extend(found.errors(rule));
    }
    if let Some(rule) = rules.get(MAX_RULES) {
        let what = format!("is the first of too many rules: {MAX_RULES} are the most");
        errors.push(CompileError { rule: Arc::clone(&rule.name), key: "name", what });
    }
    errors
}

/// What is wrong with one rule.
struct Found(Vec<(&'static str, String)>);

impl Rule {
    /// What is wrong with this rule, whatever other rules there are.
    #[must_use]
    pub fn flaws(&self) -> Vec<CompileError> {
        let mut found = Found(Vec::new());
        one(self, &mut found);
        found.errors(self)
    }
}

impl Found {
    fn errors(self, rule: &Rule) -> Vec<CompileError> {
        let all = self.0.into_iter();
        all.map(|(key, what)| CompileError { rule: Arc::clone(&rule.name), key, what }).collect()
    }

    fn tell(&mut self, key: &'static str, what: impl Into<String>) {
        self.0.push((key, what.into()));
    }

    fn at_most(&mut self, key: &'static str, ms: u64, most: u64, word: &str) {
        if ms > most {
            self.tell(key, format!("is too long; {word} is the most"));
        }
    }
}

fn one(rule: &Rule, found: &mut Found) {
    if !name_is_valid(&rule.name) {
        found.tell("name", "is not a rule's name; use [A-Za-z0-9._-]{1,128}");
    }
    subject(rule, found);
    if let Some(reduction) = rule.reduce {
        if !matches!(rule.subject, Subject::Metric { .. }) {
            found.tell("reduce", "goes with `metric` only; take it out");
        }
        if !(SECOND..=DAY).contains(&reduction.over_ms) {
            found.tell("reduce", "is over less than 1s or more than 24h; write a window between");
        }
    }
    found.at_most("for", rule.for_ms, 7 * DAY, "7d");
    found.at_most("keep_firing_for", rule.keep_firing_for_ms, 7 * DAY, "7d");
    found.at_most("flap", rule.flap.within_ms, DAY, "`within: 24h`");
    if rule.flap.changes > 0 && rule.flap.within_ms == 0 {
        found.tell("flap", "has no time; write `within: 10m`, or `changes: 0` for none");
    }
    if let Some(by) = &rule.by {
        label_names("by", by, found);
        by_labels(rule, by, found);
    }
    for dependency in &rule.depends_on {
        label_names("depends_on", &dependency.on, found);
        if dependency.rule == rule.name {
            found.tell("depends_on", "names the rule itself; name another");
        }
    }
    let sizes = [
        ("depends_on", rule.depends_on.len()),
        ("match", rule.matchers.len()),
        ("actions", rule.actions.len()),
    ];
    for (key, len) in sizes {
        if len > MAX_ITEMS {
            found.tell(key, format!("has {len} items; {MAX_ITEMS} are the most"));
        }
    }
    for name in rule.labels.keys() {
        if matches!(&**name, "alertname" | "severity") {
            found.tell("labels", format!("sets `{name}`, which is the alert's own; take another name"));
        } else if !label_is_valid(name) {
            found.tell(
                "labels",
                format!("has `{name}`, which is no label's name; use [A-Za-z_][A-Za-z0-9_]*"),
            );
        }
    }
}

fn subject(rule: &Rule, found: &mut Found) {
    match (&rule.subject, &rule.judge) {
        (Subject::Metric { name, of }, Judge::Thresholds { warning, critical, clear }) => {
            for (key, name) in [("metric", Some(name)), ("percent_of", of.as_ref())] {
                if name.is_some_and(|name| !metric_is_valid(name)) {
                    found.tell(key, "is not a series' name; use [A-Za-z_:][A-Za-z0-9_:]*");
                }
            }
            if of.as_ref() == Some(name) {
                found.tell("percent_of", "is `metric` itself, of which it is always 100; name another");
            }
            thresholds(*warning, *critical, *clear, found);
        }
        (Subject::Metric { .. }, _) => {
            found.tell(
                "metric",
                "is judged by `warning` and `critical`; write for instance `critical: \"> 85\"`",
            );
        }
        (
            Subject::Component { .. } | Subject::Service(_) | Subject::Group(_),
            Judge::Statuses { statuses, stale, .. },
        ) => {
            if statuses.is_empty() && !stale {
                found.tell("status", "is empty; write for instance `status: [unhealthy]`");
            }
            if *stale && !matches!(rule.subject, Subject::Component { .. }) {
                found.tell("status", "`stale` is for components only; write `unknown`");
            }
        }
        (Subject::Component { .. } | Subject::Service(_) | Subject::Group(_), _) => {
            found.tell(
                "status",
                "is what components, services and groups are judged by; write `status: [unhealthy]`",
            );
        }
        (Subject::Agent(_) | Subject::Monitor(_), Judge::Condition { .. }) => {}
        (Subject::Agent(_) | Subject::Monitor(_), _) => {
            found.tell(
                "severity",
                "is all that says how bad a condition is; take thresholds and `status` out",
            );
        }
    }
}

fn thresholds(
    warning: Option<Condition>,
    critical: Option<Condition>,
    clear: Option<Condition>,
    found: &mut Found,
) {
    for (key, condition) in [("warning", warning), ("critical", critical), ("clear", clear)] {
        if condition.is_some_and(|condition| !condition.number.is_finite()) {
            found.tell(key, "compares with no finite number");
        }
    }
    if warning.is_none() && critical.is_none() {
        found.tell(
            "critical",
            "is missing, and `warning` too; write one of them, such as `critical: \"> 85\"`",
        );
    }
    if let (Some(warning), Some(critical)) = (warning, critical) {
        let is_sooner = match (direction(warning), direction(critical)) {
            (Some(true), Some(true)) => critical.number < warning.number,
            (Some(false), Some(false)) => critical.number > warning.number,
            _ => false,
        };
        if is_sooner {
            found
                .tell("critical", format!("({critical}) is reached before `warning` ({warning}); swap them"));
        }
    }
    for (key, bad) in [("warning", warning), ("critical", critical)] {
        if let (Some(bad), Some(clear)) = (bad, clear)
            && overlap(bad, clear)
        {
            found
                .tell("clear", format!("({clear}) and `{key}` ({bad}) hold of the same values; leave a gap"));
            return;
        }
    }
}

/// Whether a condition holds of what is large (`true`) or small.
fn direction(condition: Condition) -> Option<bool> {
    match condition.operator {
        Operator::Above | Operator::AtLeast => Some(true),
        Operator::Below | Operator::AtMost => Some(false),
        Operator::Equal | Operator::NotEqual => None,
    }
}

/// Whether two conditions hold of the same value. Each changes only at its number, so that the two numbers, what lies
/// on both sides and what lies between are all cases.
fn overlap(a: Condition, b: Condition) -> bool {
    let between = a.number / 2.0 + b.number / 2.0;
    let values = [a.number, b.number, f64::NEG_INFINITY, f64::INFINITY, between];
    values.iter().any(|value| a.holds(*value) && b.holds(*value))
}

fn label_names(key: &'static str, names: &[Arc<str>], found: &mut Found) {
    let mut seen = HashSet::new();
    for name in names {
        if !label_is_valid(name) {
            found.tell(key, format!("has `{name}`, which is no label's name; use [A-Za-z_][A-Za-z0-9_]*"));
        } else if !seen.insert(name) {
            found.tell(key, format!("has `{name}` twice; take one out"));
        }
    }
    if names.len() > MAX_ITEMS {
        found.tell(key, format!("has {} labels; {MAX_ITEMS} are the most", names.len()));
    }
}

/// By no labels any alert of the parent would hold back all of the rule's; by a label that elements of one of the two
/// never have, none ever would.
fn joined(rule: &Rule, parent: &Rule, on: &[Arc<str>], found: &mut Found) {
    let name = &parent.name;
    if on.is_empty() && labels_of(parent).is_none_or(|known| !known.is_empty()) {
        let example = "write those that both must have with the same values, such as `on: [agent]`";
        found.tell("depends_on", format!("names `{name}` and no labels; {example}"));
    }
    for label in on {
        let lacks = [rule, parent].into_iter().find_map(|of| {
            let known = labels_of(of).filter(|known| !known.contains(&&**label))?;
            Some(format!("what `{}` looks at has {}", of.name, has(known)))
        });
        if let Some(lacks) = lacks {
            found.tell("depends_on", format!("names `{name}` and `{label}`; {lacks}"));
        }
    }
}

/// A label that no element of the subject has would leave the rule without alerts.
fn by_labels(rule: &Rule, by: &[Arc<str>], found: &mut Found) {
    let Some(known) = labels_of(rule) else { return };
    for name in by.iter().filter(|name| !known.contains(&&***name)) {
        found.tell("by", format!("has `{name}`; what this rule looks at has {}", has(known)));
    }
}

fn has(known: &[&str]) -> String {
    if known.is_empty() { "no labels".to_owned() } else { format!("only `{}`", known.join("`, `")) }
}

/// The labels that elements of the rule can have, where that is known.
fn labels_of(rule: &Rule) -> Option<&'static [&'static str]> {
    Some(match rule.subject {
        // These have their agent's labels, which nobody knows here.
        Subject::Metric { .. } | Subject::Component { .. } | Subject::Agent(_) => return None,
        Subject::Service(_) => &["service"],
        Subject::Group(_) => &["group"],
        Subject::Monitor(MonitorCondition::QueueFull) => &["queue"],
        Subject::Monitor(MonitorCondition::ReceiverFailing) => &["receiver"],
        Subject::Monitor(MonitorCondition::ActionFailed) => &["action"],
        Subject::Monitor(_) => &[],
    })
}

fn name_is_valid(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn metric_is_valid(name: &str) -> bool {
    is_word(name, |b| b == b'_' || b == b':')
}

fn label_is_valid(name: &str) -> bool {
    is_word(name, |b| b == b'_')
}

/// Letters, digits and what `also` allows, and no digit first.
fn is_word(name: &str, also: impl Fn(u8) -> bool) -> bool {
    (1..=1_024).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || also(b))
}
