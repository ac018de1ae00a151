//! The kind `webhook`: the message as JSON, with a key that tells a second copy and, given a secret, a signature over
//! time and body.

use super::reading::{self, Address};
use super::{Failure, Receiver, Sent};
use crate::notify::egress::Egress;
use crate::notify::message::Message;
use aws_lc_rs::hmac;
use farol_config::{Map, Secret};
use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use std::time::Duration;

/// The form of the body; another one gets another number.
const VERSION: &str = "1";
/// The largest body, in bytes: alerts past it are left out and counted.
const BODY: usize = 1 << 20;
/// The header with the signature.
pub(crate) const SIGNATURE: &str = "x-farol-signature";

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    url: Address,
    secret: Option<Secret>,
    headers: Vec<(String, Secret)>,
    ca: Option<Vec<u8>>,
}

impl Settings {
    pub(super) fn read(m: &mut Map<'_>, egress: &Egress) -> Self {
        let headers = m.secret_pairs("headers");
        for (name, value) in &headers {
            if let Err(why) = header(name, value) {
                m.problem("headers", why);
            }
        }
        Self {
            url: reading::url(m, None, egress),
            secret: m.secret("secret").optional(),
            headers,
            ca: reading::ca(m),
        }
    }
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), String> {
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header's name"))?;
    let own = ["content-type", "content-length", "host", "idempotency-key", SIGNATURE];
    if own.contains(&parsed.as_str()) {
        return Err(format!("`{name}` is written by Farol itself; take it out"));
    }
    let mut value = HeaderValue::from_str(value.expose())
        .map_err(|_| format!("the value of `{name}` holds characters that no header may hold"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// Sends to one address.
pub(super) struct Sender {
    url: Address,
    secret: Option<Secret>,
    headers: HeaderMap,
    client: Client,
    egress: Egress,
}

impl Sender {
    pub(super) fn new(settings: &Settings, egress: &Egress) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let (name, value) = header(name, value)?;
            headers.insert(name, value);
        }
        let client = egress.client(&settings.url.0, settings.ca.as_deref())?;
        let (url, secret) = (settings.url.clone(), settings.secret.clone());
        Ok(Self { url, secret, headers, client, egress: egress.clone() })
    }

    async fn post(&self, message: &Message) -> Result<Sent, Failure> {
        let body = body(message).map_err(|why| Failure::Dead { why })?;
        let url = &self.url.0;
        let request = self
            .client
            .post(url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &*super::token(&message.notice_id));
        let request = match &self.secret {
            Some(secret) => request.header(SIGNATURE, sign(secret, Timestamp::now().as_second(), &body)),
            None => request,
        };
        self.egress.send(url, request.body(body)).await?.judge(url)?;
        Ok(Sent::default())
    }
}

impl Receiver for Sender {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn has_episodes(&self) -> bool {
        true
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        Box::pin(self.post(message))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    version: &'static str,
    #[serde(flatten)]
    message: &'a Message,
    /// So many alerts are left out.
    left_out: usize,
}

/// Halves the alerts until the body is small enough.
fn body(message: &Message) -> Result<Vec<u8>, String> {
    let write = |message: &Message, left_out: usize| {
        serde_json::to_vec(&Body { version: VERSION, message, left_out })
            .map_err(|error| format!("the message cannot be written as JSON: {error}"))
    };
    let whole = write(message, 0)?;
    if whole.len() <= BODY {
        return Ok(whole);
    }
    let mut part = message.clone();
    loop {
        part.alerts.truncate(part.alerts.len() / 2);
        let body = write(&part, message.alerts.len() - part.alerts.len())?;
        if body.len() <= BODY || part.alerts.is_empty() {
            return Ok(body);
        }
    }
}

fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())
}

/// The signature, `t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over `<unix seconds>.<body>`.
pub(crate) fn sign(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&key(secret));
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    format!("t={seconds},v1={}", super::hex(context.sign().as_ref()))
}

