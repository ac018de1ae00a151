//! What mutes what, and until when.

use super::*;
use crate::{AlertId, Labels, Schedule, Severity};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::error::Error as _;

fn silence(id: &str, matchers: Value, starts_ms: i64, ends_ms: i64) -> Silence {
    serde_json::from_value(json!({
        "id": id, "matchers": matchers, "starts_ms": starts_ms, "ends_ms": ends_ms,
        "author": "ana", "reason": "disk swap", "created_ms": 0,
    }))
    .unwrap()
}

fn window(id: &str, matchers: Value, schedule: Value, ends_ms: Option<i64>) -> Window {
    serde_json::from_value(json!({
        "id": id, "name": "nightly", "matchers": matchers, "mode": "mute", "schedule": schedule,
        "author": "ana", "reason": "backups", "created_ms": 0, "ends_ms": ends_ms,
    }))
    .unwrap()
}

fn once(from_ms: i64, to_ms: i64) -> Value {
    json!({"once": {"from_ms": from_ms, "to_ms": to_ms}})
}

const HOUR: i64 = 3_600_000;

/// From 22:00 to 23:00 of each day, in milliseconds since the day began.
fn nightly() -> Value {
    json!({"recurring": {"zone": "UTC", "days": "daily", "at": "22:00", "lasts_ms": HOUR}})
}

#[test]
fn a_silence_holds_from_its_first_moment_up_to_its_last() {
    let one = silence("s", json!({"service": "pay"}), 10, 20);
    for (now, state, next) in [
        (9, SilenceState::Pending, Some(10)),
        (10, SilenceState::Active, Some(20)),
        (19, SilenceState::Active, Some(20)),
        (20, SilenceState::Expired, None),
    ] {
        assert_eq!((one.state(now), one.next_change(now)), (state, next), "{now}");
    }
}

#[test]
fn an_expired_silence_is_over_at_once_and_stays_so() {
    for (now, starts, ends) in [(5, 5, 5), (15, 10, 15), (30, 10, 20)] {
        let mut one = silence("s", json!({"service": "pay"}), 10, 20);
        one.expire(now);
        assert_eq!(
            (one.starts_ms, one.ends_ms, one.state(now)),
            (starts, ends, SilenceState::Expired),
            "{now}"
        );
        let before = one.clone();
        one.expire(now + 1);
        assert_eq!(one, before);
    }
}

#[test]
fn an_acknowledgement_is_for_one_episode_one_severity_and_its_time() {
    let alert = AlertId { rule: "cpu".into(), labels: Labels::from([("agent", "a")]) };
    let mut one = Acknowledgement {
        alert,
        episode_ms: 5,
        severity: Severity::Warning,
        author: "ana".into(),
        reason: "on it".into(),
        at_ms: 6,
        ends_ms: Some(20),
    };
    assert_eq!(one.check(), Ok(()));
    use {Acknowledged::*, Severity::*};
    for (episode, severity, now, state) in [
        (5, Warning, 19, Holds),
        (5, Warning, 20, Ended),
        (5, Critical, 19, Raised),
        (6, Warning, 19, OtherEpisode),
        (4, Critical, 30, OtherEpisode),
    ] {
        assert_eq!(one.state(episode, severity, now), state, "{episode} {severity} {now}");
        assert_eq!(one.holds(episode, severity, now), state == Holds);
    }
    assert_eq!((one.next_change(19), one.next_change(20)), (Some(20), None));
    one.severity = Critical;
    assert!(one.holds(5, Warning, 19) && one.holds(5, Critical, 19));
    one.ends_ms = None;
    assert!(one.holds(5, Critical, i64::MAX));
    one.ends_ms = Some(6);
    assert_eq!(one.check(), Err(MuteError::Past));
    one.ends_ms = None;
    one.author = " ".into();
    assert_eq!(one.check(), Err(MuteError::Missing("author")));
    let text = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<Acknowledgement>(&text).unwrap(), one);
}

#[test]
fn a_window_holds_while_its_schedule_does_and_not_after_its_end() {
    let at = |hour: i64| hour * HOUR;
    let window = window("w", json!({"agent": "a"}), nightly(), Some(at(46) + 1));
    assert_eq!(window.check(), Ok(()));
    for (now, from_to, next) in [
        (at(21), None, Some(at(22))),
        (at(22), Some((22, at(23))), Some(at(23))),
        (at(23), None, Some(at(46))),
        (at(46), Some((46, at(46) + 1)), Some(at(46) + 1)),
        (at(46) + 1, None, None),
    ] {
        let span = window.span(now).map(|span| (span.from_ms / HOUR, span.to_ms));
        assert_eq!((span, window.next_change(now)), (from_to, next), "{now}");
        assert_eq!(window.is_over(now), next.is_none());
    }
}

