//! Scaling by someone else: what is sent, that it is signed, and what answers mean.

use super::{Live, World, action};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use farol_config::Secret;
use farol_monitor::act::{Bounds, Limit, Outcome, Refusal, Settings, Webhook, What};
use parking_lot::Mutex;
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const SECRET: &str = "0123456789abcdef";

/// What a hook says, by turns; the last again and again.
type Answers = Arc<Mutex<Vec<(u16, &'static str)>>>;
type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

struct Hook {
    settings: Settings,
    heard: Heard,
    _running: JoinSet<()>,
}

async fn hear(State((heard, answers)): State<(Heard, Answers)>, headers: HeaderMap, body: Bytes) -> Response {
    heard.lock().push((headers, body));
    let mut answers = answers.lock();
    let (status, said) = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
    (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")], said).into_response()
}

impl Hook {
    async fn saying(answers: &[(u16, &'static str)]) -> Self {
        let (heard, answers) = (Heard::default(), Arc::new(Mutex::new(answers.to_vec())));
        let router = Router::new().fallback(hear).with_state((Arc::clone(&heard), answers));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/scale?key=s3cret", listener.local_addr().unwrap()).parse().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let webhook = Webhook { url, secret: Secret::new(SECRET), deadline: Duration::from_secs(5) };
        let what =
            What::Webhook { webhook, by: Some("+2".parse().unwrap()), bounds: Bounds { min: 2, max: 10 } };
        let settings = Settings { actions: [("up".into(), action(what))].into(), ..Settings::default() };
        Self { settings, heard, _running: running }
    }

    fn heard(&self) -> Vec<(HeaderMap, Bytes)> {
        self.heard.lock().clone()
    }

    fn body(&self, index: usize) -> Value {
        serde_json::from_slice(&self.heard()[index].1).unwrap()
    }
}

/// What another program computes.
fn openssl(secret: &str, message: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    said.rsplit_once(' ').unwrap().1.trim().to_owned()
}

#[tokio::test]
async fn an_order_is_signed_and_its_roll_back_names_what_was_done() {
    let hook = Hook::saying(&[(200, r#"{"before":3,"after":5}"#), (204, "")]).await;
    let world = World::new();
    let live = Live::start(hook.settings.clone(), &world);
    live.actions.start(world.request("up"));
    let record = world.ended(1).await;
    assert_eq!((record.outcome, record.before, record.after), (Outcome::RolledBack, Some(3), Some(5)));
    assert_eq!(record.target, "webhook 127.0.0.1");
    let (first, second) = (hook.body(0), hook.body(1));
    for (key, expected) in
        [("operation", "scale"), ("action", "up"), ("incident", "i-1"), ("by", "+2"), ("id", &record.id)]
    {
        assert_eq!(first[key], expected);
    }
    assert_eq!(
        (&first["min"], &first["max"], &first["alert"]["rule"]),
        (&2.into(), &10.into(), &"slow".into())
    );
    assert_eq!((&second["operation"], &second["id"]), (&"roll_back".into(), &first["id"]));
    assert_eq!((&second["before"], &second["after"]), (&3.into(), &5.into()));
    for ((headers, body), key) in hook.heard().into_iter().zip(["", "-roll_back"]) {
        let signature = headers["x-farol-signature"].to_str().unwrap();
        let (time, sum) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        assert!(time.parse::<i64>().unwrap() >= 1_800_000_000, "{time}");
        assert_eq!(sum, openssl(SECRET, &[time.as_bytes(), b".", &body].concat()));
        assert_eq!(headers["idempotency-key"], format!("{}{key}", record.id));
    }
}

#[tokio::test]
async fn an_answer_is_judged_and_no_order_is_repeated() {
    let at_limit = Outcome::Refused { refusal: Refusal::AtLimit { replicas: 10, limit: Limit::Max(10) } };
    let failed = |why: &str, touched| Outcome::Failed { why: why.to_owned(), touched };
    for (status, said, expected) in [
        (204, "", Outcome::Done),
        (200, "{}", Outcome::Done),
        (200, r#"{"before":10,"after":10}"#, at_limit),
        (200, r#"{"after":40}"#, failed("the webhook made it 40 replicas, outside 2 to 10", true)),
        (200, "ok", failed("the webhook answered with something other than a JSON object", true)),
        (503, "no: key=s3cret is spent", failed("the webhook answered 503", true)),
        (422, "", failed("the webhook answered 422", false)),
        (307, "", failed("the webhook answered 307", false)),
    ] {
        let (hook, world) = (Hook::saying(&[(status, said)]).await, World::new());
        let mut settings = hook.settings.clone();
        settings.actions.get_mut("up").unwrap().verify = None;
        let live = Live::start(settings, &world);
        live.actions.start(world.request("up"));
        assert_eq!(world.ended(1).await.outcome, expected, "{status} {said}");
        assert_eq!(hook.heard().len(), 1, "{status} {said}");
        live.stop().await;
    }
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_no_record_holds_a_secret() {
    let (hook, world) = (Hook::saying(&[(500, "")]).await, World::new());
    let mut settings = hook.settings.clone();
    settings.actions.get_mut("up").unwrap().policy.dry_run = true;
    let live = Live::start(settings.clone(), &world);
    live.actions.start(world.request("up"));
    assert_eq!(world.ended(1).await.outcome, Outcome::WouldRun);
    assert!(hook.heard().is_empty());
    live.actions.replace(hook.settings.clone());
    drop(hook);
    live.actions.start(world.request("up"));
    let Outcome::Failed { why, touched: false } = world.ended(2).await.outcome else { panic!() };
    assert!(why.contains("cannot be reached"), "{why}");
    let all = format!("{:?} {settings:?}", world.records());
    assert!(!all.contains("s3cret") && !all.contains(SECRET), "{all}");
}
