//! Maintenance that stands in the configuration, once or again and again.

use super::{matchers, ms};
use farol_config::Map;
use farol_rules::{Days, Recurring, Schedule, TimeOfDay, Window, WindowMode, Zone};
use std::sync::Arc;
use std::time::Duration;

const MODES: [(&str, WindowMode); 2] = [("mute", WindowMode::Mute), ("drain", WindowMode::Drain)];
/// Who wants it, where nobody else is named.
const AUTHOR: &str = "configuration";

/// Reads `maintenance:`. A window's id is made of its name, so that it is the same after each reload.
pub(super) fn read(m: &mut Map<'_>) -> Vec<Window> {
    let mut names: Vec<String> = Vec::new();
    let windows = m.list("maintenance", |m| {
        let name = m.name("name").example("nightly").required();
        if m.is_sound() && names.contains(&name) {
            m.problem("name", "is another window's too; give each its own");
        }
        names.push(name.clone());
        window(m, &name)
    });
    windows.into_iter().flatten().collect()
}

/// `None` has its problem.
fn window(m: &mut Map<'_>, name: &str) -> Option<Window> {
    let (mode, matchers) = (m.one_of("mode", &MODES).or(WindowMode::Mute), matchers(m));
    let (author, reason) = (m.text("author").or(AUTHOR), m.text("reason").example("new disks").required());
    let window = Window {
        id: Arc::from(format!("config:{name}")),
        name: Arc::from(name),
        matchers,
        mode,
        schedule: schedule(m)?,
        author,
        reason,
        // Nobody knows when it was written: one that is over stays good.
        created_ms: 0,
        ends_ms: None,
    };
    if m.is_sound()
        && let Err(error) = window.check()
    {
        m.problem_here(error.to_string());
    }
    Some(window)
}

fn schedule(m: &mut Map<'_>) -> Option<Schedule> {
    const MOMENT: &str = "2030-01-01T22:00:00Z";
    let is_once = m.has("from") || m.has("to");
    let is_recurring = ["days", "at", "lasts", "zone"].iter().any(|key| m.has(key));
    if is_once && is_recurring {
        let key = if m.has("from") { "from" } else { "to" };
        m.problem(key, "stands beside `days`, `at`, `lasts` or `zone`; a window is once, or again and again");
    }
    if !is_once && !is_recurring {
        m.problem_here("says nothing of when; write `from` and `to`, or `days`, `at`, `lasts` and `zone`");
    }
    if is_once {
        for key in ["days", "at", "lasts", "zone"] {
            m.ignore(key);
        }
        let mut moment =
            |key| m.parsed::<jiff::Timestamp>(key, "a moment", MOMENT).required().as_millisecond();
        return Some(Schedule::Once { from_ms: moment("from"), to_ms: moment("to") });
    }
    if !is_recurring {
        return None;
    }
    let utc = "UTC".parse().ok();
    let zone = m.parsed::<Zone>("zone", "a time zone", "Europe/Berlin").optional().or(utc)?;
    let minute = Duration::from_secs(60);
    Some(Schedule::Recurring(Recurring {
        zone,
        days: m.parsed::<Days>("days", "a choice of days", "mon, fri").required(),
        at: m.parsed::<TimeOfDay>("at", "a time of day", "22:00").required(),
        lasts_ms: ms(m.duration("lasts").within(minute..=31 * 24 * 60 * minute).example("2h").required()),
    }))
}
