//! The example of the design, every default, and every mistake with what to do about it.

use super::*;
use farol_config::{Sources, Tree};
use farol_wire::Role;

const EXAMPLE: &str = r#"
name: payments-1
monitors: ["http://127.0.0.1:8502"]
listen: {http: "127.0.0.1:8511", health: "127.0.0.1:8513", local: "127.0.0.1:8512"}
interval: 10s
labels: {cluster: eu, namespace: shop, pod: payments-1}
checks:
  - {name: database, service: payments, postgres: {url: "postgres://app@127.0.0.1/app"}, interval: 5s, deadline: 500ms, failure_threshold: 1, readiness: true}
"#;

fn here() -> Surroundings {
    Surroundings { host_name: Some("box-7".to_owned()), ..Surroundings::default() }
}

fn pod() -> Surroundings {
    let variable = |name: &str| match name {
        "POD_NAME" => Some("web-1".to_owned()),
        "POD_NAMESPACE" => Some("shop".to_owned()),
        "NODE_NAME" => Some("node-3".to_owned()),
        _ => None,
    };
    Surroundings::read(variable, Some("web-1".to_owned()))
}

fn load(text: &str) -> Tree {
    Sources::new().text("agent.yaml", text).load().unwrap()
}

fn read(text: &str) -> Result<Config, String> {
    load(text).read(|m| Config::read_alone(m, &here())).map_err(|problems| problems.to_string())
}

#[test]
fn the_example_is_read_whole() {
    let config = read(EXAMPLE).unwrap();
    assert_eq!((config.identity.id.as_str(), config.identity.role), ("payments-1", Role::Host));
    assert_eq!(config.identity.service, "host");
    assert_eq!(config.monitors[0].to_string(), "http://127.0.0.1:8502");
    assert_eq!(config.listen.local, Some(Local::Tcp("127.0.0.1:8512".parse().unwrap())));
    let spec = &config.checks[0].spec;
    assert_eq!((spec.name.as_str(), spec.service.as_str(), spec.readiness), ("database", "payments", true));
    assert_eq!(config.identity.labels.len(), 3);
}

#[test]
fn nothing_written_gives_the_documented_defaults() {
    let config = read("").unwrap();
    assert_eq!(config.identity.id, "box-7");
    assert_eq!(config.interval, Duration::from_secs(10));
    assert_eq!(config.listen.http.unwrap().to_string(), "127.0.0.1:8511");
    assert_eq!(config.listen.health.unwrap().to_string(), "127.0.0.1:8513");
    assert_eq!((config.listen.local, config.data_dir, config.tls), (None, None, None));
    assert_eq!((config.ring_bytes, config.details), (8 << 20, Details::Loopback));
    let day = Duration::from_secs(86_400);
    assert_eq!(config.spool, Spool { enabled: true, max_bytes: 256 << 20, max_age: day });
    assert!(config.monitors.is_empty() && config.checks.is_empty() && !config.identity.accept_drain);
}

#[test]
fn inside_another_process_nothing_listens_that_is_not_written_and_monitors_are_unknown() {
    let within = |text| load(text).read(|m| Config::read(m, &here())).map_err(|p| p.to_string());
    let config = within("listen: {health: \"127.0.0.1:0\"}").unwrap();
    assert_eq!((config.listen.http, config.listen.health.is_some()), (None, true));
    let error = within("monitors: [\"http://a:1\"]").unwrap_err();
    assert!(error.contains("unknown key `monitors`"), "{error}");
}

