//! What the SQL databases have in common: what may be asked of one beyond an answer, the figures of its
//! connections and its replication, and what the driver's own errors are called. What a server's errors mean is
//! each kind's.

use crate::address::Address;
use crate::failure::{Failure, find};
use crate::target::Target;
use farol_config::Map;
use farol_health::{Figure, Outcome, Unit};
use std::io;
use std::time::Duration;

/// What is asked of a database beyond an answer; what does not hold makes it degraded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// It takes writes: neither a replica nor read-only.
    pub writable: bool,
    /// A replica is at most so far behind.
    pub lag_above: Option<Duration>,
    /// Fewer than so many per hundred of its connections are open.
    pub connections_above: Option<f64>,
}

impl Limits {
    /// Reads the keys, which all need a log-in.
    pub(crate) fn read(m: &mut Map<'_>, target: Option<&Target>) -> Self {
        let limits = Self {
            writable: m.flag("writable").or(false),
            lag_above: m.duration("lag_above").optional(),
            connections_above: m.percent("connections_above").within(1.0..=100.0).optional(),
        };
        if let Some(target) = target {
            target.needs_login(m, &["writable", "lag_above", "connections_above"]);
        }
        limits
    }
}

/// Client sessions of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Connections {
    /// They run a statement now, without ours; absent where it cannot be told.
    pub(crate) active: Option<f64>,
    /// They wait for a statement; absent where it cannot be told.
    pub(crate) idle: Option<f64>,
    /// All of them, ours included.
    pub(crate) open: f64,
    /// The server's limit.
    pub(crate) max: f64,
}

impl Connections {
    fn used_percent(&self) -> Option<f64> {
        (self.max > 0.0).then(|| self.open / self.max * 100.0)
    }

    fn figures(&self, mut outcome: Outcome) -> Outcome {
        for (name, value, key) in [
            ("database_connections_open", Some(self.open), None),
            ("database_connections_max", Some(self.max), Some("connections.max")),
            ("database_connections_active", self.active, Some("connections.active")),
            ("database_connections_idle", self.idle, Some("connections.idle")),
        ] {
            if let Some(value) = value {
                let figure = Figure::gauge(name, value, Unit::None);
                outcome = outcome.with(Figure { shown_as: key, ..figure });
            }
        }
        match self.used_percent() {
            Some(used) => {
                outcome.with(Figure::gauge("database_connections_used_percent", used, Unit::Percent))
            }
            None => outcome,
        }
    }
}

/// How a replica follows its primary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Follows {
    /// Why it does not, if it does not, and what to do.
    pub(crate) broken: Option<(&'static str, &'static str)>,
    /// How far behind, in seconds; absent where it cannot be told.
    pub(crate) lag: Option<f64>,
}

/// What one run has seen of a server that answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    /// Absent where the server does not tell.
    pub(crate) connections: Option<Connections>,
    /// Absent on a primary.
    pub(crate) follows: Option<Follows>,
    /// It takes no writes from us.
    pub(crate) read_only: bool,
}

impl Seen {
    /// Its figures, and the first thing that is not as it should be.
    pub(crate) fn outcome(&self, limits: &Limits) -> Outcome {
        let mut outcome = match self.flaw(limits) {
            Some((reason, message)) => Outcome::degraded(reason, message),
            None => Outcome::healthy(),
        };
        if let Some(connections) = &self.connections {
            outcome = connections.figures(outcome);
        }
        if let Some(lag) = self.follows.and_then(|follows| follows.lag) {
            outcome = outcome.with(Figure::gauge("database_replication_lag_seconds", lag, Unit::Seconds));
        }
        outcome.with_fact("role", if self.follows.is_some() { "replica" } else { "primary" })
    }

    fn flaw(&self, limits: &Limits) -> Option<(&'static str, String)> {
        if limits.writable && self.follows.is_some() {
            let message =
                "it is a replica, and the check wants one that takes writes: ask the primary, or promote it";
            return Some(("in_recovery", message.into()));
        }
        if limits.writable && self.read_only {
            let message = "it answers but takes no writes: look at its read-only setting, and at this user's";
            return Some(("read_only", message.into()));
        }
        let follows = self.follows;
        if let Some((reason, message)) = follows.and_then(|follows| follows.broken) {
            return Some((reason, message.into()));
        }
        let lag = follows.and_then(|follows| follows.lag);
        if let (Some(limit), Some(lag)) = (limits.lag_above, lag)
            && lag > limit.as_secs_f64()
        {
            let message =
                format!("this replica is more than {limit:?} behind: look at its load, disks and network");
            return Some(("replication_lag", message));
        }
        let used = self.connections.as_ref().and_then(Connections::used_percent);
        if let (Some(limit), Some(used)) = (limits.connections_above, used)
            && used >= limit
        {
            let message = format!(
                "{limit} % of its connections are in use: close some, use a pooler, or raise max_connections"
            );
            return Some(("connections_high", message));
        }
        None
    }
}

