//! What each error of PostgreSQL is called, and what to do about it. Pure. Decides by SQLSTATE; the server's words,
//! which may be in its language, only refine.

use super::THING;
use crate::address::Address;
use crate::failure::{self, Failure};
use crate::sql::Driver;
use sqlx::postgres::PgDatabaseError;

const DRIVER: Driver = Driver { thing: THING, stranger: "not_postgres", ca: "sslrootcert" };

/// Names an error met while connecting or asking.
pub(super) fn of(error: &sqlx::Error, address: &Address) -> Failure {
    let told = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let named = told.map(|told| {
        let words = Words { said: told.message(), detail: told.detail().unwrap_or_default() };
        sqlstate(told.code(), words, &address.to_string())
    });
    named.or_else(|| DRIVER.failure(error, address)).unwrap_or_else(|| {
        Failure::theirs("unexpected_answer", format!("{address} gave an unexpected answer: {error}"))
    })
}

/// The server's own text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words<'w> {
    /// The message.
    pub(super) said: &'w str,
    /// Its DETAIL, empty without.
    pub(super) detail: &'w str,
}

/// Names an error that the server itself reported.
pub(super) fn sqlstate(code: &str, words: Words<'_>, target: &str) -> Failure {
    let said = failure::said(words.said);
    let (reason, advice): (&'static str, &str) = match code {
        "28P01" | "28000" => ("auth_failed", "check user, password and pg_hba.conf"),
        "3D000" => ("no_such_database", "create it, or correct its name"),
        "42501" => ("permission_denied", "grant the role what it lacks"),
        "53100" => ("disk_full", "free space where its data lies"),
        "53200" => ("out_of_memory", "give it more memory, or let it use less"),
        "53300" => ("too_many_connections", "close connections, use a pooler, or raise max_connections"),
        "55000" => ("database_closed", "allow connections to it with ALTER DATABASE"),
        "57P01" => ("shutting_down", "start it again if that was not meant"),
        "57P02" => ("crash", "its log says why"),
        "57P03" => not_accepting(words),
        "57P05" => ("idle_session_timeout", "raise idle_session_timeout for this role, or leave it out"),
        "57014" => ("query_canceled", "look at statement_timeout and at who cancels"),
        "58030" => ("io_error", "look at its disks"),
        _ => {
            let reason = format!("sqlstate_{}", failure::said(code).to_ascii_lowercase());
            return Failure::theirs(reason, format!("{target} says: {said}; its log says more"));
        }
    };
    Failure::theirs(reason, format!("{target} says: {said}; {advice}"))
}

/// SQLSTATE 57P03 stands for starting, stopping and recovering; only the words tell them apart.
fn not_accepting(words: Words<'_>) -> (&'static str, &'static str) {
    let Words { said, detail } = words;
    if said.contains("starting up") {
        ("starting_up", "wait")
    } else if said.contains("shutting down") {
        ("shutting_down", "start it again if that was not meant")
    } else if said.contains("recovery mode") {
        ("recovery_mode", "it recovers from a crash by itself; its log says why it crashed")
    } else if detail.contains("Hot standby mode is disabled") {
        ("hot_standby_off", "this standby answers nobody: set hot_standby = on, or ask the primary")
    } else if detail.contains("Consistent recovery state") {
        ("recovery_not_consistent", "it replays its log and opens when its data is consistent: wait")
    } else if said.contains("not yet accepting") {
        ("not_yet_accepting", "it replays its log and opens when it can: wait, its log says for what")
    } else {
        ("not_accepting", "it starts, stops or recovers; its log says which")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_its_reason_and_an_advice() {
        let table = [
            ("28P01", "password authentication failed for user \"app\"", "auth_failed"),
            ("28000", "no pg_hba.conf entry for host \"10.0.0.1\"", "auth_failed"),
            ("3D000", "database \"app\" does not exist", "no_such_database"),
            ("53300", "sorry, too many clients already", "too_many_connections"),
            ("57P01", "terminating connection due to administrator command", "shutting_down"),
            ("57P02", "terminating connection because of crash of another server process", "crash"),
            ("57P03", "the database system is starting up", "starting_up"),
            ("55000", "database \"app\" is not currently accepting connections", "database_closed"),
            ("57P03", "the database system is not yet accepting connections", "not_yet_accepting"),
            ("57P03", "the database system is shutting down", "shutting_down"),
            ("57P03", "the database system is in recovery mode", "recovery_mode"),
            ("57P03", "das Datenbanksystem startet", "not_accepting"),
            ("42501", "permission denied for table t", "permission_denied"),
            ("XX000", "internal", "sqlstate_xx000"),
        ];
        for (code, said, reason) in table {
            let failure = sqlstate(code, Words { said, detail: "" }, "db:5432");
            assert_eq!(failure.reason, reason, "{code} {said}");
            assert!(failure.message.contains(said) && failure.message.contains("db:5432"));
        }
    }

    #[test]
    fn a_detail_tells_why_a_standby_is_closed() {
        let table = [
            ("not accepting", "Hot standby mode is disabled.", "hot_standby_off"),
            (
                "not yet accepting",
                "Consistent recovery state has not been yet reached.",
                "recovery_not_consistent",
            ),
            ("not yet accepting", "Recovery snapshot is not yet ready for hot standby.", "not_yet_accepting"),
        ];
        for (words, detail, reason) in table {
            let said = &format!("the database system is {words} connections");
            assert_eq!(sqlstate("57P03", Words { said, detail }, "db:5432").reason, reason);
        }
    }
}
