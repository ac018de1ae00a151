//! `farol healthcheck`: asks one address, and says in one line whether it is healthy. Follows no redirect, uses
//! no proxy, and reads no body.

mod target;

pub use target::Target;

use crate::cli::HealthcheckArgs;
use crate::terminal::{Terminal, one_line};
use crate::verdict::Error;
use farol_health::grpc::ServingStatus;
use farol_health::grpc::client;
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
    terminal.print(&one_line(&format!("{word}: {} from {} after {took} ms", answer.what, args.target)))?;
    Ok(answer.healthy)
}

/// What came back.
struct Answer {
    healthy: bool,
    what: String,
}

impl Answer {
    fn no(what: impl Into<String>) -> Self {
        Self { healthy: false, what: what.into() }
    }
}

async fn ask(target: &Target, deadline: Duration) -> Answer {
    match target {
        Target::Http(url) => http(url).await.unwrap_or_else(|error| Answer::no(root(&error))),
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
    let status = client.build()?.get(url.clone()).send().await?.status();
    Ok(Answer { healthy: (200..400).contains(&status.as_u16()), what: status.to_string() })
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
        Ok(ServingStatus::Serving) => Answer { healthy: true, what: "SERVING".into() },
        Ok(ServingStatus::NotServing) => Answer::no("NOT_SERVING"),
        Ok(ServingStatus::Unknown) => Answer::no("UNKNOWN"),
        Err(error) => Answer::no(error.to_string()),
    }
}

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
