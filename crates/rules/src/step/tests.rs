//! Histories of one element as scripts: at which second what happens, and exactly what is told.

use super::{Input, Life, Phase, Saved, Timing, Turn};
use crate::{Ending, Flap, Level, Moment, Severity};

/// One line of a script: `10 warning -> pending warning`. Inputs are levels, `stale`, `fresh` and endings, `tick`, and
/// `restart 20`: the process ends, was last known to be alive 20 s later, and a new one begins with a new running clock.
struct Script {
    timing: Timing,
    life: Life,
    /// Where the running clock of this process has its zero, in seconds of the script.
    zero_s: u64,
}

const DAY_MS: i64 = 86_400_000;

impl Script {
    fn new(for_s: u64, keep_s: u64, flap: (u32, u64)) -> Self {
        let flap = Flap { changes: flap.0, within_ms: flap.1 * 1000 };
        let timing = Timing { for_ms: for_s * 1000, keep_firing_for_ms: keep_s * 1000, flap };
        Self { timing, life: Life::default(), zero_s: 0 }
    }

    fn moment(&self, at_s: u64) -> Moment {
        Moment { run_ms: (at_s - self.zero_s) * 1000, wall_ms: DAY_MS + i64::try_from(at_s).unwrap() * 1000 }
    }

    fn run(&mut self, lines: &[&str]) {
        for line in lines {
            let (done, expected) = line.split_once("->").unwrap();
            let (at_s, what) = done.trim().split_once(' ').unwrap();
            let turns = self.happen(at_s.parse().unwrap(), what);
            let told: Vec<String> = turns.iter().map(told).collect();
            assert_eq!(told.join(", "), expected.trim(), "at `{line}` of {lines:#?}");
        }
    }

    fn happen(&mut self, at_s: u64, what: &str) -> Vec<Turn> {
        let now = self.moment(at_s);
        if let Some(alive_s) = what.strip_prefix("restart ") {
            let alive_ms = now.wall_ms + alive_s.parse::<i64>().unwrap() * 1000;
            let text = serde_json::to_string(&self.life.saved(now)).unwrap();
            self.life = Life::restored(serde_json::from_str::<Saved>(&text).unwrap(), alive_ms);
            self.zero_s = at_s;
            return Vec::new();
        }
        if what == "tick" {
            return self.life.tick(&self.timing, now);
        }
        let input = match what {
            "clear" => Input::Level(Level::Clear),
            "between" => Input::Level(Level::Between),
            "warning" => Input::Level(Level::Warning),
            "critical" => Input::Level(Level::Critical),
            "stale" => Input::Stale,
            "fresh" => Input::Fresh,
            "removed" => Input::Gone(Ending::Removed),
            "left" => Input::Gone(Ending::Left),
            "forgotten" => Input::Gone(Ending::Forgotten),
            "recovered" => Input::Gone(Ending::Recovered),
            other => panic!("`{other}` is no input"),
        };
        self.life.step(&self.timing, input, now)
    }
}

fn told(turn: &Turn) -> String {
    match turn {
        Turn::Pending(severity) => format!("pending {severity}"),
        Turn::Calmed => "calmed".to_owned(),
        Turn::Fired(severity) => format!("fired {severity}"),
        Turn::Raised(severity) => format!("raised {severity}"),
        Turn::Fell(severity) => format!("fell {severity}"),
        Turn::Resolved(ending) => format!("resolved {}", ending.as_str()),
        Turn::Flapping => "flapping".to_owned(),
        Turn::Steady => "steady".to_owned(),
        Turn::Stale => "stale".to_owned(),
        Turn::Fresh => "fresh".to_owned(),
    }
}

const NEVER: (u32, u64) = (0, 0);

/// Runs scripts that have the same timing, each with a new life.
fn all(for_s: u64, keep_s: u64, flap: (u32, u64), scripts: &[&[&str]]) {
    for lines in scripts {
        Script::new(for_s, keep_s, flap).run(lines);
    }
}

#[test]
fn without_timers_every_level_counts_at_once() {
    all(
        0,
        0,
        NEVER,
        &[
            &["0 warning -> fired warning", "1 warning ->", "2 clear -> resolved recovered", "3 clear ->"],
            &["0 critical -> fired critical", "1 warning -> fell warning", "2 critical -> raised critical"],
            &["0 clear ->", "1 between ->", "2 tick ->", "3 stale ->", "4 fresh ->", "5 removed ->"],
            &[
                "0 critical -> fired critical",
                "9 between ->",
                "99 tick ->",
                "100 clear -> resolved recovered",
            ],
        ],
    );
}

