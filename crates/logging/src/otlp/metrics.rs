//! This process's own metrics by OTLP: what its parts tell for `/metrics`, told here again. Knows no metric; a failed
//! export is made good by the next, because all counts go on from the start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ToldResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;
use tonic::Status;
use tonic::transport::Channel;

use super::channel::{Channels, GZIP, WithHeaders};
use super::failure::Next;
use super::health::Health;
use super::queue::Dropped;
use super::sender::within;
use super::{End, ExportError};
use crate::config::Otlp;

/// A collector may put the next export off for so long, if the interval is not longer.
const LONGEST: Duration = Duration::from_secs(30);

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Up and down.
    Gauge,
    /// Up only, from the start of the process.
    Counter,
    /// Counts by upper bounds, from the start of the process.
    Histogram,
}

/// Takes metrics as a part of the process tells them.
#[derive(Debug)]
pub struct Metrics {
    told: Vec<Metric>,
    started: u64,
    now: u64,
}

impl Metrics {
    fn new(started: u64) -> Self {
        Self { told: Vec::new(), started, now: nanos() }
    }

    /// The next samples are of this metric. Its unit is the one its name ends with.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str) {
        let temporality = AggregationTemporality::Cumulative.into();
        let data = match kind {
            MetricKind::Gauge => metric::Data::Gauge(Gauge::default()),
            MetricKind::Counter => metric::Data::Sum(Sum {
                data_points: Vec::new(),
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            MetricKind::Histogram => metric::Data::Histogram(Histogram {
                data_points: Vec::new(),
                aggregation_temporality: temporality,
            }),
        };
        self.told.push(Metric {
            name: name.to_owned(),
            description: help.to_owned(),
            unit: unit(name).to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        });
    }

    /// A sample of a gauge or a counter.
    pub fn sample<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) {
        let mut point = NumberDataPoint {
            attributes: attributes(labels),
            time_unix_nano: self.now,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        };
        match self.told.last_mut().and_then(|metric| metric.data.as_mut()) {
            Some(metric::Data::Gauge(gauge)) => gauge.data_points.push(point),
            Some(metric::Data::Sum(sum)) => {
                point.start_time_unix_nano = self.started;
                sum.data_points.push(point);
            }
            _ => debug_assert!(false, "a sample of no gauge and no counter"),
        }
    }

    /// A sample of a histogram; `below` has the counts up to each of `bounds`, those of lower bounds included.
    pub fn histogram<'a>(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        bounds: &[f64],
        below: &[u64],
        (count, sum): (u64, f64),
    ) {
        let mut before = 0;
        let each = below.iter().copied().chain([count]).map(|upto| {
            let own = upto.saturating_sub(before);
            before = upto;
            own
        });
        let point = HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.started,
            time_unix_nano: self.now,
            count,
            sum: Some(sum),
            bucket_counts: each.collect(),
            explicit_bounds: bounds.to_vec(),
            ..HistogramDataPoint::default()
        };
        match self.told.last_mut().and_then(|metric| metric.data.as_mut()) {
            Some(metric::Data::Histogram(histogram)) => histogram.data_points.push(point),
            _ => debug_assert!(false, "a sample of no histogram"),
        }
    }
}

fn attributes<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<KeyValue> {
    let text = |text: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    let pair = |(key, value): (&str, &str)| KeyValue {
        key: key.to_owned(),
        value: text(value),
        ..KeyValue::default()
    };
    labels.into_iter().map(pair).collect()
}

/// As Prometheus' names have it at their end.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        // A count's would be `1`, of which translators to Prometheus make `_ratio`.
        _ => "",
    }
}

fn nanos() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0)
}

type Tell = Box<dyn Fn(&mut Metrics) + Send>;

