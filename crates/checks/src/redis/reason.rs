//! What each error of Redis and of its client is called, and what to do about it. Pure.

use super::THING;
use crate::failure::{self, Failure};
use ::redis::{ErrorKind, RedisError};
use std::error::Error;
use std::io;
use std::sync::Arc;

/// Names an error met while connecting or asking.
pub(super) fn of(error: &RedisError, target: &str) -> Failure {
    if let Some(error) = io_error(error) {
        return Failure::io(error, target, THING);
    }
    if let Some(code) = error.code() {
        return code_of(code, error.detail().unwrap_or_default(), target);
    }
    match error.kind() {
        // The client's own word for a connection that ended while it waited.
        ErrorKind::Io => Failure::io(&io::ErrorKind::UnexpectedEof.into(), target, THING),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => not_redis(target),
        _ => Failure::theirs("unexpected_answer", format!("{target} gave an unexpected answer: {error}")),
    }
}

/// What does not speak Redis's protocol.
pub(super) fn not_redis(target: &str) -> Failure {
    Failure::theirs("not_redis", format!("what listens at {target} does not answer as Redis does"))
}

/// Names an error that the server reported: its first word, and the rest. One that only refuses writes leaves it up.
pub(super) fn code_of(code: &str, said: &str, target: &str) -> Failure {
    let (reason, advice) = match code {
        "NOAUTH" => ("auth_required", "give the check a password"),
        "WRONGPASS" => ("auth_failed", "check user and password"),
        "ERR" if said.contains("max number of clients") => {
            ("too_many_connections", "close connections or raise maxclients")
        }
        "ERR" if said.contains("without any password configured") => {
            ("auth_failed", "this server has no password: leave it out, or set requirepass")
        }
        "NOPERM" => ("permission_denied", "allow the user +ping, +info and what the check's keys ask for"),
        "LOADING" => ("loading", "it loads its data: wait"),
        "MASTERDOWN" => (
            "master_down",
            "this replica has lost its primary and must not serve old data: look at the primary",
        ),
        "CLUSTERDOWN" => ("cluster_down", "look at the nodes with CLUSTER INFO"),
        "BUSY" => ("busy_script", "a script blocks it: SCRIPT KILL"),
        "DENIED" => ("protected_mode", "it refuses strangers: set a password or `protected-mode no`"),
        "MISCONF" => ("persistence_failed", "it refuses writes: free disk space, read its log"),
        "READONLY" => ("read_only", "it is a replica: ask the primary, or promote it"),
        "NOREPLICAS" => {
            ("too_few_replicas", "it refuses writes: look at its replicas and min-replicas-to-write")
        }
        "OOM" => ("memory_full", "it refuses writes: raise maxmemory or set an eviction policy"),
        _ => ("server_error", "its log says more"),
    };
    let words = [code, said].join(" ");
    let message = format!("{target} says: {}; {advice}", failure::said(&words));
    if matches!(code, "MISCONF" | "READONLY" | "NOREPLICAS" | "OOM") {
        return Failure::partly(reason, message);
    }
    Failure::theirs(reason, message)
}

/// The state that makes the server refuse a command, when it goes on to answer INFO all the same.
pub(super) fn state_in<T>(
    answer: Result<T, RedisError>,
    target: &str,
) -> Result<Option<Failure>, RedisError> {
    let Err(error) = answer else { return Ok(None) };
    match error.code() {
        Some("LOADING" | "MASTERDOWN" | "MISCONF" | "READONLY" | "NOREPLICAS" | "OOM") => {
            Ok(Some(of(&error, target)))
        }
        _ => Err(error),
    }
}

/// Why it refused a write that was only tried. A part of a cluster that sends us to another part has not refused it.
pub(super) fn refusal_in<T>(
    answer: Result<T, RedisError>,
    target: &str,
) -> Result<Option<Failure>, RedisError> {
    match answer {
        Err(error) if matches!(error.code(), Some("MOVED" | "ASK")) => Ok(None),
        Err(error) if error.code() == Some("NOPERM") => {
            let message = "the user may not try a write: ACL SETUSER … +setrange ~farol:writable";
            Ok(Some(Failure::partly("permission_denied", message)))
        }
        answer => state_in(answer, target),
    }
}

/// The client wraps it so that the chain of sources does not show it as itself.
fn io_error(error: &RedisError) -> Option<&io::Error> {
    let source = error.source()?;
    let wrapped = source.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    wrapped.downcast_ref::<io::Error>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::Status;

    #[test]
    fn each_code_has_its_reason_and_an_advice() {
        let table = [
            ("NOAUTH", "Authentication required.", "auth_required"),
            ("WRONGPASS", "invalid username-password pair or user is disabled.", "auth_failed"),
            ("ERR", "max number of clients reached", "too_many_connections"),
            ("ERR", "AUTH <password> called without any password configured", "auth_failed"),
            ("LOADING", "Redis is loading the dataset in memory", "loading"),
            (
                "MASTERDOWN",
                "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                "master_down",
            ),
            ("MISCONF", "Redis is configured to save RDB snapshots", "persistence_failed"),
            ("READONLY", "You can't write against a read only replica.", "read_only"),
            ("NOREPLICAS", "Not enough good replicas to write.", "too_few_replicas"),
            ("OOM", "command not allowed when used memory > 'maxmemory'.", "memory_full"),
            ("DENIED", "Redis is running in protected mode", "protected_mode"),
            ("ERR", "something new", "server_error"),
        ];
        for (code, said, reason) in table {
            let failure = code_of(code, said, "cache:6379");
            assert_eq!(failure.reason, reason, "{code} {said}");
            assert!(!failure.message.contains(".;"), "{}", failure.message);
            assert!(
                failure.message.contains(said.trim_end_matches('.'))
                    && failure.message.contains("cache:6379")
            );
            let writes_only = ["persistence_failed", "read_only", "too_few_replicas", "memory_full"];
            assert_eq!(failure.status == Status::Degraded, writes_only.contains(&reason));
        }
    }

    #[test]
    fn an_error_of_the_operating_system_is_seen_through_the_clients_wrapping() {
        let error = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(of(&error, "cache:6379").reason, "connection_refused");
    }
}
