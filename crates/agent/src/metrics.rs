//! `/metrics` of the agent itself, and the same by OTLP: how its components stand, and how its stream does. The figures
//! it measures go to the monitor and are scraped there.

mod families;

use crate::link::Phase;
use crate::probes::Own;
use crate::recorder::Counts;
use crate::reloads::Readings;
use crate::ring::Spooled;
use families::Families;
use farol_health::Snapshot;
use farol_health::clock::boot_ms;
use farol_logging::MetricKind;
use farol_logging::correlation::{BUCKETS, Row};
use farol_shutdown::listener::{Closed, Refused};
use farol_shutdown::{Handle, Stage};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Prometheus' text format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole document.
pub(crate) fn text(own: &Own) -> String {
    let mut out = String::with_capacity(4 << 10);
    all(own, &mut Families::Page(&mut out));
    out
}

/// Exports the same by OTLP, where that is wanted.
pub(crate) fn export(own: &Arc<Own>) {
    let own = Arc::clone(own);
    farol_logging::observe("farol-agent", move |metrics| all(&own, &mut Families::Exported(metrics)));
}

fn all(own: &Own, families: &mut Families<'_>) {
    components(&own.checker.snapshot(), boot_ms(), families);
    stream(own, families);
    if let Some(disk) = &own.disk {
        spool(own.recorder.spooled(), disk.is_refusing(), boot_ms(), families);
    }
    logs(families);
    reloads(own.reloads.readings(), families);
    start(&own.handle, families);
    listeners(&own.handle, families);
    requests(&own.traffic.rows(), families);
}

