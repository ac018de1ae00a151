//! Every kind of receiver against a server that reads what it is sent: bodies, signatures, threads, what a failure
//! means, and that nothing in a label does any harm.

mod alertmanager;
mod email;
mod web;

use farol_config::{Map, Sources};
use farol_monitor::notify::egress::{Egress, Policy};
use farol_monitor::notify::receivers::Settings;
use farol_monitor::notify::{AlertWord, Failure, Listed, Message, Receiver, Why};
use farol_rules::{Labels, Severity};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What may stand in a label, or in what a check says.
const HOSTILE: &str = "{{ 7*7 }} ${HOME} <script>alert(1)</script> @channel <!everyone> \
                       \r\nBcc: evil@evil.test\r\n\r\n.\r\n \x1b[31mred \u{202e}gpj";

fn local() -> Egress {
    Egress::new(Policy { private: true, ..Policy::default() })
}

/// A receiver as the configuration makes it.
fn receiver(yaml: &str) -> Arc<dyn Receiver> {
    let tree = Sources::new().text("monitor.yaml", &format!("receiver: {yaml}\n")).load().unwrap();
    let read = |m: &mut Map<'_>| m.map("receiver", |m| Settings::read(m, &local())).flatten();
    let settings = tree.read(read).unwrap_or_else(|problems| panic!("{problems}")).unwrap();
    settings.build(&local()).unwrap()
}

fn alert(id: &str, pod: &str) -> AlertWord {
    AlertWord {
        alert_id: String::new(),
        id: id.to_owned(),
        rule: "cpu_high".into(),
        labels: Labels::from([("alertname", "cpu_high"), ("severity", "critical"), ("pod", pod)]),
        severity: Severity::Critical,
        ended: None,
        since_ms: now_ms() - 60_000,
        ended_ms: None,
        value: Some(92.5),
        annotations: BTreeMap::from([("summary".to_owned(), format!("CPU 92.5% on {pod}"))]),
        elements: Listed::from_iter([pod]),
        holds: Listed::default(),
        incident: None,
    }
}

fn message(notice: &str, alerts: Vec<AlertWord>) -> Message {
    Message {
        notice_id: notice.into(),
        conversation: "ops/cpu_high".into(),
        receiver: "ops".into(),
        why: Why::First,
        group: Labels::from([("alertname", "cpu_high")]),
        alerts,
        held_back: 0,
        others: 0,
        unrecorded: false,
        at_ms: now_ms(),
        external_url: Some("https://farol.test/".into()),
    }
}

/// The same, over.
fn over(message: &Message, notice: &str) -> Message {
    let mut over = Message { notice_id: notice.into(), why: Why::Resolved, ..message.clone() };
    for alert in &mut over.alerts {
        alert.ended = Some(farol_rules::Ending::Recovered);
        alert.ended_ms = Some(now_ms() - 1_000);
    }
    over
}

fn hostile() -> Message {
    let mut word = alert(HOSTILE, HOSTILE);
    word.rule = HOSTILE.into();
    word.annotations.insert("description".into(), HOSTILE.into());
    word.elements = Listed::from_iter([HOSTILE, HOSTILE]);
    let mut message = message(HOSTILE, vec![word]);
    message.group = Labels::from([("pod", HOSTILE)]);
    message.conversation = HOSTILE.into();
    message
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn is_retry(failure: &Failure) -> bool {
    matches!(failure, Failure::Retry { .. } | Failure::Unsure { .. })
}
