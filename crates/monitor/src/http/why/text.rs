//! Explanations in plain words, line by line.

use super::super::alerts::Muting;
use super::super::json::Time;
use super::delivery::Delivery;
use super::element::RuleWhy;
use super::receiver::ReceiverWhy;
use farol_rules::AlertShown;
use std::collections::BTreeSet;

pub(super) fn time(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.0).map(|at| format!("{at:.0}")).unwrap_or_default()
}

/// `1m 30s`, `45s`, `250ms`.
pub(super) fn lasting(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0 if ms > 0 => format!("{ms}ms"),
        0..60 => format!("{s}s"),
        60..3_600 if s.is_multiple_of(60) => format!("{}m", s / 60),
        60..3_600 => format!("{}m {}s", s / 60, s % 60),
        _ if (s / 60).is_multiple_of(60) => format!("{}h", s / 3_600),
        _ => format!("{}h {}m", s / 3_600, s / 60 % 60),
    }
}

/// `1 notice`, `2 notices`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What is said of an alert as a whole.
pub(super) fn of_alert(alert: &AlertShown) -> Vec<String> {
    let view = &alert.view;
    let mut lines = Vec::new();
    if let Some((ending, at_ms)) = view.ended {
        lines.push(format!("It ended at {}: {}.", time(Time(at_ms)), ending.as_str()));
    }
    lines.push(format!("{}.", counted(view.elements_count, "element")));
    if view.holds_count > 0 {
        lines.push(format!("It holds back {}.", counted(view.holds_count, "other alert")));
    }
    if let Some(ack) = &alert.acknowledged {
        lines.push(format!("{} takes care of it: {}.", ack.author, ack.reason));
    }
    lines
}

/// What is missing among the attempts for an alert that fired before the monitor started.
pub(super) fn of_restart(since_ms: i64, started_ms: i64) -> Option<String> {
    (since_ms < started_ms).then(|| {
        format!(
            "Attempts are counted and listed since the monitor's start at {}; of notices that were over before, only \
             their end is known.",
            time(Time(started_ms))
        )
    })
}

/// Gives each its words. The attempts to tell of an alert stand once, whatever number of its elements there are, and not
/// at all where they are `said` elsewhere.
pub(super) fn of_rules(rules: &mut [RuleWhy], said: Option<String>) {
    let mut said: BTreeSet<String> = said.into_iter().collect();
    for rule in rules {
        rule.text = of_rule(rule);
        if rule.word.as_ref().is_some_and(|word| said.insert(word.clone())) {
            let attempts = rule.deliveries.iter().map(|delivery| format!("  {}", of_delivery(delivery)));
            rule.text.extend(attempts);
        }
    }
}

/// What one rule says of one element, without the attempts to tell of it.
fn of_rule(why: &RuleWhy) -> Vec<String> {
    let mut lines = vec![format!("Rule `{}` on {}: {}", why.rule, why.labels, verdict(why))];
    let mut line = |text: String| lines.push(format!("  {text}"));
    for no in &why.unmatched {
        let is = no.is.as_ref().map_or_else(|| "missing".to_owned(), |is| format!("`{is}`"));
        line(format!("It looks only where `{}` is `{}`; here it is {is}.", no.label, no.pattern));
    }
    if !why.unmatched.is_empty() {
        return lines;
    }
    if let Some(what) = found(why) {
        line(what);
    }
    if let Some(no_evidence) = why.no_evidence {
        line(format!("Nothing is known of it now: {no_evidence}. That begins nothing and ends nothing."));
    } else if why.stale {
        line(
            "Nothing was heard of it for too long: its timers stand still, and nothing ends by that."
                .to_owned(),
        );
    }
    if why.flapping {
        line("It is flapping: it fires until it is steady.".to_owned());
    }
    if why.changes > 0 && why.flapping_changes > 0 {
        let (changes, within) = (counted(why.changes, "time"), lasting(why.flapping_within_ms));
        line(format!("It changed {changes} in {within}; {} are flapping.", why.flapping_changes));
    }
    for by in &why.held_by {
        line(format!("It is held back by {by}."));
    }
    if let Some(Muting { by, author, reason, until, others }) = &why.muted {
        let more = if *others == 0 { String::new() } else { format!(", and by {others} more") };
        line(format!("It is muted by {by} until {}{more}. {author}: {reason}", time(*until)));
    }
    if let Some(by) = &why.acknowledged_by {
        line(format!("{by} takes care of its alert."));
    }
    let would = if why.verdict == "firing" { "It goes to" } else { "It would go to" };
    for route in &why.routes {
        line(format!(
            "{would} `{}` by `{}`, told together with {}.",
            route.receiver, route.path, route.group
        ));
    }
    lines
}