#[test]
fn it_fires_when_it_was_bad_for_as_long_as_the_rule_says() {
    all(
        60,
        0,
        NEVER,
        &[
            &["0 warning -> pending warning", "59 tick ->", "60 tick -> fired warning", "61 tick ->"],
            // A sample that is missed changes nothing, one that is not bad does.
            &["0 warning -> pending warning", "50 warning ->", "60 warning -> fired warning"],
            &[
                "0 warning -> pending warning",
                "30 between -> calmed",
                "31 warning -> pending warning",
                "90 tick ->",
            ],
            &["0 warning -> pending warning", "30 clear -> calmed", "99 tick ->"],
            // What comes at the very moment counts before the time that is up.
            &["0 warning -> pending warning", "60 clear -> calmed"],
            // Nobody looked at the time: it was bad for long enough all the same.
            &["0 warning -> pending warning", "61 clear -> fired warning, resolved recovered"],
            &["0 warning -> pending warning", "30 left -> calmed", "99 tick ->"],
        ],
    );
}

#[test]
fn each_severity_has_a_timer_of_its_own() {
    all(
        60,
        0,
        NEVER,
        &[
            &["0 critical -> pending critical", "60 tick -> fired critical"],
            &[
                "0 warning -> pending warning",
                "40 critical ->",
                "60 tick -> fired warning",
                "99 tick ->",
                "100 tick -> raised critical",
            ],
            &["0 critical -> pending critical", "50 warning -> pending warning", "60 tick -> fired warning"],
            &["0 warning -> pending warning", "40 critical ->", "50 between -> calmed", "110 tick ->"],
            &[
                "0 warning -> pending warning",
                "59 critical ->",
                "70 between -> fired warning",
                "119 tick ->",
                "120 critical ->",
                "179 warning ->",
                "180 critical ->",
                "240 tick -> raised critical",
            ],
            // Late by much, and still one after the other.
            &["0 warning -> pending warning", "40 critical ->", "500 tick -> fired warning, raised critical"],
        ],
    );
}

#[test]
fn it_is_over_when_it_was_well_for_as_long_as_the_rule_says() {
    all(
        0,
        60,
        NEVER,
        &[
            &["0 warning -> fired warning", "1 clear ->", "60 tick ->", "61 tick -> resolved recovered"],
            &[
                "0 warning -> fired warning",
                "1 clear ->",
                "60 warning ->",
                "62 clear ->",
                "121 tick ->",
                "122 tick -> resolved recovered",
            ],
            // Between the thresholds it stays what it is, and what was well for too short a time was not well.
            &["0 warning -> fired warning", "1 between ->", "999 tick ->"],
            &["0 warning -> fired warning", "1 clear ->", "30 between ->", "61 tick ->", "999 tick ->"],
            &[
                "0 warning -> fired warning",
                "1 clear ->",
                "30 between ->",
                "40 clear ->",
                "99 tick ->",
                "100 tick -> resolved recovered",
            ],
            &[
                "0 critical -> fired critical",
                "1 warning ->",
                "31 clear ->",
                "41 between ->",
                "61 tick -> fell warning",
                "999 tick ->",
            ],
            &["0 critical -> fired critical", "1 warning ->", "60 tick ->", "61 tick -> fell warning"],
            &["0 critical -> fired critical", "1 warning ->", "50 critical ->", "61 tick ->", "999 tick ->"],
            &["0 critical -> fired critical", "1 clear ->", "61 tick -> resolved recovered"],
            &[
                "0 critical -> fired critical",
                "1 warning ->",
                "31 clear ->",
                "61 tick -> fell warning",
                "91 tick -> resolved recovered",
            ],
            // A rule without a warning never falls to one.
            &[
                "0 critical -> fired critical",
                "1 between ->",
                "2 clear ->",
                "3 between ->",
                "62 tick ->",
                "999 tick ->",
            ],
        ],
    );
}

#[test]
fn without_news_all_timers_stand_still_and_nothing_ends() {
    all(
        60,
        60,
        NEVER,
        &[
            &[
                "0 warning -> pending warning",
                "30 stale -> stale",
                "40 stale ->",
                "500 tick ->",
                "600 warning -> fresh",
                "629 tick ->",
                "630 tick -> fired warning",
                "640 stale -> stale",
                "9999 tick ->",
                "10000 fresh -> fresh",
                "10001 fresh ->",
                "10002 clear ->",
                "10012 stale -> stale",
                "10100 fresh -> fresh",
                "10149 tick ->",
                "10150 tick -> resolved recovered",
            ],
            &["0 warning -> pending warning", "30 stale -> stale", "500 clear -> fresh, calmed"],
            &["0 warning -> pending warning", "60 stale -> stale", "99 fresh -> fresh, fired warning"],
        ],
    );
}