/// Those who tell metrics.
#[derive(Default)]
pub(crate) struct Sources(Mutex<Vec<(&'static str, Tell)>>);

impl Sources {
    /// The scope parts two of one process that tell the same metric.
    pub(crate) fn add(&self, scope: &'static str, tell: Tell) {
        self.0.lock().push((scope, tell));
    }
}

/// Asks all sources every interval, and at the end.
pub(super) struct SendMetrics {
    sources: Arc<Sources>,
    client: MetricsServiceClient<Channel>,
    headers: WithHeaders,
    resource: ToldResource,
    address: String,
    started: u64,
    interval: Duration,
    timeout: Duration,
    health: Arc<Health>,
    /// Exports that did not arrive.
    dropped: Arc<AtomicU64>,
}

pub(super) fn open(
    config: &Otlp,
    channels: &mut Channels<'_>,
    resource: &Resource,
    health: &Arc<Health>,
    dropped: &mut Dropped,
) -> Result<Option<(Arc<Sources>, SendMetrics)>, ExportError> {
    let Some(address) = &config.metrics else { return Ok(None) };
    let mut client = MetricsServiceClient::new(channels.to(address)?);
    if config.gzip {
        client = client.send_compressed(GZIP).accept_compressed(GZIP);
    }
    let sources = Arc::new(Sources::default());
    let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
    let sender = SendMetrics {
        sources: Arc::clone(&sources),
        client,
        headers: channels.headers.clone(),
        resource: ToldResource { attributes, ..ToldResource::default() },
        address: address.clone(),
        started: nanos(),
        interval: config.interval,
        timeout: config.timeout,
        health: Arc::clone(health),
        dropped: dropped.of("metrics"),
    };
    Ok(Some((sources, sender)))
}

impl SendMetrics {
    pub(super) async fn run(mut self, end: End) {
        let first = tokio::time::Instant::now() + self.interval;
        let mut ticks = tokio::time::interval_at(first, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ends, timeout) = (end.clone(), self.timeout);
        loop {
            let ending = tokio::select! {
                () = ends.begins() => true,
                _ = ticks.tick() => false,
            };
            match within(self.send(), timeout, &end).await {
                Ok(()) => self.health.works("metrics"),
                Err(failure) => {
                    self.dropped.fetch_add(1, Relaxed);
                    self.health.fails("metrics", &self.address, &failure);
                    if let Next::Later(Some(told)) = failure.next {
                        ticks.reset_after(told.clamp(self.interval, LONGEST.max(self.interval)));
                    }
                }
            }
            if ending {
                return;
            }
        }
    }

    async fn send(&mut self) -> Result<(), Status> {
        let scope_metrics = self.told();
        if scope_metrics.is_empty() {
            return Ok(());
        }
        let told = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics,
            ..ResourceMetrics::default()
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![told] };
        self.client.export(self.headers.request(request)).await.map(drop)
    }

    fn told(&self) -> Vec<ScopeMetrics> {
        let sources = self.sources.0.lock();
        let told = sources.iter().map(|(scope, tell)| {
            let mut metrics = Metrics::new(self.started);
            tell(&mut metrics);
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let scope = InstrumentationScope {
                name: (*scope).to_owned(),
                version,
                ..InstrumentationScope::default()
            };
            ScopeMetrics { scope: Some(scope), metrics: metrics.told, ..ScopeMetrics::default() }
        });
        told.filter(|told| !told.metrics.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{MetricKind, Metrics, metric, unit};

    #[test]
    fn a_histograms_counts_are_told_one_by_one() {
        let mut metrics = Metrics::new(1);
        metrics.family("x_seconds", MetricKind::Histogram, "X.");
        metrics.histogram([("a", "b")], &[0.1, 1.0], &[2, 5], (7, 9.5));
        let Some(metric::Data::Histogram(told)) = &metrics.told[0].data else { panic!("a histogram") };
        let point = &told.data_points[0];
        assert_eq!(point.bucket_counts, [2, 3, 2]);
        assert_eq!(
            (point.count, point.sum, point.explicit_bounds.as_slice()),
            (7, Some(9.5), &[0.1, 1.0][..])
        );
    }

    #[test]
    fn units_are_those_of_the_names() {
        for (name, expected) in [
            ("farol_request_duration_seconds", "s"),
            ("process_cpu_seconds_total", "s"),
            ("farol_agent_ring_bytes", "By"),
            ("farol_requests_total", ""),
            ("farol_component_status", ""),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