fn components(snapshot: &Snapshot, now_ms: u64, families: &mut Families<'_>) {
    let name = "farol_component_status";
    let help = "0 unknown, 1 starting, 2 healthy, 3 degraded, 4 unhealthy, 5 maintenance";
    families.head(name, MetricKind::Gauge, help);
    for view in &snapshot.components {
        let maintenance = view.maintenance || snapshot.draining;
        let status = if maintenance { 5 } else { view.status_at(now_ms) as u8 };
        families.sample(name, &[("service", &view.service), ("component", &view.name)], status.into());
    }
    let name = "farol_component_stale";
    families.head(name, MetricKind::Gauge, "Whether the last result is older than its time to live");
    for view in &snapshot.components {
        let stale = u8::from(view.is_stale(now_ms));
        families.sample(name, &[("service", &view.service), ("component", &view.name)], stale.into());
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn stream(own: &Own, families: &mut Families<'_>) {
    let phase = own.link.phase();
    let name = "farol_agent_stream_state";
    families.head(name, MetricKind::Gauge, "1 for the state in which the stream is");
    for (word, is) in [
        ("down", phase == Phase::Down),
        ("backlog", phase == Phase::Backlog),
        ("live", phase == Phase::Live),
        ("refused", matches!(phase, Phase::Refused(..))),
    ] {
        families.sample(name, &[("state", word)], u8::from(is).into());
    }
    let Counts { reports, acked, unacked, lost, ring_bytes, series, samples_dropped } = own.recorder.counts();
    let (opened, failed) = (own.link.opened.load(Ordering::Relaxed), own.link.failed.load(Ordering::Relaxed));
    use MetricKind::{Counter, Gauge};
    for (name, kind, help, value) in [
        ("farol_agent_streams_opened_total", Counter, "Streams that a monitor welcomed", opened),
        ("farol_agent_streams_failed_total", Counter, "Connections and streams that ended or failed", failed),
        ("farol_agent_reports_total", Counter, "Reports made", reports),
        ("farol_agent_reports_acked", Gauge, "The last report that is committed by a monitor", acked),
        ("farol_agent_reports_unacked", Gauge, "Reports held until a monitor commits them", unacked),
        ("farol_agent_reports_lost_total", Counter, "Reports dropped: ring and spool were full", lost),
        ("farol_agent_ring_bytes", Gauge, "Memory of the reports held", ring_bytes as u64),
        ("farol_agent_series", Gauge, "Series defined", series as u64),
        (
            "farol_agent_samples_dropped_total",
            Counter,
            "Samples over a limit, refused or badly named",
            samples_dropped,
        ),
    ] {
        families.one(name, kind, help, value as f64);
    }
}

/// What is on disk.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53, ages below 2^53 ms")]
fn spool(spooled: Spooled, refuses: bool, now_ms: u64, families: &mut Families<'_>) {
    let Spooled { bytes, segments, oldest_ms, dropped, damaged, past_reports, stuck: _ } = spooled;
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let age = oldest_ms.map_or(0.0, |oldest| now_ms.saturating_sub(oldest).max(0) as f64 / 1e3);
    use MetricKind::{Counter, Gauge};
    for (name, kind, help, value) in [
        ("farol_spool_bytes", Gauge, "Disk taken by reports that no monitor has committed", bytes as f64),
        ("farol_spool_segments", Gauge, "Files of the spool", segments as f64),
        ("farol_spool_oldest_age_seconds", Gauge, "Age of the oldest report on disk; 0 for none", age),
        ("farol_spool_past_reports", Gauge, "Reports of earlier starts on disk", past_reports as f64),
        (
            "farol_spool_dropped_reports_total",
            Counter,
            "Reports lost from disk: too many, too old, damaged or over a monitor's limits",
            dropped as f64,
        ),
        (
            "farol_spool_damaged_total",
            Counter,
            "Files of the spool that could not be used, or not to their end",
            damaged as f64,
        ),
        ("farol_spool_refusing", Gauge, "1 while the disk takes no reports", u8::from(refuses).into()),
    ] {
        families.one(name, kind, help, value);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn logs(families: &mut Families<'_>) {
    let (name, help) = ("farol_log_lines_dropped_total", "Lines of the log that were dropped");
    families.one(name, MetricKind::Counter, help, farol_logging::dropped() as f64);
    for (at, (signal, count)) in farol_logging::unsent().enumerate() {
        let name = "farol_otlp_dropped_total";
        if at == 0 {
            let help = "Records of the log, spans and exports of metrics that did not arrive by OTLP";
            families.head(name, MetricKind::Counter, help);
        }
        families.sample(name, &[("signal", signal)], count as f64);
    }
}

/// The same families as a monitor's.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53, times of this century")]
fn reloads(readings: Readings, families: &mut Families<'_>) {
    let Readings { succeeded, failed, last_failed, last_success_ms } = readings;
    let name = "farol_config_reloads_total";
    families.head(name, MetricKind::Counter, "Readings of the configuration, the first included.");
    families.sample(name, &[("result", "success")], succeeded as f64);
    families.sample(name, &[("result", "failure")], failed as f64);
    let (name, help) = ("farol_config_last_reload_successful", "0 after a reading that was refused.");
    families.one(name, MetricKind::Gauge, help, u8::from(!last_failed).into());
    let name = "farol_config_last_reload_success_timestamp_seconds";
    let help = "When the configuration was last taken over.";
    families.one(name, MetricKind::Gauge, help, last_success_ms as f64 / 1e3);
}

/// And these.
fn start(handle: &Handle, families: &mut Families<'_>) {
    let name = "farol_start_stage_seconds";
    families.head(name, MetricKind::Gauge, "How long each stage of the start took.");
    for Stage { name: stage, took } in handle.stages() {
        families.sample(name, &[("stage", stage)], took.as_secs_f64());
    }
}

/// And these.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn listeners(handle: &Handle, families: &mut Families<'_>) {
    let all = handle.listeners();
    let name = "farol_listener_connections";
    families.head(name, MetricKind::Gauge, "Connections open.");
    all.iter().for_each(|(of, stats)| families.sample(name, &[("listener", of)], stats.open() as f64));
    let name = "farol_listener_accepted_total";
    families.head(name, MetricKind::Counter, "Connections taken in.");
    all.iter().for_each(|(of, stats)| families.sample(name, &[("listener", of)], stats.accepted() as f64));
    let name = "farol_listener_closed_total";
    families.head(name, MetricKind::Counter, "Connections that ended, by reason.");
    for ((of, stats), why) in all.iter().flat_map(|one| Closed::ALL.map(|why| (one, why))) {
        families.sample(name, &[("listener", of), ("reason", why.as_str())], stats.closed(why) as f64);
    }
    let name = "farol_listener_refused_total";
    families.head(name, MetricKind::Counter, "Connections never served, by reason.");
    for ((of, stats), why) in all.iter().flat_map(|one| Refused::ALL.map(|why| (one, why))) {
        families.sample(name, &[("listener", of), ("reason", why.as_str())], stats.refused(why) as f64);
    }
}

/// And these.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn requests(rows: &[Row<'_>], families: &mut Families<'_>) {
    let name = "farol_requests_total";
    families.head(name, MetricKind::Counter, "Requests that ended, streams among them.");
    rows.iter().for_each(|row| families.sample(name, &labels(row), row.count as f64));
    let name = "farol_request_errors_total";
    let help = "Requests that this process failed: HTTP 5xx, and the like of gRPC.";
    families.head(name, MetricKind::Counter, help);
    rows.iter().for_each(|row| families.sample(name, &labels(row), row.errors as f64));
    let name = "farol_request_duration_seconds";
    families.head(name, MetricKind::Histogram, "How long requests took, in seconds.");
    for row in rows {
        families.histogram(name, &labels(row), &BUCKETS, &row.buckets, (row.count, row.seconds));
    }
}

fn labels<'a>(row: &'a Row<'_>) -> [(&'static str, &'a str); 3] {
    [("listener", row.listener), ("route", row.route), ("method", row.method)]
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
            components(&snapshot, now_ms, &mut Families::Page(&mut out));
            for (name, value) in [("status", status), ("stale", stale)] {
                let line =
                    format!("farol_component_{name}{{service=\"shop\",component=\"database\"}} {value}\n");
                assert!(out.contains(&line), "{line} is not in\n{out}");
            }
        }
    }
}
