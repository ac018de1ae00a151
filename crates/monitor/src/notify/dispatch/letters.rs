//! Notices that are over, as the store keeps them: what became of an alert's, and those that nobody took, which an operator
//! may send again.

use super::Dispatcher;
use crate::notify::ledger::{self, Letter, NoticeRecord, Verdict};
use crate::notify::message::{AlertWord, Message};
use crate::store::{Document, DocumentKind, DocumentPage, StoreError};
use farol_health::clock::wall_ms;
use std::sync::Arc;

/// Notices of the store that are looked through for one alert.
const LOOKED_THROUGH: usize = 2_048;
/// Notices that are read from the store at once: each may have half a megabyte.
pub const READ_AT_ONCE: usize = 64;

/// Why a notice is not sent again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ResendError {
    /// There is none with this id, or it is not dead.
    #[error("there is no dead notice `{0}`; list those that there are")]
    Unknown(String),
    /// It was made due again a moment ago.
    #[error("the notice `{0}` was just made due again; look at what became of it")]
    Already(String),
    /// What it would tell is over, and that was told.
    #[error("all that the notice `{0}` tells of is over; there is nothing to send again")]
    Over(String),
    /// Whom it was for is gone.
    #[error("the configuration has no receiver `{0}` any more; add it, and send the notice again")]
    NoReceiver(String),
    /// It could not be read.
    #[error("the store did not give the notice; try again when it answers")]
    Store(#[from] StoreError),
}

impl Dispatcher {
    /// A page of those that nobody took, newest first. A page goes on after the place of the last one before.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn dead(&self, page: DocumentPage) -> Result<Vec<Letter>, StoreError> {
        let documents = self.0.store.documents(DocumentKind::Notice, ledger::dead(page)).await?;
        Ok(ledger::letters(documents))
    }

    /// Those that are due and not surely in the store, with their keys there.
    #[must_use]
    pub fn unrecorded(&self) -> Vec<(Arc<str>, Arc<Message>)> {
        let documents = *self.0.journal.committed_documents().borrow();
        self.0.lanes.lock().unrecorded(&documents)
    }

    /// A dead notice.
    ///
    /// # Errors
    /// There is none with this id, or the store does not answer.
    pub async fn dead_one(&self, notice_id: &str) -> Result<NoticeRecord, ResendError> {
        let documents = self.0.store.documents(DocumentKind::Notice, ledger::dead_one(notice_id)).await?;
        let found = ledger::letters(documents).into_iter().map(|letter| letter.record);
        found
            .into_iter()
            .find(|record| record.message.notice_id == notice_id)
            .ok_or_else(|| ResendError::Unknown(notice_id.to_owned()))
    }

    /// Makes a dead notice due again, at the end of its conversation and under a new id, which it gives; with those of
    /// its alerts of which it is `still` so.
    ///
    /// # Errors
    /// Nothing of it is, it was made due again already, or its receiver is gone.
    pub fn resend(
        &self,
        mut was: NoticeRecord,
        still: impl Fn(&AlertWord) -> bool,
    ) -> Result<String, ResendError> {
        let mut message = was.message.clone();
        message.alerts.retain(still);
        if message.alerts.is_empty() && !was.message.alerts.is_empty() {
            return Err(ResendError::Over(message.notice_id));
        }
        {
            let mut lanes = self.0.lanes.lock();
            if !lanes.has_receiver(&message.receiver) {
                return Err(ResendError::NoReceiver(message.receiver));
            }
            if !lanes.resends(&message.notice_id) {
                return Err(ResendError::Already(message.notice_id));
            }
        }
        let id = ledger::next_id(&message.notice_id);
        (message.notice_id, message.unrecorded, message.at_ms) = (id.clone(), false, wall_ms());
        let due = self.due(message);
        let forgotten = was.delete();
        (was.outcome, was.resent_as) = (Verdict::Resent, Some(id.clone()));
        let number = self.0.journal.documents(vec![forgotten, was.put(), due.put()]);
        self.push(due, number);
        Ok(id)
    }

    /// What became of the notices about an alert since then, newest first: those among the store's last 2 048.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of_alert(&self, alert: &str, from_ms: i64) -> Result<Vec<Letter>, StoreError> {
        // Most are about others: cheaper than reading them all. An id stands there as JSON writes it.
        let written = serde_json::to_string(alert).unwrap_or_default().into_bytes();
        let is_about =
            |d: &Document| !written.is_empty() && d.body.windows(written.len()).any(|it| it == written);
        let (mut letters, mut after) = (Vec::new(), None);
        for _ in 0..LOOKED_THROUGH / READ_AT_ONCE {
            let page = DocumentPage { from_ms, after, limit: READ_AT_ONCE, ..DocumentPage::default() };
            let mut documents = self.0.store.documents(DocumentKind::Notice, page).await?;
            let is_last = documents.len() < READ_AT_ONCE;
            after = documents.last().map(|document| (document.at_ms, Arc::clone(&document.key)));
            documents.retain(is_about);
            letters.extend(ledger::letters(documents));
            if is_last {
                break;
            }
        }
        letters.retain(|letter| letter.record.message.alerts.iter().any(|word| word.id == alert));
        Ok(letters)
    }
}
