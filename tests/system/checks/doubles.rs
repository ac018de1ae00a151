//! Servers in this process that the checks of web and TLS ask.

use axum::Router;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server that lives as long as this does.
pub(super) struct Server {
    pub(super) port: u16,
    _task: JoinSet<()>,
}

impl Server {
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its certificate is for this name.
    pub(super) fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

pub(super) async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

pub(super) async fn serving(app: Router) -> Server {
    let (listener, port) = listener().await;
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    Server { port, _task: task }
}

/// Says this to everyone who has said something, then closes.
pub(super) async fn saying(words: &'static [u8]) -> Server {
    let (listener, port) = listener().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok() {
                drop(stream.write_all(words).await);
                drop(stream.shutdown().await);
                // Closing on words that nobody read would take ours back.
                while stream.read(&mut request).await.is_ok_and(|length| length > 0) {}
            }
        }
    });
    Server { port, _task: task }
}

/// Says this over TLS to everyone who has said something, then closes.
pub(super) async fn tls_saying(config: ServerConfig, words: &'static [u8]) -> Server {
    let (listener, port) = listener().await;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            open.spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                    drop(stream.write_all(words).await);
                    drop(stream.shutdown().await);
                }
            });
            while open.try_join_next().is_some() {}
        }
    });
    Server { port, _task: task }
}
