//! The local API: applications on this machine say how they are. Decides who may ask what, one line a route; what is
//! told counts in the checker as a check's result does.

mod address;
mod bucket;
mod drain;
mod guard;
mod socket;
#[cfg(test)]
mod tests;
mod word;

pub use address::Local;
pub(crate) use socket::Listener;

use crate::probes::Own;
use crate::problem::Problem;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Extensions, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, put};
use bucket::Buckets;
use farol_health::clock::boot_ms;
use farol_health::{ComponentView, Outcome};
use farol_shutdown::Handle;
use farol_shutdown::listener::{Limits, Peer, serve};
use farol_wire::Role;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::Instant;

/// The listener's name in logs and metrics.
const NAME: &str = "agent_local";
/// Enough for a machine's applications, and too few to take the files of the agent's other listeners.
const CONNECTIONS: usize = 256;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Programs on this machine, under its names; no page of another's.
    Local,
}

/// One line of the table.
struct Route {
    path: &'static str,
    class: Class,
    serve: MethodRouter<Arc<Api>>,
}

#[rustfmt::skip]
fn table() -> Vec<Route> {
    vec![
        Route { path: "/v1/heartbeats/{name}", class: Class::Local, serve: put(beat) },
        Route { path: "/v1/components/{name}", class: Class::Local, serve: put(tell) },
        Route { path: "/v1/components", class: Class::Local, serve: get(components) },
        Route { path: "/v1/drain", class: Class::Local, serve: put(drain::drain) },
    ]
}

/// What the routes share.
pub(crate) struct Api {
    own: Arc<Own>,
    /// What the agent runs beside, where there is a monitor that it says Goodbye to.
    role: Option<Role>,
    /// How fast each name is told.
    buckets: Mutex<Buckets>,
}

/// Serves the API until draining ends.
pub(crate) fn start(listener: Listener, own: &Arc<Own>, role: Option<Role>, handle: &Handle) {
    let router = router(own, role);
    let limits = Limits { connections: CONNECTIONS, per_address: CONNECTIONS, ..Limits::default() };
    match listener {
        Listener::Tcp(tcp) => handle.spawn(NAME, serve(tcp, router, limits, None, handle, NAME)),
        Listener::Unix(unix) => handle.spawn(NAME, serve(unix, router, limits, None, handle, NAME)),
    }
}

fn router(own: &Arc<Own>, role: Option<Role>) -> Router {
    let api = Arc::new(Api { own: Arc::clone(own), role, buckets: Mutex::default() });
    let mut router = Router::new();
    for Route { path, class, serve } in table() {
        let serve = match class {
            Class::Local => serve.layer(from_fn_with_state(Arc::clone(&api), guard::keep)),
        };
        router = router.route(path, serve);
    }
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(api)
        .layer(correlation())
}

/// Applications tell all day: their lines are quiet.
fn correlation() -> farol_logging::correlation::Layer {
    let peer = |extensions: &Extensions| extensions.get::<Peer>().map(|peer| peer.addr.to_string());
    farol_logging::correlation::Layer::new().quiet(&["/v1/"]).route(crate::traffic::matched).peer(peer)
}

async fn beat(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    api.take(&name, "heartbeat")?;
    api.tell(&name, word::of_heartbeat(&body)?)
}

async fn tell(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    api.take(&name, "push")?;
    api.tell(&name, word::of_component(&body)?)
}

impl Api {
    /// Whether `name` is declared as this kind, and is not told too fast.
    fn take(&self, name: &str, kind: &'static str) -> Result<(), Problem> {
        let snapshot = self.own.checker.snapshot();
        let found = snapshot.component(name);
        let mut buckets = self.buckets.lock();
        buckets.keep(|known| snapshot.component(known).is_some(), snapshot.components.len());
        let whose = found.map(|component| &*component.name);
        buckets.take(whose, Instant::now()).map_err(|wait| {
            let detail =
                "told faster than ten times a second; tell changes, and now and then that it still holds";
            Problem::too_many(detail, wait)
        })?;
        drop(buckets);
        match found {
            Some(component) if component.kind == kind => Ok(()),
            Some(component) => Err(other_kind(component)),
            None => Err(not_declared(name, kind)),
        }
    }

    fn tell(&self, name: &str, outcome: Outcome) -> Result<StatusCode, Problem> {
        if self.own.checker.tell(name, outcome) {
            return Ok(StatusCode::NO_CONTENT);
        }
        // A reload took it away since it was looked up.
        Err(not_declared(name, "push"))
    }
}

fn not_declared(name: &str, kind: &str) -> Problem {
    if is_name(name) {
        let ttl = if kind == "heartbeat" { "1h" } else { "1m" };
        let detail = format!(
            "`{name}` is not declared; add `- {{name: {name}, {kind}: {{ttl: {ttl}}}}}` under `checks:` of this \
             agent's configuration and send it SIGHUP"
        );
        return Problem::new(StatusCode::NOT_FOUND, "not_declared", detail);
    }
    let detail = "this cannot name a component; use 1 to 128 of the characters A-Z a-z 0-9 . _ -";
    Problem::new(StatusCode::NOT_FOUND, "bad_name", detail)
}

fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=128).contains(&name.len()) && name.bytes().all(fits)
}

fn other_kind(component: &ComponentView) -> Problem {
    let (name, kind) = (&component.name, component.kind);
    let detail = match kind {
        "heartbeat" => format!("`{name}` is a heartbeat; write `PUT /v1/heartbeats/{name}`"),
        "push" => format!("`{name}` is told by its status; write `PUT /v1/components/{name}`"),
        _ => format!(
            "`{name}` is a `{kind}` check that the agent runs itself; declare another name to tell it"
        ),
    };
    Problem::new(StatusCode::CONFLICT, "other_kind", detail)
}

async fn components(State(api): State<Arc<Api>>) -> Response {
    let now_ms = boot_ms();
    let snapshot = api.own.checker.snapshot();
    let items: Vec<Value> = snapshot.components.iter().map(|component| shown(component, now_ms)).collect();
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, json!({"items": items, "next": null}).to_string()).into_response()
}

fn shown(component: &ComponentView, now_ms: u64) -> Value {
    json!({
        "name": &*component.name,
        "service": &*component.service,
        "kind": component.kind,
        "status": component.status_at(now_ms).as_str(),
        "last_result": component.soft.as_str(),
        "reason": component.reason,
        "message": &*component.message,
        "age_ms": component.checked_ms.map(|at| now_ms.saturating_sub(at)),
    })
}

async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at `{:.200}`; there are PUT /v1/heartbeats/{{name}}, PUT /v1/components/{{name}}, GET \
         /v1/components and PUT /v1/drain",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", detail)
}

async fn no_such_method() -> Problem {
    let detail = "this path has no such method; the Allow header names those it has";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
