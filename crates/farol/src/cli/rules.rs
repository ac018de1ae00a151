//! The arguments of the commands that are about alert rules. Decides what may be written and the defaults.

use super::{WhichStore, value};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// What may be done with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say what is wrong with files of rules, and which rules they hold
    #[command(after_help = super::words::RULES_CHECK)]
    Check(RulesCheckArgs),
    /// Say what rules would have told of the stored past, or try them on cases
    #[command(after_help = super::words::RULES_TEST)]
    Test(RulesTestArgs),
}

/// The arguments of `rules check`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct RulesCheckArgs {
    /// Files of rules, as `rules:` of monitor.yaml names them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// They stand without the shipped rules, as with `default_rules: false`
    #[arg(long)]
    pub no_default_rules: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `rules test`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct RulesTestArgs {
    /// Files of rules to try; without, those that --config names
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// From here on: so long ago, or a time such as 2026-01-15T10:00:00Z
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment, conflicts_with = "cases")]
    pub since: When,
    /// Up to here
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = moment, conflicts_with = "cases")]
    pub until: When,
    /// Where the store, the routes and the rules in force stand
    #[command(flatten)]
    pub which: WhichStore,
    /// Compare with the rules of this file, in place of those of --config or the shipped ones
    #[arg(long, value_name = "FILE", conflicts_with = "cases")]
    pub against: Vec<PathBuf>,
    /// The files stand without the shipped rules, as with `default_rules: false`
    #[arg(long)]
    pub no_default_rules: bool,
    /// Try the rules on the cases of this file, in place of the past
    #[arg(long, value_name = "FILE")]
    pub cases: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A moment, as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl When {
    /// Unix milliseconds.
    #[must_use]
    pub fn ms(self, now: Timestamp) -> i64 {
        match self {
            Self::Ago(ago) => {
                now.as_millisecond().saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))
            }
            Self::At(at) => at.as_millisecond(),
        }
    }
}

pub(super) fn moment(text: &str) -> Result<When, String> {
    if text == "now" {
        return Ok(When::Ago(Duration::ZERO));
    }
    if let Ok(at) = text.parse() {
        return Ok(When::At(at));
    }
    let limits = Duration::from_secs(1)..=Duration::from_secs(400 * 86_400);
    let ago = value(text, |m| m.duration("value").within(limits).required());
    ago.map(When::Ago).map_err(|why| format!("{why}; or `now`, or a time such as `2026-01-15T10:00:00Z`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ages_or_times() {
        let now: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
        for (text, ms) in [
            ("now", now.as_millisecond()),
            ("7d", now.as_millisecond() - 7 * 86_400_000),
            ("90s", now.as_millisecond() - 90_000),
            ("2026-01-15T09:00:00Z", now.as_millisecond() - 3_600_000),
        ] {
            assert_eq!(moment(text).unwrap().ms(now), ms, "{text}");
        }
        for text in ["yesterday", "-3d", "0s", "5", "500d"] {
            let error = moment(text).unwrap_err();
            assert!(error.contains("2026-01-15T10:00:00Z"), "{error}");
        }
    }
}
