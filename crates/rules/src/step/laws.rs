//! What holds of every life, whatever happens to it: random inputs, ticks, pauses and restarts.

mod naive;

use super::{Input, Life, Phase, Saved, Timing, Turn};
use crate::{Ending, Flap, Level, Moment, Severity};
use naive::Naive;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::{collection, prop_assert, prop_assert_eq, proptest};

/// What happens next, so many milliseconds after the last.
#[derive(Clone, Copy, Debug)]
enum Event {
    Input(Input),
    Tick,
    Restart,
}

type History = Vec<(u64, Event)>;

fn event() -> impl Strategy<Value = Event> {
    let level = prop_oneof![
        3 => Just(Level::Clear),
        1 => Just(Level::Between),
        2 => Just(Level::Warning),
        2 => Just(Level::Critical),
    ];
    let ending = prop_oneof![Just(Ending::Removed), Just(Ending::Left), Just(Ending::Forgotten)];
    prop_oneof![
        24 => level.prop_map(|level| Event::Input(Input::Level(level))),
        2 => Just(Event::Input(Input::Stale)),
        1 => Just(Event::Input(Input::Past)),
        1 => Just(Event::Input(Input::Fresh)),
        1 => ending.prop_map(|ending| Event::Input(Input::Gone(ending))),
        6 => Just(Event::Tick),
        1 => Just(Event::Restart),
    ]
}

fn history() -> impl Strategy<Value = History> {
    // Mostly shorter than the timers, sometimes at once, sometimes much later.
    let pause = prop_oneof![1 => Just(0_u64), 8 => 1_u64..12, 1 => 20_u64..120];
    collection::vec((pause, event()), 1..120)
}

fn timing() -> impl Strategy<Value = Timing> {
    let span = || prop_oneof![1 => Just(0_u64), 3 => 1_u64..30];
    let flap = (0_u32..7, 0_u64..200).prop_map(|(changes, within_ms)| Flap { changes, within_ms });
    (span(), span(), flap).prop_map(|(for_ms, keep_firing_for_ms, flap)| Timing {
        for_ms,
        keep_firing_for_ms,
        flap,
    })
}

/// A life with the clocks that it is told.
#[derive(Clone, Default)]
struct Run {
    life: Life,
    at_ms: u64,
    /// Where the running clock of this process has its zero.
    zero_ms: u64,
}

impl Run {
    fn now(&self) -> Moment {
        Moment { run_ms: self.at_ms - self.zero_ms, wall_ms: i64::try_from(self.at_ms).unwrap() + 1_000_000 }
    }

    /// One event; a restart is of a monitor that was alive to its end, after it had looked at the time.
    fn happen(&mut self, timing: &Timing, pause: u64, event: Event) -> Vec<Turn> {
        self.at_ms += pause;
        let now = self.now();
        match event {
            Event::Input(input) => self.life.step(timing, input, now),
            Event::Tick => self.life.tick(timing, now),
            Event::Restart => {
                let turns = self.life.tick(timing, now);
                let text = serde_json::to_string(&self.life.saved(now)).unwrap();
                self.life = Life::restored(serde_json::from_str::<Saved>(&text).unwrap(), now.wall_ms);
                self.zero_ms = self.at_ms;
                turns
            }
        }
    }
}

