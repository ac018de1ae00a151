//! One HTTP call and what its answer means for a retry. Nothing of the URL but its host, and nothing of the answer but
//! its status, gets into an error or the log: an answer may repeat whatever secret it was sent, in any form.

use super::Egress;
use crate::notify::{Failure, text};
use jiff::Timestamp;
use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use std::time::Duration;

/// An answer's body is waited for so long, so that its connection serves again.
const BODY_WITHIN: Duration = Duration::from_millis(500);
/// So much of it is read.
const BODY: usize = 64 << 10;
/// So much of an error of ours is shown.
const SHOWN: usize = 200;
/// A receiver may put us off so long at most.
const LONGEST: Duration = Duration::from_secs(3600);

/// What counts of an answer.
pub(in crate::notify) struct Answer {
    status: StatusCode,
    after: Option<Duration>,
}

impl Egress {
    /// Sends a request that was made for this URL.
    pub(in crate::notify) async fn send(
        &self,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<Answer, Failure> {
        // Names are judged when they are resolved, which an address never is.
        self.check_url(url).map_err(|why| Failure::Dead { why })?;
        let sent = request.send().await.map_err(|error| Failure::retry(unreachable(url, &error)))?;
        let after = sent.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|value| retry_after(value, Timestamp::now()));
        let status = sent.status();
        // The status says it all, whether or not the body ends.
        drop(tokio::time::timeout(BODY_WITHIN, pass_over(sent)).await);
        Ok(Answer { status, after })
    }
}

impl Answer {
    /// Success, or what to do instead.
    pub(in crate::notify) fn judge(self, url: &Url) -> Result<(), Failure> {
        if self.status.is_success() {
            return Ok(());
        }
        let host = host(url);
        let status = self.status.as_u16();
        tracing::warn!(host, status, "a receiver refuses");
        let why = format!("{host} answers {status}");
        if self.status.is_redirection() {
            let why = format!("{why}, a redirect, which is not followed: name the address it leads to");
            return Err(Failure::Dead { why });
        }
        match status {
            408 | 425 | 429 | 500..=599 => Err(Failure::Retry { why, after: self.after }),
            // A secret that is being changed, a proxy in between, a service that is being rolled out.
            401 | 403 | 404 | 407 => Err(Failure::Unsure { why }),
            _ => Err(Failure::Dead { why }),
        }
    }
}

/// Host and port.
pub(in crate::notify) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn unreachable(url: &Url, error: &reqwest::Error) -> String {
    let host = host(url);
    if error.is_timeout() {
        return format!("{host} does not answer in time");
    }
    format!("{host} cannot be reached: {}", text::cut(&text::line(&root(error)), SHOWN))
}

/// What is at the bottom of an error: those above repeat the URL.
pub(super) fn root(error: &reqwest::Error) -> String {
    let Some(mut at) = std::error::Error::source(error) else {
        return "the request cannot be made".to_owned();
    };
    while let Some(deeper) = at.source() {
        at = deeper;
    }
    at.to_string()
}

async fn pass_over(mut response: Response) {
    let mut read = 0;
    while read < BODY {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        read += chunk.len();
    }
}

/// Seconds or a date; one that is past is no delay.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let after = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    Some(after.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_a_date_and_capped() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (value, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("86400", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("Sun, 01 Mar 2026 12:01:30 GMT", Some(90)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", Some(0)),
            ("Mon, 02 Mar 2026 12:00:00 GMT", Some(3600)),
            ("soon", None),
            ("", None),
            ("-5", None),
        ] {
            let found = retry_after(value, now).map(|after| after.as_secs());

            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn a_host_is_named_with_its_port_and_without_its_secrets() {
        assert_eq!(host(&Url::parse("https://u:p@a.test:8443/x?y").unwrap()), "a.test:8443");
    }
}
