//! A record as GELF 1.1: its names, levels and numbers. How it travels is the sink's business.

mod datagram;
mod sink;

pub(crate) use sink::Sink;

use crate::escape;
use crate::record::{Record, Severity, Value};
use std::fmt::Write as _;

/// GELF names of one record that only the record itself may set; a field so named is shown as `_field.<name>`.
const RESERVED: [&str; 2] = ["_correlation_id", "_target"];

/// One JSON object, without a line break in it.
pub(crate) fn write(out: &mut String, record: &Record<'_>, host: &str) {
    out.push_str("{\"version\":\"1.1\",\"host\":");
    escape::json(out, host);
    let first = record.message.lines().find(|line| !line.trim().is_empty());
    out.push_str(",\"short_message\":");
    // An input refuses a record whose message is empty.
    escape::json(out, first.unwrap_or("-"));
    if first.is_some_and(|first| first.len() < record.message.len()) {
        out.push_str(",\"full_message\":");
        escape::json(out, record.message);
    }
    let ms = record.at.as_millisecond();
    let (seconds, rest) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
    put(out, format_args!(",\"timestamp\":{seconds}.{rest:03},\"level\":{}", syslog(record.severity)));
    out.push_str(",\"_target\":");
    escape::json(out, record.target);
    if let Some(id) = record.correlation_id {
        out.push_str(",\"_correlation_id\":");
        escape::json(out, id);
    }
    let mut written: Vec<String> = Vec::with_capacity(record.fields.len());
    for (name, value) in &record.fields {
        let name = additional(name, &written);
        put(out, format_args!(",\"{name}\":"));
        match value {
            Value::Text(text) => escape::json(out, text),
            Value::Integer(number) => put(out, format_args!("{number}")),
            Value::Unsigned(number) => put(out, format_args!("{number}")),
            Value::Number(number) if number.is_finite() => put(out, format_args!("{number:?}")),
            Value::Number(number) => put(out, format_args!("\"{number}\"")),
            // There are only texts and numbers in GELF.
            Value::Flag(flag) => put(out, format_args!("\"{flag}\"")),
        }
        written.push(name);
    }
    out.push('}');
}

/// The name of an additional field: `_` and `[A-Za-z0-9_.-]`, no name twice, and never `_id`.
fn additional(name: &str, taken: &[String]) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '_' };
    let mut safe: String = std::iter::once('_').chain(name.chars().map(safe)).collect();
    if RESERVED.contains(&safe.as_str()) {
        safe.insert_str(1, "field.");
    }
    while safe == "_id" || taken.contains(&safe) {
        safe.push('_');
    }
    safe
}

fn syslog(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::Error => 3,
        Severity::Warning => 4,
        Severity::Info => 6,
        Severity::Debug => 7,
    }
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::record::{Record, Severity, Value};

    fn record<'a>(message: &'a str, fields: &'a [(&'static str, Value)]) -> Record<'a> {
        Record {
            at: "2026-01-15T10:30:00.0239Z".parse().unwrap(),
            severity: Severity::Warning,
            target: "farol_agent::stream",
            correlation_id: Some("abc"),
            message,
            fields: fields.iter().map(|(name, value)| (*name, value)).collect(),
        }
    }

    #[test]
    fn a_record_has_the_names_and_types_of_gelf() {
        let text = |text: &str| Value::Text(text.to_owned());
        let fields = [
            ("id", text("7")),
            ("id_", text("8")),
            ("a b\n", text("x")),
            ("a.b-c", Value::Flag(true)),
            ("target", text("mine")),
            ("host", text("forged")),
            ("n", Value::Number(2.0)),
            ("nan", Value::Number(f64::NAN)),
            ("i", Value::Integer(-3)),
        ];
        let mut out = String::new();
        write(&mut out, &record("lost\r\nall", &fields), "web-1");
        assert_eq!(
            out,
            concat!(
                r#"{"version":"1.1","host":"web-1","short_message":"lost","full_message":"lost\r\nall","#,
                r#""timestamp":1768473000.023,"level":4,"_target":"farol_agent::stream","_correlation_id":"abc","#,
                r#""_id_":"7","_id__":"8","_a_b_":"x","_a.b-c":"true","_field.target":"mine","_host":"forged","#,
                r#""_n":2.0,"_nan":"NaN","_i":-3}"#
            )
        );
    }

    #[test]
    fn a_message_is_never_empty() {
        for message in ["", " ", "\n"] {
            let mut out = String::new();
            write(&mut out, &record(message, &[]), "h");
            assert!(out.contains(r#""short_message":"-""#) && !out.contains("full_message"), "{out}");
        }
    }
}