#[test]
fn an_ended_window_never_comes_again() {
    for (now, ends) in [(5, 5), (22 * HOUR + 5, 22 * HOUR + 5), (90 * HOUR, 50 * HOUR)] {
        let mut window = window("w", json!({"agent": "a"}), nightly(), Some(50 * HOUR));
        window.end(now);
        assert_eq!((window.ends_ms, window.is_over(now)), (Some(ends), true), "{now}");
    }
}

#[test]
fn of_several_the_one_that_holds_longest_is_told() {
    let labels = Labels::from([("agent", "a"), ("service", "pay")]);
    let silences = [
        silence("s1", json!({"service": "pay"}), 0, 20),
        silence("s2", json!({"service": "~p.*", "agent": "!b"}), 5, 30),
        silence("s3", json!({"service": "other"}), 0, 90),
        silence("s4", json!({"pod": "x"}), 0, 90),
    ];
    let windows = [
        window("w1", json!({"agent": "a"}), once(25, 40), None),
        window("w2", json!({"agent": "b"}), once(0, 99), None),
    ];
    let silence_is = |id: &str, until_ms| Some(Muted { by: MutedBy::Silence(id.into()), until_ms });
    for (now, expected, next) in [
        (-1, None, Some(0)),
        (0, silence_is("s1", 20), Some(5)),
        (5, silence_is("s2", 30), Some(20)),
        (24, silence_is("s2", 30), Some(25)),
        (25, Some(Muted { by: MutedBy::Window("w1".into()), until_ms: 40 }), Some(30)),
        (40, None, Some(90)),
        (90, None, Some(99)),
        (99, None, None),
    ] {
        assert_eq!(muted(&labels, now, &silences, &windows), expected, "{now}");
        assert_eq!(next_mute_change(now, &silences, &windows), next, "{now}");
    }
    assert!(InForce::at(99, &silences, &windows).is_empty());
    assert!(!InForce::at(0, &silences, &windows).is_empty());
}

/// A change to a good silence, and the error it brings.
type Wrong = (fn(&mut Silence), MuteError);

#[test]
fn what_is_wrong_with_a_silence_is_said() {
    let good = silence("s", json!({"service": "pay"}), 10, 20);
    assert_eq!(good.check(), Ok(()));
    let wrongs: &[Wrong] = &[
        (|s| s.ends_ms = 10, MuteError::Backwards),
        (|s| s.created_ms = 20, MuteError::Past),
        (|s| s.matchers.clear(), MuteError::MatchesAll),
        (|s| s.author = String::new(), MuteError::Missing("author")),
        (|s| s.reason = " \n".into(), MuteError::Missing("reason")),
        (|s| s.author = "ä".repeat(257), MuteError::TooLong { field: "author", chars: 257, most: 256 }),
        (|s| s.reason = "ä".repeat(1001), MuteError::TooLong { field: "reason", chars: 1001, most: 1000 }),
        (|s| s.author = "ana\nbob".into(), MuteError::Unshowable("author")),
        (|s| s.reason = "\u{1b}[2J".into(), MuteError::Unshowable("reason")),
        (|s| s.ends_ms = i64::MAX, MuteError::Time(CalendarError::OutOfRange(i64::MAX))),
    ];
    for (change, error) in wrongs {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(bad.check().as_ref(), Err(error));
    }
    let mut fits = good;
    (fits.author, fits.reason) = ("ä".repeat(256), format!("{}\nmore", "ä".repeat(995)));
    assert_eq!(fits.check(), Ok(()));
}

#[test]
fn what_would_match_everything_is_refused() {
    for (matchers, right) in [
        (json!({}), false),
        (json!({"service": "!pay"}), false),
        (json!({"service": "!~pay", "agent": "!a"}), false),
        (json!({"service": "!pay", "agent": "a"}), true),
        (json!({"service": "~.*"}), true),
        (json!({"alertname": "~.*"}), false),
        (json!({"alertname": "~.+"}), false),
        (json!({"alertname": "~[a-z_]+"}), false),
        (json!({"alertname": "~.*", "service": "!pay"}), false),
        (json!({"alertname": "~.*", "service": "pay"}), true),
        (json!({"alertname": "!down"}), false),
        (json!({"alertname": "down"}), true),
        (json!({"alertname": "~host_.*|.*_lost"}), true),
        (json!({"severity": "~critical|warning"}), false),
        (json!({"severity": "warning"}), false),
        (json!({"severity": "warning", "cluster": "eu"}), true),
    ] {
        let checked = silence("s", matchers.clone(), 10, 20).check();
        assert_eq!(checked.is_ok(), right, "{matchers}: {checked:?}");
        let checked = window("w", matchers.clone(), once(10, 20), None).check();
        assert_eq!(checked.is_ok(), right, "{matchers}: {checked:?}");
    }
    let many: serde_json::Map<String, Value> = (0..33).map(|n| (format!("l{n}"), json!("x"))).collect();
    let texts = serde_json::from_value(Value::Object(many)).unwrap();
    assert_eq!(read_matchers(&texts), Err(MuteError::TooManyMatchers(33)));
    let wrong = read_matchers(&[("pod".to_owned(), "~(".to_owned())].into()).unwrap_err();
    assert!(
        wrong.to_string().contains("`pod`") && wrong.source().unwrap().to_string().contains("`(`"),
        "{wrong}"
    );
}

