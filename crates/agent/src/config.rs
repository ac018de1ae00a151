//! The agent's settings: reads them from the configuration and tells every problem. Defaults stand here only.

mod identity;
mod monitor;
#[cfg(test)]
mod tests;

pub use identity::{Identity, Surroundings};
pub use monitor::{Monitor, TlsFiles};

use crate::local::Local;
use crate::{link, spool};
use farol_config::Map;
use farol_health::{Details, Registration};
use farol_shutdown::listener::Access;
use farol_wire::limits::{LABEL_NAME_BYTES, LABEL_VALUE_BYTES, LABELS};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Report intervals.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
/// Memory for reports that are not acknowledged.
const RING: RangeInclusive<u64> = (256 << 10)..=(1 << 30);
const RING_DEFAULT: u64 = 8 << 20;

/// Disk for them, and how long they wait there.
const SPOOL: RangeInclusive<u64> = (1 << 20)..=(1 << 40);
const SPOOL_DEFAULT: u64 = 256 << 20;
const SPOOL_AGES: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 86_400);
const SPOOL_AGE: Duration = Duration::from_secs(86_400);

/// Everything an agent is told.
#[derive(Clone)]
pub struct Config {
    /// Who it is.
    pub identity: Identity,
    /// To whom it streams, in turn; none is needed for probes alone.
    pub monitors: Vec<Monitor>,
    /// How it shows and verifies certificates.
    pub tls: Option<TlsFiles>,
    /// Where it listens.
    pub listen: Listen,
    /// How often it would like to report.
    pub interval: Duration,
    /// What it checks.
    pub checks: Vec<Registration>,
    /// Who may read its metrics; where it is bound is known later.
    pub access: Access,
    /// Who sees details of its health.
    pub details: Details,
    /// Bytes of reports that are kept until they are acknowledged.
    pub ring_bytes: usize,
    /// Where they go when memory is short or no monitor is there; needs the data directory.
    pub spool: Spool,
    /// Where the host's file systems are seen, for an agent in a container.
    pub host_root: Option<PathBuf>,
    /// Where it keeps what must outlive it.
    pub data_dir: Option<PathBuf>,
}

/// The reports on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spool {
    /// Whether there are any.
    pub enabled: bool,
    /// Bytes of disk at most; the oldest go first.
    pub max_bytes: u64,
    /// Older ones go.
    pub max_age: Duration,
}

/// The listeners; one that is not set is not opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Probes and metrics.
    pub http: Option<SocketAddr>,
    /// `grpc.health.v1` in plain text.
    pub health: Option<SocketAddr>,
    /// The local API, on this machine only.
    pub local: Option<Local>,
}

impl Config {
    /// Reads the map of an agent that lives in another process: `agent:` of `farol.yaml`. It has no monitors of its
    /// own and opens no listener that is not written.
    pub fn read(m: &mut Map<'_>, surroundings: &Surroundings) -> Self {
        Self::read_as(m, surroundings, Vec::new(), Listen::default())
    }

    /// Reads the root of `agent.yaml`: the agent is a process.
    pub fn read_alone(m: &mut Map<'_>, surroundings: &Surroundings) -> Self {
        let monitors = monitor::read(m);
        let loopback = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let listen = Listen { http: loopback(8511), health: loopback(8513), local: None };
        let config = Self::read_as(m, surroundings, monitors, listen);
        monitor::verify(m, &config.monitors, config.tls.as_ref());
        config
    }

    fn read_as(
        m: &mut Map<'_>,
        surroundings: &Surroundings,
        monitors: Vec<Monitor>,
        default: Listen,
    ) -> Self {
        let identity = Identity::read(m, surroundings);
        let details =
            [("always", Details::Always), ("loopback", Details::Loopback), ("never", Details::Never)];
        let service = surroundings.service.as_ref().unwrap_or(&identity.service);
        let checks = farol_checks::registrations(m, service);
        verify_checks(m, &checks);
        Self {
            identity,
            monitors,
            tls: m.map("tls", |m| TlsFiles::read(m, !surroundings.elsewhere)),
            listen: m.section("listen", |m| read_listen(m, default)),
            interval: m.duration("interval").within(INTERVALS).or(Duration::from_secs(10)),
            checks,
            access: m.section("access", |m| Access {
                read_any: m.one_of("read", &[("loopback", false), ("any", true)]).or(false),
                hosts: m.texts("hosts"),
                bound: Vec::new(),
            }),
            details: m.one_of("details", &details).or(Details::Loopback),
            ring_bytes: usize::try_from(m.bytes("ring").within(RING).or(RING_DEFAULT)).unwrap_or(usize::MAX),
            spool: m.section("spool", |m| Spool {
                enabled: m.flag("enabled").or(true),
                max_bytes: m.bytes("max_bytes").within(SPOOL).or(SPOOL_DEFAULT),
                max_age: m.duration("max_age").within(SPOOL_AGES).or(SPOOL_AGE),
            }),
            host_root: m.path("host_root").optional(),
            data_dir: m.path("data_dir").optional(),
        }
    }

