//! A TCP proxy that is a bad network: each connection gets a fate, thrown from the seed, until the weather is calm
//! again. Bytes are never altered or reordered: TCP would not let that through.

use crate::dice::Dice;
use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Bytes that are passed on at once.
const PIECE: usize = 16 << 10;
/// A bad connection turns bad within this.
const TURNS_MS: u64 = 1_500;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Whole,
    /// Everything takes longer, in both directions.
    Slow(Duration),
    /// So many bytes a second pass, each way.
    Narrow(u32),
    /// It is reset, after a while.
    Reset(Duration),
    /// After a while nothing comes from the monitor any more, and nobody is told.
    DeafAfter(Duration),
    /// After a while nothing comes to the monitor any more, and nobody is told.
    MuteAfter(Duration),
    /// After a while nothing passes either way, and nobody is told: half-open on both sides.
    BlackAfter(Duration),
}

impl Fate {
    /// One of the bad ones.
    pub fn thrown(dice: &mut Dice) -> Self {
        let after = dice.millis(0..TURNS_MS);
        match dice.within(0..7) {
            0 => Self::Whole,
            1 => Self::Slow(dice.millis(20..400)),
            2 => Self::Narrow(dice.within(2_000..60_000) as u32),
            3 => Self::Reset(after),
            4 => Self::DeafAfter(after),
            5 => Self::MuteAfter(after),
            _ => Self::BlackAfter(after),
        }
    }

    /// Whether it lets everything through in the end.
    fn is_harmless(self) -> bool {
        self == Self::Whole
    }

    /// Whether it ends in the middle of what is said.
    fn is_cut(self) -> bool {
        !matches!(self, Self::Whole | Self::Slow(_) | Self::Narrow(_))
    }

    /// For each direction when it falls silent.
    fn silences(self, from_monitor: bool) -> Option<Duration> {
        match self {
            Self::DeafAfter(after) if from_monitor => Some(after),
            Self::MuteAfter(after) if !from_monitor => Some(after),
            Self::BlackAfter(after) => Some(after),
            _ => None,
        }
    }
}

/// What new connections meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Every one is whole, and those that were not are reset.
    Calm,
    /// Each has a fate from the dice.
    Storm,
    /// All have this one.
    All(Fate),
}

/// The proxy.
pub struct Chaos {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    passed: Arc<AtomicU64>,
    _running: JoinSet<()>,
}

impl Chaos {
    /// A way to `target`; calm at first.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn to(target: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let weather = watch::Sender::new(Weather::Calm);
        let (seen, passed) = (weather.subscribe(), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&passed);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let (mut connections, mut number) = (JoinSet::new(), 0);
            loop {
                let Ok((agent, _)) = listener.accept().await else { continue };
                number += 1;
                let fate = match *seen.borrow() {
                    Weather::Calm => Fate::Whole,
                    Weather::Storm => Fate::thrown(&mut Dice::apart(seed, number)),
                    Weather::All(fate) => fate,
                };
                connections.spawn(pass(agent, target, fate, seen.clone()));
                count.fetch_add(1, Ordering::Relaxed);
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, weather, passed, _running: running })
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on. Connections that are open keep their fate, except that calm ends the bad ones.
    pub fn weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

async fn pass(agent: TcpStream, target: SocketAddr, fate: Fate, mut weather: watch::Receiver<Weather>) {
    let Ok(monitor) = TcpStream::connect(target).await else { return };
    drop((agent.set_nodelay(true), monitor.set_nodelay(true)));
    if fate.is_cut() {
        // Its end is a reset.
        drop((agent.set_zero_linger(), monitor.set_zero_linger()));
    }
    weather.mark_unchanged();
    let ((agent_in, agent_out), (monitor_in, monitor_out)) = (agent.into_split(), monitor.into_split());
    let began = Instant::now();
    let (up, down) = (fate.silences(false), fate.silences(true));
    let mut directions = JoinSet::new();
    directions.spawn(pump(agent_in, monitor_out, fate, up.map(|after| began + after)));
    directions.spawn(pump(monitor_in, agent_out, fate, down.map(|after| began + after)));
    let over = async {
        match fate {
            Fate::Reset(after) => sleep(after).await,
            _ => drop(weather.wait_for(|now| *now == Weather::Calm && !fate.is_harmless()).await),
        }
    };
    let mut halves = Vec::new();
    tokio::select! {
        () = over => {}
        () = async { while let Some(Ok(half)) = directions.join_next().await { halves.push(half); } } => return,
    }
    // The pumps end where they stand; what they held is reset, so that both sides learn of it.
    directions.abort_all();
    while directions.join_next().await.is_some() {}
    drop(halves);
}

