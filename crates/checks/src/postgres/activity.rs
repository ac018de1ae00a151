//! What the one query of a run tells: connections by state, the limit, the role, how a replica follows, the
//! version. Pure but for the query's text. Session states that the role may not see are left out, never counted as none.

use crate::sql::{Connections, Follows, Limits, Seen};
use farol_health::{Figure, Outcome, Unit};

/// One round trip. Our own session counts as open, being one, but neither as active nor as idle. A row whose
/// `backend_type` is null belongs to another role and hides its state; background workers have no user. Senders of the
/// log to replicas and parallel workers have states, too, and are no sessions of clients. What concerns a replica is
/// asked of one only; the settings are null to a role that may not read them.
pub(super) const QUERY: &str = "\
SELECT count(*) FILTER (WHERE backend_type = 'client backend' AND state = 'active'
                           AND pid <> pg_backend_pid()) AS active,
       count(*) FILTER (WHERE backend_type = 'client backend' AND state = 'idle') AS idle,
       count(*) FILTER (WHERE backend_type = 'client backend'
                           AND state LIKE 'idle in transaction%') AS idle_in_transaction,
       count(*) FILTER (WHERE backend_type = 'client backend'
                           OR (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL)) AS open,
       count(*) FILTER (WHERE backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL) AS hidden,
       current_setting('max_connections')::bigint AS max,
       current_setting('transaction_read_only') = 'on' AS read_only,
       pg_is_in_recovery() AS replica,
       CASE WHEN pg_is_in_recovery() THEN
         (SELECT count(*) FROM pg_stat_wal_receiver) END AS receivers,
       CASE WHEN pg_is_in_recovery() THEN
         (SELECT setting <> '' FROM pg_settings WHERE name = 'primary_conninfo') END AS streams,
       CASE WHEN pg_is_in_recovery() THEN
         pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() END AS replayed,
       CASE WHEN pg_is_in_recovery() THEN
         extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END AS replay_age,
       CASE WHEN pg_is_in_recovery() THEN
         (SELECT extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8
            FROM pg_stat_wal_receiver) END AS silence,
       CASE WHEN pg_is_in_recovery() THEN
         extract(epoch FROM current_setting('wal_receiver_timeout')::interval)::float8 END AS patience,
       current_setting('server_version') AS version
FROM pg_stat_activity";

/// For a server without `QUERY`'s views: whether a transaction may write here.
pub(super) const READ_ONLY: &str = "SHOW transaction_read_only";

/// The query's one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Activity {
    /// Sessions that run a statement now, without ours.
    pub(super) active: i64,
    /// Sessions that wait for a statement, outside a transaction.
    pub(super) idle: i64,
    /// Sessions that wait inside a transaction: they hold locks.
    pub(super) idle_in_transaction: i64,
    /// All client sessions, ours included.
    pub(super) open: i64,
    /// Those whose state our role may not see.
    pub(super) hidden: i64,
    /// `max_connections`.
    pub(super) max: i64,
    /// Our transactions may not write.
    pub(super) read_only: bool,
    /// Present where the server replays another's log.
    pub(super) replay: Option<Replay>,
    /// For instance `15.18`.
    pub(super) version: String,
}

/// How a server replays another's log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Replay {
    /// A connection to the primary is open.
    pub(super) connected: bool,
    /// Its settings name a primary to stream from; absent where we may not read them.
    pub(super) streams: Option<bool>,
    /// All that was received is replayed; absent where nothing was ever streamed.
    pub(super) replayed: Option<bool>,
    /// Seconds since the commit that was replayed last; absent before the first.
    pub(super) age: Option<f64>,
    /// Seconds since the primary was heard; absent where we may not know.
    pub(super) silence: Option<f64>,
    /// `wal_receiver_timeout` in seconds, 0 for none: an idle primary is asked for a word after half of it.
    pub(super) patience: f64,
}

impl Replay {
    fn follows(&self) -> Follows {
        let message =
            "this replica has lost its primary and serves old data: look at the primary and the network";
        let lost = !self.connected && self.streams == Some(true);
        Follows { broken: lost.then_some(("replica_link_down", message)), lag: self.lag() }
    }

