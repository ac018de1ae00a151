//! Performance data of Nagios plugins, `'label'=value[UOM];[warn];[crit];[min];[max]`, as figures. Pure. What breaks
//! the rules is left out, never guessed.

use super::said::clean;
use farol_health::{Figure, Kind, Unit};
use std::collections::BTreeSet;

/// Labels of one run; those beyond are left out.
const LABELS: usize = 32;
/// Bytes of a label; longer ones are left out.
const LABEL_BYTES: usize = 128;

/// What a unit of measurement means: the figure's name, that of its limits, and the factor to the base unit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measure {
    name: &'static str,
    limit: &'static str,
    kind: Kind,
    unit: Unit,
    factor: f64,
}

/// The units of the guidelines; sizes are powers of 1024 as plugins mean them. `None` is a plain number.
fn measure(unit: &str) -> Option<Measure> {
    let gauge = |name, limit, unit, factor| Measure { name, limit, kind: Kind::Gauge, unit, factor };
    let seconds = |factor| Some(gauge("command_seconds", "command_limit_seconds", Unit::Seconds, factor));
    let bytes = |power| {
        let factor = 1024f64.powi(power);
        Some(gauge("command_bytes", "command_limit_bytes", Unit::Bytes, factor))
    };
    match unit {
        "s" => seconds(1.0),
        "ms" => seconds(1e-3),
        "us" | "µs" => seconds(1e-6),
        "ns" => seconds(1e-9),
        "%" => Some(gauge("command_percent", "command_limit_percent", Unit::Percent, 1.0)),
        "B" => bytes(0),
        "KB" | "kB" | "KiB" => bytes(1),
        "MB" | "MiB" => bytes(2),
        "GB" | "GiB" => bytes(3),
        "TB" | "TiB" => bytes(4),
        "c" => Some(Measure {
            name: "command_count_total",
            limit: "command_limit_value",
            kind: Kind::Counter,
            unit: Unit::None,
            factor: 1.0,
        }),
        _ => None,
    }
}

const PLAIN: Measure = Measure {
    name: "command_value",
    limit: "command_limit_value",
    kind: Kind::Gauge,
    unit: Unit::None,
    factor: 1.0,
};

/// All figures in `text`: the values, and their thresholds, each label once.
pub(super) fn figures(text: &str) -> Vec<Figure> {
    let mut seen = BTreeSet::new();
    let mut figures = Vec::new();
    let mut rest = text;
    while let Some((label, value, after)) = next(rest) {
        rest = after;
        let label = clean(&label);
        if label.is_empty() || label.len() > LABEL_BYTES || seen.len() >= LABELS || seen.contains(&label) {
            continue;
        }
        let read = datum(&label, value);
        if !read.is_empty() {
            seen.insert(label);
            figures.extend(read);
        }
    }
    figures
}

/// The next `label=value`, and what follows it. Words that are none are passed over.
fn next(text: &str) -> Option<(String, &str, &str)> {
    let mut rest = text.trim_start();
    loop {
        if rest.is_empty() {
            return None;
        }
        let word_end = |text: &str| text.find(char::is_whitespace).unwrap_or(text.len());
        match label(rest) {
            Some((label, after)) => {
                let (value, after) = after.split_at(word_end(after));
                return Some((label, value, after));
            }
            None => rest = rest[word_end(rest)..].trim_start(),
        }
    }
}

/// A label up to and with its `=`, in quotes where it holds spaces; two quotes within stand for one.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let (label, after) = text.split_once('=')?;
        return (!label.contains(|c: char| c.is_whitespace() || c == '\''))
            .then(|| (label.to_owned(), after));
    };
    let mut label = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        label.push_str(part);
        match after.strip_prefix('\'') {
            Some(after) => {
                label.push('\'');
                rest = after;
            }
            None => return Some((label, after.strip_prefix('=')?)),
        }
    }
}

/// The value and its limits; nothing where the value is `U` or no number.
fn datum(label: &str, text: &str) -> Vec<Figure> {
    let mut parts = text.split(';');
    let (number, unit) = split_unit(parts.next().unwrap_or_default());
    let Some(value) = finite(number) else { return Vec::new() };
    let known = measure(unit);
    let measure = known.unwrap_or(PLAIN);
    let figure = |name, value: f64, kind| Figure {
        kind,
        ..Figure::gauge(name, value * measure.factor, measure.unit).label("label", label)
    };
    let mut first = figure(measure.name, value, measure.kind);
    if known.is_none() && !unit.is_empty() {
        first = first.label("unit", clean(unit));
    }
    let mut figures = vec![first];
    let mut limit = |level: &'static str, bound: &'static str, value: Option<f64>| {
        let Some(value) = value else { return };
        let limit = figure(measure.limit, value, Kind::Gauge).label("level", level);
        figures.push(if bound.is_empty() { limit } else { limit.label("bound", bound) });
    };
    for level in ["warning", "critical"] {
        if let Some(range) = parts.next().and_then(Range::parse) {
            let (low, high) = if range.inside { ("inside_low", "inside_high") } else { ("low", "high") };
            limit(level, low, range.low);
            limit(level, high, range.high);
        }
    }
    for level in ["minimum", "maximum"] {
        limit(level, "", parts.next().and_then(|text| finite(split_unit(text).0)));
    }
    figures
}