/// How a kind's driver is spoken of.
pub(crate) struct Driver {
    /// What should listen.
    pub(crate) thing: &'static str,
    /// The reason when something else does.
    pub(crate) stranger: &'static str,
    /// The URL's key that names a file of certificates.
    pub(crate) ca: &'static str,
}

impl Driver {
    /// Names an error of the driver; `None` for one that the server itself reported.
    pub(crate) fn failure(&self, error: &sqlx::Error, address: &Address) -> Option<Failure> {
        let target = &address.to_string();
        Some(match error {
            sqlx::Error::Database(_) => return None,
            // No TCP connection misses a file: the settings name one.
            sqlx::Error::Io(error)
                if error.kind() == io::ErrorKind::NotFound && matches!(address, Address::Tcp(..)) =>
            {
                let message =
                    format!("a file that the settings for {target} name is missing: look at {}", self.ca);
                Failure::ours("bad_settings", message)
            }
            sqlx::Error::Io(error) => Failure::io(error, target, self.thing),
            sqlx::Error::Tls(error) => match find::<io::Error>(error.as_ref()) {
                Some(file) => Failure::tls(file, target),
                None => Failure::tls(error.as_ref(), target),
            },
            sqlx::Error::Configuration(error) => {
                Failure::ours("bad_settings", format!("the settings for {target} do not work: {error}"))
            }
            sqlx::Error::Protocol(text) => {
                let thing = self.thing;
                let message = format!("what listens at {target} does not answer as {thing} does: {text}");
                Failure::theirs(self.stranger, message)
            }
            other => {
                Failure::theirs("unexpected_answer", format!("{target} gave an unexpected answer: {other}"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::Status;

    const CONNECTIONS: Connections = Connections { active: Some(5.0), idle: Some(3.0), open: 9.0, max: 20.0 };
    const FOLLOWS: Follows = Follows { broken: None, lag: Some(2.0) };
    const SEEN: Seen = Seen { connections: Some(CONNECTIONS), follows: None, read_only: false };

    fn value(outcome: &Outcome, shown_as: &str) -> Option<f64> {
        outcome.figures.iter().find(|f| f.shown_as == Some(shown_as)).map(|f| f.value)
    }

    #[test]
    fn figures_stand_where_the_documents_show_them() {
        let outcome = SEEN.outcome(&Limits::default());
        assert_eq!(value(&outcome, "connections.active"), Some(5.0));
        assert_eq!(value(&outcome, "connections.idle"), Some(3.0));
        assert_eq!(value(&outcome, "connections.max"), Some(20.0));
        let used = outcome.figures.iter().find(|f| f.name == "database_connections_used_percent").unwrap();
        assert_eq!(used.value, 45.0);
        assert!(outcome.metadata.contains(&("role".into(), "primary".into())));
    }

    #[test]
    fn the_first_flaw_decides_and_without_limits_only_a_broken_replica_is_one() {
        let broken = Follows { broken: Some(("replica_link_down", "mend it")), lag: None };
        let replica = Seen { follows: Some(FOLLOWS), read_only: true, ..SEEN };
        let cut = Seen { follows: Some(broken), read_only: true, ..SEEN };
        let frozen = Seen { read_only: true, ..SEEN };
        let none = Limits::default();
        let writable = Limits { writable: true, ..none };
        let lag = |ms| Limits { lag_above: Some(Duration::from_millis(ms)), ..none };
        let share = |percent| Limits { connections_above: Some(percent), ..none };
        for (seen, limits, reason) in [
            (SEEN, none, "ok"),
            (frozen, none, "ok"),
            (replica, none, "ok"),
            (cut, none, "replica_link_down"),
            (SEEN, writable, "ok"),
            (frozen, writable, "read_only"),
            (replica, writable, "in_recovery"),
            (cut, writable, "in_recovery"),
            (replica, lag(2_000), "ok"),
            (replica, lag(1_999), "replication_lag"),
            (SEEN, lag(1), "ok"),
            (SEEN, share(45.1), "ok"),
            (SEEN, share(45.0), "connections_high"),
            (Seen { connections: None, ..SEEN }, share(1.0), "ok"),
        ] {
            let outcome = seen.outcome(&limits);
            assert_eq!(outcome.reason, reason, "{seen:?} {limits:?}");
            assert_eq!(outcome.status == Status::Healthy, reason == "ok");
        }
    }

    #[test]
    fn another_protocol_at_the_port_is_named() {
        let driver = Driver { thing: "PostgreSQL", stranger: "not_postgres", ca: "sslrootcert" };
        let error = sqlx::Error::Protocol("unexpected response from SSLRequest: 0x48".into());
        let failure = driver.failure(&error, &Address::Tcp("db".into(), 80)).unwrap();
        assert_eq!(failure.reason, "not_postgres");
    }
}
