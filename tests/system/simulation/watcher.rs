//! Somebody who looks at the monitor about once a second over HTTP, as a dashboard would, and notes what is shown.

use super::network::{Epoch, HTTP};
use farol_health::clock::wall_ms;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;

const EVERY: Duration = Duration::from_millis(800);
/// An answer takes a few turns; one that does not come by then was asked of a host that died.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// What was shown at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// When it was asked for and when it had come, ms of the simulation.
    pub asked_ms: u64,
    pub at_ms: u64,
    pub components: Vec<Value>,
    pub services: Vec<Value>,
}

/// What was seen, and what is asked besides.
#[derive(Default)]
pub(crate) struct Notes {
    pub looks: Mutex<Vec<Look>>,
    /// A path to ask once, and its answer.
    asks: Mutex<Option<String>>,
    answer: Mutex<Option<Value>>,
    /// What the wall clock of the simulation showed when it began.
    begun_wall_ms: AtomicI64,
}

impl Notes {
    pub(crate) fn begun_wall_ms(&self) -> i64 {
        self.begun_wall_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn ask(&self, path: String) {
        *self.asks.lock() = Some(path);
    }

    pub(crate) fn answer(&self) -> Option<Value> {
        self.answer.lock().take()
    }
}

/// Looks for ever.
pub(crate) async fn watch(monitor: String, epoch: Epoch, notes: Arc<Notes>) -> turmoil::Result {
    epoch.join().await;
    notes.begun_wall_ms.store(wall_ms() - now_ms() as i64, Ordering::Relaxed);
    loop {
        let asked_ms = now_ms();
        let components = get(&monitor, "/api/v1/components").await;
        let services = get(&monitor, "/api/v1/services").await;
        if let (Some(components), Some(services)) = (components.and_then(items), services.and_then(items)) {
            notes.looks.lock().push(Look { asked_ms, at_ms: now_ms(), components, services });
        }
        let asks = notes.asks.lock().clone();
        if let Some(path) = asks
            && let Some(answer) = get(&monitor, &path).await
        {
            notes.asks.lock().take();
            *notes.answer.lock() = Some(answer);
        }
        let asks_on = notes.asks.lock().is_some();
        sleep(if asks_on { EVERY / 10 } else { EVERY }).await;
    }
}

fn now_ms() -> u64 {
    turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_millis() as u64)
}

fn items(list: Value) -> Option<Vec<Value>> {
    list["items"].as_array().cloned()
}

/// The JSON at a path; `None` while the monitor is not there or not ready.
async fn get(monitor: &str, path: &str) -> Option<Value> {
    let asked = async {
        let mut stream = TcpStream::connect((monitor, HTTP)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(answer)
    };
    let answer = String::from_utf8(timeout(PATIENCE, asked).await.ok()??).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 200") {
        return None;
    }
    serde_json::from_str(body).ok()
}
