//! A web request as the kinds `http` and `prometheus` make it: each connects anew, uses no proxy and follows
//! redirects only when asked to. What an answer means is each kind's; where a redirect may lead stands in
//! `redirect.rs`.

mod read;
mod reason;
mod redirect;

use crate::failure::Failure;
use crate::trust::Trust;
use bytes::Bytes;
use redirect::Next;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};

pub(crate) use read::read;
pub use reason::speaks_no_tls;

/// The most redirects that may be asked for.
pub(crate) const MAX_REDIRECTS: u8 = 20;

/// What is asked.
#[derive(Clone)]
pub(crate) struct Request {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<Bytes>,
    trust: Trust,
    /// So many are followed.
    redirects: u8,
}

impl Request {
    /// A GET of this address.
    pub(crate) fn to(url: &str) -> Result<Self, String> {
        let wrong = "it is not a web address; write for instance `http://127.0.0.1:8080/health`";
        let url = Url::parse(url).map_err(|_| wrong)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong.into());
        }
        let (method, headers, trust) = (Method::GET, HeaderMap::new(), Trust::default());
        Ok(Self { url, method, headers, body: None, trust, redirects: 0 })
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Result<Self, String> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is not a header's name"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of `{name}` holds characters that no header may hold"))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    pub(crate) fn method(mut self, method: &str) -> Result<Self, String> {
        let wrong = || format!("`{method}` is not a method; write for instance `GET` or `POST`");
        let known = Method::from_bytes(method.as_bytes()).map_err(|_| wrong())?;
        // CONNECT asks for a tunnel.
        if known == Method::CONNECT || method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(wrong());
        }
        self.method = known;
        Ok(self)
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    pub(crate) fn redirects(mut self, redirects: u8) -> Self {
        self.redirects = redirects.min(MAX_REDIRECTS);
        self
    }
}

/// A client that makes one request again and again.
pub(crate) struct Web {
    request: Request,
    client: Client,
    /// The address without user, password and query, for messages.
    target: String,
}

impl Web {
    pub(crate) fn new(request: Request) -> Result<Self, String> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("farol/", env!("CARGO_PKG_VERSION")));
        let client = if request.url.scheme() == "http" && request.redirects == 0 {
            // TLS is never spoken: the machine's certificates need neither exist nor be read, which takes longer
            // than everything else here.
            client.tls_certs_only([])
        } else {
            client.tls_backend_preconfigured(request.trust.client(&[b"h2", b"http/1.1"])?).tls_info(true)
        };
        let client = client
            .build()
            .map_err(|error| format!("no HTTP client can be made: {}", reason::root(&error)))?;
        let target = target(&request.url);
        Ok(Self { request, client, target })
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The answer's head, after the redirects.
    pub(crate) async fn send(&self) -> Result<Response, Failure> {
        let mut next = Next::first(&self.request);
        let mut followed = 0;
        loop {
            let mut request = self.client.request(next.method.clone(), next.url.clone());
            if next.credentials {
                request = request.headers(self.request.headers.clone());
            }
            if let Some(body) = self.request.body.clone().filter(|_| next.body) {
                request = request.body(body);
            }
            let sent = request.send().await;
            let response = sent.map_err(|error| reason::of(&error, &self.name(&next.url)))?;
            let Some(to) = redirect::location(&response).filter(|_| self.request.redirects > 0) else {
                return Ok(response);
            };
            if followed == self.request.redirects {
                let message = format!("{} leads on and on: correct it, or raise `redirects`", self.target);
                return Err(Failure::theirs("too_many_redirects", message));
            }
            followed += 1;
            next = next.after(response.status(), &to).map_err(|refused| refused.failure(&self.target))?;
        }
    }

    /// Names what is met while the answer's body is read.
    pub(crate) fn failure(&self, error: &reqwest::Error) -> Failure {
        reason::of(error, &self.target)
    }

    /// A place that a redirect led to is named by its host: its path may hold a secret, or move.
    fn name(&self, url: &Url) -> String {
        if *url == self.request.url {
            return self.target.clone();
        }
        let mut host = url.clone();
        host.set_path("");
        format!("{}, to which {} leads,", target(&host), self.target)
    }
}

/// Scheme, host, port and path.
fn target(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // Both can fail only for addresses without a host, which are refused.
    if bare.set_username("").is_err() || bare.set_password(None).is_err() {
        return url.host_str().unwrap_or_default().to_owned();
    }
    bare.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_never_hold_what_may_be_secret() {
        let url = Url::parse("https://user:s3cret@api.test:8443/health?token=s3cret#s3cret").unwrap();
        assert_eq!(target(&url), "https://api.test:8443/health");
        let web = Web::new(Request::to("http://api.test/a?token=s3cret").unwrap()).unwrap();
        let led = web.name(&Url::parse("http://u:s3cret@b.test/s3cret?s3cret").unwrap());
        assert_eq!(led, "http://b.test/, to which http://api.test/a leads,");
        let message =
            Request::to("http://api.test").unwrap().header("authorization", "s3cret\n").err().unwrap();
        assert!(!message.contains("s3cret") && message.contains("authorization"));
    }

    #[test]
    fn only_web_addresses_and_methods_are_taken() {
        for url in ["ftp://host/", "host:80", "http://", "/health"] {
            assert!(Request::to(url).is_err(), "{url}");
        }
        for (method, good) in
            [("GET", true), ("PURGE", true), ("get", false), ("CONNECT", false), ("A B", false)]
        {
            assert_eq!(Request::to("http://h/").unwrap().method(method).is_ok(), good, "{method}");
        }
    }
}
