//! The goals, row by row, and where their figures are found.

use super::Row;
use super::found::{Found, number, peers};
use serde_json::Value;

const FAROL: &str = "farol-monitor";
const PROMETHEUS: &str = "prometheus";
const VICTORIA: &str = "victoria-metrics";

pub(super) fn rows(found: &Found) -> Vec<Row> {
    let mut rows = cost(found);
    rows.extend(scale(found));
    rows.extend(size(found));
    rows.extend(beside(found));
    rows.extend(questions(found));
    rows.extend(starts(found));
    rows.extend(alerts(found));
    rows.extend(rules(found));
    rows
}

fn row(
    what: &'static str,
    value: Option<f64>,
    unit: &str,
    peers: String,
    goal: &'static str,
    most: f64,
) -> Row {
    let farol = value.map(|value| format!("{}{unit}", number(value)));
    Row { what, farol, peers, goal, verdict: value.map(|value| (value, most)) }
}

fn any(_: &Value) -> bool {
    true
}

/// A figure of both monitors that are measured beside.
fn both(
    found: &Found,
    bench: &str,
    is_it: impl Fn(&Value) -> bool + Copy,
    field: &str,
    unit: &str,
) -> String {
    let of = |what| found.of(bench, what, is_it, field);
    peers(&[("Prometheus", of(PROMETHEUS)), ("VictoriaMetrics", of(VICTORIA))], unit)
}

fn cost(found: &Found) -> Vec<Row> {
    let how =
        |how: &'static str| move |line: &Value| line["how"].as_str().is_some_and(|told| told.contains(how));
    let written = |words: &'static str, shape: &'static str| {
        let told = both(found, "ingest", how(shape), "cpu_us_per_sample", " µs");
        if told.is_empty() { told } else { format!("{words}: {told}") }
    };
    let each = written("remote write, a request for each report", "each report");
    let together = written("remote write, 2 000 samples a request", "2 000");
    let cpu = "monitor_cpu_us_per_sample";
    let flat_out =
        found.feed("flat out", "reports_per_second").map(|rate| format!(" at {rate:.0} reports/s"));
    vec![
        row(
            "central CPU a sample, fed below the transport as fast as it takes",
            found.feed("flat out", cpu),
            &format!(" µs{}", flat_out.unwrap_or_default()),
            together.clone(),
            "≤ 0.10 µs at 50 000 reports/s",
            0.10,
        ),
        row(
            "central CPU a sample, 8 000 agents at 1 s",
            found.load(8_000, 1.0, cpu),
            " µs",
            each.clone(),
            "≤ 0.15 µs",
            0.15,
        ),
        row(
            "central CPU a sample, 15 000 agents at 10 s",
            found.load(15_000, 10.0, cpu),
            " µs",
            each,
            "≤ 0.30 µs",
            0.30,
        ),
        Row {
            verdict: None,
            ..row(
                "central CPU a sample, an hour of backlog",
                found.of("ingest", FAROL, any, "cpu_us_per_sample"),
                " µs",
                together,
                "none",
                f64::INFINITY,
            )
        },
    ]
}

fn scale(found: &Found) -> Vec<Row> {
    let cores = "monitor_cores";
    let fed = found.feed_agents().filter(|agents| *agents >= 1e5).and_then(|_| found.feed("rate", cores));
    let wire = |agents| found.load(agents, 10.0, "wire_bytes_per_sample");
    let written = |line: &Value| line["how"].as_str().is_some_and(|told| told.contains("2 000"));
    let page = found.of("idle", "node_exporter at 10 s", any, "page_bytes_per_sample");
    let others = [
        both(found, "ingest", written, "wire_bytes_per_sample", " B"),
        peers(&[("node_exporter's page", page)], " B"),
    ];
    let others = others.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    let none = String::new;
    vec![
        row(
            "cores for 15 000 agents at 10 s on sockets",
            found.load(15_000, 10.0, cores),
            "",
            none(),
            "≤ 2",
            2.0,
        ),
        row("cores for 100 000 agents at 10 s, fed below the transport", fed, "", none(), "≤ 2", 2.0),
        row(
            "wire, bytes a sample at 10 s",
            wire(15_000).or_else(|| wire(1_000)),
            " B",
            others,
            "≤ 2.0 B",
            2.0,
        ),
    ]
}

