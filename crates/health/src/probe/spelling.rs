//! How times, durations and figures are spelled in the probe documents. Decides no status.

use crate::{Figure, Unit};
use jiff::Timestamp;
use serde_json::{Number, Value};
use std::time::Duration;

/// Whole numbers up to here are exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// RFC 3339 in UTC, to the second.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// Hours, minutes and seconds: `72:30:15`.
pub(super) fn uptime(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Whole milliseconds, below 10 with one decimal where it says something: `12ms`, `2.4ms`, `2ms`.
pub(super) fn response_time(took: Duration) -> String {
    short(took.as_secs_f64() * 1_000.0, "ms")
}

/// The same with seconds: `42s`, `2.4s`.
pub(super) fn age(ms: u64) -> String {
    short(Duration::from_millis(ms).as_secs_f64(), "s")
}

fn short(value: f64, unit: &str) -> String {
    let tenths = (value * 10.0).round();
    if tenths >= 100.0 || tenths % 10.0 == 0.0 {
        format!("{value:.0}{unit}")
    } else {
        format!("{:.1}{unit}", tenths / 10.0)
    }
}

/// A figure for people: `"45%"`, or a plain number. `None` for what is no number.
pub(super) fn figure(figure: &Figure) -> Option<Value> {
    match figure.unit {
        Unit::Percent if figure.value.is_finite() => {
            Some(format!("{:.0}%", figure.value.round() + 0.0).into())
        }
        _ => number(figure.value).map(Value::Number),
    }
}

/// A JSON number, without a decimal point where the value is whole. `None` for infinities and NaN.
pub(super) fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
        return Some((value as i64).into());
    }
    Number::from_f64(value)
}

/// One line without control characters.
pub(super) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_and_below_ten_have_one_decimal() {
        let cases = [
            (0, "0ms"),
            (40, "0ms"),
            (50, "0.1ms"),
            (2_000, "2ms"),
            (2_400, "2.4ms"),
            (9_940, "9.9ms"),
            (9_960, "10ms"),
            (10_400, "10ms"),
            (10_600, "11ms"),
            (512_345, "512ms"),
            (61_000_000, "61000ms"),
        ];
        for (micros, expected) in cases {
            assert_eq!(response_time(Duration::from_micros(micros)), expected, "{micros} µs");
        }
        assert_eq!(age(1_240), "1.2s");
        assert_eq!(age(42_900), "43s");
    }

    #[test]
    fn uptime_counts_hours_beyond_a_day() {
        let cases = [
            (0, "00:00:00"),
            (59_999, "00:00:59"),
            (261_015_000, "72:30:15"),
            (360_000_000, "100:00:00"),
            (u64::MAX, "5124095576030:25:51"),
        ];
        for (ms, expected) in cases {
            assert_eq!(uptime(ms), expected, "{ms} ms");
        }
    }

    #[test]
    fn figures_are_numbers_or_percent_and_what_is_no_number_is_left_out() {
        let cases = [
            (5.0, Unit::None, Some(Value::from(5))),
            (-0.0, Unit::None, Some(Value::from(0))),
            (0.25, Unit::Seconds, Some(Value::from(0.25))),
            (1.5e300, Unit::None, Some(Value::from(1.5e300))),
            (4_294_967_296.0, Unit::Bytes, Some(Value::from(4_294_967_296_u64))),
            (45.4, Unit::Percent, Some(Value::from("45%"))),
            (-0.2, Unit::Percent, Some(Value::from("0%"))),
            (f64::NAN, Unit::None, None),
            (f64::INFINITY, Unit::Percent, None),
            (f64::NEG_INFINITY, Unit::Bytes, None),
        ];
        for (value, unit, expected) in cases {
            assert_eq!(figure(&Figure::gauge("x", value, unit)), expected, "{value} {unit:?}");
        }
    }

    #[test]
    fn times_are_utc_to_the_second() {
        let at: Timestamp = "2026-01-15T10:30:00.987Z".parse().unwrap();
        assert_eq!(time(at), "2026-01-15T10:30:00Z");
    }
}
