//! The public API as the processes use it: one nested file, both prefixes, aliases, flags, and its dump.

use farol_config::{Map, Problems, Secret, Sources, Tree, Url};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const FILE: &str = r#"
monitor:
  listen: {http: "127.0.0.1:8501", agents: localhost:8502}
  store: {postgres: {url: "postgres://app:hunter2@127.0.0.1/app"}}
  services: {payments: {at_least: 2}, kestra: }
  groups: {checkout: [payments, kestra]}
agent:
  name: payments-1
  labels: {cluster: eu, version: 1.10}
  checks:
    - {name: database, postgres: {url: "postgres://app@127.0.0.1/app"}, interval: 5s, deadline: 500ms}
    - name: mem
      memory:
"#;

#[derive(Debug, PartialEq)]
struct Monitor {
    http: SocketAddr,
    agents: SocketAddr,
    store: Option<(Url, Option<Secret>)>,
    services: Vec<(String, u32)>,
    groups: Vec<(String, Vec<String>)>,
}

#[derive(Debug, PartialEq)]
struct Agent {
    name: String,
    interval: Duration,
    labels: BTreeMap<String, String>,
    checks: Vec<(String, &'static str, Duration)>,
}

fn monitor(m: &mut Map<'_>) -> Monitor {
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (http, agents) = m.section("listen", |m| {
        (m.address("http").or(loopback(8501)), m.address("agents").or(loopback(8502)))
    });
    let store = m.section("store", |m| {
        m.map("postgres", |m| (m.url("url").required(), m.secret("password").optional()))
    });
    let services = m.entries("services", |_, m| m.integer("at_least").within(1..=10_000).or(1));
    let groups = m.texts_by_name("groups");
    for (name, members) in &groups {
        for member in members.iter().filter(|member| !services.iter().any(|(service, _)| service == *member))
        {
            m.problem(
                "groups",
                format!("`{name}` holds `{member}`, which is not under `services`; declare it there"),
            );
        }
    }
    Monitor { http, agents, store, services, groups }
}

fn agent(m: &mut Map<'_>) -> Agent {
    let checks = m.list("checks", |m| {
        let kind = if m.map("postgres", |m| m.url("url").required()).is_some() {
            "postgres"
        } else if m.map("memory", |_| ()).is_some() {
            "memory"
        } else {
            m.problem_here("names no kind of check; write for instance `memory: {}`");
            ""
        };
        m.duration("deadline")
            .within(Duration::from_millis(1)..=Duration::from_secs(60))
            .or(Duration::from_millis(500));
        (m.name("name").required(), kind, m.duration("interval").or(Duration::from_secs(10)))
    });
    Agent {
        name: m.agent_id("name").required(),
        interval: m.duration("interval").or(Duration::from_secs(10)),
        labels: m.labels("labels"),
        checks,
    }
}

fn load(text: &str) -> Result<Tree, Problems> {
    let vars = [
        ("FAROL_AGENT__INTERVAL", "2s"),
        ("FAROL_MONITOR__LISTEN__AGENTS", "[::]:8502"),
        ("DB_PASSWORD", "hunter2"),
        ("PATH", "/bin"),
    ];
    Sources::new()
        .text("farol.yaml", text)
        .env("FAROL_MONITOR", Some("monitor"), vars)
        .env("FAROL_AGENT", Some("agent"), vars)
        .alias("DB_PASSWORD", "monitor.store.postgres.password")
        .flag("--http", "monitor.listen.http", Some("127.0.0.1:0".to_owned()))
        .load()
}

fn both(m: &mut Map<'_>) -> (Monitor, Agent) {
    (m.section("monitor", monitor), m.section("agent", agent))
}

#[test]
fn both_halves_are_read_from_one_file_and_its_surroundings() {
    let (monitor, agent) = load(FILE).unwrap().read(both).unwrap();
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(monitor.http.to_string(), "127.0.0.1:0");
    assert_eq!(monitor.agents.to_string(), "[::]:8502");
    assert_eq!(monitor.services, [("payments".to_owned(), 2), ("kestra".to_owned(), 1)]);
    assert_eq!(monitor.groups, [("checkout".to_owned(), named(&["payments", "kestra"]))]);
    assert!(monitor.store.is_some_and(|(url, password)| url.has_password() && password.is_some()));
    assert_eq!((agent.name.as_str(), agent.interval), ("payments-1", Duration::from_secs(2)));
    assert_eq!(agent.labels["version"], "1.10");
    let kinds: Vec<&str> = agent.checks.iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds, ["postgres", "memory"]);
}

#[test]
fn the_dump_hides_secrets_and_loads_again_to_the_same_dump() {
    let tree = load(FILE).unwrap();
    tree.read(both).unwrap();
    let dump = tree.dump();
    assert!(!dump.contains("hunter2"), "{dump}");
    for line in [
        "    http: 127.0.0.1:0  # from --http",
        "    agents: \"[::]:8502\"  # from FAROL_MONITOR__LISTEN__AGENTS",
        "      url: \"postgres://app:***@127.0.0.1/app\"  # from farol.yaml:4",
        "      password: \"***\"  # from DB_PASSWORD",
        "      deadline: 500ms  # from default",
        "    version: \"1.10\"  # from farol.yaml:9",
    ] {
        assert!(dump.lines().any(|found| found == line), "{line} is not in\n{dump}");
    }
    let again = Sources::new().text("dump.yaml", &dump).load().unwrap();
    again.read(both).unwrap();
    let values = |dump: &str| -> Vec<String> {
        dump.lines().map(|line| line.split("  # from").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(values(&again.dump()), values(&dump));
}

#[test]
fn a_member_that_is_not_declared_and_a_check_without_a_kind_are_told_together() {
    let text = FILE.replace("kestra: }", "x: }").replace("      memory:\n", "      memry:\n");
    let problems = load(&text).unwrap().read(both).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "farol.yaml:6: monitor.groups: `checkout` holds `kestra`, which is not under `services`; declare it there
farol.yaml:12: agent.checks[1]: names no kind of check; write for instance `memory: {}`
farol.yaml:13: agent.checks[1].memry: unknown key `memry`; did you mean `memory`?"
    );
}
