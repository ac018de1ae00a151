//! Caps on connections, and a system without file descriptors.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farol_shutdown::Supervisor;
use farol_shutdown::listener::{Accept, Limits, Refused, serve};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::clients::{closed_after, says};
use crate::rig::{Rig, ms, router, short, until};

#[tokio::test]
async fn connections_over_the_cap_are_closed_at_once_and_places_come_back() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let rig = Rig::start(short(), limits, None);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(says(rig.addr, &[]).await);
    }
    until("three are open", || rig.stats.open() == 3).await;
    let mut over = TcpStream::connect(rig.addr).await.unwrap();
    assert!(closed_after(&mut over).await < ms(1_000));
    assert_eq!(rig.stats.refused(Refused::Connections), 1);
    drop(held);
    until("they are gone", || rig.stats.open() == 0).await;
    assert_eq!(reqwest::get(rig.url("/")).await.unwrap().text().await.unwrap(), "hello");
    assert_eq!(rig.stats.accepted(), 4);
}

async fn from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn one_address_cannot_take_the_places_of_others() {
    let limits = Limits { per_address: 2, ..Limits::default() };
    let rig = Rig::start(short(), limits, None);
    let _held = [from("127.0.0.2", rig.addr).await, from("127.0.0.2", rig.addr).await];
    until("two are open", || rig.stats.open() == 2).await;
    let mut third = from("127.0.0.2", rig.addr).await;
    assert!(closed_after(&mut third).await < ms(1_000));
    assert_eq!(rig.stats.refused(Refused::PerAddress), 1);
    assert_eq!(reqwest::get(rig.url("/")).await.unwrap().text().await.unwrap(), "hello", "from 127.0.0.1");
}

/// A listener whose process has no file descriptors left, for a while.
struct Exhausted {
    inner: TcpListener,
    /// How many more times accept fails.
    failures: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

impl Accept for Exhausted {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.fetch_sub(1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(24));
        }
        Accept::accept(&mut self.inner).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

#[tokio::test]
async fn without_descriptors_accept_is_tried_rarely_and_recovers() {
    let inner = farol_shutdown::listener::bind("127.0.0.1:0").unwrap();
    let addr = inner.local_addr().unwrap();
    let (failures, calls) = (Arc::new(AtomicUsize::new(4)), Arc::new(AtomicUsize::new(0)));
    let accept = Exhausted { inner, failures, calls: Arc::clone(&calls) };
    let supervisor = Supervisor::new(short());
    let handle = supervisor.handle();
    handle.spawn("http", serve(accept, router(), Limits::default(), None, &handle, "http"));
    let began = tokio::time::Instant::now();
    let answer = reqwest::get(format!("http://{addr}/")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");
    assert!(began.elapsed() >= Duration::from_millis(50 + 100 + 200 + 400), "{:?}", began.elapsed());
    assert!(calls.load(Ordering::Relaxed) <= 7, "four failures, the connection, and waiting");
    assert_eq!(handle.listeners()[0].1.refused(Refused::Resources), 4);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_pause_of_accept() {
    let inner = farol_shutdown::listener::bind("127.0.0.1:0").unwrap();
    let (failures, calls) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
    let accept = Exhausted { inner, failures, calls: Arc::clone(&calls) };
    let supervisor = Supervisor::new(short());
    let handle = supervisor.handle();
    handle.spawn("http", serve(accept, router(), Limits::default(), None, &handle, "http"));
    until("it pauses for long", || calls.load(Ordering::Relaxed) >= 5).await;
    handle.shutdown("now");
    let report = supervisor.run().await;
    assert_eq!(report.code, 0);
    let took: Duration = report.phases.iter().map(|phase| phase.took).sum();
    assert!(took < ms(300), "{took:?}");
}
