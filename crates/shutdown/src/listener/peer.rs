//! Who is at the other end of a connection, as far as the transport knows. What it may do is decided by
//! the server that reads it from a request's extensions.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection; in the extensions of each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address; an IPv4 address mapped into IPv6 is shown as IPv4.
    pub addr: SocketAddr,
    /// Who its certificate says it is; only where the listener asks for certificates.
    pub tls_identity: Option<TlsIdentity>,
}

impl Peer {
    pub(crate) fn new(addr: SocketAddr, tls_identity: Option<TlsIdentity>) -> Peer {
        Peer { addr: SocketAddr::new(addr.ip().to_canonical(), addr.port()), tls_identity }
    }

    /// On this machine?
    pub fn is_loopback(&self) -> bool {
        self.addr.ip().is_loopback()
    }
}

/// The only URI in the subject alternative names of a verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsIdentity(pub(crate) Arc<str>);

impl TlsIdentity {
    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_canonical_before_anyone_tests_it() {
        let mapped = Peer::new("[::ffff:127.0.0.1]:9".parse().unwrap(), None);
        assert_eq!(mapped.addr.to_string(), "127.0.0.1:9");
        assert!(mapped.is_loopback());
        assert!(!Peer::new("[::ffff:10.0.0.1]:9".parse().unwrap(), None).is_loopback());
        assert!(Peer::new("[::1]:9".parse().unwrap(), None).is_loopback());
    }
}
