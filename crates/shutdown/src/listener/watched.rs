//! A connection's bytes with its pulse taken as they pass; what was read ahead comes first. Changes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::pulse::Pulse;

pub(crate) struct Watched<T> {
    /// Read ahead to tell the protocol; given out first.
    ahead: Bytes,
    io: T,
    pulse: Arc<Mutex<Pulse>>,
}

impl<T> Watched<T> {
    pub(crate) fn new(ahead: Bytes, io: T, pulse: Arc<Mutex<Pulse>>) -> Watched<T> {
        Watched { ahead, io, pulse }
    }

    fn written<R>(&self, poll: Poll<R>) -> Poll<R> {
        let mut pulse = self.pulse.lock();
        match poll {
            Poll::Ready(_) => pulse.wrote(),
            Poll::Pending => pulse.write_pending(Instant::now()),
        }
        poll
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.has_remaining() {
            // Already counted when it was read ahead.
            let take = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..take]);
            self.ahead.advance(take);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.pulse.lock().read(read, Instant::now);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.written(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_flush(cx);
        self.written(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_shutdown(cx);
        self.written(poll)
    }
}
