//! A maintenance window: work that is planned. What the fleet does in a draining one is not decided here.

use super::{MuteError, checked};
use crate::{Labels, Matcher, Schedule, Span};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Work is planned on what has such labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Which window.
    pub id: Arc<str>,
    /// What it is called.
    pub name: Arc<str>,
    /// On what: all of these, of `agent`, `service`, `component`, … and the agent's own labels; written
    /// `{label: pattern}`.
    #[serde(with = "checked")]
    pub matchers: Vec<Matcher>,
    /// What it does.
    pub mode: WindowMode,
    /// When.
    pub schedule: Schedule,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_ms: i64,
    /// After this it is no more.
    pub ends_ms: Option<i64>,
}

/// What a window does. Both hold alerts back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowMode {
    /// Alerts are held back and uptime is not counted; probes tell the truth.
    #[default]
    Mute,
    /// Instances take no work, too.
    Drain,
}

impl WindowMode {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Drain => "drain",
        }
    }
}

impl Window {
    /// Whether it may be taken, now that it is made.
    ///
    /// # Errors
    /// It will never be in force, matches everything, is not signed, or its schedule makes no sense.
    pub fn check(&self) -> Result<(), MuteError> {
        checked::times(&[self.created_ms, self.ends_ms.unwrap_or(self.created_ms)])?;
        self.schedule.check().map_err(MuteError::Schedule)?;
        if self.span(self.created_ms).is_none() && self.next(self.created_ms).is_none() {
            return Err(MuteError::Past);
        }
        checked::name(&self.name)?;
        checked::signed(&self.author, &self.reason)?;
        checked::matchers(&self.matchers)
    }

    /// From when until when it is in force, if it is now.
    #[must_use]
    pub fn span(&self, now_ms: i64) -> Option<Span> {
        self.until_its_end(self.schedule.active(now_ms)?).filter(|span| span.holds(now_ms))
    }

    /// From when until when it is in force the next time.
    #[must_use]
    pub fn next(&self, after_ms: i64) -> Option<Span> {
        self.until_its_end(self.schedule.next(after_ms)?)
    }

    /// Ends it now and for good; one that is over stays as it was.
    pub fn end(&mut self, now_ms: i64) {
        self.ends_ms = Some(self.ends_ms.unwrap_or(now_ms).min(now_ms));
    }

    /// Whether it will never be in force again.
    #[must_use]
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.next_change(now_ms).is_none()
    }

    /// Whether it is meant for such labels, at whatever time.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        Matcher::all(&self.matchers, labels)
    }

    /// When it begins or ends next.
    #[must_use]
    pub fn next_change(&self, now_ms: i64) -> Option<i64> {
        let ends = self.span(now_ms).map(|span| span.to_ms);
        let begins = self.next(now_ms).map(|span| span.from_ms);
        ends.into_iter().chain(begins).min()
    }

    fn until_its_end(&self, span: Span) -> Option<Span> {
        let to_ms = self.ends_ms.map_or(span.to_ms, |ends_ms| ends_ms.min(span.to_ms));
        Some(Span { to_ms, ..span }).filter(|span| span.from_ms < span.to_ms)
    }
}
