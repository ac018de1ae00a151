//! Kind `mysql`, for MySQL and MariaDB: status, variables and replication over a connection that is kept open. With
//! `reachable`, only a log-in as a stranger, whose refusal is an answer; half a log-in would count towards
//! `max_connect_errors`, and in the end the server would block this host. What errors mean is in `reason.rs`, what
//! the answers tell in `variables.rs`.

mod read;
mod reason;
mod variables;

use crate::address::Address;
use crate::kept::{Kept, Server};
use crate::sql::Limits;
use farol_health::{Check, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
pub(crate) use read::KIND;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{ConnectOptions, Connection, Row};
use std::collections::BTreeMap;
use std::str::FromStr;
use tokio::time::Instant;
use variables::{Channel, Told};

/// What should listen, in messages.
const THING: &str = "MySQL or MariaDB";

/// Which server is asked, and how.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens.
    address: Address,
    /// How to log in, as a stranger when `stranger` says so.
    options: MySqlConnectOptions,
    /// Asks only whether the server answers.
    stranger: bool,
    /// What is asked beyond an answer.
    limits: Limits,
}

impl Settings {
    /// A `mysql://` or `mariadb://` URL: host, port, user, password, database, `ssl-mode`, `ssl-ca`, and a socket's
    /// path as `socket`.
    ///
    /// # Errors
    /// Says what is wrong with the URL, without repeating it: it may hold a password.
    pub fn from_url(url: &str) -> Result<Self, String> {
        if !(url.starts_with("mysql://") || url.starts_with("mariadb://")) {
            return Err("it must begin with `mysql://`, for instance `mysql://app@127.0.0.1/app`".into());
        }
        let options = MySqlConnectOptions::from_str(url)
            .map_err(|_| "it is not a MySQL URL; write for instance `mysql://app@127.0.0.1/app`")?;
        // A bracketed address is not a host name to the resolver.
        let bare = options.get_host().trim_matches(['[', ']']).to_owned();
        let address = match options.get_socket() {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp(bare.clone(), options.get_port()),
        };
        Ok(Self { address, options: plain(options.host(&bare)), stranger: false, limits: Limits::default() })
    }

    /// Logs in with this password instead of the URL's.
    #[must_use]
    pub fn password(self, password: &str) -> Self {
        Self { options: self.options.password(password), ..self }
    }

    /// Asks only whether the server answers.
    #[must_use]
    pub fn reachable(address: Address) -> Self {
        let options = MySqlConnectOptions::new().username("farol");
        let options = match &address {
            Address::Tcp(host, port) => options.host(host).port(*port),
            Address::Unix(path) => options.socket(path),
        };
        Self { address, options: plain(options), stranger: true, limits: Limits::default() }
    }

    /// Asks for this much, too; only of a server that is logged in to.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// Without what the driver would set for an application after each log-in.
fn plain(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .set_names(false)
        .timezone(None)
        .statement_cache_capacity(0)
        .disable_statement_logging()
}

/// The check.
pub struct Mysql {
    settings: Settings,
    /// Kept between runs, so that a run measures a query.
    kept: Kept<Session>,
}

impl Mysql {
    /// A check of this server.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, kept: Kept::new() }
    }
}

/// A connection and what was learned over it.
pub(crate) struct Session {
    connection: MySqlConnection,
    /// How this server is asked for its replication: names differ by version.
    replication: Ask,
}

/// How a server is asked for its replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// MySQL from 8.0.22, MariaDB from 10.5.
    Replica,
    /// Before them.
    Slave,
    /// Our user may not ask.
    Denied,
}

impl Server for Settings {
    type Connection = Session;
    type Error = sqlx::Error;

    async fn connect(&self) -> Result<Session, sqlx::Error> {
        Ok(Session { connection: self.options.connect().await?, replication: Ask::Replica })
    }

    async fn ask(&self, session: &mut Session) -> Result<Outcome, sqlx::Error> {
        let before = Instant::now();
        let mut pairs = session.pairs(variables::STATUS).await?;
        let seconds = before.elapsed().as_secs_f64();
        pairs.extend(session.pairs(variables::VARIABLES).await?);
        let channels = session.channels().await?;
        let told = Told { pairs, channels };
        Ok(told.outcome(&self.limits).with(Figure::gauge(
            "database_response_seconds",
            seconds,
            Unit::Seconds,
        )))
    }

    fn failure(&self, error: &sqlx::Error) -> Outcome {
        reason::of(error, &self.address).outcome()
    }

    async fn leave(&self, session: Session) {
        drop(session.connection.close().await);
    }
}

impl Session {
    /// The answer to a `SHOW` of names and values.
    async fn pairs(&mut self, question: &'static str) -> Result<BTreeMap<String, String>, sqlx::Error> {
        let rows = sqlx::raw_sql(question).fetch_all(&mut self.connection).await?;
        let pair = |row: &MySqlRow| {
            Ok((row.try_get_unchecked::<String, _>(0)?.to_lowercase(), row.try_get_unchecked(1)?))
        };
        rows.iter().map(pair).collect()
    }

    /// Whom it replicates; `None` when our user may not ask.
    async fn channels(&mut self) -> Result<Option<Vec<Channel>>, sqlx::Error> {
        loop {
            let question = match self.replication {
                Ask::Replica => "SHOW REPLICA STATUS",
                Ask::Slave => "SHOW SLAVE STATUS",
                Ask::Denied => return Ok(None),
            };
            match sqlx::raw_sql(question).fetch_all(&mut self.connection).await {
                Ok(rows) => return Ok(Some(rows.iter().map(channel).collect())),
                Err(error) => match (reason::number(&error), self.replication) {
                    (Some(1064), Ask::Replica) => self.replication = Ask::Slave,
                    (Some(1064 | 1227), _) => self.replication = Ask::Denied,
                    _ => return Err(error),
                },
            }
        }
    }
}

fn channel(row: &MySqlRow) -> Channel {
    let text = |names: [&str; 2]| {
        names.into_iter().find_map(|name| row.try_get_unchecked::<Option<String>, _>(name).ok()).flatten()
    };
    Channel {
        receives: text(["Replica_IO_Running", "Slave_IO_Running"]).unwrap_or_default(),
        applies: text(["Replica_SQL_Running", "Slave_SQL_Running"]).unwrap_or_default(),
        behind: text(["Seconds_Behind_Source", "Seconds_Behind_Master"]).and_then(|text| text.parse().ok()),
    }
}

impl Check for Mysql {
    fn kind(&self) -> &'static str {
        "mysql"
    }

    fn target(&self) -> Option<String> {
        Some(self.settings.address.to_string())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        async move {
            if !self.settings.stranger {
                return self.kept.ask(&self.settings).await;
            }
            match self.settings.connect().await {
                Ok(session) => {
                    self.settings.leave(session).await;
                    reason::accepts()
                }
                Err(error) => reason::of_stranger(&error, &self.settings.address),
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
            ("mysql://app:pw@db:6000/app", "db:6000"),
            ("mariadb://app@[::1]/app", "[::1]:3306"),
            ("mysql:///app?socket=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
        ];
        for (url, expected) in table {
            assert_eq!(Settings::from_url(url).unwrap().address.to_string(), expected, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_repeated() {
        for url in ["postgres://app:s3cret@db/app", "mysql://app:s3cret@db:port/app", "s3cret"] {
            let message = Settings::from_url(url).err().unwrap();
            assert!(!message.contains("s3cret"), "{message}");
            assert!(message.contains("mysql://"), "{message}");
        }
    }
}
