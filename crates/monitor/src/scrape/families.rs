//! How the monitor's own metrics leave it: spelled on a page, or exported by OTLP. Knows no metric.

use super::exposition::{Format, Kind, label, number, push};
use farol_logging::Metrics;

/// Takes families whose samples are at hand.
pub(super) enum Families<'a> {
    /// Writes them.
    Page { out: &'a mut Vec<u8>, format: Format },
    /// Exports them.
    Exported(&'a mut Metrics),
}

/// One sample of a histogram.
pub(super) struct Bins<'a> {
    pub(super) labels: [(&'static str, &'a str); 3],
    /// How many were no longer than each bound.
    pub(super) below: &'a [u64],
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl Families<'_> {
    /// A family of one sample without labels.
    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.many(name, kind, help, [(vec![], value)]);
    }

    /// The same of a whole number.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(super) fn count(&mut self, name: &str, help: &str, value: usize) {
        self.one(name, Kind::Gauge, help, value as f64);
    }

    /// A counter without labels.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(super) fn total(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, Kind::Counter, help, value as f64);
    }

    /// A family of several samples.
    pub(super) fn many<'a>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        match self {
            Self::Page { out, format } => {
                format.head(out, name, kind, help);
                for (labels, value) in samples {
                    sample(out, name, &labels, value);
                }
            }
            Self::Exported(metrics) => {
                metrics.family(name, kind.exported(), help);
                for (labels, value) in samples {
                    metrics.sample(labels, value);
                }
            }
        }
    }

    /// A histogram with these bounds.
    pub(super) fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[f64],
        samples: impl IntoIterator<Item = Bins<'a>>,
    ) {
        match self {
            Self::Page { out, format } => {
                format.family(out, name, "histogram", help);
                for sample in samples {
                    bins(out, name, bounds, &sample);
                }
            }
            Self::Exported(metrics) => {
                metrics.family(name, farol_logging::MetricKind::Histogram, help);
                for Bins { labels, below, count, sum } in samples {
                    metrics.histogram(labels, bounds, below, (count, sum));
                }
            }
        }
    }
}

/// The lines of one histogram's sample.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn bins(out: &mut Vec<u8>, name: &str, bounds: &[f64], of: &Bins<'_>) {
    let bucket = format!("{name}_bucket");
    let below = bounds.iter().map(|bound| format!("{bound:?}")).zip(of.below.iter().copied());
    for (bound, below) in below.chain([("+Inf".to_owned(), of.count)]) {
        let labels: Vec<_> = of.labels.into_iter().chain([("le", bound.as_str())]).collect();
        sample(out, &bucket, &labels, below as f64);
    }
    sample(out, &format!("{name}_sum"), &of.labels, of.sum);
    sample(out, &format!("{name}_count"), &of.labels, of.count as f64);
}

/// One line.
pub(super) fn sample(out: &mut Vec<u8>, name: &str, labels: &[(&str, &str)], value: f64) {
    push(out, &[name]);
    for (at, (key, text)) in labels.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        label(out, key, text);
    }
    push(out, &[if labels.is_empty() { " " } else { "} " }]);
    number(out, value);
    out.push(b'\n');
}