/// Passes on until the end, and then tells the end on. From `silent` on it takes and gives nothing.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fate: Fate,
    silent: Option<Instant>,
) -> (OwnedReadHalf, OwnedWriteHalf) {
    let mut piece = vec![0; PIECE];
    let most = match fate {
        Fate::Narrow(rate) => (rate as usize / 20).clamp(1, PIECE),
        _ => PIECE,
    };
    while let Ok(n @ 1..) = from.read(&mut piece[..most]).await {
        match fate {
            Fate::Slow(by) => sleep(by).await,
            Fate::Narrow(rate) => sleep(Duration::from_secs_f64(n as f64 / f64::from(rate))).await,
            _ => {}
        }
        if silent.is_some_and(|at| Instant::now() >= at) {
            continue;
        }
        if to.write_all(&piece[..n]).await.is_err() {
            break;
        }
    }
    // In the dark the end is not told either.
    if silent.is_some_and(|at| Instant::now() >= at) {
        std::future::pending::<()>().await;
    }
    drop(to.shutdown().await);
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::{Chaos, Fate, Weather};
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;
    use tokio::time::{Instant, timeout};

    /// Says back what it hears.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut all = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                all.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok()
                });
            }
        });
        (address, running)
    }

    async fn heard(stream: &mut TcpStream, within: u64) -> Option<std::io::Result<usize>> {
        stream.write_all(b"hello").await.ok()?;
        timeout(Duration::from_millis(within), stream.read(&mut [0; 64])).await.ok()
    }

    #[tokio::test]
    async fn each_fate_does_what_its_name_says() {
        let (target, _echo) = echo().await;
        let chaos = Chaos::to(target, 1).await.unwrap();
        let meet = async |fate| {
            chaos.weather(Weather::All(fate));
            TcpStream::connect(chaos.address()).await.unwrap()
        };
        let now = Duration::ZERO;
        assert!(matches!(heard(&mut meet(Fate::Whole).await, 5_000).await, Some(Ok(5))));
        let began = Instant::now();
        let late = Fate::Slow(Duration::from_millis(60));
        assert!(matches!(heard(&mut meet(late).await, 5_000).await, Some(Ok(5))));
        assert!(began.elapsed() >= Duration::from_millis(120), "{:?}", began.elapsed());
        let mut reset = meet(Fate::Reset(now)).await;
        let over =
            async { while heard(&mut reset, 5_000).await.is_some_and(|it| it.is_ok_and(|n| n > 0)) {} };
        timeout(Duration::from_secs(5), over).await.unwrap();
        for silent in [Fate::DeafAfter(now), Fate::MuteAfter(now), Fate::BlackAfter(now)] {
            let mut stream = meet(silent).await;
            assert!(heard(&mut stream, 150).await.is_none(), "{silent:?}");
            // Nobody tells it: only the end of the storm does.
            chaos.weather(Weather::Calm);
            let end = timeout(Duration::from_secs(5), stream.read(&mut [0; 64])).await;
            assert!(matches!(end, Ok(Ok(0) | Err(_))), "{silent:?}: {end:?}");
        }
        assert!(matches!(heard(&mut meet(Fate::Whole).await, 5_000).await, Some(Ok(5))));
    }

    #[tokio::test]
    async fn a_narrow_way_lets_so_many_bytes_through_in_a_second() {
        let (target, _echo) = echo().await;
        let chaos = Chaos::to(target, 1).await.unwrap();
        chaos.weather(Weather::All(Fate::Narrow(20_000)));
        let mut stream = TcpStream::connect(chaos.address()).await.unwrap();
        let began = Instant::now();
        stream.write_all(&[7; 4_000]).await.unwrap();
        stream.read_exact(&mut [0; 4_000]).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(190), "{:?}", began.elapsed());
    }
}
