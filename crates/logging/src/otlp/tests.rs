//! Against a collector made of the generated server: what is sent, tried again, given up, and how it all ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Exports, MetricKind, Running, start};
use crate::config::{Otlp, Process};
use crate::record::{Record, Severity, Value};

/// Answers each export with the next of these, then with OK, and keeps what it took.
#[derive(Clone, Default)]
struct Collector {
    answers: Arc<Mutex<Vec<Status>>>,
    asked: Arc<Mutex<usize>>,
    took: Arc<Mutex<Vec<String>>>,
    /// Refuses what is longer.
    limit: Option<Limit>,
}

/// In bytes of a message.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// As gRPC's own libraries say it.
    Exhausted(usize),
    /// As Rust's says it.
    Decoding(usize),
}

impl Collector {
    fn answer(&self, message: &impl Message) -> Result<(), Status> {
        *self.asked.lock() += 1;
        match self.limit {
            Some(Limit::Exhausted(limit)) if message.encoded_len() > limit => {
                Err(Status::resource_exhausted("the collector's own words: s3cret"))
            }
            _ => self.answers.lock().pop().map_or(Ok(()), Err),
        }
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.answer(request.get_ref())?;
        let scopes = request.into_inner().resource_logs.into_iter().flat_map(|of| of.scope_logs);
        let records = scopes.flat_map(|scope| scope.log_records);
        self.took.lock().extend(records.map(|record| format!("{:?}", record.body)));
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.answer(request.get_ref())?;
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
        self.took.lock().extend(scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    /// Serves until the set is dropped.
    async fn serve(&self) -> (SocketAddr, JoinSet<()>) {
        self.serve_with(Server::builder()).await
    }

    async fn serve_with(&self, mut server: Server) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut service = LogsServiceServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip);
        if let Some(Limit::Decoding(limit)) = self.limit {
            service = service.max_decoding_message_size(limit);
        }
        let metrics = MetricsServiceServer::new(self.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let server = server.add_service(service).add_service(metrics);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        (address, serving)
    }

    async fn has_taken(&self, message: &str) {
        let taken = async {
            while !self.took.lock().iter().any(|took| took.contains(message)) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), taken).await.unwrap_or_else(|_| panic!("{message} has not come"));
    }
}

fn logs_to(address: SocketAddr) -> (Exports, Running) {
    exports(&[("logs_endpoint", &format!("http://{address}"))])
}

fn exports(settings: &[(&str, &str)]) -> (Exports, Running) {
    let text = |name| settings.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    let (config, problems) = Otlp::of(|key| text(key.name));
    assert_eq!(problems, []);
    start(&config.unwrap(), &Process::default()).unwrap()
}

