//! How an alert is named in a path and where a page goes on. Decides that names are short, the same over restarts, and
//! cannot be made to mean another alert.

use super::super::problem::Problem;
use crate::app::App;
use aws_lc_rs::digest::{SHA256, digest};
use farol_rules::AlertId;
use std::fmt::Write as _;

/// So many bytes of the digest are the name.
const BYTES: usize = 8;

/// An alert's name in paths: the same as long as its rule and labels are.
pub(crate) fn short_id(id: &AlertId) -> String {
    let mut name = String::with_capacity(2 * BYTES);
    for byte in &digest(&SHA256, place(id).as_bytes()).as_ref()[..BYTES] {
        write!(name, "{byte:02x}").expect("a string takes everything");
    }
    name
}

/// The alert of a name. The book is left to others while names are made.
pub(in super::super) fn find(app: &App, name: &str) -> Option<AlertId> {
    let all: Vec<AlertId> = app.alerting.book().all_after(None).cloned().collect();
    all.into_iter().find(|id| short_id(id) == name)
}

/// There is no such alert.
pub(in super::super) fn unknown(name: &str) -> Problem {
    let detail = format!(
        "no alert with the id `{name:.100}` is pending, fires or just ended; /api/v1/alerts?state=all lists them"
    );
    Problem::not_found("unknown_alert", detail)
}

/// An alert's place in the list.
pub(super) fn place(id: &AlertId) -> String {
    serde_json::to_string(id).unwrap_or_default()
}

pub(super) fn read_place(text: &str) -> Result<AlertId, Problem> {
    serde_json::from_str(text).map_err(|_| {
        Problem::bad_request("bad_parameter", "`after` is not what a page ended with; give the `next` of one")
    })
}
