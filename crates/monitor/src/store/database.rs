//! What makes a store of a database: the seam's promises over each dialect's steps. Decides what follows a fatal error.

use super::reading::{self, Rows, blocks, unsealed};
use super::{
    AgentKey, ComponentFilter, Connections, Cuts, Document, DocumentKind, DocumentPage, Group, KnownAgent,
    Level, Restored, Retention, Sizes, StatusChange, Store, StoreError, Tidied, Visit, VisitBlocks,
};
use futures::future::BoxFuture;
use std::sync::Arc;

/// A group becomes one transaction.
pub(crate) trait Commits {
    /// Writes a group, and counts it in memory once it is committed.
    fn write(&self, group: &Group) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What is done between commits, and at the end.
pub(crate) trait Tidies {
    /// One step of what is due.
    fn tidy_up(
        &self,
        now_ms: i64,
        retention: &Retention,
    ) -> impl Future<Output = Result<Tidied, StoreError>> + Send;

    /// Saves the marks and closes the connections.
    fn let_go(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What was when: see [`Store`].
pub(crate) trait Statuses {
    fn read_changes(
        &self,
        filter: ComponentFilter,
        from_ms: i64,
        to_ms: i64,
    ) -> impl Future<Output = Result<Vec<StatusChange>, StoreError>> + Send;

    fn read_blind(
        &self,
        from_ms: i64,
        to_ms: i64,
    ) -> impl Future<Output = Result<Vec<(i64, i64)>, StoreError>> + Send;
}

/// What alerting keeps: see [`Store`].
pub(crate) trait DocumentRows {
    fn read_documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> impl Future<Output = Result<Vec<Document>, StoreError>> + Send;
}

/// A store in a database: each of its parts is its dialect's own.
pub(crate) trait Database:
    Commits + DocumentRows + Rows + Statuses + Tidies + Send + Sync + 'static
{
    /// The id made when the store was created.
    fn store_id(&self) -> &Arc<str>;

    /// Reads what a starting monitor must know.
    fn read_anew(&self) -> impl Future<Output = Result<Restored, StoreError>> + Send;

    /// Nothing may be written any more: lets go of the connection that writes, without a further word over it.
    fn give_up(&self) -> impl Future<Output = ()> + Send;

    /// As far as they are known.
    fn open_connections(&self) -> Connections;
}

/// Remembers what is fatal in a step that writes: nothing is tried any more.
pub(crate) async fn remember<D: Database, T>(
    database: &D,
    result: Result<T, StoreError>,
) -> Result<T, StoreError> {
    if database.memory().note(&result) {
        database.give_up().await;
    }
    result
}

impl<D: Database> Store for D {
    fn id(&self) -> Arc<str> {
        Arc::clone(self.store_id())
    }

    fn restore(&self) -> BoxFuture<'_, Result<Restored, StoreError>> {
        Box::pin(async move {
            self.memory().usable()?;
            match self.memory().take_restored() {
                Some(restored) => Ok(restored),
                None => self.read_anew().await,
            }
        })
    }

    fn commit<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.memory().usable()?;
            remember(self, self.write(group).await).await
        })
    }

    fn tidy<'a>(
        &'a self,
        now_ms: i64,
        retention: &'a Retention,
    ) -> BoxFuture<'a, Result<Tidied, StoreError>> {
        Box::pin(async move {
            self.memory().usable()?;
            remember(self, self.tidy_up(now_ms, retention).await).await
        })
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<KnownAgent>, StoreError>> {
        Box::pin(self.known_agents())
    }

    fn reports<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        visit: Visit<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(reading::visit(self, agents, (from_ms, to_ms), visit))
    }

    fn blocks<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        level: Level,
        visit: VisitBlocks<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(blocks::visit(self, agents, (from_ms, to_ms), level, visit))
    }

    fn unsealed<'a>(
        &'a self,
        after: i64,
        visit: Visit<'a>,
    ) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        Box::pin(unsealed::visit(self, after, visit))
    }

    fn cuts(&self) -> Cuts {
        self.memory().catalog.read().cuts
    }

    fn sizes(&self) -> Sizes {
        *self.memory().sizes.lock()
    }

    fn status_changes(
        &self,
        filter: ComponentFilter,
        from_ms: i64,
        to_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<StatusChange>, StoreError>> {
        Box::pin(self.read_changes(filter, from_ms, to_ms))
    }

    fn blind(&self, from_ms: i64, to_ms: i64) -> BoxFuture<'_, Result<Vec<(i64, i64)>, StoreError>> {
        Box::pin(self.read_blind(from_ms, to_ms))
    }

    fn documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> BoxFuture<'_, Result<Vec<Document>, StoreError>> {
        Box::pin(self.read_documents(kind, page))
    }

    fn undecodable(&self) -> u64 {
        self.memory().undecodable()
    }

    fn connections(&self) -> Connections {
        self.open_connections()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { remember(self, self.let_go().await).await })
    }
}
