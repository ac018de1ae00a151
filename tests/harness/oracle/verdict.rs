//! Whether history is what was said. Pure: the books and what was found in, what is wrong out.

use super::ledger::{Books, Counts, id, payload};
use farol_wire::Boot;
use std::collections::HashMap;
use std::fmt;

/// So many breaches are kept by their words; all are counted.
const TOLD: usize = 20;

/// A report as history has it, in the order in which history gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The agent's number.
    pub agent: u32,
    /// Its start.
    pub boot: Boot,
    /// The report's number.
    pub seq: u64,
    /// When it is said to be made, unix milliseconds.
    pub at_ms: i64,
    /// Its two values.
    pub values: [Option<f64>; 2],
}

/// What must not be.
#[derive(Clone, Debug, PartialEq)]
pub enum Breach {
    /// Acknowledged, and not in history.
    Lost(String),
    /// More than once in history.
    Doubled(String),
    /// With other values than those that were said.
    Altered(String),
    /// Nobody said it.
    Unissued(String),
    /// After a later one of its agent.
    Disordered(String),
    /// At another time than it was made.
    Misdated(String),
    /// The monitor acknowledged or resumed what makes no sense.
    Strange(String),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, which) = match self {
            Self::Lost(which) => ("lost", which),
            Self::Doubled(which) => ("doubled", which),
            Self::Altered(which) => ("altered", which),
            Self::Unissued(which) => ("never said", which),
            Self::Disordered(which) => ("out of order", which),
            Self::Misdated(which) => ("at a wrong time", which),
            Self::Strange(which) => ("strange", which),
        };
        write!(f, "{what}: {which}")
    }
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What was said.
    pub counts: Counts,
    /// Reports in history.
    pub found: u64,
    /// Those of them that stand in sealed blocks.
    pub sealed: u64,
    /// Breaches, all of them.
    pub wrong: u64,
    /// The first of them.
    pub breaches: Vec<Breach>,
}

impl Judgement {
    fn breach(&mut self, breach: Breach) {
        self.wrong += 1;
        if self.breaches.len() < TOLD {
            self.breaches.push(breach);
        }
    }

    /// # Errors
    /// Something is wrong; the error says what.
    pub fn sound(&self) -> anyhow::Result<()> {
        let told: Vec<String> = self.breaches.iter().map(ToString::to_string).collect();
        anyhow::ensure!(self.wrong == 0, "{} breaches: {}", self.wrong, told.join("; "));
        Ok(())
    }
}

/// Compares history with the books. `slack_ms`: by how much a report's time may be off; `None` where clocks were moved.
#[must_use]
pub fn judge(books: &Books, found: &[Found], slack_ms: Option<i64>) -> Judgement {
    let mut judgement =
        Judgement { counts: books.counts(), found: found.len() as u64, ..Judgement::default() };
    for what in &books.strange {
        judgement.breach(Breach::Strange(what.clone()));
    }
    let mut starts: HashMap<(u32, Boot), (u32, Vec<u32>)> = HashMap::new();
    for (agent, account) in (0..).zip(&books.agents) {
        for (place, start) in (0..).zip(&account.starts) {
            starts.insert((agent, start.boot), (place, vec![0; start.issued_ms.len()]));
        }
    }
    // The last of each agent: history gives one agent's reports by boot and number.
    let mut last: HashMap<u32, (Boot, u64)> = HashMap::new();
    for one in found {
        let which = || format!("{}, boot {}, report {}", id(one.agent), one.boot.number, one.seq);
        let at = usize::try_from(one.seq).unwrap_or(usize::MAX).wrapping_sub(1);
        let Some((place, times)) = starts.get_mut(&(one.agent, one.boot)).filter(|(_, t)| at < t.len())
        else {
            judgement.breach(Breach::Unissued(which()));
            continue;
        };
        times[at] += 1;
        let said = payload(books.seed, one.agent, *place, one.seq).map(Some);
        if one.values != said {
            judgement.breach(Breach::Altered(format!("{}: {:?}, not {said:?}", which(), one.values)));
        }
        let issued_ms = books.agents[one.agent as usize].starts[*place as usize].issued_ms[at];
        if slack_ms.is_some_and(|slack| issued_ms.abs_diff(one.at_ms) > slack.unsigned_abs()) {
            judgement.breach(Breach::Misdated(format!("{}: by {} ms", which(), one.at_ms - issued_ms)));
        }
        let before = last.insert(one.agent, (one.boot, one.seq));
        if let Some(before) = before.filter(|before| *before > (one.boot, one.seq)) {
            let after = format!("after report {} of boot {}", before.1, before.0.number);
            judgement.breach(Breach::Disordered(format!("{}, {after}", which())));
        }
    }
    missing_and_doubled(books, &starts, &mut judgement);
    judgement
}

