//! What each error of MySQL and MariaDB is called, and what to do about it. Pure. Decides by the error's number.

use super::THING;
use crate::address::Address;
use crate::failure::{self, Failure};
use crate::sql::Driver;
use farol_health::Outcome;
use sqlx::mysql::MySqlDatabaseError;

const DRIVER: Driver = Driver { thing: THING, stranger: "not_mysql", ca: "ssl-ca" };

/// The server's own number of an error.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    Some(told(error)?.number())
}

fn told(error: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Names an error met while connecting or asking.
pub(super) fn of(error: &sqlx::Error, address: &Address) -> Failure {
    let target = &address.to_string();
    if let Some(told) = told(error) {
        return numbered(told.number(), told.message(), target);
    }
    match error {
        // The driver without RSA can hide a password by TLS only.
        sqlx::Error::Configuration(text) if text.to_string().contains("RSA") => {
            let message = format!(
                "{target} wants the password encrypted: let it speak TLS, or use another authentication plugin"
            );
            return Failure::ours("tls_required", message);
        }
        sqlx::Error::Protocol(text) if text.contains("authentication plugin") => {
            let message = format!(
                "{target} wants a log-in that is not known here ({text}): give the user another plugin"
            );
            return Failure::ours("auth_unsupported", message);
        }
        _ => {}
    }
    DRIVER.failure(error, address).unwrap_or_else(|| {
        Failure::theirs("unexpected_answer", format!("{target} gave an unexpected answer: {error}"))
    })
}

/// Names an error that the server itself reported. `said` is its own text, which may be in its language.
fn numbered(number: u16, said: &str, target: &str) -> Failure {
    let said = failure::said(said);
    let (reason, advice) = match number {
        1040 => ("too_many_connections", "close connections, or raise max_connections"),
        1203 | 1226 => ("too_many_connections", "close connections of this user, or raise its limit"),
        1045 | 1698 => ("auth_failed", "check user and password"),
        1130 => ("host_not_allowed", "create the user for this host, too"),
        1129 => ("host_blocked", "look at who breaks off log-ins, then FLUSH HOSTS"),
        1044 | 1142 | 1227 => {
            ("permission_denied", "grant the user what it lacks, or correct the database's name")
        }
        1049 => ("no_such_database", "create it, or correct its name"),
        1021 | 1030 => ("disk_full", "look at the disks where its data lies"),
        1037 | 1038 | 1041 => ("out_of_memory", "give it more memory, or let it use less"),
        1053 | 1079 | 1080 => ("shutting_down", "start it again if that was not meant"),
        1251 | 1524 => ("auth_unsupported", "give the user another authentication plugin"),
        1820 | 1862 => ("password_expired", "give the user a new password"),
        1927 => ("connection_killed", "look at who kills connections"),
        1969 | 3024 | 1317 => ("query_canceled", "look at its time limits and at who cancels"),
        3118 | 4151 => ("account_locked", "unlock the user with ALTER USER"),
        3159 => ("tls_required", "ask for TLS with ?ssl-mode=REQUIRED"),
        _ => {
            return Failure::theirs(
                format!("error_{number}"),
                format!("{target} says: {said}; its log says more"),
            );
        }
    };
    Failure::theirs(reason, format!("{target} says: {said}; {advice}"))
}

/// What was said to a stranger: that it is not let in is an answer.
pub(super) fn of_stranger(error: &sqlx::Error, address: &Address) -> Outcome {
    let failure = of(error, address);
    match failure.reason.as_ref() {
        "auth_failed" | "auth_unsupported" | "host_not_allowed" | "permission_denied" | "tls_required" => {
            accepts()
        }
        _ => failure.outcome(),
    }
}

/// The answer of a server that was asked for no more.
pub(super) fn accepts() -> Outcome {
    let mut outcome = Outcome::healthy();
    outcome.message =
        "accepts connections; give the check a `url` with a user for queries and figures".into();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_reason_and_an_advice() {
        let table = [
            (1040, "Too many connections", "too_many_connections"),
            (1203, "User app already has more than 'max_user_connections'", "too_many_connections"),
            (1045, "Access denied for user 'app'@'h' (using password: YES)", "auth_failed"),
            (1698, "Access denied for user 'root'@'localhost'", "auth_failed"),
            (1049, "Unknown database 'app'", "no_such_database"),
            (1044, "Access denied for user 'app'@'%' to database 'x'", "permission_denied"),
            (1129, "Host 'h' is blocked because of many connection errors", "host_blocked"),
            (1130, "Host 'h' is not allowed to connect", "host_not_allowed"),
            (1053, "Server shutdown in progress", "shutting_down"),
            (4151, "Access denied, this account is locked", "account_locked"),
            (9999, "etwas Neues", "error_9999"),
        ];
        for (number, said, reason) in table {
            let failure = numbered(number, said, "db:3306");
            assert_eq!(failure.reason, reason, "{number} {said}");
            assert!(failure.message.contains(said) && failure.message.contains("db:3306"));
        }
    }

    #[test]
    fn what_this_process_cannot_do_is_not_the_servers_fault() {
        let address = Address::Tcp("db".into(), 3306);
        let rsa = sqlx::Error::Configuration("RSA auth backend disabled".into());
        let plugin = sqlx::Error::Protocol("unknown authentication plugin: client_ed25519".into());
        for (error, reason) in [(rsa, "tls_required"), (plugin, "auth_unsupported")] {
            let outcome = of(&error, &address).outcome();
            assert_eq!((outcome.reason.as_ref(), outcome.status), (reason, farol_health::Status::Unknown));
            assert_eq!(of_stranger(&error, &address).reason, "ok");
        }
        let other = sqlx::Error::Protocol("expected 10".into());
        assert_eq!(of_stranger(&other, &address).reason, "not_mysql");
    }
}
