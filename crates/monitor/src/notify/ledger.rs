//! What the store keeps of notices: those that are due, each under a key that orders its conversation, and what became of
//! them. Decides how both are written; not when.

use super::message::Message;
use crate::store::{Document, DocumentChange, DocumentKind, DocumentPage};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A notice id of more bytes stands in keys as its hash.
const ID_AT_MOST: usize = 512;
/// The beginning of the keys of those that nobody took.
const DEAD: &str = "dead/";

/// A notice that is to be sent, with its place in the order of all: hand [`Due::put`] in together with what else changes
/// by it, and push it with the number of that hand-in.
#[derive(Clone, Debug)]
pub struct Due {
    pub(super) message: Arc<Message>,
    /// Its place: later ones of the same conversation have higher ones, also after a restart.
    pub(super) order: u64,
    /// What goes in order: all that is told of one group, also when it fires anew in a conversation of its own.
    pub(super) group: Arc<str>,
    document: Document,
}

impl Due {
    pub(super) fn new(message: Message, order: u64) -> Self {
        let (receiver, group) = (&message.receiver, message.group.to_string());
        let key = format!("{receiver}/{:016x}/{order:020}/{}", hash(&group), id_in_key(&message.notice_id));
        let document =
            Document { kind: DocumentKind::Due, key: key.into(), at_ms: message.at_ms, body: json(&message) };
        Self { message: Arc::new(message), order, group: group.into(), document }
    }

    /// As it was kept; the error says what is wrong with it.
    pub(super) fn read(document: Document) -> Result<Self, String> {
        let order = document.key.split('/').nth(2).and_then(|order| order.parse().ok());
        let order = order.ok_or_else(|| format!("its key `{}` has no place in the order", document.key))?;
        let message: Message = serde_json::from_slice(&document.body).map_err(|e| e.to_string())?;
        let group = message.group.to_string().into();
        Ok(Self { message: Arc::new(message), order, group, document })
    }

    /// The word that keeps it until it is sent.
    #[must_use]
    pub fn put(&self) -> DocumentChange {
        DocumentChange::Put(self.document.clone())
    }

    /// What it says.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Its key in the store.
    #[must_use]
    pub fn key(&self) -> &Arc<str> {
        &self.document.key
    }

    /// Bytes, nearly.
    pub(super) fn weight(&self) -> usize {
        self.document.body.len() + self.document.key.len() + 512
    }
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The receiver took it.
    Sent,
    /// Nobody took it, and it is not tried any more.
    Dead,
    /// It was dead, and was made due again under another id.
    Resent,
}

/// A notice that is over, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// What was to be told.
    pub message: Message,
    /// What became of it.
    pub outcome: Verdict,
    /// What an operator should know: why it is dead, or who of several did not take it.
    pub why: Option<String>,
    /// How often it was tried since the process began.
    pub attempts: u32,
    /// The first of them, unix milliseconds.
    pub first_ms: Option<i64>,
    /// The last of them.
    pub last_ms: Option<i64>,
    /// When it was over.
    pub over_ms: i64,
    /// Under which id it was made due again.
    pub resent_as: Option<String>,
}

/// A record with its place in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// Its time and key: what a page goes on after.
    pub place: (i64, Arc<str>),
    /// What is known of it.
    pub record: NoticeRecord,
}

impl NoticeRecord {
    fn key(&self) -> Arc<str> {
        let verdict = match self.outcome {
            Verdict::Sent => "sent/",
            Verdict::Dead => DEAD,
            Verdict::Resent => "resent/",
        };
        key(verdict, &self.message.notice_id)
    }

    /// The word that keeps it. One that is not dead may be missed.
    pub(super) fn put(&self) -> DocumentChange {
        let document =
            Document { kind: DocumentKind::Notice, key: self.key(), at_ms: self.over_ms, body: json(self) };
        match self.outcome {
            Verdict::Dead => DocumentChange::Put(document),
            Verdict::Sent | Verdict::Resent => DocumentChange::PutSpare(document),
        }
    }

    /// The word that forgets it.
    pub(super) fn delete(&self) -> DocumentChange {
        DocumentChange::Delete { kind: DocumentKind::Notice, key: self.key() }
    }
}

/// The word that a notice is not due any more.
pub(super) fn no_more_due(key: &Arc<str>) -> DocumentChange {
    DocumentChange::Delete { kind: DocumentKind::Due, key: Arc::clone(key) }
}

/// A page of those that nobody took.
pub(super) fn dead(page: DocumentPage) -> DocumentPage {
    DocumentPage { prefix: Some(DEAD.into()), ..page }
}

/// The page on which the dead one with this id stands.
pub(super) fn dead_one(notice_id: &str) -> DocumentPage {
    DocumentPage { prefix: Some(key(DEAD, notice_id)), limit: 16, ..DocumentPage::default() }
}

/// Those that can be read.
pub(super) fn letters(documents: Vec<Document>) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(documents.len());
    for document in documents {
        match serde_json::from_slice(&document.body) {
            Ok(record) => letters.push(Letter { place: (document.at_ms, document.key), record }),
            Err(error) => {
                tracing::warn!(key = %document.key, %error, "a notice in the store cannot be read");
            }
        }
    }
    letters
}

/// The id of the next copy of a dead notice: `n-r1`, `n-r2`, ….
pub(super) fn next_id(notice_id: &str) -> String {
    let again = notice_id.rsplit_once("-r").and_then(|(id, n)| Some((id, n.parse::<u32>().ok()?)));
    let (id, n) = again.unwrap_or((notice_id, 0));
    format!("{id}-r{}", n.saturating_add(1))
}

fn key(verdict: &str, notice_id: &str) -> Arc<str> {
    // The end is marked, so that no id is the beginning of another one.
    format!("{verdict}{}/", id_in_key(notice_id)).into()
}

fn id_in_key(notice_id: &str) -> String {
    if notice_id.len() <= ID_AT_MOST { notice_id.to_owned() } else { format!("{:016x}", hash(notice_id)) }
}

fn json(value: &impl Serialize) -> bytes::Bytes {
    serde_json::to_vec(value).expect("its maps have texts for keys").into()
}

/// FNV-1a: the same in every version and process.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests;
