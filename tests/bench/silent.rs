//! Thousands of connections that say nothing, on each port of a server in turn: how soon they are closed, and what
//! those notice who ask meanwhile. The honest ones connect anew for each question, as a kubelet does.

use crate::clock;
use crate::probe::Prober;
use anyhow::{Context, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// A connection that is open for longer stays open.
const PATIENCE: Duration = Duration::from_secs(20);
/// Silent connections that come from one address: more than one is a botnet, and no address may take all places.
const PER_ADDRESS: usize = 250;

/// Which ports, and how many connections.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What a port is called in the result, where it is, and what its honest clients ask for and are
    /// told (a port that speaks gRPC refuses plain requests with 415): `NAME,ADDRESS,STATUS,PATH`.
    #[arg(long = "port", required = true, value_parser = port)]
    ports: Vec<Port>,
    /// Silent connections.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// Seconds in which the silent ones come, evenly.
    #[arg(long, default_value_t = 2.0)]
    within: f64,
    /// Questions a second of the honest.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Seconds to measure before, and after the silent ones have come.
    #[arg(long, default_value_t = 12.0)]
    seconds: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Port {
    name: String,
    address: SocketAddr,
    status: u16,
    path: String,
}

fn port(text: &str) -> Result<Port, String> {
    let wrong = || {
        format!(
            "`{text}` is not NAME,ADDRESS,STATUS,PATH; write for instance `http,127.0.0.1:8501,200,/health`"
        )
    };
    let mut parts = text.splitn(4, ',');
    let mut next = || parts.next().ok_or_else(wrong);
    let (name, address, status, path) = (next()?, next()?, next()?, next()?);
    let (address, status) = (address.parse().map_err(|_| wrong())?, status.parse().map_err(|_| wrong())?);
    Ok(Port { name: name.to_owned(), address, status, path: path.to_owned() })
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Value>> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
    let needed = options.sockets as u64 + 64;
    if most.is_some_and(|most| most < needed) {
        anyhow::bail!(
            "{needed} open files are needed; raise the hard limit (ulimit -Hn) or take fewer --sockets"
        );
    }
    options.ports.iter().map(|port| one(options, port).context(port.name.clone())).collect()
}

fn one(options: &Options, port: &Port) -> anyhow::Result<Value> {
    let time = Duration::from_secs_f64(options.seconds);
    let honest = || Prober::new(port.address, &port.path).connecting_anew().expecting(port.status);
    let before = honest().run(options.rate, time);
    let (rate, prober) = (options.rate, honest());
    let asking = thread::spawn(move || prober.run(rate, time));
    let closed = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(silent(
        port.address,
        options.sockets,
        Duration::from_secs_f64(options.within),
    ))?;
    let during = asking.join().map_err(|_| anyhow!("the honest client broke"))?;
    let open = options.sockets - closed.len();
    let longest = closed.iter().max().copied().unwrap_or_default();
    Ok(json!({
        "bench": "silent",
        "port": port.name,
        "sockets": options.sockets,
        "come_within_s": options.within,
        "left_open": open,
        "longest_open_s": round(longest.as_secs_f64()),
        "before_p50_ms": round(before.p50_ms),
        "before_p99_ms": round(before.p99_ms),
        "during_p50_ms": round(during.p50_ms),
        "during_p99_ms": round(during.p99_ms),
        "during_max_ms": round(during.max_ms),
        "honest_probes": during.probes,
        "honest_errors": before.errors + during.errors,
    }))
}

/// Opens the connections, evenly in this time, and says how long each was open, of those that were closed.
async fn silent(to: SocketAddr, sockets: usize, within: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut open = JoinSet::new();
    let (began, step) = (Instant::now(), within.div_f64(sockets.max(1) as f64));
    for number in 0..sockets {
        sleep_until(began + step.mul_f64(number as f64)).await;
        let group = u8::try_from(number / PER_ADDRESS % 250).unwrap_or(0);
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 2, group + 1), 0)))?;
        let mut stream = socket.connect(to).await?;
        let since = clock::now_ns();
        open.spawn(async move {
            let mut byte = [0];
            // A reset is an end, too.
            let ended = timeout(PATIENCE, stream.read(&mut byte)).await;
            ended.ok().map(|_| Duration::from_nanos(clock::now_ns() - since))
        });
    }
    Ok(open.join_all().await.into_iter().flatten().collect())
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_port_has_a_name_an_address_and_a_path() {
        let good = Port {
            name: "http".into(),
            address: ([127, 0, 0, 1], 80).into(),
            status: 415,
            path: "/a,b".into(),
        };
        assert_eq!(port("http,127.0.0.1:80,415,/a,b"), Ok(good));
        for wrong in ["http", "http,127.0.0.1:80,200", "http,nowhere,200,/", "http,127.0.0.1:80,x,/"] {
            assert!(port(wrong).unwrap_err().contains("NAME,ADDRESS,STATUS,PATH"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn those_that_are_closed_are_counted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        let mut closing = JoinSet::new();
        closing.spawn(async move { while listener.accept().await.is_ok() {} });
        assert_eq!(silent(to, 300, Duration::from_millis(50)).await.unwrap().len(), 300);
    }
}