#[test]
fn what_is_wrong_with_a_window_is_said() {
    let check = |schedule: Value, ends_ms: Option<i64>, change: fn(&mut Window)| {
        let mut window = window("w", json!({"agent": "a"}), schedule, ends_ms);
        window.created_ms = 100;
        change(&mut window);
        window.check()
    };
    assert_eq!(check(once(90, 110), None, |_| ()), Ok(()));
    assert_eq!(check(once(90, 100), None, |_| ()), Err(MuteError::Past));
    assert_eq!(check(once(110, 120), Some(110), |_| ()), Err(MuteError::Past));
    assert_eq!(check(once(110, 120), Some(111), |_| ()), Ok(()));
    assert_eq!(check(nightly(), Some(101), |_| ()), Err(MuteError::Past));
    assert_eq!(check(once(120, 110), None, |_| ()), Err(MuteError::Schedule(CalendarError::Backwards)));
    assert_eq!(check(nightly(), None, |w| w.name = "".into()), Err(MuteError::Missing("name")));
    assert_eq!(check(nightly(), None, |w| w.reason.clear()), Err(MuteError::Missing("reason")));
    assert_eq!(check(nightly(), None, |w| w.matchers.clear()), Err(MuteError::MatchesAll));
}

#[test]
fn there_is_room_up_to_the_most() {
    assert_eq!(room_for_mute(MUTES_AT_MOST - 1), Ok(()));
    assert_eq!(room_for_mute(MUTES_AT_MOST), Err(MuteError::TooMany));
}

#[test]
fn they_read_back_as_they_were_written() {
    let one = silence("s", json!({"service": "~p|q", "agent": "!b", "pod": "!~x.*", "zone": ""}), 1, 2);
    let text = serde_json::to_string(&one).unwrap();
    assert!(text.contains(r#""matchers":{"agent":"!b","pod":"!~x.*","service":"~p|q","zone":""}"#), "{text}");
    assert_eq!(serde_json::from_str::<Silence>(&text).unwrap(), one);
    let one = window("w", json!({"agent": "a"}), nightly(), None);
    let text = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<Window>(&text).unwrap(), one);
    assert!(matches!(one.schedule, Schedule::Recurring(_)));
}

proptest! {
    /// A sweep only at the changes that are told sees the same as one at each moment.
    #[test]
    fn between_two_changes_no_answer_changes(
        silences in prop::collection::vec((0..40_i64, 0..20_i64, 0..3_u8), 0..6),
        windows in prop::collection::vec((0..40_i64, 1..20_i64, prop::option::of(0..60_i64), 0..3_u8), 0..6),
    ) {
        let of = |agent: u8| json!({"agent": format!("a{agent}")});
        let silences: Vec<Silence> =
            silences.iter().map(|(from, lasts, agent)| silence("s", of(*agent), *from, from + lasts)).collect();
        let windows: Vec<Window> = windows
            .iter()
            .map(|(from, lasts, ends, agent)| window("w", of(*agent), once(*from, from + lasts), *ends))
            .collect();
        let answers = |now| -> Vec<bool> {
            let force = InForce::at(now, &silences, &windows);
            (0..3).map(|n| force.muted(&Labels::from([("agent", &*format!("a{n}"))])).is_some()).collect()
        };
        let mut due = next_mute_change(-1, &silences, &windows);
        for now in 0..80_i64 {
            if due == Some(now) {
                due = next_mute_change(now, &silences, &windows);
                prop_assert!(due.is_none_or(|due| due > now));
            } else {
                prop_assert_eq!(answers(now), answers(now - 1), "{}", now);
            }
            for (n, held) in answers(now).into_iter().enumerate() {
                let labels = Labels::from([("agent", &*format!("a{n}"))]);
                let by_silence = silences.iter().any(|s| s.starts_ms <= now && now < s.ends_ms && s.matches(&labels));
                let by_window = windows.iter().any(|w| {
                    let Schedule::Once { from_ms, to_ms } = w.schedule else { return false };
                    from_ms <= now && now < to_ms.min(w.ends_ms.unwrap_or(to_ms)) && w.matches(&labels)
                });
                prop_assert_eq!(held, by_silence || by_window, "{} a{}", now, n);
            }
        }
        prop_assert_eq!(due, None);
    }
}
