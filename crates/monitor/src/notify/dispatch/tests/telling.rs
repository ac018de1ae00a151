//! What is said of receivers that fail and of notices that die: to those who watch, who ask, and in the log.

use super::*;
use crate::notify::dispatch::Waiting;
use crate::notify::message::{AlertWord, Listed};
use farol_rules::Severity;
use std::io::Write;

/// A log in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Level, message and receiver of each record about one.
    fn of_receivers(&self) -> Vec<(String, String, serde_json::Value)> {
        let bytes = self.0.lock().clone();
        let records = String::from_utf8(bytes).unwrap();
        let records = records.lines().map(|line| serde_json::from_str(line).unwrap());
        let about = records.filter(|record: &serde_json::Value| record.to_string().contains("\"ops\""));
        about
            .map(|record| {
                let text = |key: &str| record[key].as_str().unwrap().to_owned();
                (text("level"), text("message"), record)
            })
            .collect()
    }
}

/// A notice of one alert of the rule `down`.
fn about(conversation: &str, id: &str, alert: &str) -> Message {
    let word = AlertWord {
        id: alert.to_owned(),
        alert_id: String::new(),
        rule: "down".to_owned(),
        labels: farol_rules::Labels::default(),
        severity: Severity::Critical,
        ended: None,
        since_ms: 0,
        ended_ms: None,
        value: None,
        annotations: BTreeMap::new(),
        elements: Listed::default(),
        holds: Listed::default(),
        incident: None,
    };
    Message { alerts: vec![word], ..message("ops", conversation, id) }
}

#[tokio::test(start_paused = true)]
async fn the_log_says_when_a_receiver_begins_to_fail_when_it_takes_again_and_what_died() {
    let lines = Lines::default();
    let config = farol_logging::Config { format: farol_logging::Format::Json, ..Default::default() };
    let (log, guard) = farol_logging::dispatch(&config, lines.clone()).unwrap();
    let set = tracing::dispatcher::set_default(&log);
    let ops = Desk::new(Answer::Fail);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    pass(600_000).await;
    *ops.then.lock() = Answer::Take;
    pass(600_000).await;
    ops.answers.lock().push_back(Answer::Refuse);
    process.send(about("b", "n7", "down#1"));
    pass(1_000).await;
    drop((set, log, guard));
    let said = lines.of_receivers();
    let short: Vec<_> = said.iter().map(|(level, message, _)| (&**level, &**message)).collect();
    let dead = "a notice is dead: it is not sent, unless an operator sends it again";
    assert_eq!(
        short,
        [
            ("WARNING", "a receiver begins to fail"),
            ("INFO", "a receiver takes notices again"),
            ("WARNING", "a receiver begins to fail"),
            ("ERROR", dead),
        ]
    );
    for (record, words) in [(&said[0].2, &["500"][..]), (&said[3].2, &["n7", "down", "404"])] {
        let record = record.to_string();
        assert!(words.iter().all(|word| record.contains(&format!("\"{word}\""))), "{record}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_what_is_said_of_a_receiver_whatever_it_was_when_somebody_was_told() {
    let ops = Desk::new(Answer::Fail);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    pass(59_000).await;
    let early = process.stats("ops");
    assert_eq!((early.failing, early.last_failure.map(|(_, why)| why)), (None, Some("500".to_owned())));
    assert!(early.next_in_ms.is_some_and(|ms| ms <= 300_000));
    pass(2_000).await;
    assert_eq!(process.stats("ops").failing.as_deref(), Some("500"));
    let other = Desk::new(Answer::Unsure);
    process.dispatcher.set_receivers(receivers(&[("ops", &other)]));
    pass(1_000).await;
    assert_eq!(process.stats("ops").failing.as_deref(), Some("401"));
    *other.then.lock() = Answer::Take;
    pass(600_000).await;
    let stats = process.stats("ops");
    assert_eq!((stats.failing, stats.last_failure, stats.next_in_ms), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_dies_is_told_at_once_and_a_few_failures_are_not() {
    let ops = Desk::new(Answer::Take);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    ops.answers.lock().extend([Answer::Fail, Answer::Fail, Answer::Fail, Answer::Fail]);
    process.tell("ops", "a");
    pass(50_000).await;
    assert_eq!((ops.ids().len(), process.told.failing.lock().len()), (1, 0));
    ops.answers.lock().push_back(Answer::Refuse);
    process.tell("ops", "a");
    pass(10).await;
    assert_eq!(process.told.failing.lock()[..], [("ops".to_owned(), Some("404".to_owned()))]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_of_an_alert_is_known_with_its_turn() {
    let ops = Desk::new(Answer::Fail);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    for (conversation, id, alert) in [("a", "n1", "down#1"), ("a", "n2", "down#1"), ("b", "n3", "down#2")] {
        process.send(about(conversation, id, alert));
    }
    pass(5_000).await;
    let waiting = process.dispatcher.waiting("down#1");
    let (first, second) = (&waiting[0], &waiting[1]);
    assert_eq!((&*first.notice_id, &*second.notice_id, waiting.len()), ("n1", "n2", 2));
    assert!(first.failed > 0 && first.next_ms.is_some() && !first.in_flight, "{first:?}");
    let behind = Waiting { failed: 0, next_ms: None, notice_id: "n2".to_owned(), ..first.clone() };
    assert_eq!(*second, behind);
    *ops.then.lock() = Answer::Hang;
    pass(9_000).await;
    *ops.then.lock() = Answer::Take;
    pass(600_000).await;
    assert_eq!(process.dispatcher.waiting("down#1"), []);
}
