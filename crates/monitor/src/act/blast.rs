//! How far a failure reaches. When much goes bad at once the cause lies beyond what an action can reach (a network, a
//! shared store, a bad release), and acting makes it worse. Pure; who counts as bad is the caller's word.

use farol_rules::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The most instances that are remembered; beyond it everything counts as wide until they are forgotten.
const MOST: usize = 262_144;

/// How often a full memory is looked through for what is old.
const SWEEP_MS: u64 = 1_000;

/// When a failure is wide: both are reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlastRadius {
    /// Per cent of a service's instances, or of all agents.
    pub share: f64,
    /// So many of them.
    pub at_least: u32,
    /// Went bad within so long.
    pub within_ms: u64,
}

impl Default for BlastRadius {
    fn default() -> Self {
        Self { share: 30.0, at_least: 5, within_ms: 60_000 }
    }
}

/// How many there are, good and bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// Instances of the service that is asked for.
    pub instances: u32,
    /// Agents of the fleet.
    pub agents: u32,
}

/// What a failure is wide over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The instances of a service.
    Service,
    /// All agents.
    Fleet,
}

/// A wide failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wide {
    /// What it is wide over.
    pub scope: Scope,
    /// So many went bad.
    pub count: u32,
    /// Of so many.
    pub of: u32,
}

impl fmt::Display for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.scope {
            Scope::Service => "instances of the service",
            Scope::Fleet => "agents",
        };
        write!(f, "{} of {} {what} went bad at once", self.count, self.of)
    }
}

/// What went bad lately.
#[derive(Clone, Debug)]
pub struct Blast {
    /// By service and agent, when it last went bad, on the running clock.
    services: BTreeMap<Arc<str>, BTreeMap<Arc<str>, u64>>,
    /// By agent, the same: an agent is bad once, however many of its services are.
    agents: BTreeMap<Arc<str>, u64>,
    /// Instances in `services`.
    held: usize,
    /// Everything is wide until then, because something could not be remembered.
    full_until: Option<u64>,
    /// When what is old was last forgotten: not at each word, which would cost the square of a storm.
    swept: u64,
    /// So many instances are remembered.
    most: usize,
}

impl Default for Blast {
    fn default() -> Self {
        let (services, agents) = (BTreeMap::new(), BTreeMap::new());
        Self { services, agents, held: 0, full_until: None, swept: 0, most: MOST }
    }
}

impl Blast {
    /// An instance went bad: that it is well again a moment later takes nothing back.
    pub fn note_bad(&mut self, radius: &BlastRadius, service: &Arc<str>, agent: &Arc<str>, now: Moment) {
        let full = self.held >= self.most;
        if now.run_ms.saturating_sub(self.swept) > if full { SWEEP_MS } else { radius.within_ms } {
            self.forget(radius, now);
        }
        let known = self.services.get(service).is_some_and(|agents| agents.contains_key(agent));
        if !known && self.held >= self.most {
            self.full_until = Some(now.run_ms.saturating_add(radius.within_ms));
            return;
        }
        self.held += usize::from(!known);
        self.services.entry(Arc::clone(service)).or_default().insert(Arc::clone(agent), now.run_ms);
        self.agents.insert(Arc::clone(agent), now.run_ms);
    }

    /// Whether a failure that this service is part of is wide. Without a service only the fleet is looked at.
    #[must_use]
    pub fn judge(
        &self,
        radius: &BlastRadius,
        service: Option<&str>,
        population: Population,
        now: Moment,
    ) -> Option<Wide> {
        let bad = |agents: &BTreeMap<Arc<str>, u64>| {
            let recent = |at: &&u64| now.run_ms.saturating_sub(**at) <= radius.within_ms;
            u32::try_from(agents.values().filter(recent).count()).unwrap_or(u32::MAX)
        };
        let wide = |scope, count, of| {
            let share = f64::from(count) * 100.0 >= radius.share * f64::from(of);
            (share && count >= radius.at_least).then_some(Wide { scope, count, of })
        };
        let instances = service.and_then(|service| self.services.get(service)).map_or(0, bad);
        if self.full_until.is_some_and(|until| now.run_ms <= until) {
            return Some(Wide { scope: Scope::Fleet, count: bad(&self.agents), of: population.agents });
        }
        wide(Scope::Service, instances, population.instances)
            .or_else(|| wide(Scope::Fleet, bad(&self.agents), population.agents))
    }

    fn forget(&mut self, radius: &BlastRadius, now: Moment) {
        let recent = |at: &mut u64| now.run_ms.saturating_sub(*at) <= radius.within_ms;
        self.agents.retain(|_, at| recent(at));
        self.services.retain(|_, agents| {
            agents.retain(|_, at| recent(at));
            !agents.is_empty()
        });
        self.held = self.services.values().map(BTreeMap::len).sum();
        self.full_until = self.full_until.filter(|until| now.run_ms <= *until);
        self.swept = now.run_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Moment { run_ms: seconds * 1_000, wall_ms: 0 }
    }