fn severity(phase: Phase) -> Option<Severity> {
    match phase {
        Phase::Inactive => None,
        Phase::Pending { severity, .. } | Phase::Firing { severity, .. } => Some(severity),
    }
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_life_tells_what_counting_every_millisecond_tells(timing in timing(), history in history()) {
        let mut run = Run::default();
        let mut naive = Naive::default();
        for (pause, event) in history {
            let turns = run.happen(&timing, pause, event);
            let mut expected = Vec::new();
            for ms in 1..=pause {
                naive.grow();
                if ms < pause {
                    naive.look(&timing, &mut expected);
                }
            }
            match event {
                Event::Input(input) => naive.input(&timing, input, &mut expected),
                Event::Tick => {}
                Event::Restart => naive.look(&timing, &mut expected),
            }
            naive.look(&timing, &mut expected);
            if matches!(event, Event::Restart) {
                naive.going = false;
            }
            prop_assert_eq!(turns, expected, "{} ms: {:?}", run.at_ms, event);
        }
    }

    #[test]
    fn turns_follow_one_another_as_people_understand_them(timing in timing(), history in history()) {
        let mut run = Run::default();
        let mut told = Told::default();
        let mut episode = None;
        for (pause, event) in history {
            let turns = run.happen(&timing, pause, event);
            let level = match event {
                Event::Input(Input::Level(level)) => Some(level),
                Event::Input(_) | Event::Tick | Event::Restart => None,
            };
            let clear = level == Some(Level::Clear);
            for turn in &turns {
                prop_assert_eq!(told.hear(*turn), Ok(()), "{:?}", turns);
                let recovered = *turn == Turn::Resolved(Ending::Recovered);
                prop_assert!(!recovered || told.clear_since_bad || clear, "it was not seen to be well");
            }
            if level != Some(Level::Between) {
                told.clear_since_bad = clear || (told.clear_since_bad && level.is_none());
            }
            let phase = run.life.phase();
            prop_assert_eq!(told.severity, severity(phase));
            let since_ms = match phase {
                Phase::Firing { since_ms, .. } => Some(since_ms),
                Phase::Inactive | Phase::Pending { .. } => None,
            };
            prop_assert_eq!(told.firing, since_ms.is_some());
            let new = turns.iter().any(|turn| matches!(turn, Turn::Fired(_)));
            prop_assert!(new || since_ms.is_none() || since_ms == episode, "an episode begins with Fired");
            episode = since_ms;
            prop_assert_eq!(told.flapping, run.life.is_flapping());
            prop_assert!(!told.stale || run.life.is_stale());
        }
    }

    #[test]
    fn it_fires_only_if_it_was_bad_for_long_enough_while_it_was_seen(timing in timing(), history in history()) {
        let mut run = Run::default();
        let mut seen = Seen::default();
        for (pause, event) in history {
            seen.pass(pause);
            let before = seen.clone();
            let turns = run.happen(&timing, pause, event);
            seen.happen(event);
            for turn in turns {
                if let Turn::Fired(severity) | Turn::Raised(severity) = turn {
                    let long = [&before, &seen].map(|seen| seen.bad(severity)).into_iter().flatten().max();
                    prop_assert!(long >= Some(timing.for_ms), "{:?} after {:?}", turn, long);
                }
            }
            if seen.bad(Severity::Warning) >= Some(timing.for_ms) && seen.going {
                let firing = matches!(run.life.phase(), Phase::Firing { .. });
                prop_assert!(firing, "{:?}", run.life);
            }
        }
    }

    #[test]
    fn absence_alone_brings_nothing(
        timing in timing(), history in history(), restart in any::<bool>(), pauses in collection::vec(0_u64..500, 1..20),
    ) {
        let mut run = Run::default();
        for (pause, event) in history {
            run.happen(&timing, pause, event);
        }
        let phase = run.life.phase();
        let begin = if restart { Event::Restart } else { Event::Input(Input::Stale) };
        let turns = run.happen(&timing, 0, begin);
        prop_assert!(turns.iter().all(|turn| *turn == Turn::Stale), "{:?}", turns);
        for pause in pauses {
            prop_assert_eq!(run.life.due_ms(&timing), None);
            prop_assert_eq!(run.happen(&timing, pause, Event::Tick), vec![]);
            let again = run.happen(&timing, pause, Event::Input(Input::Stale));
            prop_assert!(again.iter().all(|turn| *turn == Turn::Stale), "{:?}", again);
            prop_assert_eq!(run.life.phase(), phase);
        }
    }

    #[test]
    fn time_brings_something_when_it_is_due_and_never_before(timing in timing(), history in history()) {
        let mut run = Run::default();
        for (pause, event) in history {
            run.happen(&timing, pause, event);
            let mut looks = 0;
            while let Some(due) = run.life.due_ms(&timing) {
                let now = run.now();
                prop_assert!(due > now.run_ms, "due in the past after a step");
                let mut early = run.life.clone();
                let just_before = Moment { run_ms: due - 1, wall_ms: now.wall_ms };
                prop_assert_eq!(early.tick(&timing, just_before), vec![]);
                prop_assert_eq!(early.due_ms(&timing), Some(due));
                prop_assert_eq!(severity(early.phase()), severity(run.life.phase()));
                // Go there only sometimes, so that inputs also come while something is due.
                if looks == 0 && pause % 2 == 0 {
                    break;
                }
                run.at_ms = due + run.zero_ms;
                let turns = run.life.tick(&timing, run.now());
                let next = run.life.due_ms(&timing);
                prop_assert!(!turns.is_empty() || next.is_none_or(|next| next > due));
                looks += 1;
                prop_assert!(looks < 12, "it comes to rest");
            }
        }
    }

    #[test]
    fn a_restart_is_no_more_than_time_that_did_not_pass(
        timing in timing(), before in history(), after in history(), gone_ms in 0_u64..1_000,
    ) {
        let mut run = Run::default();
        for (pause, event) in before {
            run.happen(&timing, pause, event);
        }
        let mut other = run.clone();
        run.happen(&timing, 0, Event::Restart);
        other.happen(&timing, 0, Event::Tick);
        run.at_ms += gone_ms;
        other.zero_ms += gone_ms;
        other.at_ms += gone_ms;
        let mut silent = true;
        for (pause, event) in after {
            if silent {
                // For one that was restarted no time passes until it is heard of.
                other.zero_ms += pause;
                silent = matches!(event, Event::Tick | Event::Restart | Event::Input(Input::Stale | Input::Past));
            }
            prop_assert_eq!(run.happen(&timing, pause, event), other.happen(&timing, pause, event));
            prop_assert_eq!(run.life.phase(), other.life.phase());
            prop_assert_eq!(run.life.is_stale(), other.life.is_stale());
            prop_assert_eq!(run.life.is_flapping(), other.life.is_flapping());
        }
    }

    #[test]
    fn a_life_that_is_idle_may_be_thrown_away(timing in timing(), history in history()) {
        let mut kept = Run::default();
        let mut dropped = Run::default();
        for (pause, event) in history {
            prop_assert_eq!(kept.happen(&timing, pause, event), dropped.happen(&timing, pause, event));
            prop_assert_eq!(kept.life.phase(), dropped.life.phase());
            if dropped.life.is_idle() {
                dropped.life = Life::default();
            }
        }
    }
}

