//! Rate, errors and duration of what is asked of the listeners, for `/metrics`.

use super::exposition::{Kind, label, number, push};
use super::own::Families;
use farol_logging::correlation::{BUCKETS, Requests, Row};

const DURATION: &str = "farol_request_duration_seconds";

/// Three families over all listeners.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
pub(super) fn write(all: &[&Requests], families: &mut Families<'_>) {
    let rows: Vec<Row<'_>> = all.iter().flat_map(|requests| requests.rows()).collect();
    let counts: Vec<_> = rows.iter().map(|row| (labels(row).to_vec(), row.count as f64)).collect();
    families.many("farol_requests_total", Kind::Counter, "Requests that ended, streams among them.", counts);
    let errors: Vec<_> = rows.iter().map(|row| (labels(row).to_vec(), row.errors as f64)).collect();
    let help = "Requests that this process failed: HTTP 5xx, and the like of gRPC.";
    families.many("farol_request_errors_total", Kind::Counter, help, errors);
    families.format.family(families.out, DURATION, "histogram", "How long requests took, in seconds.");
    for row in &rows {
        for (bound, below) in BUCKETS.iter().zip(row.buckets) {
            line(families.out, "_bucket", row, Some(&format!("{bound:?}")), below as f64);
        }
        line(families.out, "_bucket", row, Some("+Inf"), row.count as f64);
        line(families.out, "_sum", row, None, row.seconds);
        line(families.out, "_count", row, None, row.count as f64);
    }
}

fn labels<'a>(row: &'a Row<'_>) -> [(&'static str, &'a str); 3] {
    [("listener", row.listener), ("route", row.route), ("method", row.method)]
}

fn line(out: &mut Vec<u8>, ending: &str, row: &Row<'_>, bound: Option<&str>, value: f64) {
    push(out, &[DURATION, ending]);
    for (at, (key, text)) in labels(row).into_iter().chain(bound.map(|bound| ("le", bound))).enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        label(out, key, text);
    }
    push(out, &["} "]);
    number(out, value);
    out.push(b'\n');
}
