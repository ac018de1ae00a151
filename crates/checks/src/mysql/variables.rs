//! What the status, the variables and the replication of a MySQL or MariaDB tell. Pure but for the questions' text.
//! Without the right to see its replication, a replica cannot be told from a primary, and no role is shown.

use crate::sql::{Connections, Follows, Limits, Seen};
use farol_health::{Figure, Outcome, Unit};
use std::collections::BTreeMap;

/// What moves. Anybody may ask.
pub(super) const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
    ('Threads_connected', 'Threads_running', 'Uptime', 'Slow_queries', 'Questions', 'Aborted_connects')";

/// What is set. Names that a server does not know are left out by it.
pub(super) const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
    ('max_connections', 'read_only', 'super_read_only', 'innodb_read_only', 'version', 'version_comment')";

/// All that was told in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// Status and variables, names in lower case.
    pub(super) pairs: BTreeMap<String, String>,
    /// Whom it replicates, empty on a primary; `None` when we may not know.
    pub(super) channels: Option<Vec<Channel>>,
}

/// One source that a replica follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Channel {
    /// `Yes`, `No` or `Connecting`: it receives the source's log.
    pub(super) receives: String,
    /// `Yes` or `No`: it applies what it received.
    pub(super) applies: String,
    /// Seconds behind its source, absent while one of both does not run.
    pub(super) behind: Option<f64>,
}

impl Told {
    pub(super) fn outcome(&self, limits: &Limits) -> Outcome {
        let seen = Seen {
            connections: self.connections(),
            follows: self.channels.as_deref().and_then(follows),
            read_only: ["read_only", "super_read_only", "innodb_read_only"]
                .iter()
                .any(|name| self.is_on(name)),
        };
        let mut outcome = seen.outcome(limits);
        if self.channels.is_none() {
            outcome.metadata.clear();
            outcome = outcome.with_fact(
                "hint",
                "the user may not see the replication: GRANT REPLICATION CLIENT (MySQL) or REPLICA MONITOR (MariaDB)",
            );
        }
        if let Some(version) = self.pairs.get("version") {
            outcome = outcome.with_fact("version", version.as_str());
        }
        for (figure, name) in [
            (Figure::gauge("database_uptime_seconds", 0.0, Unit::Seconds), "uptime"),
            (Figure::counter("database_slow_queries_total", 0.0, Unit::None), "slow_queries"),
            (Figure::counter("database_queries_total", 0.0, Unit::None), "questions"),
            (Figure::counter("database_connections_aborted_total", 0.0, Unit::None), "aborted_connects"),
        ] {
            if let Some(value) = self.number(name) {
                outcome = outcome.with(Figure { value, ..figure });
            }
        }
        let read_only = f64::from(u8::from(seen.read_only));
        outcome.with(Figure::gauge("database_read_only", read_only, Unit::None))
    }

    /// Our own session counts as open, being one, but neither as active nor as idle.
    fn connections(&self) -> Option<Connections> {
        let open = self.number("threads_connected")?;
        let running = self.number("threads_running");
        Some(Connections {
            active: running.map(|running| (running - 1.0).max(0.0)),
            idle: running.map(|running| (open - running.max(1.0)).max(0.0)),
            open,
            max: self.number("max_connections")?,
        })
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.pairs.get(name)?.parse().ok()
    }

    /// Newer versions know more than on and off; all of them but off refuse writes of some.
    fn is_on(&self, name: &str) -> bool {
        self.pairs.get(name).is_some_and(|value| !matches!(value.to_lowercase().as_str(), "off" | "0" | ""))
    }
}

/// The worst of all channels.
fn follows(channels: &[Channel]) -> Option<Follows> {
    let any = |broken: fn(&Channel) -> bool| channels.iter().any(broken);
    let broken = if any(|channel| channel.receives == "Connecting") {
        let message =
            "this replica has lost its source and serves old data: look at the source and the network";
        Some(("replica_link_down", message))
    } else if any(|channel| channel.receives == "No" || channel.applies == "No") {
        let message = "this replica has stopped and serves old data: SHOW REPLICA STATUS says why, START REPLICA goes on";
        Some(("replica_stopped", message))
    } else {
        None
    };
    let lag = channels.iter().filter_map(|channel| channel.behind).reduce(f64::max);
    (!channels.is_empty()).then_some(Follows { broken, lag })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn told(pairs: &[(&str, &str)], channels: Option<Vec<Channel>>) -> Told {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Told { pairs, channels }
    }

    fn channel(receives: &str, applies: &str, behind: Option<f64>) -> Channel {
        Channel { receives: receives.into(), applies: applies.into(), behind }
    }

    #[test]
    fn our_own_session_is_open_but_neither_active_nor_idle() {
        for (open, running, active, idle) in
            [("1", "1", 0.0, 0.0), ("9", "3", 2.0, 6.0), ("2", "0", 0.0, 1.0), ("2", "5", 4.0, 0.0)]
        {
            let pairs =
                [("threads_connected", open), ("threads_running", running), ("max_connections", "20")];
            let connections = told(&pairs, None).connections().unwrap();
            assert_eq!(
                (connections.active, connections.idle),
                (Some(active), Some(idle)),
                "{open} {running}"
            );
        }
        assert_eq!(told(&[("threads_connected", "1")], None).connections(), None, "no limit is told");
    }

    #[test]
    fn any_of_the_read_only_settings_counts() {
        let wanted = Limits { writable: true, ..Limits::default() };
        for (name, value, reason) in [
            ("read_only", "OFF", "ok"),
            ("read_only", "ON", "read_only"),
            ("read_only", "NO_LOCK", "read_only"),
            ("super_read_only", "ON", "read_only"),
            ("innodb_read_only", "ON", "read_only"),
        ] {
            assert_eq!(told(&[(name, value)], None).outcome(&wanted).reason, reason, "{name} {value}");
        }
    }

    #[test]
    fn the_worst_channel_decides() {
        let limits = Limits { lag_above: Some(Duration::from_secs(5)), ..Limits::default() };
        for (channels, reason, lag) in [
            (vec![], "ok", None),
            (vec![channel("Yes", "Yes", Some(0.0))], "ok", Some(0.0)),
            (
                vec![channel("Yes", "Yes", Some(1.0)), channel("Yes", "Yes", Some(6.0))],
                "replication_lag",
                Some(6.0),
            ),
            (vec![channel("Connecting", "Yes", None)], "replica_link_down", None),
            (
                vec![channel("Yes", "Yes", Some(1.0)), channel("Yes", "No", None)],
                "replica_stopped",
                Some(1.0),
            ),
            (vec![channel("No", "Yes", None)], "replica_stopped", None),
        ] {
            let outcome = told(&[], Some(channels.clone())).outcome(&limits);
            let seen = outcome.figures.iter().find(|f| f.name == "database_replication_lag_seconds");
            assert_eq!((outcome.reason.as_ref(), seen.map(|f| f.value)), (reason, lag), "{channels:?}");
        }
    }

    #[test]
    fn a_user_that_may_not_see_the_replication_is_told_no_role() {
        let facts = |channels| {
            let names: Vec<_> = told(&[], channels).outcome(&Limits::default()).metadata;
            names.into_iter().map(|(name, _)| name.into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(facts(None), ["hint"]);
        assert_eq!(facts(Some(vec![])), ["role"]);
    }
}
