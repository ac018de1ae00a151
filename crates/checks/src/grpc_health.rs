//! Kind `grpc_health`: the status that a server gives by grpc.health.v1. Asks by Check over a connection that is
//! kept, or keeps a Watch open and reads what has come since the last run. What the answers are called stands in
//! `reason.rs`.

mod read;
mod reason;

use crate::failure::Failure;
use crate::kept::{Kept, Server};
use crate::trust::Trust;
use farol_health::grpc::client::{self, Retry, Watched};
use farol_health::{Check, Figure, Outcome, Unit};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
pub(crate) use read::KIND;
use std::time::Duration;
use tokio::time::Instant;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

/// Not even a check with a longer deadline waits longer for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// A watched connection is pinged after so long without traffic, and its answer may take so long.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// So many changes are read in one run; a server that sends more is still heard in the next.
const MAX_CHANGES: usize = 1_000;
/// What a server may send ahead: its answers are a few bytes each.
const WINDOW: u32 = 64 << 10;

/// How the status is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One call a run.
    #[default]
    Check,
    /// One call that stays open, over which the server sends each change.
    Watch,
}

/// What a `grpc_health` check asks.
#[derive(Clone, Debug)]
pub struct Settings {
    endpoint: Endpoint,
    /// Scheme, host and port, for messages.
    target: String,
    service: String,
    mode: Mode,
    metadata: Metadata,
    trust: Trust,
}

impl Settings {
    /// Asks for the whole server's status at `http://host:port`, or `https://…` for TLS.
    ///
    /// # Errors
    /// Says what a right URL looks like.
    pub fn from_url(url: &str) -> Result<Self, String> {
        let wrong = || "it is not a server's address; write for instance `http://127.0.0.1:50051`".to_owned();
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| wrong())?;
        let uri = endpoint.uri();
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let (Some(scheme), Some(authority), true) = (scheme, authority, bare) else { return Err(wrong()) };
        let target = format!("{scheme}://{authority}");
        let (service, mode, metadata) = (String::new(), Mode::default(), Metadata::default());
        Ok(Self { endpoint, target, service, mode, metadata, trust: Trust::default() })
    }

    /// Asks for this service.
    #[must_use]
    pub fn service(self, service: impl Into<String>) -> Self {
        Self { service: service.into(), ..self }
    }

    /// Asks in this way.
    #[must_use]
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Trusts and presents these certificates.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Sends this metadata, too.
    ///
    /// # Errors
    /// Says what is wrong with it, without its value.
    pub fn metadata(mut self, name: &str, value: &str) -> Result<Self, String> {
        let key = MetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes()).map_err(|_| {
            format!("`{name}` is not a name of metadata (names that end in `-bin` are not taken)")
        })?;
        let mut value = MetadataValue::try_from(value)
            .map_err(|_| format!("the value of `{name}` holds characters that no metadata may hold"))?;
        value.set_sensitive(true);
        self.metadata.0.insert(key, value);
        Ok(self)
    }
}

/// Goes along with each call.
#[derive(Clone, Debug, Default)]
struct Metadata(MetadataMap);

impl Interceptor for Metadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for entry in self.0.iter() {
            if let tonic::metadata::KeyAndValueRef::Ascii(key, value) = entry {
                request.metadata_mut().insert(key.clone(), value.clone());
            }
        }
        Ok(request)
    }
}

type Connection = InterceptedService<Channel, Metadata>;

/// A call that stays open.
struct Watch {
    changes: BoxStream<'static, Watched>,
    /// The newest that came; stands until the next.
    last: Watched,
}

/// The check.
pub struct GrpcHealth {
    settings: Settings,
    /// Kept between runs, so that a run measures a call.
    kept: Kept<Connection>,
    /// Kept between runs, because it hears what happens meanwhile.
    watched: Kept<Watch>,
}

impl GrpcHealth {
    /// A check of this server.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let mut endpoint = settings.endpoint.clone();
        if endpoint.uri().scheme_str() == Some("https") {
            // Says now whether the two belong together.
            settings.trust.client(&[b"h2"])?;
            let mut tls = ClientTlsConfig::new();
            if let Some((chain, key)) = settings.trust.own() {
                tls = tls.identity(Identity::from_pem(chain, key));
            }
            let verifier = settings.trust.verifier()?;
            endpoint = endpoint
                .tls_config_with_verifier(tls, verifier)
                .map_err(|error| format!("the certificates cannot be used: {}", reason::root(&error)))?;
        }
        endpoint = endpoint
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(settings.mode == Mode::Watch)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .buffer_size(4);
        let settings = Settings { endpoint, ..settings };
        Ok(Self { settings, kept: Kept::new(), watched: Kept::new() })
    }
}

