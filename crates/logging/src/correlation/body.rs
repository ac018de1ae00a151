//! A response's body inside the request's span: what a stream logs while it is sent belongs to its request, and its
//! end is told.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Span;

use super::access::Access;

/// The body of a response of [`Correlated`](super::Correlated).
pub struct Body<B> {
    inner: B,
    /// Tells the end where it is this body's; dropped before the span.
    access: Option<Access>,
    span: Span,
}

impl<B> Body<B> {
    pub(super) fn new(inner: B, access: Option<Access>, span: Span) -> Self {
        Self { inner, access, span }
    }
}

impl<B: HttpBody + Unpin> HttpBody for Body<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Self { inner, access, span } = &mut *self;
        let _inside = span.enter();
        let polled = Pin::new(inner).poll_frame(context);
        if let Some(told) = access {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        told.trailers(trailers);
                        *access = None;
                    }
                }
                Poll::Ready(end) => {
                    told.end(end.is_none());
                    *access = None;
                }
                Poll::Pending => {}
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for Body<B> {
    fn drop(&mut self) {
        let _inside = self.span.enter();
        self.access = None;
    }
}
