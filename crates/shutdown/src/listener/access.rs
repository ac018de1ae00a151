//! From where, under which name and from which page a process may be asked. Pure: which routes ask is decided by each
//! server's table, and how a refusal is told by its handlers.

use super::Peer;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri, header};
use std::net::{IpAddr, SocketAddr};

/// Who may read, and under which names the process is known. A name that is not known may be a page's that was
/// rebound to this address, so it is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `access: {read: any}`: callers beyond this machine may read.
    pub read_any: bool,
    /// `access: {hosts: […]}` of the configuration.
    pub hosts: Vec<String>,
    /// Where the listener is bound.
    pub bound: Vec<SocketAddr>,
}

impl Access {
    /// Whether a request names this process and comes from no page of another's.
    ///
    /// # Errors
    /// What to do about it.
    pub fn check_name(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
        let authority = authority(uri, headers)?;
        if !self.knows(&authority) {
            return Err(Denied::UnknownHost(authority.chars().take(100).collect()));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let same = |origin: &HeaderValue| origin.to_str().is_ok_and(|o| same_origin(o, &authority));
        if origins.all(same) { Ok(()) } else { Err(Denied::ForeignOrigin) }
    }

    /// Whether the peer in a request's extensions may read. Without a peer the caller counts as far away.
    ///
    /// # Errors
    /// What to do about it.
    pub fn check_reader(&self, extensions: &Extensions) -> Result<(), Denied> {
        let local = extensions.get::<Peer>().is_some_and(Peer::is_loopback);
        if local || self.read_any { Ok(()) } else { Err(Denied::NotLoopback) }
    }

    /// Whether the process is known under the host of `authority` (`host`, `host:port`, `[v6]:port`).
    #[must_use]
    pub fn knows(&self, authority: &str) -> bool {
        let host = host_of(authority);
        if host.is_empty() {
            return false;
        }
        if host == "localhost" || host.ends_with(".localhost") {
            return true;
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            // A name is rebound, an address is not: with a wildcard bind every address is the process's own.
            let ip = ip.to_canonical();
            let is_bound =
                |bound: &SocketAddr| bound.ip().is_unspecified() || bound.ip().to_canonical() == ip;
            if ip.is_loopback() || self.bound.iter().any(is_bound) {
                return true;
            }
        }
        self.hosts.iter().any(|known| host_of(known) == host)
    }
}

/// Why a request is not let in, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Two names.
    #[error("there are several Host headers; send one")]
    SeveralHosts,
    /// A name that cannot be one.
    #[error("the Host header is not plain text")]
    HostIsNotText,
    /// No name.
    #[error("there is no Host header; send one")]
    NoHost,
    /// Another's name.
    #[error(
        "`{0}` is not a name of this process; add it to `access: {{hosts: […]}}` in the configuration, or ask by \
         its address"
    )]
    UnknownHost(String),
    /// A page of another's.
    #[error("pages of other origins may not ask this process")]
    ForeignOrigin,
    /// From beyond this machine.
    #[error("only callers on this machine may read this; set `access: {{read: any}}` to let others in")]
    NotLoopback,
}

impl Denied {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SeveralHosts | Self::HostIsNotText | Self::NoHost => StatusCode::BAD_REQUEST,
            Self::UnknownHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin | Self::NotLoopback => StatusCode::FORBIDDEN,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SeveralHosts | Self::HostIsNotText | Self::NoHost => "bad_host",
            Self::UnknownHost(_) => "unknown_host",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotLoopback => "loopback_only",
        }
    }
}

/// The name under which the process is asked: HTTP/2's `:authority`, else the one `Host`.
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<String, Denied> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Denied::SeveralHosts);
    }
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    }
    match host.map(HeaderValue::to_str) {
        Some(Ok(host)) => Ok(host.to_owned()),
        Some(Err(_)) => Err(Denied::HostIsNotText),
        None => Err(Denied::NoHost),
    }
}

/// The host in lower case, without port, brackets and the dot of a full name.
fn host_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None if authority.matches(':').count() > 1 => authority,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether a page of `origin` was served under `authority`: the same host and port.
fn same_origin(origin: &str, authority: &str) -> bool {
    let Some((scheme, place)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let whole = |place: &str| (host_of(place), port_of(place).unwrap_or(default));
    !place.is_empty() && whole(place) == whole(authority)
}

fn port_of(authority: &str) -> Option<u16> {
    let (_, port) = authority.rsplit_once(':')?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bound: &str, hosts: &[&str]) -> Access {
        Access {
            read_any: false,
            hosts: hosts.iter().map(|&h| h.to_owned()).collect(),
            bound: vec![bound.parse().unwrap()],
        }
    }

    #[test]
    fn a_process_is_known_under_loopback_names_bound_addresses_and_configured_hosts() {
        let loopback = access("127.0.0.1:8501", &["Farol.example.com"]);
        let one = access("10.0.0.5:8501", &[]);
        let any = access("[::]:8501", &["farol:9000"]);
        let cases = [
            (&loopback, "localhost", true),
            (&loopback, "LOCALHOST:8501", true),
            (&loopback, "farol.localhost", true),
            (&loopback, "127.0.0.1:8501", true),
            (&loopback, "127.9.9.9", true),
            (&loopback, "[::1]:8501", true),
            (&loopback, "[::ffff:127.0.0.1]:8501", true),
            (&loopback, "farol.example.com.:80", true),
            (&loopback, "evil.example.com", false),
            (&loopback, "localhost.evil.com", false),
            (&loopback, "127.0.0.1.nip.io", false),
            (&loopback, "10.0.0.5", false),
            (&loopback, "", false),
            (&loopback, "[::1", false),
            (&one, "10.0.0.5:1", true),
            (&one, "10.0.0.6", false),
            (&any, "192.168.7.7:8501", true),
            (&any, "[2001:db8::1]", true),
            (&any, "farol", true),
            (&any, "farol2", false),
        ];
        for (access, authority, expected) in cases {
            assert_eq!(access.knows(authority), expected, "{authority} at {:?}", access.bound);
        }
    }

    #[test]
    fn an_origin_is_the_same_when_host_and_port_are() {
        let cases = [
            ("http://localhost:8501", "localhost:8501", true),
            ("http://LOCALHOST:8501", "localhost:8501", true),
            ("http://farol", "farol:80", true),
            ("https://farol", "farol:443", true),
            ("https://farol", "farol", true),
            ("http://[::1]:8501", "[::1]:8501", true),
            ("http://localhost:3000", "localhost:8501", false),
            ("http://evil.com", "localhost:8501", false),
            ("null", "localhost:8501", false),
            ("file://", "localhost", false),
            ("http://", "", false),
        ];
        for (origin, authority, expected) in cases {
            assert_eq!(same_origin(origin, authority), expected, "{origin} at {authority}");
        }
    }
}
