//! Kind `http`: one request, and is the answer as expected? Reads no more than the first part of the body, and
//! nothing of one that may have no end unless a condition looks at it. How the request is made stands in `web.rs`,
//! what is expected is judged in `expect.rs`.

mod condition;
mod expect;
mod grpc;
mod read;

use crate::certificate;
use crate::failure::Failure;
use crate::trust::Trust;
pub use crate::web::speaks_no_tls;
use crate::web::{Request, Web};
use bytes::Bytes;
pub use condition::{Condition, Text};
use expect::Answer;
pub use expect::Expect;
use farol_health::{Check, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
pub use grpc::answers as is_grpc;
pub(crate) use read::KIND;
use reqwest::Response;
use reqwest::tls::TlsInfo;
use tokio::time::Instant;

/// Without a condition on the body no more of it than this is read; the rest is given up with the connection.
const MAX_BODY: u64 = 64 * 1024;

/// What an `http` check asks, and what it expects.
#[derive(Clone)]
pub struct Settings {
    request: Request,
    expect: Expect,
}

impl Settings {
    /// Asks this URL by GET and expects the default, 200 to 399.
    ///
    /// # Errors
    /// Says what a right URL looks like, without repeating it: it may hold a password.
    pub fn from_url(url: &str) -> Result<Self, String> {
        Ok(Self { request: Request::to(url)?, expect: Expect::default() })
    }

    /// Sends this header, too.
    ///
    /// # Errors
    /// Says what is wrong with it, without its value.
    pub fn header(self, name: &str, value: &str) -> Result<Self, String> {
        Ok(Self { request: self.request.header(name, value)?, ..self })
    }

    /// Asks by this method.
    ///
    /// # Errors
    /// It is not a method.
    pub fn method(self, method: &str) -> Result<Self, String> {
        Ok(Self { request: self.request.method(method)?, ..self })
    }

    /// Sends this body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { request: self.request.body(body), ..self }
    }

    /// Trusts and presents these certificates.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { request: self.request.trust(trust), ..self }
    }

    /// Follows so many redirects, at most 20.
    #[must_use]
    pub fn redirects(self, redirects: u8) -> Self {
        Self { request: self.request.redirects(redirects), ..self }
    }

    /// Expects this instead.
    #[must_use]
    pub fn expect(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }
}

/// The check.
pub struct Http {
    web: Web,
    expect: Expect,
}

impl Http {
    /// A check of this URL.
    ///
    /// # Errors
    /// The TLS library could not be set up (no trusted certificates on this machine).
    pub fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { web: Web::new(settings.request)?, expect: settings.expect })
    }

    async fn ask(&self) -> Result<Outcome, Failure> {
        let before = Instant::now();
        let mut response = self.web.send().await?;
        let seconds = before.elapsed().as_secs_f64();
        let expires = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        let expires = expires.and_then(certificate::Facts::of).map(|facts| facts.not_after);
        let is_grpc = grpc::answers(&response);
        let (body, whole) = self.body(&mut response).await?;
        let status = response.status().as_u16();
        let answer = Answer { status, is_grpc, headers: response.headers(), body: &body, whole, expires };
        let now = jiff::Timestamp::now();
        let outcome = self.expect.judge(&answer, self.web.target(), now);
        let outcome = outcome
            .with(Figure::gauge("http_response_seconds", seconds, Unit::Seconds))
            .with(Figure::gauge("http_response_status", f64::from(status), Unit::None));
        Ok(match expires {
            Some(expires) => outcome.with(certificate::figure(expires, now)),
            None => outcome,
        })
    }

    /// The body as far as a condition wants it, and whether that is all of it.
    async fn body(&self, response: &mut Response) -> Result<(Vec<u8>, bool), Failure> {
        let wanted = self.expect.wants_body();
        let mut left = if wanted {
            self.expect.body_limit
        } else {
            // A body whose length is told must come; one without may be a stream that stays open.
            response.content_length().map_or(0, |told| told.min(MAX_BODY))
        };
        let mut body = Vec::new();
        while left > 0 {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let taken = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    left -= taken as u64;
                    if wanted {
                        body.extend_from_slice(&chunk[..taken]);
                    }
                    if taken < chunk.len() {
                        break;
                    }
                }
                Ok(None) => return Ok((body, true)),
                Err(error) => return Err(self.web.failure(&error)),
            }
        }
        // Exactly at the limit it may just have ended; nobody waits to learn that.
        Ok((body, false))
    }
}

impl Check for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn target(&self) -> Option<String> {
        Some(self.web.target().to_owned())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        self.ask().map(|asked| asked.unwrap_or_else(Failure::outcome)).boxed()
    }
}
