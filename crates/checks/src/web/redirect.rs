//! Where a redirect may lead, and what goes along: never from `https` back to `http`, and neither headers nor
//! password nor body to another host, since any of them may be a secret. Pure.

use super::Request;
use crate::failure::Failure;
use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode, Url};

/// The next request of a chain.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) url: Url,
    pub(super) method: Method,
    /// Our headers go along.
    pub(super) credentials: bool,
    /// Our body goes along.
    pub(super) body: bool,
}

/// A redirect that is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No address of the web.
    NoAddress,
    /// From `https` to `http`.
    Downgrade,
    /// It asks for the body again, at another host.
    Body,
}

impl Refused {
    pub(super) fn failure(self, target: &str) -> Failure {
        let why = match self {
            Self::NoAddress => "to what is no web address: correct its configuration",
            Self::Downgrade => "from https to http, where anyone can read along: correct its configuration",
            Self::Body => "the body to another host, which may not see it: ask that host itself",
        };
        Failure::theirs("redirect_refused", format!("{target} redirects {why}"))
    }
}

/// Where an answer sends us.
pub(super) fn location(response: &Response) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let place = response.headers().get(LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(place.as_bytes()).into_owned())
}

impl Next {
    pub(super) fn first(request: &Request) -> Self {
        let (url, method) = (request.url.clone(), request.method.clone());
        Self { url, method, credentials: true, body: request.body.is_some() }
    }

    /// What follows after a redirect to `to`.
    pub(super) fn after(&self, status: StatusCode, to: &str) -> Result<Self, Refused> {
        let mut url = self.url.join(to).map_err(|_| Refused::NoAddress)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Refused::NoAddress);
        }
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return Err(Refused::Downgrade);
        }
        let same = same_host(&self.url, &url);
        if !same {
            // Both fail only without a host.
            let cleared = url.set_username("").and_then(|()| url.set_password(None));
            cleared.map_err(|()| Refused::NoAddress)?;
        } else if url.username().is_empty() && url.password().is_none() {
            // As browsers do: the log-in holds for the whole host.
            let kept =
                url.set_username(self.url.username()).and_then(|()| url.set_password(self.url.password()));
            kept.map_err(|()| Refused::NoAddress)?;
        }
        let becomes_get = match status.as_u16() {
            303 => self.method != Method::HEAD,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        let body = self.body && !becomes_get;
        if body && !same {
            return Err(Refused::Body);
        }
        let method = if becomes_get { Method::GET } else { self.method.clone() };
        Ok(Self { url, method, credentials: self.credentials && same, body })
    }
}

/// The same host and port, or the step from a host's port 80 to its 443.
fn same_host(from: &Url, to: &Url) -> bool {
    let ports = (from.port_or_known_default(), to.port_or_known_default());
    let upgraded = to.scheme() == "https" && from.scheme() == "http" && ports == (Some(80), Some(443));
    from.host() == to.host() && ((from.scheme() == to.scheme() && ports.0 == ports.1) || upgraded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(url: &str, method: &Method) -> Next {
        let body = *method != Method::GET;
        Next { url: url.parse().unwrap(), method: method.clone(), credentials: true, body }
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let first = from("http://u:pw@a.test/x?token=1", &Method::GET);
        for (to, leads, along) in [
            ("/y", "http://u:pw@a.test/y", true),
            ("https://a.test/y", "https://u:pw@a.test/y", true),
            ("http://a.test:8080/y", "http://a.test:8080/y", false),
            ("https://a.test:8443/y", "https://a.test:8443/y", false),
            ("http://b.test/y", "http://b.test/y", false),
            ("//u:pw@b.test/y", "http://b.test/y", false),
            ("http://sub.a.test/y", "http://sub.a.test/y", false),
        ] {
            let next = first.after(StatusCode::FOUND, to).unwrap();
            assert_eq!((next.url.as_str(), next.credentials), (leads, along), "{to}");
        }
        let there = first.after(StatusCode::FOUND, "http://b.test/").unwrap();
        let back = there.after(StatusCode::FOUND, "http://a.test/").unwrap();
        assert!(!back.credentials && back.url.username().is_empty(), "what was taken off stays off");
    }

    #[test]
    fn a_way_back_to_plain_text_and_other_schemes_are_refused() {
        let first = from("https://a.test/x", &Method::GET);
        for (to, refused) in [
            ("http://a.test/x", Refused::Downgrade),
            ("ftp://a.test/x", Refused::NoAddress),
            ("javascript:alert(1)", Refused::NoAddress),
            ("https://[", Refused::NoAddress),
        ] {
            assert_eq!(first.after(StatusCode::FOUND, to).err(), Some(refused), "{to}");
        }
    }

    #[test]
    fn the_method_changes_as_the_status_says() {
        let next = |method: &Method, status: u16, to: &str| {
            let next = from("http://a.test/", method).after(StatusCode::from_u16(status).unwrap(), to);
            next.map(|next| (next.method, next.body))
        };
        for (method, status, becomes, body) in [
            (Method::POST, 301, Method::GET, false),
            (Method::POST, 302, Method::GET, false),
            (Method::POST, 303, Method::GET, false),
            (Method::PUT, 303, Method::GET, false),
            (Method::PUT, 302, Method::PUT, true),
            (Method::POST, 307, Method::POST, true),
            (Method::POST, 308, Method::POST, true),
        ] {
            assert_eq!(next(&method, status, "/y"), Ok((becomes, body)), "{method} {status}");
        }
        assert_eq!(next(&Method::POST, 307, "http://b.test/"), Err(Refused::Body));
        assert_eq!(next(&Method::POST, 303, "http://b.test/"), Ok((Method::GET, false)));
    }
}
