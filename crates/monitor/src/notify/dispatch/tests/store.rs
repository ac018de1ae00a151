//! A double of a store: keeps documents, and refuses, hangs or stops at a point as a test says.

use crate::store::{
    AgentKey, ComponentFilter, Cuts, Document, DocumentChange, DocumentKind, DocumentPage, Group, KnownAgent,
    Level, Restored, Retention, Sizes, StatusChange, Store, StoreError, Tidied, Visit, VisitBlocks,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where a commit with a word on such a document never goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Before(DocumentKind),
    After(DocumentKind),
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) kept: Mutex<BTreeMap<(DocumentKind, Arc<str>), Document>>,
    pub(super) refuses: Mutex<bool>,
    pub(super) takes: Mutex<Duration>,
    pub(super) stop: Mutex<Option<Stop>>,
}

impl Shelf {
    pub(super) fn of(&self, kind: DocumentKind) -> Vec<Document> {
        self.kept.lock().values().filter(|document| document.kind == kind).cloned().collect()
    }

    /// What the next process finds.
    pub(super) fn reopened(&self) -> Self {
        Self { kept: Mutex::new(self.kept.lock().clone()), ..Self::default() }
    }

    async fn pass(&self, stop: impl Fn(DocumentKind) -> Stop, group: &Group) {
        let stops = *self.stop.lock();
        // A notice's record goes with the word that it is due no more: a stop at `Due` means those that are put.
        let kinds = group.documents.iter().filter_map(|change| match change {
            DocumentChange::Put(d) | DocumentChange::PutSpare(d) => Some(d.kind),
            DocumentChange::Delete { .. } => None,
        });
        if kinds.map(stop).any(|here| Some(here) == stops) {
            std::future::pending::<()>().await;
        }
    }
}

impl Store for Shelf {
    fn id(&self) -> Arc<str> {
        "shelf".into()
    }

    fn restore(&self) -> BoxFuture<'_, Result<Restored, StoreError>> {
        async { Ok(Restored::default()) }.boxed()
    }

    fn commit<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.pass(Stop::Before, group).await;
            let takes = *self.takes.lock();
            tokio::time::sleep(takes).await;
            if *self.refuses.lock() {
                return Err(StoreError::Refused("the disk is full".into()));
            }
            {
                let mut kept = self.kept.lock();
                for change in &group.documents {
                    let (kind, key) = change.place();
                    let place = (kind, Arc::clone(key));
                    match change {
                        DocumentChange::Put(d) | DocumentChange::PutSpare(d) => kept.insert(place, d.clone()),
                        DocumentChange::Delete { .. } => kept.remove(&place),
                    };
                }
            }
            self.pass(Stop::After, group).await;
            Ok(())
        }
        .boxed()
    }

    fn tidy<'a>(&'a self, _: i64, _: &'a Retention) -> BoxFuture<'a, Result<Tidied, StoreError>> {
        async { Ok(Tidied { did: None, more: false }) }.boxed()
    }

    fn documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> BoxFuture<'_, Result<Vec<Document>, StoreError>> {
        let prefix = page.prefix.clone().unwrap_or_default();
        let mut found = self.of(kind);
        found.retain(|d| d.key.starts_with(&*prefix) && d.at_ms >= page.from_ms);
        found.sort_by_key(|d| std::cmp::Reverse((d.at_ms, Arc::clone(&d.key))));
        found.truncate(page.limit);
        async { Ok(found) }.boxed()
    }

    fn unsealed<'a>(&'a self, _: i64, _: Visit<'a>) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        async { Ok(None) }.boxed()
    }

    fn cuts(&self) -> Cuts {
        Cuts::default()
    }

    fn sizes(&self) -> Sizes {
        Sizes::default()
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<KnownAgent>, StoreError>> {
        unreachable!("only documents are asked for")
    }

    fn reports<'a>(
        &'a self,
        _: &'a [AgentKey],
        _: i64,
        _: i64,
        _: Visit<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        unreachable!("only documents are asked for")
    }

    fn blocks<'a>(
        &'a self,
        _: &'a [AgentKey],
        _: i64,
        _: i64,
        _: Level,
        _: VisitBlocks<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        unreachable!("only documents are asked for")
    }

    fn status_changes(
        &self,
        _: ComponentFilter,
        _: i64,
        _: i64,
    ) -> BoxFuture<'_, Result<Vec<StatusChange>, StoreError>> {
        unreachable!("only documents are asked for")
    }

    fn blind(&self, _: i64, _: i64) -> BoxFuture<'_, Result<Vec<(i64, i64)>, StoreError>> {
        unreachable!("only documents are asked for")
    }

    fn undecodable(&self) -> u64 {
        0
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }
}
