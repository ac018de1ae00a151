//! Reads PEM files for TLS. Every error names its file and what to do; whether a certificate is trusted is
//! decided by the verifier.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A TLS file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{path} cannot be read; check that it exists and that this user may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not PEM, or holds none of what is needed.
    #[error("{path} holds no {wanted} in PEM form (`-----BEGIN {label}-----`)")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// How such a section begins.
        label: &'static str,
    },
    /// The file is broken PEM.
    #[error("{path} is broken PEM; write it again from its source")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        source: pem::Error,
    },
    /// Certificate and key are each fine, but not a pair.
    #[error(
        "the key in {key} does not belong to the certificate in {cert}; give the pair that was made together"
    )]
    NotAPair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The content is PEM, but cannot be used.
    #[error("{path} cannot be used")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities cannot be used to verify client certificates.
    #[error("the authorities in {path} cannot be used to verify clients")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::server::VerifierBuilderError,
    },
}

impl TlsError {
    pub(crate) fn unusable(path: &Path, source: rustls::Error) -> TlsError {
        TlsError::Unusable { path: path.to_owned(), source }
    }

    pub(crate) fn for_pair(cert: &Path, key: &Path, source: rustls::Error) -> TlsError {
        match source {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::NotAPair { cert: cert.to_owned(), key: key.to_owned() }
            }
            // What is left besides the certificate itself is a key of a kind that nobody knows.
            rustls::Error::General(_) => TlsError::unusable(key, source),
            _ => TlsError::unusable(cert, source),
        }
    }
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if found.is_empty() {
        let (wanted, label) = ("certificate", "CERTIFICATE");
        return Err(TlsError::Missing { path: path.to_owned(), wanted, label });
    }
    Ok(found)
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|source| match source {
        pem::Error::NoItemsFound => {
            let (wanted, label) = ("unencrypted private key", "PRIVATE KEY");
            TlsError::Missing { path: path.to_owned(), wanted, label }
        }
        source => TlsError::Pem { path: path.to_owned(), source },
    })
}

pub(crate) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::unusable(path, source))?;
    }
    Ok(roots)
}

/// No file of certificates is larger: every authority of a machine together is a quarter of that.
const MAX_FILE: u64 = 1 << 20;

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    let read = read.and_then(|_| match bytes.len() as u64 {
        0..=MAX_FILE => Ok(()),
        _ => {
            Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB; is it the right one?"))
        }
    });
    read.map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        let TlsError::Read { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().contains("larger than 1 MiB"), "{source}");
    }
}
