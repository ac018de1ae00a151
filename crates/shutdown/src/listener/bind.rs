//! Opens a listening socket: every resolved address is tried, `[::]` takes IPv4 as well, and falls back to
//! `0.0.0.0` where the kernel has no IPv6. Decides nothing about who may connect.

use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::TcpListener;

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 1024;
/// When a peer's host is gone without a word, the kernel finds out after this time of silence…
const KEEP_ALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
/// …or after this time without an acknowledgement of what was sent.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// An address that cannot be listened on. The source says what the kernel said.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {advice}")]
pub struct BindError {
    /// As it was given.
    pub address: String,
    /// What to do about it.
    advice: &'static str,
    /// What the kernel said.
    source: io::Error,
}

/// Listens on the first of the resolved addresses that works. Needs a tokio runtime; a host name is
/// looked up here and now.
///
/// # Errors
/// The [`BindError`] of the last address, with its kind.
pub fn bind(address: impl ToSocketAddrs + Display) -> io::Result<TcpListener> {
    let failed = |source: io::Error| {
        let advice = advice(source.kind());
        io::Error::new(source.kind(), BindError { address: address.to_string(), advice, source })
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name resolves to no address");
    for candidate in address.to_socket_addrs().map_err(failed)? {
        match listen(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match open(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && no_ipv6(&error) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        opened => opened,
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT (97 on Linux) has no kind of its own.
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(97)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted connections inherit these.
    socket.set_tcp_keepalive(&KEEP_ALIVE)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            "the address is in use; stop the process that holds it, or choose another port (0 takes any)"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not; choose a port above 1023, or grant CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::InvalidInput => "not an address; write for instance `127.0.0.1:8501` or `[::]:8501`",
        _ => "the system refused it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let first = bind("127.0.0.1:0").unwrap();
        let taken = first.local_addr().unwrap();
        let error = bind(taken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(text.contains(&taken.to_string()) && text.contains("choose another port"), "{text}");
    }

    #[tokio::test]
    async fn names_and_nonsense_are_told_apart() {
        assert!(bind("localhost:0").unwrap().local_addr().unwrap().ip().is_loopback());
        let error = bind("nonsense").unwrap_err().to_string();
        assert!(error.contains("cannot listen on nonsense") && error.contains("[::]:8501"), "{error}");
        let foreign = bind("192.0.2.1:0").unwrap_err().to_string();
        assert!(foreign.contains("no such address"), "{foreign}");
    }

    #[tokio::test]
    async fn the_unspecified_address_takes_both_families() {
        let listener = bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.port(), client.local_addr().unwrap().port());
        assert_eq!(peer.ip().to_canonical(), client.local_addr().unwrap().ip());
    }

    #[tokio::test]
    async fn accepted_connections_notice_a_peer_that_is_gone_without_a_word() {
        let listener = bind("127.0.0.1:0").unwrap();
        let _client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
    }

    #[test]
    fn only_a_kernel_without_ipv6_falls_back() {
        assert!(no_ipv6(&io::Error::from_raw_os_error(97)));
        assert!(!no_ipv6(&io::Error::from(io::ErrorKind::AddrInUse)));
    }
}
