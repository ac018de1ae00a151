//! What each error of the HTTP client is called, and what to do about it. Pure.

use crate::failure::{Failure, find};
use std::error::Error;
use std::io;

/// Names an error met while asking `target`.
pub(super) fn of(error: &reqwest::Error, target: &str) -> Failure {
    if speaks_no_tls(error) {
        let message = format!("{target} answers without TLS: if it speaks plain HTTP, write `http://`");
        return Failure::theirs("tls_failed", message);
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return Failure::tls(tls, target);
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

/// Whether an `https` address failed because who listens there speaks no TLS, as a plain web server.
#[must_use]
pub fn speaks_no_tls(error: &reqwest::Error) -> bool {
    use rustls::{Error, InvalidMessage};
    matches!(find(error), Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)))
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
