//! Spans on their way out. Which are made is `crate::trace`'s business, which of them are recorded the sampler's.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tonic::Status;
use tonic::transport::Channel;

use super::ExportError;
use super::channel::{Channels, GZIP, WithHeaders};
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
    let mut client = TraceServiceClient::new(channels.to(address)?);
    if config.gzip {
        client = client.send_compressed(GZIP).accept_compressed(GZIP);
    }
    let queue = Arc::new(Queue::new("traces", dropped));
    let sender = Sender {
        signal: "traces",
        address: address.clone(),
        queue: Arc::clone(&queue),
        exporter: Exporter { client, headers: channels.headers.clone(), resource: resource.into() },
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

pub(super) struct Exporter {
    client: TraceServiceClient<Channel>,
    headers: WithHeaders,
    resource: ResourceAttributesWithSchema,
}

impl Export<SpanData> for Exporter {
    async fn export(&self, batch: &[Item<SpanData>]) -> Result<(), Status> {
        let spans = batch.iter().map(|item| item.it.clone()).collect();
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        let request = self.headers.request(ExportTraceServiceRequest { resource_spans });
        self.client.clone().export(request).await.map(drop)
    }
}
