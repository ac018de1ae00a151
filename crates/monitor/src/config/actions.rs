//! Reads `actions:`, `blast_radius:`, `kubernetes:` and `breakers:`. Defaults stand here only.

use crate::act::{
    Access, Action, Amount, BlastRadius, Bounds, BreakerPolicy, CA_FILE, MOST_PER_HOUR, Mirror, Policy,
    Settings, TOKEN_FILE, Verify, Webhook, What, Workload, WorkloadKind,
};
use crate::notify::egress::Egress;
use farol_config::{Map, Secret, Url};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// The most replicas that a bound may name.
const MOST_REPLICAS: u32 = 100_000;
/// The most actions.
const MOST_ACTIONS: usize = 1_000;

/// Variables by which a pod is told of its API server, and the keys of `kubernetes` that they fill in.
pub(super) const VARIABLES: [(&str, &str); 2] =
    [("KUBERNETES_SERVICE_HOST", "host"), ("KUBERNETES_SERVICE_PORT", "port")];

/// Reads all four keys. Also tells the name of every action that is written, those with a problem included.
pub fn read(m: &mut Map<'_>, egress: &Egress) -> (Settings, BTreeSet<Arc<str>>) {
    let mut actions = BTreeMap::new();
    let mut breakers = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (name, action) in m.entries("actions", |_, m| read_action(m, egress, &mut breakers)) {
        let name: Arc<str> = name.into();
        names.insert(Arc::clone(&name));
        if let Some(action) = action {
            actions.insert(name, action);
        }
    }
    if actions.len() > MOST_ACTIONS {
        m.problem("actions", format!("are {}; {MOST_ACTIONS} are the most", actions.len()));
    }
    let radius = m.section("blast_radius", |m| BlastRadius {
        share: m.percent("share").within(1.0..=100.0).or(30.0),
        at_least: m.integer::<u32>("at_least").within(1..=1_000_000).or(5u32),
        within_ms: millis(m.duration("within").within(SECOND..=DAY).or(60 * SECOND)),
    });
    let needs_cluster = actions.values().any(|action: &Action| matches!(action.what, What::Scale { .. }));
    let mut kubernetes = m.section("kubernetes", read_access);
    if !needs_cluster {
        kubernetes = None;
    } else if kubernetes.is_none() {
        m.problem("kubernetes", "has no `url`, and the monitor runs in no cluster; write the API server's");
    }
    let mirror = m.section("breakers", |m| {
        let redis = m.url("redis").check(|url| is_one_of(url, &["redis", "rediss"])).optional();
        let ttl = m.duration("ttl").within(3 * SECOND..=DAY).or(60 * SECOND);
        redis.map(|redis| Mirror { redis, ttl })
    });
    (Settings { actions, radius, kubernetes, mirror }, names)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn is_one_of(url: &Url, schemes: &[&str]) -> Result<(), String> {
    if schemes.contains(&url.scheme()) && !url.host().is_empty() {
        return Ok(());
    }
    Err(format!(
        "is not a URL of {}",
        schemes.iter().map(|s| format!("`{s}://`")).collect::<Vec<_>>().join(" or ")
    ))
}

fn read_action(m: &mut Map<'_>, egress: &Egress, breakers: &mut BTreeSet<String>) -> Option<Action> {
    let what = match (m.has("scale"), m.has("circuit_breaker")) {
        (true, false) => m.map("scale", |m| read_scale(m, egress)).flatten(),
        (false, true) => m.map("circuit_breaker", |m| read_breaker(m, breakers)),
        _ => {
            m.ignore("scale");
            m.ignore("circuit_breaker");
            m.problem_here("does one thing; write either `scale: {…}` or `circuit_breaker: {…}`");
            None
        }
    };
    // A breaker closes by itself; pausing it would keep it closed where it is needed.
    let (cool_down, per_hour) = if m.has("circuit_breaker") { (0, 60) } else { (300, 4) };
    let policy = Policy {
        cool_down_ms: millis(m.duration("cool_down").within(Duration::ZERO..=DAY).or(cool_down * SECOND)),
        per_hour: m.integer::<u32>("per_hour").within(1..=MOST_PER_HOUR).or(per_hour),
        dry_run: m.flag("dry_run").or(false),
    };
    let verify = m.map("verify", |m| Verify {
        after_ms: millis(m.duration("after").within(SECOND..=DAY).or(120 * SECOND)),
        roll_back: m.flag("roll_back").or(true),
    });
    if verify.is_some() && m.has("circuit_breaker") {
        m.problem("verify", "is for `scale`; a breaker closes by itself when its alert is over");
    }
    Some(Action { what: what?, policy, verify })
}

fn read_scale(m: &mut Map<'_>, egress: &Egress) -> Option<What> {
    let kinds = [("deployment", WorkloadKind::Deployment), ("statefulset", WorkloadKind::StatefulSet)];
    let mut workloads = Vec::new();
    for (key, kind) in kinds {
        let mut parsed = None;
        let field = m.text(key).example("shop/payments").check(|text| {
            parsed = Some(Workload::parse(kind, text)?);
            Ok(())
        });
        // Whatever is wrong with it is told already.
        drop(field.optional());
        workloads.extend(parsed);
    }
    let webhook = m.map("webhook", |m| read_webhook(m, egress));
    let named = ["deployment", "statefulset", "webhook"].into_iter().filter(|key| m.has(key)).count();
    if named != 1 {
        m.problem_here("scales one thing; write one of `deployment`, `statefulset` and `webhook`");
    }
    let by = m.has("by");
    let amount = m.parsed::<Amount>("by", "a change", "+2");
    let by = if by || webhook.is_some() { amount.optional() } else { Some(amount.required()) };
    let bounds = Bounds {
        min: m.integer::<u32>("min").within(1..=MOST_REPLICAS).required(),
        max: m.integer::<u32>("max").within(1..=MOST_REPLICAS).required(),
    };
    if bounds.min > bounds.max {
        m.problem("min", "is more than `max`");
    }
    match (workloads.pop(), webhook) {
        (Some(workload), _) => Some(What::Scale { workload, by: by?, bounds }),
        (None, Some(webhook)) => Some(What::Webhook { webhook, by, bounds }),
        (None, None) => None,
    }
}

fn read_webhook(m: &mut Map<'_>, egress: &Egress) -> Webhook {
    Webhook {
        // What a name stands for is asked at each connection.
        url: m.url("url").check(|url| egress.check_written(url)).required(),
        secret: m.secret("secret").check(is_long_enough).required(),
        deadline: m.duration("deadline").within(SECOND / 10..=60 * SECOND).or(10 * SECOND),
    }
}

/// Who can guess it can scale.
fn is_long_enough(secret: &Secret) -> Result<(), String> {
    if secret.expose().len() >= 16 { Ok(()) } else { Err("is shorter than 16 characters".to_owned()) }
}

fn read_breaker(m: &mut Map<'_>, breakers: &mut BTreeSet<String>) -> What {
    let name = m.name("name").example("payments").required();
    if !name.is_empty() && !breakers.insert(name.clone()) {
        m.problem("name", format!("`{name}` is another action's breaker; let the rules share one action"));
    }
    What::Breaker {
        name: name.into(),
        policy: BreakerPolicy {
            open_for_ms: millis(m.duration("open_for").within(SECOND / 10..=DAY).or(30 * SECOND)),
            half_open_probes: m.integer::<u32>("half_open_probes").within(1..=1_000).or(3u32),
        },
    }
}

fn read_access(m: &mut Map<'_>) -> Option<Access> {
    let (host, port) = (m.text("host").optional(), m.text("port").optional());
    let written = m.url("url").check(api_server).optional();
    let token_file = m.path("token_file").optional();
    let ca_file = m.path("ca_file").optional();
    let deadline = m.duration("deadline").within(SECOND / 10..=60 * SECOND).or(10 * SECOND);
    let (url, in_cluster) = match written {
        Some(url) => (url.expose().to_owned(), false),
        None => (in_cluster(host, port)?, true),
    };
    // Elsewhere a token is sent only where it is meant to go.
    let token_file = token_file.or_else(|| in_cluster.then(|| TOKEN_FILE.into()));
    let ca_file = ca_file.or_else(|| in_cluster.then(|| CA_FILE.into()));
    Some(Access { url, token_file, ca_file, deadline })
}

/// The token would be read by everyone on the way.
fn api_server(url: &Url) -> Result<(), String> {
    is_one_of(url, &["http", "https"])?;
    if !matches!(url.path(), "" | "/") || url.user().is_some() {
        return Err(
            "holds more than scheme, host and port; write for instance `https://10.0.0.1:6443`".into()
        );
    }
    let loopback =
        url.host().parse::<std::net::IpAddr>().map_or(url.host() == "localhost", |ip| ip.is_loopback());
    if url.scheme() == "http" && !loopback {
        return Err("would send the token in plain text; write `https://`".to_owned());
    }
    Ok(())
}

fn in_cluster(host: Option<String>, port: Option<String>) -> Option<String> {
    let host = host.filter(|host| !host.is_empty())?;
    let port = port.filter(|port| port.parse::<u16>().is_ok())?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(format!("https://{host}:{port}"))
}

#[cfg(test)]
mod tests;
