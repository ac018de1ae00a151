//! TLS of listeners and of the agent's side, from PEM files, with certificates that can be replaced while
//! connections stay. A client certificate must carry exactly one URI; what that URI may do is not decided here.

mod files;
mod verifier;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::TlsIdentity;
pub use files::TlsError;
pub use verifier::{IdentityError, identity_of};

/// Protocols offered by every listener, the preferred first.
const BOTH: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS of a listener. Clones share the certificates.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    /// Read again at each reload.
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    /// What new connections use; those that are open keep what they began with.
    config: ArcSwap<ServerConfig>,
}

/// Files that were read again and found good, not yet in use: several listeners take theirs over together.
#[must_use]
pub struct Reread {
    inner: Arc<Inner>,
    config: Arc<ServerConfig>,
}

impl Reread {
    /// New connections use them from now on; open ones stay as they are.
    pub fn take_over(self) {
        self.inner.config.store(self.config);
    }
}

impl Tls {
    /// Reads certificate chain and key, and the authorities of client certificates: with those given,
    /// every client must present a certificate with exactly one URI in its subject alternative names.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Tls, TlsError> {
        let config = server_config(cert, key, client_ca)?;
        Ok(Tls {
            inner: Arc::new(Inner {
                cert: cert.to_owned(),
                key: key.to_owned(),
                client_ca: client_ca.map(Path::to_owned),
                config: ArcSwap::from_pointee(config),
            }),
        })
    }

    /// Reads the files again. Nothing changes until [`Reread::take_over`].
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn reread(&self) -> Result<Reread, TlsError> {
        let Inner { cert, key, client_ca, .. } = &*self.inner;
        let config = Arc::new(server_config(cert, key, client_ca.as_deref())?);
        Ok(Reread { inner: Arc::clone(&self.inner), config })
    }

    pub(crate) async fn accept<T>(&self, io: T) -> io::Result<(TlsStream<T>, Option<TlsIdentity>)>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.inner.config.load_full());
        let stream = acceptor.accept(io).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let identity = certificates.and_then(<[_]>::first).map(identity_of).transpose();
        let identity = identity.map_err(io::Error::other)?;
        Ok((stream, identity))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("cert", &self.inner.cert).finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn server_config(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<ServerConfig, TlsError> {
    let (chain, private) = (files::certificates(cert)?, files::private_key(key)?);
    let builder = ServerConfig::builder_with_provider(provider());
    let mut config = match client_ca {
        None => builder
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::unusable(cert, source))?
            .with_no_client_auth()
            .with_single_cert(chain, private),
        Some(ca) => builder
            // Both ends are ours here.
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|source| TlsError::unusable(cert, source))?
            .with_client_cert_verifier(verifier::OneUri::new(files::roots(ca)?, ca, &provider())?)
            .with_single_cert(chain, private),
    }
    .map_err(|source| TlsError::for_pair(cert, key, source))?;
    config.alpn_protocols = BOTH.map(<[u8]>::to_vec).to_vec();
    if client_ca.is_some() {
        // A resumed session would skip the check of a certificate that expired or lost its authority.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// The client's side of a gRPC connection: trusts `ca` only, speaks HTTP/2, and shows the certificate and
/// key of `identity` where given.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn client_tls(ca: &Path, identity: Option<(&Path, &Path)>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::unusable(ca, source))?
        .with_root_certificates(files::roots(ca)?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(files::certificates(cert)?, files::private_key(key)?)
            .map_err(|source| TlsError::for_pair(cert, key, source))?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// What is wrong with each of these PEM files, before anybody listens: `cert`, `key` or `ca`, and words for people.
/// With certificate and key given, whether they are a pair.
#[must_use]
pub fn verify_files(
    cert: Option<&Path>,
    key: Option<&Path>,
    ca: Option<&Path>,
) -> Vec<(&'static str, String)> {
    let checked = [
        ("cert", cert.map(|path| files::certificates(path).map(drop))),
        ("key", key.map(|path| files::private_key(path).map(drop))),
        ("ca", ca.map(|path| files::roots(path).map(drop))),
    ];
    let failed =
        |(part, result): (&'static str, Option<Result<(), TlsError>>)| Some((part, words(&result?.err()?)));
    let mut problems: Vec<_> = checked.into_iter().filter_map(failed).collect();
    if problems.is_empty()
        && let (Some(cert), Some(key)) = (cert, key)
        && let Err(error) = server_config(cert, key, ca)
    {
        let part = if matches!(error, TlsError::NotAPair { .. }) { "key" } else { "cert" };
        problems.push((part, words(&error)));
    }
    problems
}

/// An error and what caused it.
fn words(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Did the handshake fail for the identity in the client's certificate?
pub(crate) fn is_identity(error: &io::Error) -> bool {
    let Some(inner) = error.get_ref() else { return false };
    if inner.is::<IdentityError>() {
        return true;
    }
    match inner.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) => {
            other.0.is::<IdentityError>()
        }
        _ => false,
    }
}
