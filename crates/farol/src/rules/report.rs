//! What `farol rules test` prints of a past: a line for each notice, those that only one of the two sets of rules sends
//! marked, and what could not be judged. The JSON's keys are promised in --help.

use crate::table;
use crate::terminal::Terminal;
use farol_monitor::history::replay::{Retold, Span};
use farol_monitor::store::Level;
use farol_rules::{AlertId, Rule, Severity, Subject, Told, Why};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Alerts that a line names.
const NAMED: usize = 3;

/// What there is to print.
pub(super) struct Report<'a> {
    pub(super) span: &'a Span,
    /// The rules that were tried, but for those that are in force, too.
    pub(super) rules: &'a [Rule],
    pub(super) retold: &'a Retold,
    /// The second set is that in force; without one both are the same.
    pub(super) is_compared: bool,
}

/// Which of the two sets of rules sends a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Both,
    /// The rules that are tried.
    Tried,
    /// Those in force.
    InForce,
}

impl By {
    const fn mark(self) -> &'static str {
        match self {
            Self::Both => "",
            Self::Tried => "+",
            Self::InForce => "-",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Tried => "added",
            Self::InForce => "gone",
        }
    }
}

/// What makes a notice the same as another.
type Same<'a> = (i64, &'a Arc<str>, &'static str, Vec<(&'a AlertId, Severity)>, Vec<&'a AlertId>);

fn same(told: &Told) -> Same<'_> {
    let firing = told.notice.firing.iter().map(|voiced| (&voiced.id, voiced.severity)).collect();
    let resolved = told.notice.resolved.iter().map(|over| &over.id).collect();
    (told.at_ms, &told.to.receiver, why(told.notice.why), firing, resolved)
}

/// The notices of both in order of time; what both send once.
fn merged<'a>(tried: &'a [Told], in_force: &'a [Told]) -> Vec<(By, &'a Told)> {
    let mut left: BTreeMap<Same<'a>, usize> = BTreeMap::new();
    for told in in_force {
        *left.entry(same(told)).or_default() += 1;
    }
    let mut merged = Vec::with_capacity(tried.len());
    for told in tried {
        let by = match left.get_mut(&same(told)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                By::Both
            }
            _ => By::Tried,
        };
        merged.push((by, told));
    }
    for told in in_force {
        if let Some(count) = left.get_mut(&same(told))
            && *count > 0
        {
            *count -= 1;
            merged.push((By::InForce, told));
        }
    }
    merged.sort_by_key(|(_, told)| told.at_ms);
    merged
}

