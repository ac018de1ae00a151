//! Notices: those that are due, were sent, or that nobody took. A dead one can be sent again.

use super::asked::{AFTER, Asked, LIMIT};
use super::incidents::{after, place, read};
use super::json::{Json, List, Time};
use super::named::Named;
use super::problem::Problem;
use super::range::no_answer;
use super::route::{Kind, Param};
use super::told::kept;
use crate::app::App;
use crate::notify::receivers::is_meant;
use crate::notify::{Message, NoticeRecord, READ_AT_ONCE, ResendError, Verdict, Why};
use crate::store::{DocumentKind, DocumentPage};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use farol_logging::event;
use farol_rules::Labels;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[
    LIMIT,
    AFTER,
    Param::new(
        "state",
        Kind::Word(&["due", "sent", "dead"]),
        "Only notices in this state: still to be sent, sent, or taken by nobody and not tried any more; `due` when \
         not given.",
    ),
    Param::new("receiver", Kind::Text, "Only notices to this receiver, and to its peers."),
];

/// A notice.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Notification {
    /// Its id: receivers tell a second copy by it.
    id: String,
    /// `due`, `sent` or `dead`.
    state: &'static str,
    /// To whom.
    receiver: String,
    /// The same for all notices of one group of alerts to one receiver.
    conversation: String,
    /// What made it necessary: `first`, `more`, `raised`, `fell`, `released`, `resolved` or `repeat`.
    #[schema(value_type = String)]
    why: Why,
    /// The labels that its alerts agree in.
    #[schema(value_type = BTreeMap<String, String>)]
    group: Labels,
    /// Its alerts that fire: so many.
    firing: usize,
    /// Its alerts that are over: so many.
    resolved: usize,
    /// The rules of its alerts.
    rules: Vec<String>,
    /// When it was decided.
    at: Time,
    /// When it was sent, or died.
    over: Option<Time>,
    /// How often it was tried, since the process began that sent it.
    attempts: Option<u32>,
    /// Why it is dead, or what an operator should know all the same.
    note: Option<String>,
    /// It was sent while the store did not take it.
    unrecorded: bool,
}

/// A notice that was made due again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resent {
    /// The id that it has now.
    id: String,
}

impl Notification {
    fn due(message: Message) -> Self {
        let mut rules: Vec<String> = message.alerts.iter().map(|alert| alert.rule.clone()).collect();
        rules.sort_unstable();
        rules.dedup();
        Self {
            state: "due",
            firing: message.firing().count(),
            resolved: message.resolved().count(),
            rules,
            id: message.notice_id,
            receiver: message.receiver,
            conversation: message.conversation,
            why: message.why,
            group: message.group,
            at: Time(message.at_ms),
            over: None,
            attempts: None,
            note: None,
            unrecorded: message.unrecorded,
        }
    }

    fn over(record: NoticeRecord) -> Self {
        Self {
            state: match record.outcome {
                Verdict::Sent => "sent",
                Verdict::Dead => "dead",
                Verdict::Resent => "resent",
            },
            over: Some(Time(record.over_ms)),
            attempts: Some(record.attempts),
            note: record.why,
            ..Self::due(record.message)
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<List<Notification>>, Problem> {
    let (limit, receiver) = (asked.limit(), asked.text("receiver"));
    let (kind, prefix) = match asked.text("state") {
        Some("sent") => (DocumentKind::Notice, "sent/".to_owned()),
        Some("dead") => (DocumentKind::Notice, "dead/".to_owned()),
        // Those of its peers begin with its name, too.
        _ => (DocumentKind::Due, receiver.unwrap_or_default().to_owned()),
    };
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty()).map(Arc::from);
    let mut after = after(&asked)?;
    let is_first = after.is_none();
    let mut items = match kind {
        DocumentKind::Due => unrecorded(&app, after.as_ref()),
        _ => Vec::new(),
    };
    let is_asked_for = |one: &Notification| receiver.is_none_or(|name| is_meant(&one.receiver, name));
    items.retain(|(_, one)| is_asked_for(one));
    let most = items.len() + limit;
    while items.len() <= most {
        let page = DocumentPage {
            prefix: prefix.clone(),
            after: after.clone(),
            limit: READ_AT_ONCE,
            ..DocumentPage::default()
        };
        let found = app.store.documents(kind, page).await.map_err(|error| no_answer(&error))?;
        let is_last = found.len() < READ_AT_ONCE;
        after = found.last().map(|document| (document.at_ms, Arc::clone(&document.key)));
        for document in found {
            let one = std::slice::from_ref(&document);
            let read = match kind {
                DocumentKind::Due => read(one).pop().map(Notification::due),
                _ => read(one).pop().map(Notification::over),
            };
            let place = (document.at_ms, document.key);
            items.extend(read.filter(is_asked_for).map(|read| (place, read)));
        }
        if is_last {
            break;
        }
    }
    // What was for a receiver that is gone by now is still found.
    if let Some(name) = receiver
        && items.is_empty()
        && is_first
        && !app.alerting.dispatcher().stats().keys().any(|one| is_meant(one, name))
    {
        return Err(unknown_receiver(name));
    }
    // Newest first, as the store gives them; what it has taken meanwhile is not unrecorded.
    items.sort_by(|(a, one), (b, other)| b.cmp(a).then(one.unrecorded.cmp(&other.unrecorded)));
    items.dedup_by(|(a, _), (b, _)| a == b);
    let List { items, next } = List::page(items, limit, |((at_ms, key), _)| place(*at_ms, key));
    Ok(Json(List { items: items.into_iter().map(|(_, one)| one).collect(), next }))
}

/// No receiver has this name.
pub(super) fn unknown_receiver(name: &str) -> Problem {
    let detail =
        format!("there is no receiver `{name:.100}`; the configuration names them under `receivers`");
    Problem::not_found("unknown_receiver", detail)
}

/// Those that are due and that the store has not taken, of those that come after this place.
fn unrecorded(app: &App, after: Option<&(i64, Arc<str>)>) -> Vec<((i64, Arc<str>), Notification)> {
    let all = app.alerting.dispatcher().unrecorded().into_iter();
    let placed = all.map(|(key, message)| ((message.at_ms, key), message));
    let later = placed.filter(|(place, _)| after.is_none_or(|after| place < after));
    let one = |message: &Message| Notification { unrecorded: true, ..Notification::due(message.clone()) };
    later.map(|(place, message)| (place, one(&message))).collect()
}

pub(super) async fn resend(State(app): State<Arc<App>>, Named(id): Named) -> Result<Json<Resent>, Problem> {
    let resent = app.alerting.resend(&id).await.map_err(|error| match &error {
        ResendError::Unknown(_) => Problem::not_found("unknown_notification", error.to_string()),
        ResendError::Store(why) => no_answer(why),
        ResendError::Already(_) => Problem::new(StatusCode::CONFLICT, "resent_already", error.to_string()),
        ResendError::Over(_) => Problem::new(StatusCode::CONFLICT, "over", error.to_string()),
        _ => Problem::new(StatusCode::CONFLICT, "no_receiver", error.to_string()),
    })?;
    event::business("notification_resent").outcome("success").subject(&id).detail(&resent).log();
    // The last hand-in so far: the notice's is not later.
    let number = app.journal.documents(Vec::new());
    kept(&app, number).await.map_err(|problem| problem.about(&resent.as_str().into()))?;
    Ok(Json(Resent { id: resent }))
}
