//! What `/metrics` tells of alerting: how many alerts there are, and how telling of them goes.

use super::exposition::Kind;
use super::families::Families;
use crate::app::App;
use farol_rules::{AlertState, Severity};
use std::sync::atomic::Ordering;

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

/// All of it. The book is locked for as long as it is counted.
pub(super) fn write(app: &App, families: &mut Families<'_>) {
    let (counts, rules, active, over) = {
        let book = app.alerting.book();
        (book.counts(), book.rules().rules().len(), book.active(), book.over())
    };
    let mut alerts = Vec::new();
    // Those that ended are still shown, and count for nothing.
    for state in [AlertState::Pending, AlertState::Firing] {
        for severity in [Severity::Warning, Severity::Critical] {
            let count = counts.get(&(state, severity)).copied().unwrap_or(0);
            alerts.push((vec![("state", state.as_str()), ("severity", severity.as_str())], count as f64));
        }
    }
    let help = "Alerts that are pending or fire, those that nobody is told of included.";
    families.many("farol_alerts", Kind::Gauge, help, alerts);
    let counts = &app.alerting.counts;
    let total = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    families.total("farol_alerts_fired_total", "Alerts that began since the start.", total(&counts.fired));
    families.total(
        "farol_alerts_resolved_total",
        "Alerts that ended since the start.",
        total(&counts.resolved),
    );
    families.count("farol_rules", "Alert rules in force.", rules);
    families.count("farol_rule_elements", "Elements of rules that are pending or fire.", active);
    let help = "Elements of rules that were not looked at because too many are pending or fire.";
    families.total("farol_rule_elements_over_total", help, over);
    notifications(app, families);
}

fn notifications(app: &App, families: &mut Families<'_>) {
    let stats = app.alerting.dispatcher().stats();
    let outcomes = stats.iter().flat_map(|(receiver, stats)| {
        let of = |outcome, count| (vec![("receiver", &**receiver), ("outcome", outcome)], number(count));
        [of("sent", stats.sent), of("failed", stats.failed), of("dead", stats.dead)]
    });
    let help = "Notices that a receiver took, attempts that failed, and notices that are not tried any more.";
    families.many("farol_notifications_total", Kind::Counter, help, outcomes);
    let due = stats.iter().map(|(receiver, stats)| (vec![("receiver", &**receiver)], stats.waiting as f64));
    families.many("farol_notifications_due", Kind::Gauge, "Notices that wait for a receiver.", due);
    let failing = stats.iter().map(|(receiver, stats)| {
        (vec![("receiver", &**receiver)], f64::from(u8::from(stats.failing.is_some())))
    });
    families.many("farol_receiver_failing", Kind::Gauge, "1 where a receiver fails for a while.", failing);
}
