//! Rounds of faults: which are done, on which store, what is printed of each, and what is kept when one breaks.

use anyhow::{Context, Result};
use farol_tests::dice::{Dice, seed};
use farol_tests::faults::disk::{self, Disk};
use farol_tests::faults::{Kind, Scene, clock, crash, kill, pause, slow, storm, telling};
use farol_tests::oracle::{Habits, Judgement};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Fault {
    Kill,
    CrashPoints,
    Disk,
    Slow,
    Chaos,
    Clock,
    Pause,
    Ledger,
}

/// On which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Stores {
    Sqlite,
    Postgres,
    Both,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What everything is thrown from; one of this moment when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Rounds of each fault on each store.
    #[arg(long, default_value_t = 50)]
    rounds: u64,
    /// Simulated agents.
    #[arg(long, default_value_t = 200)]
    agents: u32,
    /// Milliseconds between two reports of an agent.
    #[arg(long, default_value_t = 200)]
    every_ms: u64,
    /// The store.
    #[arg(long, value_enum, default_value = "both")]
    store: Stores,
    /// Only these faults; all when not given.
    #[arg(long, value_enum)]
    only: Vec<Fault>,
    /// No new round after so many minutes; 0 for no end.
    #[arg(long, default_value_t = 0.0)]
    minutes: f64,
    /// A line of JSON for each round and each sum, in place of words.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(seed);
    let faults = match options.only.as_slice() {
        [] => <Fault as clap::ValueEnum>::value_variants(),
        only => only,
    };
    let kinds: &[Kind] = match options.store {
        Stores::Sqlite => &[Kind::Sqlite],
        Stores::Postgres => &[Kind::Postgres],
        Stores::Both => &[Kind::Sqlite, Kind::Postgres],
    };
    let end =
        (options.minutes > 0.0).then(|| Instant::now() + Duration::from_secs_f64(options.minutes * 60.0));
    let run = Run { options, seed, end };
    for (number, fault) in (1..).zip(faults) {
        for kind in kinds {
            if (*fault, *kind) == (Fault::Disk, Kind::Postgres) {
                // What a full disk does to PostgreSQL is PostgreSQL's; to us it is a server that goes away.
                continue;
            }
            let seed = Dice::apart(seed, number << 1 | u64::from(*kind == Kind::Postgres)).throw() >> 16;
            let done = match fault {
                Fault::Ledger => Box::pin(run.ledger(*kind, seed)).await,
                _ => Box::pin(run.fault(*fault, *kind, seed)).await,
            };
            if let Err(broken) = done {
                run.tell(json!({"broken": format!("{broken:#}"), "fault": word(*fault), "store": store(*kind), "seed": run.seed}))?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One call of the command.
struct Run<'o> {
    options: &'o Options,
    seed: u64,
    /// No new round from then on.
    end: Option<Instant>,
}

impl Run<'_> {
    /// All rounds of one fault on one store.
    async fn fault(&self, fault: Fault, kind: Kind, seed: u64) -> Result<()> {
        let disk = match fault {
            Fault::Disk => match Disk::mount(24)? {
                Some(disk) => Some(disk),
                None => return Ok(()),
            },
            _ => None,
        };
        let (mut scene, began) = (self.scene(fault, kind, seed, disk.as_ref()).await?, Instant::now());
        let mut done = 0;
        let rounds = async {
            while done < self.options.rounds && self.end.is_none_or(|end| Instant::now() < end) {
                let what = self.round(fault, kind, &mut scene, done, disk.as_ref()).await?;
                done += 1;
                self.tell(json!({"fault": word(fault), "store": store(kind), "round": done, "done": what, "verdict": "holds"}))?;
            }
            if fault == Fault::Clock {
                // Everything must be in the past by the monitor's clock to be answered.
                clock::round(&mut scene, 7_200).await?;
            }
            scene.finish().await
        };
        let judged = rounds.await;
        match judged {
            Ok(judgement) => self.sum(fault, kind, done, began, &scene, &judgement),
            Err(broken) => {
                let (counts, autopsy) = (scene.oracle.ledger().counts(), scene.autopsy().await);
                let kept = scene.victim.keep();
                let again = format!(
                    "in round {} of {}, {counts:?}; {autopsy}; again: scripts/torture --seed {} --only {} --store {} --rounds {} \
                     --agents {}; the monitor's folder is kept: {}",
                    done + 1,
                    word(fault),
                    self.seed,
                    word(fault),
                    store(kind),
                    self.options.rounds,
                    self.options.agents,
                    kept.display()
                );
                Err(broken).context(again)
            }
        }
    }

    /// All rounds round the ledger of notices: they have agents and a receiver of their own.
    async fn ledger(&self, kind: Kind, seed: u64) -> Result<()> {
        let (mut scene, began, names) =
            (telling::Scene::begin(kind, seed).await?, Instant::now(), telling::names());
        let mut done = 0;
        let rounds = async {
            while done < self.options.rounds && self.end.is_none_or(|end| Instant::now() < end) {
                let what = telling::at(&mut scene, names[done as usize % names.len()]).await?;
                done += 1;
                self.tell(json!({"fault": "ledger", "store": store(kind), "round": done, "done": what, "verdict": "holds"}))?;
            }
            scene.finish().await
        };
        match rounds.await {
            Ok(judged) => self.tell(json!({
                "fault": "ledger", "store": store(kind), "sum": true, "rounds": done,
                "seconds": began.elapsed().as_secs(), "notices": judged.notices, "copies": judged.copies,
                "unrecorded": judged.unrecorded, "seed": self.seed, "verdict": "holds",
            })),
            Err(broken) => {
                let (told, kept) = (scene.told(), scene.victim.keep());
                let again = format!(
                    "in round {}; again: scripts/torture --seed {} --only ledger --store {} --rounds {}; the monitor's \
                     folder is kept: {}; what was told:\n{told}",
                    done + 1,
                    self.seed,
                    store(kind),
                    self.options.rounds,
                    kept.display()
                );
                Err(broken).context(again)
            }
        }
    }

    async fn scene(&self, fault: Fault, kind: Kind, seed: u64, disk: Option<&Disk>) -> Result<Scene> {
        let habits = Habits {
            agents: self.options.agents,
            every: Duration::from_millis(self.options.every_ms),
            lying_clocks: fault == Fault::Clock,
            ..Habits::default()
        };
        match (fault, disk) {
            (Fault::Disk, Some(disk)) => disk::scene(disk, seed, habits).await,
            (Fault::Slow, _) => slow::scene(kind.ground().await?, seed, habits, Duration::from_secs(2)).await,
            (Fault::Clock, _) => clock::scene(kind.ground().await?, seed, habits).await,
            (Fault::CrashPoints, _) => {
                let (scene, what) = crash::first_start(kind, seed, habits).await?;
                self.tell(json!({"fault": word(fault), "store": store(kind), "round": 0, "done": what, "verdict": "holds"}))?;
                Ok(scene)
            }
            _ => Scene::begin(kind.ground().await?, seed, habits).await,
        }
    }

    async fn round(
        &self,
        fault: Fault,
        kind: Kind,
        scene: &mut Scene,
        number: u64,
        disk: Option<&Disk>,
    ) -> Result<String> {
        match fault {
            Fault::Kill => kill::either(scene).await,
            Fault::CrashPoints => {
                let names: Vec<_> =
                    crash::names(kind).into_iter().filter(|n| *n != "mid_migration").collect();
                crash::at(scene, names[number as usize % names.len()]).await
            }
            Fault::Disk => disk::round(scene, disk.context("a disk")?).await,
            Fault::Slow => slow::round(scene, Duration::from_secs(10)).await,
            Fault::Chaos => {
                let long = scene.dice.millis(2_000..8_000);
                storm::round(scene, long).await
            }
            Fault::Clock => {
                let seconds = scene.dice.within(0..7_000) as i64 - 3_500;
                clock::round(scene, seconds).await
            }
            // It has rounds of its own.
            Fault::Ledger => anyhow::bail!("the ledger has no agents of the oracle"),
            Fault::Pause => {
                let long = scene.dice.millis(4_000..20_000);
                pause::monitor(scene, long).await
            }
        }
    }

    fn sum(
        &self,
        fault: Fault,
        kind: Kind,
        rounds: u64,
        began: Instant,
        scene: &Scene,
        judgement: &Judgement,
    ) -> Result<()> {
        let counts = judgement.counts;
        self.tell(json!({
            "fault": word(fault), "store": store(kind), "sum": true, "rounds": rounds,
            "seconds": began.elapsed().as_secs(), "agents": self.options.agents, "starts": counts.starts,
            "issued": counts.issued, "acked": counts.acked, "found": judgement.found, "sealed": judgement.sealed, "acks": counts.acks,
            "sent_again": counts.sent.saturating_sub(counts.issued),
            "duplicates_dropped": scene.victim.duplicates(), "seed": self.seed, "verdict": "holds",
        }))
    }

    fn tell(&self, line: Value) -> Result<()> {
        let mut out = std::io::stdout();
        if self.options.json {
            writeln!(out, "{line}")?;
            return Ok(());
        }
        let mut words = Vec::new();
        for (key, value) in line.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words.push(match key.as_str() {
                "fault" | "store" | "done" => value,
                "sum" => "in all".to_owned(),
                _ => format!("{key} {value}"),
            });
        }
        writeln!(out, "{}", words.join(", "))?;
        Ok(())
    }
}

fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill => "kill",
        Fault::CrashPoints => "crash-points",
        Fault::Disk => "disk",
        Fault::Slow => "slow",
        Fault::Chaos => "chaos",
        Fault::Clock => "clock",
        Fault::Pause => "pause",
        Fault::Ledger => "ledger",
    }
}

fn store(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
    }
}
