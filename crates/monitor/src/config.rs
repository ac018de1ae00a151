//! The monitor's settings: reads them from the configuration and tells every problem. Defaults stand here only.

pub mod actions;
mod alerting;
mod receivers;
mod store;

pub use alerting::{Alerting, rules_in, rules_of};
pub use receivers::Receivers;
pub use store::{Keeping, Store, database_variables, unused_variables};

use crate::ingest::{Policy as IngestPolicy, Trust};
use crate::notify::egress::Egress;
use crate::recent;
use farol_config::{Map, Url};
use farol_health::Details;
use farol_health::aggregate::Policy;
use farol_shutdown::listener::verify_files;
use farol_wire::Limits;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything a monitor is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens.
    pub listen: Listen,
    /// Certificates, per listener.
    pub tls: Tls,
    /// Where it keeps what lasts.
    pub store: Store,
    /// For how long.
    pub keeping: Keeping,
    /// What of it is held in memory.
    pub history: recent::Settings,
    /// Declared services and how many instances each needs.
    pub services: BTreeMap<String, Policy>,
    /// Groups of declared services.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// Which services each service needs: while they are down its alerts are held back.
    pub needs: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// What is alerted.
    pub alerting: Alerting,
    /// What alerts start.
    pub actions: crate::act::Settings,
    /// Where people reach this monitor, for links in messages.
    pub external_url: Option<String>,
    /// Who is told, again and again, that this monitor lives.
    pub heartbeat: Option<Heartbeat>,
    /// Whom ingest believes, and how much it takes.
    pub ingest: IngestPolicy,
    /// How long agents have to speak after a time in which the monitor did not run, before they are lost.
    pub restart_grace: Duration,
    /// Who is told of alerts.
    pub receivers: Receivers,
    /// Who may read.
    pub access: Access,
    /// Who sees details of the monitor's own health.
    pub details: Details,
    /// `/metrics/fleet` over so many series asks for a selection.
    pub scrape_max_series: usize,
    /// A store that refuses makes the monitor unready.
    pub ready_requires_store: bool,
}

/// Who is told, again and again, that this monitor lives: a dead man's switch.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// Where to.
    pub url: Url,
    /// How often.
    pub every: Duration,
}

/// The three listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// REST, probes, scrape.
    pub http: SocketAddr,
    /// Agents' streams.
    pub agents: SocketAddr,
    /// `grpc.health.v1` in plain text.
    pub health: SocketAddr,
}

/// Certificates; a listener without speaks plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// For REST.
    pub http: Option<TlsFiles>,
    /// For agents.
    pub agents: Option<TlsFiles>,
    /// For gRPC health.
    pub health: Option<TlsFiles>,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs clients; when set, a client without a certificate is refused.
    pub client_ca: Option<PathBuf>,
}

/// Who may read and operate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `read` routes answer peers beyond loopback too.
    pub read_any: bool,
    /// Names under which the monitor may be called, besides loopback's and its addresses.
    pub hosts: BTreeSet<String>,
}

impl Config {
    /// Reads a monitor's map: the root of `monitor.yaml`, or `monitor:` of `farol.yaml`.
    pub fn read(m: &mut Map<'_>) -> Self {
        let tls = m.section("tls", read_tls);
        let (ingest, restart_grace) = m.section("agents", |m| (read_ingest(m), read_restart_grace(m)));
        let authenticated = tls.agents.as_ref().is_some_and(|t| t.client_ca.is_some());
        let listen = m.section("listen", |m| {
            let listen = read_listen(m);
            if !listen.agents.ip().is_loopback() && !authenticated && !ingest.trust.insecure {
                m.problem(
                    "agents",
                    "agents would be believed from anywhere: set `tls: {agents: {cert, key, client_ca}}`, or \
                     `agents: {insecure: true}` if that is meant",
                );
            }
            listen
        });
        let (services, needs, groups) = read_services(m);
        let (store, keeping) = m.section("store", store::read);
        let history = m.section("history", |m| store::read_history(m, keeping.keep.clone()));
        let receivers = receivers::read(m);
        let (actions, action_names) = actions::read(m, &Egress::new(receivers.egress.clone()));
        let named = receivers.peers.keys().map(String::as_str);
        let names: Vec<&str> = named.chain([crate::alerting::LOG]).collect();
        let mut alerting = alerting::read(m, &names, &action_names);
        alerting.route.iter().for_each(|route| receivers::check_reminders(m, &receivers, route));
        alerting.route.iter_mut().for_each(|route| receivers.lead(route));
        Self {
            listen,
            tls,
            store,
            keeping,
            history,
            services,
            groups,
            needs,
            alerting,
            actions,
            external_url: m.url("external_url").optional().map(|url| url.expose().to_owned()),
            heartbeat: m.map("heartbeat", read_heartbeat),
            ingest,
            restart_grace,
            receivers,
            access: m.section("access", |m| Access {
                read_any: m.one_of("read", &[("loopback", false), ("any", true)]).or(false),
                hosts: m.texts("hosts").into_iter().collect(),
            }),
            details: read_details(m),
            scrape_max_series: m.section("scrape", |m| {
                m.integer::<usize>("max_series").within(1..=100_000_000).or(1_000_000usize)
            }),
            ready_requires_store: m.flag("ready_requires_store").or(false),
        }
    }

