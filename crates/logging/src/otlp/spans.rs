//! Spans on their way out. Which are made is `crate::trace`'s business, which of them are recorded the sampler's.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};

use super::ExportError;
use super::channel::{Channels, refused};
use super::health::Health;
use super::queue::{Dropped, Item, Queue};
use super::sender::{Export, Sender};
use crate::config::Otlp;

/// An attribute takes about so much, its text included.
const ATTRIBUTE_BYTES: usize = 128;

type SendSpans = Sender<SpanData, Exporter>;

pub(super) fn open(
    config: &Otlp,
    channels: &mut Channels<'_>,
    resource: &Resource,
    health: &Arc<Health>,
    dropped: &mut Dropped,
) -> Result<Option<(SdkTracer, SendSpans)>, ExportError> {
    let Some(address) = &config.traces else { return Ok(None) };
    let builder = channels.set_up(SpanExporter::builder().with_tonic(), address)?;
    let mut exporter = builder.build().map_err(refused)?;
    exporter.set_resource(resource);
    let queue = Arc::new(Queue::new("traces", dropped));
    let sender = Sender {
        signal: "traces",
        address: address.clone(),
        queue: Arc::clone(&queue),
        exporter: Exporter(exporter),
        timeout: config.timeout,
        health: Arc::clone(health),
    };
    Ok(Some((tracer(Processor(queue), config.sample), sender)))
}

/// Without a share the library's own reading of `OTEL_TRACES_SAMPLER` counts: who asks decides, else all.
pub(crate) fn tracer(processor: impl SpanProcessor + 'static, share: Option<f64>) -> SdkTracer {
    let mut builder = SdkTracerProvider::builder().with_span_processor(processor);
    if let Some(share) = share {
        builder = builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))));
    }
    let scope = InstrumentationScope::builder("farol").with_version(env!("CARGO_PKG_VERSION")).build();
    builder.build().tracer_with_scope(scope)
}

/// Puts what has ended into the queue.
#[derive(Debug)]
struct Processor(Arc<Queue<SpanData>>);

impl SpanProcessor for Processor {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            let bytes = (span.attributes.len() + span.events.len() + 4) * ATTRIBUTE_BYTES;
            self.0.push(span, bytes);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// The thread's end sends what waits.
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

pub(super) struct Exporter(SpanExporter);

impl Export<SpanData> for Exporter {
    async fn export(&self, batch: &[Item<SpanData>]) -> OTelSdkResult {
        self.0.export(batch.iter().map(|item| item.it.clone()).collect()).await
    }
}
