//! Connections: how one is made and set up, and that nothing waits on one for ever. Decides nothing about what is
//! said over it.

use super::PostgresSettings;
use crate::store::Durability;
use sqlx::postgres::{PgArguments, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{ConnectOptions, Connection, Executor, Postgres};
use std::io;
use std::time::Duration;

/// A reader with nothing to do is closed after so long, and each after the second time: what a server or a
/// firewall forgets, or a fail-over leaves behind, is then no longer held. Besides, each is asked whether it is
/// alive before it is used.
const IDLE: Duration = Duration::from_secs(5 * 60);
const LIFE: Duration = Duration::from_secs(30 * 60);

/// Somebody who asks about the past is not kept longer by a server that gives no connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: PgConnection,
    /// A word that is not answered within this time is given up, and the connection with it.
    pub(super) limit: Duration,
}

impl Link {
    /// Connects and sets the session up.
    pub(super) async fn open(settings: &PostgresSettings, session: &str) -> Result<Self, sqlx::Error> {
        let limit = settings.timeout;
        let options = settings.server.options().application_name(session);
        let set_up = set_up(settings);
        let connection = within(limit, async {
            let mut connection = options.connect().await?;
            connection.execute(sqlx::AssertSqlSafe(set_up)).await?;
            Ok(connection)
        });
        Ok(Self { connection: connection.await?, limit })
    }

    /// Runs a statement; how many rows it touched or gave.
    pub(super) async fn run(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<u64, sqlx::Error> {
        let ran = within(self.limit, query.execute(&mut self.connection)).await;
        ran.map(|done| done.rows_affected())
    }

    /// Runs one without values.
    pub(super) async fn say(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        within(self.limit, self.connection.execute(sql)).await.map(|_| ())
    }

    /// All rows of an answer.
    pub(super) async fn all<T>(
        &mut self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
    {
        within(self.limit, query.fetch_all(&mut self.connection)).await
    }

    /// Says goodbye.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        within(self.limit, self.connection.close()).await
    }
}

/// Connections that read: made when they are needed.
pub(super) fn readers(settings: &PostgresSettings, session: &str) -> PgPool {
    let set_up = set_up(settings);
    PgPoolOptions::new()
        .max_connections(settings.connections)
        .min_connections(0)
        .acquire_timeout(settings.timeout.min(PATIENCE))
        .idle_timeout(IDLE)
        .max_lifetime(LIFE)
        .test_before_acquire(true)
        .after_connect(move |connection, _| {
            let set_up = set_up.clone();
            Box::pin(async move { connection.execute(sqlx::AssertSqlSafe(set_up)).await.map(|_| ()) })
        })
        .connect_lazy_with(settings.server.options().application_name(&format!("{session} reads")))
}

/// What every session is told. The server gives up what takes too long, and soon finds out when we are gone; names
/// mean what they mean everywhere.
fn set_up(settings: &PostgresSettings) -> String {
    let limit_ms = settings.timeout.as_millis();
    let synchronous = match settings.durability {
        Durability::Full => "on",
        Durability::Normal => "off",
    };
    format!(
        "SET statement_timeout = {limit_ms}; SET lock_timeout = {limit_ms}; \
         SET idle_in_transaction_session_timeout = {}; SET synchronous_commit = {synchronous}; \
         SET search_path = pg_catalog; SET default_transaction_isolation = 'read committed'; \
         SET client_min_messages = error; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; \
         SET tcp_keepalives_count = 3",
        limit_ms * 2
    )
}

/// No answer in time is a connection that is lost.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| {
        let why = format!("no answer within {limit:?}");
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, why)))
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

/// There is no connection just now.
pub(super) fn no_link() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::NotConnected.into())
}