    /// What a running agent cannot take over from `new`: named for the operator.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut names = self.identity.differences(&new.identity);
        for (name, same) in [
            ("monitors", self.monitors == new.monitors),
            ("tls (other files; the content of the same ones is read anew)", self.tls == new.tls),
            ("listen", self.listen == new.listen),
            ("interval", self.interval == new.interval),
            ("details", self.details == new.details),
            ("ring", self.ring_bytes == new.ring_bytes),
            ("spool", self.spool == new.spool),
            ("host_root", self.host_root == new.host_root),
            ("data_dir", self.data_dir == new.data_dir),
        ] {
            if !same {
                names.push(name);
            }
        }
        names
    }
}

/// Reads `logging:`; each of its keys may be set by a variable of its own too.
pub(crate) fn logging(m: &mut Map<'_>) -> farol_logging::Config {
    m.section("logging", |m| {
        let (mut config, problems) = farol_logging::Config::of(|key| m.text(key.name).or(key.default));
        for problem in problems {
            m.problem(problem.key, problem.message);
        }
        config.otlp = m.section("otlp", otlp);
        config
    })
}

/// Reads what goes out by OTLP.
fn otlp(m: &mut Map<'_>) -> Option<farol_logging::Otlp> {
    let (otlp, problems) = farol_logging::Otlp::of(|key| match key.name {
        farol_logging::OTLP_HEADERS => m.secret(key.name).optional().map(|all| all.expose().to_owned()),
        farol_logging::OTLP_CA => {
            m.path_or("auto", key.name).optional().map(|path| path.to_string_lossy().into_owned())
        }
        name => Some(m.text(name).or(key.default)),
    });
    for problem in problems {
        m.problem(problem.key, problem.message);
    }
    otlp
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("identity", &self.identity)
            .field("monitors", &self.monitors)
            .field("listen", &self.listen)
            .field("checks", &self.checks.len())
            .finish_non_exhaustive()
    }
}

fn read_listen(m: &mut Map<'_>, default: Listen) -> Listen {
    let mut listen = |key: &str, default: Option<SocketAddr>| match default {
        Some(address) => Some(m.address(key).or(address)),
        None => m.address(key).optional(),
    };
    let read = Listen {
        http: listen("http", default.http),
        health: listen("health", default.health),
        local: m.parsed("local", "a place for the local API", "127.0.0.1:8512").optional(),
    };
    let local = match read.local {
        Some(Local::Tcp(address)) => Some(address),
        Some(Local::Unix(_)) | None => None,
    };
    let all = [("http", read.http), ("health", read.health), ("local", local)];
    for (i, (name, address)) in all.iter().enumerate() {
        let Some(address) = address.filter(|a| a.port() != 0) else { continue };
        if let Some((other, _)) = all[..i].iter().find(|(_, a)| *a == Some(address)) {
            m.problem(
                name,
                format!("has the address of `{other}`, {address}; give each listener its own port"),
            );
        }
    }
    read
}

/// What the wire would refuse, and the names that are taken.
fn verify_checks(m: &mut Map<'_>, checks: &[Registration]) {
    for Registration { spec, .. } in checks {
        if let Some(name) = [link::COMPONENT, spool::COMPONENT].into_iter().find(|name| spec.name == *name) {
            m.problem("checks", format!("`{name}` is the agent's own; give that check another name"));
        }
        if let Err(why) = labels_fit(&spec.labels) {
            m.problem("checks", format!("`{}`: {why}", spec.name));
        }
    }
}

/// Labels that monitors take.
fn labels_fit(labels: &BTreeMap<String, String>) -> Result<(), String> {
    if labels.len() > LABELS {
        return Err(format!("has {} labels; {LABELS} are the most", labels.len()));
    }
    for (name, value) in labels {
        if name.starts_with("__") || name.len() > LABEL_NAME_BYTES {
            return Err(format!(
                "the label `{name:.40}` is reserved or too long; begin it with a letter and use at most {LABEL_NAME_BYTES} bytes"
            ));
        }
        if value.len() > LABEL_VALUE_BYTES {
            return Err(format!("the label `{name}` has more than {LABEL_VALUE_BYTES} bytes; shorten it"));
        }
    }
    Ok(())
}
