//! `farol maintenance`: work that is planned, once or again and again.

use crate::asking::{matchers, moment, print, table, text, with, written};
use crate::cli::{MaintenanceAddArgs, MaintenanceCommand, Which};
use crate::silence::mutes;
use crate::table::age;
use crate::terminal::Terminal;
use crate::verdict::Error;
use serde_json::{Value, json};
use std::ffi::OsString;

pub(crate) async fn run(
    command: &MaintenanceCommand,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    match command {
        MaintenanceCommand::Add(args) => add(args, env, terminal).await,
        MaintenanceCommand::List(which) => list(which, terminal).await,
        MaintenanceCommand::End(args) => {
            let by = args.signed.author(env).ok();
            let token = args.signed.right.token()?;
            args.which.rest()?.delete(&["maintenance", &args.id], &token, by.as_deref()).await?;
            print(&args.which, &json!({ "id": args.id }), || format!("Window {} is over.", args.id), terminal)
        }
    }
}

async fn add(
    args: &MaintenanceAddArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let body = json!({
        "name": args.name,
        "match": matchers(&args.matches)?,
        "mode": if args.drain { "drain" } else { "mute" },
        "author": args.signed.author(env)?,
        "reason": args.reason,
    });
    let end = if args.days.is_some() { "until" } else { "to" };
    let more = [
        ("from", args.from.as_deref()),
        (end, args.until.as_deref()),
        ("lasts", args.lasts.as_deref()),
        ("days", args.days.as_deref()),
        ("at", args.at.as_deref()),
        ("zone", args.zone.as_deref()),
    ];
    let token = args.signed.right.token()?;
    let (made, kept) = args.which.rest()?.make("maintenance", &token, &with(body, &more)).await?;
    print(&args.which, &made, || added(&made), terminal)?;
    kept
}

fn added(window: &Value) -> String {
    let (id, from, to) = (text(window, "id"), moment(window, "from"), moment(window, "to"));
    let when =
        if window["active"] == true { format!("until {to}") } else { format!("from {from} until {to}") };
    let again = if window["recurs"].is_null() { "" } else { ", and again" };
    let mut said = format!("Window {id} {when}{again}. {}", mutes(window));
    for short in window["short"].as_array().into_iter().flatten() {
        let service = text(short, "service");
        said.push_str(&format!(
            "\n{service} then has {} of the {} instances up that it needs, and is alerted. To keep that quiet, too: \
             `farol silence add service:{service} alertname:service_below_minimum …`",
            short["up"], short["needed"]
        ));
    }
    said
}

async fn list(which: &Which, terminal: &mut Terminal) -> Result<(), Error> {
    let all = which.rest()?.all(&["maintenance"], &[]).await?;
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let headings = ["MODE", "NAME", "MATCH", "FROM", "UNTIL", "AGAIN", "BY", "WHY", "ID"];
    let page = table(&headings, &rows, "No maintenance is planned.", terminal);
    print(which, &json!({ "items": all }), || page, terminal)
}

fn row(window: &Value) -> Vec<String> {
    let from = if window["active"] == true { "now".to_owned() } else { moment(window, "from") };
    let again = window["recurs"].as_object().map(|recurs| {
        let word = |key: &str| recurs[key].as_str().unwrap_or_default();
        let lasts = age(recurs["lasts_ms"].as_u64().unwrap_or(0));
        format!("{} at {} {} for {lasts}", word("days"), word("at"), word("zone"))
    });
    vec![
        text(window, "mode").to_owned(),
        text(window, "name").to_owned(),
        written(&window["match"]),
        from,
        moment(window, "to"),
        again.unwrap_or_default(),
        text(window, "author").to_owned(),
        text(window, "reason").to_owned(),
        text(window, "id").to_owned(),
    ]
}