fn size(found: &Found) -> Vec<Row> {
    let kib = "monitor_kib_per_agent";
    let held = |field: &'static str| found.of("held", FAROL, any, field);
    let block = found.of("held", PROMETHEUS, any, "block_bytes_per_sample");
    let disk = |what| found.of("held", what, any, "disk_bytes_per_sample");
    let on_disk = [
        ("Prometheus' block", block),
        ("Prometheus with its log", disk(PROMETHEUS)),
        ("VictoriaMetrics", disk(VICTORIA)),
    ];
    vec![
        row(
            "monitor memory an agent without history, 15 000 on sockets",
            found.load(15_000, 10.0, kib),
            " KiB",
            String::new(),
            "≤ 40 KB",
            40.0 / 1.024,
        ),
        row(
            "monitor memory an agent without history, below the transport",
            found.feed("rate", "kib_per_agent_without_history"),
            " KiB",
            String::new(),
            "≤ 40 KB",
            40.0 / 1.024,
        ),
        row(
            "resident memory a series with an hour of history, all in",
            held("resident_kib_per_series"),
            " KiB",
            both(found, "held", any, "resident_kib_per_series", " KiB"),
            "≤ 1.0 KiB",
            1.0,
        ),
        row(
            "history in memory, bytes a sample",
            held("history_bytes_per_sample"),
            " B",
            String::new(),
            "≤ 1.5 B",
            1.5,
        ),
        row(
            "store on disk after an hour, bytes a sample",
            held("disk_bytes_per_sample"),
            " B",
            peers(&on_disk, " B"),
            "≤ 1.5 B sealed",
            1.5,
        ),
    ]
}

/// Agents on one machine.
fn beside(found: &Found) -> Vec<Row> {
    let of = |what: &str, field: &str| found.of("idle", what, any, field);
    let others = |every: &str, field: &str, unit: &str| {
        let named = |name: &str| of(&format!("{name} at {every}"), field);
        peers(&[("node_exporter", named("node_exporter")), ("collectd", named("collectd"))], unit)
    };
    let cpu = "cpu_us_per_sample";
    vec![
        row(
            "agent, CPU a sample at 10 s",
            of("farol-agent at 10 s", cpu),
            " µs",
            others("10 s", cpu, " µs"),
            "≤ 3 µs",
            3.0,
        ),
        row(
            "agent, CPU a sample at 1 s",
            of("farol-agent at 1 s", cpu),
            " µs",
            others("1 s", cpu, " µs"),
            "≤ 3 µs",
            3.0,
        ),
        row(
            "agent, resident",
            of("farol-agent at 10 s", "resident_mib"),
            " MiB",
            others("10 s", "resident_mib", " MiB"),
            "≤ 12 MiB, then 9",
            12.0,
        ),
    ]
}

fn questions(found: &Found) -> Vec<Row> {
    let cpu = |what: &str| found.of("probe", what, any, "cpu_us_per_request");
    let late = |what: &str| found.of("probe", what, any, "open_p99_ms");
    let servers = |of: &dyn Fn(&str) -> Option<f64>, unit| {
        peers(
            &[
                ("Prometheus", of(PROMETHEUS)),
                ("VictoriaMetrics", of(VICTORIA)),
                ("node_exporter", of("node_exporter")),
            ],
            unit,
        )
    };
    let page = |least: f64| {
        move |line: &Value| {
            line["series"].as_f64().is_some_and(|series| series >= least && series < 2.0 * least)
        }
    };
    let million = found
        .of("page", FAROL, page(1e6), "grown_mib")
        .map(|grown| format!(" ms, + {} MiB resident", number(grown)));
    vec![
        row("probe, CPU a request in a closed loop", cpu(FAROL), " µs", servers(&cpu, " µs"), "≤ 8 µs", 8.0),
        row("probe, p99 at 1 000/s", late(FAROL), " ms", servers(&late, " ms"), "< 1 ms", 1.0),
        row(
            "page of 100 000 series, uncompressed",
            found.of("page", FAROL, page(1e5), "median_ms"),
            " ms",
            both(found, "page", page(1e5), "median_ms", " ms"),
            "≤ 30 ms",
            30.0,
        ),
        row(
            "page of 1 000 000 series",
            found.of("page", FAROL, page(1e6), "median_ms"),
            &million.unwrap_or_else(|| " ms".to_owned()),
            String::new(),
            "≤ 250 ms, no growth",
            250.0,
        ),
        row(
            "an hour at 15 s step of 100 series",
            found.of("range", FAROL, any, "median_ms"),
            " ms",
            both(found, "range", any, "median_ms", " ms"),
            "≤ 3 ms",
            3.0,
        ),
    ]
}

