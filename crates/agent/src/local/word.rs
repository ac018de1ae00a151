//! What an application says of itself, read from a body and checked whole: `{status, reason, message, metadata}`. Pure.
//! Nothing is cut to fit; what does not fit is refused by name.

use crate::problem::Problem;
use axum::http::StatusCode;
use farol_health::{Outcome, Status};
use farol_wire::limits::{MESSAGE_BYTES, REASON_BYTES};
use serde_json::{Map, Value};

/// Facts of one word, and the bytes of one.
const FACTS: usize = 16;
const FACT_NAME_BYTES: usize = 64;
const FACT_BYTES: usize = 256;

const EXAMPLE: &str = r#"send for instance {"status":"degraded","message":"the queue is long"}"#;

/// A component's word: its status must be there.
pub(super) fn of_component(body: &[u8]) -> Result<Outcome, Problem> {
    let mut fields = object(body)?;
    let status = match fields.remove("status") {
        Some(Value::String(word)) => word,
        Some(_) => return Err(bad_status("`status` is no text")),
        None => return Err(bad_status("there is no `status`")),
    };
    let (status, usual) = match status.as_str() {
        "healthy" => (Status::Healthy, "ok"),
        "degraded" => (Status::Degraded, "told_degraded"),
        "unhealthy" => (Status::Unhealthy, "told_unhealthy"),
        "maintenance" => {
            return Err(bad_status(
                "`maintenance` is not told of one component (`PUT /v1/drain` takes the agent out of service)",
            ));
        }
        other => return Err(bad_status(&format!("`{:.40}` is no status", other.escape_default()))),
    };
    let reason = match fields.remove("reason") {
        None | Some(Value::Null) => usual.to_owned(),
        Some(Value::String(code)) if is_code(&code) => code,
        Some(_) => {
            let detail = format!(
                "`reason` is a code: 1 to {REASON_BYTES} of the characters a-z 0-9 _; put words into `message`"
            );
            return Err(Problem::unprocessable("bad_reason", detail));
        }
    };
    rest(Outcome::new(status, reason, ""), fields)
}

/// A heartbeat needs no body; one that comes may hold a message and facts.
pub(super) fn of_heartbeat(body: &[u8]) -> Result<Outcome, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Outcome::healthy());
    }
    rest(Outcome::healthy(), object(body)?)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(bad_json("the body is no JSON object")),
        Err(error) => Err(bad_json(&format!("the body is not JSON ({error})"))),
    }
}

/// Message and facts, and nothing else.
fn rest(mut outcome: Outcome, mut fields: Map<String, Value>) -> Result<Outcome, Problem> {
    match fields.remove("message") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if is_line(&text, MESSAGE_BYTES) => outcome.message = text,
        Some(_) => {
            let detail = format!(
                "`message` is no line of text of at most {MESSAGE_BYTES} bytes without control characters"
            );
            return Err(Problem::unprocessable("bad_message", detail));
        }
    }
    match fields.remove("metadata") {
        None | Some(Value::Null) => {}
        Some(Value::Object(facts)) if facts.len() <= FACTS => {
            for (name, value) in facts {
                let value = fact(&name, &value)?;
                outcome.metadata.push((name.into(), value));
            }
        }
        Some(_) => {
            let detail = format!("`metadata` is no object of at most {FACTS} facts");
            return Err(Problem::unprocessable("bad_metadata", detail));
        }
    }
    match fields.keys().next() {
        None => Ok(outcome),
        Some(name) => {
            let detail = format!("`{:.40}` is not known here; {EXAMPLE}", name.escape_default());
            Err(Problem::unprocessable("unknown_field", detail))
        }
    }
}

