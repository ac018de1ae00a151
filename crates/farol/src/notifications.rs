//! `farol notifications`: what is to be sent, was sent, or nobody took; and sending it again.

use crate::asking::{moment, print, table, text};
use crate::cli::{NotificationsArgs, NotificationsCommand, NotificationsListArgs};
use crate::terminal::Terminal;
use crate::verdict::Error;
use serde_json::{Value, json};

pub(crate) async fn run(args: &NotificationsArgs, terminal: &mut Terminal) -> Result<(), Error> {
    match &args.command {
        None => list(&args.list, terminal).await,
        Some(NotificationsCommand::Resend(args)) => {
            let (rest, token) = (args.which.rest()?, args.right.token()?);
            let answer = rest.post(&["notifications", &args.id, "resend"], &token, &json!({})).await?;
            print(&args.which, &answer, || format!("It is due again as {}.", text(&answer, "id")), terminal)
        }
    }
}

async fn list(args: &NotificationsListArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let state = match (args.dead, args.sent) {
        (true, _) => "dead",
        (_, true) => "sent",
        _ => "due",
    };
    let mut filter = vec![("state", state)];
    filter.extend(args.receiver.as_deref().map(|receiver| ("receiver", receiver)));
    let all = args.which.rest()?.all(&["notifications"], &filter).await?;
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let none = match state {
        "dead" => "Nothing is dead: everything found its receiver.",
        "sent" => "Nothing was sent.",
        _ => "Nothing waits to be sent.",
    };
    let headings = ["STATE", "RECEIVER", "WHY", "RULES", "FIRING", "OVER", "AT", "NOTE", "ID"];
    let page = table(&headings, &rows, none, terminal);
    print(&args.which, &json!({ "items": all }), || page, terminal)
}

fn row(notice: &Value) -> Vec<String> {
    let rules = notice["rules"].as_array().into_iter().flatten().filter_map(Value::as_str);
    vec![
        text(notice, "state").to_owned(),
        text(notice, "receiver").to_owned(),
        text(notice, "why").to_owned(),
        rules.collect::<Vec<_>>().join(", "),
        notice["firing"].to_string(),
        notice["resolved"].to_string(),
        moment(notice, "at"),
        text(notice, "note").to_owned(),
        text(notice, "id").to_owned(),
    ]
}
