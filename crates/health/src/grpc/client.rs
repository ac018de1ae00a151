//! The client's side of `grpc.health.v1`. It keeps the public rules: Check has a deadline; Watch comes again
//! with back-off after any end, except that a server without the protocol is not asked twice.

use super::pb::health_client::HealthClient;
use super::{ServingStatus, from_wire, pb};
use futures::stream::{self, Stream};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

/// An answer is never larger than this.
const MAX_ANSWER_BYTES: usize = 64 * 1_024;

/// How the transport begins its words on an HTTP answer that is none of gRPC's.
const NO_GRPC_STATUS: &str = "grpc-status header missing";

/// Why Check gave no status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The server answers, and does not know the name.
    #[error("the server knows no service `{0}`; check the name, or use the empty name for the whole server")]
    UnknownService(String),
    /// The server answers, and does not know the protocol.
    #[error("the server does not offer grpc.health.v1; check the port, or check it by TCP instead")]
    Unimplemented,
    /// The server answers, and speaks no gRPC at all.
    #[error("what answers there speaks HTTP, but no gRPC; check the port")]
    NotGrpc,
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The call failed.
    #[error("the call failed with {}", .0.code())]
    Call(#[source] Box<Status>),
}

/// Asks for a service's status once; the empty name is the whole server.
///
/// # Errors
/// When there is no status to be had within `deadline`.
pub async fn check(channel: Channel, service: &str, deadline: Duration) -> Result<ServingStatus, CheckError> {
    let mut request = Request::new(pb::HealthCheckRequest { service: service.to_owned() });
    request.set_timeout(deadline);
    let mut client = HealthClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let began = Instant::now();
    let answer = tokio::time::timeout(deadline, client.check(request))
        .await
        .map_err(|_| CheckError::Deadline(deadline))?
        .map_err(|status| match status.code() {
            _ if status.message().starts_with(NO_GRPC_STATUS) => CheckError::NotGrpc,
            Code::NotFound => CheckError::UnknownService(service.to_owned()),
            Code::Unimplemented => CheckError::Unimplemented,
            Code::DeadlineExceeded => CheckError::Deadline(deadline),
            // The channel's own timer may come first; its word is `Cancelled`.
            _ if began.elapsed() >= deadline => CheckError::Deadline(deadline),
            _ => CheckError::Call(Box::new(status)),
        })?;
    from_wire(answer.into_inner()).ok_or_else(|| CheckError::UnknownService(service.to_owned()))
}

/// How long to wait before watching again: `first`, then 1.6 times more each time up to `most`, each shortened
/// or stretched by up to a fifth at random. Any message received starts over at `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure.
    pub first: Duration,
    /// Never longer.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(120) }
    }
}

impl Retry {
    /// The wait after so many failures in a row; `chance` is any number.
    fn wait(self, failures: u32, chance: u64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1).min(64)).unwrap_or(64);
        let wait = (self.first.as_secs_f64() * 1.6_f64.powi(exponent)).min(self.most.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a thousandth is precise enough for jitter")]
        let factor = 0.8 + (chance % 1_001) as f64 / 2_500.0;
        Duration::try_from_secs_f64(wait * factor).unwrap_or(self.most)
    }
}

/// What a watcher learns.
#[derive(Debug)]
pub enum Watched {
    /// The status now.
    Status(ServingStatus),
    /// The server does not know the name, or not yet.
    UnknownService,
    /// The watch ended; the next try is after `retry_in`.
    Lost {
        /// What ended it; OK when the server ended it properly.
        cause: Box<Status>,
        /// The wait until the next try.
        retry_in: Duration,
    },
    /// The server does not offer the protocol. The last item: it is not asked again.
    Unimplemented,
}

/// Watches a service until the stream is dropped.
pub fn watch(
    channel: Channel,
    service: impl Into<String>,
    retry: Retry,
) -> impl Stream<Item = Watched> + Send + 'static {
    let watching = Watching {
        client: HealthClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES),
        service: service.into(),
        retry,
        failures: 0,
        wait: None,
        messages: None,
        ended: false,
    };
    stream::unfold(watching, |mut watching| async move {
        let item = watching.next().await?;
        Some((item, watching))
    })
}

struct Watching {
    client: HealthClient<Channel>,
    service: String,
    retry: Retry,
    /// Failures since the last message: they lengthen the wait.
    failures: u32,
    /// The wait still owed before the next try.
    wait: Option<Duration>,
    /// The open call.
    messages: Option<Streaming<pb::HealthCheckResponse>>,
    /// The server does not offer the protocol.
    ended: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Watched> {
        if self.ended {
            return None;
        }
        if let Some(wait) = self.wait.take() {
            tokio::time::sleep(wait).await;
        }
        Some(match self.message().await {
            Ok(answer) => {
                self.failures = 0;
                from_wire(answer).map_or(Watched::UnknownService, Watched::Status)
            }
            Err(status) => self.lost(status),
        })
    }

    async fn message(&mut self) -> Result<pb::HealthCheckResponse, Status> {
        let messages = match &mut self.messages {
            Some(messages) => messages,
            None => {
                let request = pb::HealthCheckRequest { service: self.service.clone() };
                self.messages.insert(self.client.watch(request).await?.into_inner())
            }
        };
        messages.message().await?.ok_or_else(|| Status::new(Code::Ok, "the server ended the watch"))
    }

    fn lost(&mut self, status: Status) -> Watched {
        self.messages = None;
        if status.code() == Code::Unimplemented {
            self.ended = true;
            return Watched::Unimplemented;
        }
        self.failures = self.failures.saturating_add(1);
        let retry_in = self.retry.wait(self.failures, RandomState::new().hash_one(self.failures));
        self.wait = Some(retry_in);
        Watched::Lost { cause: Box::new(status), retry_in }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_by_1_6_stays_within_a_fifth_and_under_its_cap() {
        let retry = Retry::default();
        for (failures, middle) in
            [(1, 1.0), (2, 1.6), (3, 2.56), (11, 109.951), (12, 120.0), (u32::MAX, 120.0)]
        {
            for chance in [0, 500, 1_000, u64::MAX] {
                let wait = retry.wait(failures, chance).as_secs_f64();
                assert!(wait >= middle * 0.799 && wait <= middle * 1.201, "{failures} {chance}: {wait}");
            }
            assert!(retry.wait(failures, 0) < retry.wait(failures, 1_000));
        }
    }
}
