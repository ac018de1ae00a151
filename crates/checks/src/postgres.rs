//! Kind `postgres`: one cheap query over a connection that is kept open, so that the time is a query's and not
//! a log-in's. With `reachable`, only the start-up handshake, for a server whose password we do not have.
//! What its errors mean is in `reason.rs`, what the query tells in `activity.rs`.

mod activity;
mod handshake;
mod read;
mod reason;

use crate::address::Address;
use crate::kept::{Kept, Server};
use crate::sql::Limits;
use activity::{Activity, Replay};
use farol_health::{Check, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Row};
use std::str::FromStr;
use tokio::time::Instant;

pub(crate) use handshake::answers;
pub(crate) use read::KIND;

/// What should listen, in messages.
const THING: &str = "PostgreSQL";

/// Which server is asked, and how.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens.
    address: Address,
    /// How to log in; `None` asks for the handshake only.
    login: Option<PgConnectOptions>,
    /// What is asked beyond an answer.
    limits: Limits,
}

impl Settings {
    /// A `postgres://` URL as in libpq: host, port, user, password, database, `sslmode`, `sslrootcert`, and a
    /// socket directory as `host`. What it leaves out is libpq's default, `~/.pgpass` included.
    ///
    /// # Errors
    /// Says what is wrong with the URL, without repeating it: it may hold a password.
    pub fn from_url(url: &str) -> Result<Self, String> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(
                "it must begin with `postgres://`, for instance `postgres://app@127.0.0.1/app`".into()
            );
        }
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| "it is not a PostgreSQL URL; write for instance `postgres://app@127.0.0.1/app`")?;
        // A bracketed address is not a host name to the resolver.
        let bare = options.get_host().trim_matches(['[', ']']).to_owned();
        let options = options.host(&bare).application_name("farol").disable_statement_logging();
        let address = match options.get_socket() {
            Some(directory) => socket_in(directory, options.get_port()),
            None if bare.starts_with('/') => socket_in(bare.as_ref(), options.get_port()),
            None => Address::Tcp(bare, options.get_port()),
        };
        Ok(Self { address, login: Some(options), limits: Limits::default() })
    }

    /// Logs in with this password instead of the URL's.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.login = self.login.map(|login| login.password(password));
        self
    }

    /// Asks only whether the server accepts connections.
    #[must_use]
    pub fn reachable(address: Address) -> Self {
        Self { address, login: None, limits: Limits::default() }
    }

    /// Asks for this much, too; only of a server that is logged in to.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// PostgreSQL's own name for the socket in `directory`.
pub(crate) fn socket_in(directory: &std::path::Path, port: u16) -> Address {
    Address::Unix(directory.join(format!(".s.PGSQL.{port}")))
}

/// The check.
pub struct Postgres {
    settings: Settings,
    /// Kept between runs, so that a run measures a query.
    kept: Kept<PgConnection>,
}

impl Postgres {
    /// A check of this server.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, kept: Kept::new() }
    }
}

/// A server that is logged in to.
struct Login<'s> {
    settings: &'s Settings,
    options: &'s PgConnectOptions,
}

impl Server for Login<'_> {
    type Connection = PgConnection;
    type Error = sqlx::Error;

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.options.connect().await
    }

    async fn ask(&self, connection: &mut PgConnection) -> Result<Outcome, sqlx::Error> {
        let limits = &self.settings.limits;
        let before = Instant::now();
        let outcome = match sqlx::raw_sql(activity::QUERY).fetch_one(&mut *connection).await {
            Ok(row) => activity_of(&row)?.outcome(limits),
            Err(error) if activity::is_missing(&error) => {
                activity::no_figures(limits.writable && is_read_only(connection).await?, limits)
            }
            Err(error) => return Err(error),
        };
        let seconds = before.elapsed().as_secs_f64();
        Ok(outcome.with(Figure::gauge("database_response_seconds", seconds, Unit::Seconds)))
    }

    fn failure(&self, error: &sqlx::Error) -> Outcome {
        reason::of(error, &self.settings.address).outcome()
    }

    async fn leave(&self, connection: PgConnection) {
        drop(connection.close().await);
    }
}

async fn is_read_only(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql(activity::READ_ONLY).fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "on")
}

fn activity_of(row: &PgRow) -> Result<Activity, sqlx::Error> {
    let replay = |_| -> Result<Replay, sqlx::Error> {
        Ok(Replay {
            connected: row.try_get::<i64, _>("receivers")? > 0,
            streams: row.try_get("streams")?,
            replayed: row.try_get("replayed")?,
            age: row.try_get("replay_age")?,
            silence: row.try_get("silence")?,
            patience: row.try_get("patience")?,
        })
    };
    Ok(Activity {
        active: row.try_get("active")?,
        idle: row.try_get("idle")?,
        idle_in_transaction: row.try_get("idle_in_transaction")?,
        open: row.try_get("open")?,
        hidden: row.try_get("hidden")?,
        max: row.try_get("max")?,
        read_only: row.try_get("read_only")?,
        replay: row.try_get::<bool, _>("replica")?.then_some(()).map(replay).transpose()?,
        version: row.try_get("version")?,
    })
}

impl Check for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn target(&self) -> Option<String> {
        Some(self.settings.address.to_string())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        async move {
            match &self.settings.login {
                Some(options) => self.kept.ask(&Login { settings: &self.settings, options }).await,
                None => handshake::ask(&self.settings.address).await,
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_tells_where_the_server_listens() {
        let table = [
            ("postgres://app:pw@db:6000/app", "db:6000"),
            ("postgresql://app@[::1]:5433/app", "[::1]:5433"),
            ("postgres://app@127.0.0.1:5432/app", "127.0.0.1:5432"),
            ("postgres:///app?host=/run/pg&port=5433", "/run/pg/.s.PGSQL.5433"),
        ];
        for (url, expected) in table {
            assert_eq!(Settings::from_url(url).unwrap().address.to_string(), expected, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_repeated() {
        for url in ["mysql://app:s3cret@db/app", "postgres://app:s3cret@db:port/app", "s3cret"] {
            let message = Settings::from_url(url).err().unwrap();
            assert!(!message.contains("s3cret"), "{message}");
            assert!(message.contains("postgres://"), "{message}");
        }
    }
}
