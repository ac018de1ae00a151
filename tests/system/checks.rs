//! The built-in checks against real servers: what each state of a server is called, and that a check recovers
//! with its server.

mod detailed;
mod discover;
mod http;
mod mysql;
mod postgres;
mod redis;

use farol_health::{Check, Outcome, Status};
use farol_tests::wait::until;
use std::time::Duration;

/// A run may take this long in a test; none should.
const LONG: Duration = Duration::from_secs(20);

async fn run(check: &dyn Check) -> Outcome {
    tokio::time::timeout(LONG, check.run()).await.expect("a run ends")
}

/// Runs it once and compares.
async fn expect(check: &dyn Check, status: Status, reason: &str) -> Outcome {
    let outcome = run(check).await;
    assert_eq!((outcome.status, outcome.reason.as_ref()), (status, reason), "{}", outcome.message);
    outcome
}

async fn healthy(check: &dyn Check) -> Outcome {
    expect(check, Status::Healthy, "ok").await
}

async fn unhealthy(check: &dyn Check, reason: &str) -> Outcome {
    let outcome = expect(check, Status::Unhealthy, reason).await;
    assert!(outcome.message.len() > 20, "a human can act on it: {}", outcome.message);
    outcome
}

/// Runs it until it says this.
async fn becomes(check: &dyn Check, reason: &str) {
    let says = || async { run(check).await.reason == reason };
    until(reason, LONG, says).await.expect("it comes to say so");
}

/// The checker drops a run at its deadline; so does this.
async fn is_cut_at(deadline: Duration, check: &dyn Check) {
    let cut = tokio::time::timeout(deadline, check.run()).await;
    assert!(cut.is_err(), "it answered {cut:?}");
}

fn shown(outcome: &Outcome, key: &str) -> Option<f64> {
    outcome.figures.iter().find(|figure| figure.shown_as == Some(key)).map(|figure| figure.value)
}

fn figure(outcome: &Outcome, name: &str) -> Option<f64> {
    outcome.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
}

fn fact<'o>(outcome: &'o Outcome, key: &str) -> Option<&'o str> {
    outcome.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}
