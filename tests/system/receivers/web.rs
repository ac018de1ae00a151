//! Slack, PagerDuty, webhooks: what arrives, and what each answer means.

use super::{HOSTILE, alert, hostile, is_retry, message, over, receiver};
use farol_config::Secret;
use farol_monitor::notify::receivers::verify;
use farol_monitor::notify::{Failure, Sent};
use farol_tests::http_sink::{Answer, HttpSink};
use std::time::Duration;

#[tokio::test]
async fn slack_gets_blocks_with_nothing_of_a_label_taken_as_markup() {
    let sink = HttpSink::start().await.unwrap();
    let slack = receiver(&format!("{{slack: {{url: \"{}\"}}}}", sink.url("/services/T0/B0/SECRET")));
    let first = message("n1", vec![alert("a", "pay-1"), alert("b", "pay-2")]);
    assert_eq!(slack.send(&first).await, Ok(Sent::default()));
    slack.send(&hostile()).await.unwrap();
    let taken = sink.taken();
    assert_eq!((&*taken[0].method, &*taken[0].path), ("POST", "/services/T0/B0/SECRET"));
    let body = taken[0].json();
    assert_eq!(body["blocks"][0]["text"]["text"], "FIRING 2: cpu_high");
    assert!(body["blocks"][1]["text"]["text"].as_str().unwrap().contains("`pod=pay-1`"), "{body}");
    let text = taken[1].json().to_string();
    for markup in ["<!", "<script", "\\r", "\\u001b", "\u{202e}"] {
        assert!(!text.contains(markup), "{markup}: {text}");
    }
    assert!(text.contains("{{ 7*7 }}") && text.contains("&lt;!everyone&gt;"), "{text}");
}

#[tokio::test]
async fn pagerduty_gets_one_event_an_alert_and_its_end_under_the_same_key() {
    let sink = HttpSink::start().await.unwrap();
    sink.always(Answer::status(202));
    let url = sink.url("/v2/enqueue");
    let pager = receiver(&format!("{{pagerduty: {{routing_key: R0UTING, url: \"{url}\"}}}}"));
    let first = message("n1", vec![alert("ep-1", "pay-1"), alert("ep-2", "pay-2")]);
    pager.send(&first).await.unwrap();
    pager.send(&over(&first, "n2")).await.unwrap();
    let events: Vec<_> = sink.taken().iter().map(farol_tests::http_sink::Taken::json).collect();
    let told: Vec<_> = events.iter().map(|e| (e["event_action"].as_str(), e["dedup_key"].as_str())).collect();
    let expected = [("trigger", "ep-1"), ("trigger", "ep-2"), ("resolve", "ep-1"), ("resolve", "ep-2")];
    assert_eq!(told, expected.map(|(action, key)| (Some(action), Some(key))));
    assert!(events.iter().all(|event| event["routing_key"] == "R0UTING"));
    let payload = &events[0]["payload"];
    assert_eq!(payload["summary"], "cpu_high: CPU 92.5% on pay-1");
    assert_eq!((&payload["severity"], &payload["class"]), (&"critical".into(), &"cpu_high".into()));
    assert_eq!(payload["custom_details"]["labels"]["pod"], "pay-1");
}