/// Why a signature is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The header is not of the form `t=…,v1=…`.
    #[error("the signature is not of the form `t=…,v1=…`")]
    Malformed,
    /// It was made too long ago, or in the future.
    #[error("the signature is too old, or the clocks differ")]
    Expired,
    /// It was made with another secret, or of another body.
    #[error("the signature does not belong to this body")]
    Wrong,
}

/// What a taker of webhooks does with `X-Farol-Signature`, in constant time. Several `v1` may stand in it; one must fit.
///
/// # Errors
/// The signature is not to be believed.
pub fn verify(
    secret: &Secret,
    header: &str,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), VerifyError> {
    let mut seconds = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) if seconds.is_none() => seconds = Some(text),
            Some(("v1", text)) => signatures.push(unhex(text).ok_or(VerifyError::Malformed)?),
            _ => {}
        }
    }
    let text = seconds.filter(|_| !signatures.is_empty()).ok_or(VerifyError::Malformed)?;
    let seconds: i64 = text.parse().map_err(|_| VerifyError::Malformed)?;
    let mut signed = format!("{text}.").into_bytes();
    signed.extend_from_slice(body);
    let key = key(secret);
    if !signatures.iter().any(|signature| hmac::verify(&key, &signed, signature).is_ok()) {
        return Err(VerifyError::Wrong);
    }
    if now.as_second().abs_diff(seconds) > tolerance.as_secs() { Err(VerifyError::Expired) } else { Ok(()) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let pairs = digits?;
    (pairs.len() % 2 == 0).then(|| pairs.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receivers::tests::{alert, message};

    #[test]
    fn only_the_right_secret_body_and_time_are_believed() {
        let (secret, body) = (Secret::new("whsec"), b"{\"a\":1}".as_slice());
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let header = sign(&secret, 1_700_000_000, body);
        // `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec`
        let known = "t=1700000000,v1=8ad37ba156048ae0e0a5533c75cdf26fee88b07f93cb57ee4c80adb053012032";
        assert_eq!(header, known);
        let minute = Duration::from_secs(60);
        let check = |secret: &str, header: &str, body: &[u8], after: i64| {
            let now = now + jiff::SignedDuration::from_secs(after);
            verify(&Secret::new(secret), header, body, now, minute)
        };
        assert_eq!(check("whsec", &header, body, 60), Ok(()));
        assert_eq!(check("whsec", &format!("{header},v1=00"), body, -60), Ok(()));
        assert_eq!(check("whsec", &header, body, 61), Err(VerifyError::Expired));
        assert_eq!(check("whsec", &header, body, -61), Err(VerifyError::Expired));
        assert_eq!(check("other", &header, body, 0), Err(VerifyError::Wrong));
        assert_eq!(check("whsec", &header, b"{\"a\":2}", 0), Err(VerifyError::Wrong));
        assert_eq!(check("whsec", &header.replace("t=17", "t=18"), body, 0), Err(VerifyError::Wrong));
        for malformed in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=0", "t=1,v1=zz"] {
            assert_eq!(check("whsec", malformed, body, 0), Err(VerifyError::Malformed), "{malformed}");
        }
    }

    #[test]
    fn a_body_says_its_version_and_what_was_left_out() {
        let small = message(vec![alert("a", "p")]);
        let value: serde_json::Value = serde_json::from_slice(&body(&small).unwrap()).unwrap();
        assert_eq!((&value["version"], &value["left_out"]), (&"1".into(), &0.into()));
        assert_eq!(value["alerts"][0]["labels"]["pod"], "p");
        let mut big = alert("a", "p");
        big.annotations.insert("summary".into(), "x".repeat(16_000));
        let bytes = body(&message(vec![big; 200])).unwrap();
        assert!(bytes.len() <= BODY);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let kept = value["alerts"].as_array().unwrap().len();
        assert!(kept > 0 && value["left_out"] == 200 - kept, "{kept} {}", value["left_out"]);
    }
}
