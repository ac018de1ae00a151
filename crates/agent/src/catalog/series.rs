//! What a series is and what one sample of it is. Knows no ids: those are the catalog's.

use farol_health::{Kind, Unit};
use farol_series::Encoding;
use std::borrow::Cow;
use std::sync::Arc;

/// Longest name of a series and of a label, in bytes.
const LONGEST_NAME: usize = 200;
const LONGEST_LABEL: usize = 128;
/// Longest value of a label, in bytes.
const LONGEST_VALUE: usize = 1_024;
/// Most labels of one series.
const MOST_LABELS: usize = 32;

/// The name, labels and meaning of one series. Made once by whoever measures it and shared by all its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Prometheus style, unit in the name.
    name: Cow<'static, str>,
    /// Sorted by name, each name once.
    labels: Vec<(Cow<'static, str>, String)>,
    /// Whether it only rises.
    kind: Kind,
    /// What it counts.
    unit: Unit,
    /// Digits after the point that its values are known to need: spares the wire a new segment when the first
    /// value happens to be a whole number.
    digits: u8,
}

impl Series {
    /// A series without labels that goes up and down.
    pub fn gauge(name: impl Into<Cow<'static, str>>, unit: Unit) -> Self {
        Self { name: name.into(), labels: Vec::new(), kind: Kind::Gauge, unit, digits: 0 }
    }

    /// A series without labels that only goes up.
    pub fn counter(name: impl Into<Cow<'static, str>>, unit: Unit) -> Self {
        Self { kind: Kind::Counter, ..Self::gauge(name, unit) }
    }

    /// A series of this kind without labels.
    pub fn of(name: impl Into<Cow<'static, str>>, kind: Kind, unit: Unit) -> Self {
        Self { kind, ..Self::gauge(name, unit) }
    }

    /// Says that its values are rounded to so many digits after the point (at most 9).
    #[must_use]
    pub fn digits(mut self, digits: u8) -> Self {
        self.digits = digits.min(9);
        self
    }

    /// Adds a label, or gives the one of this name another value.
    #[must_use]
    pub fn label(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        let name = name.into();
        match self.labels.binary_search_by(|(known, _)| known.as_ref().cmp(name.as_ref())) {
            Ok(at) => self.labels[at].1 = value.into(),
            Err(at) => self.labels.insert(at, (name, value.into())),
        }
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The labels, sorted by name.
    #[must_use]
    pub fn labels(&self) -> &[(Cow<'static, str>, String)] {
        &self.labels
    }

    /// Gauge or counter.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it counts.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The encoding to begin with: what the digits promise, and what the first value needs.
    #[must_use]
    pub fn encoding(&self, first: f64) -> Encoding {
        let promised = if self.digits == 0 { Encoding::Integer } else { Encoding::Decimal(self.digits) };
        promised.widen(first)
    }

    /// Whether every name is one that Prometheus knows (`[a-zA-Z_][a-zA-Z0-9_]*`, a series' also with `:`, a label's
    /// not with `__` in front) and nothing is longer than the wire carries.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        name_is_valid(&self.name, true)
            && self.labels.len() <= MOST_LABELS
            && self.labels.iter().all(|(name, value)| label_is_valid(name) && value.len() <= LONGEST_VALUE)
    }
}

fn label_is_valid(name: &str) -> bool {
    name.len() <= LONGEST_LABEL && !name.starts_with("__") && name_is_valid(name, false)
}

fn name_is_valid(name: &str, colon: bool) -> bool {
    name.len() <= LONGEST_NAME
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || (colon && b == b':'))
}

/// One number measured in this tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What was measured.
    pub series: Arc<Series>,
    /// What it was.
    pub value: f64,
}

/// The samples of one tick of one source, in the order in which they were measured. Used again tick after tick:
/// where the order stays, a push touches neither the heap nor a count of references. As long as the longest tick.
#[derive(Debug, Default)]
pub struct Row {
    /// This tick's samples, and behind them those of longer ticks before it.
    samples: Vec<Sample>,
    /// How many are this tick's.
    len: usize,
}

impl Row {
    /// An empty row.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the next tick.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a sample.
    pub fn push(&mut self, series: &Arc<Series>, value: f64) {
        match self.samples.get_mut(self.len) {
            Some(sample) => {
                if !Arc::ptr_eq(&sample.series, series) {
                    sample.series = Arc::clone(series);
                }
                sample.value = value;
            }
            None => self.samples.push(Sample { series: Arc::clone(series), value }),
        }
        self.len += 1;
    }

    /// Adds a sample when there is one: what could not be measured is absent, never 0.
    pub fn push_some(&mut self, series: &Arc<Series>, value: Option<f64>) {
        if let Some(value) = value {
            self.push(series, value);
        }
    }

    /// This tick's samples.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_each_stands_once() {
        let series = Series::gauge("a", Unit::None).label("z", "1").label("b", "2").label("z", "3");
        let labels: Vec<_> = series.labels().iter().map(|(n, v)| (n.as_ref(), v.as_str())).collect();
        assert_eq!(labels, [("b", "2"), ("z", "3")]);
    }

    #[test]
    fn only_names_that_prometheus_takes_are_valid() {
        let cases = [
            (Series::gauge("system_load1", Unit::None), true),
            (Series::gauge("job:rate5m", Unit::None), true),
            (Series::gauge("", Unit::None), false),
            (Series::gauge("1st", Unit::None), false),
            (Series::gauge("caffè", Unit::None), false),
            (Series::gauge("a b", Unit::None), false),
            (Series::gauge("x".repeat(201), Unit::None), false),
            (Series::gauge("a", Unit::None).label("mount", "/a \"b\"\n"), true),
            (Series::gauge("a", Unit::None).label("a:b", ""), false),
            (Series::gauge("a", Unit::None).label("__a", ""), false),
            (Series::gauge("a", Unit::None).label("x".repeat(129), ""), false),
            (Series::gauge("a", Unit::None).label("a", "x".repeat(1_025)), false),
        ];
        for (series, valid) in cases {
            assert_eq!(series.is_valid(), valid, "{series:?}");
        }
    }

    #[test]
    fn a_row_used_again_holds_only_the_new_ticks_samples() {
        let (a, b) = (Arc::new(Series::gauge("a", Unit::None)), Arc::new(Series::gauge("b", Unit::None)));
        let mut row = Row::new();
        row.push(&a, 1.0);
        row.push(&b, 2.0);
        row.clear();
        row.push_some(&a, None);
        row.push_some(&b, Some(3.0));
        assert_eq!(row.samples(), [Sample { series: b, value: 3.0 }]);
    }
}