fn verdict(why: &RuleWhy) -> String {
    let severity = why.severity.unwrap_or_default();
    let since = why.since.map(time).unwrap_or_default();
    match why.verdict {
        "firing" => match why.clear_ms {
            Some(clear_ms) if why.keep_firing_for_ms > 0 => format!(
                "fires, {severity}, since {since}; it is well for {} of {}",
                lasting(clear_ms),
                lasting(why.keep_firing_for_ms)
            ),
            _ => format!("fires, {severity}, since {since}"),
        },
        "pending" => format!(
            "is about to fire, {severity}: bad since {since}, counted {} of {}",
            lasting(why.held_ms.unwrap_or(0)),
            lasting(why.for_ms)
        ),
        "no_evidence" => "does not fire: there is no evidence".to_owned(),
        "not_matched" => "does not look at it".to_owned(),
        _ => "does not fire: nothing bad was seen".to_owned(),
    }
}

/// What was seen, beside what is bad.
fn found(why: &RuleWhy) -> Option<String> {
    let bad = if why.bad.is_empty() { String::new() } else { format!("; bad is: {}", why.bad.join(", ")) };
    let what = match (why.value, &why.status) {
        (Some(value), _) => format!("Its value is {value}"),
        (None, Some(status)) => format!("It is {status}"),
        (None, None) => return None,
    };
    let message = why.message.as_ref().filter(|message| !message.is_empty());
    let message = message.map(|message| format!(" ({message})")).unwrap_or_default();
    Some(format!("{what}{message}{bad}."))
}

/// An attempt to tell of it.
pub(super) fn of_delivery(delivery: &Delivery) -> String {
    let Delivery { receiver, attempt, outcome, .. } = delivery;
    let why = delivery.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    let next = delivery.next.map(|next| format!("; next attempt at {}", time(next))).unwrap_or_default();
    let unrecorded = if delivery.unrecorded { "; the store had not taken it" } else { "" };
    format!("{} to `{receiver}`, attempt {attempt}: {outcome}{why}{next}{unrecorded}", time(delivery.at))
}