/// A number and the unit behind it.
fn split_unit(text: &str) -> (&str, &str) {
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
    let mut end = text.find(|c| !digits(c)).unwrap_or(text.len());
    let exponent = &text[end..];
    if let Some(power) = exponent.strip_prefix(['e', 'E']) {
        let signed = power.strip_prefix(['+', '-']).unwrap_or(power);
        let length = signed.find(|c: char| !c.is_ascii_digit()).unwrap_or(signed.len());
        if length > 0 {
            end += exponent.len() - signed.len() + length;
        }
    }
    text.split_at(end)
}

fn finite(number: &str) -> Option<f64> {
    number.parse().ok().filter(|value: &f64| value.is_finite())
}

/// When a threshold speaks: outside `low..=high`, or inside with `@`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    inside: bool,
    low: Option<f64>,
    high: Option<f64>,
}

impl Range {
    /// `10` (outside 0 to 10), `10:` (below), `~:10` (above), `10:20` (outside), `@10:20` (inside). The 0 that `10`
    /// implies is not told: it is the rule's, not the operator's.
    fn parse(text: &str) -> Option<Self> {
        let (inside, text) = text.strip_prefix('@').map_or((false, text), |text| (true, text));
        let number = |text: &str| finite(split_unit(text).0);
        let range = match text.split_once(':') {
            None => Self { inside, low: None, high: Some(number(text)?) },
            Some((low, high)) => Self {
                inside,
                low: if matches!(low, "~" | "") { None } else { Some(number(low)?) },
                high: if high.is_empty() { None } else { Some(number(high)?) },
            },
        };
        (range.low.is_some() || range.high.is_some()).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name{label…} value`, one a figure.
    fn told(text: &str) -> Vec<String> {
        let labels = |figure: &Figure| {
            figure.labels.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",")
        };
        let line = |figure: &Figure| {
            let name = figure.name.strip_prefix("command_").unwrap();
            format!("{name}{{{}}} {}", labels(figure), figure.value)
        };
        figures(text).iter().map(line).collect()
    }

    #[test]
    fn data_become_figures_with_base_units() {
        for (text, expected) in [
            ("a=1", &["value{a} 1"][..]),
            ("a=1 b=-2.5", &["value{a} 1", "value{b} -2.5"]),
            ("time=12ms", &["seconds{time} 0.012"]),
            ("time=3us", &["seconds{time} 0.000003"]),
            (
                "time=0.5s;;;0.000000;10.0",
                &["seconds{time} 0.5", "limit_seconds{time,minimum} 0", "limit_seconds{time,maximum} 10"],
            ),
            ("used=45%", &["percent{used} 45"]),
            (
                "/=2643MB;5948;5958;0;5968",
                &[
                    "bytes{/} 2771386368",
                    "limit_bytes{/,warning,high} 6236930048",
                    "limit_bytes{/,critical,high} 6247415808",
                    "limit_bytes{/,minimum} 0",
                    "limit_bytes{/,maximum} 6257901568",
                ],
            ),
            ("hits=7c", &["count_total{hits} 7"]),
            ("fan=900rpm", &["value{fan,rpm} 900"]),
            ("a=1e3 b=2E-2s c=3e", &["value{a} 1000", "seconds{b} 0.02", "value{c,e} 3"]),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn labels_may_be_quoted_and_each_counts_once() {
        for (text, expected) in [
            ("'a b'=1", &["value{a b} 1"][..]),
            ("'it''s'=1", &["value{it's} 1"]),
            ("''''=1", &["value{'} 1"]),
            ("'C:\\ %'=1%", &["percent{C:\\ %} 1"]),
            ("a=1 a=2", &["value{a} 1"]),
            ("a=U a=2", &["value{a} 2"]),
            ("'a\u{1b}[1m'=1", &["value{a} 1"]),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_breaks_the_rules_is_left_out_and_the_rest_is_read() {
        let nothing = [
            "", "   ", "a", "=1", "''=1", "a=", "a=U", "a=nan", "a=inf", "a=1-2", "'a=1", "'a'1", "|;;=;",
            "a'b=1",
        ];
        for text in nothing {
            assert_eq!(told(text), [""; 0], "{text}");
            assert_eq!(told(&format!("{text} z=1")).len(), 1, "{text}");
        }
        assert_eq!(told(&format!("{}=1 b=1", "x".repeat(LABEL_BYTES + 1))), ["value{b} 1"]);
        let many: String = (0..100).map(|n| format!("n{n}=1 ")).collect();
        assert_eq!(told(&many).len(), LABELS);
        assert_eq!(told("a=1e999"), [""; 0]);
    }

    #[test]
    fn thresholds_are_ranges() {
        let range = |inside, low, high| Some(Range { inside, low, high });
        for (text, expected) in [
            ("10", range(false, None, Some(10.0))),
            ("10:", range(false, Some(10.0), None)),
            ("~:10", range(false, None, Some(10.0))),
            ("10:20", range(false, Some(10.0), Some(20.0))),
            ("@10:20", range(true, Some(10.0), Some(20.0))),
            ("-5:-1", range(false, Some(-5.0), Some(-1.0))),
            ("", None),
            ("~:", None),
            ("x", None),
            ("1:x", None),
            ("@", None),
        ] {
            assert_eq!(Range::parse(text), expected, "{text}");
        }
        let told = told("a=1;@2:3;4:;0");
        assert_eq!(
            told[1..3],
            ["limit_value{a,warning,inside_low} 2", "limit_value{a,warning,inside_high} 3"]
        );
        assert_eq!(told[3..], ["limit_value{a,critical,low} 4", "limit_value{a,minimum} 0"]);
    }
}
