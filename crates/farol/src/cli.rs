//! The arguments of the command line and its help. Decides what may be written, what the defaults are, and who
//! does it; what comes of it is each subcommand's own file.

mod alerting;
mod rules;
mod stores;
mod words;

pub use alerting::{
    AckArgs, AdmitArgs, AlertsArgs, BreakerArgs, BreakersArgs, BreakersCommand, EndArgs, IncidentsArgs,
    MaintenanceAddArgs, MaintenanceCommand, NotificationsArgs, NotificationsCommand, NotificationsListArgs,
    ReportArgs, ResendArgs, Right, Signed, SilenceAddArgs, SilenceCommand, Which, WhyArgs, WhyCommand,
};
pub use rules::{RulesCheckArgs, RulesCommand, RulesTestArgs, When};
pub use stores::{CopyArgs, EstimateArgs, StoreCommand, WhichStore};

use crate::completions::Shell;
use crate::healthcheck::Target;
use crate::terminal::Terminal;
use crate::verdict::{Error, Found};
use crate::{ack, alerts, breakers, incidents, maintenance, notifications, silence, why};
use crate::{check, completions, copies, healthcheck, rules as alert_rules, status, store};
use clap::{Args, Parser, Subcommand};
use farol_config::{Map, Sources};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Tells every ship in the fleet the same truth.
///
/// Without a subcommand: a whole Farol on this machine. It checks the machine's disk and memory, and a
/// PostgreSQL or Redis that answers here, or what its file says; it takes in other agents, and answers probes,
/// scrapes and questions. Ctrl-C or SIGTERM ends it, SIGHUP reads the file again.
#[derive(Debug, Parser)]
#[command(
    name = "farol",
    version,
    about,
    after_help = words::ROOT_SHORT,
    after_long_help = words::ROOT,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub struct Cli {
    /// What to do; nothing is standalone.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to do it alone.
    #[command(flatten)]
    pub standalone: StandaloneArgs,
}

/// What may be done besides standing alone.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the checks once and say what they found
    #[command(after_help = words::CHECK)]
    Check(CheckArgs),
    /// Show the fleet as a monitor sees it
    #[command(after_help = words::STATUS)]
    Status(StatusArgs),
    /// Show what fires, as a monitor sees it
    #[command(after_help = words::ALERTS)]
    Alerts(AlertsArgs),
    /// Take care of an alert
    #[command(after_help = words::ACK)]
    Ack(AckArgs),
    /// Hold alerts back for a time
    #[command(subcommand, after_help = words::SILENCE)]
    Silence(SilenceCommand),
    /// Plan work, during which alerts are held back
    #[command(subcommand, after_help = words::MAINTENANCE)]
    Maintenance(MaintenanceCommand),
    /// Say why something is alerted, or is not
    #[command(subcommand, after_help = words::WHY)]
    Why(WhyCommand),
    /// Show incidents, or the time line of one
    #[command(after_help = words::INCIDENTS)]
    Incidents(IncidentsArgs),
    /// Show what is to be sent to receivers and what nobody took, or send it again
    #[command(after_help = words::NOTIFICATIONS)]
    Notifications(NotificationsArgs),
    /// Show circuit breakers, open or close one
    #[command(after_help = words::BREAKERS)]
    Breakers(BreakersArgs),
    /// Ask one address whether it is healthy, for a container's HEALTHCHECK
    #[command(after_help = words::HEALTHCHECK)]
    Healthcheck(HealthcheckArgs),
    /// Copy the monitor's store into a file, while it runs
    #[command(after_help = words::BACKUP)]
    Backup(CopyArgs),
    /// Put a copy in the place of the monitor's store
    #[command(after_help = words::RESTORE)]
    Restore(CopyArgs),
    /// What the monitor's store is and will be
    #[command(subcommand)]
    Store(StoreCommand),
    /// Alert rules: what is wrong with them, and what they would have told
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Print the completions of a shell
    #[command(after_help = words::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

