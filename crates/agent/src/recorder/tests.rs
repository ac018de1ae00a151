//! Random lives of a recorder against what a monitor understands of them: every row and every status arrives, once,
//! with its own time, whatever the set does meanwhile.

mod refusals;

use super::*;
use crate::catalog::Series;
use crate::ring::{Next, Piece};
use crate::understanding::{Row as Heard, SeriesKey, Understanding};
use farol_health::{Checker, Figure, Outcome, Snapshot, Spec, Status, Unit, check_fn};
use farol_wire::proto::Goodbye;
use farol_wire::proto::agent_message::Kind;
use farol_wire::{Limits as WireLimits, limits};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const BOOT: Boot = Boot { number: 3, nonce: 5 };

fn check(name: &str, service: &str) -> Registration {
    let ask = || std::future::ready(Outcome::healthy());
    Registration::new(Spec::new(name, service), check_fn("test", ask))
}

fn checked(at_ms: u64, status: Status, figures: Vec<Figure>) -> Checked {
    let mut outcome = Outcome::new(status, "ok", "");
    outcome.figures = figures;
    Checked {
        at_ms,
        outcome,
        soft: status,
        hard: status,
        response_time: Some(Duration::from_millis(2)),
        hard_changed: false,
        reason_changed: false,
        message_changed: false,
        skipped: false,
    }
}

/// A recorder and the monitor that hears it.
struct Life {
    recorder: Recorder,
    checker: Checker,
    names: Vec<&'static str>,
    snapshot: Snapshot,
    heard: Understanding,
    cursor: u64,
    live: bool,
    now_ms: u64,
    /// What was measured.
    truth: Vec<Heard>,
}

impl Life {
    fn new(names: Vec<&'static str>, ring_bytes: usize) -> Self {
        let checks: Vec<_> = names.iter().map(|name| check(name, "shop")).collect();
        let checker = Checker::new(checks.clone(), Arc::new(())).unwrap();
        Self {
            recorder: Recorder::new(BOOT, ring_bytes, Duration::from_secs(10), &checks),
            snapshot: (*checker.snapshot()).clone(),
            checker,
            names,
            heard: Understanding::new(),
            cursor: 0,
            live: false,
            now_ms: 1_000,
            truth: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now { boot_ms: self.now_ms, wall_ms: 1_700_000_000_000 }
    }

    fn feed(&self) -> Feed<'_> {
        Feed { recorder: &self.recorder, boot: BOOT }
    }

    fn set_checks(&mut self, names: Vec<&'static str>, service: &str) {
        let checks: Vec<_> = names.iter().map(|name| check(name, service)).collect();
        self.recorder.set_checks(&checks);
        self.checker.replace(checks).unwrap();
        self.snapshot = (*self.checker.snapshot()).clone();
        self.names = names;
    }

    fn result(&mut self, at: usize, status: Status, figures: &[(usize, f64)]) {
        let Some(name) = self.names.get(at % self.names.len().max(1)) else { return };
        let figures: Vec<_> = figures
            .iter()
            .map(|(n, value)| Figure::gauge(format!("figure_{n}"), *value, Unit::None))
            .collect();
        let result = checked(self.now_ms, status, figures.clone());
        for view in &mut self.snapshot.components {
            if *view.name == **name {
                let view = Arc::make_mut(view);
                (view.hard, view.soft, view.checked_ms) = (status, status, Some(self.now_ms));
                view.reason = "ok".into();
            }
        }
        let service = self.snapshot.component(name).unwrap().service.to_string();
        self.recorder.checked(name, &result);
        let key = |series: &str| -> SeriesKey {
            let labels = BTreeMap::from([
                ("component".to_owned(), (*name).to_owned()),
                ("service".to_owned(), service.clone()),
            ]);
            (series.to_owned(), labels)
        };
        let mut row = BTreeMap::from([
            (key("farol_check_status"), f64::from(status as u8)),
            (key("farol_check_duration_seconds"), 0.002),
        ]);
        for figure in figures {
            row.entry(key(&figure.name)).or_insert(figure.value);
        }
        self.truth.push((format!("check.{name}"), self.now_ms, row));
    }

    fn system(&mut self, values: &[f64]) {
        let mut row = Row::new();
        for (n, value) in values.iter().enumerate() {
            row.push(&Arc::new(Series::gauge(format!("system_{n}"), Unit::None)), *value);
        }
        self.recorder.system(&row, self.now_ms);
        let told = row.samples().iter().map(|s| ((s.series.name().to_owned(), BTreeMap::new()), s.value));
        self.truth.push(("system".to_owned(), self.now_ms, told.collect()));
    }

