//! The HTTP surface: one table, a line for each route. Who may ask is in its line; how a route is kept is the guard's
//! business, and what is answered its handler's.

mod agents;
mod alerts;
mod asked;
mod breakers;
mod components;
mod events;
mod feed;
mod guard;
mod history;
mod incidents;
mod json;
mod log_level;
mod maintenance;
mod named;
mod notifications;
mod openapi;
mod overview;
mod probes;
mod problem;
mod range;
mod reload;
mod route;
mod rules;
#[cfg(test)]
pub(crate) mod scene;
mod services;
mod silences;
mod token;
mod told;
mod uptime;
mod why;

pub use range::Questions;
pub use token::OperatorToken;

pub(crate) use asked::Asked;
pub(crate) use json::document;
pub(crate) use problem::Problem;
pub(crate) use route::{Kind, Param};

use crate::app::App;
use crate::traffic::Traffic;
use crate::{door, scrape, traffic};
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use farol_health::Details;
use farol_health::probe::Source;
use route::Class::{Operate, Probe, Read};
use route::Route;
use std::any::Any;
use std::sync::Arc;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

#[rustfmt::skip]
fn table() -> Vec<Route> {
    vec![
        Route::own("/health", "This monitor's own health"),
        Route::own("/health/detailed", "This monitor's own components and their figures"),
        Route::own("/health/ready", "Whether this monitor is ready"),
        Route::own("/health/live", "Whether this monitor is alive"),
        Route::own("/livez", "Liveness as Kubernetes' text").text("text/plain"),
        Route::own("/readyz", "Readiness as Kubernetes' text").text("text/plain"),
        Route::own("/healthz", "Health as Kubernetes' text").text("text/plain"),
        Route::get("/health/services/{service}", Probe, probes::service, "A service in one look").gives::<probes::ServiceHealth>().may_be_down(),
        Route::get("/health/services/{service}/ready", Probe, probes::ready, "Whether traffic may go to a service").gives::<probes::ServiceReady>().may_be_down(),
        Route::get("/health/services/{service}/detailed", Probe, probes::detailed, "A service with its instances and their components").gives::<probes::ServiceDetailed>().may_be_down(),
        Route::get("/health/services/{service}/live", Probe, probes::live, "Always 404: liveness is asked of a process itself"),
        Route::get("/health/groups/{group}", Probe, probes::group, "A group in one look").gives::<probes::GroupHealth>().may_be_down(),
        Route::get("/metrics", Read, scrape::own, "The monitor's own metrics and every status, for Prometheus").text("text/plain"),
        Route::get("/metrics/fleet", Read, scrape::fleet, "The agents' series, for Prometheus").asks(scrape::MATCH).text("text/plain"),
        Route::get("/api/v1/fleet", Read, overview::fleet, "The fleet in one look").gives::<overview::Overview>(),
        Route::get("/api/v1/agents", Read, agents::list, "The agents").asks(agents::ASKS).lists::<agents::Agent>(),
        Route::get("/api/v1/agents/{agent}", Read, agents::one, "An agent").gives::<agents::Agent>(),
        Route::delete("/api/v1/agents/{agent}", Operate, agents::forget, "Forget a lost agent"),
        Route::get("/api/v1/services", Read, services::list, "The services").asks(services::ASKS).lists::<services::Service>(),
        Route::get("/api/v1/services/{service}", Read, services::one, "A service").gives::<services::Service>(),
        Route::get("/api/v1/groups", Read, services::groups, "The groups").asks(services::ASKS).lists::<services::Group>(),
        Route::get("/api/v1/components", Read, components::list, "The components").asks(components::ASKS).lists::<components::Component>(),
        Route::get("/api/v1/history", Read, history::read, "What was measured, in steps").asks(history::ASKS).gives::<history::History>(),
        Route::get("/api/v1/uptime", Read, uptime::read, "How long components and services were what").asks(uptime::ASKS).gives::<uptime::Uptimes>(),
        Route::get("/api/v1/events", Read, events::read, "The last events; a stream for those who accept text/event-stream").asks(events::ASKS).lists::<events::Told>(),
        Route::get("/api/v1/alerts", Read, alerts::list, "The alerts").asks(alerts::ASKS).lists::<alerts::Alert>(),
        Route::get("/api/v1/alerts/{id}", Read, alerts::one, "An alert").gives::<alerts::Alert>(),
        Route::post("/api/v1/alerts/{id}/acknowledge", Operate, alerts::acknowledge, "Take care of an alert").takes::<alerts::Acknowledge>().gives::<alerts::Alert>(),
        Route::delete("/api/v1/alerts/{id}/acknowledge", Operate, alerts::unacknowledge, "Take care of an alert no more").asks(told::ENDS),
        Route::get("/api/v1/silences", Read, silences::list, "The silences that are not over").asks(silences::ASKS).lists::<silences::Silence>(),
        Route::post("/api/v1/silences", Operate, silences::add, "Silence alerts for a time").takes::<silences::NewSilence>().gives::<silences::Silence>(),
        Route::get("/api/v1/silences/{id}", Read, silences::one, "A silence").gives::<silences::Silence>(),
        Route::delete("/api/v1/silences/{id}", Operate, silences::end_now, "End a silence now").asks(told::ENDS),
        Route::get("/api/v1/maintenance", Read, maintenance::list, "The maintenance windows that are not over").asks(maintenance::ASKS).lists::<maintenance::Window>(),
        Route::post("/api/v1/maintenance", Operate, maintenance::add, "Plan maintenance, once or again and again").takes::<maintenance::NewWindow>().gives::<maintenance::Window>(),
        Route::get("/api/v1/maintenance/{id}", Read, maintenance::one, "A maintenance window").gives::<maintenance::Window>(),
        Route::delete("/api/v1/maintenance/{id}", Operate, maintenance::end_now, "End a maintenance window now and for good").asks(told::ENDS),
        Route::get("/api/v1/rules", Read, rules::list, "The alert rules in force").asks(rules::ASKS).lists::<rules::Rule>(),
        Route::get("/api/v1/incidents", Read, incidents::list, "The incidents, newest first").asks(incidents::ASKS).lists::<incidents::Incident>(),
        Route::get("/api/v1/incidents/{id}", Read, incidents::one, "An incident with its time line").gives::<incidents::Whole>(),
        Route::get("/api/v1/notifications", Read, notifications::list, "The notices to receivers, newest first").asks(notifications::ASKS).lists::<notifications::Notification>(),
        Route::post("/api/v1/notifications/{id}/resend", Operate, notifications::resend, "Send a dead notice again").gives::<notifications::Resent>(),
        Route::get("/api/v1/breakers", Read, breakers::list, "The circuit breakers").asks(breakers::ASKS).lists::<breakers::Breaker>(),
        Route::post("/api/v1/breakers/{name}/open", Operate, breakers::open, "Open a circuit breaker").takes::<breakers::Word>().gives::<breakers::Breaker>(),
        Route::post("/api/v1/breakers/{name}/close", Operate, breakers::close, "Close a circuit breaker").takes::<breakers::Word>().gives::<breakers::Breaker>(),
        Route::post("/api/v1/breakers/{name}/admit", Operate, breakers::admit, "Ask a circuit breaker whether a call may be made").gives::<breakers::Admitted>(),
        Route::post("/api/v1/breakers/{name}/report", Operate, breakers::report, "Say how a call fared that was let through to see").takes::<breakers::Fared>().gives::<breakers::Breaker>(),
        Route::get("/api/v1/actions", Read, breakers::actions, "What actions did, newest first").asks(breakers::ASKS).lists::<breakers::Action>(),
        Route::get("/api/v1/why/alert/{id}", Read, why::alert, "Why an alert is what it is, and who was told").asks(why::ASKS).gives::<why::Why>(),
        Route::get("/api/v1/why/service/{service}", Read, why::service, "Why a service is alerted, or is not").asks(why::ASKS).gives::<why::Why>(),
        Route::get("/api/v1/why/component/{agent}/{service}/{component}", Read, why::component, "Why a component is alerted, or is not").asks(why::ASKS).gives::<why::Why>(),
        Route::get("/api/v1/why/agent/{agent}", Read, why::agent, "Why an agent is alerted, or is not").asks(why::ASKS).gives::<why::Why>(),
        Route::get("/api/v1/why/receiver/{receiver}", Read, why::receiver, "What a receiver is told, and how that goes").gives::<why::ReceiverWhy>(),
        Route::post("/api/v1/reload", Operate, reload::reload, "Read the configuration again").gives::<reload::Reloaded>(),
        Route::post("/api/v1/log-level", Operate, log_level::set, "Log more or less from now on").asks(log_level::ASKS).gives::<log_level::LogLevel>(),
        Route::get("/api/services", Read, services::plain, "The services as a bare array, for scripts").array::<services::Plain>(),
        Route::get("/openapi.json", Read, openapi::document, "This surface as an OpenAPI document"),
    ]
}

