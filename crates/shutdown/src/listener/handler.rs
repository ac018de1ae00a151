//! What a listener can serve: any tower service of HTTP requests, under one short name. Decides nothing.

use std::future::Future;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tower::{Service, ServiceExt};

/// An error of a service or a body, as hyper takes it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a listener can serve: every `tower::Service` of requests with hyper's body, such as `axum::Router`.
/// Implemented for all of them; nobody else needs to.
pub trait Handler: Clone + Send + 'static {
    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<BoxError>> + Send + 'static;

    /// Answers one request.
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Self::Body>, BoxError>> + Send + use<Self>;
}

impl<S, B> Handler for S
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;

    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<B>, BoxError>> + Send + use<S, B> {
        let answer = self.clone().oneshot(request);
        async move { answer.await.map_err(Into::into) }
    }
}