fn starts(found: &Found) -> Vec<Row> {
    let known = |least: u64, most: u64| {
        move |line: &Value| line["known_series"].as_u64().is_some_and(|n| (least..=most).contains(&n))
    };
    let of = |is_it: &dyn Fn(&Value) -> bool| found.of("ready", FAROL, is_it, "median_ms");
    vec![
        row(
            "start to ready, empty",
            of(&known(0, 0)),
            " ms",
            both(found, "ready", known(0, 0), "median_ms", " ms"),
            "≤ 30 ms",
            30.0,
        ),
        row(
            "start to ready, 100 000 known series",
            of(&known(100_000, 199_999)),
            " ms",
            both(found, "ready", known(100_000, 199_999), "median_ms", " ms"),
            "≤ 200 ms",
            200.0,
        ),
    ]
}

/// From a failing check to whoever is told.
fn alerts(found: &Found) -> Vec<Row> {
    let of = |durability: &str, field: &str| found.alerts(durability, field);
    let told = |what: &'static str, field: &str, goal: &'static str, most: f64| {
        let full = of("full", field).map(|ms| format!("; {} ms with durability full", number(ms)));
        row(what, of("normal", field), &format!(" ms{}", full.unwrap_or_default()), String::new(), goal, most)
    };
    vec![
        told("failing check to the webhook's first byte, p50", "p50_ms", "≤ 10 ms", 10.0),
        told("failing check to the webhook's first byte, p99", "p99_ms", "≤ 50 ms", 50.0),
    ]
}

fn rules(found: &Found) -> Vec<Row> {
    let farol = |set: &str, agents: u64, field: &str| found.rules(FAROL, set, agents, field);
    let pair = "cpu_us_per_rule_and_series";
    let beside = found.rules(PROMETHEUS, "fifty", 1_000, pair);
    let evaluation = farol("fifty", 15_000, "cpu_us_per_evaluation");
    let evaluation = evaluation.map(|us| format!("; {} µs each time one looks", number(us)));
    let kib = "kib_per_agent_without_history";
    let shipped = farol("shipped", 15_000, kib).zip(farol("none", 15_000, kib));
    vec![
        row(
            "rules, CPU a rule and series: 50 rules, 15 000 agents of 100 series at 10 s",
            farol("fifty", 15_000, pair),
            &format!(" µs{}", evaluation.unwrap_or_default()),
            peers(&[("Prometheus with 1 000 agents", beside)], " µs"),
            "≤ 0.01 µs",
            0.01,
        ),
        row(
            "rules, share of a core for these",
            farol("fifty", 15_000, "cores_more").map(|cores| crate::round(cores * 100.0)),
            " %",
            String::new(),
            "≤ 1 %",
            1.0,
        ),
        row(
            "rules, CPU a rule and series where each of 50 looks at each of 100 series",
            farol("all", 1_500, pair),
            " µs",
            String::new(),
            "≤ 0.01 µs",
            0.01,
        ),
        Row {
            verdict: None,
            ..row(
                "monitor memory an agent more with the shipped rules, 15 000 below the transport",
                shipped.map(|(with, without)| crate::round(with - without)),
                " KiB",
                String::new(),
                "none",
                f64::INFINITY,
            )
        },
    ]
}