/// Every path of the table.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    table().into_iter().map(|route| route.path)
}

/// The monitor's HTTP surface. The listener puts the `Peer` into each request's extensions; without it a caller
/// counts as far away.
pub fn router(app: Arc<App>) -> Router {
    let traffic = traffic::layer(&app.traffic.http);
    let mut router = Router::new();
    for route in table() {
        let Some(serve) = route.serve else { continue };
        let rule = guard::Rule { app: Arc::clone(&app), class: route.class, asks: route.asks };
        let serve = serve.layer(from_fn_with_state(rule, guard::keep));
        let serve = if route.class == Read {
            serve.layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        } else {
            serve
        };
        router = router.route(route.path, serve);
    }
    router
        .with_state(Arc::clone(&app))
        .merge(farol_health::router(Arc::clone(&app.own), app.details))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(guard::prepare))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(traffic)
}

/// The surface of a monitor that starts: its own probes, and for everything else a word to come back.
pub(crate) fn starting(own: Arc<dyn Source>, details: Details, traffic: &Traffic) -> Router {
    farol_health::router(own, details)
        .fallback(door::not_yet)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(guard::prepare))
        .layer(traffic::layer(&traffic.http))
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(
        "no_such_path",
        format!("there is nothing at `{:.200}`; see /openapi.json", uri.path()),
    )
}

async fn no_such_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path has no such method; the Allow header names those it has",
    )
}

/// A bug in a handler: logged with its words, told without them.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
    tracing::error!(panic = words, "a handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a bug in the monitor; its log says more")
        .into_response()
}

#[cfg(test)]
mod tests;
