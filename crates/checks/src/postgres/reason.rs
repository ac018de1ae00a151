//! What each error of PostgreSQL and of its driver is called, and what to do about it. Pure.

use super::THING;
use crate::address::Address;
use crate::failure::Failure;
use crate::failure::find;
use std::io;

/// Names an error met while connecting or asking.
pub(super) fn of(error: &sqlx::Error, address: &Address) -> Failure {
    let target = &address.to_string();
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            sqlstate(&code, database.message(), target)
        }
        // No TCP connection misses a file: the settings name one, such as `sslrootcert`.
        sqlx::Error::Io(error)
            if error.kind() == io::ErrorKind::NotFound && matches!(address, Address::Tcp(..)) =>
        {
            let message =
                format!("a file that the settings for {target} name is missing: look at sslrootcert");
            Failure::ours("bad_settings", message)
        }
        sqlx::Error::Io(error) => Failure::io(error, target, THING),
        sqlx::Error::Tls(error) => match find::<io::Error>(error.as_ref()) {
            Some(file) => Failure::tls(file, target),
            None => Failure::tls(error.as_ref(), target),
        },
        sqlx::Error::Configuration(error) => {
            Failure::ours("bad_settings", format!("the settings for {target} do not work: {error}"))
        }
        sqlx::Error::Protocol(text) => {
            let message = format!("what listens at {target} does not answer as PostgreSQL does: {text}");
            Failure::theirs("not_postgres", message)
        }
        other => Failure::theirs("unexpected_answer", format!("{target} gave an unexpected answer: {other}")),
    }
}

/// Names an error that the server itself reported. `said` is its own text, which may be in its language.
pub(super) fn sqlstate(code: &str, said: &str, target: &str) -> Failure {
    let (reason, advice): (&'static str, &str) = match code {
        "28P01" | "28000" => ("auth_failed", "check user, password and pg_hba.conf"),
        "3D000" => ("no_such_database", "create it, or correct its name"),
        "42501" => ("permission_denied", "grant the role what it lacks"),
        "53100" => ("disk_full", "free space where its data lies"),
        "53200" => ("out_of_memory", "give it more memory, or let it use less"),
        "53300" => ("too_many_connections", "close connections, use a pooler, or raise max_connections"),
        "57P01" => ("shutting_down", "start it again if that was not meant"),
        "57P02" => ("crash", "its log says why"),
        "57P03" => return not_accepting(said, target),
        "57014" => ("query_canceled", "look at statement_timeout and at who cancels"),
        "58030" => ("io_error", "look at its disks"),
        _ => {
            let reason = format!("sqlstate_{}", code.to_ascii_lowercase());
            return Failure::theirs(reason, format!("{target} says: {said}; its log says more"));
        }
    };
    Failure::theirs(reason, format!("{target} says: {said}; {advice}"))
}

/// SQLSTATE 57P03 stands for starting, stopping and recovering; only the words tell them apart.
fn not_accepting(said: &str, target: &str) -> Failure {
    let (reason, advice) = if said.contains("starting up") || said.contains("not yet accepting") {
        ("starting_up", "wait")
    } else if said.contains("shutting down") {
        ("shutting_down", "start it again if that was not meant")
    } else if said.contains("recovery mode") {
        ("crash", "it recovers by itself; its log says why it crashed")
    } else {
        ("not_accepting", "its log says why")
    };
    Failure::theirs(reason, format!("{target} says: {said}; {advice}"))
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
            ("57P03", "the database system is not yet accepting connections", "starting_up"),
            ("57P03", "the database system is shutting down", "shutting_down"),
            ("57P03", "the database system is in recovery mode", "crash"),
            ("57P03", "das Datenbanksystem startet", "not_accepting"),
            ("42501", "permission denied for table t", "permission_denied"),
            ("XX000", "internal", "sqlstate_xx000"),
        ];
        for (code, said, reason) in table {
            let failure = sqlstate(code, said, "db:5432");
            assert_eq!(failure.reason, reason, "{code} {said}");
            assert!(failure.message.contains(said) && failure.message.contains("db:5432"));
        }
    }

    #[test]
    fn another_protocol_at_the_port_is_named() {
        let error = sqlx::Error::Protocol("unexpected response from SSLRequest: 0x48".into());
        assert_eq!(of(&error, &Address::Tcp("db".into(), 80)).reason, "not_postgres");
    }
}