/// What somebody knows who hears the turns and nothing else.
#[derive(Default)]
struct Told {
    severity: Option<Severity>,
    firing: bool,
    flapping: bool,
    stale: bool,
    /// Told by the levels: it was well since it was last bad.
    clear_since_bad: bool,
}

impl Told {
    fn hear(&mut self, turn: Turn) -> Result<(), &'static str> {
        let is = |right: bool, wrong| if right { Ok(()) } else { Err(wrong) };
        let pending = self.severity.is_some() && !self.firing;
        match turn {
            Turn::Pending(severity) => {
                is(!self.firing && self.severity != Some(severity), "pending is no news")?;
                self.severity = Some(severity);
            }
            Turn::Calmed => {
                is(pending, "calmed, but was not pending")?;
                *self = Self { clear_since_bad: self.clear_since_bad, ..Self::default() };
            }
            Turn::Fired(severity) => {
                is(!self.firing, "fired while firing")?;
                self.firing = true;
                self.severity = Some(severity);
            }
            Turn::Raised(severity) | Turn::Fell(severity) => {
                let rises = matches!(turn, Turn::Raised(_));
                is(self.firing, "raised or fell, but does not fire")?;
                is(self.severity != Some(severity), "the severity is no news")?;
                is(rises == (Some(severity) > self.severity), "the wrong way")?;
                self.severity = Some(severity);
            }
            Turn::Resolved(ending) => {
                is(self.firing, "resolved, but does not fire")?;
                is(!(self.flapping && ending == Ending::Recovered), "recovered while flapping")?;
                *self = Self { clear_since_bad: self.clear_since_bad, ..Self::default() };
            }
            Turn::Flapping => {
                is(self.firing && !self.flapping, "flapping is no news")?;
                self.flapping = true;
            }
            Turn::Steady => {
                is(self.flapping, "steady, but was not flapping")?;
                self.flapping = false;
            }
            Turn::Stale => {
                is(self.severity.is_some() && !self.stale, "stale is no news")?;
                self.stale = true;
            }
            Turn::Fresh => {
                is(self.stale, "fresh, but was not stale")?;
                self.stale = false;
            }
        }
        Ok(())
    }
}

/// How long each severity has lasted in time in which the element was seen.
#[derive(Clone, Default)]
struct Seen {
    going: bool,
    warning: Option<u64>,
    critical: Option<u64>,
}

impl Seen {
    fn pass(&mut self, ms: u64) {
        if self.going {
            [&mut self.warning, &mut self.critical].into_iter().flatten().for_each(|count| *count += ms);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Input(Input::Level(level)) => {
                self.going = true;
                let now_bad = level.severity();
                self.warning = now_bad.and(self.warning.or(Some(0)));
                let critical = now_bad.filter(|severity| *severity == Severity::Critical);
                self.critical = critical.and(self.critical.or(Some(0)));
            }
            Event::Input(Input::Stale | Input::Past) | Event::Restart => self.going = false,
            Event::Input(Input::Fresh) => self.going = true,
            Event::Input(Input::Gone(_)) => *self = Self::default(),
            Event::Tick => {}
        }
    }

    fn bad(&self, severity: Severity) -> Option<u64> {
        match severity {
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }
}
