//! What the series that were found are worth. Pure.

use super::page::Series;
use super::{Limits, Selector, Several};
use farol_health::{Figure, Outcome, Status, Unit};

impl Limits {
    pub(super) fn judge(&self, series: &[Series], selector: &Selector, target: &str) -> Outcome {
        let count = Figure::gauge("prometheus_series", count(series.len()), Unit::None);
        let (Some(min), Some(max)) = (least(series), most(series)) else {
            let message =
                format!("{target} has no series `{selector}`: correct `metric`, or look why it is gone");
            return Outcome::new(self.missing, "no_series", message).with(count);
        };
        let judged = self.judged(series, selector);
        let outcome = self.worst(&judged, target).with(count);
        let value = |name, value| Figure::gauge(name, value, Unit::None);
        match judged.as_slice() {
            [one] => outcome.with(value("prometheus_value", one.value).shown_as("value")),
            _ => outcome.with(value("prometheus_value_min", min)).with(value("prometheus_value_max", max)),
        }
    }

    /// The numbers that are held against the limits.
    fn judged(&self, series: &[Series], selector: &Selector) -> Vec<Series> {
        let sum = || series.iter().map(|series| series.value).sum::<f64>();
        let (word, value) = match self.several {
            Several::Each => return series.to_vec(),
            Several::Sum => ("sum", sum()),
            Several::Avg => ("avg", sum() / count(series.len())),
            Several::Min => ("min", least(series).unwrap_or(f64::NAN)),
            Several::Max => ("max", most(series).unwrap_or(f64::NAN)),
        };
        vec![Series { text: format!("{word}({selector})"), value }]
    }

    fn worst(&self, judged: &[Series], target: &str) -> Outcome {
        let find = |test: &dyn Fn(f64) -> bool| judged.iter().find(|series| test(series.value));
        if let Some(bound) = self.unhealthy
            && let Some(series) = find(&|value| bound.holds(value))
        {
            let message = format!("`{}` of {target} is {bound}: look at what it measures", series.text);
            return Outcome::unhealthy("threshold_unhealthy", message);
        }
        if let Some(series) = find(&f64::is_nan) {
            let message = format!("`{}` of {target} is not a number: look at what exports it", series.text);
            return Outcome::unknown("not_a_number", message);
        }
        if let Some(bound) = self.degraded
            && let Some(series) = find(&|value| bound.holds(value))
        {
            let message = format!("`{}` of {target} is {bound}: look at what it measures", series.text);
            return Outcome::degraded("threshold_degraded", message);
        }
        Outcome::new(Status::Healthy, "ok", "")
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are at most a thousand")]
fn count(series: usize) -> f64 {
    series as f64
}

fn least(series: &[Series]) -> Option<f64> {
    series.iter().map(|series| series.value).reduce(|a, b| if b < a || a.is_nan() { b } else { a })
}

fn most(series: &[Series]) -> Option<f64> {
    series.iter().map(|series| series.value).reduce(|a, b| if b > a || a.is_nan() { b } else { a })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Bound;

    fn judge(limits: &Limits, values: &[f64]) -> Outcome {
        let named =
            |(index, value): (usize, &f64)| Series { text: format!("a{{b=\"{index}\"}}"), value: *value };
        let series: Vec<Series> = values.iter().enumerate().map(named).collect();
        limits.judge(&series, &Selector::parse("a").unwrap(), "http://h/metrics")
    }

    fn limits(several: Several) -> Limits {
        let (degraded, unhealthy) = (Bound::parse("> 80").ok(), Bound::parse("> 95").ok());
        Limits { several, degraded, unhealthy, ..Limits::default() }
    }

    #[test]
    fn the_worst_of_what_is_judged_counts() {
        let nan = f64::NAN;
        for (several, values, reason) in [
            (Several::Each, &[80.0][..], "ok"),
            (Several::Each, &[80.0, 81.0], "threshold_degraded"),
            (Several::Each, &[81.0, 96.0, nan], "threshold_unhealthy"),
            (Several::Each, &[81.0, nan], "not_a_number"),
            (Several::Sum, &[50.0, 46.0], "threshold_unhealthy"),
            (Several::Avg, &[90.0, 80.0], "threshold_degraded"),
            (Several::Min, &[99.0, 10.0], "ok"),
            (Several::Max, &[99.0, 10.0], "threshold_unhealthy"),
            (Several::Max, &[nan], "not_a_number"),
            (Several::Each, &[], "no_series"),
        ] {
            assert_eq!(judge(&limits(several), values).reason, reason, "{several:?} {values:?}");
        }
    }

    #[test]
    fn the_message_names_the_first_bad_series_and_no_number_of_it() {
        let outcome = judge(&limits(Several::Each), &[1.0, 97.25, 98.5]);
        assert_eq!(outcome.message, "`a{b=\"1\"}` of http://h/metrics is > 95: look at what it measures");
    }

    #[test]
    fn figures_tell_one_value_or_the_span_of_several() {
        let figures = |several, values: &[f64]| {
            let outcome = judge(&limits(several), values);
            outcome
                .figures
                .into_iter()
                .map(|figure| (figure.name.into_owned(), figure.value))
                .collect::<Vec<_>>()
        };
        let named = |pairs: &[(&str, f64)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Vec<_>>()
        };
        assert_eq!(
            figures(Several::Each, &[3.0, 1.0]),
            named(&[
                ("prometheus_series", 2.0),
                ("prometheus_value_min", 1.0),
                ("prometheus_value_max", 3.0)
            ])
        );
        assert_eq!(
            figures(Several::Sum, &[3.0, 1.0]),
            named(&[("prometheus_series", 2.0), ("prometheus_value", 4.0)])
        );
        assert_eq!(figures(Several::Each, &[]), named(&[("prometheus_series", 0.0)]));
    }

    #[test]
    fn a_missing_series_is_what_the_settings_say() {
        assert_eq!(judge(&Limits::default(), &[]).status, Status::Unknown);
        let healthy = Limits { missing: Status::Healthy, ..Limits::default() };
        assert_eq!(judge(&healthy, &[]).status, Status::Healthy);
    }
}
