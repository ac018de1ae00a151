//! What rules cost the ingest: the same agents, fed at their rate, with the rules and without them in turn, so that what
//! else changes in the meantime falls to both. And what memory they take, in a process that had them from its start.

use super::feeder::{Feeder, Pace};
use super::pipeline::Pipeline;
use super::{COMMITTED_WITHIN, LEFT_OUT, Window, measure, resident, round};
use crate::http::metric;
use crate::rows::Recording;
use crate::rule_set::{Which, elements};
use crate::tape::Tape;
use farol_rules::Rule;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How many agents, which rules, for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording to replay.
    #[arg(long)]
    recording: PathBuf,
    /// Which rules.
    #[arg(long, value_enum, default_value_t = Which::Fifty)]
    rules: Which,
    /// How many agents.
    #[arg(long, default_value_t = 15_000)]
    agents: usize,
    /// Seconds between two reports of an agent.
    #[arg(long, default_value_t = 10.0)]
    interval: f64,
    /// Times to measure with the rules and as many without; 0 for memory alone.
    #[arg(long, default_value_t = 4)]
    turns: usize,
    /// Seconds of each.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Threads of the monitor.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Where the store is; a temporary folder when not given.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// One line of JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    anyhow::ensure!(options.agents > 0 && options.interval > 0.0, "agents and an interval are needed");
    let tape = Arc::new(options.rules.tape(Tape::new(Recording::read(&options.recording)?)?));
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(temporary.path());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    runtime.block_on(feed(options, &tape, folder))
}

async fn feed(options: &Options, tape: &Arc<Tape>, folder: &Path) -> anyhow::Result<Value> {
    let rules = options.rules.rules(tape.series())?;
    let interval = Duration::from_secs_f64(options.interval);
    let mut pipeline = Pipeline::open(folder).await?;
    pipeline.take_rules(rules.clone())?;
    let empty = resident()?;
    let inboxes = pipeline.connect(options.agents, tape, interval).await?;
    let feeder = Feeder::start(inboxes, Arc::clone(tape), interval, pipeline.counts_committed())?;
    feeder.set(Pace::Rate);
    settle(options, &pipeline, 2).await?;
    let history = metric(&pipeline.metrics().await?, "farol_history_memory_bytes").unwrap_or(0.0);
    let (held, (firing, active)) = (resident()? - empty - history, pipeline.alerts());
    let turns = take_turns(options, &pipeline, &feeder, folder, &rules).await?;
    let fires = pipeline.alerts().0;
    // Without turns nothing is looked at but memory, and alerts may fire.
    anyhow::ensure!(turns.is_empty() || fires == 0, "{fires} alerts fire: that is another measurement");
    feeder.set(Pace::Stop);
    let sent = feeder.end()?;
    let late = timeout(COMMITTED_WITHIN, pipeline.committed(sent)).await.is_err();
    let lacks = if late { sent.saturating_sub(pipeline.committed_reports()) } else { 0 };
    pipeline.check()?;
    pipeline.close().await?;
    let mut line = json!({
        "bench": "rules",
        "what": "farol-monitor",
        "set": options.rules.name(),
        "agents": options.agents,
        "interval_seconds": options.interval,
        "rules": rules.len(),
        "series_per_agent": tape.series().len(),
        "elements_per_agent": elements(rules, tape.series())?,
        "kib_per_agent_without_history": round(held / 1_024.0 / options.agents as f64),
        "resident_mib_without_history": round((held + empty) / 1_048_576.0),
        "alerts_firing": firing,
        "elements_not_clear": active,
        "reports_not_committed": lacks,
        "left_out": LEFT_OUT,
    });
    tell(&mut line, options, &turns);
    Ok(line)
}

/// Waits until every agent has reported so often again, and all of it is committed but what came last.
async fn settle(options: &Options, pipeline: &Pipeline, rounds: u64) -> anyhow::Result<()> {
    let enough = pipeline.taken() + rounds * options.agents as u64;
    let within = Duration::from_secs_f64(options.interval).mul_f64(rounds as f64 + 1.0) + COMMITTED_WITHIN;
    pipeline.wait_until_taken(enough, within).await?;
    pipeline.wait_until_even((options.agents as f64 / options.interval) as u64 + 1).await
}

/// What a report cost in one time with the rules and one without them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Turn {
    with_ns: f64,
    without_ns: f64,
    seconds: f64,
    reports: f64,
}

impl Turn {
    fn of(with: &Window, without: &Window) -> Self {
        let ns = |window: &Window| window.cpu_seconds * 1e9 / window.work.reports as f64;
        Self {
            with_ns: ns(with),
            without_ns: ns(without),
            seconds: with.seconds,
            reports: with.work.reports as f64,
        }
    }
}

