//! Lets a handshake go on whatever certificate is presented, and keeps what was. It decides nothing about trust:
//! no connection made so carries data. That the server holds the certificate's key is still verified.

use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// No more certificates of a chain are looked at; real ones have up to five.
const MAX_CHAIN: usize = 16;

/// Keeps the chain of one handshake.
#[derive(Debug)]
pub(super) struct Presented {
    /// Verifies signatures.
    inner: Arc<WebPkiServerVerifier>,
    /// Empty until the server has shown it.
    chain: Mutex<Option<Vec<CertificateDer<'static>>>>,
}

impl Presented {
    pub(super) fn new(inner: Arc<WebPkiServerVerifier>) -> Self {
        Self { inner, chain: Mutex::new(None) }
    }

    /// The certificates in the order of the server, its own first.
    pub(super) fn chain(&self) -> Option<Vec<CertificateDer<'static>>> {
        self.chain.lock().take()
    }
}

impl ServerCertVerifier for Presented {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).take(MAX_CHAIN);
        *self.chain.lock() = Some(chain.map(|certificate| certificate.clone().into_owned()).collect());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proven(self.inner.verify_tls12_signature(message, certificate, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proven(self.inner.verify_tls13_signature(message, certificate, signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl Presented {
    /// A certificate whose key the server does not hold was not presented by its owner.
    fn proven(
        &self,
        verified: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        verified.inspect_err(|_| *self.chain.lock() = None)
    }
}
