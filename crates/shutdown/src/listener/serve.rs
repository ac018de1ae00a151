//! The accept loop: caps, back-off when the system has no resources, one task a connection, and an end
//! inside the drain budget. What happens on a connection is `connection`'s.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Place};
use super::alarm::{Alarm, Alarms};
use super::connection::{Common, Connection, Ended};
use super::{Accept, Closed, Handler, Limits, Refused, Stats, Tls};
use crate::Handle;

/// Connections still in the kernel's queue that are taken in when draining begins.
const LAST_ACCEPTS: usize = 1024;
/// How long aborted connections may take to be dropped; a blocked one is left behind.
const DROPPING: Duration = Duration::from_millis(200);

/// Serves HTTP/1 and HTTP/2 on one port until draining ends: an `axum::Router`, tonic's routes turned into
/// one, or any such service. Each request has its [`super::Peer`] in its extensions.
///
/// While the process stops accepting requests, connections are still taken in and served. When draining
/// begins the port closes, connections end in order, and those left at the end of the budget are cut.
/// Returns in any case. Upgrades (WebSocket) are not served.
pub fn serve<A, S>(
    accept: A,
    service: S,
    limits: Limits,
    tls: Option<Tls>,
    handle: &Handle,
    name: &'static str,
) -> impl Future<Output = ()> + Send + use<A, S>
where
    A: Accept,
    S: Handler,
{
    let entered = handle.drains(name);
    let stats = Arc::clone(handle.shared.listeners.lock().entry(name).or_default());
    if !accept.local_addr().is_ok_and(|addr| addr.ip().to_canonical().is_loopback()) {
        handle.shared.exposed.store(true, Ordering::Relaxed);
    }
    let listener = Listener {
        name,
        handle: handle.clone(),
        stats,
        admission: Admission::default(),
        common: Arc::new(Common::new(limits, tls)),
        service,
        connections: JoinSet::new(),
        alarms: Alarms::default(),
    };
    async move {
        let _until_drained = entered;
        listener.run(accept).await;
    }
}

struct Listener<S> {
    name: &'static str,
    handle: Handle,
    stats: Arc<Stats>,
    admission: Admission,
    common: Arc<Common>,
    service: S,
    /// Owns every connection: none outlives the listener.
    connections: JoinSet<(SocketAddr, Ended)>,
    /// What was told of refusals.
    alarms: Alarms,
}

impl<S: Handler> Listener<S> {
    async fn run<A: Accept>(mut self, mut accept: A) {
        self.accept_until_draining(&mut accept).await;
        self.common.drain();
        for _ in 0..LAST_ACCEPTS {
            match accept.accept().now_or_never() {
                Some(Ok((stream, addr))) => self.take_in::<A>(stream, addr),
                Some(Err(_)) | None => break,
            }
        }
        drop(accept);
        self.drain().await;
    }

    async fn accept_until_draining<A: Accept>(&mut self, accept: &mut A) {
        let draining = self.handle.draining();
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = draining.cancelled() => return,
                Some(ended) = self.connections.join_next() => {
                    self.count(ended);
                    continue;
                }
                accepted = accept.accept() => accepted,
            };
            match accepted {
                Ok((stream, addr)) => {
                    backoff = Backoff::default();
                    self.take_in::<A>(stream, addr);
                }
                Err(error) if is_of_one_connection(&error) => self.stats.refuse(Refused::Gone),
                Err(error) => {
                    self.stats.refuse(Refused::Resources);
                    let pause = backoff.next();
                    tracing::warn!(listener = self.name, %error, pause_ms = pause.as_millis() as u64, "cannot accept");
                    self.pause(pause).await;
                }
            }
        }
    }

    /// Waits without taking anything in; ended connections are still cleared away.
    async fn pause(&mut self, pause: Duration) {
        let draining = self.handle.draining();
        let mut over = std::pin::pin!(sleep(pause));
        loop {
            tokio::select! {
                biased;
                () = draining.cancelled() => return,
                () = &mut over => return,
                Some(ended) = self.connections.join_next() => self.count(ended),
            }
        }
    }

    fn take_in<A: Accept>(&mut self, stream: A::Stream, addr: SocketAddr) {
        let place: Place = match self.admission.admit(addr.ip(), &self.common.limits) {
            Ok(place) => place,
            Err(reason) => {
                self.stats.refuse(reason);
                if let Some(alarm) = Alarm::of_refused(reason) {
                    self.alarms.raise(alarm, self.name, addr, &"the port's limit is reached");
                }
                return;
            }
        };
        self.stats.opened();
        let connection = Connection::new(Arc::clone(&self.common)).serve(stream, addr, self.service.clone());
        self.connections.spawn(async move {
            let ended = connection.await;
            drop(place);
            (addr, ended)
        });
    }

    fn count(&mut self, ended: Result<(SocketAddr, Ended), JoinError>) {
        let why = match &ended {
            Ok((_, ended)) => ended.why,
            Err(error) if error.is_panic() => Closed::Panicked,
            Err(_) => Closed::Cut,
        };
        self.stats.ended(why);
        let Ok((addr, Ended { detail, .. })) = ended else { return };
        match (Alarm::of_closed(why), detail) {
            // A refused certificate is mostly a mistake in a configuration, so the operator reads why.
            (Some(alarm), Some(error)) => self.alarms.raise(alarm, self.name, addr, &error),
            (Some(alarm), None) => self.alarms.raise(alarm, self.name, addr, &"it did not come in time"),
            (None, Some(error)) => {
                tracing::debug!(listener = self.name, %addr, reason = why.as_str(), error, "connection ended");
            }
            (None, None) => {}
        }
    }

    async fn drain(&mut self) {
        let cutting = self.handle.shared.cutting.clone();
        loop {
            tokio::select! {
                biased;
                ended = self.connections.join_next() => match ended {
                    Some(ended) => self.count(ended),
                    None => return,
                },
                () = cutting.cancelled() => break,
            }
        }
        let cut = self.connections.len();
        tracing::warn!(
            listener = self.name,
            connections = cut,
            "connections cut at the end of the drain budget"
        );
        self.handle.shared.connections_cut.fetch_add(cut as u64, Ordering::Relaxed);
        self.connections.abort_all();
        let cleared = async {
            while let Some(ended) = self.connections.join_next().await {
                self.stats.ended(match ended {
                    Err(error) if error.is_panic() => Closed::Panicked,
                    _ => Closed::Cut,
                });
            }
        };
        if timeout(DROPPING, cleared).await.is_err() {
            tracing::warn!(listener = self.name, left = self.connections.len(), "connections block a worker");
        }
    }
}

/// Did one connection fail, and not the listener?
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Pauses after errors of accept: 50 ms, doubled up to 1 s.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(Duration::from_millis(50))
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Duration::from_secs(1));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_second() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..7).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
    }
}
