//! What every request passes before its handler: who asks, under which name, from which page, with which query and
//! how large a body. The rule of a route is its line in the table; here it is kept.

use super::access::same_origin;
use super::asked::Asked;
use super::problem::Problem;
use super::route::{Class, Param};
use crate::app::App;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use farol_health::PeerIsLoopback;
use farol_shutdown::listener::Peer;
use std::sync::Arc;
use std::time::Duration;

/// Bodies are not larger; no route needs one.
const BODY_BYTES: usize = 64 * 1024;
/// And come within this.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// The rule of one route.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) app: Arc<App>,
    pub(super) class: Class,
    pub(super) asks: &'static [Param],
}

/// Says to the probe router whether the caller sits on this machine, and takes the body in, within bounds.
pub(super) async fn prepare(mut request: Request, next: Next) -> Response {
    let loopback = request.extensions().get::<Peer>().is_some_and(Peer::is_loopback);
    request.extensions_mut().insert(PeerIsLoopback(loopback));
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    match take_body(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn take_body(request: Request) -> Result<Request, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body has more than {BODY_BYTES} bytes; send none"),
        )
    };
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(parts, Body::from(bytes))),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            format!("the body did not come within {} s", BODY_WITHIN.as_secs()),
        )),
    }
}

/// Keeps the rule of a route, then hands the request on with its checked query.
pub(super) async fn keep(State(rule): State<Rule>, mut request: Request, next: Next) -> Response {
    match rule.admit(&request) {
        Ok(asked) => {
            request.extensions_mut().insert(asked);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

impl Rule {
    fn admit(&self, request: &Request) -> Result<Asked, Problem> {
        if self.class != Class::Probe {
            self.check_host(request)?;
        }
        match self.class {
            Class::Probe => {}
            Class::Read => self.check_reader(request)?,
            Class::Operate => self.check_token(request.headers())?,
        }
        Asked::read(request.uri().query(), self.asks)
    }

    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let authority = authority(request.uri(), request.headers())?;
        if !self.app.access.load().knows(&authority) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                format!(
                    "`{:.100}` is not a name of this monitor; add it to `access.hosts` in the configuration, or ask by \
                     its address",
                    authority
                ),
            ));
        }
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let same = |origin: &HeaderValue| origin.to_str().is_ok_and(|o| same_origin(o, &authority));
        if origins.all(same) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "pages of other origins may not ask this monitor; open its own dashboard",
        ))
    }

    fn check_reader(&self, request: &Request) -> Result<(), Problem> {
        let local = request.extensions().get::<Peer>().is_some_and(Peer::is_loopback);
        if local || self.app.access.load().read_any {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "loopback_only",
            "only callers on the monitor's machine may read this; set `access: {read: any}` to let others in",
        ))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let bearer = given.and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        });
        if bearer.is_some_and(|token| self.app.token.is(token)) {
            return Ok(());
        }
        let (code, detail) = if given.is_some() {
            (
                "wrong_token",
                "this is not the operator's token; it stands in `operator.token` in the data directory",
            )
        } else {
            (
                "token_needed",
                "send `Authorization: Bearer …` with the token in `operator.token` in the data directory",
            )
        };
        Err(Problem::new(StatusCode::UNAUTHORIZED, code, detail)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"farol\"")))
    }
}

/// The name under which the monitor is asked: HTTP/2's `:authority`, else the one `Host`.
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Problem::bad_request("bad_host", "there are several Host headers; send one"));
    }
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str().rsplit('@').next().unwrap_or_default().to_owned());
    }
    match host.map(HeaderValue::to_str) {
        Some(Ok(host)) => Ok(host.to_owned()),
        Some(Err(_)) => Err(Problem::bad_request("bad_host", "the Host header is not plain text")),
        None => Err(Problem::bad_request("bad_host", "there is no Host header; send one")),
    }
}
