//! `farol why`: what the monitor says of why something is alerted, or is not.

use crate::asking::{alert, print};
use crate::cli::{Which, WhyArgs, WhyCommand};
use crate::terminal::{Terminal, one_line};
use crate::verdict::Error;
use serde_json::Value;

pub(crate) async fn run(command: &WhyCommand, terminal: &mut Terminal) -> Result<(), Error> {
    match command {
        WhyCommand::Alert { alert: wanted, how } => {
            let id = alert(&how.which.rest()?, wanted, "all").await?;
            ask(&["why", "alert", &id], how, terminal).await
        }
        WhyCommand::Service { service, how } => ask(&["why", "service", service], how, terminal).await,
        WhyCommand::Component { agent, service, component, how } => {
            ask(&["why", "component", agent, service, component], how, terminal).await
        }
        WhyCommand::Agent { agent, how } => ask(&["why", "agent", agent], how, terminal).await,
        WhyCommand::Receiver { receiver, which } => {
            say(&["why", "receiver", receiver], &[], which, terminal).await
        }
    }
}

async fn ask(path: &[&str], how: &WhyArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let rule: Vec<(&str, &str)> = how.rule.iter().map(|rule| ("rule", rule.as_str())).collect();
    say(path, &rule, &how.which, terminal).await
}

async fn say(
    path: &[&str],
    query: &[(&str, &str)],
    which: &Which,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let answer: Value = which.rest()?.get(path, query).await?;
    let lines = answer["text"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let page = lines.map(one_line).collect::<Vec<_>>().join("\n");
    print(which, &answer, || page, terminal)
}
