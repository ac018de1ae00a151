//! A response's body inside the request's span: what a stream logs while it is sent belongs to its request.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Span;

/// The body of a response of [`Correlated`](super::Correlated).
pub struct Body<B> {
    inner: B,
    span: Span,
}

impl<B> Body<B> {
    pub(super) fn new(inner: B, span: Span) -> Self {
        Self { inner, span }
    }
}

impl<B: HttpBody + Unpin> HttpBody for Body<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Self { inner, span } = &mut *self;
        let _inside = span.enter();
        Pin::new(inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