    fn report(&mut self, made: Made) {
        self.recorder.report(&self.snapshot, self.now(), made);
    }

    fn open(&mut self, mark: u64) {
        let opening = self.feed().open(&self.snapshot, mark, &[], &WireLimits::default());
        let before = std::mem::replace(&mut self.heard, Understanding::new());
        (self.heard.rows, self.heard.seqs, self.heard.changes) = (before.rows, before.seqs, before.changes);
        self.heard.dropped = before.dropped;
        (self.cursor, self.live) = (opening.cursor, false);
        opening.messages.into_iter().for_each(|kind| self.heard.take(kind));
    }

    /// What a session does: State when something is new, backlog, then live.
    fn flow(&mut self, steps: usize, budget: usize) {
        for _ in 0..steps {
            if !self.live {
                if let Piece::Chunk(chunk) = self.feed().backlog(self.cursor, budget) {
                    self.cursor = chunk.last;
                    for message in Feed::messages(chunk.segments, budget) {
                        self.heard.take(message);
                    }
                } else if let Some((said, cursor)) = self.feed().go_live(&self.snapshot, self.cursor) {
                    said.into_iter().for_each(|kind| self.heard.take(kind));
                    (self.live, self.cursor) = (true, cursor);
                }
                continue;
            }
            let (said, next) = self.feed().next(self.cursor);
            said.into_iter().for_each(|kind| self.heard.take(kind));
            match next {
                Next::Report(announce, mut report) => {
                    self.cursor = report.seq;
                    report.padding = vec![0; 64];
                    announce.into_iter().for_each(|kind| self.heard.take(kind));
                    self.heard.take(Kind::Report(*report));
                }
                Next::Nothing => return,
                Next::Gone => panic!("the ring is large enough"),
            }
        }
    }

    fn state(&mut self) {
        if !self.live {
            let said = self.feed().state(&self.snapshot);
            said.into_iter().for_each(|kind| self.heard.take(kind));
        }
    }
}

#[test]
fn a_short_report_leaves_the_rows_to_the_tick_and_goes_only_when_there_is_news() {
    let mut life = Life::new(vec!["database"], 1 << 20);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    let news = |life: &Life| life.recorder.record.lock().has_news(&life.snapshot, life.now_ms);
    assert!(!news(&life));
    life.result(0, Status::Healthy, &[(1, 2.0)]);
    assert!(news(&life));
    life.recorder.report_news(&life.snapshot, life.now());
    life.flow(9, 1 << 20);
    assert_eq!(life.heard.statuses["database"].hard, Status::Healthy as i32);
    assert!(life.heard.rows.is_empty() && life.heard.renewed.contains("database"));
    let before = life.recorder.counts().reports;
    life.recorder.report_news(&life.snapshot, life.now());
    assert_eq!(life.recorder.counts().reports, before, "nothing new, nothing sent");
    life.now_ms += 5_000;
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    assert_eq!(life.heard.rows, life.truth, "with the time of the tick, not that of the report");
    assert_eq!(life.heard.order, "DSBDLL", "the first live report has told of the new series already");
}

#[test]
fn another_message_alone_waits_a_minute() {
    let mut life = Life::new(vec!["database"], 1 << 20);
    life.report(Made::Tick);
    let say = |life: &mut Life, text: &str| {
        Arc::make_mut(&mut life.snapshot.components[0]).message = text.into();
    };
    let told = |life: &Life| life.recorder.record.lock().has_news(&life.snapshot, life.now_ms);
    say(&mut life, "3 of 4 connections are used");
    assert!(!told(&life));
    life.now_ms += 59_999;
    assert!(!told(&life));
    life.now_ms += 1;
    assert!(told(&life));
    life.report(Made::Urgent);
    say(&mut life, "4 of 4 connections are used");
    assert!(!told(&life));
    Arc::make_mut(&mut life.snapshot.components[0]).reason = "exhausted".into();
    assert!(told(&life), "another reason code goes at once");
}

#[test]
fn a_starved_run_is_no_tick_and_renews_nothing() {
    let mut life = Life::new(vec!["database"], 1 << 20);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    life.recorder.checked("database", &Checked { skipped: true, ..checked(1, Status::Unknown, vec![]) });
    life.recorder.checked("unknown to the recorder", &checked(1, Status::Healthy, vec![]));
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    assert!(life.heard.rows.is_empty() && life.heard.renewed.is_empty());
}

