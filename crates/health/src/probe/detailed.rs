//! One component in `/health/detailed`. Decides its keys, not its status.

use super::{Moment, spelling};
use crate::aggregate::Aggregate;
use crate::{ComponentView, Figure};
use serde_json::{Map, Value};

/// The component as an object. Without details its message, metadata and figures are left out.
pub(super) fn component(view: &ComponentView, moment: &Moment<'_>) -> Value {
    let (now_ms, details, shown) = (moment.now_ms, moment.details, moment.shown(view));
    let mut body = Map::new();
    body.insert("status".into(), shown.as_str().into());
    beneath(view, shown, now_ms, &mut body);
    if let Some(took) = view.response_time {
        body.insert("response_time".into(), spelling::response_time(took).into());
    }
    if details {
        for figure in view.figures.iter() {
            show(figure, &mut body);
        }
        body.insert("message".into(), (&*view.message).into());
    }
    if let Some(at) = view.checked_at {
        body.insert("checked_at".into(), spelling::time(at).into());
    }
    if let Some(at) = view.checked_ms {
        body.insert("age".into(), spelling::age(now_ms.saturating_sub(at)).into());
    }
    if details {
        let facts: Map<String, Value> =
            view.metadata.iter().map(|(key, value)| (key.to_string(), value.as_str().into())).collect();
        body.insert("metadata".into(), facts.into());
    }
    body.into()
}

/// What the shown status hides: the true status under maintenance, the last one of a stale component, and a
/// last result that does not count yet.
fn beneath(view: &ComponentView, shown: Aggregate, now_ms: u64, body: &mut Map<String, Value>) {
    let stale = view.is_stale(now_ms);
    if shown == Aggregate::Maintenance {
        body.insert("true_status".into(), view.status_at(now_ms).as_str().into());
    }
    if stale {
        body.insert("stale".into(), true.into());
        body.insert("last_status".into(), view.hard.as_str().into());
    } else if view.checked_ms.is_some() && view.soft != view.hard {
        body.insert("soft".into(), view.soft.as_str().into());
    }
}

/// Keys that no figure may take.
const TAKEN: [&str; 10] = [
    "status",
    "true_status",
    "stale",
    "last_status",
    "soft",
    "response_time",
    "message",
    "checked_at",
    "age",
    "metadata",
];

/// Puts a figure under its key, one level down where the key has a dot. The first figure of a key stands.
fn show(figure: &Figure, body: &mut Map<String, Value>) {
    let Some(key) = figure.shown_as else { return };
    let Some(value) = spelling::figure(figure) else { return };
    let (outer, inner) = key.split_once('.').map_or((key, None), |(outer, inner)| (outer, Some(inner)));
    if TAKEN.contains(&outer) {
        return;
    }
    match inner {
        None => {
            body.entry(outer).or_insert(value);
        }
        Some(inner) => {
            if let Value::Object(nested) = body.entry(outer).or_insert_with(|| Map::new().into()) {
                nested.entry(inner).or_insert(value);
            }
        }
    }
}
