//! The arguments of the commands that are about the monitor's store. Decides what may be written and the defaults.

use super::value;
use clap::{Args, Subcommand, value_parser};
use std::path::PathBuf;
use std::time::Duration;

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct WhichStore {
    /// What `store:` of this farol.yaml or monitor.yaml says
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The monitor's directory [default: farol-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// The arguments of `backup` and `restore`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct CopyArgs {
    /// The copy
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the store is
    #[command(flatten)]
    pub which: WhichStore,
    /// Replace the file, or set the store aside, that is there
    #[arg(long)]
    pub force: bool,
}

/// What may be asked of a store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Say how much disk and memory a fleet takes
    #[command(after_help = super::words::ESTIMATE)]
    Estimate(EstimateArgs),
}

/// The arguments of `store estimate`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct EstimateArgs {
    /// So many agents
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub agents: u64,
    /// Series of each
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u64).range(1..=1_000_000))]
    pub series: u64,
    /// Those of them that are rolled up, which `store.keep` lists [default: all]
    #[arg(long, value_name = "N")]
    pub kept: Option<u64>,
    /// Components of each
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u64).range(0..=1_000_000))]
    pub components: u64,
    /// Their report interval
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = interval)]
    pub interval: Duration,
    /// Samples are kept for so long [default: what --config says, or 24h]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub raw: Option<Duration>,
    /// Roll-ups of 5 minutes are kept for so long [default: what --config says, or 14d]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub five_minutes: Option<Duration>,
    /// Roll-ups of an hour are kept for so long [default: what --config says, or 400d]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub one_hour: Option<Duration>,
    /// Status changes are kept for so long [default: what --config says, or 400d]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub statuses: Option<Duration>,
    /// Samples of so long are kept in memory too [default: what --config says, or 1h]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub memory: Option<Duration>,
    /// The store may take so much disk [default: what --config says, or 20GB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub budget: Option<u64>,
    /// Measure this store, instead of taking what was measured elsewhere
    #[command(flatten)]
    pub which: WhichStore,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let limits = Duration::from_millis(100)..=Duration::from_secs(3_600);
    value(text, |m| m.duration("value").within(limits).required())
}

fn span(text: &str) -> Result<Duration, String> {
    let limits = Duration::ZERO..=Duration::from_secs(3_660 * 86_400);
    value(text, |m| m.duration("value").within(limits).required())
}

fn size(text: &str) -> Result<u64, String> {
    value(text, |m| m.bytes("value").required())
}
