//! A standalone Farol that watches a web server which a test makes fail and recover.

use super::PATIENCE;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use farol_tests::process::Process;
use farol_tests::wait::until;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The flags that put a monitor's three listeners on free ports.
pub(super) const FREE_PORTS: [&str; 6] =
    ["--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];

/// A web server that answers 200 or 503.
pub(super) struct Web {
    port: u16,
    up: Arc<AtomicBool>,
    _task: JoinSet<()>,
}

impl Web {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let up = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&up);
        let answer = move || {
            let up = state.load(Ordering::SeqCst);
            async move { if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } }
        };
        let mut task = JoinSet::new();
        task.spawn(async move {
            axum::serve(listener, Router::new().route("/", get(answer))).await.expect("it serves");
        });
        Self { port, up, _task: task }
    }

    pub(super) fn set(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
    }

    /// `checks:` with this server as one check, `web`, that two bad results make unhealthy and one good one healthy.
    pub(super) fn checks(&self, more: &str) -> String {
        format!(
            "checks: [{{name: web, http: {{url: \"http://127.0.0.1:{}/\"}}, interval: 200ms, deadline: 200ms, \
             failure_threshold: 2, success_threshold: 1{more}}}]",
            self.port
        )
    }
}

/// The server and the standalone that watches it as service `shop`, part of group `checkout`.
pub(super) struct Shop {
    pub(super) farol: Process,
    pub(super) web: Web,
    folder: TempDir,
}

impl Shop {
    /// All is up, and the fleet knows it.
    pub(super) async fn open() -> Self {
        let web = Web::start().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("farol.yaml");
        write(&file, &web, "{shop: {}}");
        let mut args = vec!["--config", file.to_str().expect("a plain path")];
        args.extend(FREE_PORTS);
        let farol = Process::start("farol", &args, folder.path()).await.expect("it starts");
        let shop = Self { farol, web, folder };
        shop.becomes("healthy").await;
        shop
    }

    /// Waits until the fleet says so of the service.
    pub(super) async fn becomes(&self, status: &str) {
        let shown = || async {
            let body = self.farol.json("/health/services/shop").await.unwrap_or_default();
            body["status"] == status
        };
        let waited = until(&format!("shop {status}"), PATIENCE, shown).await;
        waited.unwrap_or_else(|error| panic!("{error}\n{}", self.farol.log()));
    }

    /// Declares these services and tells the process to read its file again.
    pub(super) fn declare(&self, services: &str) {
        write(&self.folder.path().join("farol.yaml"), &self.web, services);
        self.farol.signal(rustix::process::Signal::HUP).expect("it runs");
    }
}

fn write(file: &Path, web: &Web, services: &str) {
    let text = format!(
        "monitor: {{services: {services}, groups: {{checkout: [shop]}}}}\nagent:\n  name: shop-1\n  \
         service: shop\n  interval: 1s\n  {}\n",
        web.checks("")
    );
    std::fs::write(file, text).expect("the file can be written");
}
