//! What a running monitor answers by REST, value by value: steps so short that each holds one report, out of memory,
//! blocks and journal as they come together. Of a few agents, because it is long.

use super::ledger::{Account, Books, id, payload, place, wall_ms};
use super::link::{MARK, NUMBER};
use super::rest::{client, items};
use anyhow::{Result, ensure};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Agents that are asked for at once.
const AGENTS: u32 = 3;
/// The length of a step, and steps in an answer.
const STEP_MS: i64 = 2;
const STEPS: i64 = 10_000;
/// Windows that are looked at, back from now.
const WINDOWS: i64 = 10;
/// A report's time may be off by so much.
const SLACK_MS: i64 = 10_000;

/// Each report that was issued since then is there, with its values.
pub(super) async fn confirm(books: &Books, http: SocketAddr, began_ms: i64) -> Result<u64> {
    let (client, now_ms, all) = (client()?, wall_ms(), books.agents.len() as u32);
    let window_ms = STEP_MS * STEPS;
    let from_ms = (began_ms - SLACK_MS).max(now_ms - WINDOWS * window_ms);
    let first = (books.counts().issued % u64::from(all.max(1))) as u32;
    let mut looked_at = 0;
    for agent in (0..AGENTS.min(all)).map(|nth| (first + nth * all / AGENTS.min(all)) % all) {
        let mut wrong = Vec::new();
        let mut seen: HashMap<(usize, u64), u32> = HashMap::new();
        let mut at_ms = from_ms;
        while at_ms < now_ms {
            let mut answers = Vec::new();
            for (metric, reduce) in [(NUMBER, "min"), (NUMBER, "max"), (MARK, "min"), (MARK, "max")] {
                let [from, to] = [at_ms, at_ms + window_ms].map(jiff::Timestamp::from_millisecond);
                let (from, to, agent) = (from?, to?, id(agent));
                let path = format!(
                    "history?metric={metric}&agent={agent}&from={from}&to={to}&step={STEP_MS}ms&reduce={reduce}"
                );
                let items = items(&client, http, &path).await?;
                ensure!(items.len() <= 1, "{path}: {} series", items.len());
                let values = items.first().and_then(|item| item["values"].as_array()).cloned();
                answers.push(values.unwrap_or_default());
            }
            for step in 0..answers[0].len() {
                let at = |n: usize| answers[n].get(step).and_then(serde_json::Value::as_f64);
                let (Some(low), Some(high)) = (at(0), at(1)) else { continue };
                // Two of different starts may share a moment.
                let numbers = if low == high { vec![low] } else { vec![low, high] };
                let marks: Vec<f64> = numbers.iter().map(|number| mark(books.seed, agent, *number)).collect();
                let said = (marks.iter().copied().reduce(f64::min), marks.iter().copied().reduce(f64::max));
                if (at(2), at(3)) != said {
                    wrong.push(format!("beside {numbers:?} stand {:?}, not {said:?}", (at(2), at(3))));
                }
                numbers.iter().for_each(|number| *seen.entry(place(*number)).or_default() += 1);
            }
            at_ms += window_ms;
        }
        let account = &books.agents[agent as usize];
        wrong.extend(missing(account, &seen, from_ms + SLACK_MS));
        ensure!(
            wrong.is_empty(),
            "{}, value by value: {} wrong: {}",
            id(agent),
            wrong.len(),
            wrong[..wrong.len().min(5)].join("; ")
        );
        looked_at += seen.len() as u64;
    }
    Ok(looked_at)
}

/// The second value beside this first one.
fn mark(seed: u64, agent: u32, number: f64) -> f64 {
    let (start, seq) = place(number);
    payload(seed, agent, start as u32, seq)[1]
}

/// What was issued since then and is not seen once; and what is seen and was not issued.
fn missing(account: &Account, seen: &HashMap<(usize, u64), u32>, since_ms: i64) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, start) in account.starts.iter().enumerate() {
        for (seq, issued_ms) in (1..).zip(&start.issued_ms) {
            match seen.get(&(at, seq)) {
                Some(1) => {}
                None if *issued_ms < since_ms => {}
                times => wrong.push(format!("report {seq} of start {at} stands there {times:?}")),
            }
        }
    }
    let issued = |(at, seq): &(usize, u64)| {
        account.starts.get(*at).is_some_and(|start| (1..=start.issued_ms.len() as u64).contains(seq))
    };
    let strange = seen.keys().filter(|which| !issued(which));
    wrong.extend(strange.map(|(at, seq)| format!("report {seq} of start {at} was never said")));
    wrong
}
