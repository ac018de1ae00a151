//! What the commands about alerts have in common: who asks, which alert is meant, and how answers are read. Decides that
//! what an answer lacks is shown as nothing.

use crate::cli::{Right, Signed, Which};
use crate::rest::{Rest, Token};
use crate::table::since;
use crate::terminal::Terminal;
use crate::verdict::Error;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// An id has at least so many letters.
const SHORTEST: usize = 4;

impl Which {
    pub(crate) fn rest(&self) -> Result<Rest, Error> {
        Rest::at(&self.url, self.timeout)
    }
}

impl Right {
    pub(crate) fn token(&self) -> Result<Token, Error> {
        Token::read(self.token_file.as_deref(), &self.data_dir)
    }
}

impl Signed {
    /// Who says so: the name that was given, or this user's.
    pub(crate) fn author(&self, env: &[(OsString, OsString)]) -> Result<String, Error> {
        let user = || {
            let user = env.iter().find(|(name, _)| name == "USER" || name == "LOGNAME")?;
            user.1.to_str().map(str::to_owned).filter(|name| !name.is_empty())
        };
        let unknown =
            || Error::Usage("nobody knows who you are: USER is not set; say it with --author".to_owned());
        self.author.clone().or_else(user).ok_or_else(unknown)
    }
}

/// Labels and their patterns, from `LABEL:PATTERN`.
pub(crate) fn matchers(texts: &[String]) -> Result<Value, Error> {
    let mut matchers = BTreeMap::new();
    for text in texts {
        let Some((label, pattern)) = text.split_once(':').filter(|(label, _)| !label.is_empty()) else {
            return Err(Error::Usage(format!(
                "`{text}` matches nothing; write `LABEL:PATTERN`, for instance `service:payments`"
            )));
        };
        if matchers.insert(label, pattern).is_some() {
            return Err(Error::Usage(format!("the label `{label}` is there twice; give it once")));
        }
    }
    Ok(json!(matchers))
}

/// Puts in what is given.
pub(crate) fn with(mut body: Value, more: &[(&str, Option<&str>)]) -> Value {
    let empty = &mut Map::new();
    let map = body.as_object_mut().unwrap_or(empty);
    let given = more.iter().filter_map(|(name, text)| Some(((*name).to_owned(), Value::from((*text)?))));
    map.extend(given);
    body
}

/// The alert that is meant: by its id, by how that begins, by the long id of a message, or by its rule where there is
/// one alert of it only.
pub(crate) async fn alert(rest: &Rest, wanted: &str, state: &str) -> Result<String, Error> {
    // Neither ids nor the names of rules hold it.
    if wanted.contains('#') {
        let alert: Value = rest.get(&["alerts", wanted], &[]).await?;
        return Ok(text(&alert, "id").to_owned());
    }
    let all = rest.all(&["alerts"], &[("state", state)]).await?;
    let is_id = wanted.len() >= SHORTEST;
    let mut found: Vec<&Value> =
        all.iter().filter(|alert| is_id && text(alert, "id").starts_with(wanted)).collect();
    if found.is_empty() {
        found = all.iter().filter(|alert| text(alert, "rule") == wanted).collect();
    }
    match found[..] {
        [one] => Ok(text(one, "id").to_owned()),
        [] => Err(Error::Failed(format!(
            "no alert is called `{wanted}`; `farol alerts --all` lists them with their ids"
        ))),
        _ => {
            let named: Vec<String> =
                found.iter().take(5).map(|alert| format!("{} {}", text(alert, "id"), name(alert))).collect();
            let more = if found.len() > 5 { ", …" } else { "" };
            Err(Error::Failed(format!(
                "`{wanted}` is {} alerts: {}{more}; name one by its id",
                found.len(),
                named.join(", ")
            )))
        }
    }
}

/// What an alert is called: its rule, and its own labels.
pub(crate) fn name(alert: &Value) -> String {
    let labels = alert["labels"].as_object().map(labels_without_own).unwrap_or_default();
    let rule = text(alert, "rule");
    if labels.is_empty() { rule.to_owned() } else { format!("{rule} {labels}") }
}

/// `agent=a service=b`, without what every alert has.
fn labels_without_own(labels: &Map<String, Value>) -> String {
    let own = labels.iter().filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"));
    own.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Labels and their patterns, as they are written on the command line.
pub(crate) fn written(matchers: &Value) -> String {
    let all = matchers.as_object().into_iter().flatten();
    all.map(|(label, pattern)| format!("{label}:{}", pattern.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A text of an answer; nothing where it has none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// For how long it is so.
pub(crate) fn ago(value: &Value, key: &str, now: Timestamp) -> String {
    text(value, key).parse().map(|then| since(then, now)).unwrap_or_default()
}

/// How long it still takes.
pub(crate) fn left(value: &Value, key: &str, now: Timestamp) -> String {
    text(value, key).parse().map(|then| since(now, then)).unwrap_or_default()
}

/// A moment without its fraction.
pub(crate) fn moment(value: &Value, key: &str) -> String {
    text(value, key).parse::<Timestamp>().map(|at| format!("{at:.0}")).unwrap_or_default()
}

/// Prints JSON, or what people read.
pub(crate) fn print(
    which: &Which,
    json: &Value,
    text: impl FnOnce() -> String,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let page = if which.json { json.to_string() } else { text() };
    Ok(terminal.print(&page)?)
}

/// A table, or this where there is nothing.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>], none: &str, terminal: &Terminal) -> String {
    if rows.is_empty() { none.to_owned() } else { crate::table::render(headings, rows, terminal) }
}
