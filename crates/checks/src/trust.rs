//! Whose certificates are trusted, and who we are: the keys `ca`, `cert` and `key` of the kinds that speak TLS.
//! The files are read with the configuration, so a reload takes new ones.

use farol_config::Map;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

/// The largest file of certificates.
const MAX_FILE: u64 = 4 << 20;

/// The authorities that are trusted, and our own certificate for servers that ask for one.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Trust {
    /// PEM; without one the machine's own authorities.
    ca: Option<Vec<u8>>,
    /// PEM of certificate chain and key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Trust {
    /// Trusts these authorities (PEM) instead of the machine's.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Presents this certificate chain (PEM) with its key.
    #[must_use]
    pub fn identity(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((chain.into(), key.into()));
        self
    }

    /// Our own certificate chain and key, PEM.
    pub(crate) fn own(&self) -> Option<&(Vec<u8>, Vec<u8>)> {
        self.identity.as_ref()
    }

    /// A number of all of it, to tell a change.
    pub(crate) fn text(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish().to_string()
    }

    /// A configuration that offers these protocols.
    pub(crate) fn client(&self, protocols: &[&[u8]]) -> Result<ClientConfig, String> {
        let roots = self.roots()?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS can be spoken here: {error}"))?
            .with_root_certificates(roots);
        let mut config = match self.pair()? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("`cert` and `key` cannot be used together: {error}"))?,
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    /// The judge of a server's chain.
    pub(crate) fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, String> {
        WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider())
            .build()
            .map_err(|error| format!("the authorities cannot be used: {error}"))
    }

    /// Our own certificate chain and key, read.
    pub(crate) fn pair(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, String> {
        let Some((chain, key)) = &self.identity else { return Ok(None) };
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| "`key` holds no unencrypted private key in PEM form")?;
        Ok(Some((certificates("cert", chain)?, key)))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(pem) => {
                for certificate in certificates("ca", pem)? {
                    let added = roots.add(certificate);
                    added.map_err(|_| "`ca` holds a certificate that cannot be used as an authority")?;
                }
            }
            None => {
                // Machines carry a few that nobody can read; what counts is that some are left.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err("this machine trusts no certificate authority; install its package of them \
                                (`ca-certificates`), or name one under `ca`"
                        .into());
                }
            }
        }
        Ok(roots)
    }
}

impl fmt::Debug for Trust {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ca, identity) = (self.ca.is_some(), self.identity.is_some());
        f.debug_struct("Trust").field("ca", &ca).field("identity", &identity).finish()
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("`{key}` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")),
    }
}

/// Reads the keys. After a problem what comes back is never used.
pub(crate) fn read(m: &mut Map<'_>) -> Trust {
    let mut trust = Trust::default();
    if let Some(ca) = file(m, "ca") {
        trust = trust.ca(ca);
    }
    let (cert, key) = (file(m, "cert"), file(m, "key"));
    match (m.has("cert"), m.has("key")) {
        (true, false) => m.problem("cert", "has no `key`; name the file of its private key"),
        (false, true) => m.problem("key", "has no `cert`; name the file of its certificate chain"),
        _ => {}
    }
    match cert.zip(key) {
        Some((cert, key)) => trust.identity(cert, key),
        None => trust,
    }
}

fn file(m: &mut Map<'_>, key: &str) -> Option<Vec<u8>> {
    let path = m.path(key).optional()?;
    match bytes(&path) {
        Ok(bytes) => Some(bytes),
        Err(message) => {
            m.problem(key, format!("the file `{}` {message}", path.display()));
            None
        }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("is larger than {} MiB; is it the right one?", MAX_FILE >> 20));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_no_pair_is_told_by_its_key() {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["b.test".to_owned()]).unwrap();
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let fine = Trust::default().ca(cert.clone()).identity(cert.clone(), key.clone());
        assert!(fine.client(&[b"h2"]).is_ok_and(|config| config.alpn_protocols == [b"h2".to_vec()]));
        assert!(fine.verifier().is_ok());
        for (trust, expected) in [
            (Trust::default().ca(key.clone()), "`ca` holds no certificate"),
            (Trust::default().ca(cert.clone()).identity(cert.clone(), cert.clone()), "`key` holds no"),
            (Trust::default().ca(cert.clone()).identity("", key), "`cert` holds no"),
            (
                Trust::default().ca(cert.clone()).identity(cert, other.signing_key.serialize_pem()),
                "cannot be used together",
            ),
        ] {
            let message = trust.client(&[]).err().unwrap();
            assert!(message.contains(expected), "{message}");
        }
    }
}
