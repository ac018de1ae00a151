//! The alert rules in force: what each looks at, when that is bad, and how much of it is.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List};
use super::route::Param;
use super::silences::written;
use crate::app::App;
use axum::Extension;
use axum::extract::State;
use farol_rules::{AgentCondition, ElementCounts, Judge, MonitorCondition, Pattern, Subject};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[LIMIT, AFTER];

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rule {
    /// Its name.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// What it looks at.
    looks_at: LooksAt,
    /// Which of it, by its labels.
    r#match: BTreeMap<String, String>,
    /// `avg`, `max`, `min`, `last`, `rate` or `p95`, for metrics.
    reduce: Option<&'static str>,
    /// Over so long.
    over_ms: Option<u64>,
    /// When it is bad, by value.
    warning: Option<String>,
    /// When it is very bad, by value.
    critical: Option<String>,
    /// When it is well again, by value.
    clear: Option<String>,
    /// When it is bad, by status; `stale` stands for what nothing was heard of for too long.
    statuses: Vec<&'static str>,
    /// How bad that is, where no value says so.
    severity: Option<&'static str>,
    /// It must be bad for so long before anybody is told.
    for_ms: u64,
    /// It must be well for so long before it is over.
    keep_firing_for_ms: u64,
    /// So many changes within `flapping_within_ms` are flapping; 0 never is.
    flapping_changes: u32,
    /// See there.
    flapping_within_ms: u64,
    /// The labels that make one alert of many elements; `null` where each element is one.
    #[schema(value_type = Option<Vec<String>>)]
    by: Option<Vec<Arc<str>>>,
    /// What holds it back.
    depends_on: Vec<DependsOn>,
    /// Added to its alerts' labels.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Its templates, as they are written.
    #[schema(value_type = BTreeMap<String, String>)]
    annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// The actions that it starts.
    #[schema(value_type = Vec<String>)]
    actions: Vec<Arc<str>>,
    /// So many elements are bad, not yet for long enough.
    pending: usize,
    /// So many elements fire.
    firing: usize,
}

/// What a rule looks at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LooksAt {
    /// `metric`, `component`, `service`, `group`, `agent` or `monitor`.
    what: &'static str,
    /// The name or its pattern; of an agent and of the monitor the condition. `null` is any.
    name: Option<String>,
    /// What 100 % is, for metrics.
    of: Option<String>,
    /// The kind of check, for components; `null` is any.
    kind: Option<String>,
}

/// What holds a rule's alerts back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DependsOn {
    /// The other rule.
    #[schema(value_type = String)]
    rule: Arc<str>,
    /// Labels that both have, with the same value.
    #[schema(value_type = Vec<String>)]
    on: Vec<Arc<str>>,
    /// Those of one redundancy group hold back only together.
    #[schema(value_type = Option<String>)]
    redundancy: Option<Arc<str>>,
}

impl From<&Subject> for LooksAt {
    fn from(subject: &Subject) -> Self {
        let of = |what, pattern: &Option<Pattern>| Self {
            what,
            name: pattern.as_ref().map(ToString::to_string),
            of: None,
            kind: None,
        };
        match subject {
            Subject::Metric { name, of } => Self {
                what: "metric",
                name: Some(name.to_string()),
                of: of.as_ref().map(ToString::to_string),
                kind: None,
            },
            Subject::Component { name, kind } => {
                Self { kind: kind.as_ref().map(ToString::to_string), ..of("component", name) }
            }
            Subject::Service(name) => of("service", name),
            Subject::Group(name) => of("group", name),
            Subject::Agent(condition) => {
                Self { name: Some(of_agent(*condition).to_owned()), ..of("agent", &None) }
            }
            Subject::Monitor(condition) => {
                Self { name: Some(of_monitor(*condition).to_owned()), ..of("monitor", &None) }
            }
        }
    }
}

/// The word of a condition.
pub(super) fn of_agent(condition: AgentCondition) -> &'static str {
    match condition {
        AgentCondition::Lost => "lost",
        AgentCondition::Restarting => "restarting",
        AgentCondition::IdentityConflict => "identity_conflict",
        AgentCondition::ReportsDropped => "reports_dropped",
    }
}

fn of_monitor(condition: MonitorCondition) -> &'static str {
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

impl Rule {
    fn new(rule: &farol_rules::Rule, counts: ElementCounts) -> Self {
        let (mut warning, mut critical, mut clear) = (None, None, None);
        let (mut statuses, mut severity) = (Vec::new(), None);
        match &rule.judge {
            Judge::Thresholds { warning: w, critical: c, clear: well } => {
                let text = |condition: &Option<farol_rules::Condition>| condition.map(|c| c.to_string());
                (warning, critical, clear) = (text(w), text(c), text(well));
            }
            Judge::Statuses { statuses: bad, stale, severity: how } => {
                statuses.extend(bad.iter().map(|status| status.as_str()));
                statuses.extend(stale.then_some("stale"));
                severity = Some(how.as_str());
            }
            Judge::Condition { severity: how } => severity = Some(how.as_str()),
        }
        let depends_on = rule.depends_on.iter().map(|on| DependsOn {
            rule: Arc::clone(&on.rule),
            on: on.on.clone(),
            redundancy: on.redundancy.clone(),
        });
        Self {
            name: Arc::clone(&rule.name),
            looks_at: LooksAt::from(&rule.subject),
            r#match: written(&rule.matchers),
            reduce: rule.reduce.map(|reduction| reduction.how.as_str()),
            over_ms: rule.reduce.map(|reduction| reduction.over_ms),
            warning,
            critical,
            clear,
            statuses,
            severity,
            for_ms: rule.for_ms,
            keep_firing_for_ms: rule.keep_firing_for_ms,
            flapping_changes: rule.flap.changes,
            flapping_within_ms: rule.flap.within_ms,
            by: rule.by.clone(),
            depends_on: depends_on.collect(),
            labels: rule.labels.clone(),
            annotations: rule.annotations.clone(),
            actions: rule.actions.clone(),
            pending: counts.pending,
            firing: counts.firing,
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Rule>> {
    let (rules, counts) = {
        let book = app.alerting.book();
        (book.rules().clone(), book.elements_by_rule())
    };
    let mut rules: Vec<_> = rules.rules().iter().collect();
    rules.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    rules.retain(|rule| asked.after().is_none_or(|after| &*rule.name > after));
    rules.truncate(asked.limit() + 1);
    let of = |rule: &Arc<farol_rules::Rule>| counts.get(&rule.name).copied().unwrap_or_default();
    let items = rules.into_iter().map(|rule| Rule::new(rule, of(rule))).collect();
    Json(List::page(items, asked.limit(), |rule: &Rule| rule.name.to_string()))
}
