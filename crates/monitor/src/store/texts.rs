//! Texts and statuses as they come back from a database. Decides what a status change of it means.

use super::{CHANGES_AT_MOST, ComponentKey, StatusChange, StoreError};
use farol_health::Status;
use std::collections::HashSet;
use std::sync::Arc;

/// Gives equal texts one place in memory.
#[derive(Debug, Default)]
pub(crate) struct Texts(HashSet<Arc<str>>);

impl Texts {
    pub(crate) fn one(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.0.insert(Arc::clone(&text));
        text
    }

    /// The same of bytes that were a text when they were written.
    pub(crate) fn of(&mut self, bytes: &[u8]) -> Arc<str> {
        self.one(&String::from_utf8_lossy(bytes))
    }
}

/// A status as it is stored; a number of a newer program is unknown.
pub(crate) fn status(number: i64) -> Status {
    u8::try_from(number).ok().and_then(Status::from_u8).unwrap_or_default()
}

/// Agent, service, component, time, status, maintenance, stale, reason, muted. Words that a stranger chose are bytes: not
/// every database's texts take all of them.
pub(crate) type ChangeRow = (String, String, String, i64, Option<i64>, bool, bool, Vec<u8>, bool);

/// The changes of a question, which was asked for one more than it may give.
pub(crate) fn changes(rows: Vec<ChangeRow>) -> Result<Vec<StatusChange>, StoreError> {
    if rows.len() > CHANGES_AT_MOST {
        return Err(StoreError::TooMuch(format!(
            "more than {CHANGES_AT_MOST} status changes; ask for a shorter time, or one agent, service or component"
        )));
    }
    let mut texts = Texts::default();
    let changes = rows.into_iter().map(
        |(agent, service, component, at_ms, number, maintenance, stale, reason, muted)| StatusChange {
            key: ComponentKey {
                agent: texts.one(&agent),
                service: texts.one(&service),
                component: texts.one(&component),
            },
            at_ms,
            status: number.map(status),
            maintenance,
            stale,
            reason: texts.of(&reason),
            muted,
        },
    );
    Ok(changes.collect())
}
