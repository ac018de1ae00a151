//! What a request costs a server: many connections that each ask again as soon as they are answered. And how long an
//! answer takes at a fixed rate, which is another question.

use crate::probe::Prober;
use crate::process;
use crate::round;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// No probe's answer is longer.
const LONGEST: usize = 64 << 10;

/// Whom to ask, and how.
#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    /// How the server is called in the result.
    #[arg(long)]
    pub(crate) what: String,
    /// Its process id.
    #[arg(long)]
    pub(crate) pid: u32,
    /// Its HTTP port.
    #[arg(long)]
    pub(crate) http_addr: SocketAddr,
    /// The path to ask for.
    #[arg(long, default_value = "/health/ready")]
    pub(crate) path: String,
    /// Connections that ask.
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Seconds in the closed loop, and as many at the fixed rate.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Requests a second at the fixed rate.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) rate: u32,
}

/// One line of JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (answers, seconds, cpu_seconds) = runtime.block_on(closed(options))?;
    drop(runtime);
    let time = Duration::from_secs_f64(options.seconds);
    let open = Prober::new(options.http_addr, &options.path).run(options.rate, time);
    ensure!(open.errors == 0, "{} answers of {} were errors", open.errors, options.what);
    Ok(json!({
        "bench": "probe",
        "what": options.what,
        "path": options.path,
        "connections": options.connections,
        "requests": answers,
        "requests_per_second": round(answers as f64 / seconds),
        "cpu_us_per_request": round(cpu_seconds * 1e6 / answers as f64),
        "open_rate": options.rate,
        "open_p50_ms": round(open.p50_ms),
        "open_p99_ms": round(open.p99_ms),
    }))
}

async fn closed(options: &Options) -> anyhow::Result<(u64, f64, f64)> {
    let (count, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let mut asking = JoinSet::new();
    for _ in 0..options.connections {
        let asked = ask(options.http_addr, options.path.clone(), Arc::clone(&count));
        let stop = stop.clone();
        asking.spawn(async move { stop.run_until_cancelled(asked).await.unwrap_or(Ok(())) });
    }
    sleep(WARM_UP).await;
    let (began, answers, cpu) = (Instant::now(), count.load(Ordering::Relaxed), process::read(options.pid)?);
    sleep(Duration::from_secs_f64(options.seconds)).await;
    let (seconds, answers) = (began.elapsed().as_secs_f64(), count.load(Ordering::Relaxed) - answers);
    let cpu = process::read(options.pid)?.cpu_since(&cpu);
    stop.cancel();
    while let Some(ended) = asking.join_next().await {
        ended?.with_context(|| options.what.clone())?;
    }
    ensure!(answers > 0, "{} answered nothing", options.what);
    Ok((answers, seconds, cpu))
}

/// Asks until it is dropped; ends with an error only.
async fn ask(address: SocketAddr, path: String, count: Arc<AtomicU64>) -> anyhow::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let mut answer = Vec::with_capacity(4096);
    loop {
        connection.write_all(request.as_bytes()).await?;
        answer.clear();
        while !is_whole(&answer)? {
            ensure!(connection.read_buf(&mut answer).await? > 0 && answer.len() < LONGEST, "no whole answer");
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether an answer with a known length is there, and good.
fn is_whole(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(head) = answer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(false) };
    let text = std::str::from_utf8(&answer[..head])?;
    ensure!(text.starts_with("HTTP/1.1 200"), "{}", text.lines().next().unwrap_or_default());
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.context("an answer without a length")?.1.trim().parse()?;
    Ok(answer.len() >= head + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is_and_good_with_200_only() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for cut in 0..text.len() {
            assert!(!is_whole(&text[..cut]).unwrap(), "{cut}");
        }
        assert!(is_whole(text).unwrap());
        assert!(is_whole(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
