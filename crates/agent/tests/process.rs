//! The binary as its users meet it: exit codes, files, signals. What it streams is told inside the library.

#![allow(clippy::unwrap_used, reason = "all of it is a test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(10);
const CONFIG: &str = r#"
name: web-1
listen: {http: "127.0.0.1:0", health: "127.0.0.1:0"}
checks:
  - {name: mem, memory: {}, interval: 200ms, deadline: 200ms, readiness: true}
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(config);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, config: &str) {
        std::fs::write(self.path("agent.yaml"), config).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farol-agent"));
        command.arg("--config").arg(self.path("agent.yaml"));
        command.env_clear().env("LOG_FORMAT", "json").stderr(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    fn start(&self) -> Running {
        let ready = self.path("ready.json");
        std::fs::remove_file(&ready).ok();
        let mut command = self.command();
        command.arg("--ready-file").arg(&ready).arg("--data-dir").arg(self.path("data"));
        // Nobody reads it while the agent runs.
        command.stderr(std::fs::File::create(self.path("log")).unwrap());
        let child = command.spawn().unwrap();
        let json = until(|| std::fs::read_to_string(&ready).ok(), || self.log());
        Running { child, http: address(&json, "agent_http"), json }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

struct Running {
    child: Child,
    http: String,
    json: String,
}

impl Running {
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn code(&mut self) -> Option<i32> {
        until(|| self.child.try_wait().unwrap(), || "it still runs".to_owned()).code()
    }

    fn get(&self, path: &str) -> String {
        self.get_as("localhost", path)
    }

    fn get_as(&self, host: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>, why: impl Fn() -> String) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{}", why());
        std::thread::yield_now();
    }
}

fn address(json: &str, key: &str) -> String {
    let after = json.split(&format!("\"{key}\":\"")).nth(1).unwrap_or_else(|| panic!("{key} in {json}"));
    after.split('"').next().unwrap().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), text(&stdout), text(&stderr))
}

/// Readings taken over, refused, whether the last one was taken over, and when one was.
fn reloads(metrics: &str) -> (f64, f64, f64, f64) {
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("farol_config_{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {metrics}")).parse().unwrap()
    };
    (
        value("reloads_total{result=\"success\"}"),
        value("reloads_total{result=\"failure\"}"),
        value("last_reload_successful"),
        value("last_reload_success_timestamp_seconds"),
    )
}

fn dir_of(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_sound_configuration_is_checked_and_dumped_with_its_sources() {
    let place = Place::new(CONFIG);
    let mut check = place.command();
    check.arg("--check-config");
    let (code, stdout, stderr) = output(check);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "the configuration is sound\n", ""));
    let mut dump = place.command();
    dump.args(["--dump-config", "--data-dir", "/var/lib/farol"]).env("FAROL_AGENT__INTERVAL", "5s");
    let (code, stdout, _) = output(dump);
    assert_eq!(code, Some(0));
    for line in [
        "interval: 5s  # from FAROL_AGENT__INTERVAL",
        "role: host  # from default",
        "data_dir: /var/lib/farol  # from --data-dir",
    ] {
        assert!(stdout.contains(line), "{line} is not in\n{stdout}");
    }
    let unset = "# data_dir is not set";
    assert!(!stdout.contains(unset), "{stdout}");
    let mut dump = place.command();
    dump.arg("--dump-config");
    assert!(output(dump).1.contains(unset));
}

#[test]
fn wrong_usage_and_wrong_configuration_end_with_64_and_every_problem() {
    let place = Place::new("intervall: 10s\nlisten: {local: \"0.0.0.0:1\"}\nname: a\n");
    let (code, _, stderr) = output(place.command());
    assert_eq!(code, Some(64));
    assert!(stderr.contains("agent.yaml:1: intervall: unknown key"), "{stderr}");
    assert!(stderr.contains("agent.yaml:2: listen.local: `0.0.0.0:1` is not a place for the local API (it is for this machine only"), "{stderr}");
    let mut unknown = place.command();
    unknown.arg("--no-such-flag");
    assert_eq!(output(unknown).0, Some(64));
    let mut help = place.command();
    help.arg("--help");
    let (code, stdout, _) = output(help);
    assert_eq!(code, Some(0));
    for word in ["Examples:", "Exit codes:", "LOG_LEVEL (", "LOG_FORMAT (structured|json|text|gelf)"] {
        assert!(stdout.contains(word), "{word} is not in\n{stdout}");
    }
    let mut level = Place::new(CONFIG).command();
    level.env("LOG_LEVEL", "loud");
    let (code, _, stderr) = output(level);
    assert_eq!(code, Some(64), "{stderr}");
}

