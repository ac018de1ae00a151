//! Who is told of what, as it is written. What a route has from its parent is decided by the tree.

use super::{matchers, ms};
use farol_config::Map;
use farol_rules::{GroupBy, PartialWaits, Route, Tree};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Each alert alone.
const ALL: &str = "...";

/// Reads `route:`; its receivers must be among these.
pub(super) fn read(m: &mut Map<'_>, receivers: &[&str]) -> Option<Route> {
    // A receiver in which something is wrong is not among them, and has its problem.
    let known = m.is_sound().then_some(receivers);
    m.map("route", |m| {
        let root = route(m, known, true);
        if m.is_sound()
            && let Err(error) = Tree::new(root.clone())
        {
            let text = error.to_string();
            m.problem_here(text.strip_prefix("`route` ").unwrap_or(&text));
        }
        root
    })
}

fn route(m: &mut Map<'_>, known: Option<&[&str]>, is_root: bool) -> Route {
    let receiver = m.name("receiver").example("ops").optional();
    if let (Some(name), Some(known)) = (&receiver, known)
        && !known.contains(&&**name)
    {
        let others = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        m.problem("receiver", format!("there is no receiver `{name}`; there are {others}"));
    }
    // The root takes everything, and has no brothers: these are not among its keys.
    let has = |m: &Map<'_>, key: &str| !is_root || m.has(key);
    Route {
        receiver: receiver.map(Arc::from),
        peers: Vec::new(),
        matchers: if has(m, "match") { matchers(m) } else { Vec::new() },
        group_by: m.has("group_by").then(|| group_by(m)),
        waits: waits(m),
        continues: has(m, "continue") && m.flag("continue").or(false),
        routes: m.list("routes", |m| {
            if !m.has("match") {
                m.problem_here(
                    "has no `match` and takes everything; write for instance `match: {team: shop}`",
                );
            }
            route(m, known, false)
        }),
    }
}

fn group_by(m: &mut Map<'_>) -> GroupBy {
    let labels = m.texts("group_by");
    if labels.iter().any(|label| label == ALL) {
        if labels.len() > 1 {
            m.problem(
                "group_by",
                format!("`{ALL}` stands alone: each alert is told by itself; take the others out"),
            );
        }
        return GroupBy::All;
    }
    GroupBy::Labels(labels.into_iter().map(Arc::from).collect())
}

fn waits(m: &mut Map<'_>) -> PartialWaits {
    let mut wait = |key: &str, least: u64, days: u32| {
        m.duration(key).within(Duration::from_secs(least)..=days * DAY).optional().map(ms)
    };
    PartialWaits {
        group_wait_ms: wait("group_wait", 0, 1),
        critical_wait_ms: wait("critical_wait", 0, 1),
        group_interval_ms: wait("group_interval", 1, 1),
        repeat_interval_ms: wait("repeat_interval", 1, 31),
    }
}
