//! One HTTP call and what its answer means for a retry. Nothing of the URL but its host, and nothing of the answer but
//! its status, gets into an error.

use super::Egress;
use crate::notify::{Failure, text};
use jiff::Timestamp;
use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use std::time::Duration;

/// So much of an answer's body is read.
const BODY: usize = 64 << 10;
/// So much of it is logged.
const SHOWN: usize = 200;
/// A receiver may put us off so long at most.
const LONGEST: Duration = Duration::from_secs(3600);

/// A whole answer.
pub(in crate::notify) struct Answer {
    status: StatusCode,
    after: Option<Duration>,
    /// The beginning of the body, for the log.
    excerpt: String,
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
        let excerpt = scrubbed(url, &beginning(sent).await);
        Ok(Answer { status, after, excerpt })
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
        tracing::warn!(host, status, answer = self.excerpt, "a receiver refuses");
        let why = format!("{host} answers {status}");
        if self.status.is_redirection() {
            let why = format!("{why}, a redirect, which is not followed: name the address it leads to");
            return Err(Failure::Dead { why });
        }
        match status {
            408 | 425 | 429 | 500..=599 => Err(Failure::Retry { why, after: self.after }),
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

async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < BODY {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        let room = BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    body
}

/// The beginning of a body as one line, without the parts of the URL that may be secret.
fn scrubbed(url: &Url, body: &[u8]) -> String {
    let mut shown = String::from_utf8_lossy(body).into_owned();
    let query = url.query().into_iter().flat_map(|query| query.split(['&', '=']));
    let secrets = url.path_segments().into_iter().flatten().chain(query).chain(url.password());
    for secret in secrets.filter(|secret| secret.len() >= 6) {
        shown = shown.replace(secret, "***");
    }
    text::cut(&text::line(&shown), SHOWN).into_owned()
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
    fn an_answer_is_logged_short_and_without_the_secrets_of_its_url() {
        let url = Url::parse("https://hooks.test/services/T0SECRET/B1SECRET?token=hunter22").unwrap();
        let body = b"no T0SECRET here\r\n\x1b[31m hunter22 B1SECRET services".to_vec();
        let shown = scrubbed(&url, &body);
        assert_eq!(shown, "no *** here␍␊␛[31m *** *** ***");
        assert_eq!(scrubbed(&url, &vec![b'x'; 70_000]).chars().count(), SHOWN);
        assert_eq!(host(&Url::parse("https://u:p@a.test:8443/x?y").unwrap()), "a.test:8443");
    }
}
