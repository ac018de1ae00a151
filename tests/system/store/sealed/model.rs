//! Random schedules of commits, sealing, merging, retention and restarts against a plain model: a list of samples.

use super::{HOUR_MS, Monitor, agent, known, now_ms, question};
use crate::store::history::{Sender, values};
use crate::store::{AgentRecord, InMemory, Place, on_disk};
use farol_monitor::history::Query;
use farol_monitor::store::{DAY_MS, Durability, Group, Level, ReportRecord, Retention};
use farol_series::Reduce;
use farol_tests::memory_store::MemoryStore;
use farol_wire::Boot;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[derive(Clone, Debug)]
enum Step {
    /// Reports of an agent go on after a gap of some minutes.
    Commit {
        agent: u32,
        reports: i64,
        gap_min: i64,
    },
    /// The last reports of an agent come again.
    Again {
        agent: u32,
        reports: usize,
    },
    /// An agent starts anew.
    Boot {
        agent: u32,
    },
    /// Runs that are long enough are sealed; or all, as when every stream is over.
    Seal {
        all: bool,
    },
    /// They are sealed, and the monitor ends before that is committed.
    Lose,
    Reopen,
    /// Upkeep, so many hours on, with raw history of a day or so.
    Tidy {
        hours: i64,
        short: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let agent = 1_u32..=2;
    prop_oneof![
        6 => (agent.clone(), 1_i64..60, 0_i64..90)
            .prop_map(|(agent, reports, gap_min)| Step::Commit { agent, reports, gap_min }),
        2 => (agent.clone(), 1_usize..30).prop_map(|(agent, reports)| Step::Again { agent, reports }),
        1 => agent.prop_map(|agent| Step::Boot { agent }),
        2 => any::<bool>().prop_map(|all| Step::Seal { all }),
        1 => Just(Step::Lose),
        1 => Just(Step::Reopen),
        2 => (0_i64..4, any::<bool>()).prop_map(|(hours, short)| Step::Tidy { hours, short }),
    ]
}

/// One agent, and what it measured.
struct Known {
    sender: Sender,
    boots: u64,
    at_ms: i64,
    /// The next report begins a stream.
    begins: bool,
    sent: Vec<ReportRecord>,
    samples: Vec<(i64, f64)>,
}

struct Model {
    base_ms: i64,
    agents: Vec<Known>,
    /// Upkeep's clock.
    clock_ms: i64,
}

impl Model {
    fn new() -> Self {
        let base_ms = (now_ms() / DAY_MS - 4) * DAY_MS;
        let known = |key| Known {
            sender: Sender::new(key, Boot { number: 1, nonce: 1 }, 1),
            boots: 1,
            at_ms: base_ms,
            begins: true,
            sent: Vec::new(),
            samples: Vec::new(),
        };
        Self { base_ms, agents: vec![known(1), known(2)], clock_ms: now_ms() }
    }

    fn commit(&mut self, agent: u32, reports: i64, gap_min: i64) -> Group {
        let known = &mut self.agents[agent as usize - 1];
        known.at_ms += gap_min * 60_000;
        known.sent.clear();
        for n in 0..reports {
            known.at_ms += 10_000;
            let value = (known.at_ms / 10_000 % 97) as f64;
            let key = std::mem::take(&mut known.begins) || n % 16 == 5;
            let there = (n % 7 != 6).then_some(value);
            known.sent.push(known.sender.report(known.at_ms, [there, None, None], key));
            // The block is of half a second before.
            known.samples.extend(there.map(|value| (known.at_ms - 500, value)));
        }
        self.group(agent, self.agents[agent as usize - 1].sent.clone())
    }

    fn group(&self, key: u32, reports: Vec<ReportRecord>) -> Group {
        let id = if key == 1 { "one" } else { "two" };
        let agents = vec![AgentRecord {
            boot: Boot { number: self.agents[key as usize - 1].boots, nonce: 1 },
            ..agent(key, id)
        }];
        Group { agents, ..known(reports) }
    }

