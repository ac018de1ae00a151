//! Rate, errors and duration of what is asked of the listeners, for `/metrics`.

use super::exposition::Kind;
use super::families::{Bins, Families};
use farol_logging::correlation::{BUCKETS, Requests, Row};

/// Three families over all listeners.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
pub(super) fn write(all: &[&Requests], families: &mut Families<'_>) {
    let rows: Vec<Row<'_>> = all.iter().flat_map(|requests| requests.rows()).collect();
    let counts: Vec<_> = rows.iter().map(|row| (labels(row).to_vec(), row.count as f64)).collect();
    families.many("farol_requests_total", Kind::Counter, "Requests that ended, streams among them.", counts);
    let errors: Vec<_> = rows.iter().map(|row| (labels(row).to_vec(), row.errors as f64)).collect();
    let help = "Requests that this process failed: HTTP 5xx, and the like of gRPC.";
    families.many("farol_request_errors_total", Kind::Counter, help, errors);
    let bins = |row| Bins { labels: labels(row), below: &row.buckets, count: row.count, sum: row.seconds };
    let help = "How long requests took, in seconds.";
    families.histogram("farol_request_duration_seconds", help, &BUCKETS, rows.iter().map(bins));
}

fn labels<'a>(row: &'a Row<'_>) -> [(&'static str, &'a str); 3] {
    [("listener", row.listener), ("route", row.route), ("method", row.method)]
}