    /// What a running monitor cannot take over from `new`: named for the operator.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, same) in [
            ("listen", self.listen == new.listen),
            ("store", self.store == new.store && self.keeping == new.keeping),
            ("history", self.history == new.history),
            ("details", self.details == new.details),
            ("ready_requires_store", self.ready_requires_store == new.ready_requires_store),
            ("tls (adding or removing files)", self.tls == new.tls),
        ] {
            if !same {
                names.push(name);
            }
        }
        names
    }
}

fn read_restart_grace(m: &mut Map<'_>) -> Duration {
    let second = Duration::from_secs(1);
    m.duration("restart_grace").within(second..=3_600 * second).or(60 * second)
}

fn read_heartbeat(m: &mut Map<'_>) -> Heartbeat {
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    Heartbeat {
        url: m.url("url").example("https://hc-ping.com/…").required(),
        every: m.duration("every").within(second..=day).or(60 * second),
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn read_listen(m: &mut Map<'_>) -> Listen {
    let listen = Listen {
        http: m.address("http").or(loopback(8501)),
        agents: m.address("agents").or(loopback(8502)),
        health: m.address("health").or(loopback(8503)),
    };
    let all = [("http", listen.http), ("agents", listen.agents), ("health", listen.health)];
    for (i, (name, address)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..i].iter().find(|(_, a)| a == address && a.port() != 0) {
            m.problem(
                name,
                format!("has the address of `{other}`, {address}; give each listener its own port"),
            );
        }
    }
    listen
}

fn read_tls(m: &mut Map<'_>) -> Tls {
    let mut files = |key: &str| {
        m.map(key, |m| {
            let (has_cert, has_key) = (m.has("cert"), m.has("key"));
            let files = TlsFiles {
                cert: m.path("cert").example("tls/cert.pem").required(),
                key: m.path("key").example("tls/key.pem").required(),
                client_ca: m.path("client_ca").optional(),
            };
            let (cert, key) = (has_cert.then_some(&*files.cert), has_key.then_some(&*files.key));
            for (part, why) in verify_files(cert, key, files.client_ca.as_deref()) {
                m.problem(if part == "ca" { "client_ca" } else { part }, why);
            }
            files
        })
    };
    Tls { http: files("http"), agents: files("agents"), health: files("health") }
}

fn read_ingest(m: &mut Map<'_>) -> IngestPolicy {
    let second = Duration::from_secs(1);
    let limits = Limits::default();
    IngestPolicy {
        trust: Trust {
            insecure: m.flag("insecure").or(false),
            identities: m.pairs("identities").into_iter().collect(),
        },
        limits: Limits {
            max_series: m.integer::<usize>("max_series").within(1..=1_000_000).or(limits.max_series),
            max_components: m
                .integer::<usize>("max_components")
                .within(1..=100_000)
                .or(limits.max_components),
            ..limits
        },
        interval: m.section("interval", |m| {
            let whole = Duration::from_millis(100)..=second * 3_600;
            let least = m.duration("min").within(whole.clone()).or(second);
            let most = m.duration("max").within(whole).or(second * 300);
            if least > most {
                m.problem("min", "is longer than `max`");
            }
            (least, most.max(least))
        }),
    }
}

fn read_details(m: &mut Map<'_>) -> Details {
    let words = [("always", Details::Always), ("loopback", Details::Loopback), ("never", Details::Never)];
    m.one_of("details", &words).or(Details::Loopback)
}

/// Services and what each needs, and groups.
type Services =
    (BTreeMap<String, Policy>, BTreeMap<Arc<str>, Vec<Arc<str>>>, BTreeMap<String, BTreeSet<String>>);

fn read_services(m: &mut Map<'_>) -> Services {
    let mut needs = BTreeMap::new();
    let services: BTreeMap<String, Policy> = m
        .entries("services", |name, m| {
            if !farol_wire::name_is_valid(name) {
                m.problem_here("is not a service's name; use [A-Za-z0-9._-]{1,128}");
            }
            let policy = Policy {
                at_least: m.integer::<u32>("at_least").within(1..=1_000_000).optional(),
                percent: m.percent("percent").within(1.0..=100.0).optional().map(|p| p.round() as u8),
                all: m.flag("all").or(false),
            };
            if policy.all && (policy.at_least.is_some() || policy.percent.is_some()) {
                m.problem("all", "stands alone; take out `at_least` and `percent`, or this");
            }
            let needed: Vec<Arc<str>> = m.texts("depends_on").into_iter().map(Into::into).collect();
            if !needed.is_empty() {
                needs.insert(Arc::from(name), needed);
            }
            policy
        })
        .into_iter()
        .collect();
    let mut groups = BTreeMap::new();
    for (name, members) in m.texts_by_name("groups") {
        if !farol_wire::name_is_valid(&name) {
            m.problem("groups", format!("`{name}` is not a group's name; use [A-Za-z0-9._-]{{1,128}}"));
        }
        if members.is_empty() {
            m.problem("groups", format!("`{name}` holds no services; name some, or take it out"));
        }
        for member in members.iter().filter(|member| !services.contains_key(*member)) {
            let text = format!("`{name}` holds `{member}`, which is not under `services`; declare it there");
            m.problem("groups", text);
        }
        groups.insert(name, members.into_iter().collect());
    }
    for (service, needed) in &needs {
        for other in needed.iter().filter(|other| !services.contains_key(&***other)) {
            let text =
                format!("`{service}` depends on `{other}`, which is not declared; declare it here, too");
            m.problem("services", text);
        }
    }
    (services, needs, groups)
}

/// Reads `logging:`; each of its keys may be set by a variable of its own too.
pub fn logging(m: &mut Map<'_>) -> farol_logging::Config {
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

#[cfg(test)]
mod tests {
    use super::*;
    use farol_config::Sources;

    fn read(text: &str) -> Result<Config, String> {
        let tree = Sources::new().text("monitor.yaml", text).load().map_err(|p| p.to_string())?;
        tree.read(Config::read).map_err(|p| p.to_string())
    }

    #[test]
    fn nothing_written_gives_the_documented_defaults() {
        let config = read("").unwrap();
        assert_eq!(config.listen.http, loopback(8501));
        assert_eq!(config.listen.agents, loopback(8502));
        assert_eq!(config.listen.health, loopback(8503));
        let durability = crate::store::Durability::Normal;
        assert_eq!(config.store, Store::Sqlite { path: "farol.db".into(), durability });
        assert_eq!(config.scrape_max_series, 1_000_000);
        assert!(!config.access.read_any && !config.ready_requires_store);
    }

    #[test]
    fn an_agents_port_for_all_needs_certificates_or_an_explicit_word() {
        let open = "listen: {agents: \"[::]:8502\"}";
        let error = read(open).unwrap_err();
        assert!(
            error.starts_with("monitor.yaml:1: listen.agents: ") && error.contains("insecure: true"),
            "{error}"
        );
        assert!(read(&format!("{open}\nagents: {{insecure: true}}")).is_ok());
        let tls = format!("{open}\ntls: {{agents: {{cert: a.pem, key: a.key, client_ca: ca.pem}}}}");
        let error = read(&tls).unwrap_err();
        assert!(!error.contains("listen.agents"), "only the files are missing: {error}");
    }

    #[test]
    fn every_tls_file_that_is_missing_is_told_with_its_key() {
        let text =
            "tls:\n  http: {cert: a.pem, key: a.key}\n  agents:\n    cert: b.pem\n    client_ca: ca.pem\n";
        let error = read(text).unwrap_err();
        for word in [
            "monitor.yaml:2: tls.http.cert: a.pem cannot be read",
            "monitor.yaml:2: tls.http.key: a.key cannot be read",
            "monitor.yaml:4: tls.agents.cert: b.pem cannot be read",
            "tls.agents.key: is required; write for instance `key: tls/key.pem`",
            "monitor.yaml:5: tls.agents.client_ca: ca.pem cannot be read",
        ] {
            assert!(error.contains(word), "{word} is not in\n{error}");
        }
        assert_eq!(error.lines().count(), 5, "{error}");
    }

    #[test]
    fn groups_hold_declared_services_only() {
        let error =
            read("services: {payments: {at_least: 2}}\ngroups: {checkout: [payments, kestra]}").unwrap_err();
        assert!(read("groups: {empty: []}").unwrap_err().contains("`empty` holds no services"));
        assert!(error.contains("kestra") && error.contains("services"), "{error}");
        let config =
            read("services: {payments: {at_least: 2}, kestra: {}}\ngroups: {checkout: [payments, kestra]}");
        let config = config.unwrap();
        assert_eq!(config.services["payments"].at_least, Some(2));
        assert_eq!(config.groups["checkout"].len(), 2);
    }

    #[test]
    fn how_long_agents_have_to_come_back_is_configured() {
        assert!(read("agents: {restart_grace: 5m}").is_ok());
        assert!(read("agents: {restart_grace: 2d}").unwrap_err().contains("agents.restart_grace"));
    }

    #[test]
    fn two_listeners_on_one_port_are_told() {
        assert!(read("listen: {health: \"127.0.0.1:8501\"}").unwrap_err().contains("own port"));
        assert!(
            read("listen: {http: \"127.0.0.1:0\", agents: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}").is_ok()
        );
    }
}
