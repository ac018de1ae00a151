//! Values and words over time, as they are written: `50+0x6 90x12 _x3 60`, `healthy unhealthyx3 healthy`. Decides what
//! each stands for.

use farol_health::Status;
use std::fmt;
use std::str::FromStr;

/// A sequence has no more steps: a typo must not take all memory.
const STEPS_AT_MOST: usize = 100_000;

/// What a component is from a step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Status(Status),
    /// Its agent holds it under maintenance.
    Maintenance,
    /// Nothing is heard of it.
    Stale,
    /// Its agent does not have it any more.
    Gone,
}

/// Values; `None` is a step without one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values(pub(super) Vec<Option<f64>>);

/// Words; `None` is a step in which nothing is said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Words(pub(super) Vec<Option<Word>>);

impl FromStr for Values {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut values = Vec::new();
        for part in text.split_ascii_whitespace() {
            values.extend(run(part)?);
            few(values.len())?;
        }
        some(values).map(Self)
    }
}

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = Vec::new();
        for part in text.split_ascii_whitespace() {
            let (word, times) = match times(part) {
                Some((word, times)) => (word, times?),
                None => (part, 1),
            };
            let word = match word {
                "_" => None,
                "maintenance" => Some(Word::Maintenance),
                "stale" => Some(Word::Stale),
                "gone" => Some(Word::Gone),
                status => Some(Word::Status(status.parse().map_err(|_| {
                    format!(
                        "`{status}` is none of unknown, starting, healthy, degraded, unhealthy, maintenance, stale, \
                         gone and _"
                    )
                })?)),
            };
            words.extend(std::iter::repeat_n(word, times));
            few(words.len())?;
        }
        some(words).map(Self)
    }
}

fn some<T>(steps: Vec<T>) -> Result<Vec<T>, String> {
    if steps.is_empty() { Err("it is empty".to_owned()) } else { Ok(steps) }
}

fn few(steps: usize) -> Result<(), String> {
    let most = STEPS_AT_MOST;
    if steps > most { Err(format!("it has more than {most} steps")) } else { Ok(()) }
}

/// The part before an `x` and the number after it; `None` where it ends in no such thing.
fn times(part: &str) -> Option<(&str, Result<usize, String>)> {
    let (what, times) = part.rsplit_once('x')?;
    if times.is_empty() || !times.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let times = times.parse().ok().filter(|times| *times <= STEPS_AT_MOST);
    Some((what, times.ok_or_else(|| format!("`{part}` has more than {STEPS_AT_MOST} steps"))))
}

/// One value, one value and as many more, or as many steps without one.
fn run(part: &str) -> Result<Vec<Option<f64>>, String> {
    let Some((what, times)) = times(part) else {
        return Ok(vec![if part == "_" { None } else { Some(number(part, part)?) }]);
    };
    let times = times?;
    if what == "_" {
        return Ok(vec![None; times]);
    }
    // A sign after the first character that is none of an exponent is that of the step.
    let signs = what
        .char_indices()
        .skip(1)
        .filter(|(at, c)| matches!(c, '+' | '-') && !what[..*at].ends_with(['e', 'E']));
    let (first, step) = match signs.last() {
        Some((at, _)) => (number(&what[..at], part)?, number(&what[at..], part)?),
        None => (number(what, part)?, 0.0),
    };
    Ok((0..=times).map(|n| Some(first + step * n as f64)).collect())
}

fn number(text: &str, part: &str) -> Result<f64, String> {
    let parsed = text.parse::<f64>();
    parsed.map_err(|_| format!("`{part}` is neither a number, nor one such as 50+2x6 or 90x5, nor _ or _x3"))
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(|value| value.map_or("_".to_owned(), |value| value.to_string()));
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(|word| match word {
            None => "_",
            Some(Word::Status(status)) => status.as_str(),
            Some(Word::Maintenance) => "maintenance",
            Some(Word::Stale) => "stale",
            Some(Word::Gone) => "gone",
        });
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_stand_for_their_steps() {
        for (text, steps) in [
            ("5", "5"),
            ("50+0x2 90x1 _x3 60", "50 50 50 90 90 _ _ _ 60"),
            ("1+2x3 -1-1x2 _", "1 3 5 7 -1 -2 -3 _"),
            ("1e3+1e-1x1", "1000 1000.1"),
            ("10-2.5x2", "10 7.5 5"),
            ("7x0", "7"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(text.parse::<Values>().unwrap().to_string(), steps, "{text}");
        }
        for (text, steps) in [
            ("healthy unhealthyx3 healthy", "healthy unhealthy unhealthy unhealthy healthy"),
            ("_x2 stale maintenance gone", "_ _ stale maintenance gone"),
        ] {
            assert_eq!(text.parse::<Words>().unwrap().to_string(), steps, "{text}");
        }
        for text in ["", "x3", "5x", "5x1000000", "1+x3", "a", "5x60000 5x60000", "5x99999999999999999999"] {
            assert!(text.parse::<Values>().is_err(), "{text}");
        }
        for text in ["", "ill", "healthyx100001", "x"] {
            assert!(text.parse::<Words>().is_err(), "{text}");
        }
    }
}
