//! `farol ack`: somebody takes care of an alert, or nobody does any more.

use crate::asking::{alert, name, print, with};
use crate::cli::AckArgs;
use crate::terminal::Terminal;
use crate::verdict::Error;
use serde_json::json;
use std::ffi::OsString;

pub(crate) async fn run(
    args: &AckArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let (rest, token) = (args.which.rest()?, args.signed.right.token()?);
    let id = alert(&rest, &args.alert, "firing").await?;
    let path = ["alerts", &id, "acknowledge"];
    if args.end {
        rest.delete(&path, &token, args.signed.author(env).ok().as_deref()).await?;
        return print(
            &args.which,
            &json!({ "id": id }),
            || "Nobody takes care of it any more.".to_owned(),
            terminal,
        );
    }
    let body = json!({ "author": args.signed.author(env)?, "reason": args.reason });
    let answer = rest.post(&path, &token, &with(body, &[("lasts", args.lasts.as_deref())])).await?;
    let by = answer["acknowledged"]["by"].as_str().unwrap_or_default();
    print(&args.which, &answer, || format!("{by} takes care of {}.", name(&answer)), terminal)
}
