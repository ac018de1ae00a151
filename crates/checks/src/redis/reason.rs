//! What each error of Redis and of its client is called, and what to do about it. Pure.

use super::THING;
use crate::failure::Failure;
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

/// Names an error that the server reported: its first word, and the rest.
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
        "NOPERM" => ("permission_denied", "allow the user +ping and +info"),
        "LOADING" => ("loading", "it loads its data: wait"),
        "MASTERDOWN" => ("replica_link_down", "look at the primary and the network"),
        "CLUSTERDOWN" => ("cluster_down", "look at the nodes with CLUSTER INFO"),
        "BUSY" => ("busy_script", "a script blocks it: SCRIPT KILL"),
        "MISCONF" => ("persistence_failed", "free disk space, read its log"),
        "DENIED" => ("protected_mode", "it refuses strangers: set a password or `protected-mode no`"),
        "OOM" => ("memory_full", "raise maxmemory or set an eviction policy"),
        _ => ("server_error", "its log says more"),
    };
    let words = [code, said].join(" ");
    Failure::theirs(reason, format!("{target} says: {}; {advice}", words.trim_end().trim_end_matches('.')))
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

    #[test]
    fn each_code_has_its_reason_and_an_advice() {
        let table = [
            ("NOAUTH", "Authentication required.", "auth_required"),
            ("WRONGPASS", "invalid username-password pair or user is disabled.", "auth_failed"),
            ("ERR", "max number of clients reached", "too_many_connections"),
            ("ERR", "AUTH <password> called without any password configured", "auth_failed"),
            ("LOADING", "Redis is loading the dataset in memory", "loading"),
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
        }
    }

    #[test]
    fn an_error_of_the_operating_system_is_seen_through_the_clients_wrapping() {
        let error = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(of(&error, "cache:6379").reason, "connection_refused");
    }
}
