//! What a running monitor answers about the oracle's agents: counts, extremes and sums of both series over everything,
//! and each agent's status.

use super::ledger::{Account, Books, id, payload};
use super::link::{MARK, NUMBER, SERVICE};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A question is answered within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// One step from so long ago: more than any run, less than what is kept.
const RANGE: &str = "20h";
/// Items on a page.
const PAGE: usize = 1_000;

pub(super) fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().timeout(PATIENCE).build()?)
}

pub(super) async fn confirm(books: &Books, http: SocketAddr) -> Result<()> {
    let client = client()?;
    let mut wrong = Vec::new();
    for (metric, at) in [(NUMBER, 0), (MARK, 1)] {
        for reduce in ["count", "sum", "min", "max"] {
            let path = format!("history?metric={metric}&from=-{RANGE}&step={RANGE}&reduce={reduce}");
            let items = items(&client, http, &path).await?;
            let answered: BTreeMap<&str, f64> = items.iter().filter_map(answer).collect();
            for (agent, account) in (0..).zip(&books.agents) {
                let expected = reduced(books.seed, agent, account, at, reduce);
                let found = answered.get(id(agent).as_str()).copied().unwrap_or(0.0);
                if (expected - found).abs() > expected.abs() * 1e-9 {
                    wrong.push(format!("{reduce} of {metric} of {}: {found}, not {expected}", id(agent)));
                }
            }
        }
    }
    wrong.extend(wrong_statuses(&client, books, http).await?);
    let told = wrong.len().min(10);
    ensure!(wrong.is_empty(), "{} answers are wrong: {}", wrong.len(), wrong[..told].join("; "));
    Ok(())
}

/// What the reduction of everything that was issued is.
fn reduced(seed: u64, agent: u32, account: &Account, at: usize, reduce: &str) -> f64 {
    let starts = (0..).zip(&account.starts);
    let values = starts.flat_map(|(place, start)| {
        (1..=start.issued_ms.len() as u64).map(move |seq| payload(seed, agent, place, seq)[at])
    });
    match reduce {
        "count" => values.count() as f64,
        "min" => values.reduce(f64::min).unwrap_or(0.0),
        "max" => values.reduce(f64::max).unwrap_or(0.0),
        _ => values.sum(),
    }
}

/// Agent and value of a series that has one step.
fn answer(item: &Value) -> Option<(&str, f64)> {
    Some((item["agent"].as_str()?, item["values"][0].as_f64()?))
}

/// The components that are not shown as they were last said to be.
async fn wrong_statuses(client: &reqwest::Client, books: &Books, http: SocketAddr) -> Result<Vec<String>> {
    let mut shown = BTreeMap::new();
    let mut after = String::new();
    loop {
        let path = format!("components?service={SERVICE}&limit={PAGE}{after}");
        let page = get(client, http, &path).await?;
        for item in page["items"].as_array().context("a list")? {
            let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            shown.insert(text("agent"), text("shown_as"));
        }
        match page["next"].as_str() {
            Some(next) => {
                after = format!(
                    "&after={}",
                    percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC)
                )
            }
            None => break,
        }
    }
    let all = (0..).zip(&books.agents).filter_map(|(agent, account)| Some((id(agent), account.status?)));
    let wrong = all.filter(|(agent, status)| shown.get(agent).is_none_or(|shown| shown != status.as_str()));
    Ok(wrong
        .map(|(agent, said)| format!("{agent} is shown {:?} and said {said}", shown.get(&agent)))
        .collect())
}

pub(super) async fn items(client: &reqwest::Client, http: SocketAddr, path: &str) -> Result<Vec<Value>> {
    let answer = get(client, http, path).await?;
    Ok(answer["items"].as_array().with_context(|| format!("{path}: {answer}"))?.clone())
}

async fn get(client: &reqwest::Client, http: SocketAddr, path: &str) -> Result<Value> {
    let answer = client.get(format!("http://{http}/api/v1/{path}")).send().await?;
    let status = answer.status();
    if !status.is_success() {
        bail!("{path}: {status} {}", answer.text().await?);
    }
    Ok(answer.json().await?)
}
