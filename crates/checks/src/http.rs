//! Kind `http`: GET, and is the answer as expected? Each run connects anew, follows no redirect, uses no proxy
//! and reads no more than the first part of the body, and nothing of one that may have no end. What is expected is judged in `expect.rs`.

mod expect;
mod grpc;
mod read;
mod reason;

use expect::Answer;
pub use expect::Expect;
use farol_health::{Check, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
pub use grpc::answers as is_grpc;
pub(crate) use read::KIND;
pub use reason::speaks_no_tls;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::time::Instant;

/// No more of a body than this is read; the rest is given up with the connection.
const MAX_BODY: u64 = 64 * 1024;

/// What an `http` check asks, and what it expects.
#[derive(Clone)]
pub struct Settings {
    url: Url,
    headers: HeaderMap,
    expect: Expect,
}

impl Settings {
    /// Asks this URL and expects the default, 200 to 399.
    ///
    /// # Errors
    /// Says what a right URL looks like, without repeating it: it may hold a password.
    pub fn from_url(url: &str) -> Result<Self, String> {
        let wrong = "it is not a web address; write for instance `http://127.0.0.1:8080/health`";
        let url = Url::parse(url).map_err(|_| wrong)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong.into());
        }
        Ok(Self { url, headers: HeaderMap::new(), expect: Expect::default() })
    }

    /// Sends this header, too.
    ///
    /// # Errors
    /// Says what is wrong with it, without its value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, String> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is not a header's name"))?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of `{name}` holds characters that no header may hold"))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Expects this instead.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }
}

/// The check.
pub struct Http {
    settings: Settings,
    client: Client,
    /// The address without user, password and query, for messages.
    target: String,
}

impl Http {
    /// A check of this URL.
    ///
    /// # Errors
    /// The TLS library could not be set up (no trusted certificates on this machine).
    pub fn new(settings: Settings) -> Result<Self, String> {
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("farol/", env!("CARGO_PKG_VERSION")));
        if settings.url.scheme() == "http" {
            // Without redirects TLS is never spoken: the machine's certificates need neither exist nor be read,
            // which takes longer than everything else here.
            client = client.tls_certs_only([]);
        }
        let client = client
            .build()
            .map_err(|error| format!("no HTTP client can be made: {}", reason::root(&error)))?;
        let target = target(&settings.url);
        Ok(Self { settings, client, target })
    }

    async fn ask(&self) -> Outcome {
        let before = Instant::now();
        let request = self.client.get(self.settings.url.clone()).headers(self.settings.headers.clone());
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return reason::of(&error, &self.target).outcome(),
        };
        let seconds = before.elapsed().as_secs_f64();
        let status = response.status().as_u16();
        let is_grpc = grpc::answers(&response);
        // A body whose length is told must come; one without may be a stream that stays open.
        let mut awaited = response.content_length().map_or(0, |told| told.min(MAX_BODY));
        while awaited > 0 {
            match response.chunk().await {
                Ok(Some(chunk)) => awaited = awaited.saturating_sub(chunk.len() as u64),
                Ok(None) => break,
                Err(error) => return reason::of(&error, &self.target).outcome(),
            }
        }
        let outcome = match self.settings.expect.judge(&Answer { status, is_grpc }, &self.target) {
            Ok(()) => Outcome::healthy(),
            Err(failure) => failure.outcome(),
        };
        outcome.with(Figure::gauge("http_response_seconds", seconds, Unit::Seconds)).with(Figure::gauge(
            "http_response_status",
            f64::from(status),
            Unit::None,
        ))
    }
}

/// Scheme, host, port and path.
fn target(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // Both can fail only for addresses without a host, which `from_url` refuses.
    if bare.set_username("").is_err() || bare.set_password(None).is_err() {
        return url.host_str().unwrap_or_default().to_owned();
    }
    bare.into()
}

impl Check for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn target(&self) -> Option<String> {
        Some(self.target.clone())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        self.ask().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_never_hold_what_may_be_secret() {
        let url = Url::parse("https://user:s3cret@api.test:8443/health?token=s3cret#s3cret").unwrap();
        assert_eq!(target(&url), "https://api.test:8443/health");
        let settings = Settings::from_url("http://api.test").unwrap();
        let message = settings.header("authorization", "s3cret\n").err().unwrap();
        assert!(!message.contains("s3cret") && message.contains("authorization"));
    }

    #[test]
    fn only_web_addresses_are_taken() {
        for url in ["ftp://host/", "host:80", "http://", "/health"] {
            assert!(Settings::from_url(url).is_err(), "{url}");
        }
    }
}
