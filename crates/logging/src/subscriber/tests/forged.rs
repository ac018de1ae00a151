//! A table: whatever stands in a message, a field, a field's name, a span, a target or an id, in each format it is
//! one record and no other.

use serde_json::Value;

use super::log;
use crate::Format;
use crate::record::VALUE_BYTES;

/// What would end a line, begin another, or steer a terminal.
fn hostile() -> Vec<(&'static str, String)> {
    [
        ("CR LF", "a\r\n2026-01-15T10:30:00.000Z CRITICAL forged: lost"),
        ("LF and JSON", "a\"}\n{\"level\":\"CRITICAL\",\"message\":\"forged\"}"),
        ("GELF's end", "a\0{\"version\":\"1.1\",\"short_message\":\"forged\",\"level\":2}\0"),
        ("ANSI", "\u{1b}[2K\u{1b}[1A\u{1b}[31mforged\u{9b}0m\u{7}"),
        ("quotes", "a\" level=\"CRITICAL\" \\\" ' ` \\"),
        ("Unicode's line ends", "a\u{2028}forged\u{2029}forged\u{85}forged\u{b}\u{c}"),
        ("direction", "\u{202e}degrof\u{2066}\u{200f}"),
    ]
    .into_iter()
    .map(|(name, text)| (name, text.to_owned()))
    .chain([("1 MB", "x\n".repeat(512 * 1024)), ("1 MB without a break", "x".repeat(1024 * 1024))])
    .collect()
}

fn everywhere(format: Format, text: &str) -> String {
    log(format, "info", || {
        let _request = tracing::info_span!("request", correlation_id = text).entered();
        let span = tracing::info_span!("span", in_span = text, later = tracing::field::Empty).entered();
        span.record("later", text);
        let error = std::io::Error::other(text.to_owned());
        tracing::info!(
            target: "log",
            {
                log.target = text,
                plain = text,
                shown = %text,
                debugged = ?text,
                error = &error as &dyn std::error::Error,
                "na\r\nme\u{1b}[31m\" level=CRITICAL\u{2028}\0" = text,
            },
            "{text}"
        );
    })
    .text()
}

/// The one line, without its end; nothing in it may steer a reader.
fn one_line<'a>(text: &'a str, what: &str) -> &'a str {
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("{what}: no line"));
    let dangerous =
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}' | '\u{2066}');
    assert!(!line.contains(dangerous), "{what}: {:.300?}", line);
    line
}

#[test]
fn no_text_anywhere_forges_a_record_of_json_or_gelf() {
    for (what, text) in hostile() {
        for (format, level) in [(Format::Json, Value::from("INFO")), (Format::Gelf, Value::from(6))] {
            let written = everywhere(format, &text);
            let line = one_line(&written, what);
            let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(record["level"], level, "{what}");
            let (plain, debugged) = match format {
                Format::Gelf => (&record["_plain"], &record["_debugged"]),
                _ => (&record["plain"], &record["debugged"]),
            };
            if text.len() <= VALUE_BYTES {
                assert_eq!((plain, debugged), (&text.clone().into(), &format!("{text:?}").into()), "{what}");
            }
            let full = usize::from(record.get("full_message").is_some());
            let expected = if format == Format::Json { 12 } else { 14 + full };
            assert_eq!(record.as_object().unwrap().len(), expected, "{what}: {line:.400}");
        }
    }
}

#[test]
fn no_text_anywhere_forges_a_record_of_text() {
    for (what, text) in hostile() {
        let written = everywhere(Format::Text, &text);
        let line = one_line(&written, what);
        let head = line.split_whitespace().nth(1);
        assert_eq!(head, Some("INFO"), "{what}");
    }
}

#[test]
fn a_field_of_a_megabyte_is_cut_with_a_mark() {
    for format in [Format::Json, Format::Gelf, Format::Text] {
        let written = everywhere(format, &"x".repeat(1024 * 1024));
        let cut = 1024 * 1024 - VALUE_BYTES;
        assert!(written.contains(&format!("xxx… ({cut} bytes more)")), "{format:?}");
        assert!(written.len() < 12 * (VALUE_BYTES + 64), "{format:?}: {}", written.len());
    }
}
