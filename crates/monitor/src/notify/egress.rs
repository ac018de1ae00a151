//! The way out to receivers: which addresses may be spoken to, judged at each connection on what the name stands for
//! then. No redirect is followed, no proxy of the environment is used. What a receiver is told is not decided here.

mod addresses;
mod answer;

pub use addresses::Range;
pub(super) use answer::host;

use addresses::{Class, class};
use arc_swap::ArcSwap;
use farol_config::Map;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Url};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(3);
/// Less than a receiver has for a whole notice: its last answer is not cut, and what fails is named.
const WHOLE: Duration = Duration::from_secs(9);

/// Which addresses may be spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Private ranges and loopback too.
    pub private: bool,
    /// These hosts may have private addresses.
    pub hosts: Vec<String>,
    /// These private addresses are allowed to all.
    pub ranges: Vec<Range>,
}

impl Policy {
    /// Reads `egress: {private, allow: [host, range]}`.
    pub fn read(m: &mut Map<'_>) -> Self {
        let mut policy = Self { private: m.flag("private").or(false), ..Self::default() };
        for allowed in m.texts("allow") {
            let host = allowed.trim_end_matches('.').to_ascii_lowercase();
            let is_host = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            match allowed.parse() {
                Ok(range) => policy.ranges.push(range),
                Err(_) if !host.is_empty() && host.chars().all(is_host) => policy.hosts.push(host),
                Err(_) => m.problem(
                    "allow",
                    "holds what is neither a host nor a range; write for instance `alerts.internal` or `10.0.0.0/8`",
                ),
            }
        }
        policy
    }

    /// Whether this address of this host may be spoken to.
    fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let why = match class(address) {
            Class::Public => return Ok(()),
            Class::Private => {
                let host = host.trim_end_matches('.');
                let known = self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
                if self.private || known || self.ranges.iter().any(|range| range.holds(address)) {
                    return Ok(());
                }
                "a private address; allow it under `egress`, by `allow` or `private: true`"
            }
            Class::Never(why) => why,
        };
        Err(Refused { host: host.to_owned(), address, why })
    }
}

/// An address that may not be spoken to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is not spoken to: {address} is {why}")]
pub struct Refused {
    host: String,
    address: IpAddr,
    why: &'static str,
}

/// What a name stands for. Tests bring their own.
pub trait Lookup: Send + Sync {
    /// Its addresses now.
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver.
struct System;

impl Lookup for System {
    fn lookup(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The way out, shared by all receivers.
#[derive(Clone)]
pub struct Egress {
    policy: Arc<ArcSwap<Policy>>,
    lookup: Arc<dyn Lookup>,
}

impl Egress {
    /// By these rules, with the machine's resolver.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_lookup(policy, Arc::new(System))
    }

    /// By these rules, with another resolver.
    #[must_use]
    pub fn with_lookup(policy: Policy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy: Arc::new(ArcSwap::from_pointee(policy)), lookup }
    }

    /// By these rules from now on, for all who go out by it; whether they are others.
    pub(crate) fn follow(&self, policy: &Policy) -> bool {
        let are_others = **self.policy.load() != *policy;
        if are_others {
            self.policy.store(Arc::new(policy.clone()));
        }
        are_others
    }

    /// These rules.
    pub(super) fn policy(&self) -> Policy {
        Policy::clone(&self.policy.load())
    }

    /// A client for one receiver: `ca` (PEM) takes the place of the machine's authorities.
    pub(super) fn client(&self, url: &Url, ca: Option<&[u8]>) -> Result<Client, String> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .user_agent(concat!("farol/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(self.clone()));
        let client = match ca {
            Some(pem) => client.tls_certs_only(certificates(pem)?),
            // TLS is never spoken: the machine's certificates need not exist.
            None if url.scheme() == "http" => client.tls_certs_only([]),
            None => client,
        };
        client.build().map_err(|error| format!("no HTTP client can be made: {}", answer::root(&error)))
    }

    /// A client for addresses that are known only when they are spoken to; a literal address must be checked before.
    pub(crate) fn plain_client(&self) -> Result<Client, String> {
        let anywhere = Url::parse("https://localhost/").map_err(|error| error.to_string())?;
        self.client(&anywhere, None)
    }

    /// A client for one configured address, and that address.
    pub(crate) fn client_for(&self, url: &farol_config::Url) -> Result<(Client, Url), String> {
        let url = Url::parse(url.expose()).map_err(|error| error.to_string())?;
        self.check_url(&url)?;
        Ok((self.client(&url, None)?, url))
    }

    /// The same of a configured one.
    pub(crate) fn check_written(&self, url: &farol_config::Url) -> Result<(), String> {
        self.check_url(&Url::parse(url.expose()).map_err(|error| error.to_string())?)
    }

    /// Whether a URL may be spoken to, as far as it can be said without asking for its name.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("is no web address; write `https://…`".into());
        }
        let host = url.host_str().ok_or("names no host")?;
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => self.check(host, address),
            Err(_) => Ok(()),
        }
    }

    /// Whether this address of this host may be spoken to.
    pub(super) fn check(&self, host: &str, address: IpAddr) -> Result<(), String> {
        self.policy.load().check(host, address).map_err(|refused| refused.to_string())
    }

    /// The addresses of a host that may be spoken to; at least one.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let found = tokio::time::timeout(CONNECT, self.lookup.lookup(bare.to_owned())).await;
                found.map_err(|_| format!("the name {bare} is not resolved in time"))?.map_err(|error| {
                    format!("the name {bare} is not resolved: {}", super::text::line(&error.to_string()))
                })?
            }
        };
        let (policy, mut refused) = (self.policy.load_full(), None);
        let mut allowed = found;
        allowed.retain(|address| match policy.check(bare, *address) {
            Ok(()) => true,
            Err(error) => {
                refused = Some(error);
                false
            }
        });
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some(refused)) => Err(refused.to_string()),
            (true, None) => Err(format!("the name {bare} has no address")),
        }
    }
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.clone();
        Box::pin(async move {
            let addresses = egress.addresses(name.as_str()).await?;
            let addresses: Addrs = Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    match Certificate::from_pem_bundle(pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("`ca` holds no certificate in PEM form".into()),
    }
}

#[cfg(test)]
mod tests;