#[test]
fn what_is_gone_ends_at_once_and_is_never_called_recovered() {
    all(
        60,
        60,
        NEVER,
        &[
            &[
                "0 warning -> pending warning",
                "60 tick -> fired warning",
                "70 removed -> resolved removed",
                "71 left ->",
            ],
            &["0 warning -> pending warning", "60 tick -> fired warning", "70 left -> resolved left"],
            &["0 warning -> pending warning", "60 tick -> fired warning", "70 recovered -> resolved removed"],
            &[
                "0 warning -> pending warning",
                "61 stale -> fired warning, stale",
                "70 forgotten -> resolved forgotten",
                "80 critical -> pending critical",
            ],
        ],
    );
}

#[test]
fn a_restart_keeps_timers_up_to_when_the_monitor_was_last_alive() {
    all(
        60,
        60,
        NEVER,
        &[
            // 30 s, then 10 s until it was last alive, then 20 s after it was heard of again.
            &[
                "0 warning -> pending warning",
                "30 restart 10 ->",
                "300 tick ->",
                "400 warning ->",
                "419 tick ->",
                "420 tick -> fired warning",
                "430 clear ->",
                "440 restart 30 ->",
                "1000 fresh ->",
                "1019 tick ->",
                "1020 tick -> resolved recovered",
            ],
            &[
                "0 warning -> pending warning",
                "30 restart 40 ->",
                "300 tick ->",
                "400 warning -> fired warning",
            ],
            &["0 warning -> pending warning", "30 restart 40 ->", "400 clear -> calmed"],
            // Stale it was and stale it is; no time passes for it in either process.
            &[
                "0 warning -> pending warning",
                "30 stale -> stale",
                "40 restart 99 ->",
                "400 stale ->",
                "500 warning -> fresh",
                "530 tick -> fired warning",
            ],
            &["0 warning -> pending warning", "30 restart 0 ->", "40 stale -> stale", "50 left -> calmed"],
            // The wall clock went back: nothing is taken away.
            &[
                "0 warning -> pending warning",
                "30 restart -3600 ->",
                "400 warning ->",
                "430 tick -> fired warning",
            ],
        ],
    );
}

#[test]
fn what_begins_and_ends_too_often_is_flapping_until_it_is_steady() {
    let four: &[&str] = &[
        "0 warning -> fired warning",
        "10 clear -> resolved recovered",
        "20 warning -> fired warning",
        "30 clear -> flapping",
    ];
    for rest in [
        // At most two of the changes at 0, 10, 20 and 30 are within 100 s from 110 on.
        &["109 tick ->", "110 tick -> steady, resolved recovered", "111 warning -> fired warning"][..],
        &["109 warning ->", "119 tick ->", "120 tick -> steady", "121 clear -> resolved recovered"],
        &[
            "40 warning ->",
            "50 clear ->",
            "60 critical -> raised critical",
            "139 tick ->",
            "140 tick -> steady",
        ],
        &[
            "40 stale -> stale",
            "900 tick ->",
            "1000 clear -> fresh",
            "1069 tick ->",
            "1070 tick -> steady, resolved recovered",
        ],
        &["40 restart 10 ->", "1000 tick ->", "1001 fresh ->", "1061 tick -> steady, resolved recovered"],
        &["40 removed -> resolved removed", "50 warning -> fired warning, flapping"],
        &["40 removed -> resolved removed", "131 warning -> fired warning"],
        // Gone is not stale: what it did is forgotten in its time.
        &["40 stale -> stale", "50 removed -> resolved removed", "150 warning -> fired warning"],
    ] {
        let mut script = Script::new(0, 0, (4, 100));
        script.run(four);
        assert!(script.life.is_flapping() && script.life.holds_back_an_end());
        assert_eq!(script.life.changes_within(&script.timing, script.moment(30)), 4);
        script.run(rest);
    }
}

#[test]
fn while_it_flaps_only_what_is_worse_is_told_and_afterwards_what_is() {
    all(
        0,
        0,
        (3, 100),
        &[&[
            "0 warning -> fired warning",
            "1 clear -> resolved recovered",
            "2 critical -> fired critical, flapping",
            "3 warning ->",
            "4 critical ->",
            "5 warning ->",
            "100 tick ->",
            "101 tick -> steady, fell warning",
        ]],
    );
}

