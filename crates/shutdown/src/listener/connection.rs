//! One accepted connection from its first byte to its end: TLS, protocol, requests, deadlines, draining.
//! Who is admitted and what is counted is decided in `serve`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::greeting::{self, Protocol};
use super::pulse::Pulse;
use super::tls::{self, Tls};
use super::watched::Watched;
use super::{BoxError, Closed, Handler, Limits, Peer};

/// A connection that has said nothing yet when draining begins may have its first bytes on the way.
const LAST_CALL: Duration = Duration::from_millis(250);

/// What all connections of a listener have in common.
pub(crate) struct Common {
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Tls>,
    /// Wakes the connections when draining begins. The listener's own: it is cancelled after `drains` is set.
    draining: CancellationToken,
    /// Draining has begun: looked at with each poll, where the token would be a lock.
    drains: AtomicBool,
}

impl Common {
    pub(crate) fn new(limits: Limits, tls: Option<Tls>) -> Common {
        Common { limits, tls, draining: CancellationToken::new(), drains: AtomicBool::new(false) }
    }

    /// Draining begins.
    pub(crate) fn drain(&self) {
        self.drains.store(true, Ordering::Release);
        self.draining.cancel();
    }
}

/// An end that the operator may want to read about.
pub(crate) struct Ended {
    pub(crate) why: Closed,
    pub(crate) detail: Option<String>,
}

impl From<Closed> for Ended {
    fn from(why: Closed) -> Self {
        Ended { why, detail: None }
    }
}

/// One connection.
pub(crate) struct Connection {
    common: Arc<Common>,
    accepted: Instant,
    /// Its own child of the listener's token: every poll looks at it, and a shared one would be a
    /// lock that all connections meet at.
    draining: CancellationToken,
}

impl Connection {
    pub(crate) fn new(common: Arc<Common>) -> Connection {
        let draining = common.draining.child_token();
        Connection { common, accepted: Instant::now(), draining }
    }

    /// Serves it until it ends.
    pub(crate) async fn serve<T, S>(self, io: T, addr: SocketAddr, service: S) -> Ended
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Handler,
    {
        match &self.common.tls {
            None => self.greet(io, Peer::new(addr, None), service).await,
            // Boxed, as what follows the greeting is: a connection that says nothing stays small.
            Some(tls) => Box::pin(self.shake_hands(tls, io, addr, service)).await,
        }
    }

    async fn shake_hands<T, S>(&self, tls: &Tls, io: T, addr: SocketAddr, service: S) -> Ended
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Handler,
    {
        let handshake = timeout_at(self.accepted + self.common.limits.handshake, tls.accept(io));
        let done = tokio::select! {
            biased;
            done = handshake => done,
            () = last_call(&self.draining) => return Closed::Drained.into(),
        };
        match done {
            Err(_) => Closed::Handshake.into(),
            Ok(Err(error)) => {
                let why = if tls::is_identity(&error) { Closed::Identity } else { Closed::Tls };
                Ended { why, detail: Some(error.to_string()) }
            }
            Ok(Ok((stream, identity))) => self.greet(stream, Peer::new(addr, identity), service).await,
        }
    }

    async fn greet<T, S>(&self, mut io: T, peer: Peer, service: S) -> Ended
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Handler,
    {
        let greeting = timeout_at(self.accepted + self.common.limits.handshake, greeting::read(&mut io));
        let greeting = tokio::select! {
            biased;
            greeting = greeting => greeting,
            () = last_call(&self.draining) => return Closed::Drained.into(),
        };
        let (protocol, ahead) = match greeting {
            Err(_) => return Closed::Handshake.into(),
            Ok(Err(error)) => return Ended { why: Closed::Broken, detail: Some(error.to_string()) },
            Ok(Ok(None)) => return Closed::Finished.into(),
            Ok(Ok(Some(greeting))) => greeting,
        };
        let now = Instant::now();
        let pulse = Arc::new(Mutex::new(match protocol {
            Protocol::Http1 => Pulse::http1(self.accepted, now),
            Protocol::Http2 => Pulse::http2(self.accepted, now),
        }));
        let io = TokioIo::new(Watched::new(ahead, io, Arc::clone(&pulse)));
        let counting = Arc::clone(&pulse);
        let service = service_fn(move |request| answer(&service, &peer, &counting, request));
        match protocol {
            Protocol::Http1 => Box::pin(self.drive(self.http1().serve_connection(io, service), &pulse)).await,
            Protocol::Http2 => {
                let streams = Streams::default();
                let _no_stream_outlives_its_connection = AbortOnDrop(streams.clone());
                Box::pin(self.drive(self.http2(streams).serve_connection(io, service), &pulse)).await
            }
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        // hyper's own header timeout also ends idle connections and costs a timer a request: `Pulse` does both.
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(64 << 10);
        builder
    }

    fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let mut builder = http2::Builder::new(streams);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(self.common.limits.stream_window)
            .initial_connection_window_size(self.common.limits.connection_window)
            .max_concurrent_streams(self.common.limits.streams)
            .keep_alive_interval(self.common.limits.keep_alive)
            .keep_alive_timeout(self.common.limits.keep_alive_timeout);
        builder
    }

