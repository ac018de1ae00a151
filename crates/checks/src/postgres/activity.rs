//! What the one query of a run tells: connections by state, the limit, the role, the version. Pure but for the
//! query's text. Session states that the role may not see are left out, never counted as none.

use farol_health::{Figure, Outcome, Unit};

/// One round trip. Our own session counts as open, being one, but neither as active nor as idle. A row whose
/// `backend_type` is null belongs to another role and hides its state; background workers have no user. Senders of the
/// log to replicas and parallel workers have states, too, and are no sessions of clients.
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
       pg_is_in_recovery() AS replica,
       current_setting('server_version') AS version
FROM pg_stat_activity";

/// The query's one row.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The server replays another's log.
    pub(super) replica: bool,
    /// For instance `15.18`.
    pub(super) version: String,
}

impl Activity {
    pub(super) fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::healthy()
            .with_fact("version", self.version.as_str())
            .with_fact("role", if self.replica { "replica" } else { "primary" })
            .with(count("database_connections_open", self.open))
            .with(count("database_connections_max", self.max).shown_as("connections.max"));
        if self.max > 0 {
            let percent = self.open as f64 / self.max as f64 * 100.0;
            outcome =
                outcome.with(Figure::gauge("database_connections_used_percent", percent, Unit::Percent));
        }
        if self.hidden > 0 {
            let hint = "active and idle connections of other roles are hidden from this one: \
                        GRANT pg_read_all_stats to it";
            return outcome.with_fact("hint", hint);
        }
        outcome
            .with(count("database_connections_active", self.active).shown_as("connections.active"))
            .with(count("database_connections_idle", self.idle).shown_as("connections.idle"))
            .with(count("database_connections_idle_in_transaction", self.idle_in_transaction))
    }
}

fn count(name: &'static str, value: i64) -> Figure {
    Figure::gauge(name, value as f64, Unit::None)
}

/// Whether the server (a pooler, a relative of PostgreSQL) lacks what the query reads, SQLSTATE class 42.
pub(super) fn is_missing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
    code.is_some_and(|code| code.starts_with("42"))
}

/// The answer of a server that answers queries but not this one.
pub(super) fn no_figures() -> Outcome {
    Outcome::healthy().with_fact("hint", "the server does not tell its connections: no pg_stat_activity")
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
            replica: false,
            version: "15.18".into(),
        }
    }

    fn value(outcome: &Outcome, shown_as: &str) -> Option<f64> {
        outcome.figures.iter().find(|f| f.shown_as == Some(shown_as)).map(|f| f.value)
    }

    #[test]
    fn figures_stand_where_the_documents_show_them() {
        let outcome = activity().outcome();
        assert_eq!(value(&outcome, "connections.active"), Some(5.0));
        assert_eq!(value(&outcome, "connections.idle"), Some(3.0));
        assert_eq!(value(&outcome, "connections.max"), Some(20.0));
        let used = outcome.figures.iter().find(|f| f.name == "database_connections_used_percent").unwrap();
        assert_eq!(used.value, 50.0);
        assert!(outcome.metadata.contains(&("role".into(), "primary".into())));
    }

    #[test]
    fn hidden_sessions_leave_active_and_idle_out_instead_of_undercounting() {
        let outcome = Activity { hidden: 2, ..activity() }.outcome();
        assert_eq!(value(&outcome, "connections.active"), None);
        assert_eq!(value(&outcome, "connections.max"), Some(20.0));
        assert!(outcome.metadata.iter().any(|(k, v)| k == "hint" && v.contains("pg_read_all_stats")));
    }
}
