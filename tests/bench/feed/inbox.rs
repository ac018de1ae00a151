//! What waits for one stream: at most one piece of a request's body. Full means that the monitor is behind.

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame};
use parking_lot::Mutex;
use prost::Message;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// gRPC's prefix: not compressed, and the length.
const PREFIX: usize = 5;

/// The way into one stream.
#[derive(Default)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Option<Bytes>,
    reader: Option<Waker>,
}

impl Inbox {
    /// Hands a piece over; gives it back while the one before was not taken.
    pub(super) fn put(&self, piece: Bytes) -> Result<(), Bytes> {
        let mut state = self.0.lock();
        if state.waiting.is_some() {
            return Err(piece);
        }
        state.waiting = Some(piece);
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.lock().waiting.is_some()
    }
}

/// A request's body that says what its inbox gets.
pub(super) struct Said(pub(super) Arc<Inbox>);

impl Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut state = self.0.0.lock();
        match state.waiting.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => {
                let same = state.reader.as_ref().is_some_and(|old| old.will_wake(context.waker()));
                if !same {
                    state.reader = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

/// Messages as gRPC frames them.
pub(super) fn framed<M: Message>(messages: &[M]) -> Bytes {
    let lengths = messages.iter().map(Message::encoded_len);
    let mut out = BytesMut::with_capacity(lengths.map(|length| length + PREFIX).sum());
    for message in messages {
        out.put_u8(0);
        out.put_u32(u32::try_from(message.encoded_len()).expect("no message of ours is so long"));
        message.encode(&mut out).expect("there is room");
    }
    out.freeze()
}
