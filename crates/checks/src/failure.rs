//! Why something beside us did not answer: a stable code and words a human can act on. Decides only how
//! errors of the operating system and of TLS are named; what a protocol's own errors mean is each kind's.

use farol_health::{Outcome, Status};
use rustls::CertificateError;
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
        // HTTP/2 keeps the words of an error and not its type.
        if error.kind() == ErrorKind::InvalidData && target.starts_with("https:") {
            return Self::tls(error, target);
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
    pub(crate) fn tls(error: &(dyn Error + 'static), target: &str) -> Self {
        let message = match find::<rustls::Error>(error) {
            // Its own words hold the time.
            Some(rustls::Error::InvalidCertificate(wrong)) => certificate(wrong, target).message,
            _ => format!("no trusted TLS with {target} ({error}): check certificate, name and CA"),
        };
        Self::theirs("tls_failed", message)
    }

    /// Names a failure of TLS, with a code of its own for each fault of a certificate.
    pub(crate) fn handshake(error: &rustls::Error, target: &str) -> Self {
        match error {
            rustls::Error::InvalidCertificate(wrong) => certificate(wrong, target),
            other => Self::tls(other, target),
        }
    }
}

/// Names what is wrong with a server's certificate.
pub(crate) fn certificate(wrong: &CertificateError, target: &str) -> Failure {
    let (reason, advice): (&'static str, Cow<'static, str>) = match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("certificate_expired", "has expired: renew it, and let the server read it".into())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("certificate_not_yet_valid", "is not valid yet: compare the clocks of both machines".into())
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ("name_mismatch", "is for other names: ask by a name it holds, or add this one to it".into())
        }
        CertificateError::UnknownIssuer => {
            let advice = "is signed by nobody trusted here: name its authority under `ca`, \
                          or let the server send its intermediate certificates";
            ("untrusted", advice.into())
        }
        CertificateError::BadSignature => {
            let advice = "is not signed by the key that should have signed it: look whether its authority was made \
                          anew under the same name, and give the new one as `ca`";
            ("untrusted", advice.into())
        }
        CertificateError::Revoked => ("certificate_revoked", "is revoked: replace it".into()),
        other => ("certificate_invalid", format!("cannot be used ({}): issue it anew", word(other)).into()),
    };
    Failure::theirs(reason, format!("the certificate of {target} {advice}"))
}

/// The name of the error alone: what stands behind it may hold the time.
fn word(error: &CertificateError) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
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

    #[test]
    fn each_fault_of_a_certificate_has_its_code_and_no_message_holds_the_time() {
        let at =
            |seconds| rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let expired =
            CertificateError::ExpiredContext { time: at(1_700_000_000), not_after: at(1_600_000_000) };
        let early =
            CertificateError::NotValidYetContext { time: at(1_600_000_000), not_before: at(1_700_000_000) };
        for (error, reason) in [
            (CertificateError::Expired, "certificate_expired"),
            (expired, "certificate_expired"),
            (early, "certificate_not_yet_valid"),
            (CertificateError::NotValidForName, "name_mismatch"),
            (CertificateError::UnknownIssuer, "untrusted"),
            (CertificateError::Revoked, "certificate_revoked"),
            (CertificateError::BadSignature, "untrusted"),
            (CertificateError::InvalidPurpose, "certificate_invalid"),
        ] {
            let error = rustls::Error::InvalidCertificate(error);
            let failure = Failure::handshake(&error, "api:443");
            assert_eq!(failure.reason, reason);
            let tls = Failure::tls(&error, "api:443");
            assert_eq!((tls.reason.as_ref(), &tls.message), ("tls_failed", &failure.message));
            assert!(!failure.message.contains("00000"), "{}", failure.message);
        }
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        assert_eq!(Failure::handshake(&alert, "api:443").reason, "tls_failed");
    }
}