fn log(exports: &Exports, target: &str, message: &str, fields: &[(&'static str, &Value)]) {
    exports.logs.as_ref().unwrap().take(&Record {
        at: Timestamp::now(),
        severity: Severity::Info,
        target,
        correlation_id: None,
        message,
        fields: fields.to_vec(),
    });
}

fn dropped(exports: &Exports) -> u64 {
    exports.dropped.counts().map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_now_is_sent_again_and_what_is_refused_is_dropped_and_counted() {
    let mut cases = JoinSet::new();
    for (code, passes) in [
        (Code::Unavailable, true),
        (Code::DeadlineExceeded, true),
        (Code::ResourceExhausted, false),
        (Code::InvalidArgument, false),
        (Code::Unauthenticated, false),
        (Code::Unimplemented, false),
        (Code::Internal, false),
    ] {
        cases.spawn(answered_once_with(code, passes));
    }
    cases.join_all().await;
}

async fn answered_once_with(code: Code, passes: bool) {
    let collector = Collector::default();
    collector.answers.lock().push(Status::new(code, "the collector's own words: s3cret"));
    let (address, _serving) = collector.serve().await;
    let (exports, running) = logs_to(address);
    log(&exports, "farol", "first", &[]);
    let asked = async {
        while *collector.asked.lock() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), asked).await.unwrap();
    log(&exports, "farol", "second", &[]);
    collector.has_taken("second").await;
    let first = collector.took.lock().iter().any(|took| took.contains("first"));
    assert_eq!((first, dropped(&exports)), (passes, u64::from(!passes)), "{code:?}");
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_sends_what_waits_and_a_carriers_lines_are_not_taken() {
    let collector = Collector::default();
    let (address, _serving) = collector.serve().await;
    let (exports, running) = logs_to(address);
    let long = Value::Text("x".repeat(32 << 10));
    log(&exports, "farol", "kept", &[("long", &long), ("number", &Value::Unsigned(u64::MAX))]);
    for target in ["h2", "h2::codec", "hyper_util::client", "tonic::transport", "opentelemetry_sdk"] {
        log(&exports, target, "of a carrier", &[]);
    }
    log(&exports, "h2o", "of another", &[]);
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
    let took = collector.took.lock().join(" ");
    assert!(took.contains("kept") && took.contains("of another") && !took.contains("carrier"), "{took}");
    assert_eq!(dropped(&exports), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_or_is_away_costs_the_end_no_more_than_its_time() {
    let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [hangs.local_addr().unwrap(), away] {
        let (exports, running) = logs_to(address);
        for n in 0..10_000 {
            log(&exports, "farol", &n.to_string(), &[]);
        }
        let began = Instant::now();
        tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
        assert!(began.elapsed() < super::LAST + super::GRACE * 3, "{:?}", began.elapsed());
        assert_eq!(dropped(&exports), 10_000, "all are counted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_is_believed_where_its_certificate_is_signed_by_whom_it_should() {
    let signed = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (own, strange) = (signed("localhost"), signed("localhost"));
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::default();
    let identity = Identity::from_pem(own.cert.pem(), own.signing_key.serialize_pem());
    let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
    let (address, _serving) = collector.serve_with(server).await;
    let endpoint = format!("https://localhost:{}", address.port());
    for (name, made, arrives) in [("strange", &strange, false), ("own", &own, true)] {
        let ca = folder.path().join(name);
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let settings =
            [("logs_endpoint", endpoint.as_str()), ("ca", ca.to_str().unwrap()), ("compression", "gzip")];
        let (exports, running) = exports(&settings);
        log(&exports, "farol", name, &[]);
        tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
        assert_eq!((collector.took.lock().len(), dropped(&exports)), (arrives.into(), u64::from(!arrives)));
    }
    let (config, _) = Otlp::of(|key| match key.name {
        "endpoint" => Some(endpoint.clone()),
        "ca" => Some("nowhere.pem".to_owned()),
        _ => None,
    });
    let told = start(&config.unwrap(), &Process::default()).map(drop).unwrap_err().to_string();
    assert!(told.starts_with("logging.otlp.ca: nowhere.pem cannot be read"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_is_too_much_at_once_all_that_fits_arrives_once_and_the_rest_is_counted() {
    let mut cases = JoinSet::new();
    for limit in [Limit::Exhausted(4_096), Limit::Decoding(4_096)] {
        cases.spawn(limited_to(limit));
    }
    cases.join_all().await;
}

async fn limited_to(limit: Limit) {
    let collector = Collector { limit: Some(limit), ..Collector::default() };
    let (address, _serving) = collector.serve().await;
    let (exports, running) = logs_to(address);
    let long = Value::Text("x".repeat(5_000));
    for n in 0..600 {
        log(&exports, "farol", &format!("line {n}."), &[]);
        if n % 250 == 0 {
            log(&exports, "farol", "long", &[("long", &long)]);
        }
    }
    collector.has_taken("line 599.").await;
    log(&exports, "farol", "later", &[]);
    collector.has_taken("later").await;
    let took = collector.took.lock().clone();
    for n in 0..600 {
        let times = took.iter().filter(|took| took.contains(&format!("line {n}."))).count();
        assert_eq!(times, 1, "line {n} to {limit:?}");
    }
    assert_eq!((took.len(), dropped(&exports)), (601, 3), "{limit:?}");
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_says_when_is_asked_again_then_with_all_of_it() {
    let collector = Collector::default();
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
    let busy = Status::with_error_details(Code::ResourceExhausted, "busy", details);
    collector.answers.lock().push(busy);
    let (address, _serving) = collector.serve().await;
    let (exports, running) = logs_to(address);
    log(&exports, "farol", "first", &[]);
    log(&exports, "farol", "second", &[]);
    let asked = async {
        while *collector.asked.lock() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), asked).await.unwrap();
    let began = Instant::now();
    collector.has_taken("second").await;
    assert!(began.elapsed() > Duration::from_millis(2_900), "{:?}", began.elapsed());
    let took = (*collector.asked.lock(), collector.took.lock().len(), dropped(&exports));
    assert_eq!(took, (2, 2, 0));
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_that_are_too_much_are_counted_and_the_next_that_fit_arrive() {
    let collector = Collector { limit: Some(Limit::Exhausted(4_096)), ..Collector::default() };
    let (address, _serving) = collector.serve().await;
    let (exports, running) =
        exports(&[("metrics_endpoint", &format!("http://{address}")), ("interval", "1s")]);
    let many = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&many);
    exports.metrics.as_ref().unwrap().add(
        "farol",
        Box::new(move |metrics| {
            metrics.family("lamps", MetricKind::Gauge, "Lamps.");
            for n in 0..if told.load(Relaxed) { 1_000 } else { 1 } {
                metrics.sample([("at", n.to_string().as_str())], 1.0);
            }
        }),
    );
    let counted = async {
        while dropped(&exports) == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), counted).await.unwrap();
    assert_eq!(exports.dropped.counts().collect::<Vec<_>>(), [("metrics", 1)]);
    many.store(false, Relaxed);
    collector.has_taken("lamps").await;
    assert_eq!(dropped(&exports), 1);
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}
