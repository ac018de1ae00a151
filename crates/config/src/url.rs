//! Addresses of other systems: `Url` and `HostPort`. Decides what is well formed and hides passwords; does
//! not resolve or connect.

use crate::secret::HIDDEN;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Query keys that hold secrets have one of these in them.
const SECRET_WORDS: &[&str] = &["pass", "pwd", "secret", "token", "key", "auth", "sig", "credential"];

/// A URL that may hold a password: `Debug`, `Display` and `Serialize` show `***` in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// The text as given, password included.
    text: String,
    /// Where in the text the part between `//` and the path stands, user and password included.
    authority: Range<usize>,
    /// The first host and its port, checked.
    first: HostPort,
}

impl Url {
    /// The whole URL, password included, for the one place that connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The part before `://`, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text.split("://").next().unwrap_or_default()
    }

    /// The host (of several the first) without brackets; empty when the URL has none.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.first.host
    }

    /// The port, if it is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        (self.first.port != 0).then_some(self.first.port)
    }

    /// The user as written (percent-encoded), if there is one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        let (user, _) = self.text[self.authority.clone()].rsplit_once('@')?;
        Some(user.split(':').next().unwrap_or_default()).filter(|user| !user.is_empty())
    }

    /// Whether a password stands in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.redacted() != self.text
    }

    /// Path, query and fragment, passwords in the query included.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.authority.end..]
    }

    /// The URL with `***` for the password, in front of the host and in the query.
    #[must_use]
    pub fn redacted(&self) -> String {
        let authority = &self.text[self.authority.clone()];
        let shown = match authority.rsplit_once('@') {
            Some((user, hosts)) => match user.split_once(':') {
                Some((user, _)) => format!("{user}:{HIDDEN}@{hosts}"),
                None => authority.to_owned(),
            },
            None => authority.to_owned(),
        };
        format!("{}{shown}{}", &self.text[..self.authority.start], redacted_query(self.path()))
    }
}

fn redacted_query(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if SECRET_WORDS.iter().any(|word| key.to_lowercase().contains(word)) => {
                format!("{key}={HIDDEN}")
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

impl FromStr for Url {
    type Err = String;

    /// The error never repeats the text.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("has no `://`")?;
        let letters = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !letters || !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err("has no scheme such as `https` before `://`".to_owned());
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("has a space or a control character in it".to_owned());
        }
        let length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..length];
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let first = first_host(hosts)?;
        let needs_host = ["http", "https", "ws", "wss", "grpc", "grpcs"];
        let scheme = scheme.to_ascii_lowercase();
        if first.host.is_empty() && needs_host.contains(&scheme.as_str()) {
            return Err("names no host".to_owned());
        }
        let cut_short = !authority.contains('@') && authority.contains(':') && rest[length..].contains('@');
        if cut_short && !needs_host.contains(&scheme.as_str()) {
            return Err(
                "has an `@` after a `/`, `?` or `#`; write those in a password as %2F, %3F, %23".to_owned()
            );
        }
        let start = scheme.len() + "://".len();
        Ok(Self { text: format!("{scheme}://{rest}"), authority: start..start + length, first })
    }
}

/// Checks `host[:port][,host[:port]…]` and gives the first.
fn first_host(hosts: &str) -> Result<HostPort, String> {
    let mut first = None;
    for part in hosts.split(',') {
        let (host, port) = host_and_port(part)?;
        let port = match port {
            None | Some("") => 0,
            Some(port) => {
                port.parse().map_err(|_| "has a port that is not between 1 and 65535".to_owned())?
            }
        };
        first.get_or_insert(HostPort { host, port });
    }
    first.ok_or_else(|| "names no host".to_owned())
}

/// Parts a host from the text after its colon; brackets round an IPv6 address are taken off.
fn host_and_port(text: &str) -> Result<(String, Option<&str>), String> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or("has a `[` without `]`")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "has no IPv6 address between `[` and `]`")?;
            (host, rest)
        }
        None => match text.find(':') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
    };
    let bad = |c: char| c.is_whitespace() || c.is_control() || "/?#@[]\\<>\"".contains(c);
    if host.len() > 255 || host.contains(bad) {
        return Err("has a host that cannot be".to_owned());
    }
    match rest.strip_prefix(':') {
        Some(port) => Ok((host.to_owned(), Some(port))),
        None if rest.is_empty() => Ok((host.to_owned(), None)),
        None => Err("has text after `]` that is no port".to_owned()),
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl serde::Serialize for Url {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

/// A host name or IP address and a port, to connect to. Not resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = host_and_port(text)?;
        let port = port.ok_or("has no port")?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or("has a port that is not between 1 and 65535")?;
        if host.is_empty() {
            return Err("has no host".to_owned());
        }
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests;