#[test]
fn an_end_that_was_held_back_is_told_only_of_what_is_well_for_long_enough() {
    let flapping: &[&str] = &[
        "0 warning -> pending warning",
        "10 tick -> fired warning",
        "11 clear ->",
        "31 tick -> resolved recovered",
        "32 warning -> pending warning",
        "42 tick -> fired warning, flapping",
        "43 clear ->",
        "63 tick ->",
    ];
    // Of the changes at 31, 42 and 63 one is within 100 s from 142 on.
    for rest in [
        &["142 tick -> steady, resolved recovered"][..],
        &["64 between ->", "142 tick -> steady, resolved recovered"],
        // Bad since, too shortly to fire, and not seen to be well after that.
        &[
            "100 warning ->",
            "105 between ->",
            "142 tick -> steady",
            "999 tick ->",
            "1000 clear ->",
            "1019 tick ->",
            "1020 tick -> resolved recovered",
        ],
        &[
            "130 warning ->",
            "135 clear ->",
            "142 tick -> steady",
            "154 tick ->",
            "155 tick -> resolved recovered",
        ],
        &["100 warning ->", "105 clear ->", "142 tick -> steady, resolved recovered"],
        // Bad again, not yet for long enough: nothing shows that it is over.
        &[
            "138 warning ->",
            "142 tick -> steady",
            "143 clear ->",
            "162 tick ->",
            "163 tick -> resolved recovered",
        ],
    ] {
        let mut script = Script::new(10, 20, (3, 100));
        script.run(flapping);
        script.run(rest);
    }
}

#[test]
fn it_says_where_it_stands() {
    let mut script = Script::new(60, 60, NEVER);
    assert_eq!(script.life.phase(), Phase::Inactive);
    assert_eq!(script.life.due_ms(&script.timing), None);
    script.run(&["10 warning -> pending warning", "40 critical ->"]);
    let since = DAY_MS + 10_000;
    let pending = Phase::Pending { severity: Severity::Warning, since_ms: since, held_ms: 30_000 };
    assert_eq!(script.life.phase(), pending);
    assert_eq!(script.life.due_ms(&script.timing), Some(70_000));
    // It is late, and says when it was all the same.
    script.run(&["80 clear -> fired warning", "90 tick ->"]);
    let since_ms = DAY_MS + 70_000;
    let severity = Severity::Warning;
    let firing = Phase::Firing { severity, since_ms, clear_ms: Some(10_000), critical_ms: None };
    assert_eq!(script.life.phase(), firing);
    assert_eq!(script.life.due_ms(&script.timing), Some(140_000));
    script.run(&["100 stale -> stale"]);
    assert!(script.life.is_stale() && !script.life.is_flapping() && !script.life.is_idle());
    assert_eq!(script.life.due_ms(&script.timing), None);
    script.run(&["200 fresh -> fresh", "240 tick -> resolved recovered", "300 warning -> pending warning"]);
    script.run(&["360 tick -> fired warning"]);
    let Phase::Firing { since_ms: again, .. } = script.life.phase() else { panic!("it fires") };
    assert_eq!(again, DAY_MS + 360_000, "another episode");
}

#[test]
fn a_rule_that_is_changed_counts_from_now_on() {
    let mut script = Script::new(60, 60, (2, 1000));
    script.run(&["0 warning -> pending warning", "30 tick ->"]);
    script.timing.for_ms = 10_000;
    assert_eq!(script.life.due_ms(&script.timing), Some(30_000));
    script.run(&["31 tick -> fired warning", "32 clear ->", "92 tick -> flapping"]);
    script.timing.flap = Flap { changes: 0, within_ms: 0 };
    script.run(&["93 tick -> steady, resolved recovered", "94 tick ->"]);
    assert!(script.life.is_idle());
}

#[test]
fn a_rule_that_never_comes_to_an_end_overflows_nothing() {
    let mut script = Script::new(60, 60, (u32::MAX, 1));
    script.timing.for_ms = u64::MAX;
    script.timing.flap.within_ms = u64::MAX;
    script.run(&["0 warning -> pending warning", "99 tick ->"]);
    assert_eq!(script.life.due_ms(&script.timing), Some(u64::MAX));
    script.timing.for_ms = 0;
    script.timing.keep_firing_for_ms = 0;
    script.run(&["100 tick -> fired warning"]);
    for at_s in 101..1000 {
        let level = if at_s % 2 == 0 { "warning" } else { "clear" };
        script.happen(at_s, level);
    }
    assert!(script.life.is_flapping());
    assert_eq!(script.life.changes_within(&script.timing, script.moment(1000)), 256);
}
