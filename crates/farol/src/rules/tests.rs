//! `farol rules` as it is called, on files.

use crate::cli::{Cli, Command};
use crate::terminal::printed::Printed;
use crate::{Error, Found};
use clap::Parser;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

const RULES: &str = "
rules:
  - {name: cpu_high, metric: cpu, match: {cluster: eu}, warning: '> 75', critical: '> 85', clear: '< 70', for: 30s}
  - {name: db_down, component: db, depends_on: [{rule: agent_lost, on: [agent]}]}
  - {name: component_unhealthy, component: '*', match: {component: '!db'}, for: 20s}
";

const CASES: &str = "
interval: 10s
cases:
  - name: a busy processor
    agents: [{agent: a, labels: {cluster: eu}}, {agent: b, labels: {cluster: us}}]
    input:
      - {metric: cpu, labels: {agent: a}, values: '50x2 90x6 60x2'}
      - {metric: cpu, labels: {agent: b}, values: '99x11'}
    expect:
      - {at: 20s, alerts: []}
      - {at: 30s, alerts: [{rule: cpu_high, labels: {agent: a, cluster: eu}, severity: critical, phase: pending}]}
      - {at: 1m, alerts: [{rule: cpu_high, phase: firing}]}
      - {at: 2m, alerts: []}
    told:
      - {at: 1m, receiver: log, why: first, firing: [{rule: cpu_high, severity: critical}]}
      - {at: 6m, why: resolved, resolved: [{rule: cpu_high, labels: {agent: a}}]}
  - name: a lost agent
    input: [{component: db, service: pay, agent: a, status: 'healthy unhealthyx3 stalex3 healthy'}]
    expect:
      - {at: 10s, alerts: [{rule: db_down, phase: firing}, {rule: service_below_minimum, labels: {service: pay}}]}
      - {at: 40s, alerts: [{rule: db_down}, {rule: agent_lost, labels: {agent: a}}, {rule: service_below_minimum}]}
      - {at: 70s, alerts: []}
";

struct Place {
    dir: TempDir,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            fs::write(place.path(name), text).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// What comes of a command line; `@name` is a file of this place.
    fn run(&self, line: &str) -> (Result<Found, Error>, String) {
        let words = line.split_ascii_whitespace();
        let words = words.map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name),
            None => word.to_owned(),
        });
        let cli = Cli::try_parse_from([String::from("farol"), "rules".to_owned()].into_iter().chain(words));
        let Some(command @ Command::Rules(_)) = cli.unwrap().command else { panic!("{line}") };
        let printed = Printed::default();
        let found = command.run(Vec::new(), &mut printed.terminal());
        (found, printed.text().replace(self.dir.path().to_str().unwrap(), "DIR"))
    }
}

#[test]
fn check_lists_the_rules_of_the_files_alone() {
    let place = Place::new(&[("rules.yaml", RULES)]);
    let (found, text) = place.run("check @rules.yaml");
    assert_eq!(found.unwrap(), Found::Fine);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(lines[0].starts_with("RULE"), "{text}");
    for (line, words) in [
        // It stands in the place of the shipped one.
        (1, &["component_unhealthy  component *, component: !db", "critical when unhealthy", "20s"][..]),
        (
            2,
            &[
                "cpu_high",
                "metric cpu, cluster: eu",
                "warning > 75, critical > 85, clear < 70",
                "30s",
                "each",
            ],
        ),
        (3, &["db_down", "service, component"]),
        (5, &["3 rules, nothing is wrong"]),
    ] {
        for word in words {
            assert!(lines[line].contains(word), "{word} is not in {}\n{text}", lines[line]);
        }
    }
    let (_, json) = place.run("check --json @rules.yaml");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[1]["name"], &json[1]["for_ms"]), (&"cpu_high".into(), &30_000.into()));
    assert_eq!(json[2]["depends_on"][0]["rule"], "agent_lost");
}

#[test]
fn check_tells_all_that_is_wrong_with_file_line_and_key() {
    let wrong = "rules:\n  - {name: a, metric: cpu}\n  - {name: b, service: x, status: [ill]}\n";
    let place = Place::new(&[("rules.yaml", RULES), ("wrong.yaml", wrong)]);
    let (found, text) = place.run("check @rules.yaml @wrong.yaml");
    let error = found.unwrap_err();
    assert!(error.is_configuration() && text.is_empty());
    let error = error.to_string();
    for word in ["wrong.yaml:2: rules[0]", "wrong.yaml:3: rules[1].status"] {
        assert!(error.contains(word), "{word} is not in {error}");
    }
    let bad = "rules: [{name: a, service: x, annotations: {summary: '{{ value'}}]";
    let template = Place::new(&[("bad.yaml", bad)]);
    let error = template.run("check @bad.yaml").0.unwrap_err().to_string();
    assert!(error.contains("bad.yaml:1: rules[0].annotations.summary: "), "{error}");
    let (found, _) = place.run("check --no-default-rules @rules.yaml");
    assert!(found.unwrap_err().to_string().contains("`agent_lost` is a shipped rule"));
}

#[test]
fn cases_that_come_out_are_counted() {
    let place = Place::new(&[("rules.yaml", RULES), ("cases.yaml", CASES)]);
    let (found, text) = place.run("test --cases @cases.yaml @rules.yaml");
    assert_eq!((text.trim_end(), found.unwrap()), ("2 cases, all came out", Found::Fine));
    let (_, json) = place.run("test --json --cases @cases.yaml @rules.yaml");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["failed"], &json["cases"][1]["at"]), (&0.into(), &"DIR/cases.yaml:17".into()));
}

