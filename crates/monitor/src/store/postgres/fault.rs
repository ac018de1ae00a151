//! What an error of PostgreSQL means: it may work later, or never again. Pure. Decides by SQLSTATE; nothing about what
//! is then done. No message holds a password: none is in an error, and the place is told without.

use crate::store::StoreError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// An error while the store is in use.
pub(super) fn judge(place: &str, error: &sqlx::Error) -> StoreError {
    match told(error) {
        Some(told) => judge_code(place, told.code(), told.message()),
        None => match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                StoreError::Fatal(damaged(place, &error.to_string()))
            }
            sqlx::Error::PoolTimedOut => StoreError::Refused(format!(
                "{place} gave no connection in time; look whether it answers, or raise `connections`"
            )),
            error if is_tls(error) => StoreError::Refused(format!(
                "{place}: the way cannot be encrypted as `tls` demands: {error}; check `mode` and `ca`, and the \
                 server's certificate"
            )),
            sqlx::Error::Io(error) => StoreError::Refused(format!("{place} cannot be reached: {error}")),
            other => StoreError::Refused(format!("{place}: {other}")),
        },
    }
}

/// An error at open: what no waiting will mend is fatal too.
pub(super) fn judge_opening(place: &str, error: &sqlx::Error) -> StoreError {
    let judged = judge(place, error);
    let StoreError::Refused(why) = judged else { return judged };
    let hopeless = match told(error) {
        Some(told) => matches!(told.code(), "28P01" | "28000" | "42501" | "3F000" | "0A000"),
        None => matches!(error, sqlx::Error::Configuration(_)) || is_tls(error),
    };
    if hopeless { StoreError::Fatal(why) } else { StoreError::Refused(why) }
}

/// An error in a migration: it was rolled back with all others.
pub(super) fn of_migration(place: &str, name: &str, error: &sqlx::Error) -> StoreError {
    let judged = judge_opening(place, error);
    let words = format!("the migration {name} failed and nothing was changed: {judged}");
    // One that fails by what it says fails each time.
    match (judged, told(error)) {
        (StoreError::Refused(_), Some(told)) if !may_pass(told.code()) => StoreError::Fatal(words),
        (StoreError::Refused(_), _) => StoreError::Refused(words),
        _ => StoreError::Fatal(words),
    }
}

/// Whether the connection is gone, or will be at the next word: nobody knows then what became of a commit.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match told(error) {
        Some(told) => matches!(told.severity(), PgSeverity::Fatal | PgSeverity::Panic),
        // The store's row was not ours: said by the server, nothing else wrong.
        None => !matches!(error, sqlx::Error::RowNotFound),
    }
}

/// Whether another session may do what this one cannot: what a role or a database is set to holds from a session's
/// beginning, and a server that was a replica then may be the primary now.
pub(super) fn is_of_the_session(error: &sqlx::Error) -> bool {
    told(error).is_some_and(|told| told.code() == "25006")
}

/// The connection broke, and the server may well give another; one that did not answer in time would not.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    let late = matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut);
    is_lost(error) && !late
}

/// The two sides do not agree on the encryption. What is wrong with a certificate comes as data that is not valid.
fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn told(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref())
}

/// The same for a SQLSTATE and the server's words.
fn judge_code(place: &str, code: &str, words: &str) -> StoreError {
    let refused = |advice: &str| StoreError::Refused(format!("{place}: {words} ({code}); {advice}"));
    match code {
        "XX001" | "XX002" => StoreError::Fatal(damaged(place, &format!("{words} ({code})"))),
        "28P01" | "28000" => refused("check `user`, `password` and the server's pg_hba.conf"),
        "3D000" => refused("create the database, or correct `name`"),
        "42501" => refused(
            "the user must own the schema `farol`, or be allowed to make it: GRANT CREATE ON DATABASE … TO …",
        ),
        "3F000" | "42P01" | "42703" => {
            refused("somebody changed the schema `farol`; restore it, or give Farol an empty database")
        }
        "25006" => {
            refused("it is read-only: a replica, or default_transaction_read_only is on; name the primary")
        }
        "53300" => refused("close connections, raise max_connections, or lower `connections`"),
        "53100" => refused("free some space where its data lies"),
        "57014" => refused("it took longer than `timeout`; look at the server's load and disk"),
        "55P03" => refused("somebody holds a lock on the tables of `farol`"),
        "57P01" | "57P02" | "57P03" => refused("it starts, stops or was told to end the connection"),
        _ => refused("its log says more"),
    }
}

/// What may be over at the next try.
fn may_pass(code: &str) -> bool {
    let passing = ["08", "40", "53", "55", "57", "58"];
    passing.iter().any(|class| code.starts_with(class)) || code == "25006"
}

/// Says that the database is damaged, and what to do.
pub(super) fn damaged(place: &str, what: &str) -> String {
    format!(
        "the store in {place} is damaged: {what}. Restore a copy of the schema `farol`, or drop it, then start Farol \
         again; without it a new store begins"
    )
}

#[cfg(test)]
mod tests {
    use super::{judge, judge_code, judge_opening, may_pass};
    use crate::store::StoreError;

    #[test]
    fn each_sqlstate_is_judged_and_says_what_to_do() {
        for (code, is_fatal, words) in [
            ("57P01", false, "told to end the connection"),
            ("57P02", false, "starts, stops"),
            ("57P03", false, "starts, stops"),
            ("57014", false, "longer than `timeout`"),
            ("53300", false, "max_connections"),
            ("53100", false, "free some space"),
            ("53200", false, "its log says more"),
            ("55006", false, "its log says more"),
            ("55P03", false, "holds a lock"),
            ("25006", false, "read-only"),
            ("40001", false, "its log says more"),
            ("40P01", false, "its log says more"),
            ("28P01", false, "`password`"),
            ("3D000", false, "create the database"),
            ("42501", false, "GRANT CREATE"),
            ("XX001", true, "damaged"),
            ("XX002", true, "damaged"),
        ] {
            let judged = judge_code("db:5432/farol", code, "words of the server");
            assert_eq!(matches!(judged, StoreError::Fatal(_)), is_fatal, "{code}: {judged}");
            let text = judged.to_string();
            for part in [words, "words of the server", "db:5432/farol", code] {
                assert!(text.contains(part), "{code}: {part} is not in {text}");
            }
        }
    }

    #[test]
    fn a_network_that_fails_may_mend_and_settings_that_are_wrong_do_not() {
        let io = || sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert!(matches!(judge("db", &io()), StoreError::Refused(_)));
        assert!(matches!(judge_opening("db", &io()), StoreError::Refused(_)));
        let tls = || sqlx::Error::Tls("unknown issuer".into());
        assert!(matches!(judge("db", &tls()), StoreError::Refused(_)));
        assert!(matches!(judge_opening("db", &tls()), StoreError::Fatal(_)));
    }

    #[test]
    fn what_a_migration_says_wrong_does_not_pass() {
        for code in ["40001", "57014", "53100", "25006", "08006", "55P03", "58030"] {
            assert!(may_pass(code), "{code}");
        }
        for code in ["42601", "42P07", "P0001", "23505", "42501"] {
            assert!(!may_pass(code), "{code}");
        }
    }
}
