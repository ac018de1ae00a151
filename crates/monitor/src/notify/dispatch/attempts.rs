//! Tries to send, for those who ask why: the last ones of all. Decides how many are remembered.

use crate::notify::message::Message;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// So many are remembered; the oldest go.
const AT_MOST: usize = 1_000;
/// With so many alerts in all.
const ALERTS_AT_MOST: usize = 50_000;

/// Is told what becomes of notices. Called by the sending task alone, which holds no lock then and sends nothing until it
/// is back: who sees an alert in it may be the one that carries out what others decided.
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
    /// The rules of its alerts.
    pub rules: BTreeSet<String>,
    /// Which try since the process began: 1 is the first, 0 says that it was not tried.
    pub number: u32,
    /// Those of its tries that failed since then, this one included.
    pub failed: u32,
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
    /// Some of it was taken, and the rest goes soon: it is no failure.
    Partly {
        /// What happened.
        why: String,
        /// When the rest goes, at the earliest: unix milliseconds.
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
            rules: message.alerts.iter().map(|alert| alert.rule.clone()).collect(),
            number: 0,
            failed: 0,
            at_ms,
            outcome: Outcome::Dead { why: why.to_owned() },
            took: Duration::ZERO,
            unrecorded: false,
        }
    }
}

/// The last ones.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    last: VecDeque<Attempt>,
    /// The alerts of all of them.
    alerts: usize,
}

impl Attempts {
    pub(super) fn note(&mut self, attempt: Attempt) {
        self.alerts += attempt.alerts.len();
        self.last.push_back(attempt);
        while self.last.len() > AT_MOST || (self.alerts > ALERTS_AT_MOST && self.last.len() > 1) {
            let gone = self.last.pop_front();
            self.alerts -= gone.map_or(0, |attempt| attempt.alerts.len());
        }
    }

    pub(super) fn of_alert(&self, alert: &str) -> Vec<Attempt> {
        self.last.iter().filter(|attempt| attempt.alerts.iter().any(|id| id == alert)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_remembered_up_to_a_number_of_alerts_and_the_last_one_always() {
        let mut attempts = Attempts::default();
        let message = crate::notify::message::tests::message("ops", "db", "n");
        let attempt = |alerts: usize, number| {
            let alerts = (0..alerts).map(|n| format!("a{n}")).collect();
            Attempt { alerts, number, ..Attempt::none(&message, &"ops".into(), 0, "") }
        };
        for number in 0..2_000 {
            attempts.note(attempt(500, number));
        }
        let known: Vec<u32> = attempts.of_alert("a0").iter().map(|attempt| attempt.number).collect();
        assert_eq!((known.len(), known.first(), known.last()), (100, Some(&1_900), Some(&1_999)));
        attempts.note(attempt(60_000, 7));
        assert_eq!((attempts.last.len(), attempts.alerts), (1, 60_000));
        (0..1_500).for_each(|number| attempts.note(attempt(1, number)));
        assert_eq!((attempts.last.len(), attempts.alerts), (AT_MOST, AT_MOST));
    }
}
