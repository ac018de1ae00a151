//! Where something listens, and how a plain stream to it is opened. Names are resolved at each attempt, so that
//! a moved name is followed.

use crate::failure::Failure;
use farol_config::HostPort;
use std::fmt;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host name or IP address (without brackets) and a port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl From<HostPort> for Address {
    fn from(HostPort { host, port }: HostPort) -> Self {
        Self::Tcp(host, port)
    }
}

impl Address {
    /// Opens a stream. `thing` is what should listen there, for the message.
    pub(crate) async fn connect(&self, thing: &str) -> Result<Box<dyn Stream>, Failure> {
        let opened: std::io::Result<Box<dyn Stream>> = match self {
            Self::Tcp(host, port) => {
                TcpStream::connect((host.as_str(), *port)).await.map(|s| Box::new(s) as Box<dyn Stream>)
            }
            Self::Unix(path) => UnixStream::connect(path).await.map(|s| Box::new(s) as Box<dyn Stream>),
        };
        opened.map_err(|error| Failure::io(&error, &self.to_string(), thing))
    }
}

/// Either kind of stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_one_writes_it() {
        let table = [
            (Address::Tcp("db".into(), 5432), "db:5432"),
            (Address::Tcp("::1".into(), 25), "[::1]:25"),
            (Address::Unix("/run/s".into()), "/run/s"),
        ];
        for (address, text) in table {
            assert_eq!(address.to_string(), text);
        }
    }

    #[tokio::test]
    async fn a_refused_port_and_a_missing_socket_are_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port());
        assert!(address.connect("a test").await.is_ok());
        drop(listener);
        assert_eq!(address.connect("a test").await.err().unwrap().reason, "connection_refused");
        let missing = Address::Unix("/no/such/socket".into());
        assert_eq!(missing.connect("a test").await.err().unwrap().reason, "socket_missing");
    }
}