#[tokio::test]
async fn a_second_try_sends_only_the_events_that_were_not_taken_and_a_refused_one_holds_up_none() {
    let sink = HttpSink::start().await.unwrap();
    let pager = receiver(&format!("{{pagerduty: {{routing_key: K, url: \"{}\"}}}}", sink.url("/")));
    let told = message("n1", vec![alert("a", "1"), alert("b", "2"), alert("c", "3"), alert("d", "4")]);
    let pause = Answer { header: Some(("retry-after", "7".into())), ..Answer::status(429) };
    sink.next([Answer::status(202), Answer::status(400), pause]);
    let failure = pager.send(&told).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Partly { after: Some(after), .. } if *after == Duration::from_secs(7)),
        "{failure:?}"
    );
    assert_eq!(sink.taken().len(), 3, "nothing overtakes what has to wait");
    let dead = pager.send(&told).await.unwrap_err();
    assert!(!is_retry(&dead) && dead.why().contains("1 of 4 events are refused"), "{dead:?}");
    let keys: Vec<String> =
        sink.taken().iter().map(|t| t.json()["dedup_key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, ["a", "b", "c", "c", "d"], "what is refused is not sent again");
}

#[tokio::test(start_paused = true)]
async fn a_round_in_which_all_events_were_refused_says_that_none_was_taken() {
    // While a blocking task runs, no time passes by itself.
    let (_still, end) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || end.recv());
    let sink = HttpSink::start().await.unwrap();
    let pager = receiver(&format!("{{pagerduty: {{routing_key: K, url: \"{}\"}}}}", sink.url("/")));
    for (status, expected) in [(400, false), (202, true)] {
        sink.always(Answer::status(status));
        let alerts = (0..50).map(|n| alert(&n.to_string(), "pod")).collect();
        let told = message(&format!("n{status}"), alerts);
        let before = sink.taken().len();
        let late = async {
            while sink.taken().len() == before {
                tokio::task::yield_now().await;
            }
            tokio::time::advance(Duration::from_secs(6)).await;
        };
        let (ended, ()) = tokio::join!(pager.send(&told), late);
        let failure = ended.unwrap_err();
        assert!(
            matches!(&failure, Failure::Partly { taken, .. } if *taken == expected),
            "{status}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn a_webhook_is_signed_and_a_second_copy_has_the_same_key() {
    let sink = HttpSink::start().await.unwrap();
    let yaml = format!(
        "{{webhook: {{url: \"{}\", secret: whsec, headers: {{Authorization: Bearer x}}}}}}",
        sink.url("/hook?token=t")
    );
    let hook = receiver(&yaml);
    let told = message("notice-7", vec![alert("a", "pay-1")]);
    hook.send(&told).await.unwrap();
    hook.send(&told).await.unwrap();
    hook.send(&hostile()).await.unwrap();
    let taken = sink.taken();
    assert_eq!(taken[0].body, taken[1].body);
    for copy in &taken[..2] {
        assert_eq!(copy.header("idempotency-key"), Some("notice-7"));
        assert_eq!(copy.header("authorization"), Some("Bearer x"));
        assert_eq!(copy.header("content-type"), Some("application/json"));
    }
    for request in &taken {
        let signature = request.header("x-farol-signature").unwrap();
        let (secret, now, minute) = (Secret::new("whsec"), jiff::Timestamp::now(), Duration::from_secs(60));
        verify(&secret, signature, &request.body, now, minute).unwrap();
        assert!(verify(&secret, signature, b"another body", now, minute).is_err());
    }
    let body = taken[0].json();
    assert_eq!((&body["version"], &body["why"]), (&"1".into(), &"first".into()));
    assert_eq!(body["alerts"][0]["id"], "a");
    assert_eq!(taken[2].json()["alerts"][0]["labels"]["pod"], HOSTILE, "a program gets it as it is");
    assert_eq!(taken[2].header("idempotency-key").unwrap().len(), 64);
}

#[tokio::test]
async fn the_documented_python_believes_our_signature_and_no_other() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = std::fs::read_to_string(root.join("docs/NOTIFICATIONS.md")).unwrap();
    let code = docs.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let sink = HttpSink::start().await.unwrap();
    let hook = receiver(&format!("{{webhook: {{url: \"{}\", secret: whsec}}}}", sink.url("/")));
    hook.send(&hostile()).await.unwrap();
    let request = sink.taken().remove(0);
    let signature = request.header("x-farol-signature").unwrap();
    let script = format!(
        "{code}\nimport sys\nbody = sys.stdin.buffer.read()\nheader = '{signature}'\n\
         print(is_from_farol(b'whsec', header, body), is_from_farol(b'other', header, body), \
         is_from_farol(b'whsec', header, body + b' '), is_from_farol(b'whsec', header, body, -1), \
         is_from_farol(b'whsec', '', body))"
    );
    let mut python = tokio::process::Command::new(crate::peers::python());
    python.args(["-c", &script]);
    let done = crate::peers::run(python, std::str::from_utf8(&request.body).unwrap()).await;
    assert_eq!(done.out.trim(), "True False False False False", "{}", done.err);
}

#[tokio::test]
async fn each_answer_means_what_it_says_and_no_reason_holds_a_secret() {
    let sink = HttpSink::start().await.unwrap();
    let urls = format!("{{webhook: {{url: \"{}\"}}}}", sink.url("/S3CRET?token=S3CRET"));
    let hook = receiver(&urls);
    let told = message("n", vec![alert("a", "p")]);
    for (status, after, retried) in [
        (400, None, false),
        (401, None, true),
        (403, None, true),
        (404, None, true),
        (407, None, true),
        (408, None, true),
        (410, None, false),
        (429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), true),
        (500, None, true),
        (503, Some("86400"), true),
        (301, None, false),
    ] {
        let header = after.map(|after| ("retry-after", after.to_owned()));
        sink.always(Answer { status, header, body: "S3CRET".into() });
        let before = sink.taken().len();
        let failure = hook.send(&told).await.unwrap_err();
        assert_eq!(is_retry(&failure), retried, "{status}: {failure:?}");
        assert!(failure.why().contains(&status.to_string()), "{failure:?}");
        assert!(!format!("{failure:?}").contains("S3CRET"), "{failure:?}");
        assert_eq!(sink.taken().len(), before + 1, "one call each, no redirect followed");
        if let Failure::Retry { after: pause, .. } = failure {
            let expected = after.map(|after| if after == "86400" { 3_600 } else { 0 });
            assert_eq!(pause.map(|pause| pause.as_secs()), expected, "{status}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_another_place_is_not_followed() {
    let (sink, other) = (HttpSink::start().await.unwrap(), HttpSink::start().await.unwrap());
    let hook = receiver(&format!("{{webhook: {{url: \"{}\"}}}}", sink.url("/")));
    for status in [301, 302, 303, 307, 308] {
        sink.always(Answer { header: Some(("location", other.url("/S3CRET"))), ..Answer::status(status) });
        let failure = hook.send(&message("n", vec![alert("a", "p")])).await.unwrap_err();
        assert!(failure.why().contains("redirect") && !failure.why().contains("S3CRET"), "{failure:?}");
    }
    assert!(other.taken().is_empty());
}

#[tokio::test]
async fn nobody_there_is_a_reason_to_try_again() {
    let sink = HttpSink::start().await.unwrap();
    let url = sink.url("/S3CRET");
    drop(sink);
    let failure = receiver(&format!("{{slack: {{url: \"{url}\"}}}}")).send(&hostile()).await.unwrap_err();
    assert!(is_retry(&failure) && failure.why().contains("cannot be reached"), "{failure:?}");
    assert!(!format!("{failure:?}").contains("S3CRET"), "{failure:?}");
}

#[tokio::test]
async fn the_log_takes_everything() {
    assert_eq!(receiver("{log: {}}").send(&hostile()).await, Ok(Sent::default()));
}
