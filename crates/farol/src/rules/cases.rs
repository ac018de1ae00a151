//! `farol rules test --cases`: unit tests of rules. Decides how a case lives: what is put in comes at its times through
//! the code that alerts live, and what is expected is compared. How cases are written is in `cases/written.rs`.

mod sequence;
mod written;

use super::side;
use crate::cli::RulesTestArgs;
use crate::terminal::{Terminal, one_line};
use crate::verdict::{Error, Found};
use farol_config::{Problems, Sources};
use farol_health::Status;
use farol_monitor::config::Config;
use farol_monitor::history::replay::{Known, Picture};
use farol_monitor::store::{ComponentKey, StatusChange};
use farol_rules::{AlertId, Labels, Meter, Moment, Observation, Phase, Replay, Rule, Severity, Told};
use sequence::Word;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use written::{Case, Expected, Input, Notice, Wanted};

/// What came of a case.
struct Outcome {
    name: String,
    at: String,
    /// What differs, where it is written and what there is in its place.
    failures: Vec<String>,
}

/// Tries these rules on all cases of the files.
pub(super) fn run(
    args: &RulesTestArgs,
    rules: Vec<Rule>,
    config: &Config,
    terminal: &mut Terminal,
) -> Result<Found, Error> {
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for file in &args.cases {
        let read = Sources::new().file(file).load().and_then(|tree| tree.read(written::read));
        match read {
            Ok(read) => cases.extend(read),
            Err(wrong) => problems.extend(wrong.iter().cloned()),
        }
    }
    if !problems.is_empty() {
        return Err(Error::Config(problems.into_iter().collect::<Problems>()));
    }
    let mut outcomes = Vec::new();
    for case in &cases {
        let failures = Life::new(case, rules.clone(), config)?.failures();
        outcomes.push(Outcome { name: case.name.clone(), at: case.origin.to_string(), failures });
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    terminal.print(&if args.json { as_json(&outcomes, failed) } else { as_text(&outcomes, failed) })?;
    Ok(if failed == 0 { Found::Fine } else { Found::NotAsExpected })
}

fn as_text(outcomes: &[Outcome], failed: usize) -> String {
    let mut lines: Vec<String> =
        outcomes.iter().flat_map(|outcome| &outcome.failures).map(|text| one_line(text)).collect();
    let word = if outcomes.len() == 1 { "case" } else { "cases" };
    let what = if failed == 0 { "all came out".to_owned() } else { format!("{failed} did not come out") };
    lines.push(format!("{} {word}, {what}", outcomes.len()));
    lines.join("\n")
}

fn as_json(outcomes: &[Outcome], failed: usize) -> String {
    let cases = outcomes
        .iter()
        .map(|outcome| json!({"name": outcome.name, "at": outcome.at, "failures": outcome.failures}));
    json!({"cases": cases.collect::<Vec<_>>(), "failed": failed}).to_string()
}

/// An agent's series by name and own labels, and the number of each one's input.
type OfAgent = (Vec<(Arc<str>, Labels)>, Vec<usize>);

/// A case while it is lived.
struct Life<'a> {
    case: &'a Case,
    replay: Replay,
    picture: Picture,
    /// By agent, and where its series' values stand: the number of the input.
    meters: BTreeMap<Arc<str>, (Meter, Vec<usize>)>,
    /// What each component was last.
    last: BTreeMap<usize, Status>,
    told: Vec<Told>,
    failures: Vec<String>,
}

