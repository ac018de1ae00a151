//! An HTTP server that keeps what it is sent, and answers as a test says.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request.
#[derive(Clone, Debug)]
pub struct Taken {
    /// `POST`
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Bytes,
}

impl Taken {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// One more header.
    pub header: Option<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Only a status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, header: None, body: String::new() }
    }
}

/// The server. It ends when it is dropped.
pub struct HttpSink {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

struct State {
    taken: Vec<Taken>,
    /// For the next requests; afterwards `always`.
    answers: VecDeque<Answer>,
    always: Answer,
}

impl HttpSink {
    /// A server on a free port of 127.0.0.1 that answers 200.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let always = Answer::status(200);
        let state = State { taken: Vec::new(), answers: VecDeque::new(), always };
        let state = Arc::new(Mutex::new(state));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, _task: task })
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it answers from now on.
    pub fn always(&self, answer: Answer) {
        self.state.lock().always = answer;
    }

    /// What it answers to the next requests, in this order.
    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().answers.extend(answers);
    }

    /// Everything it was sent, the oldest first.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.state.lock().taken.clone()
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = hyper_util::service::TowerToHyperService::new(tower::service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, std::convert::Infallible>(answer(request, &state).await) }
            }));
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer<B: http_body::Body>(
    request: axum::http::Request<B>,
    state: &Mutex<State>,
) -> axum::http::Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let (method, path) = (head.method.to_string(), head.uri.to_string());
    let answer = {
        let mut state = state.lock();
        state.taken.push(Taken { method, path, headers, body });
        state.answers.pop_front().unwrap_or_else(|| state.always.clone())
    };
    let mut response = axum::http::Response::builder().status(answer.status);
    if let Some((name, value)) = answer.header {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(answer.body))).unwrap_or_default()
}
