//! Certificates of our own authority, and a TLS server that presents what a test gives it.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// An authority that signs what a test needs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate with its key.
pub struct Pair {
    /// The server's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The same as text.
    pub pem: String,
    /// Its key, as text.
    pub key: String,
    key_der: Vec<u8>,
}

/// How long a certificate is valid, in days from now; from may lie in the past.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    /// The first.
    pub from: i64,
    /// The last.
    pub until: i64,
}

impl Default for Days {
    fn default() -> Self {
        Self { from: -1, until: 90 }
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// No key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Farol's tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Its certificate as PEM, for those who trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for these names and addresses.
    ///
    /// # Errors
    /// A name is none.
    pub fn sign(&self, names: &[&str], days: Days) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let certificate = params(names, days)?.signed_by(&key, &self.issuer)?;
        Ok(Pair::new(&certificate, &key))
    }
}

/// A certificate that has signed itself.
///
/// # Errors
/// A name is none.
pub fn self_signed(names: &[&str]) -> Result<Pair> {
    let key = KeyPair::generate()?;
    let certificate = params(names, Days::default())?.self_signed(&key)?;
    Ok(Pair::new(&certificate, &key))
}

fn params(names: &[&str], days: Days) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "a test");
    // rcgen speaks in the days of a calendar; the first of its own epoch is as good as any.
    let epoch = date_time_ymd(1970, 1, 1);
    let now = jiff::Timestamp::now().as_second();
    let at = |days: i64| epoch + std::time::Duration::from_secs((now + days * 86_400).unsigned_abs());
    (params.not_before, params.not_after) = (at(days.from), at(days.until));
    Ok(params)
}

impl Pair {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key: key.serialize_pem(),
            key_der: key.serialize_der(),
        }
    }

    /// What a server presents; with an authority it asks its clients for a certificate of theirs.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn server(&self, clients: Option<&Authority>, protocols: &[&[u8]]) -> Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.certificate.der().clone())?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let mut config = builder.with_single_cert(self.chain.clone(), key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}
