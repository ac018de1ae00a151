//! Kind `tls_certificate`: is the certificate that a server presents trusted, for its name, and for how long? The
//! handshake is taken to its end whatever the certificate is, and no byte is sent over it. What is wrong with a
//! chain is judged in `judge.rs`.

mod judge;
mod present;
mod read;

use crate::address::Address;
use crate::certificate::{self, Lifetime};
use crate::failure::{Failure, find};
use crate::trust::{Trust, provider};
use farol_health::{Check, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use judge::Chain;
use present::Presented;
pub(crate) use read::KIND;
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// What should listen, in messages.
const THING: &str = "its server";

/// What a `tls_certificate` check asks.
#[derive(Clone, Debug)]
pub struct Settings {
    address: Address,
    /// Asked for, and expected in the certificate.
    name: ServerName<'static>,
    trust: Trust,
    lifetime: Lifetime,
}

impl Settings {
    /// The certificate that is presented at this address for its own host name.
    ///
    /// # Errors
    /// The host is no name that a certificate could hold.
    pub fn at(host: &str, port: u16) -> Result<Self, String> {
        let day = Duration::from_secs(86_400);
        let lifetime = Lifetime { warn_below: Some(21 * day), critical_below: Some(7 * day) };
        let (address, trust) = (Address::Tcp(host.to_owned(), port), Trust::default());
        Ok(Self { address, name: name(host)?, trust, lifetime })
    }

    /// Asks for the certificate of this name (SNI) instead.
    ///
    /// # Errors
    /// It is no name that a certificate could hold.
    pub fn name(self, text: &str) -> Result<Self, String> {
        Ok(Self { name: name(text)?, ..self })
    }

    /// Trusts and presents these certificates.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Warns at these limits. The default: degraded below 21 days, unhealthy below 7.
    #[must_use]
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime, ..self }
    }
}

fn name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned()).map_err(|_| {
        format!("`{text}` is no name that a certificate could hold; write for instance `api.example`")
    })
}

/// The check.
pub struct TlsCertificate {
    settings: Settings,
    verifier: Arc<WebPkiServerVerifier>,
}

impl TlsCertificate {
    /// A check of this certificate.
    ///
    /// # Errors
    /// Our own certificates cannot be used.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let verifier = settings.trust.verifier()?;
        // Says now whether our own can be used.
        settings.trust.pair()?;
        Ok(Self { settings, verifier })
    }

    async fn ask(&self) -> Result<Outcome, Failure> {
        let Settings { address, name, lifetime, .. } = &self.settings;
        let target = address.to_string();
        let (presented, config) = self.config().map_err(|message| Failure::ours("bad_settings", message))?;
        let before = Instant::now();
        let stream = address.connect(THING).await?;
        let shaken = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await;
        let seconds = before.elapsed().as_secs_f64();
        // A server may refuse us after it has shown its certificate, which is all that is asked here.
        let chain = match (presented.chain(), shaken) {
            (Some(chain), _) => chain,
            (None, Err(error)) => {
                return Err(match find::<rustls::Error>(&error) {
                    Some(tls) => Failure::handshake(tls, &target),
                    None => Failure::io(&error, &target, THING),
                });
            }
            (None, Ok(_)) => {
                let message = format!("{target} presents no certificate: it must, to speak TLS with anyone");
                return Err(Failure::theirs("no_certificate", message));
            }
        };
        let now = jiff::Timestamp::now();
        let judged = Chain { verifier: &self.verifier, certificates: &chain, name };
        let seen = judged.judge(lifetime, now, &target);
        let mut outcome = seen.outcome.with(Figure::gauge("tls_handshake_seconds", seconds, Unit::Seconds));
        if let Some(facts) = seen.leaf {
            outcome = outcome.with_fact("subject", facts.subject).with_fact("issuer", facts.issuer);
        }
        if let Some(expires) = seen.expires {
            let end = jiff::Timestamp::from_second(expires).map(|end| end.to_string()).unwrap_or_default();
            outcome = outcome.with(certificate::figure(expires, now)).with_fact("expires", end);
        }
        Ok(outcome)
    }

    fn config(&self) -> Result<(Arc<Presented>, ClientConfig), String> {
        let presented = Arc::new(Presented::new(Arc::clone(&self.verifier)));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS can be spoken here: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Presented>::clone(&presented));
        let config = match self.settings.trust.pair()? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("`cert` and `key` cannot be used together: {error}"))?,
        };
        Ok((presented, config))
    }
}

impl Check for TlsCertificate {
    fn kind(&self) -> &'static str {
        "tls_certificate"
    }

    fn target(&self) -> Option<String> {
        Some(self.settings.address.to_string())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        self.ask().map(|asked| asked.unwrap_or_else(Failure::outcome)).boxed()
    }
}
