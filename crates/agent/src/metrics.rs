//! `/metrics` of the agent itself: how its components stand, and how its stream does. The figures it measures go to
//! the monitor and are scraped there.

use crate::link::Phase;
use crate::probes::Own;
use crate::recorder::Counts;
use crate::reloads::Readings;
use farol_health::Snapshot;
use farol_health::clock::boot_ms;
use farol_health::probe::Source;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// Prometheus' text format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole document.
pub(crate) fn text(own: &Own) -> String {
    let mut out = String::with_capacity(4 << 10);
    components(&own.snapshot(), boot_ms(), &mut out);
    stream(own, &mut out);
    reloads(own.reloads.readings(), &mut out);
    own.traffic.write(&mut out);
    out
}

fn components(snapshot: &Snapshot, now_ms: u64, out: &mut String) {
    head(
        out,
        "farol_component_status",
        "gauge",
        "0 unknown, 1 starting, 2 healthy, 3 degraded, 4 unhealthy, 5 maintenance",
    );
    for view in &snapshot.components {
        let maintenance = view.maintenance || snapshot.draining;
        let status = if maintenance { 5 } else { view.status_at(now_ms) as u8 };
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

/// The same families as a monitor's.
fn reloads(readings: Readings, out: &mut String) {
    let Readings { succeeded, failed, last_failed, last_success_ms } = readings;
    let name = "farol_config_reloads_total";
    head(out, name, "counter", "Readings of the configuration, the first included.");
    line(out, name, &[("result", "success")], succeeded);
    line(out, name, &[("result", "failure")], failed);
    let name = "farol_config_last_reload_successful";
    head(out, name, "gauge", "0 after a reading that was refused.");
    line(out, name, &[], u8::from(!last_failed));
    let name = "farol_config_last_reload_success_timestamp_seconds";
    head(out, name, "gauge", "When the configuration was last taken over.");
    line(out, name, &[], last_success_ms as f64 / 1e3);
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

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::{Checker, Outcome, Registration, Spec, Status, check_fn};
    use std::sync::Arc;

    #[test]
    fn what_is_stale_is_unknown_and_what_drains_is_in_maintenance() {
        let ask = || std::future::ready(Outcome::healthy());
        let check = Registration::new(Spec::new("database", "shop"), check_fn("test", ask));
        let checker = Checker::new(vec![check], Arc::new(())).unwrap();
        let mut snapshot = Snapshot::clone(&checker.snapshot());
        let view = Arc::make_mut(&mut snapshot.components[0]);
        (view.hard, view.checked_ms) = (Status::Healthy, Some(1_000));
        let stale_ms = 1_000 + view.ttl_ms + 1;
        for (now_ms, draining, status, stale) in
            [(1_000, false, 2, 0), (stale_ms, false, 0, 1), (1_000, true, 5, 0), (stale_ms, true, 5, 1)]
        {
            snapshot.draining = draining;
            let mut out = String::new();
            components(&snapshot, now_ms, &mut out);
            for (name, value) in [("status", status), ("stale", stale)] {
                let line =
                    format!("farol_component_{name}{{service=\"shop\",component=\"database\"}} {value}\n");
                assert!(out.contains(&line), "{line} is not in\n{out}");
            }
        }
    }
}
