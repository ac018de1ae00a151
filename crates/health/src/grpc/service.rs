//! The three calls: Check, List and Watch. Decides the answer to each request by the public protocol's rules;
//! how watchers learn of changes is `watchers`'s part.

use super::watchers::{Subscription, Watchers};
use super::{ServingStatus, Statuses, pb, to_wire};
use futures::stream::{self, BoxStream, StreamExt};
use pb::health_server::{Health, HealthServer};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// A request is never larger than this: a name, with room for fields of later protocols.
const MAX_REQUEST_BYTES: usize = 64 * 1_024;

/// The gRPC service, ready to be added to a router.
pub type Server = HealthServer<Service>;

/// How much one server takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Watch streams open at once; more are refused with RESOURCE_EXHAUSTED.
    pub watchers: usize,
    /// Services in an answer to List; more are refused with RESOURCE_EXHAUSTED.
    pub list: usize,
    /// Bytes of a name; longer is INVALID_ARGUMENT.
    pub name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { watchers: 10_000, list: 100, name_bytes: 512 }
    }
}

/// The server over `statuses`. When `draining` is cancelled every Watch sends what changed last and ends.
pub fn server(statuses: Arc<dyn Statuses>, draining: CancellationToken, limits: Limits) -> Server {
    let watchers = Watchers::new(Arc::clone(&statuses), limits.watchers);
    HealthServer::new(Service { statuses, watchers, draining, limits })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
}

/// Answers the calls of `grpc.health.v1.Health`.
pub struct Service {
    /// Who knows the names.
    statuses: Arc<dyn Statuses>,
    /// The open Watch streams.
    watchers: Arc<Watchers>,
    /// Cancelled when streams have to end.
    draining: CancellationToken,
    /// What is refused.
    limits: Limits,
}

impl Service {
    fn name(&self, request: Request<pb::HealthCheckRequest>) -> Result<String, Status> {
        let name = request.into_inner().service;
        if name.len() > self.limits.name_bytes {
            let most = self.limits.name_bytes;
            let got = name.len();
            return Err(Status::invalid_argument(format!(
                "the service's name has {got} bytes; names have at most {most}"
            )));
        }
        Ok(name)
    }
}

#[tonic::async_trait]
impl Health for Service {
    type WatchStream = BoxStream<'static, Result<pb::HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<pb::HealthCheckResponse>, Status> {
        let name = self.name(request)?;
        match self.statuses.check(&name) {
            Some(status) => Ok(Response::new(answer(Some(status)))),
            None => Err(Status::not_found(format!("no service `{name}` is known here"))),
        }
    }

    async fn list(
        &self,
        _: Request<pb::HealthListRequest>,
    ) -> Result<Response<pb::HealthListResponse>, Status> {
        let listed = self.statuses.list();
        if listed.len() > self.limits.list {
            return Err(Status::resource_exhausted(format!(
                "there are more than {} services; use Check or Watch for each",
                self.limits.list
            )));
        }
        let statuses = listed.into_iter().map(|(name, status)| (name, answer(Some(status)))).collect();
        Ok(Response::new(pb::HealthListResponse { statuses }))
    }

    async fn watch(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let name = self.name(request)?;
        let Some(subscription) = self.watchers.subscribe(&name) else {
            return Err(Status::resource_exhausted(format!(
                "{} Watch streams are open already; close some or use Check",
                self.limits.watchers
            )));
        };
        let watch = Watch { subscription, draining: self.draining.clone(), sent: None, ended: false };
        let changes = stream::unfold(watch, |mut watch| async move {
            let message = watch.next().await?;
            Some((message, watch))
        });
        Ok(Response::new(changes.boxed()))
    }
}

/// One open Watch.
struct Watch {
    /// Where changes of the name arrive, the newest only.
    subscription: Subscription,
    /// Cancelled when the stream has to end.
    draining: CancellationToken,
    /// What the caller was told last, so that it is told changes only.
    sent: Option<Option<ServingStatus>>,
    /// The last message is out.
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<pb::HealthCheckResponse, Status>> {
        while !self.ended {
            let latest = self.subscription.latest();
            if let Some(message) = self.unsent(latest) {
                return Some(Ok(message));
            }
            let draining = self.draining.clone();
            tokio::select! {
                () = draining.cancelled() => {
                    self.ended = true;
                    return self.unsent(self.subscription.look()).map(Ok);
                }
                alive = self.subscription.moved() => if !alive {
                    self.ended = true;
                    return Some(Err(Status::unavailable("the watch broke off; watch again")));
                }
            }
        }
        None
    }

    fn unsent(&mut self, status: Option<ServingStatus>) -> Option<pb::HealthCheckResponse> {
        if self.sent == Some(status) {
            return None;
        }
        self.sent = Some(status);
        Some(answer(status))
    }
}

fn answer(status: Option<ServingStatus>) -> pb::HealthCheckResponse {
    pb::HealthCheckResponse { status: to_wire(status).into() }
}
