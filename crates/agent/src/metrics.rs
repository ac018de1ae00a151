//! `/metrics` of the agent itself: how its components stand, and how its stream does. The figures it measures go to
//! the monitor and are scraped there.

use crate::link::Phase;
use crate::probes::Own;
use crate::recorder::Counts;
use farol_health::clock::boot_ms;
use farol_health::probe::Source;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// Prometheus' text format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole document.
pub(crate) fn text(own: &Own) -> String {
    let mut out = String::with_capacity(4 << 10);
    components(own, &mut out);
    stream(own, &mut out);
    out
}

fn components(own: &Own, out: &mut String) {
    let (snapshot, now_ms) = (own.snapshot(), boot_ms());
    head(
        out,
        "farol_component_status",
        "gauge",
        "0 unknown, 1 starting, 2 healthy, 3 degraded, 4 unhealthy, 5 maintenance",
    );
    for view in &snapshot.components {
        let status = if view.maintenance { 5 } else { view.hard as u8 };
        line(out, "farol_component_status", &[("service", &view.service), ("component", &view.name)], status);
    }
    head(out, "farol_component_stale", "gauge", "Whether the last result is older than its time to live");
    for view in &snapshot.components {
        let stale = u8::from(view.is_stale(now_ms));
        line(out, "farol_component_stale", &[("service", &view.service), ("component", &view.name)], stale);
    }
}

fn stream(own: &Own, out: &mut String) {
    let phase = own.link.phase();
    head(out, "farol_agent_stream_state", "gauge", "1 for the state in which the stream is");
    for (word, is) in [
        ("down", phase == Phase::Down),
        ("backlog", phase == Phase::Backlog),
        ("live", phase == Phase::Live),
        ("refused", matches!(phase, Phase::Refused(..))),
    ] {
        line(out, "farol_agent_stream_state", &[("state", word)], u8::from(is));
    }
    let Counts { reports, acked, unacked, lost, ring_bytes, series, samples_dropped } = own.recorder.counts();
    let (opened, failed) = (own.link.opened.load(Ordering::Relaxed), own.link.failed.load(Ordering::Relaxed));
    for (name, kind, help, value) in [
        ("farol_agent_streams_opened_total", "counter", "Streams that a monitor welcomed", opened),
        (
            "farol_agent_streams_failed_total",
            "counter",
            "Connections and streams that ended or failed",
            failed,
        ),
        ("farol_agent_reports_total", "counter", "Reports made", reports),
        ("farol_agent_reports_acked", "gauge", "The last report that is committed by a monitor", acked),
        ("farol_agent_reports_unacked", "gauge", "Reports held until a monitor commits them", unacked),
        ("farol_agent_reports_lost_total", "counter", "Reports dropped because the ring was full", lost),
        ("farol_agent_ring_bytes", "gauge", "Memory of the reports held", ring_bytes as u64),
        ("farol_agent_series", "gauge", "Series defined", series as u64),
        (
            "farol_agent_samples_dropped_total",
            "counter",
            "Samples over a limit, refused or badly named",
            samples_dropped,
        ),
        (
            "farol_log_lines_dropped_total",
            "counter",
            "Lines of the log that were dropped",
            farol_logging::dropped(),
        ),
    ] {
        head(out, name, kind, help);
        line(out, name, &[], value);
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String does not fail.
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
}

/// Label values here are names (`[A-Za-z0-9._-]`) or our own words: none needs escaping.
fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    out.push_str(name);
    for (position, (label, text)) in labels.iter().enumerate() {
        let open = if position == 0 { '{' } else { ',' };
        write!(out, "{open}{label}=\"{text}\"").ok();
    }
    writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" }).ok();
}
