//! Where lines go: standard error, or a GELF input of the network. How they get there is the sink's business.

use std::str::FromStr;

use super::NotUnderstood;

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The process's own standard error.
    Stderr,
    /// A GELF input.
    Gelf(Gelf),
}

/// A GELF input and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gelf {
    /// Datagrams or a connection.
    pub transport: Transport,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How datagrams are compressed; a connection never is, because its frames end with a zero byte.
    pub compression: Compression,
    /// No datagram is longer.
    pub chunk_bytes: usize,
}

/// Datagrams or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Each record is one datagram, or up to 128 chunks.
    Udp,
    /// Records end with a zero byte.
    Tcp,
}

/// How a datagram is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1950.
    Zlib,
    /// RFC 1952.
    Gzip,
}

impl FromStr for Compression {
    type Err = NotUnderstood;

    fn from_str(text: &str) -> Result<Self, NotUnderstood> {
        match text {
            "none" => Ok(Self::None),
            "zlib" => Ok(Self::Zlib),
            "gzip" => Ok(Self::Gzip),
            _ => Err(NotUnderstood(format!("`{text}` is not known; write `zlib`, `gzip` or `none`"))),
        }
    }
}

/// What `udp://host:port` names.
pub(super) struct Place {
    pub(super) transport: Transport,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Place {
    /// `None` is standard error.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, NotUnderstood> {
        if text == "stderr" {
            return Ok(None);
        }
        let place = || {
            let (scheme, rest) = text.split_once("://")?;
            let transport = match scheme {
                "udp" => Transport::Udp,
                "tcp" => Transport::Tcp,
                _ => return None,
            };
            let (host, port) = rest.rsplit_once(':')?;
            let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host = bracketed.unwrap_or(host);
            let named = !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
                && (bracketed.is_some() || !host.contains(':'));
            let port = port.parse().ok().filter(|port| *port > 0)?;
            named.then(|| Self { transport, host: host.to_owned(), port })
        };
        // The text is not repeated: an address may be written with a password in it.
        place().map(Some).ok_or_else(|| {
            NotUnderstood(
                "is not a place for logs; write `stderr`, `udp://host:port` or `tcp://host:port`".to_owned(),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Transport};

    #[test]
    fn places_are_understood_or_refused() {
        for (text, expected) in [
            ("udp://graylog:12201", Some((Transport::Udp, "graylog", 12201))),
            ("tcp://10.0.0.7:1", Some((Transport::Tcp, "10.0.0.7", 1))),
            ("tcp://[::1]:12201", Some((Transport::Tcp, "::1", 12201))),
            ("http://graylog:12201", None),
            ("udp://graylog", None),
            ("udp://graylog:0", None),
            ("udp://:12201", None),
            ("udp://::1:12201", None),
            ("udp://user:s3cret@graylog:12201", None),
            ("graylog:12201", None),
        ] {
            let place = Place::parse(text);
            let read = place.as_ref().ok().and_then(Option::as_ref);
            assert_eq!(read.map(|p| (p.transport, p.host.as_str(), p.port)), expected, "{text}");
            assert!(place.err().is_none_or(|told| !told.to_string().contains("s3cret")));
        }
        assert!(Place::parse("stderr").unwrap().is_none());
    }
}
