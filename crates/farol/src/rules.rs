//! `farol rules check` and `farol rules test`: which files are read, and what they are compared with. What rules tell of
//! the past is the monitor's; cases are in `rules/cases.rs`, how it looks in `rules/report.rs`.

mod cases;
mod list;
mod report;

use crate::cli::{RulesCheckArgs, RulesTestArgs};
use crate::store;
use crate::terminal::Terminal;
use crate::verdict::{Error, Found};
use farol_monitor::config::{Alerting, Config, rules_of};
use farol_monitor::history::replay::{Side, Span, retell};
use farol_rules::{Route, Rule};
use jiff::Timestamp;
use rustix::termios::isatty;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

/// Says what is wrong with files, or which rules they hold.
///
/// # Errors
/// Something is wrong with them.
pub fn check(args: &RulesCheckArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let all = rules_of(&args.files, !args.no_default_rules)?;
    // Templates and what depends on what are looked at as a whole.
    let alerting = Alerting { rules: all.clone(), ..Alerting::default() };
    Side::new(&alerting, &BTreeMap::new()).map_err(|error| Error::Usage(error.to_string()))?;
    // Those that make sense only beside the shipped ones were read beside them.
    let shipped = if args.no_default_rules { Vec::new() } else { rules_of(&[], true)? };
    let theirs: Vec<&Rule> = all.iter().filter(|rule| !shipped.contains(rule)).collect();
    let text = if args.json { list::json(&theirs).to_string() } else { list::table(&theirs, terminal) };
    Ok(terminal.print(&text)?)
}

/// Tries rules, on cases or on the stored past.
///
/// # Errors
/// A file is wrong, or the store cannot be read.
pub async fn test(
    args: &RulesTestArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<Found, Error> {
    if args.files.is_empty() && args.which.config.is_none() {
        let example = "farol rules test rules/shop.yaml";
        return Err(Error::Usage(format!(
            "name files of rules, or a --config that does; for instance `{example}`"
        )));
    }
    let config = store::config_of(&args.which, env)?;
    let tried = if args.files.is_empty() {
        config.alerting.rules.clone()
    } else {
        rules_of(&args.files, !args.no_default_rules)?
    };
    if !args.cases.is_empty() {
        return cases::run(args, tried, &config, terminal);
    }
    past(args, tried, &config, terminal).await
}

/// Rules beside a configuration's routes and maintenance.
fn side(rules: Vec<Rule>, config: &Config) -> Result<Side, Error> {
    let mut alerting = Alerting { rules, ..config.alerting.clone() };
    alerting.route.iter_mut().for_each(lead_to_one);
    Side::new(&alerting, &config.needs).map_err(|error| Error::Usage(error.to_string()))
}

/// Leads a route to the receiver that it names: each of its peers is told the same.
fn lead_to_one(route: &mut Route) {
    route.peers.clear();
    if let Some((name, _)) = route.receiver.as_deref().and_then(|receiver| receiver.split_once('@')) {
        route.receiver = Some(name.into());
    }
    route.routes.iter_mut().for_each(lead_to_one);
}

async fn past(
    args: &RulesTestArgs,
    tried: Vec<Rule>,
    config: &Config,
    terminal: &mut Terminal,
) -> Result<Found, Error> {
    let now = Timestamp::now();
    let span = Span {
        from_ms: args.since.ms(now),
        to_ms: args.until.ms(now).min(now.as_millisecond()),
        services: config.services.clone(),
        groups: config.groups.clone(),
    };
    if span.from_ms >= span.to_ms {
        return Err(Error::Usage("--since is not before --until; swap them".to_owned()));
    }
    let against = if args.against.is_empty() {
        config.alerting.rules.clone()
    } else {
        rules_of(&args.against, !args.no_default_rules)?
    };
    let is_compared = against != tried;
    let new =
        tried.iter().filter(|rule| !is_compared || !against.contains(rule)).cloned().collect::<Vec<_>>();
    let mut sides = vec![side(tried, config)?];
    if is_compared {
        sides.push(side(against, config)?);
    }
    let data_dir = args.which.data_dir.clone().unwrap_or_else(|| PathBuf::from(store::DATA_DIR));
    let failed = |error: &dyn std::error::Error| Error::Failed(chain(error));
    let store = farol_monitor::store::read(&config.store, &data_dir).await;
    let store = store.map_err(|error| Error::Failed(format!("{error:#}")))?;
    let mut line = Line { looked_at: isatty(io::stderr()), shown: String::new() };
    let retold = retell(&*store, &span, &sides, &mut |share| line.show(share)).await;
    line.clear();
    let retold = retold.map_err(|error| failed(&error))?;
    // It was only read.
    drop(store.close().await);
    let report = report::Report { span: &span, rules: &new, retold: &retold, is_compared };
    let text = if args.json { report.json().to_string() } else { report.text(terminal) };
    terminal.print(&text)?;
    Ok(Found::Fine)
}

/// An error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// How far it is, on a terminal alone.
struct Line {
    /// Standard error is looked at.
    looked_at: bool,
    /// The last that was shown: only what changes is written.
    shown: String,
}

impl Line {
    fn show(&mut self, share: f64) {
        let text = format!("{:.0} % of the time is read", share * 100.0);
        if self.looked_at && text != self.shown {
            write(&format!("\r\u{1b}[K{text}"));
            self.shown = text;
        }
    }

    fn clear(&self) {
        if !self.shown.is_empty() {
            write("\r\u{1b}[K");
        }
    }
}

/// Nobody is left to tell when that fails.
fn write(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests;
