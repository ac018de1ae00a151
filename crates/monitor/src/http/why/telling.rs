//! What became of telling receivers of one alert, in words. Only what was seen to be taken counts as told: that a notice
//! was made is not enough.

use super::super::json::Time;
use super::delivery::{Delivery, WaitingNotice};
use super::text::{counted, lasting, time};
use farol_rules::ToldOf;

/// A line for each receiver at least, in the order of their names. Deliveries are given oldest first.
pub(super) fn of_alert(told: &[ToldOf], deliveries: &[Delivery], waiting: &[WaitingNotice]) -> Vec<String> {
    let mut told: Vec<&ToldOf> = told.iter().collect();
    // Of one that is told in several groups: that one in which it was told.
    told.sort_by_key(|told| (&told.to.receiver, told.told_ms.is_none()));
    told.dedup_by_key(|told| &told.to.receiver);
    told.into_iter().flat_map(|told| of_receiver(told, deliveries, waiting)).collect()
}

fn of_receiver(told: &ToldOf, deliveries: &[Delivery], waiting: &[WaitingNotice]) -> Vec<String> {
    let name = &*told.to.receiver;
    let mine = || deliveries.iter().filter(|delivery| delivery.receiver == name);
    let mut lines = Vec::new();
    if let Some(taken) = mine().find(|delivery| delivery.outcome == "sent") {
        lines.push(format!("`{name}` was told of it at {}.", time(taken.at)));
    }
    let last_sent = mine().rfind(|delivery| delivery.outcome == "sent").map(|delivery| delivery.at.0);
    let dead: Vec<&Delivery> = mine()
        .filter(|delivery| delivery.outcome == "dead" && last_sent.is_none_or(|at| delivery.at.0 > at))
        .collect();
    if let Some(last) = dead.last() {
        let (count, are) = (counted(dead.len(), "notice"), if dead.len() == 1 { "is" } else { "are" });
        let why = last.why.as_deref().unwrap_or("nobody took it");
        lines
            .push(format!("`{name}` was not told: {count} of it {are} dead since {}: {why}.", time(last.at)));
    }
    lines.extend(
        waiting.iter().filter(|notice| notice.receiver == name).map(|notice| of_waiting(name, notice)),
    );
    if lines.is_empty() {
        lines.push(match (told.told_ms, told.due_in_ms) {
            (Some(at), _) => format!(
                "`{name}`: a notice of it was made at {}; what became of it is not known any more.",
                time(Time(at))
            ),
            (None, Some(ms)) => format!("`{name}` is told of it in {}.", lasting(ms)),
            (None, None) => format!("`{name}` was not told of it."),
        });
    }
    lines
}

fn of_waiting(name: &str, notice: &WaitingNotice) -> String {
    let failed = match notice.failed {
        0 => String::new(),
        failed => format!(", {} failed", counted(failed as usize, "attempt")),
    };
    let turn = match notice.next {
        _ if notice.in_flight => "; it is on its way".to_owned(),
        Some(next) => format!("; next attempt at {}", time(next)),
        None => "; it goes after those before it".to_owned(),
    };
    format!("`{name}`: a notice waits since {}{failed}{turn}.", time(notice.since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_rules::{ConversationId, Labels};

    fn told(receiver: &str, told_ms: Option<i64>, due_in_ms: Option<u64>) -> ToldOf {
        ToldOf {
            to: ConversationId { receiver: receiver.into(), group: Labels::default() },
            told_ms,
            due_in_ms,
        }
    }

    fn delivery(receiver: &str, at_s: i64, outcome: &'static str) -> Delivery {
        Delivery {
            notification: "n".to_owned(),
            receiver: receiver.to_owned(),
            at: Time(at_s * 1_000),
            attempt: 1,
            outcome,
            why: (outcome != "sent").then(|| "400".to_owned()),
            next: None,
            took_ms: None,
            unrecorded: false,
        }
    }

    #[test]
    fn only_what_was_taken_was_told() {
        let waits = |receiver: &str, failed, next, in_flight| WaitingNotice {
            notification: "n".to_owned(),
            receiver: receiver.to_owned(),
            since: Time(2_000),
            failed,
            in_flight,
            next,
        };
        let at = "1970-01-01T00:00:0";
        for (told, deliveries, waiting, expected) in [
            (
                told("a", Some(1), None),
                vec![delivery("a", 3, "sent")],
                vec![],
                vec![format!("`a` was told of it at {at}3Z.")],
            ),
            (
                told("a", Some(1), None),
                vec![delivery("b", 3, "sent"), delivery("a", 4, "retry")],
                vec![waits("a", 5, Some(Time(9_000)), false)],
                vec![format!("`a`: a notice waits since {at}2Z, 5 attempts failed; next attempt at {at}9Z.")],
            ),
            (
                told("a", Some(1), None),
                vec![delivery("a", 3, "sent")],
                vec![waits("a", 1, None, true), waits("a", 0, None, false)],
                vec![
                    format!("`a` was told of it at {at}3Z."),
                    format!("`a`: a notice waits since {at}2Z, 1 attempt failed; it is on its way."),
                    format!("`a`: a notice waits since {at}2Z; it goes after those before it."),
                ],
            ),
            (
                told("a", Some(1), None),
                vec![delivery("a", 3, "dead"), delivery("a", 4, "dead")],
                vec![],
                vec![format!("`a` was not told: 2 notices of it are dead since {at}4Z: 400.")],
            ),
            (
                told("a", Some(1), None),
                vec![delivery("a", 3, "dead"), delivery("a", 4, "sent")],
                vec![],
                vec![format!("`a` was told of it at {at}4Z.")],
            ),
            (
                told("a", Some(1_000), None),
                vec![],
                vec![],
                vec![format!(
                    "`a`: a notice of it was made at {at}1Z; what became of it is not known any more."
                )],
            ),
            (told("a", None, Some(30_000)), vec![], vec![], vec!["`a` is told of it in 30s.".to_owned()]),
            (told("a", None, None), vec![], vec![], vec!["`a` was not told of it.".to_owned()]),
        ] {
            assert_eq!(of_alert(&[told], &deliveries, &waiting), expected);
        }
    }
}
