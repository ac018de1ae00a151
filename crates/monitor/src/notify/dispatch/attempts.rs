//! Tries to send, for those who ask why: the last ones of all. Decides how many are remembered.

use crate::notify::message::Message;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// So many are remembered; the oldest go.
const AT_MOST: usize = 1_000;

/// Is told what becomes of notices. Called by the sending task alone, which holds no lock then but waits meanwhile.
pub trait Watch: Send + Sync + 'static {
    /// A notice was tried, or died untried.
    fn attempted(&self, attempt: &Attempt);

    /// A receiver fails, and why; or takes again.
    fn failing(&self, receiver: &str, why: Option<&str>);

    /// Notices for a receiver went unsent because too many wait; or there is room again.
    fn full(&self, receiver: &str, full: bool);
}

/// One try to send a notice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Which notice.
    pub notice_id: String,
    /// Of which conversation.
    pub conversation: String,
    /// To whom.
    pub receiver: Arc<str>,
    /// The ids of its alerts.
    pub alerts: Vec<String>,
    /// Which try since the process began: 1 is the first, 0 says that it was not tried.
    pub number: u32,
    /// When it began, unix milliseconds.
    pub at_ms: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The store had not taken the notice by then.
    pub unrecorded: bool,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was taken.
    Sent {
        /// What an operator should know all the same.
        note: Option<String>,
    },
    /// It is tried again.
    Retry {
        /// What happened.
        why: String,
        /// When, at the earliest: unix milliseconds.
        next_ms: i64,
    },
    /// It is not tried again.
    Dead {
        /// What happened.
        why: String,
    },
}

impl Attempt {
    /// One that was not made, because the notice died before.
    pub(super) fn none(message: &Message, receiver: &Arc<str>, at_ms: i64, why: &str) -> Self {
        Self {
            notice_id: message.notice_id.clone(),
            conversation: message.conversation.clone(),
            receiver: Arc::clone(receiver),
            alerts: message.alerts.iter().map(|alert| alert.id.clone()).collect(),
            number: 0,
            at_ms,
            outcome: Outcome::Dead { why: why.to_owned() },
            took: Duration::ZERO,
            unrecorded: false,
        }
    }
}

/// The last ones.
#[derive(Debug, Default)]
pub(super) struct Attempts(VecDeque<Attempt>);

impl Attempts {
    pub(super) fn note(&mut self, attempt: Attempt) {
        if self.0.len() >= AT_MOST {
            self.0.pop_front();
        }
        self.0.push_back(attempt);
    }

    pub(super) fn of_alert(&self, alert: &str) -> Vec<Attempt> {
        self.0.iter().filter(|attempt| attempt.alerts.iter().any(|id| id == alert)).cloned().collect()
    }
}