fn missing_and_doubled(
    books: &Books,
    starts: &HashMap<(u32, Boot), (u32, Vec<u32>)>,
    judgement: &mut Judgement,
) {
    for (agent, account) in (0..).zip(&books.agents) {
        for start in &account.starts {
            let Some((_, times)) = starts.get(&(agent, start.boot)) else { continue };
            for (seq, times) in (1..).zip(times) {
                let which = || format!("{}, boot {}, report {seq}", id(agent), start.boot.number);
                match times {
                    0 if seq <= start.acked => judgement.breach(Breach::Lost(which())),
                    0 | 1 => {}
                    more => judgement.breach(Breach::Doubled(format!("{}: {more} times", which()))),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::{Account, Start};
    use super::*;

    const SEED: u64 = 11;

    fn boot(number: u64) -> Boot {
        Boot { number, nonce: number * 3 }
    }

    /// Two agents; the first has started twice. Of each start five reports were issued and three acknowledged.
    fn books() -> Books {
        let start =
            |number| Start { boot: boot(number), issued_ms: (1..=5).map(|n| n * 100).collect(), acked: 3 };
        let account = |numbers: &[u64]| Account {
            starts: numbers.iter().map(|number| start(*number)).collect(),
            status: None,
        };
        Books { seed: SEED, agents: vec![account(&[1, 2]), account(&[1])], strange: Vec::new() }
    }

    fn found(agent: u32, start: u32, seq: u64) -> Found {
        let values = payload(SEED, agent, start, seq).map(Some);
        Found { agent, boot: boot(u64::from(start) + 1), seq, at_ms: seq as i64 * 100 + 7, values }
    }

    /// What must be there, and one report that was not acknowledged.
    fn history() -> Vec<Found> {
        let starts = [(0, 0), (0, 1), (1, 0)];
        let mut all: Vec<Found> =
            starts.iter().flat_map(|(a, s)| (1..=3).map(|seq| found(*a, *s, seq))).collect();
        all.push(found(1, 0, 4));
        all
    }

    fn wrong(found: &[Found]) -> Vec<String> {
        judge(&books(), found, Some(10)).breaches.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_acknowledged_once_and_in_order_is_sound_whether_more_came_or_not() {
        let judgement = judge(&books(), &history(), Some(10));
        judgement.sound().unwrap();
        assert_eq!((judgement.counts.issued, judgement.counts.acked, judgement.found), (15, 9, 10));
    }

    #[test]
    fn a_doctored_history_is_reported() {
        let doctored = |with: &dyn Fn(&mut Vec<Found>)| {
            let mut all = history();
            with(&mut all);
            wrong(&all)
        };
        let cases: [(&str, Vec<String>); 8] = [
            ("lost: oracle-0, boot 1, report 2", doctored(&|all| all.retain(|one| *one != found(0, 0, 2)))),
            ("lost: oracle-1, boot 1, report 3", doctored(&|all| all.retain(|one| *one != found(1, 0, 3)))),
            ("doubled: oracle-0, boot 1, report 1: 2 times", doctored(&|all| all.insert(0, all[0]))),
            ("altered: oracle-0, boot 2, report 1", doctored(&|all| all[3].values[1] = Some(1.0))),
            (
                "altered: oracle-1, boot 1, report 2",
                doctored(&|all| all[7].values = all[1].values.map(|v| v.map(|v| v + 0.5))),
            ),
            ("never said: oracle-1, boot 1, report 6", doctored(&|all| all.push(found(1, 0, 6)))),
            ("out of order: oracle-0, boot 1, report 1, after report 2", doctored(&|all| all.swap(0, 1))),
            ("at a wrong time: oracle-0, boot 2, report 3: by 11 ms", doctored(&|all| all[5].at_ms += 4)),
        ];
        for (expected, told) in cases {
            assert_eq!(told.len(), 1, "{expected}: {told:?}");
            assert!(told[0].starts_with(expected), "{expected}: {told:?}");
        }
        let swapped_agents = doctored(&|all| (all[0].agent, all[0].values) = (1, all[0].values));
        assert!(swapped_agents.iter().any(|told| told.starts_with("altered")), "{swapped_agents:?}");
        let foreign_boot = doctored(&|all| all[0].boot.nonce += 1);
        assert!(foreign_boot.iter().any(|told| told.starts_with("never said")), "{foreign_boot:?}");
        assert!(foreign_boot.iter().any(|told| told.starts_with("lost")), "{foreign_boot:?}");
    }

    #[test]
    fn each_report_has_a_payload_of_its_own() {
        let mut all: Vec<_> = [(0, 0), (0, 1), (1, 0)]
            .iter()
            .flat_map(|(a, s)| (1..500).map(|seq| payload(SEED, *a, *s, seq)[1] as u64))
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3 * 499);
    }
}