impl<'a> Life<'a> {
    fn new(case: &'a Case, rules: Vec<Rule>, config: &Config) -> Result<Self, Error> {
        let side = side(rules, config)?;
        let interval_ms = case.interval_ms;
        let mut known = Known::default();
        for (agent, labels) in &case.agents {
            known.agent(agent, labels.clone(), u32::try_from(interval_ms).unwrap_or(u32::MAX));
        }
        let mut series: BTreeMap<Arc<str>, OfAgent> = BTreeMap::new();
        for (at, input) in case.inputs.iter().enumerate() {
            match input {
                Input::Metric { agent, name, labels, .. } => {
                    let of_agent = series.entry(Arc::clone(agent)).or_default();
                    of_agent.0.push((Arc::clone(name), labels.clone()));
                    of_agent.1.push(at);
                }
                Input::Component { key, kind, required, .. } => known.component(key, kind, *required),
            }
        }
        let labels = |agent: &Arc<str>| {
            let own = case.agents.get(agent).cloned().unwrap_or_default();
            own.with([(&Arc::from("agent"), agent)])
        };
        let meters = series.into_iter().map(|(agent, (series, places))| {
            let meter = Meter::new(&side.orders.rules, &labels(&agent), series, interval_ms);
            (agent, (meter, places))
        });
        let meters = meters.collect();
        Ok(Self {
            case,
            replay: Replay::new(side.orders, &side.windows, moment(case, 0)),
            picture: Picture::new(known, &config.services, &config.groups),
            meters,
            last: BTreeMap::new(),
            told: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Lives it to its end, and says what did not come out.
    fn failures(mut self) -> Vec<String> {
        let mut expected: Vec<&Expected> = self.case.expected.iter().collect();
        expected.sort_by_key(|expected| expected.at_ms);
        let mut expected = expected.into_iter().peekable();
        for step in 0..self.case.steps() {
            let at_ms = step as u64 * self.case.interval_ms;
            while let Some(before) = expected.next_if(|expected| expected.at_ms < at_ms) {
                self.look(before);
            }
            let seen = self.seen(step, at_ms);
            let told = self.replay.observe(moment(self.case, at_ms), &seen);
            self.told.extend(told);
        }
        for left in expected {
            self.look(left);
        }
        let told = self.replay.pass(moment(self.case, self.case.end_ms()));
        self.told.extend(told);
        if let Some(wanted) = &self.case.told {
            self.compare_told(wanted);
        }
        self.failures
    }

    /// What is seen at a step.
    fn seen(&mut self, step: usize, at_ms: u64) -> Vec<Observation> {
        let now = moment(self.case, at_ms);
        let mut changes = Vec::new();
        for (at, input) in self.case.inputs.iter().enumerate() {
            if let Input::Component { key, words, .. } = input
                && let Some(word) = words.get(step).copied().flatten()
            {
                let last = self.last.get(&at).copied().unwrap_or(Status::Unknown);
                if let Word::Status(status) = word {
                    self.last.insert(at, status);
                }
                changes.push(change(key, word, last, now.wall_ms));
            }
        }
        let mut seen = self.picture.change(&changes);
        for (meter, places) in self.meters.values_mut() {
            let values = places.iter().enumerate().filter_map(|(series, input)| {
                let Some(Input::Metric { values, .. }) = self.case.inputs.get(*input) else { return None };
                Some((series, values.get(step).copied().flatten()?))
            });
            let values: Vec<(usize, f64)> = values.collect();
            seen.extend(meter.values(now, &values, self.case.interval_ms));
        }
        seen
    }

    /// Compares the alerts of a moment.
    fn look(&mut self, expected: &Expected) {
        let told = self.replay.pass(moment(self.case, expected.at_ms));
        self.told.extend(told);
        let mut there = alerts(&self.replay);
        let mut missing = Vec::new();
        for wanted in &expected.alerts {
            match there.iter().position(|(id, alert)| wanted.is(id, *alert)) {
                Some(at) => drop(there.remove(at)),
                None => missing.push(wanted),
            }
        }
        let at = written::time(expected.at_ms);
        let others = words(&there);
        // One that only stands otherwise than expected is told once.
        there.retain(|(id, _)| !missing.iter().any(|wanted| wanted.names(id)));
        for wanted in missing {
            self.fail(&wanted.origin.to_string(), &format!("at {at} expected {wanted}; there is {others}"));
        }
        if !there.is_empty() {
            let text = format!("at {at} there is {}, which is not expected", words(&there));
            self.fail(&expected.origin.to_string(), &text);
        }
    }

    /// Compares all that was told, in order.
    fn compare_told(&mut self, wanted: &[Notice]) {
        let begin_ms = self.case.start_ms;
        let told = std::mem::take(&mut self.told);
        for at in 0..wanted.len().max(told.len()) {
            let there = told.get(at).map_or("nothing".to_owned(), |told| notice(told, begin_ms));
            match (wanted.get(at), told.get(at)) {
                (Some(wanted), Some(told)) if wanted.is(told, begin_ms) => {}
                (Some(wanted), _) => {
                    let text = format!("expected the notice {wanted}; there is {there}");
                    self.fail(&wanted.origin.to_string(), &text);
                }
                (None, _) => {
                    let origin = self.case.origin.to_string();
                    self.fail(&origin, &format!("there is the notice {there}, which is not expected"));
                }
            }
        }
    }

    fn fail(&mut self, origin: &str, text: &str) {
        self.failures.push(format!("{origin}: case `{}`: {text}", self.case.name));
    }
}

/// So long after a case's beginning.
fn moment(case: &Case, run_ms: u64) -> Moment {
    Moment { run_ms, wall_ms: case.start_ms.saturating_add(run_ms.cast_signed()) }
}

/// A word as the store would have it.
fn change(key: &ComponentKey, word: Word, last: Status, at_ms: i64) -> StatusChange {
    let (status, maintenance, stale) = match word {
        Word::Status(status) => (Some(status), false, false),
        Word::Maintenance => (Some(last), true, false),
        Word::Stale => (Some(Status::Unknown), false, true),
        Word::Gone => (None, false, false),
    };
    StatusChange { key: key.clone(), at_ms, status, maintenance, stale, reason: "case".into() }
}

/// How an alert stands.
type Alert = (bool, Severity);

/// All alerts that are pending or fire: whether they do, and how bad they are.
fn alerts(replay: &Replay) -> Vec<(AlertId, Alert)> {
    let (book, now) = (replay.book(), replay.now());
    let mut found: BTreeMap<AlertId, Alert> = BTreeMap::new();
    for element in book.elements_with(&[]) {
        let Some(why) = book.why(&element.rule, &element.labels, now) else { continue };
        let alert = match why.phase {
            Some(Phase::Pending { severity, .. }) => (false, severity),
            Some(Phase::Firing { severity, .. }) => (true, severity),
            Some(Phase::Inactive) | None => continue,
        };
        // One that fires is louder than any that is pending.
        let known = found.entry(why.alert).or_insert(alert);
        *known = alert.max(*known);
    }
    found.into_iter().collect()
}

fn words(alerts: &[(AlertId, Alert)]) -> String {
    let word = |(id, (fires, severity)): &(AlertId, Alert)| {
        format!("{id} {} {severity}", if *fires { "firing" } else { "pending" })
    };
    let all: Vec<String> = alerts.iter().map(word).collect();
    if all.is_empty() { "nothing else".to_owned() } else { all.join(", ") }
}

/// A notice in words.
fn notice(told: &Told, begin_ms: i64) -> String {
    let at = written::time(told.at_ms.saturating_sub(begin_ms).unsigned_abs());
    let firing: Vec<String> =
        told.notice.firing.iter().map(|voiced| format!("{} {}", voiced.id, voiced.severity)).collect();
    let resolved: Vec<String> = told.notice.resolved.iter().map(|over| over.id.to_string()).collect();
    let why = super::report::why(told.notice.why);
    written::notice(&at, &told.to.receiver, Some(why), &firing, &resolved)
}

impl Wanted {
    fn names(&self, id: &AlertId) -> bool {
        *id.rule == *self.rule
            && self.labels.iter().all(|(name, value)| id.labels.get(name).is_some_and(|is| **is == **value))
    }

    fn is(&self, id: &AlertId, (fires, severity): Alert) -> bool {
        self.names(id)
            && self.severity.is_none_or(|wanted| wanted == severity)
            && self.fires.is_none_or(|wanted| wanted == fires)
    }
}

impl Notice {
    fn is(&self, told: &Told, begin_ms: i64) -> bool {
        let same = |wanted: &[Wanted], there: Vec<(&AlertId, Alert)>| {
            wanted.len() == there.len()
                && wanted.iter().all(|wanted| there.iter().any(|(id, alert)| wanted.is(id, *alert)))
        };
        let firing = told.notice.firing.iter().map(|voiced| (&voiced.id, (true, voiced.severity)));
        let resolved = told.notice.resolved.iter().map(|over| (&over.id, (true, over.severity)));
        told.at_ms == begin_ms.saturating_add(self.at_ms.cast_signed())
            && self.receiver.as_ref().is_none_or(|wanted| **wanted == *told.to.receiver)
            && self.why.is_none_or(|wanted| wanted == told.notice.why)
            && same(&self.firing, firing.collect())
            && same(&self.resolved, resolved.collect())
    }
}
