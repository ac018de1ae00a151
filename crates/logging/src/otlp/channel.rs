//! Connections to collectors: one for each address, made when first used and again when lost. Knows no signal.

use std::time::Duration;

use tonic::Request;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::ExportError;
use crate::config::Otlp;

/// How exports are compressed, where they are.
pub(super) const GZIP: CompressionEncoding = CompressionEncoding::Gzip;
/// A connection over which an export waits is asked so often whether it is still there, and has so long to answer.
const ALIVE_EVERY: Duration = Duration::from_secs(30);
const ALIVE_WITHIN: Duration = Duration::from_secs(10);

/// The connections, and what is sent over all of them.
pub(super) struct Channels<'a> {
    config: &'a Otlp,
    tls: ClientTlsConfig,
    pub(super) headers: WithHeaders,
    open: Vec<(String, Channel)>,
}

impl<'a> Channels<'a> {
    pub(super) fn new(config: &'a Otlp) -> Result<Self, ExportError> {
        let tls = match &config.ca {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| ExportError::Setting {
                    key: "ca",
                    message: format!("{} cannot be read: {error}", path.display()),
                })?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
        };
        Ok(Self { config, tls, headers: WithHeaders::of(config), open: Vec::new() })
    }

    /// The connection to this address.
    pub(super) fn to(&mut self, address: &str) -> Result<Channel, ExportError> {
        if let Some((_, channel)) = self.open.iter().find(|(known, _)| known == address) {
            return Ok(channel.clone());
        }
        let wrong = |error: tonic::transport::Error| ExportError::Setting {
            key: "endpoint",
            message: format!("{address} cannot be used: {error}"),
        };
        let mut endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(wrong)?
            .connect_timeout(self.config.timeout)
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN);
        if address.starts_with("https:") {
            endpoint = endpoint.tls_config(self.tls.clone()).map_err(wrong)?;
        }
        let channel = endpoint.connect_lazy();
        self.open.push((address.to_owned(), channel.clone()));
        Ok(channel)
    }
}

/// Sends these headers with each call.
#[derive(Clone)]
pub(super) struct WithHeaders(MetadataMap);

impl WithHeaders {
    fn of(config: &Otlp) -> Self {
        let mut map = MetadataMap::new();
        for (name, value) in &config.headers.0 {
            let name: Result<AsciiMetadataKey, _> = name.parse();
            let value: Result<AsciiMetadataValue, _> = value.parse();
            // The configuration has looked at both.
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(true);
                map.append(name, value);
            }
        }
        Self(map)
    }

    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().clone_from(&self.0);
        request
    }
}