#[test]
fn components_come_go_and_move_and_the_monitor_hears_of_it_before_their_statuses() {
    let mut life = Life::new(vec!["a", "b"], 1 << 20);
    life.result(0, Status::Healthy, &[(1, 1.0)]);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    life.result(1, Status::Healthy, &[(1, 1.0)]);
    life.set_checks(vec!["a", "c"], "shop");
    life.result(1, Status::Degraded, &[]);
    life.report(Made::Urgent);
    life.flow(9, 1 << 20);
    assert_eq!(life.heard.statuses["c"].hard, Status::Degraded as i32);
    assert_eq!(life.heard.set.component_id("b"), None);
    life.set_checks(vec!["a"], "other");
    life.report(Made::Urgent);
    life.flow(9, 1 << 20);
    let services: Vec<_> = life.heard.set.components.values().map(|c| c.service.as_str()).collect();
    assert_eq!(services, ["other"]);
    assert!(life.recorder.counts().samples_dropped > 0, "the waiting row of b is counted");
}

#[test]
fn a_full_ring_asks_once_for_its_acknowledgement() {
    let mut life = Life::new(vec!["a"], 256 << 10);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    assert_eq!(std::mem::take(&mut life.heard.ack_now), [1], "the backlog is sent");
    life.feed().acknowledge(1);
    let mut asked = Vec::new();
    for n in 0..400 {
        let values: Vec<f64> = (0..100).map(|s| f64::from(n) * 0.137 + f64::from(s)).collect();
        life.system(&values);
        life.report(Made::Tick);
        life.flow(9, 1 << 20);
        asked.clone_from(&life.heard.ack_now);
        if !asked.is_empty() && n % 7 == 0 {
            break;
        }
    }
    assert_eq!(asked.len(), 1);
    assert!(life.recorder.counts().ring_bytes >= 128 << 10);
    life.feed().acknowledge(asked[0]);
    assert!(life.recorder.counts().ring_bytes < 128 << 10);
    assert_eq!(life.recorder.counts().lost, 0);
}

#[test]
fn a_row_that_waits_while_its_series_gets_more_digits_is_not_lost() {
    let mut life = Life::new(vec![], 1 << 20);
    // The first needs 53 bits as it is; with the digits of the second it would need more.
    for value in [-2_820_768_261_798_756.0, 0.01, 7.0] {
        life.now_ms += 1;
        life.system(&[value]);
    }
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    assert_eq!((life.heard.rows, life.recorder.counts().samples_dropped), (life.truth, 0));
}

#[test]
fn too_many_rows_are_counted_and_never_kept() {
    let life = Life::new(vec![], 1 << 20);
    let mut row = Row::new();
    let series: Vec<_> =
        (0..5_000).map(|n| Arc::new(Series::gauge(format!("system_{n}"), Unit::None))).collect();
    series.iter().for_each(|s| row.push(s, 1.0));
    (0..20).for_each(|n| life.recorder.system(&row, n));
    let dropped = life.recorder.counts().samples_dropped;
    assert_eq!(dropped, (20 - 14) * 5_000, "14 rows pass the bound of 64 Ki values");
}

#[test]
fn texts_are_cut_to_what_the_wire_takes() {
    let mut life = Life::new(vec!["a"], 1 << 20);
    let view = Arc::make_mut(&mut life.snapshot.components[0]);
    (view.message, view.reason) = ("é".repeat(2_000).into(), "r".repeat(200).into());
    let entry = told::entry(1, view, false);
    assert!(entry.message.len() <= limits::MESSAGE_BYTES && entry.reason.len() == limits::REASON_BYTES);
}

