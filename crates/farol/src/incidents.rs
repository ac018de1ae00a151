//! `farol incidents`: what happened because of what, and when.

use crate::asking::{ago, moment, print, table, text};
use crate::cli::IncidentsArgs;
use crate::terminal::Terminal;
use crate::verdict::Error;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) async fn run(args: &IncidentsArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let rest = args.which.rest()?;
    if let Some(id) = &args.id {
        let incident: Value = rest.get(&["incidents", id], &[]).await?;
        let page = whole(&incident, terminal);
        return print(&args.which, &incident, || page, terminal);
    }
    let now = Timestamp::now();
    let from = Timestamp::from_millisecond(args.since.ms(now)).unwrap_or(now).to_string();
    let mut filter = vec![("from", from.as_str())];
    filter.extend(args.open.then_some(("open", "true")));
    let all = rest.all(&["incidents"], &filter).await?;
    let rows: Vec<Vec<String>> = all.iter().map(|incident| row(incident, now)).collect();
    let headings = ["SEVERITY", "CAUSE", "BEGAN", "IS", "ALERTS", "FIRING", "ID"];
    let page = table(&headings, &rows, "There were no incidents.", terminal);
    print(&args.which, &json!({ "items": all }), || page, terminal)
}

fn row(incident: &Value, now: Timestamp) -> Vec<String> {
    let is = if incident["open"] == true {
        format!("open for {}", ago(incident, "began", now))
    } else {
        format!("over since {}", moment(incident, "ended"))
    };
    vec![
        text(incident, "severity").to_owned(),
        text(incident, "cause").to_owned(),
        moment(incident, "began"),
        is,
        incident["alerts"].to_string(),
        incident["firing"].to_string(),
        text(incident, "id").to_owned(),
    ]
}

fn whole(incident: &Value, terminal: &Terminal) -> String {
    let lines = incident["timeline"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = lines
        .map(|line| {
            let one = |key: &str| text(line, key).to_owned();
            vec![moment(line, "at"), one("kind"), one("alert"), one("text")]
        })
        .collect();
    let head = table(
        &["SEVERITY", "CAUSE", "BEGAN", "IS", "ALERTS", "FIRING", "ID"],
        &[row(incident, Timestamp::now())],
        "",
        terminal,
    );
    let timeline =
        table(&["AT", "WHAT", "ALERT", "TEXT"], &rows, "Nothing is on its time line yet.", terminal);
    format!("{head}\n\n{timeline}")
}
