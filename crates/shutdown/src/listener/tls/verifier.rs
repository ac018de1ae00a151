//! Verifies client certificates: first the chain, as webpki does, then that the leaf carries exactly one
//! URI. Both inside the handshake, so that a refused client is told by an alert and no handler ever runs.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::TlsError;
use crate::listener::TlsIdentity;

/// Longest URI taken as an identity.
const LONGEST: usize = 2048;

/// A client certificate that does not say who the client is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// It carries no URI, or more than one.
    #[error(
        "the client certificate carries {0} URIs in its subject alternative names; issue it with exactly one"
    )]
    NotOne(usize),
    /// The URI is empty, too long, or holds characters that a URI cannot hold.
    #[error("the URI in the client certificate is not a URI")]
    NotUri,
}

/// The identity in a certificate: the only URI among its subject alternative names.
///
/// # Errors
/// When there is not exactly one, or it is not a URI.
pub fn identity_of(certificate: &CertificateDer<'_>) -> Result<TlsIdentity, IdentityError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| IdentityError::Unreadable)?;
    let names = parsed.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.count()) {
        (Some(uri), 0) if is_uri(uri) => Ok(TlsIdentity(uri.into())),
        (Some(_), 0) => Err(IdentityError::NotUri),
        (first, more) => Err(IdentityError::NotOne(usize::from(first.is_some()) + more)),
    }
}

fn is_uri(text: &str) -> bool {
    text.len() <= LONGEST && text.contains(':') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Webpki's rules and exactly one URI.
#[derive(Debug)]
pub(crate) struct OneUri {
    chain: Arc<dyn ClientCertVerifier>,
}

impl OneUri {
    pub(crate) fn new(
        roots: RootCertStore,
        path: &Path,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<OneUri>, TlsError> {
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|source| TlsError::Authorities { path: path.to_owned(), source })?;
        Ok(Arc::new(OneUri { chain }))
    }
}

impl ClientCertVerifier for OneUri {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(leaf, intermediates, now)?;
        match identity_of(leaf) {
            Ok(_) => Ok(verified),
            Err(error) => {
                let other = CertificateError::Other(OtherError(Arc::new(error)));
                Err(Error::InvalidCertificate(other))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