#[derive(Clone, Debug)]
enum Op {
    Result(usize, u8, Vec<(usize, f64)>),
    System(Vec<f64>),
    Report(u8),
    Wait(u64),
    Checks(usize),
    Open(u64),
    State,
    Flow(usize, usize),
    Ack(u64),
    Goodbye,
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-5..500i32).prop_map(f64::from),
        (0..10_000i32).prop_map(|n| f64::from(n) / 100.0),
        any::<f64>().prop_filter("NaN is not equal to itself", |v| !v.is_nan()),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let figures = prop::collection::btree_map(0..6usize, any_value(), 0..5);
    prop_oneof![
        6 => (0..4usize, 0..5u8, figures).prop_map(|(at, status, figures)| {
            Op::Result(at, status, figures.into_iter().collect())
        }),
        3 => prop::collection::vec(any_value(), 0..8).prop_map(Op::System),
        6 => (0..3u8).prop_map(Op::Report),
        4 => (1..15_000u64).prop_map(Op::Wait),
        1 => (0..4usize).prop_map(Op::Checks),
        1 => (0..30u64).prop_map(Op::Open),
        2 => Just(Op::State),
        6 => (1..6usize, 4_000..200_000usize).prop_map(|(n, budget)| Op::Flow(n, budget)),
        2 => (0..10u64).prop_map(Op::Ack),
        1 => Just(Op::Goodbye),
    ]
}

proptest! {
    #[test]
    fn every_row_and_every_report_arrives_whatever_happens_to_stream_and_set(
        ops in prop::collection::vec(any_op(), 1..120),
    ) {
        let mut life = Life::new(vec!["a", "b"], 64 << 20);
        life.open(0);
        let mut goodbye = false;
        for op in ops {
            life.now_ms += 1;
            match op {
                Op::Result(at, status, figures) => {
                    life.result(at, Status::from_u8(status).unwrap(), &figures);
                }
                Op::System(values) => life.system(&values),
                Op::Report(0) => life.report(Made::Tick),
                Op::Report(1) => life.report(Made::Urgent),
                Op::Report(_) => life.report(Made::Key),
                Op::Wait(ms) => life.now_ms += ms,
                Op::Checks(n) => {
                    // Waiting rows of components that go are dropped: that is told elsewhere.
                    life.report(Made::Tick);
                    life.set_checks(vec!["a", "b", "c", "d"][..n].to_vec(), "shop");
                }
                Op::Open(behind) => {
                    let mark = life.recorder.counts().acked.max(life.cursor.saturating_sub(behind));
                    life.open(mark);
                }
                Op::State => life.state(),
                Op::Flow(n, budget) => life.flow(n, budget),
                Op::Ack(behind) => life.feed().acknowledge(life.cursor.saturating_sub(behind)),
                Op::Goodbye if !goodbye => {
                    goodbye = true;
                    life.heard.take(Kind::Goodbye(Goodbye::default()));
                }
                Op::Goodbye => {}
            }
        }
        life.report(Made::Last);
        life.flow(10_000, 1 << 20);
        prop_assert_eq!(life.cursor, life.recorder.counts().reports);
        let mut seqs = life.heard.seqs.clone();
        seqs.sort_unstable();
        seqs.dedup();
        prop_assert_eq!(seqs, (1..=life.cursor).collect::<Vec<_>>());
        prop_assert_eq!(life.heard.dropped.len(), 0);
        prop_assert_eq!(life.recorder.counts().samples_dropped, 0);
        // A re-sent segment tells its rows again; once is enough.
        let sorted = |rows: &[Heard]| {
            let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort_unstable();
            rows.dedup();
            rows
        };
        prop_assert_eq!(sorted(&life.heard.rows), sorted(&life.truth));
        for view in &life.snapshot.components {
            prop_assert_eq!(life.heard.statuses[&*view.name].hard, view.hard as i32);
        }
    }
}

#[test]
fn a_word_keeps_its_own_time_however_late_its_report_and_its_message_waits() {
    let mut life = Life::new(vec!["queue", "door"], 1 << 20);
    for (place, kind) in [(0, "push"), (1, "tcp")] {
        Arc::make_mut(&mut life.snapshot.components[place]).kind = kind;
        life.result(place, Status::Healthy, &[]);
    }
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    // The first live report tells all.
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    life.now_ms += 2_000;
    let came_ms = life.now_ms;
    for place in [0, 1] {
        life.result(place, Status::Healthy, &[]);
    }
    Arc::make_mut(&mut life.snapshot.components[0]).message = "another".into();
    life.now_ms += 7_000;
    life.report(Made::Tick);
    let (_, next) = life.feed().next(life.cursor);
    let Next::Report(_, report) = next else { panic!("there is a report") };
    let told: Vec<_> = report.changed.iter().map(|c| (c.checked_ms, c.message.as_str())).collect();
    assert_eq!(told, [(came_ms, "")], "the other one's time is the report's");
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    let (_, Next::Nothing) = life.feed().next(life.cursor) else { panic!("all was heard") };
}
