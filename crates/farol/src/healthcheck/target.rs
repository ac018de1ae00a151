//! What `farol healthcheck` may be pointed at. Decides what a right address is; never repeats a wrong one, for
//! it may hold a password.

use std::fmt;
use std::str::FromStr;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A GET of this.
    Http(reqwest::Url),
    /// A `grpc.health.v1` Check in plain text.
    Grpc {
        /// Host and port.
        authority: String,
        /// The name; empty is the whole server.
        service: String,
    },
}

const WRONG: &str = "write for instance `http://127.0.0.1:8501/health` or `grpc://127.0.0.1:8503/payments`";

const SCHEME: &str = "it begins with none of `http://`, `https://`, `grpc://`; write for instance \
                      `http://127.0.0.1:8501/health` or `grpc://127.0.0.1:8503/payments`";

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("grpc://") {
            let (authority, service) = rest.split_once('/').unwrap_or((rest, ""));
            let (_, port) = authority.rsplit_once(':').ok_or(WRONG)?;
            port.parse::<u16>().map_err(|_| WRONG)?;
            let url = reqwest::Url::parse(&format!("http://{authority}/")).map_err(|_| WRONG)?;
            let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/";
            if !plain || url.query().is_some() || url.fragment().is_some() {
                return Err(WRONG);
            }
            return Ok(Self::Grpc { authority: authority.to_owned(), service: service.to_owned() });
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err(SCHEME);
        }
        reqwest::Url::parse(text).map(Self::Http).map_err(|_| WRONG)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => {
                write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
            Self::Grpc { authority, service } if service.is_empty() => write!(f, "grpc://{authority}"),
            Self::Grpc { authority, service } => write!(f, "grpc://{authority}/{service}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_shown_without_what_may_be_secret() {
        for (text, shown) in [
            ("http://127.0.0.1:8501/health", "http://127.0.0.1:8501/health"),
            ("https://user:word@shop.example/health?key=secret", "https://shop.example/health"),
            ("http://[::1]:8501", "http://[::1]:8501/"),
            ("grpc://127.0.0.1:8503", "grpc://127.0.0.1:8503"),
            ("grpc://127.0.0.1:8503/", "grpc://127.0.0.1:8503"),
            ("grpc://[::1]:8503/payments/database@node-1", "grpc://[::1]:8503/payments/database@node-1"),
            ("grpc://monitor:8503/group:checkout", "grpc://monitor:8503/group:checkout"),
        ] {
            let target: Target = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in ["", "127.0.0.1:8501", "localhost", "ftp://host/", "unix:/run/x", "http:host"] {
            assert_eq!(text.parse::<Target>(), Err(SCHEME), "{text}");
        }
        for text in [
            "http://",
            "grpc://host",
            "grpc://host:port/x",
            "grpc://user:word@host:1/x",
            "grpc://:1?x/y",
            "grpc://",
        ] {
            assert_eq!(text.parse::<Target>(), Err(WRONG), "{text}");
        }
    }
}
