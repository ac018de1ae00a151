//! What the monitor says does not arrive: reports are committed, the agent hears of none, and brings them all again.

use anyhow::{Context, Result};
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_tests::process;
use farol_tests::speaker::{Person, Speaker};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use serde_json::Value;
use std::time::Duration;
use tokio::time::interval;

const REPORTS: u64 = 1_000;
/// Reports of a segment: what was committed ends within one.
const SEGMENT: usize = 48;
/// Slower than what a stream is allowed.
const EVERY: Duration = Duration::from_millis(6);

/// A report: number, time, values.
type Said = (u64, u64, [f64; 2]);

/// Opens a stream as one that hears nothing: what Welcome knows is not asked for.
async fn open(stack: &Stack, person: &Person, as_of: u64) -> Speaker {
    let mut opened = None;
    until("the monitor takes the agent", SOON, async || {
        opened = Speaker::open(stack.addresses().agents, person).await.ok();
        opened.is_some()
    })
    .await
    .unwrap();
    let speaker = opened.unwrap();
    speaker.define(&Person::definition("deaf")).await.unwrap();
    speaker.state(as_of, Status::Healthy).await.unwrap();
    speaker
}

/// Brings all of them again, whatever is known.
async fn again(stack: &Stack, person: &Person, said: &[Said]) {
    let speaker = open(stack, person, said.len() as u64).await;
    for part in said.chunks(SEGMENT) {
        speaker.backlog(person.boot, &Person::definition("deaf"), part, true).await.unwrap();
    }
    let told = format!("farol_ingest_duplicates_total {REPORTS}");
    until("all are known", SOON, async || {
        let (_, page) = process::get(stack.addresses().http, "/metrics").await.unwrap_or_default();
        page.lines().any(|line| line == told)
    })
    .await
    .unwrap();
}

/// What history has of the first series from the first to the last report: each value in the order of its time.
async fn values(stack: &Stack, said: &[Said]) -> Result<Vec<f64>> {
    let (first, last) = (said.first().context("reports")?, said.last().context("reports")?);
    // History asks by the wall clock; the reports' times are of the boot clock.
    let offset = jiff::Timestamp::now().as_millisecond() - i64::try_from(boot_ms())?;
    let wall = |at_ms: u64| jiff::Timestamp::from_millisecond(i64::try_from(at_ms).unwrap_or(0) + offset);
    let (from, to) = (wall(first.1 - 500)?, wall(last.1 + 500)?);
    let path =
        format!("/api/v1/history?metric=spoken_value&agent=deaf&from={from}&to={to}&step=1ms&reduce=sum");
    let page = stack.json(&path).await?;
    let items = page["items"].as_array().context("a list")?;
    Ok(items
        .iter()
        .flat_map(|item| item["values"].as_array().into_iter().flatten().filter_map(Value::as_f64))
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reports_whose_acknowledgements_never_arrive_are_in_history_once() {
    let mut stack = Stack::start("").await.unwrap();
    let person = Person::new("deaf");
    let mut speaker = open(&stack, &person, 0).await;
    let (mut said, mut pace) = (Vec::new(), interval(EVERY));
    for seq in 1..=REPORTS {
        pace.tick().await;
        let report = (seq, boot_ms(), [seq as f64, (seq * 7) as f64]);
        speaker.report(report.0, report.1, report.2, seq % 100 == 0).await.unwrap();
        said.push(report);
    }
    let expected: Vec<f64> = (1..=REPORTS).map(|seq| seq as f64).collect();
    let all_once = async |stack: &Stack| values(stack, &said).await.is_ok_and(|found| found == expected);
    // Committed: history has them. The acknowledgements lie in a socket that nobody reads.
    until("all are committed", SOON, async || all_once(&stack).await).await.unwrap();
    drop(speaker);

    again(&stack, &person, &said).await;
    assert!(all_once(&stack).await);

    // And once more to a monitor that knows of them by its journal alone.
    stack.kill_monitor().await.unwrap();
    stack.start_monitor().await.unwrap();
    again(&stack, &person, &said).await;
    assert!(all_once(&stack).await);
}