impl Command {
    /// Does it, on a runtime of its own.
    ///
    /// # Errors
    /// When it cannot be done; what is not healthy is no error.
    pub fn run(&self, env: Vec<(OsString, OsString)>, terminal: &mut Terminal) -> Result<Found, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Check(args) => runtime.block_on(check::run(args, terminal)).map(Found::Status),
            Self::Status(args) => runtime.block_on(status::run(args, terminal)).map(Found::Status),
            Self::Alerts(args) => runtime.block_on(alerts::run(args, terminal)).map(Found::Status),
            Self::Ack(args) => runtime.block_on(ack::run(args, &env, terminal)).map(|()| Found::Fine),
            Self::Silence(command) => {
                runtime.block_on(silence::run(command, &env, terminal)).map(|()| Found::Fine)
            }
            Self::Maintenance(command) => {
                runtime.block_on(maintenance::run(command, &env, terminal)).map(|()| Found::Fine)
            }
            Self::Why(command) => runtime.block_on(why::run(command, terminal)).map(|()| Found::Fine),
            Self::Incidents(args) => runtime.block_on(incidents::run(args, terminal)).map(|()| Found::Fine),
            Self::Notifications(args) => {
                runtime.block_on(notifications::run(args, terminal)).map(|()| Found::Fine)
            }
            Self::Breakers(args) => runtime.block_on(breakers::run(args, &env, terminal)),
            Self::Healthcheck(args) => {
                let healthy = runtime.block_on(healthcheck::run(args, terminal))?;
                Ok(if healthy { Found::Fine } else { Found::NotHealthy })
            }
            Self::Backup(args) => {
                runtime.block_on(copies::backup(args, &env, terminal)).map(|()| Found::Fine)
            }
            Self::Restore(args) => {
                runtime.block_on(copies::restore(args, &env, terminal)).map(|()| Found::Fine)
            }
            Self::Store(StoreCommand::Estimate(args)) => {
                runtime.block_on(store::estimate(args, &env, terminal)).map(|()| Found::Fine)
            }
            Self::Rules(RulesCommand::Check(args)) => {
                alert_rules::check(args, terminal).map(|()| Found::Fine)
            }
            Self::Rules(RulesCommand::Test(args)) => {
                runtime.block_on(alert_rules::test(args, &env, terminal))
            }
            Self::Completions { shell } => completions::run(*shell, terminal).map(|()| Found::Fine),
        }
    }
}

/// The flags of standalone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct StandaloneArgs {
    /// Read `monitor:` and `agent:` from this file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep here what must last
    #[arg(long, value_name = "DIR", default_value = "farol-data")]
    pub data_dir: PathBuf,
    /// Write the addresses here, as JSON, when all are open
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Listen here for probes, scrapes and questions [default: 127.0.0.1:8501]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Listen here for agents [default: 127.0.0.1:8502]
    #[arg(long, value_name = "ADDR")]
    pub agents: Option<String>,
    /// Listen here for gRPC health in plain text [default: 127.0.0.1:8503]
    #[arg(long, value_name = "ADDR")]
    pub health: Option<String>,
    /// Say what is wrong with the configuration, and end
    #[arg(long)]
    pub check_config: bool,
    /// Print each value and its source, and end
    #[arg(long)]
    pub dump_config: bool,
}

/// The arguments of `check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// Only the checks of these names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The checks of this farol.yaml or agent.yaml, in place of those of this machine
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How long each check may take, in place of its own deadline
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// The arguments of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct StatusArgs {
    /// Where the monitor answers
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8501", value_parser = monitor)]
    pub url: reqwest::Url,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Go on, and show what changes
    #[arg(long)]
    pub watch: bool,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub timeout: Duration,
}

/// The arguments of `healthcheck`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct HealthcheckArgs {
    /// `http://…`, `https://…` or `grpc://HOST:PORT/SERVICE`
    #[arg(value_name = "URL")]
    pub target: Target,
    /// How long the answer may take
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub timeout: Duration,
}