    fn text(name: String) -> Arc<str> {
        name.into()
    }

    /// So many instances of `pay` on agents of their own, all bad at 0 s.
    fn bad(count: u32) -> Blast {
        let mut blast = Blast::default();
        for i in 0..count {
            blast.note_bad(&BlastRadius::default(), &text("pay".into()), &text(format!("a{i}")), at(0));
        }
        blast
    }

    #[test]
    fn both_the_share_and_the_number_must_be_reached_within_the_time() {
        let radius = BlastRadius::default();
        // Bad; instances of the service, agents; asked at; wide over.
        for (count, instances, agents, second, expected) in [
            (4, 4, 4, 0, None),
            (5, 16, 17, 0, Some(Scope::Service)),
            (5, 17, 17, 0, None),
            (5, 17, 16, 0, Some(Scope::Fleet)),
            (5, 5, 1_000, 60, Some(Scope::Service)),
            (5, 5, 1_000, 61, None),
            (30, 100, 1_000, 0, Some(Scope::Service)),
            (29, 100, 1_000, 0, None),
        ] {
            let population = Population { instances, agents };
            let wide = bad(count).judge(&radius, Some("pay"), population, at(second));
            assert_eq!(wide.map(|w| w.scope), expected, "{count} of {instances}, {agents} at {second}");
        }
    }

    #[test]
    fn another_service_is_not_part_of_it_unless_the_fleet_is() {
        let (blast, radius) = (bad(5), BlastRadius::default());
        let population = |agents| Population { instances: 5, agents };
        assert_eq!(blast.judge(&radius, Some("shop"), population(100), at(0)), None);
        assert!(blast.judge(&radius, Some("shop"), population(10), at(0)).is_some());
        assert!(blast.judge(&radius, None, population(10), at(0)).is_some());
    }

    #[test]
    fn many_bad_services_of_one_agent_are_one_bad_agent() {
        let (mut blast, radius) = (Blast::default(), BlastRadius::default());
        for i in 0..9 {
            blast.note_bad(&radius, &text(format!("s{i}")), &text("a".into()), at(0));
        }
        let population = Population { instances: 1, agents: 9 };
        assert_eq!(blast.judge(&radius, Some("s0"), population, at(0)), None);
    }

    #[test]
    fn what_cannot_be_remembered_makes_everything_wide_for_a_while() {
        let (mut blast, radius) = (Blast { most: 2, ..Blast::default() }, BlastRadius::default());
        let population = Population { instances: 1_000, agents: 1_000 };
        let mut note = |agent: &str, second| {
            blast.note_bad(&radius, &text("pay".into()), &text(agent.into()), at(second));
            blast.judge(&radius, Some("pay"), population, at(second)).is_some()
        };
        assert!(!note("a", 0) && !note("b", 10) && !note("a", 11));
        assert!(note("c", 20), "a third is one too many");
        assert!(note("a", 80), "60 s of not knowing are not over");
        assert!(!note("d", 81), "they are, and there is room again");
    }

    proptest! {
        /// The sweeping memory says what an unbounded list says.
        #[test]
        fn it_counts_as_a_plain_list_does(
            notes in prop::collection::vec((0u64..30, 0u8..3, 0u8..12), 1..100),
            instances in 1u32..20,
            agents in 1u32..30,
        ) {
            let radius = BlastRadius { share: 30.0, at_least: 3, within_ms: 60_000 };
            let (mut blast, mut list, mut now) = (Blast::default(), Vec::new(), 0);
            for (pause, service, agent) in notes {
                now += pause;
                blast.note_bad(&radius, &text(format!("s{service}")), &text(format!("a{agent}")), at(now));
                list.push((now, service, agent));
                let recent = || list.iter().filter(|(when, ..)| now - when <= 60);
                let distinct = |of: &mut dyn Iterator<Item = u8>| {
                    u32::try_from(of.collect::<std::collections::BTreeSet<_>>().len()).unwrap()
                };
                let here = distinct(&mut recent().filter(|note| note.1 == service).map(|note| note.2));
                let all = distinct(&mut recent().map(|note| note.2));
                let reached = |count: u32, of: u32| count >= 3 && count * 10 >= of * 3;
                let wide = blast.judge(
                    &radius, Some(&format!("s{service}")), Population { instances, agents }, at(now),
                );
                prop_assert_eq!(wide.is_some(), reached(here, instances) || reached(all, agents));
                if let Some(wide) = wide {
                    prop_assert_eq!(wide.count, if wide.scope == Scope::Service { here } else { all });
                }
            }
        }
    }
}
