//! What a presented chain is worth now, and until when. The end is that of the whole chain: the first moment at
//! which a client that verifies it would refuse it, be it for an intermediate's sake. Pure.

use crate::certificate::{Facts, Lifetime};
use crate::failure;
use farol_health::Outcome;
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use std::time::Duration;

/// What was presented, and who judges it.
pub(super) struct Chain<'c> {
    pub(super) verifier: &'c WebPkiServerVerifier,
    /// The server's own first.
    pub(super) certificates: &'c [CertificateDer<'static>],
    pub(super) name: &'c ServerName<'static>,
}

/// What was found.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// The server's own certificate; `None` when it cannot be read.
    pub(super) leaf: Option<Facts>,
    /// The last second in which the chain is good, unix time.
    pub(super) expires: Option<i64>,
}

impl Chain<'_> {
    pub(super) fn judge(&self, lifetime: &Lifetime, now: Timestamp, target: &str) -> Judged {
        let facts: Vec<Facts> = self.certificates.iter().filter_map(|der| Facts::of(der)).collect();
        let leaf = self.certificates.first().and_then(|der| Facts::of(der));
        let verified = self.verify(now.as_second());
        let expires = match &verified {
            Ok(()) => self.end(&facts),
            Err(_) => leaf.as_ref().map(|leaf| leaf.not_after),
        };
        let outcome = match verified {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
                if leaf.as_ref().is_some_and(Facts::is_self_signed) =>
            {
                let message = format!(
                    "the certificate of {target} is self-signed, and nobody here trusts it: name it under `ca`, \
                     or have it signed"
                );
                Outcome::unhealthy("self_signed", message)
            }
            Err(Error::InvalidCertificate(wrong)) => failure::certificate(&wrong, target).outcome(),
            Err(other) => failure::Failure::tls(&other, target).outcome(),
            Ok(()) => expires
                .and_then(|expires| lifetime.judge(expires, now, target))
                .unwrap_or_else(Outcome::healthy),
        };
        Judged { outcome, leaf, expires }
    }

    /// The earliest end of a certificate without which the chain is worth nothing. One that is only sent along
    /// (an old cross-signed one, a root) does not count.
    fn end(&self, facts: &[Facts]) -> Option<i64> {
        let mut ends: Vec<i64> = facts.iter().map(|facts| facts.not_after).collect();
        ends.sort_unstable();
        ends.into_iter().find(|end| self.verify(end.saturating_add(1)).is_err())
    }

    fn verify(&self, at: i64) -> Result<(), Error> {
        let Some((leaf, intermediates)) = self.certificates.split_first() else {
            return Err(Error::NoCertificatesPresented);
        };
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
        self.verifier.verify_server_cert(leaf, intermediates, self.name, &[], at).map(drop)
    }
}

#[cfg(test)]
mod tests;
