//! Questions about the past: which time they are about, how many are answered at once, and what is said when there is
//! no answer.

use super::asked::Asked;
use super::problem::Problem;
use super::route::{Kind, Param};
use crate::store::StoreError;
use axum::http::StatusCode;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many questions are answered at once: each holds its samples in memory.
const AT_ONCE: usize = 4;

pub(super) const TO: Param = Param::new("to", Kind::Time, "Up to here; `now` when not given.");

/// The places for questions about the past.
#[derive(Clone, Debug)]
pub struct Questions(Arc<Semaphore>);

impl Default for Questions {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Questions {
    /// A place, given back when it is dropped.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.0).try_acquire_owned();
        place.map_err(|_| {
            let detail = format!("{AT_ONCE} questions about the past are being answered; wait for one");
            Problem::too_many("too_many_questions", detail)
        })
    }
}

/// From and to, in unix milliseconds; never later than now.
pub(super) fn range(asked: &Asked, default_ms: i64, now_ms: i64) -> Result<(i64, i64), Problem> {
    let to_ms = asked.time_ms(TO.name, now_ms).unwrap_or(now_ms).min(now_ms);
    let from_ms = asked.time_ms("from", now_ms).unwrap_or(to_ms.saturating_sub(default_ms));
    if from_ms < to_ms {
        return Ok((from_ms, to_ms));
    }
    let detail = "`from` is not before `to` (which is never later than now); the range is empty";
    Err(Problem::bad_request("bad_range", detail))
}

/// What is said when the store gives no answer.
pub(super) fn no_answer(error: &StoreError) -> Problem {
    if let StoreError::TooMuch(what) = error {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_much", what.clone());
    }
    tracing::error!(%error, "a question about the past was not answered");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "store_unavailable",
        "the store did not answer; the monitor's log and /health/detailed say why",
    )
}
