//! The first bytes of a connection tell HTTP/1 from HTTP/2. Reads no further than it must, and waits for the
//! whole HTTP/2 preface, so that the HTTP/2 implementation never waits for it without a deadline.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What an HTTP/2 client sends first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Reads until the protocol is known. `None`: the peer left without a byte.
pub(crate) async fn read<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<Option<(Protocol, Bytes)>> {
    let mut ahead = BytesMut::with_capacity(PREFACE.len());
    loop {
        let wanted = PREFACE.len() - ahead.len();
        // `take` keeps what follows the preface in the socket, where its pulse is taken.
        if (&mut *io).take(wanted as u64).read_buf(&mut ahead).await? == 0 {
            return if ahead.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        if !PREFACE.starts_with(&ahead) {
            return Ok(Some((Protocol::Http1, ahead.freeze())));
        }
        if ahead.len() == PREFACE.len() {
            return Ok(Some((Protocol::Http2, ahead.freeze())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn the_protocol_is_known_as_early_as_the_bytes_allow() {
        for (sent, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], Some((Protocol::Http1, true))),
            (b"POST / HTTP/1.1\r\n", Some((Protocol::Http1, true))),
            (b"PRI * HTTP/1.1\r\n\r\nnot it\r\n", Some((Protocol::Http1, true))),
            (PREFACE, Some((Protocol::Http2, true))),
            (b"", None),
        ] {
            let (mut near, mut far) = tokio::io::duplex(64);
            near.write_all(sent).await.unwrap();
            drop(near);
            let found = read(&mut far).await.unwrap();
            let found = found.map(|(protocol, ahead)| (protocol, sent.starts_with(&ahead)));
            assert_eq!(found, expected, "{}", sent.escape_ascii());
        }
    }

    #[tokio::test]
    async fn bytes_behind_the_preface_stay_where_they_are_and_half_of_it_is_an_error() {
        let (mut near, mut far) = tokio::io::duplex(64);
        near.write_all(PREFACE).await.unwrap();
        near.write_all(b"settings").await.unwrap();
        drop(near);
        let (_, ahead) = read(&mut far).await.unwrap().unwrap();
        assert_eq!(&ahead[..], PREFACE);
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"settings");

        let (mut near, mut far) = tokio::io::duplex(64);
        near.write_all(&PREFACE[..11]).await.unwrap();
        drop(near);
        assert_eq!(read(&mut far).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
