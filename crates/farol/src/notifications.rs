//! `farol notifications`: what is to be sent, was sent, or nobody took; and sending it again.

use crate::asking::{moment, print, table, text};
use crate::cli::{NotificationsArgs, NotificationsCommand, NotificationsListArgs, ResendArgs};
use crate::rest::{Rest, Token};
use crate::terminal::Terminal;
use crate::verdict::Error;
use serde_json::{Value, json};

pub(crate) async fn run(args: &NotificationsArgs, terminal: &mut Terminal) -> Result<(), Error> {
    match &args.command {
        None => list(&args.list, terminal).await,
        Some(NotificationsCommand::Resend(args)) => resend(args, terminal).await,
    }
}

/// One that is refused holds up none of the others.
async fn resend(args: &ResendArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let (rest, token) = (args.which.rest()?, args.right.token()?);
    if let Some(id) = &args.id {
        let (again, kept) = again(&rest, &token, id).await?;
        print(&args.which, &again, || format!("It is due again as {}.", text(&again, "id")), terminal)?;
        return kept;
    }
    let mut filter = vec![("state", "dead")];
    filter.extend(args.receiver.as_deref().map(|receiver| ("receiver", receiver)));
    let dead = rest.all(&["notifications"], &filter).await?;
    let (mut sent, mut refused) = (Vec::new(), Vec::new());
    for notice in dead.iter().rev() {
        let id = text(notice, "id");
        let kept = match again(&rest, &token, id).await {
            Ok((again, kept)) => {
                sent.push(again);
                kept
            }
            Err(error) => Err(error),
        };
        refused.extend(kept.err().map(|error| format!("{id}: {error}")));
    }
    let count = sent.len();
    print(&args.which, &json!({ "items": sent }), || due_again(count), terminal)?;
    if refused.is_empty() { Ok(()) } else { Err(Error::Failed(refused.join("\n"))) }
}

/// Makes one due again: what it is now, and why that is not kept yet, if it is not.
async fn again(rest: &Rest, token: &Token, id: &str) -> Result<(Value, Result<(), Error>), Error> {
    match rest.post(&["notifications", id, "resend"], token, &json!({})).await {
        Ok(again) => Ok((again, Ok(()))),
        Err(Error::Unkept { id: Some(id), why }) => {
            Ok((json!({ "id": id }), Err(Error::Unkept { id: Some(id), why })))
        }
        Err(error) => Err(error),
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
    let rest = args.which.rest()?;
    let all = rest.all(&["notifications"], &filter).await?;
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let none = match state {
        "dead" if all.is_empty() => {
            filter[0].1 = "due";
            nothing_dead(rest.all(&["notifications"], &filter).await?.len())
        }
        "sent" => "Nothing was sent.".to_owned(),
        _ => "Nothing waits to be sent.".to_owned(),
    };
    let headings = ["STATE", "RECEIVER", "WHY", "RULES", "FIRING", "OVER", "AT", "NOTE", "ID"];
    let page = table(&headings, &rows, &none, terminal);
    print(&args.which, &json!({ "items": all }), || page, terminal)
}

fn due_again(count: usize) -> String {
    format!("{count} {} due again.", if count == 1 { "is" } else { "are" })
}

/// What still waits may not have found its receiver either.
fn nothing_dead(waiting: usize) -> String {
    match waiting {
        0 => "Nothing is dead.".to_owned(),
        1 => "Nothing is dead; 1 notice waits to be sent.".to_owned(),
        _ => format!("Nothing is dead; {waiting} notices wait to be sent."),
    }
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
