//! An alert as a JSON document.

use super::super::json::Time;
use crate::alerting::short_id;
use crate::app::App;
use farol_rules::{AlertShown, ElementView, Labels, MuteView, ToldOf};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Alert {
    /// Its name in paths: the same as long as its rule and labels are.
    id: String,
    /// The rule's name.
    #[schema(value_type = String)]
    rule: Arc<str>,
    /// Its labels, those of its rule, `alertname` and `severity` among them.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    /// How bad, or how bad it would be: `warning` or `critical`.
    severity: &'static str,
    /// `pending`, `firing` or `ended`.
    state: &'static str,
    /// Since when it fires; of a pending one since when it is bad.
    since: Time,
    /// When it ended.
    ended: Option<Time>,
    /// Why it ended: `recovered`, `removed`, `left` or `forgotten`.
    ending: Option<&'static str>,
    /// What is in it.
    elements: Elements,
    /// What holds it back; 50 at most.
    held_by: Vec<String>,
    /// What mutes it.
    muted: Option<Muting>,
    /// Who takes care of it.
    acknowledged: Option<Acknowledged>,
    /// The alerts that it holds back.
    holds: Holds,
    /// Its elements begin and end too often.
    flapping: bool,
    /// Nothing was heard of any of its elements for too long.
    stale: bool,
    /// Texts for people, rendered.
    annotations: BTreeMap<String, String>,
    /// Its incident.
    #[schema(value_type = Option<String>)]
    incident: Option<Arc<str>>,
    /// Who was told, or is to be.
    receivers: Vec<Told>,
}

/// The elements of an alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertElements)]
struct Elements {
    /// How many there are.
    count: usize,
    /// 50 of them at most.
    named: Vec<Element>,
}

/// An element of an alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertElement)]
pub(in super::super) struct Element {
    /// All its labels.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    /// The last value, for metrics.
    value: Option<f64>,
    /// The last status, for components, services and groups.
    #[schema(value_type = Option<String>)]
    status: Option<Arc<str>>,
    /// The last result's code.
    #[schema(value_type = Option<String>)]
    reason: Option<Arc<str>>,
    /// For people.
    #[schema(value_type = Option<String>)]
    message: Option<Arc<str>>,
    /// When that was seen.
    seen: Time,
    /// Nothing was heard of it for too long.
    stale: bool,
}

/// What mutes an alert; of several silences and windows, the one that holds longest.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Muting {
    /// `silence <id>` or `maintenance <id>`.
    pub(in super::super) by: String,
    /// Who wants it.
    pub(in super::super) author: String,
    /// Why.
    pub(in super::super) reason: String,
    /// Until then.
    pub(in super::super) until: Time,
    /// So many others mute it, too.
    pub(in super::super) others: usize,
}

impl From<MuteView> for Muting {
    fn from(MuteView { by, author, reason, until_ms, others }: MuteView) -> Self {
        Self { by: by.to_string(), author, reason, until: Time(until_ms), others }
    }
}

/// Who takes care of an alert.
#[derive(Debug, Serialize, ToSchema)]
struct Acknowledged {
    /// Who.
    by: String,
    /// What is done.
    reason: String,
    /// Since when.
    at: Time,
    /// Until when at most.
    until: Option<Time>,
}

/// Alerts that one holds back.
#[derive(Debug, Serialize, ToSchema)]
struct Holds {
    /// How many there are.
    count: usize,
    /// 50 of them at most.
    named: Vec<String>,
}

/// What a receiver knows of an alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertReceiver)]
pub(in super::super) struct Told {
    /// The receiver.
    #[schema(value_type = String)]
    receiver: Arc<str>,
    /// The labels of the group with which it is told.
    #[schema(value_type = BTreeMap<String, String>)]
    group: Labels,
    /// When it was first told that it fires this time; `null` where it was not.
    told: Option<Time>,
    /// In so many milliseconds it is told something of it.
    due_in_ms: Option<u64>,
}

impl From<ElementView> for Element {
    fn from(ElementView { labels, seen, stale }: ElementView) -> Self {
        Self {
            labels,
            value: seen.value.filter(|value| value.is_finite()),
            status: seen.status,
            reason: seen.reason,
            message: seen.message,
            seen: Time(seen.at_ms),
            stale,
        }
    }
}

impl From<ToldOf> for Told {
    fn from(ToldOf { to, told_ms, due_in_ms }: ToldOf) -> Self {
        Self { receiver: to.receiver, group: to.group, told: told_ms.map(Time), due_in_ms }
    }
}

impl Alert {
    pub(in super::super) fn new(app: &App, shown: AlertShown) -> Self {
        let AlertShown { state, view, acknowledged, told } = shown;
        Self {
            id: short_id(&view.id),
            annotations: app.alerting.annotations(&view),
            rule: view.id.rule,
            labels: view.labels,
            severity: view.severity.as_str(),
            state: state.as_str(),
            since: Time(view.since_ms),
            ended: view.ended.map(|(_, at_ms)| Time(at_ms)),
            ending: view.ended.map(|(ending, _)| ending.as_str()),
            elements: Elements {
                count: view.elements_count,
                named: view.elements.into_iter().map(Element::from).collect(),
            },
            held_by: view.held_by,
            muted: view.muted.map(Muting::from),
            acknowledged: acknowledged.map(|ack| Acknowledged {
                by: ack.author,
                reason: ack.reason,
                at: Time(ack.at_ms),
                until: ack.ends_ms.map(Time),
            }),
            holds: Holds { count: view.holds_count, named: view.holds },
            flapping: view.flapping,
            stale: view.stale,
            incident: view.incident,
            receivers: told.into_iter().map(Told::from).collect(),
        }
    }
}