/// The address of a monitor's REST interface.
fn monitor(text: &str) -> Result<reqwest::Url, String> {
    let example = "write for instance `http://127.0.0.1:8501`";
    let url = reqwest::Url::parse(text).map_err(|_| format!("it is no address; {example}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        "http" | "https" => Err(format!("it has no host; {example}")),
        _ => Err(format!("it begins with neither `http://` nor `https://`; {example}")),
    }
}

/// A duration as the configuration writes it, with the configuration's words when it is none.
fn duration(text: &str) -> Result<Duration, String> {
    let limits = Duration::from_millis(1)..=Duration::from_secs(3_600);
    value(text, |m| m.duration("value").within(limits).required())
}

/// Any value of the configuration.
fn value<T>(text: &str, read: impl FnOnce(&mut Map<'_>) -> T) -> Result<T, String> {
    let first = |problems: farol_config::Problems| {
        problems.iter().next().map(|problem| problem.message.clone()).unwrap_or_default()
    };
    let tree = Sources::new().flag("", "value", text.to_owned()).load().map_err(first)?;
    tree.read(read).map_err(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_ascii_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_is_standalone_and_its_flags_stand_beside_no_subcommand() {
        let cli = parse("farol --http 127.0.0.1:0 --data-dir /tmp/x").unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.standalone.http.as_deref(), Some("127.0.0.1:0"));
        assert!(parse("farol --http 127.0.0.1:0 status").is_err());
    }

    #[test]
    fn a_monitors_address_is_refused_with_its_reason_and_an_example() {
        assert!(monitor("https://monitor.example:8501/farol").is_ok());
        for (text, word) in [
            ("foo", "no address"),
            ("http://", "no address"),
            ("ftp://x", "neither `http://`"),
            ("localhost:8501", "neither `http://`"),
        ] {
            let error = monitor(text).unwrap_err();
            assert!(error.contains(word) && error.contains("`http://127.0.0.1:8501`"), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_those_of_the_configuration_with_its_words() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for (text, word) in [("5", "`5s`"), ("5 parsecs", "duration"), ("0s", "range"), ("2h", "range")] {
            let error = duration(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn every_help_text_shows_examples_and_exit_codes() {
        for (line, words) in [
            (
                "farol --help",
                &["farol check", "farol status", "farol healthcheck", "farol completions", "128 + n"][..],
            ),
            ("farol check --help", &["farol check --timeout", "\"components\"", "64"]),
            ("farol status --help", &["farol status --watch", "3 "]),
            ("farol healthcheck --help", &["HEALTHCHECK", "grpc://"]),
            ("farol backup --help", &["farol backup ", "VACUUM", "64"]),
            ("farol restore --help", &["farol restore ", "--force", "64"]),
            ("farol store estimate --help", &["--agents 5000", "\"disk_bytes\"", "64"]),
            ("farol rules check --help", &["farol rules check ", "\"depends_on\"", "64"]),
            ("farol rules test --help", &["--since 24h", "--cases", "\"told\"", "stale", "64"]),
            ("farol completions --help", &["bash", "zsh", "fish"]),
            ("farol alerts --help", &["farol alerts --watch", "\"items\"", "64"]),
            ("farol ack --help", &["farol ack ", "--reason", "64"]),
            ("farol silence --help", &["farol silence add ", "farol silence end ", "64"]),
            ("farol silence add --help", &["farol silence add ", "--for", "64"]),
            ("farol silence list --help", &["farol silence list ", "64"]),
            ("farol silence end --help", &["farol silence end ", "64"]),
            ("farol maintenance --help", &["--days daily", "64"]),
            ("farol maintenance add --help", &["--drain", "--zone", "64"]),
            ("farol maintenance list --help", &["farol maintenance list ", "64"]),
            ("farol maintenance end --help", &["farol maintenance end ", "64"]),
            ("farol why --help", &["farol why component ", "64"]),
            ("farol incidents --help", &["farol incidents --open", "64"]),
            ("farol notifications --help", &["notifications resend ", "--dead", "64"]),
            ("farol breakers --help", &["farol breakers open ", "farol breakers admit ", "64"]),
        ] {
            let help = parse(line).unwrap_err().to_string();
            for word in words {
                assert!(help.contains(word), "{line} says nothing of {word}:\n{help}");
            }
        }
    }
}
