//! The arguments of the commands that are about alerts. Decides what may be written and the defaults.

use super::rules::{When, moment};
use super::{duration, monitor, words};
use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Which monitor is asked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Which {
    /// Where the monitor answers
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8501", value_parser = monitor)]
    pub url: reqwest::Url,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub timeout: Duration,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Who says so, and by which right.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Signed {
    /// Who [default: $USER]
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    /// By which right
    #[command(flatten)]
    pub right: Right,
}

/// Where the operator's token is.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Right {
    /// The monitor's directory, with the operator's token
    #[arg(long, value_name = "DIR", default_value = "farol-data")]
    pub data_dir: PathBuf,
    /// The operator's token, in place of the one of the directory
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// The arguments of `alerts`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct AlertsArgs {
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
    /// Those that are pending or just ended, too
    #[arg(long)]
    pub all: bool,
    /// Only with this label: LABEL:PATTERN; may be given more than once
    #[arg(long = "match", value_name = "MATCH")]
    pub matches: Vec<String>,
    /// Go on, and show what changes
    #[arg(long)]
    pub watch: bool,
}

/// The arguments of `ack`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(group = ArgGroup::new("what").args(["reason", "end"]).required(true))]
pub struct AckArgs {
    /// The alert: its id, how that begins, or its rule where only one alert of it fires
    #[arg(value_name = "ALERT")]
    pub alert: String,
    /// What is done about it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// For so long at most [default: until it ends or becomes worse]
    #[arg(long = "for", value_name = "TIME", conflicts_with = "end")]
    pub lasts: Option<String>,
    /// Nobody takes care of it any more
    #[arg(long)]
    pub end: bool,
    /// Who
    #[command(flatten)]
    pub signed: Signed,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// What may be done with silences.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SilenceCommand {
    /// Silence alerts for a time
    #[command(after_help = words::SILENCE_ADD)]
    Add(SilenceAddArgs),
    /// Show the silences that are not over
    #[command(after_help = words::SILENCE_LIST)]
    List(Which),
    /// End a silence now
    #[command(after_help = words::SILENCE_END)]
    End(EndArgs),
}

/// The arguments of `silence add`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(group(ArgGroup::new("end").required(true).args(["lasts", "until"])))]
pub struct SilenceAddArgs {
    /// Which alerts: LABEL:PATTERN, all of them
    #[arg(value_name = "MATCH", required = true)]
    pub matches: Vec<String>,
    /// For so long
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<String>,
    /// Until then (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// From then on (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who
    #[command(flatten)]
    pub signed: Signed,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// The arguments of `silence end` and `maintenance end`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct EndArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Who, and by which right
    #[command(flatten)]
    pub signed: Signed,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// What may be done with maintenance windows.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum MaintenanceCommand {
    /// Plan maintenance, once or again and again
    #[command(after_help = words::MAINTENANCE_ADD)]
    Add(Box<MaintenanceAddArgs>),
    /// Show the windows that are not over
    #[command(after_help = words::MAINTENANCE_LIST)]
    List(Which),
    /// End a window now and for good
    #[command(after_help = words::MAINTENANCE_END)]
    End(EndArgs),
}