/// With, without; without, with; and so on: what drifts falls to both.
async fn take_turns(
    options: &Options,
    pipeline: &Pipeline,
    feeder: &Feeder,
    folder: &Path,
    rules: &[Rule],
) -> anyhow::Result<Vec<Turn>> {
    let mut turns = Vec::with_capacity(options.turns);
    for number in 0..options.turns {
        let order = if number % 2 == 0 { [true, false] } else { [false, true] };
        let mut windows = Vec::with_capacity(2);
        for with in order {
            pipeline.take_rules(if with { rules.to_vec() } else { Vec::new() })?;
            // What comes with other rules is made anew at the first report.
            settle(options, pipeline, 2).await?;
            windows.push(measure(pipeline, feeder, folder, options.seconds).await?);
            pipeline.check()?;
            let (in_force, due) = (pipeline.rules(), if with { rules.len() } else { 0 });
            anyhow::ensure!(in_force == due, "{in_force} rules are in force, and {due} should be");
        }
        let [first, second] = &windows[..] else { unreachable!("two were measured") };
        turns.push(if order[0] { Turn::of(first, second) } else { Turn::of(second, first) });
    }
    Ok(turns)
}

/// The mean of the differences, and its standard error.
fn tell(line: &mut Value, options: &Options, turns: &[Turn]) {
    if turns.is_empty() {
        return;
    }
    let many = turns.len() as f64;
    let mean = |of: &dyn Fn(&Turn) -> f64| turns.iter().map(of).sum::<f64>() / many;
    let more = mean(&|turn| turn.with_ns - turn.without_ns);
    let spread = mean(&|turn| (turn.with_ns - turn.without_ns - more).powi(2));
    let error = (turns.len() > 1).then(|| (spread / (many - 1.0)).sqrt());
    let per_second = mean(&|turn| turn.reports / turn.seconds);
    let number = |field: &str| line[field].as_f64().unwrap_or(f64::NAN);
    let (evaluations, pairs) = (number("elements_per_agent"), number("rules") * number("series_per_agent"));
    for (field, value) in [
        ("seconds", options.seconds * 2.0 * many),
        ("turns", many),
        ("reports_per_second", per_second),
        ("cpu_ns_per_report_without", mean(&|turn| turn.without_ns)),
        ("cpu_ns_per_report_with", mean(&|turn| turn.with_ns)),
        ("cpu_ns_per_report_more", more),
        ("cpu_us_per_evaluation", more / 1e3 / evaluations),
        ("cpu_us_per_rule_and_series", more / 1e3 / pairs),
        ("cores_more", more * per_second / 1e9),
    ] {
        line[field] = json!(round(value));
    }
    line["cpu_ns_per_report_more_standard_error"] = json!(error.map(round));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(rules: Which, turns: usize) -> Options {
        Options {
            recording: concat!(env!("CARGO_MANIFEST_DIR"), "/bench/rows.tsv").into(),
            rules,
            agents: 60,
            interval: 0.6,
            turns,
            seconds: 0.3,
            threads: 2,
            folder: None,
        }
    }

    #[test]
    fn agents_are_fed_with_the_rules_and_without_and_nothing_fires() {
        let line = run(&options(Which::All, 2)).unwrap();
        let number = |name: &str| line[name].as_f64().unwrap();
        assert_eq!((number("rules"), number("elements_per_agent")), (50.0, 5_000.0), "{line}");
        assert_eq!(number("turns"), 2.0, "{line}");
        assert!((60.0..140.0).contains(&number("reports_per_second")), "{line}");
        let (with, without) = (number("cpu_ns_per_report_with"), number("cpu_ns_per_report_without"));
        assert!(with > 0.0 && without > 0.0, "{line}");
        assert_eq!((number("elements_not_clear"), number("reports_not_committed")), (0.0, 0.0), "{line}");
    }

    #[test]
    fn the_rules_do_look_at_the_agents() {
        let not_clear = |which| run(&options(which, 0)).unwrap()["elements_not_clear"].as_u64().unwrap();
        // Some rows are of a machine whose disk is nearly full.
        assert!(not_clear(Which::Shipped) > 0);
        assert_eq!(not_clear(Which::None), 0);
    }

    #[test]
    fn the_difference_is_a_mean_with_its_standard_error() {
        let mut line = json!({"elements_per_agent": 10, "rules": 5, "series_per_agent": 4});
        let turn = |with_ns, without_ns| Turn { with_ns, without_ns, seconds: 2.0, reports: 200.0 };
        tell(&mut line, &options(Which::Fifty, 2), &[turn(1_300.0, 1_000.0), turn(1_500.0, 1_000.0)]);
        let number = |name: &str| line[name].as_f64().unwrap();
        assert_eq!(number("cpu_ns_per_report_more"), 400.0, "{line}");
        assert_eq!(number("cpu_ns_per_report_more_standard_error"), 100.0, "{line}");
        assert_eq!(number("cpu_us_per_evaluation"), 0.04, "{line}");
        assert_eq!(number("cpu_us_per_rule_and_series"), 0.02, "{line}");
        assert_eq!(number("cores_more"), 4e-5, "{line}");
    }
}
