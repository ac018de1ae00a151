//! What a monitor does not take: refused definitions, its limits, and the length of its messages.

use super::*;

#[test]
fn what_a_monitor_refuses_is_retired_and_offered_again_on_the_next_stream() {
    let mut life = Life::new(vec!["a", "b"], 1 << 20);
    life.result(0, Status::Healthy, &[(1, 1.0), (2, 1.0)]);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    let series = life.heard.set.series_ids("figure_1");
    let component = life.heard.set.component_id("b").unwrap();
    life.feed().refuse(&series, &[component]);
    life.report(Made::Key);
    life.flow(9, 1 << 20);
    assert_eq!((life.heard.set.series_ids("figure_1"), life.heard.set.component_id("b")), (vec![], None));
    life.result(0, Status::Healthy, &[(1, 1.0), (2, 1.0)]);
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    let last = life.heard.rows.last().unwrap();
    assert!(!last.2.keys().any(|(name, _)| name == "figure_1"), "{last:?}");
    assert!(last.2.keys().any(|(name, _)| name == "figure_2"));
    let opening = life.feed().open(&life.snapshot, 0, &[], &WireLimits::default());
    life.heard = Understanding::new();
    opening.messages.into_iter().for_each(|kind| life.heard.take(kind));
    assert!(life.heard.set.component_id("b").is_some());
    let lost = life.heard.dropped.clone();
    assert_eq!(lost.len(), 1, "the segments with what was refused can never be taken: {lost:?}");
}

#[test]
fn what_a_monitor_refused_is_offered_again_after_a_reload() {
    let mut life = Life::new(vec!["a", "b"], 1 << 20);
    life.result(0, Status::Healthy, &[(1, 1.0)]);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    let component = life.heard.set.component_id("b").unwrap();
    life.feed().refuse(&life.heard.set.series_ids("figure_1"), &[component]);
    life.report(Made::Key);
    life.flow(9, 1 << 20);
    assert_eq!((life.heard.set.series_ids("figure_1"), life.heard.set.component_id("b")), (vec![], None));
    life.set_checks(vec!["a", "b"], "shop");
    life.result(0, Status::Healthy, &[(1, 1.0)]);
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    assert_eq!(life.heard.set.series_ids("figure_1").len(), 1);
    assert!(life.heard.statuses.contains_key("b"));
}

