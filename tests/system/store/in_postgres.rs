//! A PostgreSQL of our own with a database for each case, and what is done to it from outside.

use super::{Durability, Place, Store};
use farol_config::Secret;
use farol_monitor::store::{PostgresServer, PostgresSettings, PostgresStore};
use farol_tests::postgres::{PASSWORD, Postgres, SUPERUSER};
use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The session that holds the writer's lock of a database.
const WRITER: &str =
    "l.locktype = 'advisory' AND l.classid = 1180792431 AND l.objid = 1937010546 AND l.granted";

/// A server with databases.
pub(super) struct Databases {
    pub(super) server: Postgres,
    made: AtomicU32,
}

/// One of them.
pub(super) struct InPostgres<'a> {
    pub(super) server: &'a Postgres,
    pub(super) database: String,
}

impl Databases {
    pub(super) async fn start() -> Self {
        Self::on(Postgres::start().await.unwrap())
    }

    pub(super) fn on(server: Postgres) -> Self {
        Self { server, made: AtomicU32::new(0) }
    }

    /// A new empty database.
    pub(super) fn place(&self) -> InPostgres<'_> {
        let database = format!("farol{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.server.sql(&format!("CREATE DATABASE {database}")).unwrap();
        InPostgres { server: &self.server, database }
    }
}

impl Databases {
    /// One that is there.
    pub(super) fn named(&self, database: &str) -> InPostgres<'_> {
        InPostgres { server: &self.server, database: database.to_owned() }
    }

    /// A session of somebody else; the error is the server's.
    pub(super) async fn session(&self) -> Result<PgConnection, String> {
        PgConnection::connect(&self.server.superuser_url()).await.map_err(|error| error.to_string())
    }
}

/// Short waits, so that what fails fails soon.
pub(super) fn settings(port: u16, user: &str, password: &str, database: &str) -> PostgresSettings {
    PostgresSettings {
        server: PostgresServer {
            port: Some(port),
            name: Some(database.to_owned()),
            user: Some(user.to_owned()),
            password: Some(Secret::new(password)),
            ..PostgresServer::default()
        },
        timeout: Duration::from_secs(5),
        max_retries: 0,
        retry_delay: Duration::from_millis(50),
        connections: 4,
        durability: Durability::Full,
    }
}

impl InPostgres<'_> {
    pub(super) fn settings(&self) -> PostgresSettings {
        settings(self.server.port(), SUPERUSER, PASSWORD, &self.database)
    }

    /// The same over the Unix socket, where nobody needs a password: a new session costs little.
    pub(super) fn by_socket(&self) -> PostgresSettings {
        let mut settings = self.settings();
        settings.server.host =
            self.server.path("").to_str().map(|path| path.trim_end_matches('/').to_owned());
        settings
    }

    pub(super) async fn store(&self) -> PostgresStore {
        PostgresStore::open(self.settings()).await.unwrap()
    }

    /// SQL in this database.
    pub(super) fn sql(&self, text: &str) -> String {
        self.server.sql_in(&self.database, text).unwrap()
    }

    /// The server's process of the writer's session.
    pub(super) fn writer(&self) -> i32 {
        let text = format!(
            "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
             WHERE d.datname = '{}' AND {WRITER}",
            self.database
        );
        self.server.sql(&text).unwrap().parse().unwrap()
    }

    /// Makes a process of the server stand still, or go on.
    pub(super) fn hang(process: i32, still: bool) {
        let process = Pid::from_raw(process).unwrap();
        kill_process(process, if still { Signal::STOP } else { Signal::CONT }).unwrap();
    }

    /// Ends the writer's session, as an administrator can at any time; how many there were.
    pub(super) fn terminate_writer(&self) -> usize {
        let text = format!(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l \
             JOIN pg_database d ON d.oid = l.database WHERE d.datname = '{}' AND {WRITER}",
            self.database
        );
        self.server.sql(&text).unwrap().lines().filter(|line| *line == "t").count()
    }
}

impl Place for InPostgres<'_> {
    /// The one before is ended by the server: that is what a monitor's `kill -9` leaves.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        async {
            self.terminate_writer();
            Arc::new(self.store().await) as Arc<dyn Store>
        }
        .boxed()
    }
}