impl Settings {
    async fn connect(&self) -> Result<Connection, Failure> {
        let connected = self.endpoint.connect().await;
        let channel = connected.map_err(|error| reason::unreached(&error, &self.target))?;
        Ok(InterceptedService::new(channel, self.metadata.clone()))
    }
}

/// Asks by one call a run.
struct Calling<'s>(&'s Settings);

impl Server for Calling<'_> {
    type Connection = Connection;
    type Error = Failure;

    async fn connect(&self) -> Result<Connection, Failure> {
        self.0.connect().await
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Outcome, Failure> {
        let Settings { service, target, .. } = self.0;
        let before = Instant::now();
        let status = client::check(connection.clone(), service, PATIENCE).await;
        let status = status.map_err(|error| reason::of_check(&error, target))?;
        let seconds = before.elapsed().as_secs_f64();
        let outcome = reason::of_status(status, service, target);
        Ok(outcome.with(Figure::gauge("grpc_response_seconds", seconds, Unit::Seconds)))
    }

    fn failure(&self, error: &Failure) -> Outcome {
        error.clone().outcome()
    }

    async fn leave(&self, connection: Connection) {
        drop(connection);
    }
}

/// Reads what has come over a call that stays open.
struct Watching<'s>(&'s Settings);

impl Server for Watching<'_> {
    type Connection = Watch;
    type Error = Failure;

    async fn connect(&self) -> Result<Watch, Failure> {
        let connection = self.0.connect().await?;
        let mut changes = client::watch(connection, self.0.service.clone(), Retry::default()).boxed();
        // The stream ends only after it has said why.
        let last = changes.next().await.unwrap_or(Watched::Unimplemented);
        Ok(Watch { changes, last })
    }

    /// What it says now. A lost one is not kept.
    async fn ask(&self, watch: &mut Watch) -> Result<Outcome, Failure> {
        let Settings { service, target, .. } = self.0;
        for _ in 0..MAX_CHANGES {
            match watch.changes.next().now_or_never() {
                Some(Some(change)) => watch.last = change,
                Some(None) | None => break,
            }
        }
        match &watch.last {
            Watched::Status(status) => Ok(reason::of_status(*status, service, target)),
            other => Err(reason::of_watch(other, service, target)),
        }
    }

    fn failure(&self, error: &Failure) -> Outcome {
        error.clone().outcome()
    }

    async fn leave(&self, watch: Watch) {
        drop(watch);
    }
}

impl Check for GrpcHealth {
    fn kind(&self) -> &'static str {
        "grpc_health"
    }

    fn target(&self) -> Option<String> {
        Some(self.settings.target.clone())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        async move {
            match self.settings.mode {
                Mode::Check => self.kept.ask(&Calling(&self.settings)).await,
                Mode::Watch => self.watched.ask(&Watching(&self.settings)).await,
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_servers_address_is_taken() {
        for (url, good) in [
            ("http://127.0.0.1:50051", true),
            ("https://grpc.test/", true),
            ("http://[::1]:50051", true),
            ("grpc://h:1", false),
            ("h:1", false),
            ("http://h:1/path", false),
            ("http://h:1/?q", false),
            ("http://u:s3cret@h:1", false),
        ] {
            let settings = Settings::from_url(url);
            assert_eq!(settings.is_ok(), good, "{url}");
            assert!(settings.err().is_none_or(|message| !message.contains("s3cret")));
        }
    }

    #[test]
    fn metadata_is_refused_without_its_value() {
        let settings = Settings::from_url("http://h:1").unwrap();
        assert!(settings.clone().metadata("Authorization", "s3cret").is_ok());
        for (name, value) in [("a b", "s3cret"), ("x-bin", "s3cret"), ("x", "s3cret\n")] {
            let message = settings.clone().metadata(name, value).err().unwrap();
            assert!(message.contains(name) && !message.contains("s3cret"), "{message}");
        }
    }
}
