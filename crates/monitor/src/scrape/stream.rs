//! A page that is written while it is sent: pieces of 64 KiB, one at a time, however long the page.

use axum::body::{Body, Bytes};
use std::convert::Infallible;

/// A piece goes out when it has grown so large.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// Writes a page bit by bit.
pub(super) trait Page: Send + 'static {
    /// Appends a bit, of not much more than a piece; false when that was the last one.
    fn write(&mut self, out: &mut Vec<u8>) -> bool;
}

/// The pieces of a page.
pub(super) struct Pieces<P> {
    /// `None` at the end.
    page: Option<P>,
}

impl<P: Page> Pieces<P> {
    pub(super) fn of(page: P) -> Self {
        Self { page: Some(page) }
    }

    pub(super) fn into_body(self) -> Body {
        Body::from_stream(futures::stream::iter(self.map(Ok::<_, Infallible>)))
    }
}

impl<P: Page> Iterator for Pieces<P> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let page = self.page.as_mut()?;
        let mut out = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        while out.len() < PIECE_BYTES {
            if !page.write(&mut out) {
                self.page = None;
                break;
            }
        }
        (!out.is_empty()).then(|| out.into())
    }
}
