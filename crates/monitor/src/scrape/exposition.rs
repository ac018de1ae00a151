//! How metrics are spelled: Prometheus' text format 0.0.4 and OpenMetrics 1.0, and which of the two a reader wants.
//! Knows no metric.

use axum::http::{HeaderMap, header};
use std::io::Write;

/// In which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `text/plain; version=0.0.4`
    Text,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

impl Kind {
    /// The same to who exports it.
    pub(super) fn exported(self) -> farol_logging::MetricKind {
        match self {
            Self::Gauge => farol_logging::MetricKind::Gauge,
            Self::Counter => farol_logging::MetricKind::Counter,
        }
    }
}

impl Format {
    /// What the reader likes best; text when it does not say.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (mut open, mut text) = (0, 0);
        let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
        for range in ranges.flat_map(|line| line.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let (mut quality, mut version) = (1_000, None);
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                match key.trim() {
                    "q" => quality = thousandths(value.trim()),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            if name.eq_ignore_ascii_case("application/openmetrics-text") {
                if matches!(version, None | Some("1.0.0" | "0.0.1")) {
                    open = open.max(quality);
                }
            } else if name.eq_ignore_ascii_case("text/plain") || name == "*/*" || name == "text/*" {
                text = text.max(quality);
            }
        }
        if open > 0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What comes before a family's samples.
    pub(super) fn head(self, out: &mut Vec<u8>, name: &str, kind: Kind, help: &str) {
        let (family, word) = match (self, kind) {
            (_, Kind::Gauge) => (name, "gauge"),
            (Self::Text, Kind::Counter) => (name, "counter"),
            // OpenMetrics names a counter's family without the ending of its samples, and knows no other counter.
            (Self::OpenMetrics, Kind::Counter) => match name.strip_suffix("_total") {
                Some(family) => (family, "counter"),
                None => (name, "unknown"),
            },
        };
        self.family(out, family, word, help);
    }

    /// The same with the family's name and the type's word as they are to stand there.
    pub(super) fn family(self, out: &mut Vec<u8>, family: &str, word: &str, help: &str) {
        push(out, &["# HELP ", family, " "]);
        for byte in help.bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'"' if self == Self::OpenMetrics => out.extend_from_slice(b"\\\""),
                _ => out.push(byte),
            }
        }
        push(out, &["\n# TYPE ", family, " ", word, "\n"]);
    }

    /// What comes after everything.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        if self == Self::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }
}

fn thousandths(quality: &str) -> u32 {
    let quality: f64 = quality.parse().unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and 1000")]
    let thousandths = (quality.clamp(0.0, 1.0) * 1_000.0) as u32;
    thousandths
}

/// Appends pieces of text.
pub(super) fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    pieces.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
}

/// Appends `name="value"`.
pub(super) fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    push(out, &[name, "=\""]);
    escaped(out, value);
    out.push(b'"');
}

/// Appends a label's value as it stands between quotation marks.
pub(super) fn escaped(out: &mut Vec<u8>, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        return out.extend_from_slice(value.as_bytes());
    }
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(byte),
        }
    }
}

/// Whole numbers up to here are exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a number, so that reading it gives the same bits (a NaN's payload aside).
pub(super) fn number(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.fract() == 0.0 && value.abs() < EXACT && (value != 0.0 || value.is_sign_positive()) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
        whole(out, value as i64);
    } else {
        // The shortest digits that lead back to the value, with an exponent where it is far from one.
        write(out, format_args!("{value:?}"));
    }
}

fn whole(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        let digit = (rest % 10) as u8;
        digits[at] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn spelled(value: f64) -> String {
        let mut out = Vec::new();
        number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_short_and_exact() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0.0"),
            (1.0, "1"),
            (-42.0, "-42"),
            (0.1, "0.1"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (-9_007_199_254_740_991.0, "-9007199254740991"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            (1.5e-7, "1.5e-7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in cases {
            assert_eq!(spelled(value), expected);
        }
    }

    proptest! {
        #[test]
        fn a_number_leads_back_to_its_bits(bits in any::<u64>(), small in any::<i32>()) {
            for value in [f64::from_bits(bits), f64::from(small), f64::from(small) / 8.0] {
                if !value.is_nan() {
                    prop_assert_eq!(spelled(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
                }
            }
        }

        #[test]
        fn an_escaped_value_never_ends_its_label_or_its_line(value in "\\PC*|[\\\\\"\n]*") {
            let mut out = Vec::new();
            escaped(&mut out, &value);
            let text = String::from_utf8(out).unwrap();
            let mut back = String::new();
            let mut signs = text.chars();
            while let Some(sign) = signs.next() {
                prop_assert!(sign != '"' && sign != '\n');
                match sign {
                    '\\' => back.push(match signs.next() { Some('n') => '\n', Some(sign) => sign, None => '?' }),
                    sign => back.push(sign),
                }
            }
            prop_assert_eq!(back, value);
        }
    }

    #[test]
    fn a_counters_family_is_named_as_the_format_wants_it() {
        let head = |format: Format, name, kind| {
            let mut out = Vec::new();
            format.head(&mut out, name, kind, "a \"b\" \\ c\nd");
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            head(Format::Text, "x_total", Kind::Counter),
            "# HELP x_total a \"b\" \\\\ c\\nd\n# TYPE x_total counter\n"
        );
        assert_eq!(
            head(Format::OpenMetrics, "x_total", Kind::Counter),
            "# HELP x a \\\"b\\\" \\\\ c\\nd\n# TYPE x counter\n"
        );
        assert!(head(Format::OpenMetrics, "x", Kind::Counter).ends_with("# TYPE x unknown\n"));
        assert!(head(Format::OpenMetrics, "x_total", Kind::Gauge).ends_with("# TYPE x_total gauge\n"));
    }

    #[test]
    fn the_reader_gets_the_format_it_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let cases = [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=2.0.0"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some("application/openmetrics-text;q=0.3, text/plain"), Format::Text),
            (Some("application/openmetrics-text;q=junk"), Format::Text),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(Format::of(&headers), expected, "{accept:?}");
        }
    }
}
