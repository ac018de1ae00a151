//! Where something listens, and how a plain stream to it is opened. Names are resolved at each attempt, so that
//! a moved name is followed.

use crate::failure::Failure;
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

impl Address {
    /// Reads `host:port` or `[v6]:port`.
    ///
    /// # Errors
    /// Says what a right one looks like.
    pub fn parse_tcp(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address; write for instance `127.0.0.1:25` or `[::1]:25`");
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bare {
            Some(v6) if v6.parse::<std::net::Ipv6Addr>().is_ok() => v6,
            None if is_host(host) => host,
            _ => return Err(wrong()),
        };
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self::Tcp(host.to_owned(), port)),
            _ => Err(wrong()),
        }
    }

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

/// A host name or an IPv4 address.
fn is_host(text: &str) -> bool {
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_wrong_ones_refused() {
        let table = [
            ("db:5432", Some(("db", 5432))),
            ("127.0.0.1:1", Some(("127.0.0.1", 1))),
            ("[::1]:25", Some(("::1", 25))),
            ("db", None),
            ("db:0", None),
            ("db:65536", None),
            (":25", None),
            ("::1:25", None),
            ("[db]:25", None),
            ("http://db:25", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(host, port)| Address::Tcp(host.to_owned(), port));
            assert_eq!(Address::parse_tcp(text).ok(), expected, "{text}");
        }
        assert_eq!(Address::parse_tcp("[::1]:25").unwrap().to_string(), "[::1]:25");
    }
}
