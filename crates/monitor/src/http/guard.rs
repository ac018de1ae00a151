//! What every request passes before its handler: who asks, under which name, from which page, with which query and
//! how large a body. The rule of a route is its line in the table; here it is kept.

use super::asked::Asked;
use super::problem::Problem;
use super::route::{Class, Param};
use super::token::Shown;
use crate::app::App;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use farol_health::PeerIsLoopback;
use farol_logging::event;
use farol_shutdown::listener::{Denied, Peer};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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
    let (peer, uri) = (peer_of(&request).cloned(), request.uri().clone());
    match take_body(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => {
            tell(&problem, peer.as_ref(), uri.path());
            problem.into_response()
        }
    }
}

async fn take_body(request: Request) -> Result<Request, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body has more than {BODY_BYTES} bytes; send {BODY_BYTES} at most"),
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
        Err(problem) => {
            tell(&problem, peer_of(&request), request.uri().path());
            problem.into_response()
        }
    }
}

fn peer_of(request: &Request) -> Option<&Peer> {
    request.extensions().get::<Peer>()
}

/// Who was refused for what he is or showed has a line of his own; a wrong question has none.
fn tell(problem: &Problem, peer: Option<&Peer>, path: &str) {
    let code = problem.code();
    let is_refusal = matches!(
        code,
        "wrong_token"
            | "too_many_wrong_tokens"
            | "token_needed"
            | "loopback_only"
            | "unknown_host"
            | "foreign_origin"
            | "body_too_large"
            | "body_too_slow"
    );
    if is_refusal {
        let event = event::security(code).outcome("refused").subject(format_args!("{path:.256}"));
        match peer {
            Some(peer) => event.peer(peer.addr.ip()).log(),
            None => event.log(),
        }
    }
}

impl Rule {
    fn admit(&self, request: &Request) -> Result<Asked, Problem> {
        let access = self.app.access.load();
        if self.class != Class::Probe {
            access.check_name(request.uri(), request.headers())?;
        }
        match self.class {
            Class::Probe => {}
            Class::Read => access.check_reader(request.extensions())?,
            Class::Operate => self.check_token(request)?,
        }
        Asked::read(request.uri().query(), self.asks)
    }

    fn check_token(&self, request: &Request) -> Result<(), Problem> {
        let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let bearer = given.and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        });
        let address = peer_of(request).map(|peer| peer.addr.ip());
        match given.map(|_| self.app.token.judge(bearer.unwrap_or_default(), address, Instant::now())) {
            Some(Shown::Right) => return Ok(()),
            Some(Shown::TooMany(wait)) => {
                let seconds = wait.as_secs_f64().ceil() as u64;
                let detail = format!("too many wrong tokens from this address; wait {seconds} s");
                return Err(Problem::too_many("too_many_wrong_tokens", detail)
                    .with(header::RETRY_AFTER, HeaderValue::from(seconds)));
            }
            Some(Shown::Wrong) | None => {}
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

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(denied.status(), denied.code(), denied.to_string())
    }
}