fn fact(name: &str, value: &Value) -> Result<String, Problem> {
    let named = (1..=FACT_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let text = match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    text.filter(|text| named && is_line(text, FACT_BYTES)).ok_or_else(|| {
        let detail = format!(
            "the fact `{:.40}` does not fit; names are 1 to {FACT_NAME_BYTES} of A-Z a-z 0-9 . _ -, values lines of \
             text of at most {FACT_BYTES} bytes, numbers, true or false",
            name.escape_default()
        );
        Problem::unprocessable("bad_metadata", detail)
    })
}

/// One line without control characters; U+2028 and U+2029 end lines, too.
fn is_line(text: &str, bytes: usize) -> bool {
    text.len() <= bytes && !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

fn is_code(text: &str) -> bool {
    (1..=REASON_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn bad_json(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_json", format!("{what}; {EXAMPLE}"))
}

fn bad_status(what: &str) -> Problem {
    let detail = format!("{what}; it is one of `healthy`, `degraded`, `unhealthy`: {EXAMPLE}");
    Problem::unprocessable("bad_status", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_becomes_a_result() {
        let outcome = of_component(
            br#"{"status":"degraded","reason":"queue_long","message":"the queue is long","metadata":{"shard":"a","n":3,"ok":true}}"#,
        )
        .unwrap();
        let facts = [("shard", "a"), ("n", "3"), ("ok", "true")];
        let expected = Outcome::degraded("queue_long", "the queue is long");
        let expected =
            facts.into_iter().fold(expected, |outcome, (name, value)| outcome.with_fact(name, value));
        assert_eq!(outcome, expected);
        for (status, reason) in
            [("healthy", "ok"), ("degraded", "told_degraded"), ("unhealthy", "told_unhealthy")]
        {
            let outcome =
                of_component(format!(r#"{{"status":"{status}","message":null}}"#).as_bytes()).unwrap();
            assert_eq!((outcome.status.as_str(), outcome.reason.as_ref()), (status, reason));
        }
        assert_eq!(of_heartbeat(b" \n").unwrap(), Outcome::healthy());
        let beat = of_heartbeat(br#"{"message":"1 200 rows"}"#).unwrap();
        assert_eq!((beat.status, beat.message.as_str()), (Status::Healthy, "1 200 rows"));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let with = |more: &str| format!(r#"{{"status":"healthy",{more}}}"#);
        let long = |n: usize| "x".repeat(n);
        let many = (0..17).map(|n| format!(r#""k{n}":1"#)).collect::<Vec<_>>().join(",");
        let deep = "[".repeat(60_000);
        for (body, code) in [
            (String::new(), "bad_json"),
            ("{".to_owned(), "bad_json"),
            ("[1]".to_owned(), "bad_json"),
            ("\"healthy\"".to_owned(), "bad_json"),
            (deep, "bad_json"),
            ("{}".to_owned(), "bad_status"),
            (r#"{"status":2}"#.to_owned(), "bad_status"),
            (r#"{"status":"Healthy"}"#.to_owned(), "bad_status"),
            (r#"{"status":"starting"}"#.to_owned(), "bad_status"),
            (with(r#""state":"x""#), "unknown_field"),
            (with(r#""reason":"Two words""#), "bad_reason"),
            (with(r#""reason":"""#), "bad_reason"),
            (with(&format!(r#""reason":"{}""#, long(REASON_BYTES + 1))), "bad_reason"),
            (with(r#""message":7"#), "bad_message"),
            (with(r#""message":"a\nb""#), "bad_message"),
            (with(r#""message":"\u001b[31m""#), "bad_message"),
            (with(r#""message":"a\u0000b""#), "bad_message"),
            (with(r#""message":"a\u2028b""#), "bad_message"),
            (with(&format!(r#""message":"{}""#, long(MESSAGE_BYTES + 1))), "bad_message"),
            (with(r#""metadata":[1]"#), "bad_metadata"),
            (with(&format!(r#""metadata":{{{many}}}"#)), "bad_metadata"),
            (with(r#""metadata":{"a b":"c"}"#), "bad_metadata"),
            (with(r#""metadata":{"a":["c"]}"#), "bad_metadata"),
            (with(r#""metadata":{"a":"c\r\nd"}"#), "bad_metadata"),
            (with(&format!(r#""metadata":{{"a":"{}"}}"#, long(FACT_BYTES + 1))), "bad_metadata"),
        ] {
            let problem = of_component(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code(), code, "{:.80}", body);
        }
        let problem = of_component(br#"{"status":"maintenance"}"#).unwrap_err();
        assert_eq!((problem.code(), problem.status().as_u16()), ("bad_status", 422));
        for word in ["`maintenance` is not told", "PUT /v1/drain", "`healthy`, `degraded`, `unhealthy`"] {
            assert!(problem.detail().contains(word), "{word}");
        }
        assert_eq!(of_component(b"\xff").unwrap_err().code(), "bad_json");
        assert_eq!(of_heartbeat(br#"{"status":"healthy"}"#).unwrap_err().code(), "unknown_field");
    }
}
