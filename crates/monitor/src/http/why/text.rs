//! Explanations in plain words, line by line.

use super::super::json::Time;
use super::delivery::Delivery;
use super::element::RuleWhy;
use super::receiver::ReceiverWhy;
use farol_rules::AlertShown;

fn time(time: Time) -> String {
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

/// What is said of an alert as a whole.
pub(super) fn of_alert(alert: &AlertShown) -> Vec<String> {
    let view = &alert.view;
    let mut lines = Vec::new();
    if let Some((ending, at_ms)) = view.ended {
        lines.push(format!("It ended at {}: {}.", time(Time(at_ms)), ending.as_str()));
    }
    let count = view.elements_count;
    lines.push(format!("{count} element{}.", if count == 1 { "" } else { "s" }));
    if view.holds_count > 0 {
        lines.push(format!("It holds back {} other alerts.", view.holds_count));
    }
    if let Some(ack) = &alert.acknowledged {
        lines.push(format!("{} takes care of it: {}.", ack.author, ack.reason));
    }
    for told in &alert.told {
        let receiver = &told.to.receiver;
        lines.push(match (told.told_ms, told.due_in_ms) {
            (Some(at), _) => format!("`{receiver}` was told of it at {}.", time(Time(at))),
            (None, Some(ms)) => format!("`{receiver}` is told of it in {}.", lasting(ms)),
            (None, None) => format!("`{receiver}` was not told of it."),
        });
    }
    lines
}

/// What one rule says of one element.
pub(super) fn of_rule(why: &RuleWhy) -> Vec<String> {
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
        let (changes, within) = (why.changes, lasting(why.flapping_within_ms));
        line(format!("It changed {changes} times in {within}; {} are flapping.", why.flapping_changes));
    }
    for by in &why.held_by {
        line(format!("It is held back by {by}."));
    }
    if let Some(by) = &why.muted_by {
        line(format!("It is muted by {by}."));
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
    lines.extend(why.deliveries.iter().map(|delivery| format!("  {}", of_delivery(delivery))));
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
        "Receiver {}: {} sent, {} attempts failed, {} dead since the start",
        why.receiver, why.sent, why.failed, why.dead
    )];
    let is_shared = *why.peers != [why.receiver.as_str()];
    if is_shared {
        lines.push(format!("It stands for {}.", why.peers.join(", ")));
    }
    if let Some(failing) = &why.failing {
        lines.push(format!("It is failing: {failing}."));
    }
    if why.waiting > 0 {
        let oldest = why.oldest_ms.map(|ms| format!("; the oldest for {}", lasting(ms))).unwrap_or_default();
        lines.push(format!("{} notices wait for it{oldest}.", why.waiting));
    }
    if why.conversations.is_empty() {
        lines.push("No alert goes to it now.".to_owned());
    }
    for talk in &why.conversations {
        let next = talk.next.map(|next| format!("; next at {}", time(next))).unwrap_or_default();
        let to = if is_shared { format!("{}: ", talk.receiver) } else { String::new() };
        lines.push(format!("{to}{} by `{}`: {} alerts told{next}", talk.group, talk.route, talk.told));
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