/// How a receiver does.
pub(super) fn of_receiver(why: &ReceiverWhy) -> Vec<String> {
    let mut lines = vec![format!(
        "Receiver {}: {} sent, {} failed, {} dead since the start",
        why.receiver,
        why.sent,
        counted(usize::try_from(why.failed).unwrap_or(usize::MAX), "attempt"),
        why.dead
    )];
    let is_shared = *why.peers != [why.receiver.as_str()];
    if is_shared {
        lines.push(format!("It stands for {}.", why.peers.join(", ")));
    }
    let last = why.last_failed.map(|at| format!(" at {}", time(at))).unwrap_or_default();
    match (&why.failing, &why.last_failure) {
        (Some(failing), _) => lines.push(format!("It is failing; the last attempt{last}: {failing}.")),
        (None, Some(failure)) => lines.push(format!("It did not take the last attempt{last}: {failure}.")),
        (None, None) => {}
    }
    if why.waiting > 0 {
        let oldest = why.oldest_ms.map(|ms| format!("; the oldest for {}", lasting(ms))).unwrap_or_default();
        let (count, wait) = (counted(why.waiting, "notice"), if why.waiting == 1 { "waits" } else { "wait" });
        let next = why.next.map(|next| format!("; next attempt at {}", time(next))).unwrap_or_default();
        lines.push(format!("{count} {wait} for it{oldest}{next}."));
    }
    if why.conversations.is_empty() {
        lines.push("No alert goes to it now.".to_owned());
    }
    for talk in &why.conversations {
        let next = talk.next.map(|next| format!("; next notice made at {}", time(next))).unwrap_or_default();
        let to = if is_shared { format!("{}: ", talk.receiver) } else { String::new() };
        lines.push(format!(
            "{to}{} by `{}`: {} in its notices{next}",
            talk.group,
            talk.route,
            counted(talk.told, "alert")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::why::element::Unmatched;
    use farol_rules::Labels;

    #[test]
    fn durations_are_short() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (45_000, "45s"),
            (90_000, "1m 30s"),
            (120_000, "2m"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(lasting(ms), text);
        }
    }

    #[test]
    fn the_attempts_to_tell_of_an_alert_stand_once_and_not_where_they_are_said_elsewhere() {
        let element = |word: &str| RuleWhy {
            word: Some(word.to_owned()),
            verdict: "firing",
            deliveries: vec![Delivery {
                notification: "n".to_owned(),
                receiver: "ops".to_owned(),
                at: Time(0),
                attempt: 1,
                outcome: "sent",
                why: None,
                next: None,
                took_ms: None,
                unrecorded: false,
            }],
            ..RuleWhy::default()
        };
        let mut rules = [element("a"), element("a"), element("b"), element("c")];
        of_rules(&mut rules, Some("b".to_owned()));
        let attempts = |rule: &RuleWhy| rule.text.iter().filter(|line| line.contains("to `ops`")).count();
        assert_eq!(rules.iter().map(attempts).collect::<Vec<_>>(), [1, 0, 0, 1]);
    }

    #[test]
    fn what_came_before_the_start_is_said_to_be_missing() {
        assert_eq!(of_restart(5_000, 5_000), None);
        assert!(of_restart(4_999, 5_000).is_some_and(|line| line.contains("start at 1970-01-01T00:00:05Z")));
        assert_eq!((counted(1, "notice"), counted(0, "notice")), ("1 notice".into(), "0 notices".into()));
    }

    #[test]
    fn a_receiver_that_fails_says_why_it_did_the_last_time_and_when_it_is_tried_next() {
        let why = ReceiverWhy {
            receiver: "ops".to_owned(),
            peers: vec!["ops".to_owned()],
            waiting: 1,
            in_flight: 0,
            oldest_ms: Some(3_000),
            sent: 0,
            failed: 1,
            dead: 0,
            failing: None,
            last_failure: Some("500".to_owned()),
            last_failed: Some(Time(1_000)),
            next: Some(Time(4_000)),
            conversations: Vec::new(),
            text: Vec::new(),
        };
        let lines = of_receiver(&why);
        assert_eq!(lines[0], "Receiver ops: 0 sent, 1 attempt failed, 0 dead since the start");
        assert_eq!(lines[1], "It did not take the last attempt at 1970-01-01T00:00:01Z: 500.");
        assert_eq!(
            lines[2],
            "1 notice waits for it; the oldest for 3s; next attempt at 1970-01-01T00:00:04Z."
        );
        let why = ReceiverWhy { failing: Some("400".to_owned()), waiting: 2, ..why };
        let lines = of_receiver(&why);
        assert_eq!(lines[1], "It is failing; the last attempt at 1970-01-01T00:00:01Z: 400.");
        assert!(lines[2].starts_with("2 notices wait for it;"), "{lines:?}");
    }

    #[test]
    fn a_rule_that_does_not_fire_says_why_and_one_that_waits_for_how_long() {
        let why = RuleWhy {
            rule: "cpu".into(),
            labels: Labels::from([("agent", "a")]),
            bad: vec!["critical > 85".to_owned()],
            value: Some(91.0),
            for_ms: 60_000,
            held_ms: Some(12_000),
            severity: Some("critical"),
            since: Some(Time(0)),
            verdict: "pending",
            ..RuleWhy::default()
        };
        let lines = of_rule(&why);
        assert!(lines[0].contains("counted 12s of 1m"), "{lines:?}");
        assert_eq!(lines[1], "  Its value is 91; bad is: critical > 85.");
        let no = Unmatched { label: "cluster".to_owned(), pattern: "us".to_owned(), is: None };
        let why = RuleWhy { verdict: "not_matched", unmatched: vec![no], ..why };
        assert_eq!(of_rule(&why)[1], "  It looks only where `cluster` is `us`; here it is missing.");
        assert_eq!(of_rule(&why).len(), 2);
    }
}
