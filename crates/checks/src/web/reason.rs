//! What each error of the HTTP client is called, and what to do about it. Pure.

use crate::failure::{Failure, find};
use std::error::Error;
use std::io;

/// Names an error met while asking `target`.
pub(super) fn of(error: &reqwest::Error, target: &str) -> Failure {
    if let Some(tls) = find::<rustls::Error>(error) {
        return Failure::handshake(tls, target);
    }
    if let Some(error) = find::<io::Error>(error) {
        return Failure::io(error, target, "its server");
    }
    if error.is_timeout() {
        return Failure::io(&io::ErrorKind::TimedOut.into(), target, "its server");
    }
    let root = root(error);
    if root.contains("connection closed") || root.contains("end of file") {
        return Failure::io(&io::ErrorKind::UnexpectedEof.into(), target, "its server");
    }
    Failure::theirs("protocol_error", format!("{target} does not answer as a web server does: {root}"))
}

/// The words of the innermost cause, which never holds the URL.
pub(super) fn root(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn Error> = error.source();
    let mut words = "it could not be sent".to_owned();
    while let Some(inner) = cause {
        words = inner.to_string();
        cause = inner.source();
    }
    words
}