#[test]
fn role_and_id_follow_from_where_it_runs() {
    for (text, surroundings, id, role) in [
        ("", pod(), "shop:web-1", Role::Pod),
        ("role: node", pod(), "node-3", Role::Node),
        ("role: host", pod(), "web-1", Role::Host),
        ("role: node", here(), "box-7", Role::Node),
        ("name: mine", pod(), "mine", Role::Pod),
        ("", here(), "box-7", Role::Host),
    ] {
        let config = load(text).read(|m| Config::read_alone(m, &surroundings)).unwrap();
        assert_eq!((config.identity.id.as_str(), config.identity.role), (id, role), "{text:?}");
    }
    let strange = Surroundings { host_name: Some("a b".to_owned()), ..Surroundings::default() };
    let error = load("").read(|m| Config::read_alone(m, &strange)).unwrap_err().to_string();
    assert!(error.contains("name: is required"), "{error}");
    let half = Surroundings { pod_name: Some("web-1".to_owned()), ..here() };
    assert_eq!(load("").read(|m| Config::read_alone(m, &half)).unwrap().identity.role, Role::Host);
}

#[test]
fn every_mistake_says_what_to_do() {
    for (text, expected) in [
        ("interval: 500ms", "write a value from `1s` to `5m`"),
        ("interval: 10m", "write a value from `1s` to `5m`"),
        ("listen: {local: \"0.0.0.0:8512\"}", "write an address on loopback"),
        ("listen: {http: \"127.0.0.1:1\", health: \"127.0.0.1:1\"}", "give each listener its own port"),
        ("monitors: [\"127.0.0.1:8502\"]", "write for instance `http://127.0.0.1:8502`"),
        ("monitors: [\"ftp://a:1\"]", "begins with neither"),
        ("monitors: [\"http://a/agents\"]", "has a path"),
        ("monitors: [\"http://me@a\"]", "has a user"),
        ("monitors: [\"http://a\", \"http://a:8502\"]", "stands there twice"),
        ("monitors: [\"https://a\"]", "needs `tls: {ca: …}`"),
        ("monitors: [\"http://a\"]\ntls: {ca: ca.pem}", "write `https://…`"),
        ("tls: {ca: ca.pem, cert: a.pem}", "has no `key`"),
        ("tls: {cert: a.pem, key: a.key}", "ca: is required"),
        ("role: side-car", "none of `pod`, `node`, `host`"),
        ("scope: \"../etc\"", "is not a name"),
        ("labels: {__name__: x}", "is reserved or too long"),
        ("ring: 1KiB", "out of range"),
        ("checks: [{name: monitor_link, memory: {}}]", "is the agent's own"),
        ("checks: [{name: report_spool, memory: {}}]", "is the agent's own"),
        ("spool: {max_bytes: 1KiB}", "spool.max_bytes"),
        ("checks: [{name: a, memory: {}, labels: {__b: c}}]", "`a`: the label `__b` is reserved"),
        ("intervall: 10s", "did you mean `interval`?"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("agent.yaml:"), "{error}");
    }
    let many: Vec<_> = (0..33).map(|n| format!("l{n}: x")).collect();
    assert!(read(&format!("labels: {{{}}}", many.join(", "))).unwrap_err().contains("32 are the most"));
}

#[test]
fn monitors_are_hosts_with_or_without_a_port() {
    for (text, shown) in [
        ("http://monitor.example", "http://monitor.example:8502"),
        ("https://monitor.example:443/", "https://monitor.example:443"),
        ("http://[::1]:9", "http://[::1]:9"),
    ] {
        let monitor: Monitor = text.parse().unwrap();
        assert_eq!(monitor.to_string(), shown);
    }
    let six: Monitor = "http://[::1]".parse().unwrap();
    assert_eq!((six.host.as_str(), six.port), ("::1", 8502));
}

#[test]
fn what_needs_a_restart_is_named() {
    let old = read(EXAMPLE).unwrap();
    assert_eq!(old.needs_restart(&read(EXAMPLE).unwrap()), Vec::<&str>::new());
    let other =
        "name: other\nrole: node\nscope: eu\ninterval: 5s\naccept_drain: true\nring: 1MiB\ndata_dir: d";
    let names = old.needs_restart(&read(other).unwrap());
    for expected in [
        "name",
        "role",
        "scope",
        "labels",
        "accept_drain",
        "monitors",
        "listen",
        "interval",
        "ring",
        "data_dir",
    ] {
        assert!(names.contains(&expected), "{expected} in {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("checks")));
}