    /// All replayed means up to date only as long as the primary is heard: a receiver that hangs receives nothing.
    /// Else the last commit's age is the most that can be said, and too much when the primary writes nothing.
    fn lag(&self) -> Option<f64> {
        if !(self.connected && self.replayed == Some(true)) {
            return self.age.map(|age| age.max(0.0));
        }
        let silent = |silence: &f64| self.patience > 0.0 && *silence > self.patience / 2.0 + 1.0;
        Some(self.silence.filter(silent).unwrap_or(0.0))
    }
}

impl Activity {
    pub(super) fn outcome(&self, limits: &Limits) -> Outcome {
        let told = |value: i64| (self.hidden == 0).then_some(value as f64);
        let connections = Connections {
            active: told(self.active),
            idle: told(self.idle),
            open: self.open as f64,
            max: self.max as f64,
        };
        let seen = Seen {
            connections: Some(connections),
            follows: self.replay.as_ref().map(Replay::follows),
            read_only: self.read_only,
        };
        let outcome = seen.outcome(limits).with_fact("version", self.version.as_str());
        match told(self.idle_in_transaction) {
            Some(count) => {
                outcome.with(Figure::gauge("database_connections_idle_in_transaction", count, Unit::None))
            }
            None => {
                let hint = "active and idle connections of other roles are hidden from this one: \
                            GRANT pg_read_all_stats to it";
                outcome.with_fact("hint", hint)
            }
        }
    }
}

/// Whether the server (a pooler, a relative of PostgreSQL) lacks what the query reads: SQLSTATE class 42, or 0A.
pub(super) fn is_missing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
    code.is_some_and(|code| code.starts_with("42") || code.starts_with("0A"))
}

/// The answer of a server that answers queries but not this one.
pub(super) fn no_figures(read_only: bool, limits: &Limits) -> Outcome {
    let mut outcome = Seen { connections: None, follows: None, read_only }.outcome(limits);
    outcome.metadata.clear();
    outcome.with_fact("hint", "the server does not tell its connections: no pg_stat_activity")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Activity {
        Activity {
            active: 5,
            idle: 3,
            idle_in_transaction: 1,
            open: 10,
            hidden: 0,
            max: 20,
            read_only: false,
            replay: None,
            version: "15.18".into(),
        }
    }

    fn value(outcome: &Outcome, name: &str) -> Option<f64> {
        outcome.figures.iter().find(|f| f.name == name).map(|f| f.value)
    }

    #[test]
    fn hidden_sessions_leave_active_and_idle_out_instead_of_undercounting() {
        let outcome = Activity { hidden: 2, ..activity() }.outcome(&Limits::default());
        assert_eq!(value(&outcome, "database_connections_active"), None);
        assert_eq!(value(&outcome, "database_connections_idle_in_transaction"), None);
        assert_eq!(value(&outcome, "database_connections_max"), Some(20.0));
        assert!(outcome.metadata.iter().any(|(k, v)| k == "hint" && v.contains("pg_read_all_stats")));
        assert_eq!(value(&activity().outcome(&Limits::default()), "database_connections_active"), Some(5.0));
    }

    #[test]
    fn a_replica_is_up_to_date_only_as_long_as_it_hears_its_primary() {
        let replay = Replay {
            connected: true,
            streams: Some(true),
            replayed: Some(true),
            age: Some(300.0),
            silence: Some(20.0),
            patience: 60.0,
        };
        for (replay, lag, broken) in [
            (replay.clone(), Some(0.0), false),
            (Replay { replayed: Some(false), ..replay.clone() }, Some(300.0), false),
            (Replay { silence: Some(40.0), ..replay.clone() }, Some(40.0), false),
            (Replay { silence: Some(40.0), patience: 0.0, ..replay.clone() }, Some(0.0), false),
            (Replay { silence: None, ..replay.clone() }, Some(0.0), false),
            (Replay { connected: false, ..replay.clone() }, Some(300.0), true),
            (Replay { connected: false, streams: None, ..replay.clone() }, Some(300.0), false),
            (Replay { connected: false, streams: Some(false), age: None, ..replay.clone() }, None, false),
            (Replay { connected: false, age: Some(-0.5), ..replay }, Some(0.0), true),
        ] {
            let follows = replay.follows();
            assert_eq!((follows.lag, follows.broken.is_some()), (lag, broken), "{replay:?}");
        }
    }

    #[test]
    fn a_server_without_the_views_can_still_be_asked_for_writes() {
        let wanted = Limits { writable: true, ..Limits::default() };
        assert_eq!(no_figures(true, &wanted).reason, "read_only");
        assert_eq!(no_figures(false, &wanted).reason, "ok");
    }
}
