//! How the agent's own metrics leave it: spelled in Prometheus' text format, or exported. Knows no metric.

use farol_logging::{MetricKind, Metrics};
use std::fmt::Write as _;

/// Takes families, one after the other.
pub(super) enum Families<'a> {
    /// Writes them.
    Page(&'a mut String),
    /// Exports them.
    Exported(&'a mut Metrics),
}

impl Families<'_> {
    /// The next samples are of this family.
    pub(super) fn head(&mut self, name: &str, kind: MetricKind, help: &str) {
        let word = match kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
        };
        match self {
            // Writing to a String does not fail.
            Self::Page(out) => drop(writeln!(out, "# HELP {name} {help}\n# TYPE {name} {word}")),
            Self::Exported(metrics) => metrics.family(name, kind, help),
        }
    }

    /// One sample of a gauge or a counter.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        match self {
            Self::Page(out) => line(out, name, labels, value),
            Self::Exported(metrics) => metrics.sample(labels.iter().copied(), value),
        }
    }

    /// A family of one sample without labels.
    pub(super) fn one(&mut self, name: &str, kind: MetricKind, help: &str, value: f64) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }

    /// One sample of a histogram.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
        below: &[u64],
        (count, sum): (u64, f64),
    ) {
        let out = match self {
            Self::Page(out) => out,
            Self::Exported(metrics) => {
                return metrics.histogram(labels.iter().copied(), bounds, below, (count, sum));
            }
        };
        let bucket = format!("{name}_bucket");
        let finite = bounds.iter().map(|bound| format!("{bound:?}")).zip(below.iter().copied());
        for (bound, below) in finite.chain([("+Inf".to_owned(), count)]) {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            line(out, &bucket, &labels, below as f64);
        }
        line(out, &format!("{name}_sum"), labels, sum);
        line(out, &format!("{name}_count"), labels, count as f64);
    }
}

/// Label values here are names (`[A-Za-z0-9._-]`) or our own words: none needs escaping.
fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    out.push_str(name);
    for (position, (label, text)) in labels.iter().enumerate() {
        let open = if position == 0 { '{' } else { ',' };
        write!(out, "{open}{label}=\"{text}\"").ok();
    }
    writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" }).ok();
}