/// The arguments of `maintenance add`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct MaintenanceAddArgs {
    /// What it is called
    #[arg(value_name = "NAME")]
    pub name: String,
    /// On what: LABEL:PATTERN, all of them
    #[arg(value_name = "MATCH", required = true)]
    pub matches: Vec<String>,
    /// Instances take no work, too
    #[arg(long)]
    pub drain: bool,
    /// For so long, each time
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<String>,
    /// Once, from then on (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["days", "at", "zone"])]
    pub from: Option<String>,
    /// Once until then, or again and again up to then (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// On these days: `daily`, `mon,fri`, or `1,15,-1` of the month
    #[arg(long, value_name = "DAYS", requires = "at", allow_hyphen_values = true)]
    pub days: Option<String>,
    /// Beginning at this time of day
    #[arg(long, value_name = "HH:MM", requires = "days")]
    pub at: Option<String>,
    /// By the clocks of this zone [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "days")]
    pub zone: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who
    #[command(flatten)]
    pub signed: Signed,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// What may be asked about.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum WhyCommand {
    /// Why an alert is what it is, and who was told
    Alert {
        /// The alert: its id, how that begins, or its rule where there is one alert of it only
        #[arg(value_name = "ALERT")]
        alert: String,
        /// How
        #[command(flatten)]
        how: WhyArgs,
    },
    /// Why a service is alerted, or is not
    Service {
        /// The service
        #[arg(value_name = "SERVICE")]
        service: String,
        /// How
        #[command(flatten)]
        how: WhyArgs,
    },
    /// Why a component is alerted, or is not
    Component {
        /// Its agent
        #[arg(value_name = "AGENT")]
        agent: String,
        /// Its service
        #[arg(value_name = "SERVICE")]
        service: String,
        /// The component
        #[arg(value_name = "COMPONENT")]
        component: String,
        /// How
        #[command(flatten)]
        how: WhyArgs,
    },
    /// Why an agent is alerted, or is not
    Agent {
        /// The agent
        #[arg(value_name = "AGENT")]
        agent: String,
        /// How
        #[command(flatten)]
        how: WhyArgs,
    },
    /// What a receiver is told, and how that goes
    Receiver {
        /// The receiver
        #[arg(value_name = "RECEIVER")]
        receiver: String,
        /// Which monitor
        #[command(flatten)]
        which: Which,
    },
}

/// How it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct WhyArgs {
    /// Only what this rule says
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// The arguments of `incidents`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct IncidentsArgs {
    /// This one with its time line [default: a list of all]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Only those that go on
    #[arg(long, conflicts_with = "id")]
    pub open: bool,
    /// Only those that began after this: so long ago, or a time such as 2026-01-15T10:00:00Z
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment, conflicts_with = "id")]
    pub since: When,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// The arguments of `notifications`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct NotificationsArgs {
    /// What to do; nothing is to list them
    #[command(subcommand)]
    pub command: Option<NotificationsCommand>,
    /// What is listed
    #[command(flatten)]
    pub list: NotificationsListArgs,
}

/// What is listed of notices.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct NotificationsListArgs {
    /// Those that nobody took, and that are not tried any more
    #[arg(long, conflicts_with = "sent")]
    pub dead: bool,
    /// Those that were sent
    #[arg(long)]
    pub sent: bool,
    /// Only those to this receiver, and to its peers
    #[arg(long, value_name = "NAME")]
    pub receiver: Option<String>,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// What may be done with notices.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum NotificationsCommand {
    /// Send a dead notice again, or all of them
    Resend(ResendArgs),
}

/// The arguments of `notifications resend`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ResendArgs {
    /// Its id
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub id: Option<String>,
    /// All that are dead, the oldest first
    #[arg(long)]
    pub all: bool,
    /// Of all, only those to this receiver, and to its peers
    #[arg(long, value_name = "NAME", requires = "all")]
    pub receiver: Option<String>,
    /// By which right
    #[command(flatten)]
    pub right: Right,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// The arguments of `breakers`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BreakersArgs {
    /// What to do; nothing is to list them
    #[command(subcommand)]
    pub command: Option<BreakersCommand>,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// What may be done with circuit breakers.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum BreakersCommand {
    /// Open one: no calls are made
    Open(BreakerArgs),
    /// Close one: calls are made again
    Close(BreakerArgs),
    /// Ask whether a call may be made
    Admit(AdmitArgs),
    /// Say how a call fared that was let through to see
    Report(ReportArgs),
}

/// Which breaker is asked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct AdmitArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// By which right
    #[command(flatten)]
    pub right: Right,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}

/// How a call fared.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(group = ArgGroup::new("fared").args(["success", "failure"]).required(true))]
pub struct ReportArgs {
    /// It did well
    #[arg(long)]
    pub success: bool,
    /// It failed
    #[arg(long)]
    pub failure: bool,
    /// Which breaker
    #[command(flatten)]
    pub breaker: AdmitArgs,
}

/// Which breaker, and why.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct BreakerArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Open for so long [default: until someone closes it]
    #[arg(long = "for", value_name = "TIME")]
    pub lasts: Option<String>,
    /// Who
    #[command(flatten)]
    pub signed: Signed,
    /// Which monitor
    #[command(flatten)]
    pub which: Which,
}