impl Report<'_> {
    fn lines(&self) -> Vec<(By, &Told)> {
        let Some(tried) = self.retold.told.first() else { return Vec::new() };
        match self.retold.told.get(1) {
            Some(in_force) => merged(tried, in_force),
            None => tried.iter().map(|told| (By::Both, told)).collect(),
        }
    }

    pub(super) fn text(&self, terminal: &Terminal) -> String {
        let lines = self.lines();
        let mut parts = Vec::new();
        if !lines.is_empty() {
            let rows: Vec<Vec<String>> = lines.iter().map(|(by, told)| row(*by, told)).collect();
            parts.push(table::render(
                &["", "TIME", "RECEIVER", "WHY", "FIRING", "RESOLVED"],
                &rows,
                terminal,
            ));
        }
        let notes = self.notes();
        if !notes.is_empty() {
            parts.push(notes.join("\n"));
        }
        parts.push(self.summary(&lines));
        parts.join("\n\n")
    }

    fn summary(&self, lines: &[(By, &Told)]) -> String {
        let count = |by: By| lines.iter().filter(|(of, _)| *of == by).count();
        let (both, tried, in_force) = (count(By::Both), count(By::Tried), count(By::InForce));
        let firing = self.retold.firing.first().copied().unwrap_or(0);
        let mut text = format!("{} to {}: ", moment(self.span.from_ms), moment(self.span.to_ms));
        let word = if both + tried == 1 { "notice" } else { "notices" };
        text.push_str(&format!("{} {word}, {firing} firing at the end", both + tried));
        text.push_str(&match (self.is_compared, tried, in_force) {
            (false, ..) => "; the rules are those in force".to_owned(),
            (true, 0, 0) => "; the rules in force would have sent the same".to_owned(),
            (true, ..) => format!("; {tried} more (+) and {in_force} fewer (-) than by the rules in force"),
        });
        text
    }

    /// What the past does not say.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.retold.changes == 0 && self.retold.samples == 0 {
            notes.push("nothing is stored of this time that the rules look at".to_owned());
        }
        for (at, (from_ms, level)) in self.retold.resolution.iter().enumerate() {
            let until_ms =
                self.retold.resolution.get(at + 1).map_or(self.span.to_ms, |(next_ms, _)| *next_ms);
            let (step_ms, word) = match level {
                Level::Raw => continue,
                Level::FiveMinutes => (300_000, "means of 5 minutes"),
                Level::OneHour => (3_600_000, "means of an hour"),
            };
            let unjudged = self.unjudged(step_ms);
            let mut note =
                format!("{} to {}: of samples there are {word}", moment(*from_ms), moment(until_ms));
            if !unjudged.is_empty() {
                note.push_str(&format!("; too coarse to judge {}", unjudged.join(", ")));
            }
            notes.push(note);
        }
        let conditions = self.rules.iter().filter(|rule| is_unseen(&rule.subject));
        let names: Vec<&str> = conditions.map(|rule| &*rule.name).collect();
        if !names.is_empty() {
            notes.push(format!("history says nothing of what these look at: {}", names.join(", ")));
        }
        notes
    }

    /// Rules about series whose times are shorter than a step.
    fn unjudged(&self, step_ms: u64) -> Vec<&str> {
        let is_short = |rule: &&Rule| {
            let of_window = rule.reduce.is_some_and(|reduction| reduction.over_ms < step_ms);
            matches!(rule.subject, Subject::Metric { .. }) && (of_window || rule.for_ms < step_ms)
        };
        self.rules.iter().filter(is_short).map(|rule| &*rule.name).collect()
    }

    pub(super) fn json(&self) -> Value {
        let lines = self.lines();
        let told: Vec<Value> = lines.iter().map(|(by, told)| line(*by, told)).collect();
        let resolution: Vec<Value> = self
            .retold
            .resolution
            .iter()
            .map(|(from_ms, level)| {
                let word = match level {
                    Level::Raw => "samples",
                    Level::FiveMinutes => "5m",
                    Level::OneHour => "1h",
                };
                json!({"from": exact(*from_ms), "resolution": word})
            })
            .collect();
        json!({
            "from": exact(self.span.from_ms),
            "to": exact(self.span.to_ms),
            "compared": self.is_compared,
            "told": told,
            "firing": self.retold.firing.first(),
            "resolution": resolution,
            "notes": self.notes(),
            "status_changes": self.retold.changes,
            "samples": self.retold.samples,
        })
    }
}

/// No history is kept of it.
fn is_unseen(subject: &Subject) -> bool {
    use farol_rules::{AgentCondition, MonitorCondition};
    match subject {
        Subject::Agent(condition) => *condition != AgentCondition::Lost,
        Subject::Monitor(condition) => *condition != MonitorCondition::Blind,
        _ => false,
    }
}

fn row(by: By, told: &Told) -> Vec<String> {
    let firing = told.notice.firing.iter().map(|voiced| format!("{} {}", voiced.severity, voiced.id));
    let resolved = told.notice.resolved.iter().map(|over| format!("{} {}", over.ending.as_str(), over.id));
    vec![
        by.mark().to_owned(),
        moment(told.at_ms),
        told.to.receiver.to_string(),
        why(told.notice.why).to_owned(),
        named(firing.collect()),
        named(resolved.collect()),
    ]
}

/// A few of them, and how many more there are.
fn named(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    let named = all.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn line(by: By, told: &Told) -> Value {
    let alert = |id: &AlertId| json!({"rule": id.rule, "labels": id.labels});
    let firing = told.notice.firing.iter().map(|voiced| {
        let mut value = alert(&voiced.id);
        value["severity"] = json!(voiced.severity);
        value["since"] = json!(exact(voiced.episode_ms));
        value
    });
    let resolved = told.notice.resolved.iter().map(|over| {
        let mut value = alert(&over.id);
        value["ending"] = json!(over.ending);
        value
    });
    json!({
        "at": exact(told.at_ms),
        "receiver": told.to.receiver,
        "group": told.to.group,
        "why": why(told.notice.why),
        "change": by.word(),
        "firing": firing.collect::<Vec<_>>(),
        "resolved": resolved.collect::<Vec<_>>(),
    })
}

/// The word.
pub(super) const fn why(why: Why) -> &'static str {
    match why {
        Why::First => "first",
        Why::More => "more",
        Why::Raised => "raised",
        Why::Fell => "fell",
        Why::Released => "released",
        Why::Resolved => "resolved",
        Why::Repeat => "repeat",
    }
}

fn moment(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    // Tenths and less are of no use to people, and two lines of one second are told apart by their order.
    format!("{at:.0}")
}

/// For programs.
fn exact(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{at:.3}")
}
