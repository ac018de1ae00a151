//! A real Alertmanager takes alerts, keeps them and lets them end.

use super::{HOSTILE, alert, hostile, is_retry, message, over, receiver};
use farol_monitor::notify::{Sent, Why};
use farol_rules::{Labels, Severity};
use farol_tests::alertmanager::Alertmanager;
use farol_tests::http_sink::{Answer, HttpSink};
use farol_tests::wait::until;
use serde_json::Value;
use std::time::Duration;

async fn active(alertmanager: &Alertmanager) -> Vec<Value> {
    alertmanager.alerts().await.unwrap()
}

#[tokio::test]
async fn a_real_alertmanager_shows_our_alerts_and_lets_them_end() {
    let server = Alertmanager::start().await.unwrap();
    let receiver = receiver(&format!("{{alertmanager: {{urls: [\"{}\"]}}}}", server.url("")));
    let first = message("n1", vec![alert("a", "pay-1"), alert("b", "pay-2")]);
    assert_eq!(receiver.send(&first).await, Ok(Sent::default()));
    receiver.send(&first).await.unwrap();
    let found = active(&server).await;
    assert_eq!(found.len(), 2, "twice the same is once: {found:?}");
    let one = found.iter().find(|alert| alert["labels"]["pod"] == "pay-1").unwrap();
    assert_eq!(one["labels"]["alertname"], "cpu_high");
    assert_eq!(one["annotations"]["summary"], "CPU 92.5% on pay-1");
    let ends: jiff::Timestamp = one["endsAt"].as_str().unwrap().parse().unwrap();
    let hours = ends.duration_since(jiff::Timestamp::now()).as_hours();
    assert_eq!(hours, 7 * 24 - 1, "it does not end by itself while we say nothing");
    receiver.send(&over(&first, "n2")).await.unwrap();
    until("the alerts' end", Duration::from_secs(10), || async { active(&server).await.is_empty() })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_alert_that_becomes_more_severe_is_still_one_there() {
    let server = Alertmanager::start().await.unwrap();
    let receiver = receiver(&format!("{{alertmanager: {{urls: [\"{}\"]}}}}", server.url("/")));
    let mut word = alert("a", "pay-1");
    word.severity = Severity::Warning;
    word.labels = word.labels.with(Labels::from([("severity", "warning")]).iter());
    receiver.send(&message("n1", vec![word])).await.unwrap();
    let mut raised = message("n2", vec![alert("a", "pay-1")]);
    raised.why = Why::Raised;
    receiver.send(&raised).await.unwrap();
    until("only the critical one", Duration::from_secs(10), || async {
        let found = active(&server).await;
        found.len() == 1 && found[0]["labels"]["severity"] == "critical"
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_real_alertmanager_takes_whatever_stands_in_a_label() {
    let server = Alertmanager::start().await.unwrap();
    let receiver = receiver(&format!("{{alertmanager: {{urls: [\"{}\"]}}}}", server.url("")));
    receiver.send(&hostile()).await.unwrap();
    let found = active(&server).await;
    assert_eq!(found[0]["labels"]["pod"], HOSTILE, "a program gets it as it is");
    let description = found[0]["annotations"]["description"].as_str().unwrap();
    assert!(description.contains("{{ 7*7 }}") && description.contains("␛[31m"), "{description}");
}

#[tokio::test]
async fn a_second_try_sends_only_what_was_not_taken() {
    let sink = HttpSink::start().await.unwrap();
    let urls = format!("[\"{}\"]", sink.url("/prefix"));
    let receiver = receiver(&format!("{{alertmanager: {{urls: {urls}, username: u, password: p}}}}"));
    let told = message("n1", (0..70).map(|i| alert(&i.to_string(), &i.to_string())).collect());
    sink.next([Answer::status(200), Answer::status(503)]);
    let failure = receiver.send(&told).await.unwrap_err();
    assert!(is_retry(&failure), "{failure:?}");
    assert_eq!(receiver.send(&told).await, Ok(Sent::default()));
    let alerts: Vec<_> = sink.taken().iter().map(|taken| taken.json().as_array().unwrap().len()).collect();
    assert_eq!(alerts, [64, 6, 6]);
    assert_eq!(sink.taken()[0].path, "/prefix/api/v2/alerts");
    assert_eq!(sink.taken()[0].header("authorization"), Some("Basic dTpw"));
    sink.always(Answer::status(400));
    let dead = receiver.send(&message("n2", vec![alert("a", "p")])).await.unwrap_err();
    assert!(!is_retry(&dead), "{dead:?}");
}
