//! `farol healthcheck`: asks one address, and says in one line whether it is healthy. Follows no redirect, uses
//! no proxy, and reads no body.

mod target;

pub use target::Target;

use crate::cli::HealthcheckArgs;
use crate::terminal::{Terminal, one_line};
use crate::verdict::Error;
use farol_health::grpc::ServingStatus;
use farol_health::grpc::client::{self, CheckError};
use reqwest::redirect::Policy;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tonic::transport::Endpoint;

/// Asks, prints one line, and gives whether it is healthy.
///
/// # Errors
/// When the line cannot be printed. A target that does not answer is no error: it is not healthy.
pub async fn run(args: &HealthcheckArgs, terminal: &mut Terminal) -> Result<bool, Error> {
    let began = Instant::now();
    let answer = timeout(args.timeout, ask(&args.target, args.timeout)).await;
    let answer = answer.unwrap_or_else(|_| Answer::no(format!("no answer within {:?}", args.timeout)));
    let word = if answer.healthy { "healthy" } else { "unhealthy" };
    let took = began.elapsed().as_millis();
    let advice = answer.advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    let line = format!("{word}: {} from {} after {took} ms{advice}", answer.what, args.target);
    terminal.print(&one_line(&line))?;
    Ok(answer.healthy)
}

/// What came back.
struct Answer {
    healthy: bool,
    what: String,
    /// What to ask instead, where the address seems to be the wrong one.
    advice: Option<String>,
}

impl Answer {
    fn no(what: impl Into<String>) -> Self {
        Self { healthy: false, what: what.into(), advice: None }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

async fn ask(target: &Target, deadline: Duration) -> Answer {
    match target {
        Target::Http(url) => http(url).await.unwrap_or_else(|error| no_http(&error)),
        Target::Grpc { authority, service } => grpc(authority, service, deadline).await,
    }
}

async fn http(url: &reqwest::Url) -> Result<Answer, reqwest::Error> {
    let mut client = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("farol/", env!("CARGO_PKG_VERSION")));
    if url.scheme() == "http" {
        // The machine's certificates need neither exist nor be read.
        client = client.tls_certs_only([]);
    }
    let answer = client.build()?.get(url.clone()).send().await?;
    if farol_checks::http::is_grpc(&answer) {
        let authority = url.authority().rsplit('@').next().unwrap_or_default();
        return Ok(
            Answer::no("a gRPC port's answer").advice(format!("ask it as `grpc://{authority}/SERVICE`"))
        );
    }
    let status = answer.status();
    Ok(Answer { healthy: (200..400).contains(&status.as_u16()), what: status.to_string(), advice: None })
}

fn no_http(error: &reqwest::Error) -> Answer {
    if farol_checks::http::speaks_no_tls(error) {
        return Answer::no("an answer without TLS").advice("if it speaks plain HTTP, write `http://`");
    }
    let answer = Answer::no(root(error));
    if error.is_connect() || error.is_timeout() {
        return answer;
    }
    answer.advice(
        "it does not answer as a web server does; write `https://` if it speaks TLS, `grpc://` if gRPC",
    )
}

async fn grpc(authority: &str, service: &str, deadline: Duration) -> Answer {
    let endpoint = match Endpoint::from_shared(format!("http://{authority}")) {
        Ok(endpoint) => endpoint.connect_timeout(deadline),
        Err(error) => return Answer::no(root(&error)),
    };
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return Answer::no(root(&error)),
    };
    match client::check(channel, service, deadline).await {
        Ok(ServingStatus::Serving) => Answer { healthy: true, what: "SERVING".into(), advice: None },
        Ok(ServingStatus::NotServing) => Answer::no("NOT_SERVING"),
        Ok(ServingStatus::Unknown) => Answer::no("UNKNOWN"),
        Err(CheckError::NotGrpc) => Answer::no("an answer without gRPC").advice(TO_HTTP),
        Err(error @ CheckError::Call(_)) => Answer::no(root(&error)).advice(TO_HTTP),
        Err(error) => Answer::no(error.to_string()),
    }
}

/// Where a web server is asked for gRPC.
const TO_HTTP: &str = "if it is a web server, ask it as `http://HOST:PORT/health`";

/// The last of an error's causes: what the system said.
pub(crate) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
