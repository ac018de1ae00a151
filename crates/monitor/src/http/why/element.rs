//! What one rule says of one element, and why. Decides the verdict's word.

use super::super::alerts::Muting;
use super::super::json::Time;
use super::delivery::Delivery;
use crate::alerting::short_id;
use crate::app::App;
use crate::history::{self, Past, Query};
use farol_rules::{
    AlertId, AlertShown, Book, Explanation, Judge, Labels, Matcher, Moment, Phase, Rule, Subject,
};
use farol_series::Reduce;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// The last samples go back so far.
const SAMPLES_MS: i64 = 10 * 60_000;
/// And are so far apart.
const STEP_MS: i64 = 30_000;

/// An element that a rule could look at.
pub(super) struct Candidate {
    pub(super) rule: Arc<Rule>,
    pub(super) labels: Labels,
    pub(super) current: Current,
}

/// How it is now, where that is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Current {
    pub(super) value: Option<f64>,
    pub(super) status: Option<String>,
    pub(super) message: Option<String>,
    /// Why that says nothing.
    pub(super) no_evidence: Option<&'static str>,
}

impl Candidate {
    /// One that the book knows.
    pub(super) fn known(rule: &Arc<Rule>, labels: &Labels) -> Self {
        Self { rule: Arc::clone(rule), labels: labels.clone(), current: Current::default() }
    }
}

/// What one rule says of one element.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in super::super) struct RuleWhy {
    /// The rule.
    #[schema(value_type = String)]
    pub(super) rule: Arc<str>,
    /// `firing`, `pending`, `well`, `no_evidence`, or `not_matched`: the rule does not look at it.
    pub(super) verdict: &'static str,
    /// The element.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(super) labels: Labels,
    /// The alert that it is or would be part of, by its name in paths.
    pub(super) alert: String,
    /// How bad it is, or would be.
    pub(super) severity: Option<&'static str>,
    /// Since when it is so.
    pub(super) since: Option<Time>,
    /// How much of `for` is behind it.
    pub(super) held_ms: Option<u64>,
    /// It must be bad for so long.
    pub(super) for_ms: u64,
    /// It is well for so long already, of `keep_firing_for_ms`.
    pub(super) clear_ms: Option<u64>,
    /// It must be well for so long.
    pub(super) keep_firing_for_ms: u64,
    /// The last value: as the rule reduces it where it is bad, else the last sample.
    pub(super) value: Option<f64>,
    /// The last status.
    pub(super) status: Option<String>,
    /// What the last result said.
    pub(super) message: Option<String>,
    /// When that was seen, where the rule took note of it.
    pub(super) seen: Option<Time>,
    /// What is bad: `warning > 75`, `critical > 85`, `clear < 70`, or the statuses.
    pub(super) bad: Vec<String>,
    /// Nothing was heard of it for too long: all timers stand still.
    pub(super) stale: bool,
    /// Why nothing is known.
    pub(super) no_evidence: Option<&'static str>,
    /// It is flapping: it fires until it is steady.
    pub(super) flapping: bool,
    /// So often it began or ended within the window.
    pub(super) changes: usize,
    /// So often is flapping; 0 never is.
    pub(super) flapping_changes: u32,
    /// The window.
    pub(super) flapping_within_ms: u64,
    /// The matchers that say no.
    pub(super) unmatched: Vec<Unmatched>,
    /// What holds it back.
    pub(super) held_by: Vec<String>,
    /// What mutes it.
    pub(super) muted: Option<Muting>,
    /// Who takes care of its alert.
    pub(super) acknowledged_by: Option<String>,
    /// Who is or would be told.
    pub(super) routes: Vec<WhyRoute>,
    /// The last attempts to tell of its alert that are in memory, oldest first.
    pub(super) deliveries: Vec<Delivery>,
    /// The last samples, for metrics, where few elements are asked about.
    pub(super) samples: Vec<WhySample>,
    /// All of it for people.
    pub(super) text: Vec<String>,
    /// What its alert is called in messages, if it fires or just ended.
    #[serde(skip)]
    pub(super) word: Option<String>,
}

/// A matcher that says no.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Unmatched {
    /// The label.
    pub(super) label: String,
    /// What it must be.
    pub(super) pattern: String,
    /// What it is; `null` where there is none.
    pub(super) is: Option<String>,
}

/// A way to a receiver.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct WhyRoute {
    /// The receiver.
    #[schema(value_type = String)]
    pub(super) receiver: Arc<str>,
    /// The route's place in the configuration.
    #[schema(value_type = String)]
    pub(super) path: Arc<str>,
    /// The labels of the group.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(super) group: Labels,
}

/// A sample.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct WhySample {
    /// Where its step begins.
    pub(super) at: Time,
    /// The last value in it; `null` for none.
    pub(super) value: Option<f64>,
}

/// What a rule says of an element.
pub(super) fn explain(
    book: &Book,
    candidate: &Candidate,
    now: Moment,
    alerts: &mut BTreeMap<AlertId, Option<AlertShown>>,
) -> RuleWhy {
    let Candidate { rule, labels, current } = candidate;
    let mut why = RuleWhy {
        rule: Arc::clone(&rule.name),
        labels: labels.clone(),
        for_ms: rule.for_ms,
        keep_firing_for_ms: rule.keep_firing_for_ms,
        value: current.value,
        status: current.status.clone(),
        message: current.message.clone(),
        no_evidence: current.no_evidence,
        bad: bad(&rule.judge),
        flapping_changes: rule.flap.changes,
        flapping_within_ms: rule.flap.within_ms,
        unmatched: unmatched(rule, labels),
        ..RuleWhy::default()
    };
    if !why.unmatched.is_empty() {
        why.verdict = "not_matched";
        return why;
    }
    let Some(known) = book.why(&rule.name, labels, now) else { return why };
    why.take(&known);
    let shown = alerts.entry(known.alert.clone()).or_insert_with(|| book.alert(&known.alert, now));
    if let Some(shown) = shown {
        why.acknowledged_by = shown.acknowledged.as_ref().map(|ack| ack.author.clone());
        why.word = Some(crate::alerting::word_id(&known.alert, shown.view.since_ms));
    }
    why
}

