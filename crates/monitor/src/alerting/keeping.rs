//! Alerting's state as documents of the store, and back. Decides their keys and the form of their bodies.

use crate::act::{ActionRecord, Kept, Outcome};
use crate::store::{Document, DocumentChange, DocumentKind};
use bytes::Bytes;
use farol_rules::{
    Acknowledgement, AlertId, ConversationId, ElementId, Entry, Incident, Keep, SavedAlert, SavedBook,
    SavedConversation, SavedElement, Silence, Window,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A longer key is cut, and made unique by checksums of the whole.
const KEY_AT_MOST: usize = 900;

/// A document's body: what it is about stands in it, for its key may be cut.
#[derive(Serialize, Deserialize)]
struct Named<I, B> {
    id: I,
    is: B,
}

/// The key of something whose id is not a short text.
fn key_of(id: &impl Serialize) -> Arc<str> {
    let text = serde_json::to_string(id).unwrap_or_default();
    if text.len() <= KEY_AT_MOST {
        return text.into();
    }
    let mut end = KEY_AT_MOST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let backwards: Vec<u8> = text.bytes().rev().collect();
    let sums = (crc32fast::hash(text.as_bytes()), crc32fast::hash(&backwards));
    format!("{}#{:08x}{:08x}#{}", &text[..end], sums.0, sums.1, text.len()).into()
}

fn document(kind: DocumentKind, key: Arc<str>, at_ms: i64, body: &impl Serialize) -> Document {
    Document { kind, key, at_ms, body: Bytes::from(serde_json::to_vec(body).unwrap_or_default()) }
}

fn named<I: Serialize, B: Serialize>(
    kind: DocumentKind,
    id: &I,
    is: Option<&B>,
    at_ms: i64,
) -> DocumentChange {
    let key = key_of(id);
    match is {
        Some(is) => DocumentChange::Put(document(kind, key, at_ms, &Named { id, is })),
        None => DocumentChange::Delete { kind, key },
    }
}

/// What the book wants kept.
pub(super) fn kept(keep: &Keep, at_ms: i64) -> DocumentChange {
    match keep {
        Keep::Element(id, is) => named(DocumentKind::Element, id, is.as_ref(), at_ms),
        Keep::Alert(id, is) => named(DocumentKind::Alert, id, is.as_ref(), at_ms),
        Keep::Conversation(id, is) => named(DocumentKind::Conversation, id, is.as_ref(), at_ms),
        Keep::Acknowledged(id) => acknowledgement(id, None, at_ms),
        Keep::SilenceOver(id) => silence(id, None, at_ms),
        Keep::WindowOver(id) => window(id, None, at_ms),
        Keep::Incident(incident) => {
            let document =
                document(DocumentKind::Incident, Arc::clone(&incident.id), incident.began_ms, &**incident);
            DocumentChange::Put(document)
        }
    }
}

/// A line of an incident's time line; `number` tells lines of one millisecond apart.
pub(super) fn entry(incident: &str, number: u64, entry: &Entry) -> DocumentChange {
    let key = format!("{incident}/{:015}-{number:06}", entry.at_ms.max(0)).into();
    DocumentChange::PutSpare(document(DocumentKind::IncidentEntry, key, entry.at_ms, entry))
}

/// A silence; `None` is that it is gone.
pub(super) fn silence(id: &str, silence: Option<&Silence>, at_ms: i64) -> DocumentChange {
    plain(DocumentKind::Silence, id, silence, at_ms)
}

/// A maintenance window; `None` is that it is gone.
pub(super) fn window(id: &str, window: Option<&Window>, at_ms: i64) -> DocumentChange {
    plain(DocumentKind::Window, id, window, at_ms)
}

/// An acknowledgement; `None` is that it is gone.
pub(super) fn acknowledgement(id: &AlertId, ack: Option<&Acknowledgement>, at_ms: i64) -> DocumentChange {
    named(DocumentKind::Acknowledgement, id, ack, at_ms)
}

fn plain(kind: DocumentKind, key: &str, is: Option<&impl Serialize>, at_ms: i64) -> DocumentChange {
    match is {
        Some(is) => DocumentChange::Put(document(kind, key.into(), at_ms, is)),
        None => DocumentChange::Delete { kind, key: key.into() },
    }
}

/// How the keys of what actions did begin: a restart reads these.
pub(super) const RUNS: &str = "run/";

/// The last word on an attempt. On one that was refused nothing depends.
pub(super) fn action(record: &ActionRecord) -> Vec<DocumentChange> {
    let (id, at_ms) = (&record.id, record.known_ms);
    let run = format!("{RUNS}{id}").into();
    if !matches!(record.outcome, Outcome::Refused { .. }) {
        return vec![DocumentChange::Put(document(DocumentKind::Action, run, at_ms, record))];
    }
    let refused = document(DocumentKind::Action, format!("refused/{id}").into(), at_ms, record);
    vec![DocumentChange::Delete { kind: DocumentKind::Action, key: run }, DocumentChange::PutSpare(refused)]
}

/// A breaker as it is now.
pub(super) fn breaker(kept: &Kept, at_ms: i64) -> DocumentChange {
    plain(DocumentKind::Breaker, &kept.name, Some(kept), at_ms)
}

/// Breakers that are no more.
pub(super) fn no_breakers(names: Vec<Arc<str>>) -> Vec<DocumentChange> {
    names.into_iter().map(|key| DocumentChange::Delete { kind: DocumentKind::Breaker, key }).collect()
}

/// The breakers as they were.
pub(super) fn breakers(documents: &[Document]) -> Vec<Kept> {
    let kept = documents.iter().filter(|document| document.kind == DocumentKind::Breaker);
    kept.filter_map(|document| serde_json::from_slice(&document.body).ok()).collect()
}

/// What was kept, as the book takes it. A body that cannot be read is left out and told: it was written by a newer
/// version, or is damaged.
pub(super) fn restored(documents: &[Document]) -> SavedBook {
    let mut saved = SavedBook::default();
    for document in documents {
        let read = match document.kind {
            DocumentKind::Element => push::<Named<ElementId, SavedElement>, _>(document, |named| {
                saved.elements.push((named.id, named.is));
            }),
            DocumentKind::Alert => push::<Named<AlertId, SavedAlert>, _>(document, |named| {
                saved.alerts.push((named.id, named.is));
            }),
            DocumentKind::Conversation => {
                push::<Named<ConversationId, SavedConversation>, _>(document, |named| {
                    saved.conversations.push((named.id, named.is));
                })
            }
            DocumentKind::Acknowledgement => push::<Named<AlertId, Acknowledgement>, _>(document, |named| {
                saved.acknowledgements.push(named.is);
            }),
            DocumentKind::Incident => push::<Incident, _>(document, |it| saved.incidents.push(it)),
            DocumentKind::Silence => push::<Silence, _>(document, |it| saved.silences.push(it)),
            DocumentKind::Window => push::<Window, _>(document, |it| saved.windows.push(it)),
            _ => Ok(()),
        };
        if let Err(error) = read {
            tracing::error!(kind = ?document.kind, key = &*document.key, %error, "something kept of alerting cannot be read");
        }
    }
    saved
}

fn push<T: DeserializeOwned, F: FnOnce(T)>(document: &Document, take: F) -> Result<(), serde_json::Error> {
    serde_json::from_slice(&document.body).map(take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_rules::{Ending, Labels, Severity};

    #[test]
    fn what_is_kept_comes_back_also_under_a_cut_key() {
        let long = "x".repeat(3_000);
        let labels = [Labels::from([("agent", "a")]), Labels::from([("agent", &*long)])];
        let ids = labels.map(|labels| AlertId { rule: "down".into(), labels });
        let alert = SavedAlert {
            episode_ms: 5,
            severity: Severity::Critical,
            ended: Some((Ending::Left, 9)),
            incident: Some("i".into()),
            rule_labels: Default::default(),
            muted_by: None,
            most: 0,
            left: Vec::new(),
            to_act: false,
            quiet: false,
        };
        let documents: Vec<Document> = ids
            .iter()
            .map(|id| match kept(&Keep::Alert(id.clone(), Some(Box::new(alert.clone()))), 1) {
                DocumentChange::Put(document) => document,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(documents.iter().all(|document| document.key.len() <= 1_024));
        let back = restored(&documents);
        assert_eq!(back.alerts, ids.map(|id| (id, alert.clone())));
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_the_rest_comes_back() {
        let broken = Document {
            kind: DocumentKind::Alert,
            key: "k".into(),
            at_ms: 1,
            body: Bytes::from_static(b"{\"id\":7"),
        };
        assert_eq!(restored(&[broken]).alerts, []);
    }
}
