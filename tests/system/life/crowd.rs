//! Many connections that say nothing: they are closed, the honest are served meanwhile, and a process without file
//! descriptors neither burns its processor nor stays deaf. `scripts/bench --only silent` tells the figures of more.

use super::shutdown::start;
use farol_tests::process::{Process, binary, get};
use farol_tests::stack::SOON;
use farol_tests::wait::{holds, until};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Each with what it says to a plain request: those that speak gRPC refuse it in words.
const PORTS: [(&str, u16); 3] = [("http", 200), ("agents", 415), ("health", 415)];
/// On each port.
const SILENT: usize = 400;
/// By when a silent connection must be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// From one address.
const PER_ADDRESS: usize = 200;
/// Without descriptors, watched for so long.
const WATCHED: Duration = Duration::from_secs(4);

/// Connections from several addresses.
async fn connect(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for number in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        let group = u8::try_from(number / PER_ADDRESS).unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 3, group + 1), 0))).unwrap();
        all.push(socket.connect(to).await.unwrap());
    }
    all
}

#[tokio::test]
async fn hundreds_of_silent_connections_on_every_port_are_closed_and_the_honest_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let process = start("farol-monitor", "127.0.0.1:0", folder.path()).await;
    let mut silent = JoinSet::new();
    for (port, _) in PORTS {
        for mut stream in connect(process.address(port), SILENT).await {
            silent.spawn(async move {
                // A reset is an end, too.
                timeout(CLOSED_WITHIN, stream.read(&mut [0])).await.is_ok()
            });
        }
    }
    while !silent.is_empty() {
        for (port, expected) in PORTS {
            let answer = timeout(Duration::from_secs(1), get(process.address(port), "/health/live"));
            assert_eq!(answer.await.expect("served at once").unwrap().0, expected, "{port}");
        }
        let mut closed = Vec::new();
        while let Some(one) = silent.try_join_next() {
            closed.push(one.unwrap());
        }
        assert!(closed.iter().all(|closed| *closed), "some are still open after {CLOSED_WITHIN:?}");
    }
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let process = start("farol-monitor", "127.0.0.1:0", folder.path()).await;
    let mut line = Value::Null;
    until("the limit is told", SOON, async || {
        let log = process.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        line = lines.find(|line| line["message"] == "limit of open files").unwrap_or_default();
        !line.is_null()
    })
    .await
    .unwrap();
    let hard = getrlimit(Resource::Nofile).maximum.map_or("unlimited".to_owned(), |hard| hard.to_string());
    assert_eq!(line["limit"], hard.as_str(), "{line}");
}

#[tokio::test]
async fn a_monitor_says_at_its_start_how_many_connections_fit_and_warns_where_its_listeners_may_take_more() {
    for (limit, level, fit) in [(700, "WARNING", 572), (200, "WARNING", 72)] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut few = tokio::process::Command::new("sh");
        few.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
            .arg(binary("farol-monitor").unwrap());
        few.args([
            "--http",
            "127.0.0.1:0",
            "--agents",
            "127.0.0.1:0",
            "--health",
            "127.0.0.1:0",
            "--data-dir",
        ]);
        few.arg(folder.path().join("data")).env("LOG_FORMAT", "json").kill_on_drop(true);
        few.stderr(std::fs::File::create(&log).unwrap()).stdout(std::process::Stdio::null());
        let _running = few.spawn().unwrap();
        let mut told = Value::Null;
        until("it is told", SOON, async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            told = lines.find(|line| line["listeners_take"].is_u64()).unwrap_or_default();
            !told.is_null()
        })
        .await
        .unwrap();
        assert_eq!((told["level"].as_str(), told["fit"].as_u64()), (Some(level), Some(fit)), "{told}");
        assert_eq!(told["listeners_take"], 3 * 16_384, "{told}");
    }
}

/// Its CPU time.
fn cpu(process: &Process) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
}

#[tokio::test]
async fn with_64_descriptors_and_500_connections_no_processor_burns_and_all_is_well_when_they_have_gone() {
    let folder = tempfile::tempdir().unwrap();
    let process = start("farol-monitor", "127.0.0.1:0", folder.path()).await;
    let few = Rlimit { current: Some(64), maximum: Some(64) };
    prlimit(Pid::from_raw(process.pid() as i32), Resource::Nofile, few).unwrap();
    let http = process.address("http");
    let held = connect(http, 500).await;
    until("it has none left", SOON, async || process.log().contains("cannot accept")).await.unwrap();
    let (before, began) = (cpu(&process), Instant::now());
    holds("it lives", WATCHED, async || process.log().contains("cannot accept")).await.unwrap();
    let share = (cpu(&process) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(share < 0.1, "{share} of a core");
    drop(held);
    until("it answers again", SOON, async || {
        get(http, "/health/live").await.is_ok_and(|(code, _)| code == 200)
    })
    .await
    .unwrap();
    let ended = process.stop().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
}