    /// Polls a connection to its end, under the deadlines of its pulse; asks it to end when draining begins.
    async fn drive<C>(&self, connection: C, pulse: &Mutex<Pulse>) -> Ended
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let mut connection = pin!(connection);
        let mut draining = pin!(self.draining.cancelled());
        let (mut asked_to_end, mut waits_for_draining) = (false, false);
        let mut timer = pin!(sleep_until(Instant::now() + self.common.limits.handshake));
        poll_fn(|cx| {
            let looks = !waits_for_draining || self.common.drains.load(Ordering::Acquire);
            if !asked_to_end && looks {
                // Once it waits, the token wakes this task, whose waker stays the same.
                waits_for_draining = true;
                if draining.as_mut().poll(cx).is_ready() {
                    asked_to_end = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
            if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended(end, asked_to_end));
            }
            loop {
                let Some((at, why)) = pulse.lock().deadline(&self.common.limits) else {
                    return Poll::Pending;
                };
                if at <= Instant::now() {
                    return Poll::Ready(why.into());
                }
                // An armed timer that is too early only costs a look; one that is too late must move.
                if at < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(at);
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

fn ended(end: Result<(), hyper::Error>, asked_to_end: bool) -> Ended {
    match end {
        Ok(()) if asked_to_end => Closed::Drained.into(),
        Ok(()) => Closed::Finished.into(),
        Err(error) if error.is_timeout() => Closed::Unresponsive.into(),
        Err(error) => Ended { why: Closed::Broken, detail: Some(error.to_string()) },
    }
}

/// Ready a moment after draining began.
async fn last_call(draining: &CancellationToken) {
    draining.cancelled().await;
    sleep(LAST_CALL).await;
}

/// Answers one request: it carries its peer, and counts from its head to the end of its response's body.
fn answer<S: Handler>(
    service: &S,
    peer: &Peer,
    pulse: &Arc<Mutex<Pulse>>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<impl Body<Data = BodyData<S>, Error = BoxError> + use<S>>, BoxError>>
+ Send
+ use<S> {
    request.extensions_mut().insert(peer.clone());
    let counted = Counted::new(Arc::clone(pulse));
    let response = service.handle(request);
    async move {
        let response = response.await?;
        Ok(response.map(|body| {
            body.map_err(move |error| {
                let _until_the_body_ends = &counted;
                error.into()
            })
        }))
    }
}

type BodyData<S> = <<S as Handler>::Body as Body>::Data;

/// A request being served, until dropped.
struct Counted {
    pulse: Arc<Mutex<Pulse>>,
}

impl Counted {
    fn new(pulse: Arc<Mutex<Pulse>>) -> Counted {
        pulse.lock().request_began();
        Counted { pulse }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.pulse.lock().request_ended(Instant::now());
    }
}

/// Runs the streams of one HTTP/2 connection, no longer than that connection. A stream is polled with each message:
/// nothing stands between it and the runtime.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    /// The streams that were open when it was last tidied, and those since.
    streams: Vec<AbortHandle>,
    /// It is tidied when it is so long.
    tidy_at: usize,
    /// The connection has ended.
    over: bool,
}

impl Running {
    fn add(&mut self, stream: AbortHandle) {
        if self.over {
            return stream.abort();
        }
        if self.streams.len() >= self.tidy_at {
            self.streams.retain(|stream| !stream.is_finished());
            self.tidy_at = self.streams.len() * 2 + 1;
        }
        self.streams.push(stream);
    }
}

struct AbortOnDrop(Streams);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        let mut running = self.0.0.lock();
        running.over = true;
        running.streams.drain(..).for_each(|stream| stream.abort());
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        #[allow(clippy::disallowed_methods, reason = "ends with its connection, which a JoinSet owns")]
        let task = tokio::spawn(async move { drop(stream.await) });
        self.0.lock().add(task.abort_handle());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Empty;

    #[test]
    fn a_connection_that_says_nothing_costs_next_to_nothing() {
        let common = Common::new(Limits::default(), None);
        let service = tower::service_fn(async |_| Ok::<_, BoxError>(Response::new(Empty::<Bytes>::new())));
        let (io, _far) = tokio::io::duplex(64);
        let peer = "127.0.0.1:1".parse().unwrap();
        let waits = Connection::new(Arc::new(common)).serve(io, peer, service);
        assert!(size_of_val(&waits) < 2_048, "{} bytes", size_of_val(&waits));
    }
}