#[test]
fn a_port_that_is_taken_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place = Place::new(&format!("name: a\nlisten: {{http: \"{address}\", health: \"127.0.0.1:0\"}}\n"));
    let (code, _, stderr) = output(place.command());
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&address.to_string()) && stderr.contains("in use"), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(
        last.contains("\"level\":\"CRITICAL\"") && last.contains("\"error\":\"listen.http: "),
        "{stderr}"
    );
}

#[test]
fn a_reload_leaves_the_checks_with_the_service_that_counts_until_the_next_start() {
    let place = Place::new(CONFIG);
    let agent = place.start();
    let more = "  - {name: mem2, memory: {}, interval: 200ms, deadline: 200ms}\n";
    place.write(&format!("service: web\n{CONFIG}{more}"));
    agent.signal("-HUP");
    until(|| agent.get("/metrics").contains("component=\"mem2\"").then_some(()), || place.log());
    let warning = "these keys count only after a restart";
    until(|| place.log().contains(warning).then_some(()), || place.log());
    let metrics = agent.get("/metrics");
    for name in ["mem", "mem2"] {
        let line = format!("farol_component_status{{service=\"host\",component=\"{name}\"}}");
        assert!(metrics.contains(&line), "{metrics}");
    }
    drop(agent);
    let again = place.start();
    assert!(again.get("/metrics").contains("{service=\"web\",component=\"mem2\"}"));
}

#[test]
fn metrics_are_read_under_the_names_that_the_configuration_says_now() {
    let place = Place::new(CONFIG);
    let agent = place.start();
    let answer = agent.get_as("web-1.example", "/metrics");
    assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("unknown_host"), "{answer}");
    place.write(&format!("access: {{hosts: [web-1.example]}}\n{CONFIG}"));
    agent.signal("-HUP");
    until(
        || agent.get_as("web-1.example", "/metrics").contains("farol_agent_").then_some(()),
        || place.log(),
    );
}

#[test]
fn it_is_ready_answers_reloads_and_ends_when_told() {
    let place = Place::new(CONFIG);
    let mut agent = place.start();
    assert!(
        agent.json.starts_with("{\"http\":null,\"agents\":null,\"health\":null,\"agent_http\":\"127.0.0.1:")
    );
    until(|| agent.get("/health/ready").contains(" 200 ").then_some(()), || agent.get("/health/ready"));
    assert!(agent.get("/health/ready").contains("\"mem\":\"available\""), "{}", agent.get("/health/ready"));
    assert!(agent.get("/health/detailed").contains("\"memory_usage\""), "a loopback peer sees details");
    let metrics = agent.get("/metrics");
    assert!(metrics.contains("farol_component_status{service=\"host\",component=\"mem\"} 2"), "{metrics}");
    let nothing = agent.get("/api/v1/fleet");
    for part in [" 404 ", "application/problem+json", "\"code\":\"no_such_path\"", "/health/detailed"] {
        assert!(nothing.contains(part), "{part} is not in\n{nothing}");
    }

    let mut second = place.command();
    second.arg("--data-dir").arg(place.path("data"));
    let (code, _, stderr) = output(second);
    assert_eq!(code, Some(1));
    let holder = format!("held by farol-agent, process {}", agent.child.id());
    assert!(stderr.contains(&holder) && stderr.contains(&dir_of(&place.path("data"))), "{stderr}");

    place.write(&format!("{CONFIG}  - {{name: mem2, memory: {{}}, interval: 200ms, deadline: 200ms}}\n"));
    agent.signal("-HUP");
    until(|| agent.get("/health/detailed").contains("mem2").then_some(()), || place.log());
    let began = until(
        || Some(reloads(&agent.get("/metrics"))).filter(|readings| readings.0 >= 2.0),
        || agent.get("/metrics"),
    );
    assert_eq!((began.0, began.1, began.2), (2.0, 0.0, 1.0), "the first reading is one");
    place.write("checks: nonsense\n");
    agent.signal("-HUP");
    until(|| place.log().contains("the old one stays").then_some(()), || place.log());
    assert!(agent.get("/health/detailed").contains("mem2"));
    let refused = reloads(&agent.get("/metrics"));
    assert_eq!(refused, (2.0, 1.0, 0.0, began.3));

    agent.signal("-TERM");
    assert_eq!(agent.code(), Some(0), "{}", place.log());
    let boot: u64 = std::fs::read_to_string(place.path("data/agent.boot")).unwrap().trim().parse().unwrap();
    place.write(CONFIG);
    let again = place.start();
    let next: u64 = std::fs::read_to_string(place.path("data/agent.boot")).unwrap().trim().parse().unwrap();
    assert!(next > boot, "{next} after {boot}");
    drop(again);
}
