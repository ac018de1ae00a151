//! A record becomes a line, in JSON, GELF or as text. Each line ends with the only newline in it.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::config::Format;
use crate::escape;
use crate::gelf;
use crate::record::{Record, Severity, Value};

/// Keys that only the record itself may set; a field so named is shown as `field.<name>`.
const RESERVED: [&str; 5] = ["timestamp", "level", "correlation_id", "message", "target"];

/// The shape of lines, with colour or without.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) format: Format,
    /// Only on a terminal, and never in JSON.
    pub(crate) colour: bool,
    /// Who sends, in GELF.
    host: Arc<str>,
}

impl Style {
    pub(crate) fn new(format: Format, colour: bool) -> Self {
        let name = rustix::system::uname();
        let name = name.nodename().to_string_lossy();
        Self { format, colour, host: if name.is_empty() { "localhost" } else { &*name }.into() }
    }

    pub(crate) fn line(&self, record: &Record<'_>) -> String {
        let mut out = String::with_capacity(256);
        match self.format {
            Format::Json => json(&mut out, record),
            Format::Text => text(&mut out, record, self.colour),
            Format::Gelf => gelf::write(&mut out, record, &self.host),
        }
        out.push('\n');
        out
    }
}

fn json(out: &mut String, record: &Record<'_>) {
    put(out, format_args!("{{\"timestamp\":\"{:.3}\",\"level\":\"{}\"", record.at, record.severity.name()));
    if let Some(id) = record.correlation_id {
        out.push_str(",\"correlation_id\":");
        escape::json(out, id);
    }
    out.push_str(",\"message\":");
    escape::json(out, record.message);
    out.push_str(",\"target\":");
    escape::json(out, record.target);
    for (name, value) in &record.fields {
        out.push(',');
        if RESERVED.contains(name) {
            // One of these words, so nothing in it needs escaping.
            put(out, format_args!("\"field.{name}\""));
        } else {
            escape::json(out, name);
        }
        out.push(':');
        match value {
            // Whole numbers keep a fraction so that a field has one type on every line.
            Value::Number(number) if number.is_finite() => put(out, format_args!("{number:?}")),
            Value::Number(number) => put(out, format_args!("\"{number}\"")),
            Value::Text(text) => escape::json(out, text),
            plain => scalar(out, plain),
        }
    }
    out.push('}');
}

fn text(out: &mut String, record: &Record<'_>, colour: bool) {
    let (on, dim, off) =
        if colour { (paint(record.severity), "\u{1b}[2m", "\u{1b}[0m") } else { ("", "", "") };
    put(out, format_args!("{dim}{:.3}{off} {on}{:<8}{off} {dim}", record.at, record.severity.name()));
    escape::text(out, record.target);
    put(out, format_args!(":{off} "));
    escape::text(out, record.message);
    let id = record.correlation_id.map(|id| Value::Text(id.to_owned()));
    let last = id.iter().map(|value| ("correlation_id", value));
    for (name, value) in record.fields.iter().copied().chain(last) {
        put(out, format_args!(" {dim}"));
        escape::word(out, name);
        put(out, format_args!("={off}"));
        match value {
            Value::Text(text) => escape::word(out, text),
            plain => scalar(out, plain),
        }
    }
}

fn scalar(out: &mut String, value: &Value) {
    match value {
        Value::Text(text) => escape::json(out, text),
        Value::Integer(number) => put(out, format_args!("{number}")),
        Value::Unsigned(number) => put(out, format_args!("{number}")),
        Value::Number(number) => put(out, format_args!("{number}")),
        Value::Flag(flag) => put(out, format_args!("{flag}")),
    }
}

fn paint(severity: Severity) -> &'static str {
    match severity {
        Severity::Debug => "\u{1b}[2m",
        Severity::Info => "\u{1b}[32m",
        Severity::Warning => "\u{1b}[33m",
        Severity::Error => "\u{1b}[31m",
        Severity::Critical => "\u{1b}[1;31m",
    }
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::Style;
    use crate::config::Format;
    use crate::record::{Record, Severity, Value};

    fn line(format: Format, colour: bool) -> String {
        let values = [
            ("agent.id", Value::Text("payments-1".to_owned())),
            ("duration_ms", Value::Number(2.0)),
            ("ratio", Value::Number(f64::NAN)),
            ("count", Value::Integer(-3)),
            ("bytes", Value::Unsigned(u64::MAX)),
            ("ready", Value::Flag(true)),
            ("level", Value::Text("forged level".to_owned())),
        ];
        Style::new(format, colour).line(&Record {
            at: "2026-01-15T10:30:00.1239Z".parse().unwrap(),
            severity: Severity::Warning,
            target: "farol_agent::stream",
            correlation_id: Some("abc"),
            message: "stream is \"lost\"\nagain",
            fields: values.iter().map(|(name, value)| (*name, value)).collect(),
        })
    }

    #[test]
    fn json_has_the_record_first_and_the_fields_flat() {
        assert_eq!(
            line(Format::Json, true),
            concat!(
                r#"{"timestamp":"2026-01-15T10:30:00.123Z","level":"WARNING","correlation_id":"abc","#,
                r#""message":"stream is \"lost\"\nagain","target":"farol_agent::stream","agent.id":"payments-1","#,
                r#""duration_ms":2.0,"ratio":"NaN","count":-3,"bytes":18446744073709551615,"ready":true,"#,
                r#""field.level":"forged level"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn text_is_one_line_with_the_correlation_id_last() {
        assert_eq!(
            line(Format::Text, false),
            concat!(
                r#"2026-01-15T10:30:00.123Z WARNING  farol_agent::stream: stream is "lost"\nagain "#,
                r#"agent.id=payments-1 duration_ms=2 ratio=NaN count=-3 bytes=18446744073709551615 ready=true "#,
                r#"level="forged level" correlation_id=abc"#,
                "\n"
            )
        );
    }

    #[test]
    fn colour_is_the_only_difference_on_a_terminal() {
        let coloured = line(Format::Text, true);
        assert!(coloured.contains("\u{1b}[33mWARNING"));
        let mut plain = coloured;
        for code in ["\u{1b}[2m", "\u{1b}[33m", "\u{1b}[0m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, line(Format::Text, false));
    }
}
