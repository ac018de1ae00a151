//! What the same fifty rules cost Prometheus: agents' samples of now by remote write, all of them every interval, with
//! the rules and without them in turn. Prometheus looks at its rules by the clock, as often as samples come.

use super::server::{Kind, Server};
use super::write::{Rounds, Senders};
use super::{TOGETHER, installed};
use crate::clock::{now_ns, sleep_until};
use crate::round;
use crate::rows::Recording;
use crate::rule_set::{RULES, Which, elements, prometheus};
use crate::tape::Tape;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::PathBuf;

const RELOADED_WITHIN_NS: u64 = 10_000_000_000;
const LOOK_NS: u64 = 20_000_000;
const NO_RULES: &str = "groups: []\n";

/// How many agents, for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording to replay.
    #[arg(long)]
    recording: PathBuf,
    /// Agents of 100 series.
    #[arg(long, default_value_t = 1_000)]
    agents: usize,
    /// Seconds between two samples of a series, and between two looks of a rule; whole ones.
    #[arg(long, default_value_t = 10)]
    interval: u64,
    /// Times to measure with the rules and as many without.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Rounds of samples in each.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
}

/// One line of JSON; that it is not installed is one, too.
pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    anyhow::ensure!(options.agents > 0 && options.turns > 0 && options.rounds > 0, "too little to measure");
    let Some(binary) = installed(Kind::Prometheus.name()) else {
        let name = Kind::Prometheus.name();
        return Ok(json!({"bench": "missing", "what": name, "package": name}));
    };
    let tape = Tape::new(Recording::read(&options.recording)?)?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, NO_RULES)?;
    let config = format!("global: {{evaluation_interval: {}s}}\nrule_files: [rules.yml]\n", options.interval);
    std::fs::write(folder.path().join("prometheus.yml"), config)?;
    let server = Server::start(Kind::Prometheus, &binary, folder.path())?;
    let senders = Senders::new(&tape, options.agents);
    let mut bench = Bench { options, tape: &tape, server, senders, rules, round: 0 };
    // New series cost more, and the mean of a minute wants a few samples.
    bench.rounds(2)?;
    let mut turns = Vec::new();
    for number in 0..options.turns {
        let order = if number % 2 == 0 { [true, false] } else { [false, true] };
        let first = bench.measure(order[0])?;
        let second = bench.measure(order[1])?;
        turns.push(if order[0] { (first, second) } else { (second, first) });
    }
    let line = bench.told(&turns)?;
    bench.server.end()?;
    Ok(line)
}

struct Bench<'a> {
    options: &'a Options,
    tape: &'a Tape,
    server: Server,
    senders: Senders,
    /// The file of rules.
    rules: PathBuf,
    /// The next round of samples.
    round: u64,
}

/// What was used in a time.
#[derive(Clone, Copy, Debug)]
struct Used {
    cpu_seconds: f64,
    seconds: f64,
    /// How often all rules were looked at.
    looks: f64,
}

impl Bench<'_> {
    /// Sends the samples of so many rounds, each when it is due; ends when another one would be.
    fn rounds(&mut self, rounds: u64) -> anyhow::Result<()> {
        let (began, every) = (now_ns(), self.options.interval * 1_000_000_000);
        for number in 0..rounds {
            let from_ms = jiff::Timestamp::now().as_millisecond();
            let now = Rounds { rounds: 0..1, from_ms, every_ms: 1 };
            self.senders.write(&self.server, self.tape, TOGETHER, &now)?;
            self.round += 1;
            sleep_until(began + (number + 1) * every);
        }
        Ok(())
    }

    /// With the rules or without: what so many rounds use, once one has gone by.
    fn measure(&mut self, with: bool) -> anyhow::Result<Used> {
        let text = if with { prometheus(self.tape.series())? } else { NO_RULES.to_owned() };
        std::fs::write(&self.rules, text)?;
        kill_process(pid(&self.server)?, Signal::HUP)?;
        self.wait_until_reloaded(with)?;
        self.rounds(1)?;
        let (before, looked, began) = (self.server.reading()?, self.evaluations()?, now_ns());
        self.rounds(self.options.rounds)?;
        let cpu_seconds = self.server.reading()?.cpu_since(&before);
        let (seconds, looks) = ((now_ns() - began) as f64 / 1e9, self.evaluations()? - looked);
        let looks = looks / RULES as f64;
        // At the edges of the time a look more or less is no mistake.
        let due = if with { self.options.rounds as f64 } else { 0.0 };
        anyhow::ensure!(
            (looks - due).abs() <= 1.0 && (looks > 0.0) == with,
            "Prometheus looked at its rules {looks} times, {due} were due"
        );
        Ok(Used { cpu_seconds, seconds, looks })
    }

    fn wait_until_reloaded(&self, with: bool) -> anyhow::Result<()> {
        let until = now_ns() + RELOADED_WITHIN_NS;
        let due = if with { RULES } else { 0 };
        loop {
            let rules = self.server.client().text("/api/v1/rules")?;
            if rules.matches(r#""query":"#).count() == due {
                return Ok(());
            }
            anyhow::ensure!(now_ns() < until, "Prometheus does not take its rules: {rules}");
            sleep_until(now_ns() + LOOK_NS);
        }
    }

    /// How often a rule was looked at. The counters of a group go with it.
    fn evaluations(&self) -> anyhow::Result<f64> {
        let page = self.server.client().text("/metrics")?;
        let counters = page.lines().filter(|line| line.starts_with("prometheus_rule_evaluations_total{"));
        Ok(counters.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    fn told(&self, turns: &[(Used, Used)]) -> anyhow::Result<Value> {
        let many = turns.len() as f64;
        let mean = |of: &dyn Fn(&(Used, Used)) -> f64| turns.iter().map(of).sum::<f64>() / many;
        // Of one look at all rules.
        let more = mean(&|(with, without)| (with.cpu_seconds - without.cpu_seconds) / with.looks);
        let series = self.tape.series();
        let looked_at = elements(Which::Fifty.rules(series)?, series)? * self.options.agents;
        let pairs = RULES * series.len() * self.options.agents;
        Ok(json!({
            "bench": "rules",
            "what": Kind::Prometheus.name(),
            "set": Which::Fifty.name(),
            "agents": self.options.agents,
            "interval_seconds": self.options.interval,
            "rules": RULES,
            "series_per_agent": series.len(),
            "elements_per_agent": looked_at / self.options.agents,
            "turns": turns.len(),
            "rounds": self.options.rounds,
            "rounds_sent": self.round,
            "cores_without": round(mean(&|(_, without)| without.cpu_seconds / without.seconds)),
            "cores_with": round(mean(&|(with, _)| with.cpu_seconds / with.seconds)),
            "cores_more": round(more / self.options.interval as f64),
            "cpu_us_per_evaluation": round(more * 1e6 / looked_at as f64),
            "cpu_us_per_rule_and_series": round(more * 1e6 / pairs as f64),
        }))
    }
}

fn pid(server: &Server) -> anyhow::Result<Pid> {
    let number = i32::try_from(server.pid())?;
    Pid::from_raw(number).ok_or_else(|| anyhow::anyhow!("{number} is no process"))
}
