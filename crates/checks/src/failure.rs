//! Why something beside us did not answer: a stable code and words a human can act on. Decides only how
//! errors of the operating system and of TLS are named; what a protocol's own errors mean is each kind's.

use farol_health::{Outcome, Status};
use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind};

/// What went wrong. Becomes an [`Outcome`] in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Stable code in snake case.
    pub(crate) reason: Cow<'static, str>,
    /// What a human should know and do.
    pub(crate) message: String,
    /// What it means for the component. Unknown when the cause lies in this process (no free file descriptor) or its
    /// settings: then nothing is known of the other side.
    pub(crate) status: Status,
}

impl Failure {
    /// A failure of the other side.
    pub(crate) fn theirs(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), status: Status::Unhealthy }
    }

    /// A failure of this process or of its settings.
    pub(crate) fn ours(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), status: Status::Unknown }
    }

    /// The other side works, but not in full.
    pub(crate) fn partly(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: Status::Degraded, ..Self::theirs(reason, message) }
    }

    /// As the answer of a run.
    pub(crate) fn outcome(self) -> Outcome {
        Outcome::new(self.status, self.reason, self.message)
    }

    /// As the answer of a run that has learned this much all the same.
    pub(crate) fn over(self, outcome: Outcome) -> Outcome {
        Outcome { status: self.status, reason: self.reason, message: self.message, ..outcome }
    }

    /// Names an error of the operating system met on the way to `target`, where `thing` should listen.
    pub(crate) fn io(error: &io::Error, target: &str, thing: &str) -> Self {
        if is_ours(error) {
            let message = format!("this process cannot open a connection ({error}): raise its limits");
            return Self::ours("local_limit", message);
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::tls(tls, target);
        }
        if error.to_string().contains("failed to lookup address information") {
            let message = format!("the name in {target} does not resolve: correct it, or look at the DNS");
            return Self::theirs("dns_failure", message);
        }
        let (reason, what) = match error.kind() {
            ErrorKind::ConnectionRefused => {
                ("connection_refused", format!("refuses connections: start {thing}, or correct the address"))
            }
            ErrorKind::TimedOut => {
                ("timeout", "does not answer: look at the host, the network and the firewall".to_owned())
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                ("unreachable", "cannot be reached: look at routes and firewall".to_owned())
            }
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof => {
                ("connection_closed", format!("closed the connection: {thing}'s log says why"))
            }
            ErrorKind::NotFound => ("socket_missing", format!("does not exist: start {thing}")),
            ErrorKind::PermissionDenied => {
                ("permission_denied", "may not be opened by this user: change its permissions".to_owned())
            }
            ErrorKind::InvalidData => ("protocol_error", format!("does not speak as {thing} does")),
            _ => ("io_error", format!("fails: {error}")),
        };
        Self::theirs(reason, format!("{target} {what}"))
    }

    /// Names a failure of TLS.
    pub(crate) fn tls(error: &dyn Error, target: &str) -> Self {
        let message = format!("no trusted TLS with {target} ({error}): check certificate, name and CA");
        Self::theirs("tls_failed", message)
    }
}

/// What the other side said, fit for a message: its first line, at most so long, without the full stop.
pub(crate) fn said(text: &str) -> String {
    const MAX: usize = 200;
    let line = text.trim().lines().next().unwrap_or_default().trim_end_matches('.');
    let mut said: String = line.chars().take(MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().nth(MAX).is_some() {
        said.push('…');
    }
    said
}

/// Whether this process, not the other side, ran out of something.
fn is_ours(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let Some(code) = error.raw_os_error() else { return false };
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].iter().any(|e| e.raw_os_error() == code)
}

/// The first error of type `E` in the chain; looks inside [`io::Error`] too, whose `source` skips its content.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_own_code() {
        let table = [
            (ErrorKind::ConnectionRefused, "connection_refused"),
            (ErrorKind::TimedOut, "timeout"),
            (ErrorKind::HostUnreachable, "unreachable"),
            (ErrorKind::ConnectionReset, "connection_closed"),
            (ErrorKind::UnexpectedEof, "connection_closed"),
            (ErrorKind::NotFound, "socket_missing"),
            (ErrorKind::PermissionDenied, "permission_denied"),
            (ErrorKind::InvalidData, "protocol_error"),
            (ErrorKind::Other, "io_error"),
        ];
        for (kind, reason) in table {
            let failure = Failure::io(&io::Error::from(kind), "db:5432", "PostgreSQL");
            assert_eq!(failure.reason, reason);
            assert!(failure.message.contains("db:5432"), "{}", failure.message);
            assert_eq!(failure.status, Status::Unhealthy);
        }
    }

    #[test]
    fn a_full_descriptor_table_says_nothing_about_the_other_side() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        let outcome = Failure::io(&full, "db:5432", "PostgreSQL").outcome();
        assert_eq!(outcome.status, Status::Unknown);
        assert_eq!(outcome.reason, "local_limit");
    }

    #[test]
    fn what_the_other_side_says_is_one_short_line() {
        assert_eq!(said(" sorry\u{7}, no.\r\nmore"), "sorry , no");
        assert_eq!(said(&"ä".repeat(1_000)).chars().count(), 201);
    }

    #[test]
    fn a_tls_error_wrapped_in_an_io_error_is_found() {
        let alert = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = io::Error::new(ErrorKind::InvalidData, alert);
        assert_eq!(Failure::io(&wrapped, "db:5432", "PostgreSQL").reason, "tls_failed");
    }
}