#[test]
fn what_does_not_come_out_is_told_with_file_line_and_what_there_is() {
    for (from, to, complaint) in [
        (
            "phase: pending",
            "phase: firing",
            "DIR/cases.yaml:11: case `a busy processor`: at 30s expected cpu_high{agent=\"a\",cluster=\"eu\"} firing \
             critical; there is cpu_high{agent=\"a\",cluster=\"eu\"} pending critical",
        ),
        (
            "at: 20s, alerts: []",
            "at: 40s, alerts: []",
            "DIR/cases.yaml:10: case `a busy processor`: at 40s there is cpu_high{agent=\"a\",cluster=\"eu\"} pending \
             critical, which is not expected",
        ),
        (
            "at: 6m, why",
            "at: 5m, why",
            "DIR/cases.yaml:16: case `a busy processor`: expected the notice at 5m to anybody, resolved, resolved \
             cpu_high{agent=\"a\"}; there is nothing",
        ),
        (
            "at: 1m, receiver: log",
            "at: 1m, receiver: ops",
            "DIR/cases.yaml:15: case `a busy processor`: expected the notice at 1m to ops, first, firing cpu_high \
             critical; there is at 1m to log, first, firing cpu_high{agent=\"a\",cluster=\"eu\"} critical",
        ),
        (
            "{at: 70s, alerts: []}",
            "{at: 70s, alerts: [{rule: db_down}]}",
            "DIR/cases.yaml:22: case `a lost agent`: at 1m10s expected db_down; there is nothing else",
        ),
    ] {
        assert!(CASES.contains(from), "{from}");
        let place = Place::new(&[("rules.yaml", RULES), ("cases.yaml", &CASES.replace(from, to))]);
        let (found, text) = place.run("test --cases @cases.yaml @rules.yaml");
        assert_eq!(found.unwrap(), Found::NotAsExpected);
        assert_eq!(text.trim_end(), format!("{complaint}\n2 cases, 1 did not come out"));
    }
}

#[test]
fn what_several_peers_of_a_receiver_are_told_is_one_notice_to_it() {
    let receivers = "{mail: {email: {server: \"mail.test:587\", from: farol@shop.test, to: [a@shop.test, b@shop.test]}}, \
                     one: {email: {server: \"mail.test:587\", from: farol@shop.test, to: [c@shop.test]}}}";
    let route = "{receiver: mail, routes: [{match: {alertname: service_below_minimum}, receiver: one}]}";
    let monitor = format!("receivers: {receivers}\nroute: {route}\n");
    let cases = CASES.replace("receiver: log", "receiver: mail");
    let place = Place::new(&[("rules.yaml", RULES), ("cases.yaml", &cases), ("monitor.yaml", &monitor)]);
    let (found, text) = place.run("test --config @monitor.yaml --cases @cases.yaml @rules.yaml");
    assert_eq!((text.trim_end(), found.unwrap()), ("2 cases, all came out", Found::Fine));
    let cases = cases.replace("    expect:\n      - {at: 10s", "    told: []\n    expect:\n      - {at: 10s");
    let place = Place::new(&[("rules.yaml", RULES), ("cases.yaml", &cases), ("monitor.yaml", &monitor)]);
    let (_, text) = place.run("test --config @monitor.yaml --cases @cases.yaml @rules.yaml");
    assert!(text.contains(" to one, ") && text.contains(" to mail, ") && !text.contains('@'), "{text}");
}

#[test]
fn cases_that_are_written_wrong_are_the_configurations_fault() {
    let wrong =
        "cases: [{name: x, input: [{metric: cpu, values: '5x'}, {cpu: 1}], expect: [{alerts: []}]}]\n";
    let place = Place::new(&[("rules.yaml", RULES), ("cases.yaml", wrong)]);
    let error = place.run("test --cases @cases.yaml @rules.yaml").0.unwrap_err();
    assert!(error.is_configuration());
    let error = error.to_string();
    for word in ["cases[0].input[0].values", "cases[0].input[1]: is neither", "cases[0].expect[0].at"] {
        assert!(error.contains(word), "{word} is not in {error}");
    }
}

#[test]
fn without_a_store_files_or_time_there_is_nothing_to_tell() {
    let place = Place::new(&[("rules.yaml", RULES)]);
    for (line, is_configuration, word) in [
        ("test", true, "name files of rules"),
        ("test --since 1h --until 2026-01-01T00:00:00Z @rules.yaml", true, "--since is not before --until"),
        ("test --data-dir @nothing @rules.yaml", false, "there is no store at"),
    ] {
        let error = place.run(line).0.unwrap_err();
        assert_eq!(error.is_configuration(), is_configuration, "{line}");
        assert!(error.to_string().contains(word), "{line}: {error}");
    }
}

#[test]
fn the_examples_of_the_page_about_rules_go_together() {
    let page = include_str!("../../../../docs/RULES.md");
    let mut blocks = page.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let rules = blocks.clone().find(|block| block.starts_with("rules:\n")).unwrap();
    let cases = blocks.find(|block| block.contains("cases:\n")).unwrap();
    let place = Place::new(&[("shop.yaml", rules), ("cases.yaml", cases)]);
    let (found, text) = place.run("test --cases @cases.yaml @shop.yaml");
    assert_eq!(found.unwrap(), Found::Fine, "{text}");
    let late = cases.replace("at: 3m\n", "at: 2m30s\n");
    assert_ne!(late, cases);
    let place = Place::new(&[("shop.yaml", rules), ("cases.yaml", &late)]);
    let (found, text) = place.run("test --cases @cases.yaml @shop.yaml");
    assert_eq!(found.unwrap(), Found::NotAsExpected);
    assert!(text.contains("at 2m30s expected"), "{text}");
}
