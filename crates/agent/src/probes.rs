//! The agent's own probes, metrics and gRPC health: what they read and how they are served. Statuses are the
//! checker's, wording is farol-health's.

use crate::link::Link;
use crate::metrics;
use crate::problem::Problem;
use crate::recorder::Recorder;
use crate::reloads::Reloads;
use crate::spool;
use crate::traffic::{self, Traffic};
use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use farol_health::grpc::{self, ProcessStatuses};
use farol_health::probe::Source;
use farol_health::{Application, Checker, Details, PeerIsLoopback};
use farol_shutdown::Handle;
use farol_shutdown::listener::{Access, Peer};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What probes and `/metrics` of the agent read.
pub(crate) struct Own {
    pub(crate) checker: Checker,
    probed: Arc<Application>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) link: Arc<Link>,
    /// How the spool does, where there is one.
    pub(crate) disk: Option<Arc<spool::Health>>,
    /// Who may read `/metrics`.
    pub(crate) access: ArcSwap<Access>,
    /// For `/metrics`.
    pub(crate) reloads: Reloads,
    /// What was asked of the listeners, for `/metrics`.
    pub(crate) traffic: Traffic,
    /// Cancelled when somebody asked this agent to drain, once and for all.
    pub(crate) drained: CancellationToken,
    /// The process: its listeners and how its start went, for `/metrics`.
    pub(crate) handle: Handle,
}

impl Own {
    pub(crate) fn new(
        checker: Checker,
        recorder: Arc<Recorder>,
        link: Arc<Link>,
        disk: Option<Arc<spool::Health>>,
        access: Access,
        handle: &Handle,
    ) -> Arc<Self> {
        Arc::new(Self {
            probed: Application::new(checker.clone(), env!("CARGO_PKG_VERSION"), handle.stopping()),
            checker,
            recorder,
            link,
            disk,
            access: ArcSwap::from_pointee(access),
            reloads: Reloads::new(jiff::Timestamp::now().as_millisecond()),
            traffic: Traffic::default(),
            drained: CancellationToken::new(),
            handle: handle.clone(),
        })
    }

    /// Readiness may say yes from here on.
    pub(crate) fn start(&self) {
        self.probed.started();
        self.recorder.look();
    }

    /// Takes the agent out of service while it runs on: its components are under maintenance, and the stream says
    /// Goodbye. Says whether that is new.
    pub(crate) fn drain(&self) -> bool {
        let is_new = !self.drained.is_cancelled();
        self.drained.cancel();
        self.checker.set_draining(true);
        self.recorder.look();
        is_new
    }
}

/// Probes and `/metrics`.
pub(crate) fn router(own: &Arc<Own>, details: Details) -> Router {
    let told = Arc::clone(own);
    let metrics = get(async move || {
        let headers = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
        (headers, metrics::text(&told)).into_response()
    });
    let metrics = metrics.layer(middleware::from_fn_with_state(Arc::clone(own), only_readers));
    farol_health::router(Arc::clone(&own.probed) as Arc<dyn Source>, details)
        .route("/metrics", metrics)
        .layer(middleware::from_fn(say_where_the_peer_is))
        .layer(traffic::layer(&own.traffic.http))
}

/// gRPC health alone.
pub(crate) fn health(own: &Arc<Own>, draining: CancellationToken) -> Router {
    let statuses = Arc::new(ProcessStatuses::new(Arc::clone(&own.probed) as Arc<dyn Source>));
    let server = grpc::server(statuses, draining, grpc::Limits::default());
    let routes = tonic::service::Routes::new(server).prepare().into_axum_router();
    routes.layer(traffic::layer(&own.traffic.health))
}

/// Metrics are read from this machine, under its names, and by no page of another's, unless the configuration says
/// otherwise. Probes are open.
async fn only_readers(State(own): State<Arc<Own>>, request: Request, next: Next) -> Response {
    let access = own.access.load_full();
    let named = access.check_name(request.uri(), request.headers());
    match named.and_then(|()| access.check_reader(request.extensions())) {
        Ok(()) => next.run(request).await,
        Err(denied) => Problem::from(denied).into_response(),
    }
}

async fn say_where_the_peer_is(mut request: Request, next: Next) -> Response {
    let local = request.extensions().get::<Peer>().is_some_and(Peer::is_loopback);
    request.extensions_mut().insert(PeerIsLoopback(local));
    next.run(request).await
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use farol_health::{Outcome, Registration, Spec, check_fn};
    use farol_shutdown::{Budgets, Supervisor};
    use farol_wire::Boot;
    use std::time::Duration;
    use tower::ServiceExt;

    const HERE: &str = "127.0.0.1:40000";
    const FAR: &str = "10.0.0.7:40000";

    fn own(read_any: bool) -> Arc<Own> {
        let check = check_fn("test", || std::future::ready(Outcome::healthy()));
        own_of(vec![Registration::new(Spec::new("database", "shop"), check)], read_any)
    }

    /// What an agent with these checks reads; the checks do not run.
    pub(crate) fn own_with(checks: Vec<Registration>) -> Arc<Own> {
        own_of(checks, false)
    }

    fn own_of(checks: Vec<Registration>, read_any: bool) -> Arc<Own> {
        let checker = Checker::new(checks.clone(), Arc::new(())).unwrap();
        let boot = Boot { number: 1, nonce: 1 };
        let recorder = Arc::new(Recorder::idle(boot, 1 << 20, Duration::from_secs(10), &checks));
        let bound = vec!["127.0.0.1:8511".parse().unwrap()];
        let access = Access { read_any, hosts: vec!["web-1".to_owned()], bound };
        Own::new(
            checker,
            recorder,
            Link::new(),
            Some(Arc::default()),
            access,
            &Supervisor::new(Budgets::default()).handle(),
        )
    }

    async fn answer(own: &Arc<Own>, peer: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = Peer { addr: peer.parse().unwrap(), tls_identity: None };
        let request = request.extension(peer).body(Body::empty()).unwrap();
        let response = router(own, Details::Loopback).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn metrics_are_for_this_machine_and_its_names_and_probes_for_all() {
        let (closed, open) = (own(false), own(true));
        let host = [("host", "localhost:8511")];
        for (own, peer, headers, expected) in [
            (&closed, HERE, &host[..], "farol_component_status{"),
            (&closed, HERE, &[("host", "web-1:8511")], "farol_component_status{"),
            (&closed, FAR, &host, "403 loopback_only"),
            (&open, FAR, &host, "farol_component_status{"),
            (&open, FAR, &[("host", "evil.example")], "421 unknown_host"),
            (&closed, HERE, &[("host", "evil.example")], "421 unknown_host"),
            (&closed, HERE, &[], "400 bad_host"),
            (&closed, HERE, &[host[0], ("origin", "http://evil.example")], "403 foreign_origin"),
            (&closed, HERE, &[host[0], ("origin", "http://localhost:8511")], "farol_component_status{"),
        ] {
            let (status, body) = answer(own, peer, "/metrics", headers).await;
            match expected.split_once(' ') {
                None => assert!(status == 200 && body.contains(expected), "{headers:?}: {status} {body}"),
                Some((number, code)) => {
                    assert_eq!(status.to_string(), number, "{headers:?}: {body}");
                    assert!(body.contains(&format!("\"code\":\"{code}\"")), "{headers:?}: {body}");
                }
            }
            assert_eq!(answer(own, peer, "/health/live", headers).await.0, 200, "probes are open");
        }
    }
}
