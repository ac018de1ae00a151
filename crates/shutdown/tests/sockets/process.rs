//! Whole processes under real signals: this test binary runs itself as a child in one of several roles.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use farol_shutdown::listener::{self, Limits, Refused};
use farol_shutdown::{Budgets, Handle, Supervisor, exit, signal};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::clients::{SEVEN, bad_client};
use crate::rig::{PATIENCE, ms, router, short};

const ROLE: &str = "FAROL_TEST_ROLE";
/// From the signal to the end of a process that ends at once.
const AT_ONCE: Duration = ms(200);

/// Not a test of its own: the body of the child processes.
#[test]
#[ignore = "run as a child process by the other tests"]
fn child() {
    let role = std::env::var(ROLE).expect("only run as a child process");
    let signals = signal::terminations().unwrap();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let code = workers.block_on(run(&role, signals));
    // As a real `main` does: what is left of the runtime is dropped before the end.
    drop(workers);
    #[allow(clippy::exit, reason = "the child's exit code is what is tested")]
    std::process::exit(i32::from(code));
}

async fn run(role: &str, signals: signal::Signals) -> u8 {
    let budgets = match role {
        "patient" => Budgets { drain: Duration::from_secs(60), ..short() },
        "stuck cleanup" | "panicking cleanup" | "everything" => troubled_budget(),
        "stuck in start-up" => Budgets { last: ms(700), ..Budgets::default() },
        _ => short(),
    };
    let supervisor = Supervisor::for_process(budgets, signals).unwrap();
    let handle = supervisor.handle();
    match role {
        "starting" => {
            say("ready");
            let never = std::future::pending::<()>();
            return if handle.unless_stopping(never).await.is_none() { exit::OK } else { exit::FAILURE };
        }
        "stuck in start-up" => {
            say("ready");
            block();
        }
        "reloading" => {
            let mut hangups = signal::hangups().unwrap();
            say("ready");
            hangups.recv().await;
            say("reloaded");
        }
        _ => {}
    }
    let limits = Limits { handshake: Duration::from_secs(60), ..Limits::default() };
    if role == "few descriptors" {
        setrlimit(Resource::Nofile, Rlimit { current: Some(40), maximum: Some(40) }).unwrap();
    }
    let socket = listener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    handle.spawn("http", listener::serve(socket, router(), limits, None, &handle, "http"));
    match role {
        "stuck" => {
            for _ in 0..2 {
                handle.spawn("blocks a worker", async { block() });
            }
        }
        "stuck cleanup" | "panicking cleanup" | "everything" => troubled(role, &handle),
        "blocking call left" => {
            let mut left = tokio::task::JoinSet::new();
            left.spawn_blocking(block);
            handle.cleanup("keeps the call", ms(100), move || async move { std::mem::forget(left) });
        }
        _ => {}
    }
    say(&format!("ready {addr}"));
    if role == "few descriptors" {
        let stats = handle.listeners().remove(0).1;
        while stats.refused(Refused::Resources) < 2 {
            sleep(ms(10)).await;
        }
        say("exhausted");
    }
    supervisor.run().await.code
}

fn troubled_budget() -> Budgets {
    Budgets { cleanup: ms(5_000), ..short() }
}

/// Cleanups before and after one that is in trouble, and with everything a task that never ends.
fn troubled(role: &str, handle: &Handle) {
    let tells = |name: &'static str| handle.cleanup(name, ms(500), move || async move { say(name) });
    tells("registered first");
    if role != "panicking cleanup" {
        handle.cleanup("stuck", ms(200), std::future::pending::<()>);
    }
    tells("registered between");
    if role != "stuck cleanup" {
        // A panic that prints its backtrace takes its time on a busy machine.
        handle.cleanup("panicking", ms(3_000), || async { breaks() });
    }
    tells("registered last");
    if role == "everything" {
        handle.spawn("never ends", std::future::pending::<()>());
    }
}

fn breaks() {
    panic!("no such table");
}

fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n> {line}").unwrap();
    out.flush().unwrap();
}

fn block() {
    loop {
        std::thread::park();
    }
}

struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Running {
    fn start(role: &str) -> Running {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["process::child", "--exact", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Running { child, said }
    }

    /// Waits for a line that begins so, and gives the rest of it.
    fn hear(&mut self, wanted: &str) -> String {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {
            if let Some(rest) = line.trim_end().strip_prefix("> ").and_then(|line| line.strip_prefix(wanted))
            {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the child ended without saying {wanted}")
    }

    fn addr(&mut self) -> SocketAddr {
        self.hear("ready ").parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Its CPU time in ticks of 10 ms.
    fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// What it logged, after its end.
    fn log(&mut self) -> String {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    /// Its exit code, and how long it took from now.
    async fn end(&mut self) -> (i32, Duration) {
        let began = Instant::now();
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code().expect("ended by itself, not by a signal");
                }
                sleep(ms(2)).await;
            }
        };
        let code = timeout(PATIENCE, ended).await.expect("the process must end");
        (code, began.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without effect when it has ended, as it should have.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

#[tokio::test]
async fn a_signal_ends_a_serving_process_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Running::start("serving");
        let addr = process.addr();
        let answer = reqwest::get(format!("http://{addr}/")).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "hello");
        let _stream = bad_client("open stream", addr).await;
        process.signal(signal);
        let (code, took) = process.end().await;
        assert_eq!(code, 0, "{signal:?}: cut clients are normal");
        assert!(took < short().total() + ms(400), "{signal:?}: {took:?}");
        let log = process.log();
        let ended: Vec<_> = log.lines().filter(|line| line.contains("phase ended")).collect();
        let phases = ["STOP_ACCEPTING_REQUESTS", "DRAIN_CONNECTIONS", "CLEANUP_RESOURCES", "FINAL_SHUTDOWN"];
        assert_eq!(ended.len(), phases.len(), "{log}");
        for (line, phase) in ended.iter().zip(phases) {
            assert!(line.contains(phase) && line.contains("duration_ms="), "{line}");
        }
        assert!(
            log.contains("connections cut at the end of the drain budget") && log.contains("connections=1"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    for (role, second, expected) in
        [("patient", Signal::TERM, 143), ("patient", Signal::INT, 130), ("stuck", Signal::TERM, 143)]
    {
        let mut process = Running::start(role);
        let addr = process.addr();
        let _stream = if role == "patient" { Some(bad_client("open stream", addr).await) } else { None };
        process.signal(Signal::TERM);
        // A second signal while the first is still pending would be one and the same to the kernel.
        sleep(ms(50)).await;
        process.signal(second);
        let (code, took) = process.end().await;
        assert_eq!(code, expected, "{role}");
        assert!(took < AT_ONCE, "{role}: {took:?}");
    }
}

#[tokio::test]
async fn two_signals_within_a_millisecond_never_dead_lock() {
    for _ in 0..10 {
        let mut process = Running::start("serving");
        process.addr();
        process.signal(Signal::TERM);
        process.signal(Signal::TERM);
        let (code, took) = process.end().await;
        assert!(code == 0 || code == 143, "{code}");
        assert!(took < short().total() + ms(400), "{took:?}");
    }
}

#[tokio::test]
async fn blocked_workers_cannot_keep_the_process() {
    let mut process = Running::start("stuck");
    process.addr();
    process.signal(Signal::TERM);
    let (code, took) = process.end().await;
    assert_eq!(code, i32::from(exit::CUT));
    assert!(took < short().total() + ms(1_200), "{took:?}");
    assert!(process.log().contains("the process did not end by itself inside its budget"));
}

#[tokio::test]
async fn a_blocking_call_that_never_returns_cannot_keep_the_process() {
    let mut process = Running::start("blocking call left");
    process.addr();
    process.signal(Signal::TERM);
    let (code, took) = process.end().await;
    assert_eq!(code, 0, "everything that has a name ended in order");
    assert!(took < ms(2_000), "{took:?}");
}

#[tokio::test]
async fn a_cleanup_in_trouble_skips_no_other_and_everything_at_once_ends_inside_the_budget() {
    for (role, failed) in [
        ("stuck cleanup", &["stuck"][..]),
        ("panicking cleanup", &["panicking"]),
        ("everything", &["stuck", "panicking"]),
    ] {
        let mut process = Running::start(role);
        let addr = process.addr();
        let mut clients = Vec::new();
        for (name, _) in SEVEN.into_iter().filter(|_| role == "everything") {
            clients.push(bad_client(name, addr).await);
        }
        process.signal(Signal::TERM);
        let (code, took) = process.end().await;
        assert_eq!(code, i32::from(exit::CUT), "{role}");
        assert!(took < troubled_budget().total() + ms(400), "{role}: {took:?}");
        for name in ["registered last", "registered between", "registered first"] {
            process.hear(name);
        }
        let log = process.log();
        assert_eq!(log.lines().filter(|line| line.contains("phase ended")).count(), 4, "{role}: {log}");
        for name in ["stuck", "panicking"] {
            let told = log.contains(&format!("cleanup failed cleanup=\"{name}\""));
            assert_eq!(told, failed.contains(&name), "{role}: {log}");
        }
        let straggler = log.contains("tasks did not end in time stragglers=[\"never ends\"]");
        assert_eq!(straggler, role == "everything", "{role}: {log}");
    }
}

#[tokio::test]
async fn a_signal_during_start_up_ends_the_process() {
    for (role, expected, within) in [("starting", 0, ms(300)), ("stuck in start-up", 75, ms(2_000))] {
        let mut process = Running::start(role);
        process.hear("ready");
        process.signal(Signal::TERM);
        let (code, took) = process.end().await;
        assert_eq!(code, expected, "{role}");
        assert!(took < within, "{role}: {took:?}");
    }
}

#[tokio::test]
async fn a_hangup_is_heard_and_ends_nothing() {
    let mut process = Running::start("reloading");
    process.hear("ready");
    process.signal(Signal::HUP);
    process.hear("reloaded");
    let addr = process.addr();
    process.signal(Signal::HUP);
    assert_eq!(reqwest::get(format!("http://{addr}/")).await.unwrap().status(), 200);
    process.signal(Signal::TERM);
    assert_eq!(process.end().await.0, 0);
}

#[tokio::test]
async fn without_file_descriptors_no_cpu_is_burned_and_service_comes_back() {
    let mut process = Running::start("few descriptors");
    let addr = process.addr();
    let url = format!("http://{addr}/");
    let honest = reqwest::Client::new();
    honest.get(&url).send().await.unwrap().text().await.unwrap();
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(TcpStream::connect(addr).await.unwrap());
    }
    process.hear("exhausted");
    let before = process.cpu_ticks();
    for _ in 0..20 {
        let answer = timeout(ms(500), honest.get(&url).send()).await.expect("open connections are served");
        assert_eq!(answer.unwrap().text().await.unwrap(), "hello");
        sleep(ms(100)).await;
    }
    let ticks = process.cpu_ticks() - before;
    assert!(ticks < 20, "{ticks} ticks of 10 ms in 2 s: more than a tenth of a core");
    drop(held);
    let answer = timeout(PATIENCE, reqwest::get(url)).await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");
    process.signal(Signal::TERM);
    let mut rest = String::new();
    process.said.read_to_string(&mut rest).unwrap();
    assert_eq!(process.end().await.0, 0);
}
