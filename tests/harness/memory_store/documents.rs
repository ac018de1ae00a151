//! The double's documents: a map, and every question looks at all of it.

use farol_monitor::store::{
    DOCUMENTS_AT_MOST, Document, DocumentChange, DocumentKind, DocumentPage, Retention,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Documents(BTreeMap<(DocumentKind, Arc<str>), Document>);

impl Documents {
    pub(super) fn change(&mut self, change: &DocumentChange) {
        let (kind, key) = change.place();
        let place = (kind, Arc::clone(key));
        match change {
            DocumentChange::Put(document) | DocumentChange::PutSpare(document) => {
                self.0.insert(place, document.clone());
            }
            DocumentChange::Delete { .. } => {
                self.0.remove(&place);
            }
        }
    }

    pub(super) fn page(&self, kind: DocumentKind, page: &DocumentPage) -> Vec<Document> {
        let is_after = |document: &Document| {
            page.after.as_ref().is_none_or(|after| (document.at_ms, &document.key) < (after.0, &after.1))
        };
        let mut found: Vec<Document> = self
            .0
            .values()
            .filter(|document| document.kind == kind)
            .filter(|document| (page.from_ms..=page.to_ms).contains(&document.at_ms))
            .filter(|document| page.prefix.as_ref().is_none_or(|prefix| document.key.starts_with(&**prefix)))
            .filter(|document| is_after(document))
            .cloned()
            .collect();
        found.sort_by_key(|document| Reverse((document.at_ms, Arc::clone(&document.key))));
        found.truncate(page.limit.min(DOCUMENTS_AT_MOST + 1));
        found
    }

    pub(super) fn until_deleted(&self) -> Vec<Document> {
        self.0.values().filter(|document| document.kind.kept_ms().is_none()).cloned().collect()
    }

    pub(super) fn tidy(&mut self, now_ms: i64, retention: &Retention) {
        if retention.raw_ms == Retention::FOR_EVER.raw_ms {
            return;
        }
        self.0.retain(|(kind, _), document| {
            kind.kept_ms().is_none_or(|kept_ms| document.at_ms >= now_ms.saturating_sub(kept_ms))
        });
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|document| (document.key.len() + document.body.len() + 64) as u64).sum()
    }
}
