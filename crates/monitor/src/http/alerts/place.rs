//! Which alert a name in a path means, and where a page goes on.

use super::super::problem::Problem;
use crate::alerting::short_id;
use crate::app::App;
use farol_rules::AlertId;

/// The alert of a name: of its own, or of the longer one that messages have as `id`. The book is left to others while
/// names are made.
pub(in super::super) fn find(app: &App, name: &str) -> Option<AlertId> {
    if let Some(id) = app.alerting.book().alert_of(name) {
        return Some(id.clone());
    }
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
