//! Whatever alerts do, whatever mutes them, and whenever the monitor is killed: what a receiver hears is true, complete
//! and in time, and never a flood.

use super::tests::World;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Act {
    Fires(usize, Severity),
    Severity(usize, Severity),
    Ends(usize, Ending),
    Audible(usize, bool),
    Routed(usize, bool),
    Restart(i64),
}

fn acts(most: usize, pause_ms: u64) -> impl Strategy<Value = Vec<(u64, Act)>> {
    let name = || 0..NAMES.len();
    let severity = || prop_oneof![Just(Severity::Warning), Just(Severity::Critical)];
    let ending = prop_oneof![Just(Ending::Recovered), Just(Ending::Removed), Just(Ending::Left)];
    let act = prop_oneof![
        5 => (name(), severity()).prop_map(|(n, s)| Act::Fires(n, s)),
        2 => (name(), severity()).prop_map(|(n, s)| Act::Severity(n, s)),
        4 => (name(), ending).prop_map(|(n, e)| Act::Ends(n, e)),
        3 => (name(), any::<bool>()).prop_map(|(n, a)| Act::Audible(n, a)),
        1 => (name(), any::<bool>()).prop_map(|(n, r)| Act::Routed(n, r)),
        1 => (0..10_000_000_i64).prop_map(Act::Restart),
    ];
    let pause = prop_oneof![2 => Just(0), 3 => 1..pause_ms / 10, 3 => 1..pause_ms];
    prop::collection::vec((pause, act), 1..most)
}

fn waits() -> impl Strategy<Value = Waits> {
    let (group, critical) = (0..40_000_u64, prop_oneof![Just(0), 1..20_000_u64]);
    (group, critical, 1_000..300_000_u64, 1_000..2_000_000_u64).prop_map(
        |(group_wait_ms, critical_wait_ms, group_interval_ms, repeat_interval_ms)| Waits {
            group_wait_ms,
            critical_wait_ms,
            group_interval_ms,
            repeat_interval_ms,
        },
    )
}

/// An episode, and since when it was heard here without a pause.
#[derive(Clone, Copy)]
struct Heard {
    episode_ms: i64,
    severity: Severity,
    since: u64,
}

/// A receiver that takes every notice at its word, and knows what is so.
struct Receiver {
    world: World,
    /// What it was told fires, and when it was first told of that episode.
    believes: BTreeMap<String, (i64, Severity)>,
    /// What is over and was told as firing, since when.
    owed: BTreeMap<(String, i64), (Option<Ending>, u64)>,
    /// What is audible.
    heard: BTreeMap<String, Heard>,
    /// What was muted since it was routed here.
    muted: BTreeSet<(String, i64)>,
    closed: Vec<(String, i64)>,
    number: u64,
    notices: usize,
}

