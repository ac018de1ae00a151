//! One accepted connection from its first byte to its end: TLS, protocol, requests, deadlines, draining.
//! Who is admitted and what is counted is decided in `serve`.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
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
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

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
    pub(crate) draining: CancellationToken,
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
                let ended = CancellationToken::new();
                let streams = Streams { ended: ended.clone() };
                let _no_stream_outlives_its_connection: DropGuard = ended.drop_guard();
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
        let mut asked_to_end = false;
        let mut timer = pin!(sleep_until(Instant::now() + self.common.limits.handshake));
        poll_fn(|cx| {
            if !asked_to_end && draining.as_mut().poll(cx).is_ready() {
                asked_to_end = true;
                connection.as_mut().graceful_shutdown();
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

/// Runs the streams of one HTTP/2 connection, no longer than that connection.
#[derive(Clone)]
struct Streams {
    ended: CancellationToken,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let ended = self.ended.clone();
        #[allow(clippy::disallowed_methods, reason = "ends with its connection, which a JoinSet owns")]
        tokio::spawn(async move { ended.run_until_cancelled_owned(stream).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Empty;

    #[test]
    fn a_connection_that_says_nothing_costs_next_to_nothing() {
        let common = Common { limits: Limits::default(), tls: None, draining: CancellationToken::new() };
        let service = tower::service_fn(async |_| Ok::<_, BoxError>(Response::new(Empty::<Bytes>::new())));
        let (io, _far) = tokio::io::duplex(64);
        let peer = "127.0.0.1:1".parse().unwrap();
        let waits = Connection::new(Arc::new(common)).serve(io, peer, service);
        assert!(size_of_val(&waits) < 2_048, "{} bytes", size_of_val(&waits));
    }
}
