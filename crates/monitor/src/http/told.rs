//! What operators send: a JSON document, checked, and an answer only when what it brought about is kept. Decides how
//! long that is waited for.

use super::asked::{Asked, duration_ms, time_ms};
use super::problem::Problem;
use super::route::{Kind, Param};
use crate::app::App;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use farol_logging::event;
use farol_rules::{MuteError, check_author};
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::fmt::Display;
use std::time::Duration;

/// So long a change may take until it is kept.
const KEPT_WITHIN: Duration = Duration::from_secs(2);

/// What may be said of what ends.
pub(super) const ENDS: &[Param] =
    &[Param::new("author", Kind::Text, "Who ends it: stands in the log and on the time line.")];

/// Nothing that is asked for lasts longer: a hundred years.
const LONGEST_DAYS: i64 = 36_500;

/// The body of a request, read as what the route takes; unknown keys are refused.
pub(super) struct Told<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Told<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, state).await.map_err(|_| bad("it did not come whole"))?;
        if body.is_empty() {
            return Err(bad("it is empty"));
        }
        read(&body).map(Self).map_err(|error| bad(&error.to_string()))
    }
}

/// Reads an object: an array would be taken for its fields in their order.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(serde::de::Error::custom("it is an array, not an object"));
    }
    serde_json::from_slice(body)
}

/// Labels and their patterns; a label that is there twice is refused.
pub(super) fn once_each<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    from.deserialize_map(OnceEach)
}

struct OnceEach;

impl<'de> Visitor<'de> for OnceEach {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels and their patterns, `{\"service\": \"payments\"}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((label, pattern)) = pairs.next_entry::<String, String>()? {
            if all.contains_key(&label) {
                let why = format!("the label `{label:.100}` is there twice; give it once");
                return Err(serde::de::Error::custom(why));
            }
            all.insert(label, pattern);
        }
        Ok(all)
    }
}

fn bad(why: &str) -> Problem {
    Problem::bad_request(
        "bad_body",
        format!("the body is not what is taken here: {why:.300}; send JSON as /openapi.json describes it"),
    )
}

/// Something in the body makes no sense.
pub(super) fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", detail)
}

/// A silence, acknowledgement or window that makes no sense, with all that is known of why.
/// Who ends something, if that is said.
pub(super) fn author(asked: &Asked) -> Result<Option<&str>, Problem> {
    let author = asked.text("author");
    author.map_or(Ok(()), check_author).map_err(|error| mute_refused(&error))?;
    Ok(author)
}

/// Logs that somebody ended something.
pub(super) fn log_end(what: &'static str, subject: impl Display, by: Option<&str>) {
    let said = event::business(what).outcome("success").subject(subject);
    match by {
        Some(by) => said.detail(by).log(),
        None => said.log(),
    }
}

pub(super) fn mute_refused(error: &MuteError) -> Problem {
    let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    let detail = format!("{error}{why}");
    match error {
        MuteError::TooMany => Problem::new(StatusCode::CONFLICT, "too_many", detail),
        _ => refused(detail),
    }
}

/// A moment of a body: RFC 3339, `now`, or so long before now.
pub(super) fn moment(key: &str, text: &str, now_ms: i64) -> Result<i64, Problem> {
    time_ms(text, now_ms).ok_or_else(|| {
        refused(format!("`{key}` is `{text:.100}`; write RFC 3339 (`2026-01-15T10:30:00Z`) or `now`"))
    })
}

/// A duration of a body, in milliseconds.
pub(super) fn lasting(key: &str, text: &str) -> Result<i64, Problem> {
    duration_ms(text).filter(|ms| (1..=LONGEST_DAYS * 86_400_000).contains(ms)).ok_or_else(|| {
        let most = format!("{LONGEST_DAYS}d at most");
        refused(format!("`{key}` is `{text:.100}`; write a duration like `30m`, `2h` or `7d`, {most}"))
    })
}

/// An end that is given as a moment or by how long it lasts.
pub(super) fn end(
    (ends, lasts): (Option<&str>, Option<&str>),
    from_ms: i64,
    now_ms: i64,
) -> Result<Option<i64>, Problem> {
    match (ends, lasts) {
        (Some(_), Some(_)) => Err(refused("`ends` and `lasts` say the same; give one of them".to_owned())),
        (Some(ends), None) => moment("ends", ends, now_ms).map(Some),
        (None, Some(lasts)) => Ok(Some(from_ms.saturating_add(lasting("lasts", lasts)?))),
        (None, None) => Ok(None),
    }
}

/// Waits until a hand-in is surely kept. What it changed is in force either way.
pub(super) async fn kept(app: &App, number: u64) -> Result<(), Problem> {
    let mut documents = app.journal.committed_documents();
    let is_decided =
        |documents: &crate::journal::Documents| documents.holds(number) || documents.lost >= number;
    let decided = tokio::time::timeout(KEPT_WITHIN, documents.wait_for(is_decided)).await;
    match decided {
        Ok(Ok(documents)) if documents.holds(number) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_recorded",
            "it is in force, but the store has not taken it: a restart now would forget it; it is kept as soon as the \
             store takes again, see /health/detailed",
        )),
    }
}

/// Who does something, and why: both are there, and can be shown.
pub(super) fn signed(author: &str, reason: &str) -> Result<(), Problem> {
    for (key, text, most) in [("author", author, 256), ("reason", reason, 1_000)] {
        if text.trim().is_empty() {
            return Err(refused(format!("`{key}` is empty; say it in a few words")));
        }
        if text.chars().count() > most || text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(refused(format!(
                "`{key}` is longer than {most} characters, or holds control characters"
            )));
        }
    }
    Ok(())
}