/// The figures of the last row heard, by number.
fn last_figures(life: &Life) -> Vec<(String, f64)> {
    let (_, _, row) = life.heard.rows.last().unwrap();
    let figures = row.iter().filter_map(|((name, _), value)| Some((name.strip_prefix("figure_")?, *value)));
    figures.map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn rows_that_wait_when_a_series_is_refused_keep_their_figures_under_their_names() {
    let mut life = Life::new(vec!["a"], 1 << 20);
    life.result(0, Status::Healthy, &[(1, 1.0), (2, 2.0), (3, 3.0)]);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    life.result(0, Status::Healthy, &[(1, 11.0), (2, 22.0), (3, 33.0)]);
    let refused = life.heard.set.series_ids("figure_1");
    life.feed().refuse(&refused, &[]);
    life.report(Made::Key);
    life.flow(9, 1 << 20);
    assert_eq!(last_figures(&life), [("2".to_owned(), 22.0), ("3".to_owned(), 33.0)]);
    assert_eq!(life.recorder.counts().samples_dropped, 1, "the waiting figure that was refused");
}

#[test]
fn a_series_that_comes_after_a_refusal_leaves_waiting_rows_as_they_are() {
    let mut life = Life::new(vec!["a"], 1 << 20);
    life.result(0, Status::Healthy, &[(1, 1.0), (2, 2.0), (3, 3.0)]);
    life.report(Made::Tick);
    life.open(0);
    life.flow(9, 1 << 20);
    let refused = life.heard.set.series_ids("figure_1");
    life.feed().refuse(&refused, &[]);
    life.report(Made::Key);
    life.flow(9, 1 << 20);
    life.result(0, Status::Healthy, &[(2, 22.0), (3, 33.0)]);
    life.now_ms += 1;
    life.result(0, Status::Healthy, &[(2, 22.0), (3, 33.0), (4, 44.0)]);
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    let rows = life.heard.rows.len();
    assert_eq!(life.heard.rows[rows - 2..], life.truth[life.truth.len() - 2..]);
}

#[test]
fn what_waits_of_a_series_over_a_monitors_limit_is_counted_as_dropped() {
    let mut life = Life::new(vec!["a"], 1 << 20);
    life.system(&[1.0]);
    life.result(0, Status::Healthy, &[(1, 1.0), (2, 2.0)]);
    life.report(Made::Tick);
    // Another series of the machine's comes last: it is over the limit, and so is its waiting value.
    life.system(&[11.0, 22.0]);
    let small = WireLimits { max_series: 5, ..WireLimits::default() };
    let opening = life.feed().open(&life.snapshot, 1, &[], &small);
    opening.messages.into_iter().for_each(|kind| life.heard.take(kind));
    life.cursor = opening.cursor;
    life.system(&[111.0, 222.0]);
    life.report(Made::Tick);
    life.flow(9, 1 << 20);
    let heard: Vec<Vec<f64>> = life.heard.rows.iter().map(|row| row.2.values().copied().collect()).collect();
    assert_eq!(heard, [[11.0], [111.0]]);
    assert_eq!(life.recorder.counts().samples_dropped, 2, "the waiting one is counted as well");
}

#[test]
fn a_monitor_with_smaller_limits_gets_as_much_as_it_takes() {
    let mut life = Life::new(vec!["a", "b", "c", "d"], 1 << 20);
    for at in 0..4 {
        life.result(at, Status::Healthy, &[(1, 1.0), (2, 2.0), (3, 3.0)]);
    }
    life.report(Made::Tick);
    let small = WireLimits { max_series: 7, max_components: 3, ..WireLimits::default() };
    let opening = life.feed().open(&life.snapshot, 0, &[], &small);
    opening.messages.into_iter().for_each(|kind| life.heard.take(kind));
    assert_eq!(life.heard.set.components.len(), 2, "with the collectors' source there are three");
    assert!(life.recorder.counts().series <= 7);
    assert_eq!(life.heard.dropped, [(1, 1)], "the report from before is over the limits");
    assert_eq!(life.feed().backlog(opening.cursor, 1 << 20), Piece::Nothing);
}

#[test]
fn a_thousand_long_messages_are_shortened_to_what_a_message_holds() {
    // With the collectors' source as many as a monitor takes.
    let names: Vec<&'static str> = (0..999).map(|n| &*format!("component-{n}").leak()).collect();
    let mut life = Life::new(names, 8 << 20);
    for view in &mut life.snapshot.components {
        let view = Arc::make_mut(view);
        (view.hard, view.reason) = (Status::Unhealthy, "r".repeat(limits::REASON_BYTES).into());
        view.message = "m".repeat(limits::MESSAGE_BYTES).into();
    }
    let whole = |life: &Life, what: &str| {
        assert_eq!(life.heard.statuses.len(), 999, "{what}");
        for status in life.heard.statuses.values() {
            assert_eq!((status.hard, status.reason.len()), (4, limits::REASON_BYTES), "{what}");
            assert!(status.message.len() > 300, "{what}: {} bytes", status.message.len());
        }
    };
    life.report(Made::Tick);
    // `take` refuses what is longer than a message may be.
    life.open(0);
    whole(&life, "State");
    life.flow(9, (1 << 20) - (4 << 10));
    assert_eq!((life.heard.seqs.as_slice(), life.heard.dropped.len()), ([1].as_slice(), 0), "the backlog");
    life.report(Made::Key);
    life.heard.statuses.clear();
    life.flow(9, 1 << 20);
    whole(&life, "a key report");
}
