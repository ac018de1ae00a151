//! A record of the log becomes OTLP's. Decides its severity, and what of its fields tells the trace it belongs to.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::{InstrumentationScope, SpanId, TraceFlags, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogBatch, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tonic::Status;
use tonic::transport::Channel;

use super::ExportError;
use super::channel::{Channels, GZIP, WithHeaders};
use super::health::Health;
use super::queue::{Dropped, Item, Queue};
use super::sender::{Export, Sender};
use crate::config::Otlp;
use crate::record::{Record, Severity, Value};

/// Libraries that carry telemetry; with each of their lines they would make more of them.
const CARRIERS: [&str; 5] = ["h2", "hyper", "hyper_util", "tonic", "tower"];
const CARRIERS_START: &str = "opentelemetry";
/// So would the export's own words.
const OWN: &str = "farol_logging::otlp";
/// Fields take about so much beside their texts.
const FIELD_BYTES: usize = 48;

/// The fields of a span that say which trace it is of.
pub(crate) struct TraceIds;

impl TraceIds {
    pub(crate) const TRACE: &'static str = "trace_id";
    pub(crate) const SPAN: &'static str = "span_id";

    pub(crate) fn has(name: &str) -> bool {
        name == Self::TRACE || name == Self::SPAN
    }
}

/// Where records are handed in.
pub(crate) struct Logs {
    queue: Arc<Queue<SdkLogRecord>>,
    /// Only makes empty records.
    logger: SdkLogger,
}

type SendLogs = Sender<SdkLogRecord, Exporter>;

pub(super) fn open(
    config: &Otlp,
    channels: &mut Channels<'_>,
    resource: &Resource,
    health: &Arc<Health>,
    dropped: &mut Dropped,
) -> Result<Option<(Logs, SendLogs)>, ExportError> {
    let Some(address) = &config.logs else { return Ok(None) };
    let mut client = LogsServiceClient::new(channels.to(address)?);
    if config.gzip {
        client = client.send_compressed(GZIP).accept_compressed(GZIP);
    }
    let scope = InstrumentationScope::builder("farol").with_version(env!("CARGO_PKG_VERSION")).build();
    let queue = Arc::new(Queue::new("logs", dropped));
    let sender = Sender {
        signal: "logs",
        address: address.clone(),
        queue: Arc::clone(&queue),
        exporter: Exporter { client, headers: channels.headers.clone(), resource: resource.into(), scope },
        timeout: config.timeout,
        health: Arc::clone(health),
    };
    let logger = SdkLoggerProvider::builder().build().logger("farol");
    Ok(Some((Logs { queue, logger }, sender)))
}

impl Logs {
    /// Hands a record in, unless it speaks of what carries it.
    pub(crate) fn take(&self, record: &Record<'_>) {
        let library = record.target.split("::").next().unwrap_or_default();
        let carries = CARRIERS.contains(&library) || library.starts_with(CARRIERS_START);
        if carries || record.target.starts_with(OWN) || super::is_own_thread() {
            return;
        }
        let (made, bytes) = self.made(record);
        self.queue.push(made, bytes);
    }

    fn made(&self, record: &Record<'_>) -> (SdkLogRecord, usize) {
        let mut made = self.logger.create_log_record();
        let at = SystemTime::from(record.at);
        made.set_timestamp(at);
        made.set_observed_timestamp(at);
        made.set_severity_text(record.severity.name());
        made.set_severity_number(number(record.severity));
        made.set_target(record.target.to_owned());
        made.set_body(AnyValue::from(record.message.to_owned()));
        let mut bytes = record.message.len() + record.target.len() + size_of::<SdkLogRecord>();
        if let Some(id) = record.correlation_id {
            made.add_attribute("correlation_id", id.to_owned());
            bytes += FIELD_BYTES + id.len();
        }
        let (mut trace, mut span) = (None, None);
        for (name, value) in &record.fields {
            match (*name, value) {
                (TraceIds::TRACE, Value::Text(text)) => trace = TraceId::from_hex(text).ok(),
                (TraceIds::SPAN, Value::Text(text)) => span = SpanId::from_hex(text).ok(),
                _ => made.add_attribute(*name, any(value)),
            }
            bytes += FIELD_BYTES + if let Value::Text(text) = value { text.len() } else { 0 };
        }
        if let (Some(trace), Some(span)) = (trace, span) {
            made.set_trace_context(trace, span, Some(TraceFlags::SAMPLED));
        }
        (made, bytes)
    }
}

fn number(severity: Severity) -> opentelemetry::logs::Severity {
    match severity {
        Severity::Debug => opentelemetry::logs::Severity::Debug,
        Severity::Info => opentelemetry::logs::Severity::Info,
        Severity::Warning => opentelemetry::logs::Severity::Warn,
        Severity::Error => opentelemetry::logs::Severity::Error,
        Severity::Critical => opentelemetry::logs::Severity::Fatal,
    }
}

fn any(value: &Value) -> AnyValue {
    match value {
        Value::Text(text) => AnyValue::from(text.clone()),
        Value::Integer(number) => AnyValue::Int(*number),
        // OTLP has no larger whole numbers.
        Value::Unsigned(number) => {
            i64::try_from(*number).map_or_else(|_| AnyValue::from(number.to_string()), AnyValue::Int)
        }
        Value::Number(number) => AnyValue::Double(*number),
        Value::Flag(flag) => AnyValue::Boolean(*flag),
    }
}

pub(super) struct Exporter {
    client: LogsServiceClient<Channel>,
    headers: WithHeaders,
    resource: ResourceAttributesWithSchema,
    scope: InstrumentationScope,
}

impl Export<SdkLogRecord> for Exporter {
    async fn export(&self, batch: &[Item<SdkLogRecord>]) -> Result<(), Status> {
        let batch: Vec<_> = batch.iter().map(|item| (&item.it, &self.scope)).collect();
        let resource_logs = group_logs_by_resource_and_scope(&LogBatch::new(&batch), &self.resource);
        let request = self.headers.request(ExportLogsServiceRequest { resource_logs });
        self.client.clone().export(request).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::{AnyValue, any, number};
    use crate::record::{Severity, Value};

    #[test]
    fn severities_have_the_numbers_of_the_specification() {
        for (severity, expected) in [
            (Severity::Debug, 5),
            (Severity::Info, 9),
            (Severity::Warning, 13),
            (Severity::Error, 17),
            (Severity::Critical, 21),
        ] {
            assert_eq!(number(severity) as u8, expected, "{severity:?}");
        }
    }

    #[test]
    fn a_number_that_otlp_cannot_hold_is_a_text() {
        assert_eq!(any(&Value::Unsigned(7)), AnyValue::Int(7));
        assert_eq!(any(&Value::Unsigned(u64::MAX)), AnyValue::from(u64::MAX.to_string()));
        assert_eq!(any(&Value::Flag(true)), AnyValue::Boolean(true));
    }
}
