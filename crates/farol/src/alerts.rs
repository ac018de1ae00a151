//! `farol alerts`: what fires, once or as it changes. Decides what its exit code is made of, and when something is
//! printed.

use crate::asking::{ago, left, name, table, text};
use crate::cli::AlertsArgs;
use crate::rest::Rest;
use crate::terminal::{Terminal, complain};
use crate::verdict::{Error, Verdict};
use farol_health::Status;
use farol_health::aggregate::Aggregate;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Prints the alerts. What it gives is healthy where nothing fires, degraded for warnings, unhealthy for anything
/// critical.
pub(crate) async fn run(args: &AlertsArgs, terminal: &mut Terminal) -> Verdict {
    let rest = args.which.rest()?;
    let mut alerts = look(&rest, args).await?;
    show(&alerts, args, terminal)?;
    while args.watch && !terminal.is_closed() {
        tokio::time::sleep(EVERY).await;
        match look(&rest, args).await {
            Ok(now) if now == alerts && !terminal.is_interactive() => {}
            Ok(now) => {
                alerts = now;
                terminal.clear()?;
                show(&alerts, args, terminal)?;
            }
            Err(error) => complain(&format!("{error}; trying again")),
        }
    }
    Ok(Aggregate::Status(worst(&alerts)))
}

/// The worst comes first, then what fires longest.
async fn look(rest: &Rest, args: &AlertsArgs) -> Result<Vec<Value>, Error> {
    let mut filter = vec![("state", if args.all { "all" } else { "firing" })];
    filter.extend(args.matches.iter().map(|matcher| ("match", matcher.as_str())));
    let mut alerts = rest.all(&["alerts"], &filter).await?;
    let rank = |alert: &Value| match (text(alert, "state"), text(alert, "severity")) {
        ("firing", "critical") => 0,
        ("firing", _) => 1,
        ("pending", _) => 2,
        _ => 3,
    };
    alerts.sort_by(|a, b| (rank(a), text(a, "since")).cmp(&(rank(b), text(b, "since"))));
    Ok(alerts)
}

fn worst(alerts: &[Value]) -> Status {
    let fires = |severity: &str| {
        alerts.iter().any(|alert| text(alert, "state") == "firing" && text(alert, "severity") == severity)
    };
    match () {
        () if fires("critical") => Status::Unhealthy,
        () if fires("warning") => Status::Degraded,
        () => Status::Healthy,
    }
}

fn show(alerts: &[Value], args: &AlertsArgs, terminal: &mut Terminal) -> Result<(), Error> {
    if args.which.json {
        return Ok(terminal.print(&json!({ "items": alerts }).to_string())?);
    }
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> = alerts.iter().map(|alert| row(alert, now)).collect();
    let headings = ["SEVERITY", "ALERT", "OF", "FOR", "IS", "WHAT", "ID"];
    let mut page = table(&headings, &rows, "Nothing fires.", terminal);
    if args.watch && terminal.is_interactive() {
        page = format!("{page}\n\n{now:.0}, every {} s; Ctrl-C ends\n", EVERY.as_secs());
    }
    Ok(terminal.print(&page)?)
}

fn row(alert: &Value, now: Timestamp) -> Vec<String> {
    vec![
        text(alert, "severity").to_owned(),
        name(alert),
        alert["elements"]["count"].to_string(),
        lasts(alert, now),
        is(alert, now),
        text(&alert["annotations"], "summary").to_owned(),
        text(alert, "id").to_owned(),
    ]
}

/// For how long it fires, or did.
fn lasts(alert: &Value, now: Timestamp) -> String {
    ago(alert, "since", text(alert, "ended").parse().unwrap_or(now))
}

/// Whatever of its state is not simply that it fires.
fn is(alert: &Value, now: Timestamp) -> String {
    let mut words = Vec::new();
    match text(alert, "state") {
        "pending" => words.push("pending".to_owned()),
        "ended" => words.push(format!("{} {} ago", text(alert, "ending"), ago(alert, "ended", now))),
        _ => {}
    }
    if let Some(ack) = alert["acknowledged"].as_object() {
        words.push(format!("taken by {}", ack["by"].as_str().unwrap_or_default()));
    }
    if let Some(held) = alert["held_by"][0].as_str() {
        words.push(format!("held by {held}"));
    }
    if let Some(by) = alert["muted"]["by"].as_str() {
        let muted = &alert["muted"];
        let (author, left) = (text(muted, "author"), left(muted, "until", now));
        let others = muted["others"].as_u64().filter(|others| *others > 0);
        let more = others.map(|others| format!(" and {others} more")).unwrap_or_default();
        words.push(format!("muted by {by} of {author} for {left}{more}"));
    }
    for word in ["flapping", "stale"] {
        if alert[word] == true {
            words.push(word.to_owned());
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests;