impl RuleWhy {
    fn take(&mut self, known: &Explanation) {
        self.alert = short_id(&known.alert);
        if let Some(seen) = &known.seen {
            self.value = seen.value.or(self.value);
            self.status = self.status.take().or_else(|| seen.status.as_deref().map(str::to_owned));
            self.message = self.message.take().or_else(|| seen.message.as_deref().map(str::to_owned));
            self.seen = Some(Time(seen.at_ms));
        }
        self.value = self.value.filter(|value| value.is_finite());
        (self.stale, self.flapping, self.changes) = (known.stale, known.flapping, known.changes);
        self.held_by.clone_from(&known.held_by);
        self.muted = known.muted.clone().map(Muting::from);
        let route = |(to, path): &(farol_rules::ConversationId, Arc<str>)| WhyRoute {
            receiver: Arc::clone(&to.receiver),
            path: Arc::clone(path),
            group: to.group.clone(),
        };
        self.routes = known.routes.iter().map(route).collect();
        self.verdict = match known.phase {
            Some(Phase::Firing { severity, since_ms, clear_ms, .. }) => {
                (self.severity, self.since) = (Some(severity.as_str()), Some(Time(since_ms)));
                self.clear_ms = clear_ms;
                "firing"
            }
            Some(Phase::Pending { severity, since_ms, held_ms }) => {
                (self.severity, self.since) = (Some(severity.as_str()), Some(Time(since_ms)));
                self.held_ms = Some(held_ms);
                "pending"
            }
            Some(Phase::Inactive) | None if self.no_evidence.is_some() || self.stale => "no_evidence",
            Some(Phase::Inactive) | None => "well",
        };
    }
}

fn unmatched(rule: &Rule, labels: &Labels) -> Vec<Unmatched> {
    let no = rule.matchers.iter().filter(|matcher: &&Matcher| !matcher.matches(labels));
    no.map(|matcher| Unmatched {
        label: matcher.label.to_string(),
        pattern: matcher.pattern.to_string(),
        is: labels.get(&matcher.label).map(ToString::to_string),
    })
    .collect()
}

/// What a rule finds bad.
fn bad(judge: &Judge) -> Vec<String> {
    match judge {
        Judge::Thresholds { warning, critical, clear } => {
            let named = [("warning", warning), ("critical", critical), ("clear", clear)];
            let given = named.into_iter().filter_map(|(name, condition)| Some((name, (*condition)?)));
            given.map(|(name, condition)| format!("{name} {condition}")).collect()
        }
        Judge::Statuses { statuses, stale, severity } => {
            let words = statuses.iter().map(|status| status.as_str()).chain(stale.then_some("stale"));
            words.map(|word| format!("{severity} {word}")).collect()
        }
        Judge::Condition { severity } => vec![severity.as_str().to_owned()],
    }
}

/// The last samples of a metric's element; none where history gives no answer.
pub(super) async fn samples(app: &App, candidate: &Candidate, now_ms: i64) -> Vec<WhySample> {
    let Subject::Metric { name, .. } = &candidate.rule.subject else { return Vec::new() };
    let Some(agent) = candidate.labels.get("agent") else { return Vec::new() };
    let Ok(_place) = app.questions.place() else { return Vec::new() };
    let found = app.fleet.agent(agent);
    let found = found.as_ref().map(|agent| agent.live.lock());
    let (own, scope) =
        found.map(|live| (live.rule_labels.clone(), Arc::clone(&live.scope))).unwrap_or_default();
    let is_of_component = candidate.labels.get("component").is_some();
    let is_place = |label: &str| is_of_component && matches!(label, "service" | "component");
    let is_own = |label: &Arc<str>, value: &Arc<str>| !is_place(label) && own.get(label) == Some(value);
    let of_series = candidate.labels.iter().filter(|(label, value)| !is_own(label, value));
    let labels = of_series.map(|(label, value)| match &**label {
        // History has it as the agent names it.
        "service" if is_of_component => {
            let bare = value.strip_prefix(&*scope).and_then(|rest| rest.strip_prefix('.'));
            ("service".to_owned(), bare.unwrap_or(value).to_owned())
        }
        label => (label.strip_prefix("exported_").unwrap_or(label).to_owned(), value.to_string()),
    });
    let to_ms = now_ms / STEP_MS * STEP_MS + STEP_MS;
    let query = Query {
        agent: Some(agent.to_string()),
        metric: name.to_string(),
        labels: labels.collect(),
        from_ms: to_ms - SAMPLES_MS,
        to_ms,
        step_ms: STEP_MS,
        reduce: Reduce::Last,
    };
    let past = Past { store: &*app.store, recent: Some(app.journal.recent()) };
    let Ok(found) = history::query(past, &query).await else { return Vec::new() };
    let points = found.series.into_iter().next().map(|series| series.points).unwrap_or_default();
    let steps = (0_i64..).zip(points);
    steps
        .map(|(at, point)| WhySample {
            at: Time(query.from_ms + at * STEP_MS),
            value: point.value.filter(|value| value.is_finite()),
        })
        .collect()
}