impl Receiver {
    fn new(waits: Waits) -> Self {
        Self {
            world: World::new(waits),
            believes: BTreeMap::new(),
            owed: BTreeMap::new(),
            heard: BTreeMap::new(),
            muted: BTreeSet::new(),
            closed: Vec::new(),
            number: 0,
            notices: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        let at = self.world.ran_ms;
        match act {
            Act::Restart(down_ms) => return self.world.restart(*down_ms),
            Act::Fires(n, severity) => {
                let before = self.world.firing.get(NAMES[*n]).map(|alert| alert.episode_ms);
                // Two episodes of an alert never begin at one moment.
                if before == Some(self.world.now().wall_ms) || self.was(NAMES[*n]) {
                    return;
                }
                self.owe(NAMES[*n], Some(Ending::Recovered), at);
                self.world.fires(NAMES[*n], *severity);
            }
            Act::Ends(n, ending) => {
                self.owe(NAMES[*n], Some(*ending), at);
                self.world.ends(NAMES[*n], *ending);
            }
            Act::Severity(n, severity) => self.turn(*n, |alert| alert.severity = *severity),
            Act::Audible(n, audible) => self.turn(*n, |alert| alert.audible = *audible),
            Act::Routed(n, routed) => self.turn(*n, |alert| alert.routed = *routed),
        }
        let step = self.world.step();
        self.hears(at, step);
    }

    /// Whether an episode of it that began now was over already.
    fn was(&self, name: &str) -> bool {
        self.closed.contains(&(name.to_owned(), self.world.now().wall_ms))
    }

    fn turn(&mut self, n: usize, change: impl FnOnce(&mut Standing)) {
        if let Some(alert) = self.world.firing.get_mut(NAMES[n]) {
            change(alert);
        }
    }

    fn owe(&mut self, name: &str, ending: Option<Ending>, at: u64) {
        if let Some(alert) = self.world.firing.get(name) {
            let key = (name.to_owned(), alert.episode_ms);
            self.closed.push(key.clone());
            if self.believes.get(name).is_some_and(|(episode_ms, _)| *episode_ms == alert.episode_ms) {
                self.owed.insert(key, (ending, at));
            }
        }
    }

    /// Whether it was told of this episode as worse.
    fn fell(&self, name: &str, episode_ms: i64, severity: Severity) -> bool {
        self.believes.get(name).is_some_and(|told| told.0 == episode_ms && told.1 > severity)
    }

    /// What is audible now, with since when.
    fn listen(&mut self, at: u64) {
        let audible = self.world.firing.iter().filter(|(name, alert)| {
            alert.audible && (alert.routed || self.fell(name, alert.episode_ms, alert.severity))
        });
        let heard = audible.map(|(name, alert)| {
            let (episode_ms, severity) = (alert.episode_ms, alert.severity);
            let told = self.believes.get(name);
            let same = |h: &&Heard| {
                let falls = h.severity > severity && told == Some(&(episode_ms, h.severity));
                h.episode_ms == episode_ms && h.severity >= severity && !falls
            };
            let since = self.heard.get(name).filter(same).map_or(at, |h| h.since);
            (name.clone(), Heard { episode_ms, severity, since })
        });
        self.heard = heard.collect();
        for (name, alert) in &self.world.firing {
            let key = (name.clone(), alert.episode_ms);
            match (alert.routed, alert.audible) {
                (false, _) => drop(self.muted.remove(&key)),
                (true, false) => drop(self.muted.insert(key)),
                (true, true) => {}
            }
        }
    }

    fn hears(&mut self, at: u64, notice: Option<Notice>) {
        self.listen(at);
        if let Some(notice) = notice {
            self.takes(&notice);
        }
        self.in_time(at);
    }

    fn takes(&mut self, notice: &Notice) {
        self.number += 1;
        self.notices += 1;
        assert_eq!(notice.number, self.number, "each notice is counted once, over restarts too");
        assert!(!notice.firing.is_empty() || !notice.resolved.is_empty(), "empty: {notice:?}");
        for over in &notice.resolved {
            let name = over.id.rule.to_string();
            let believed = self.believes.remove(&name);
            assert_eq!(
                believed,
                Some((over.episode_ms, over.severity)),
                "told over what was not told: {notice:?}"
            );
            let owed = self.owed.remove(&(name.clone(), over.episode_ms));
            assert_eq!(owed.map(|(ending, _)| ending), Some(Some(over.ending)), "it is not over: {notice:?}");
            assert_eq!(over.again, self.heard.contains_key(&name), "{notice:?}");
        }
        let audible: BTreeMap<_, _> =
            self.heard.iter().map(|(n, h)| (n.clone(), (h.episode_ms, h.severity))).collect();
        let firing: BTreeMap<_, _> =
            notice.firing.iter().map(|a| (a.id.rule.to_string(), (a.episode_ms, a.severity))).collect();
        assert_eq!(firing, audible, "all that is audible fires, and nothing else: {notice:?}");
        for alert in &notice.firing {
            let before = self.believes.insert(alert.id.rule.to_string(), (alert.episode_ms, alert.severity));
            let same = before.is_some_and(|(episode_ms, _)| episode_ms == alert.episode_ms);
            assert_eq!(before.is_some(), same, "an episode that was told is not closed: {notice:?}");
            assert!(!(same && alert.why == Why::First), "told again as first: {notice:?}");
        }
    }

    /// Nothing waits longer than it may.
    fn in_time(&self, at: u64) {
        let Waits { group_wait_ms, critical_wait_ms, group_interval_ms, .. } = self.world.waits;
        for (name, heard) in &self.heard {
            let told = self.believes.get(name);
            if told.is_some_and(|(episode_ms, severity)| {
                *episode_ms == heard.episode_ms && *severity == heard.severity
            }) {
                continue;
            }
            let released = self.muted.contains(&(name.clone(), heard.episode_ms));
            let urgent = told.is_none() && (released || heard.severity == Severity::Critical);
            let bound = if urgent { critical_wait_ms } else { group_wait_ms.max(group_interval_ms) };
            assert!(at - heard.since <= bound, "{name} waits since {}, it is {at}", heard.since);
        }
        for ((name, _), (_, since)) in &self.owed {
            assert!(at - since <= group_interval_ms, "the end of {name} waits since {since}, it is {at}");
        }
    }

    fn runs(&mut self, until: u64) {
        // Notices come one by one, so that each is judged by what is so then.
        for (at, notice) in self.world.run_until(until) {
            self.hears(at, Some(notice));
        }
        self.in_time(self.world.ran_ms);
    }

    fn plays(&mut self, acts: &[(u64, Act)]) {
        for (pause, act) in acts {
            self.runs(self.world.ran_ms + pause);
            self.act(act);
        }
    }

    fn all_ends(&mut self) {
        for n in 0..NAMES.len() {
            self.act(&Act::Ends(n, Ending::Recovered));
        }
        self.runs(self.world.ran_ms + 10_000_000);
        assert_eq!(self.believes, BTreeMap::new(), "told as firing for ever");
        assert_eq!(self.owed.len(), 0);
        assert!(self.world.conversation().is_idle());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_heard_is_true_complete_and_in_time(waits in waits(), acts in acts(60, 200_000)) {
        let mut receiver = Receiver::new(waits);
        receiver.plays(&acts);
        receiver.all_ends();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_flood_of_changes_is_no_flood_of_notices(acts in acts(1_500, 4_000)) {
        let waits = Waits { repeat_interval_ms: u64::MAX, ..Waits::default() };
        let mut receiver = Receiver::new(waits);
        receiver.plays(&acts);
        let intervals = usize::try_from(receiver.world.ran_ms / waits.group_interval_ms).unwrap() + 1;
        // Each interval one for the group, and each alert may be urgent as new, raised and released.
        let bound = intervals * (1 + 3 * NAMES.len()) + 3 * NAMES.len();
        prop_assert!(receiver.notices <= bound, "{} notices, {} acts, bound {bound}", receiver.notices, acts.len());
    }
}