    /// Every stream is over.
    fn streams_end(&mut self) {
        self.agents.iter_mut().for_each(|known| known.begins = true);
    }

    fn expected(&self, agent: usize, hour: i64, how: Reduce) -> Option<f64> {
        let from_ms = self.base_ms + hour * HOUR_MS;
        let all =
            self.agents[agent].samples.iter().filter(|(at, _)| (from_ms..from_ms + HOUR_MS).contains(at));
        farol_series::reduce(all.copied(), how)
    }
}

async fn check(monitor: &Monitor, model: &Model) {
    for how in [Reduce::Count, Reduce::Max, Reduce::Last] {
        let to_ms = model.base_ms + 4 * DAY_MS;
        let query = Query {
            labels: [("n".to_owned(), "1".to_owned())].into(),
            ..question("metric_1", model.base_ms, to_ms, HOUR_MS, how)
        };
        let answer = monitor.answer(&query).await;
        for (at, id) in ["one", "two"].into_iter().enumerate() {
            let expected: Vec<_> = (0..96).map(|hour| model.expected(at, hour, how)).collect();
            let found = answer.series.iter().find(|series| &*series.agent == id);
            let found = found.map_or_else(|| vec![None; 96], values);
            assert_eq!(found, expected, "{how} of {id}, {:?}", answer.resolution);
        }
    }
}

async fn run(place: Box<dyn Place>, steps: Vec<Step>) {
    let mut monitor = Monitor::open(&*place).await;
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Commit { agent, reports, gap_min } => {
                monitor.commit(model.commit(agent, reports, gap_min)).await;
            }
            Step::Again { agent, reports } => {
                let sent = &model.agents[agent as usize - 1].sent;
                let again = sent[sent.len().saturating_sub(reports)..].to_vec();
                monitor.commit(model.group(agent, again)).await;
            }
            Step::Boot { agent } => {
                let known = &mut model.agents[agent as usize - 1];
                known.boots += 1;
                known.sender = Sender::new(agent, Boot { number: known.boots, nonce: 1 }, 1);
                (known.begins, known.sent) = (true, Vec::new());
            }
            Step::Seal { all: false } => {
                monitor.recent.sweep(now_ms(), |_, _| true);
                let sealed = monitor.recent.seal(std::time::Duration::from_secs(5), usize::MAX);
                monitor.commit(Group { sealed, ..Group::default() }).await;
            }
            Step::Seal { all: true } => {
                monitor.seal().await;
                model.streams_end();
            }
            Step::Lose => {
                let _lost = monitor.sealed();
                monitor = Monitor::open(&*place).await;
                model.streams_end();
            }
            Step::Reopen => {
                monitor.store.close().await.unwrap();
                monitor = Monitor::open(&*place).await;
                model.streams_end();
            }
            Step::Tidy { hours, short } => {
                model.clock_ms += hours * HOUR_MS + 120_000;
                let raw_ms = if short { 3 * DAY_MS } else { 30 * DAY_MS };
                let retention = Retention { raw_ms, ..Retention::default() };
                monitor.tidy(model.clock_ms, &retention).await;
            }
        }
        if monitor.store.cuts().of(Level::Raw) > i64::MIN {
            // What is older than samples are kept is seen once it is sealed.
            monitor.seal().await;
            model.streams_end();
        }
        check(&monitor, &model).await;
    }
}

fn holds(cases: u32, place: impl Fn() -> Box<dyn Place>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let schedules = prop::collection::vec(step(), 1..25);
    let held = runner.run(&schedules, |steps| {
        runtime.block_on(run(place(), steps));
        Ok(())
    });
    held.unwrap();
}

#[test]
fn whatever_is_sealed_merged_and_opened_anew_the_double_says_what_was_measured() {
    holds(60, || Box::new(InMemory(MemoryStore::default())));
}

#[test]
fn whatever_is_sealed_merged_and_opened_anew_sqlite_says_what_was_measured() {
    holds(12, || on_disk(Durability::Normal));
}
