//! `farol breakers`: the circuit breakers, opening or closing one by hand, and asking one as who makes calls does.

use crate::asking::{ago, left, print, table, text, with};
use crate::cli::{AdmitArgs, BreakerArgs, BreakersArgs, BreakersCommand, ReportArgs};
use crate::terminal::Terminal;
use crate::verdict::{Error, Found};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::ffi::OsString;

pub(crate) async fn run(
    args: &BreakersArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<Found, Error> {
    match &args.command {
        Some(BreakersCommand::Open(args)) => turn("open", args, env, terminal).await?,
        Some(BreakersCommand::Close(args)) => turn("close", args, env, terminal).await?,
        Some(BreakersCommand::Admit(args)) => return admit(args, terminal).await,
        Some(BreakersCommand::Report(args)) => report(args, terminal).await?,
        None => {
            let all = args.which.rest()?.all(&["breakers"], &[]).await?;
            let now = Timestamp::now();
            let rows: Vec<Vec<String>> = all.iter().map(|breaker| row(breaker, now)).collect();
            let none = "No breaker is configured.";
            let page = table(&["STATE", "BREAKER", "FOR", "LEFT", "BECAUSE"], &rows, none, terminal);
            print(&args.which, &json!({ "items": all }), || page, terminal)?;
        }
    }
    Ok(Found::Fine)
}

/// Whether a call may be made.
async fn admit(args: &AdmitArgs, terminal: &mut Terminal) -> Result<Found, Error> {
    let token = args.right.token()?;
    let answer = args.which.rest()?.post(&["breakers", &args.name, "admit"], &token, &json!({})).await?;
    let said = text(&answer, "admission");
    let page = || match (said, answer["retry_after_ms"].as_u64()) {
        ("denied", Some(ms)) => format!("denied for {} s", ms.div_ceil(1_000)),
        _ => said.to_owned(),
    };
    print(&args.which, &answer, page, terminal)?;
    Ok(if said == "denied" { Found::NotAsExpected } else { Found::Fine })
}

async fn report(args: &ReportArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let (args, body) = (&args.breaker, json!({ "success": args.success }));
    let token = args.right.token()?;
    let answer = args.which.rest()?.post(&["breakers", &args.name, "report"], &token, &body).await?;
    print(&args.which, &answer, || format!("{} is {}.", args.name, text(&answer, "state")), terminal)
}

async fn turn(
    word: &str,
    args: &BreakerArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let body = json!({ "author": args.signed.author(env)?, "reason": args.reason });
    let body = with(body, &[("lasts", args.lasts.as_deref())]);
    let token = args.signed.right.token()?;
    let answer = args.which.rest()?.post(&["breakers", &args.name, word], &token, &body).await?;
    print(&args.which, &answer, || format!("{} is {}.", args.name, text(&answer, "state")), terminal)
}

fn row(breaker: &Value, now: Timestamp) -> Vec<String> {
    let because = &breaker["because"];
    let why = match text(because, "cause") {
        "person" => format!("{}: {}", text(because, "author"), text(because, "reason")),
        "alert" => format!("alert {}", text(&because["alert"], "rule")),
        other => other.to_owned(),
    };
    vec![
        text(breaker, "state").to_owned(),
        text(breaker, "name").to_owned(),
        ago(breaker, "since", now),
        left(breaker, "until", now),
        why,
    ]
}
