//! What became of attempts to tell of an alert: the last ones are in memory, what is over is in the store.

use super::super::json::Time;
use crate::app::App;
use crate::notify::{Attempt, NoticeRecord, Outcome, Verdict, Waiting};
use serde::Serialize;
use utoipa::ToSchema;

/// An attempt to tell of an alert.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct Delivery {
    /// The notice.
    pub(super) notification: String,
    /// To whom.
    pub(super) receiver: String,
    /// When.
    pub(super) at: Time,
    /// Which attempt of this notice; 0 where it was not tried.
    pub(super) attempt: u32,
    /// `sent`, `retry` or `dead`.
    pub(super) outcome: &'static str,
    /// What happened.
    pub(super) why: Option<String>,
    /// When it is tried again, at the earliest.
    pub(super) next: Option<Time>,
    /// How long it took.
    pub(super) took_ms: Option<u64>,
    /// The store had not taken the notice by then.
    pub(super) unrecorded: bool,
}

/// A notice of an alert that was not taken yet.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct WaitingNotice {
    /// The notice.
    pub(super) notification: String,
    /// To whom.
    pub(super) receiver: String,
    /// When it was made.
    pub(super) since: Time,
    /// Attempts that failed since the monitor's start.
    pub(super) failed: u32,
    /// It is on its way.
    pub(super) in_flight: bool,
    /// When it is tried next, at the earliest; `null` while it is on its way, or behind another of its conversation.
    pub(super) next: Option<Time>,
}

impl From<Waiting> for WaitingNotice {
    fn from(notice: Waiting) -> Self {
        Self {
            notification: notice.notice_id,
            receiver: notice.receiver.to_string(),
            since: Time(notice.at_ms),
            failed: notice.failed,
            in_flight: notice.in_flight,
            next: notice.next_ms.map(Time),
        }
    }
}

impl From<Attempt> for Delivery {
    fn from(attempt: Attempt) -> Self {
        let (outcome, why, next) = match attempt.outcome {
            Outcome::Sent { note } => ("sent", note, None),
            Outcome::Retry { why, next_ms } | Outcome::Partly { why, next_ms } => {
                ("retry", Some(why), Some(Time(next_ms)))
            }
            Outcome::Dead { why } => ("dead", Some(why), None),
        };
        Self {
            notification: attempt.notice_id,
            receiver: attempt.receiver.to_string(),
            at: Time(attempt.at_ms),
            attempt: attempt.number,
            outcome,
            why,
            next,
            took_ms: u64::try_from(attempt.took.as_millis()).ok(),
            unrecorded: attempt.unrecorded,
        }
    }
}

impl From<NoticeRecord> for Delivery {
    fn from(record: NoticeRecord) -> Self {
        Self {
            notification: record.message.notice_id,
            receiver: record.message.receiver,
            at: Time(record.last_ms.unwrap_or(record.over_ms)),
            attempt: record.attempts,
            outcome: match record.outcome {
                Verdict::Sent => "sent",
                Verdict::Dead => "dead",
                Verdict::Resent => "resent",
            },
            why: record.why,
            next: None,
            took_ms: None,
            unrecorded: record.message.unrecorded,
        }
    }
}

/// The last attempts of an alert's notices that are in memory.
pub(super) fn in_memory(app: &App, word: Option<&str>) -> Vec<Delivery> {
    let attempts = word.map(|word| app.alerting.dispatcher().attempts(word)).unwrap_or_default();
    attempts.into_iter().map(Delivery::from).collect()
}

/// All that is known of them. Where the store gives no answer: what is in memory.
pub(super) async fn all(app: &App, word: &str, since_ms: i64) -> Vec<Delivery> {
    let mut all = in_memory(app, Some(word));
    let over = app.alerting.dispatcher().of_alert(word, since_ms).await.unwrap_or_default();
    let earlier = over.into_iter().map(|letter| Delivery::from(letter.record));
    let missing: Vec<Delivery> =
        earlier.filter(|old| all.iter().all(|known| known.notification != old.notification)).collect();
    all.extend(missing);
    all.sort_by_key(|delivery| delivery.at.0);
    all
}
