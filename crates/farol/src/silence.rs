//! `farol silence`: alerts are not told of for a time.

use crate::asking::{left, matchers, moment, print, table, text, with, written};
use crate::cli::{SilenceAddArgs, SilenceCommand, Which};
use crate::terminal::Terminal;
use crate::verdict::Error;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::ffi::OsString;

pub(crate) async fn run(
    command: &SilenceCommand,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    match command {
        SilenceCommand::Add(args) => add(args, env, terminal).await,
        SilenceCommand::List(which) => list(which, terminal).await,
        SilenceCommand::End(args) => {
            let by = args.signed.author(env).ok();
            let token = args.signed.right.token()?;
            args.which.rest()?.delete(&["silences", &args.id], &token, by.as_deref()).await?;
            print(
                &args.which,
                &json!({ "id": args.id }),
                || format!("Silence {} is over.", args.id),
                terminal,
            )
        }
    }
}

async fn add(
    args: &SilenceAddArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let body = json!({
        "match": matchers(&args.matches)?,
        "author": args.signed.author(env)?,
        "reason": args.reason,
    });
    let more =
        [("starts", args.from.as_deref()), ("ends", args.until.as_deref()), ("lasts", args.lasts.as_deref())];
    let token = args.signed.right.token()?;
    let (made, kept) = args.which.rest()?.make("silences", &token, &with(body, &more)).await?;
    print(&args.which, &made, || added(&made), terminal)?;
    kept
}

fn added(silence: &Value) -> String {
    format!("Silence {} until {}. {}", text(silence, "id"), moment(silence, "ends"), mutes(silence))
}

/// How much of what fires it is meant for.
pub(crate) fn mutes(of: &Value) -> String {
    let count = |key: &str| of["mutes"][key].as_u64().unwrap_or(0);
    match (count("whole"), count("partly")) {
        (0, 0) => "Nothing that fires now matches it.".to_owned(),
        (whole, 0) => format!("Alerts that fire and match it: {whole}."),
        (whole, partly) => {
            format!("Alerts that fire and match it: {whole}, and {partly} with some of their elements.")
        }
    }
}

async fn list(which: &Which, terminal: &mut Terminal) -> Result<(), Error> {
    let all = which.rest()?.all(&["silences"], &[]).await?;
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> = all.iter().map(|silence| row(silence, now)).collect();
    let page =
        table(&["STATE", "MATCH", "LEFT", "BY", "WHY", "ID"], &rows, "There are no silences.", terminal);
    print(which, &json!({ "items": all }), || page, terminal)
}

fn row(silence: &Value, now: Timestamp) -> Vec<String> {
    vec![
        text(silence, "state").to_owned(),
        written(&silence["match"]),
        left(silence, "ends", now),
        text(silence, "author").to_owned(),
        text(silence, "reason").to_owned(),
        text(silence, "id").to_owned(),
    ]
}
