//! A receiver of webhooks that keeps each notice with its time, and takes, refuses, hangs or hangs up as a test says, each
//! path for itself.

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a path does with what comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// 200.
    #[default]
    Takes,
    /// This status, and how many seconds it asks to be left alone.
    Refuses(u16, Option<u64>),
    /// No answer until the mood changes.
    Hangs,
    /// The connection is closed without an answer.
    HangsUp,
}

/// One notice as it came.
#[derive(Clone, Debug)]
pub struct Told {
    /// When.
    pub at: Instant,
    /// Where.
    pub path: String,
    /// `x-farol-signature`.
    pub signature: String,
    /// `idempotency-key`.
    pub key: String,
    /// All of it, as it came.
    pub body: Bytes,
    /// The same, read.
    pub notice: Value,
    /// What it was answered; nothing yet, or never.
    pub answer: Option<u16>,
}

impl Told {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.notice["notice_id"].as_str().unwrap_or_default()
    }

    /// Why it was told.
    #[must_use]
    pub fn why(&self) -> &str {
        self.notice["why"].as_str().unwrap_or_default()
    }

    /// Its alerts.
    #[must_use]
    pub fn alerts(&self) -> &[Value] {
        self.notice["alerts"].as_array().map_or(&[], |alerts| alerts)
    }

    /// It was taken.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.answer == Some(200)
    }

    /// Each alert in short: `rule fires` or `rule recovered`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("fires").to_owned();
        self.alerts().iter().map(|it| format!("{} {}", text(&it["rule"]), text(&it["ended"]))).collect()
    }
}

#[derive(Default)]
struct State {
    told: Vec<Told>,
    moods: HashMap<String, Mood>,
}

/// The server. It ends when it is dropped.
pub struct Hook {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    _task: JoinSet<()>,
}

impl Hook {
    /// A server on a free port of 127.0.0.1 that takes everything.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (state, changed) = (Arc::default(), watch::Sender::new(0));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&state), changed.subscribe()));
        Ok(Self { address, state, changed, _task: task })
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on; what hangs is answered so.
    pub fn mood(&self, path: &str, mood: Mood) {
        self.state.lock().moods.insert(path.to_owned(), mood);
        self.changed.send_modify(|n| *n += 1);
    }

    /// All that came to this path, the oldest first.
    #[must_use]
    pub fn told(&self, path: &str) -> Vec<Told> {
        self.state.lock().told.iter().filter(|told| told.path == path).cloned().collect()
    }

    /// What was taken there.
    #[must_use]
    pub fn taken(&self, path: &str) -> Vec<Told> {
        self.told(path).into_iter().filter(Told::is_taken).collect()
    }

    /// Waits until what was taken there is so.
    ///
    /// # Errors
    /// It is not within `limit`; the message says what was told.
    pub async fn until(
        &self,
        what: &str,
        path: &str,
        limit: Duration,
        mut condition: impl FnMut(&[Told]) -> bool,
    ) -> Result<Vec<Told>> {
        let found = async || condition(&self.taken(path));
        if crate::wait::until(what, limit, found).await.is_ok() {
            return Ok(self.taken(path));
        }
        let all: Vec<String> = self
            .told(path)
            .iter()
            .map(|told| format!("{} {} {:?}: {:?}", told.id(), told.why(), told.answer, told.words()))
            .collect();
        bail!("waited {limit:?} in vain for: {what}; told to {path}:\n{}", all.join("\n"));
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>, changed: watch::Receiver<u64>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (state, changed) = (Arc::clone(&state), changed.clone());
        connections.spawn(async move {
            let service = hyper_util::service::TowerToHyperService::new(tower::service_fn(move |request| {
                let (state, changed) = (Arc::clone(&state), changed.clone());
                async move { answer(request, &state, changed).await }
            }));
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer<B: http_body::Body>(
    request: axum::http::Request<B>,
    state: &Mutex<State>,
    mut changed: watch::Receiver<u64>,
) -> Result<axum::http::Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let header =
        |name| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let told = Told {
        at: Instant::now(),
        path: head.uri.path().to_owned(),
        signature: header("x-farol-signature").unwrap_or_default(),
        key: header("idempotency-key").unwrap_or_default(),
        notice: serde_json::from_slice(&body).unwrap_or_default(),
        body,
        answer: None,
    };
    let (path, number) = {
        let mut state = state.lock();
        state.told.push(told);
        (head.uri.path().to_owned(), state.told.len() - 1)
    };
    loop {
        let mood = state.lock().moods.get(&path).cloned().unwrap_or_default();
        let (status, after) = match mood {
            Mood::Takes => (200, None),
            Mood::Refuses(status, after) => (status, after),
            Mood::HangsUp => return Err(std::io::Error::other("it hangs up")),
            Mood::Hangs => {
                if changed.changed().await.is_err() {
                    return Err(std::io::Error::other("the server ends"));
                }
                continue;
            }
        };
        state.lock().told[number].answer = Some(status);
        let mut response = axum::http::Response::builder().status(status);
        if let Some(after) = after {
            response = response.header("retry-after", after.to_string());
        }
        return Ok(response.body(Full::default()).unwrap_or_default());
    }
}
