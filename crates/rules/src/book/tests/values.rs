//! What samples come to: through the program that live reads them with, to the notices.

use super::*;
use crate::{Program, SourceShape};
use farol_series::{Columns, Encoding};

const BAD: f64 = 90.0;
const WELL: f64 = 40.0;

/// One series of an agent, every ten seconds.
struct Series {
    program: Program,
    columns: Columns,
}

/// Its layout, with that series or without any.
fn layout(scene: &Scene, has: bool) -> Program {
    let series = if has { vec![("cpu_percent".into(), Labels::default())] } else { Vec::new() };
    let shape = SourceShape { interval_ms: 10_000, series };
    Program::new(&scene.orders.rules, &[shape], &agent("a"))
}

impl Series {
    fn new(scene: &Scene) -> Self {
        let mut program = layout(scene, true);
        program.unsettle();
        Self { program, columns: Columns::new(vec![Encoding::Float]) }
    }

    /// What measures it gives nothing: the agent has it no more. Then it has it again.
    fn is_away(&mut self, scene: &mut Scene, until_s: u64) {
        for has in [false, true] {
            let mut program = layout(scene, has);
            program.go_on_from(&self.program);
            self.program = program;
            if !has {
                let (rule, labels) = ("cpu".into(), agent("a"));
                scene.see(&[Observation::ReadingGone { rule, labels, for_good: false }]);
                scene.until(until_s);
            }
        }
    }

    fn tick(&mut self, scene: &mut Scene, value: f64) {
        self.columns.encode(&[Some(value)], &mut Vec::new()).unwrap();
        let (mut seen, set) = (Vec::new(), self.program.rules().version());
        self.program.source(0, &self.columns, scene.now(), |reading| {
            seen.push(Observation::Measured(Measured {
                set,
                rule: "cpu".into(),
                labels: agent("a"),
                level: reading.level,
                value: reading.value,
                fresh_for_ms: 30_000,
            }));
        });
        scene.see(&seen);
    }

    /// Values from now to this second, the first at once.
    fn until(&mut self, scene: &mut Scene, second: u64, value: impl Fn(u64) -> f64) {
        while scene.ran_ms < second * 1_000 {
            let now_s = scene.ran_ms / 1_000;
            self.tick(scene, value(now_s));
            scene.until(now_s + 10);
        }
    }
}

fn kept_for_two_minutes() -> Rule {
    Rule { keep_firing_for_ms: 120_000, ..cpu() }
}

#[test]
fn what_stays_well_ends_after_keep_firing_for() {
    let mut scene = Scene::new(&[kept_for_two_minutes()]);
    let mut series = Series::new(&scene);
    series.until(&mut scene, 3_000, |second| if second < 300 { BAD } else { WELL });
    assert_eq!(scene.heard(), ["0 ops First: +cpu/a/eu!", "420 ops Resolved: -cpu/a/eu recovered"]);
    assert!(scene.ledger.is_empty());
}

#[test]
fn while_it_is_kept_firing_missing_data_ends_nothing() {
    let mut scene = Scene::new(&[kept_for_two_minutes()]);
    let mut series = Series::new(&scene);
    series.until(&mut scene, 370, |second| if second < 300 { BAD } else { WELL });
    scene.heard();
    scene.until(10_000);
    assert!(scene.view("cpu", agent("a")).stale);
    assert_eq!(scene.heard(), Vec::<String>::new());
    // It was seen to be well for 60 s and stale 30 s later: 30 s are left.
    series.until(&mut scene, 12_000, |_| WELL);
    assert_eq!(scene.heard(), ["10030 ops Resolved: -cpu/a/eu recovered"]);
}

#[test]
fn what_flapped_ends_when_it_is_steady() {
    let mut scene = Scene::new(&[cpu()]);
    let mut series = Series::new(&scene);
    let flaps = |second: u64| if second < 600 && second.is_multiple_of(20) { BAD } else { WELL };
    series.until(&mut scene, 3_000, flaps);
    let heard = scene.heard();
    // Of the changes up to 590 s the fourth from the end leaves the ten minutes last.
    assert_eq!(heard.last().map(String::as_str), Some("1160 ops Resolved: -cpu/a/eu recovered"), "{heard:?}");
    assert!(scene.ledger.is_empty());
}

#[test]
fn while_it_flaps_missing_data_ends_nothing() {
    let mut scene = Scene::new(&[cpu()]);
    let mut series = Series::new(&scene);
    let flaps = |second: u64| if second < 600 && second.is_multiple_of(20) { BAD } else { WELL };
    series.until(&mut scene, 710, flaps);
    scene.heard();
    scene.until(20_000);
    assert!(scene.view("cpu", agent("a")).stale);
    assert!(!scene.heard().iter().any(|told| told.contains("Resolved")));
    // It was seen up to 730 s.
    series.until(&mut scene, 21_000, |_| WELL);
    assert_eq!(scene.heard(), ["20430 ops Resolved: -cpu/a/eu recovered"]);
}

#[test]
fn what_comes_back_well_ends_in_its_time() {
    let mut scene = Scene::new(&[kept_for_two_minutes()]);
    let mut series = Series::new(&scene);
    series.until(&mut scene, 60, |_| BAD);
    series.is_away(&mut scene, 1_200);
    scene.heard();
    series.until(&mut scene, 3_000, |_| WELL);
    assert_eq!(scene.heard(), ["1320 ops Resolved: -cpu/a/eu recovered"]);
    assert!(scene.ledger.is_empty());
}

#[test]
fn what_flapped_and_comes_back_well_ends_when_it_is_steady() {
    let mut scene = Scene::new(&[cpu()]);
    let mut series = Series::new(&scene);
    let flaps = |second: u64| if second < 600 && second.is_multiple_of(20) { BAD } else { WELL };
    series.until(&mut scene, 600, flaps);
    series.is_away(&mut scene, 2_000);
    scene.heard();
    series.until(&mut scene, 4_000, |_| WELL);
    // Of the changes up to 590 s, the fourth from the end was 40 s before it was away.
    assert_eq!(scene.heard(), ["2560 ops Resolved: -cpu/a/eu recovered"]);
}

#[test]
fn what_was_kept_firing_ends_after_a_restart() {
    let mut scene = Scene::new(&[kept_for_two_minutes()]);
    let mut series = Series::new(&scene);
    series.until(&mut scene, 330, |second| if second < 300 { BAD } else { WELL });
    scene.restart(60);
    scene.heard();
    let mut series = Series::new(&scene);
    series.until(&mut scene, 3_000, |_| WELL);
    assert_eq!(scene.heard(), ["420 ops Resolved: -cpu/a/eu recovered"]);
}

#[test]
fn what_was_judged_by_rules_that_are_no_more_in_force_says_nothing() {
    let mut scene = Scene::new(&[cpu()]);
    let mut series = Series::new(&scene);
    let above = |number| Some(Condition { operator: Operator::Above, number });
    let judge = Judge::Thresholds { warning: None, critical: above(95.0), clear: None };
    scene.order(&[Rule { judge, ..cpu() }], to("ops"));
    series.tick(&mut scene, BAD);
    scene.until(100);
    assert_eq!(scene.heard(), Vec::<String>::new());
    let mut series = Series::new(&scene);
    series.tick(&mut scene, 96.0);
    scene.until(101);
    assert_eq!(scene.heard(), ["100 ops First: +cpu/a/eu!"]);
}
