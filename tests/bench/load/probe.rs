//! Probes at a fixed rate, whatever the answers take (open loop): a late answer counts from when it was due.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) errors: usize,
}

pub(crate) async fn run(http: SocketAddr, rate: u32, time: Duration) -> anyhow::Result<Latency> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let url = format!("http://{http}/health/ready");
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut asked, mut took, mut errors) = (JoinSet::new(), Vec::new(), 0);
    let ends = Instant::now() + time;
    while Instant::now() < ends {
        let due = ticks.tick().await;
        let request = client.get(&url).send();
        asked.spawn(async move {
            let answer = request.await.ok().filter(|a| a.status().is_success())?;
            answer.bytes().await.ok()?;
            Some(due.elapsed())
        });
        while let Some(done) = asked.try_join_next() {
            collect(done.ok().flatten(), &mut took, &mut errors);
        }
    }
    while let Some(done) = asked.join_next().await {
        collect(done.ok().flatten(), &mut took, &mut errors);
    }
    took.sort_unstable();
    let at = |share: f64| {
        let index = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
        took.get(index).map_or(f64::NAN, |d| d.as_secs_f64() * 1e3)
    };
    Ok(Latency { p50_ms: at(0.50), p99_ms: at(0.99), errors })
}

fn collect(answer: Option<Duration>, took: &mut Vec<Duration>, errors: &mut usize) {
    match answer {
        Some(time) => took.push(time),
        None => *errors += 1,
    }
}
