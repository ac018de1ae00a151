//! The real process alone: what it serves, how it reloads, and how it ends.

#![allow(clippy::unwrap_used, reason = "tests")]

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running standalone with everything in a directory of its own; killed when dropped.
struct Farol {
    child: Child,
    dir: TempDir,
    http: String,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farol"));
    command.args(args).stdin(Stdio::null()).env_remove("LOG_LEVEL").env_remove("LOG_FORMAT");
    command
}

/// Waits for something to come true, without taking the processor from those who make it true.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (_keep, never) = mpsc::channel::<()>();
    for _ in 0..PATIENCE.as_millis() / 20 {
        if let Some(found) = look() {
            return found;
        }
        assert!(never.recv_timeout(Duration::from_millis(20)).is_err());
    }
    panic!("waited in vain for {what}");
}

impl Farol {
    fn start(config: &str) -> Farol {
        Self::start_on(config, Stdio::null())
    }

    fn start_on(config: &str, stdout: Stdio) -> Farol {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
        fs::write(path("farol.yaml"), config).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let any = "127.0.0.1:0";
        let child = command(&["--config", &path("farol.yaml"), "--data-dir", &path("data")])
            .args(["--ready-file", &path("ready"), "--http", any, "--agents", any, "--health", any])
            .stdout(stdout)
            .stderr(log)
            .spawn()
            .unwrap();
        let mut farol = Farol { child, dir, http: String::new() };
        let ready = wait_for("the ready file", || {
            assert_eq!(farol.child.try_wait().unwrap(), None, "{}", farol.log());
            fs::read_to_string(path("ready")).ok()
        });
        let ready: Value = serde_json::from_str(&ready).unwrap();
        farol.http = ready["http"].as_str().unwrap().to_owned();
        assert_eq!(ready["agent_http"].is_null(), !config.contains("agent_http"), "{ready}");
        farol
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn ask(&self, request: &str) -> String {
        self.ask_with(request, "")
    }

    fn ask_with(&self, request: &str, header: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = &self.http;
        write!(stream, "{request} HTTP/1.1\r\nhost: {host}\r\n{header}connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// `farol status --json` and its exit code.
    fn status(&self) -> (i32, Value) {
        let url = format!("http://{}", self.http);
        let output = command(&["status", "--json", "--url", &url]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code().unwrap(),
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{error}")),
        )
    }

    /// The components that are not healthy, by name.
    fn not_healthy(&self) -> Vec<String> {
        let (_, value) = self.status();
        let names = value["components"].as_array().unwrap().iter();
        names.map(|component| component["component"].as_str().unwrap().to_owned()).collect()
    }

    fn end(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.exit()
    }

    fn exit(&mut self) -> i32 {
        let status = wait_for("the end", || self.child.try_wait().unwrap());
        status.code().unwrap_or_else(|| panic!("ended by a signal: {status}\n{}", self.log()))
    }
}

impl Drop for Farol {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A check of a port that is open, so that the machine's own state decides nothing here.
fn door() -> (TcpListener, String) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let check = format!(
        "{{name: door, interval: 200ms, deadline: 100ms, tcp: {{address: \"{}\"}}}}",
        door.local_addr().unwrap()
    );
    (door, check)
}

#[test]
fn it_serves_its_own_health_and_its_agents_and_ends_with_0() {
    let (_door, check) = door();
    let mut farol = Farol::start(&format!("agent: {{name: web-1, checks: [{check}]}}"));
    let value = wait_for("a healthy fleet", || Some(farol.status()).filter(|(code, _)| *code == 0)).1;
    assert_eq!(value["services"][0]["name"], "host");
    assert_eq!(value["services"][0]["instances"][0]["agent"], "web-1");
    for (request, words) in [
        ("GET /health", "\"status\":"),
        ("GET /health/ready", "\"ready\":true,\"dependencies\":{\"database\":\"connected\"}"),
        ("GET /health/live", "\"alive\":true"),
        ("GET /health/services/host", "\"healthy\""),
    ] {
        let answer = farol.ask(request);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(words), "{request}: {answer}");
    }
    assert_eq!(farol.end(), 0, "{}", farol.log());
}

#[test]
fn the_agents_last_word_comes_before_the_monitor_drains() {
    let (_door, check) = door();
    let mut farol = Farol::start(&format!("agent: {{name: web-1, checks: [{check}]}}"));
    wait_for("a healthy fleet", || Some(()).filter(|()| farol.status().0 == 0));
    assert_eq!(farol.end(), 0);
    let log = farol.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = |what: &str, found: &dyn Fn(&Value) -> bool| {
        lines.iter().position(found).unwrap_or_else(|| panic!("no line says {what}:\n{log}"))
    };
    let goodbye = at("goodbye", &|line| line["message"] == "an agent says that it stops");
    let report = at("the last report", &|line| line["cleanup"] == "last report");
    let drain = at("drain", &|line| {
        line["phase"] == "DRAIN_CONNECTIONS" && line["message"] == "phase begins" && line["part"].is_null()
    });
    let store = at("store", &|line| line["cleanup"] == "store");
    assert!(goodbye < drain && report < drain && drain < store, "{goodbye} {report} {drain} {store}\n{log}");
    let bad = |line: &&Value| line["level"] == "ERROR" || line["level"] == "CRITICAL";
    assert_eq!(lines.iter().find(bad), None);
}

#[test]
fn a_reload_takes_both_halves_or_none() {
    let (_door, check) = door();
    let farol = Farol::start(&format!("agent: {{checks: [{check}]}}"));
    wait_for("a healthy fleet", || Some(()).filter(|()| farol.status().0 == 0));
    let wall = check.replace("door", "wall").replace("127.0.0.1", "127.0.0.2");
    let bad =
        format!("monitor: {{services: {{shop: {{}}}}, listne: {{}}}}\nagent: {{checks: [{check}, {wall}]}}");
    fs::write(farol.path("farol.yaml"), &bad).unwrap();
    farol.signal(Signal::HUP);
    wait_for("the refusal", || {
        Some(()).filter(|()| farol.log().contains("farol.yaml:1: monitor.listne: unknown key"))
    });
    let events = farol.ask("GET /api/v1/events");
    assert!(events.contains("\"refused\"") && events.contains("monitor.listne"), "{events}");
    let metrics = farol.ask("GET /metrics");
    assert!(metrics.contains("farol_config_reloads_total{result=\"failure\"} 1"), "{metrics}");
    assert_eq!(farol.status().1["services"].as_array().unwrap().len(), 1, "nothing of a bad file counts");
    assert_eq!(farol.status().1["fleet"]["components"]["total"], 1);
    fs::write(farol.path("farol.yaml"), bad.replace(", listne: {}", "")).unwrap();
    farol.signal(Signal::HUP);
    wait_for("the other check", || Some(()).filter(|()| farol.not_healthy() == ["wall"]));
    let value = farol.status().1;
    assert_eq!(value["services"][1]["name"], "shop", "{value}");
    assert!(!farol.log().contains("count only after a restart"), "{}", farol.log());
    let renamed = bad.replace(", listne: {}", "").replace("agent: {", "agent: {name: other, ");
    fs::write(farol.path("farol.yaml"), renamed).unwrap();
    let token = fs::read_to_string(farol.path("data/operator.token")).unwrap();
    let header = format!("authorization: Bearer {}\r\ncontent-length: 0\r\n", token.trim());
    let answer = farol.ask_with("POST /api/v1/reload", &header);
    assert!(answer.contains(r#"{"restart_needed":["agent.name"]}"#), "{answer}");
}

#[test]
fn an_agents_listeners_are_opened_when_listed() {
    let (_door, check) = door();
    let mut farol = Farol::start(&format!(
        "# agent_http\nagent: {{checks: [{check}], listen: {{http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}}}}"
    ));
    let ready: Value = serde_json::from_str(&fs::read_to_string(farol.path("ready")).unwrap()).unwrap();
    let probe = |url: &str| {
        wait_for(url, || {
            Some(()).filter(|()| command(&["healthcheck", url]).output().unwrap().status.success())
        });
    };
    probe(&format!("http://{}/health/ready", ready["agent_http"].as_str().unwrap()));
    probe(&format!("grpc://{}", ready["agent_health"].as_str().unwrap()));
    probe(&format!("grpc://{}/host/door", ready["health"].as_str().unwrap()));
    assert_eq!(farol.end(), 0, "{}", farol.log());
}

/// Reads what a terminal shows until these words have come.
fn shown(master: &mut fs::File, words: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 1_024];
    while !String::from_utf8_lossy(&text).contains(words) {
        let read = master.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn at_a_terminal_it_greets_and_ends_when_the_terminal_is_gone() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ptsname(&master, Vec::new()).unwrap();
    let slave = fs::OpenOptions::new().read(true).write(true).open(slave.to_str().unwrap()).unwrap();
    let (_door, check) = door();
    let mut farol = Farol::start_on(&format!("agent: {{name: web-1, checks: [{check}]}}"), slave.into());
    let mut master = fs::File::from(master);
    let greeting = shown(&mut master, "Ctrl-C ends it.");
    assert!(greeting.contains("watches web-1: door") && greeting.contains(&farol.http), "{greeting}");
    let log = farol.log();
    assert!(log.contains("shows another status"), "it comes after the first result's lines: {log}");
    farol.signal(Signal::HUP);
    wait_for("the reload", || Some(()).filter(|()| farol.log().contains("the configuration was read again")));
    drop(master);
    // The kernel signals once the last copy is closed; a child that another test forks may hold one for a moment.
    let status = wait_for("the end", || {
        farol.signal(Signal::HUP);
        farol.child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0), "{}", farol.log());
    assert!(farol.log().contains("the terminal is gone"), "{}", farol.log());
}

#[test]
fn what_cannot_be_had_is_named_with_what_to_do() {
    let (_door, check) = door();
    let farol = Farol::start(&format!("agent: {{checks: [{check}]}}"));
    let data = farol.path("data");
    let data = data.to_str().unwrap();
    let other = farol.path("other");
    let other = other.to_str().unwrap();
    let taken = farol.http.as_str();
    let free = ["--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];
    let holder = format!("is held by farol, process {}", farol.child.id());
    for (args, code, words) in [
        (&["--http", "127.0.0.1:0", "--data-dir", data][..], 1, holder.as_str()),
        (&["--http", taken, "--data-dir", other], 1, "the address is in use"),
        (&["--http", "nowhere", "--data-dir", other], 64, "--http: monitor.listen.http: "),
        (&["--config", "/nonexistent.yaml"], 64, "/nonexistent.yaml"),
    ] {
        let output = command(args).args(free).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
}

#[test]
fn the_configuration_can_be_checked_and_shown_without_starting() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output =
            command(args).current_dir(dir.path()).env("FAROL_AGENT__NAME", "from-env").output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(&["--check-config"]), (0, "the configuration is sound\n".to_owned()));
    let (code, dump) = run(&["--dump-config", "--http", "127.0.0.1:9"]);
    assert_eq!(code, 0);
    for words in ["name: from-env  # from FAROL_AGENT__NAME", "# from --http", "# from default"] {
        assert!(dump.contains(words), "{words} is not in\n{dump}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn rules_are_tried_on_the_past_of_a_monitor_that_goes_on() {
    let (door, check) = door();
    let mut farol = Farol::start(&format!("agent: {{name: web-1, interval: 1s, checks: [{check}]}}"));
    let rules = "rules:\n  - {name: door_down, component: door, by: [agent]}\n  - {name: memory, metric: \
                 system_memory_usage_percent, warning: '> 0'}\n  - {name: memory_late, metric: \
                 system_memory_usage_percent, critical: '> 0', for: 1h}\n";
    fs::write(farol.path("rules.yaml"), rules).unwrap();
    wait_for("an open door", || Some(()).filter(|()| !farol.not_healthy().contains(&"door".to_owned())));
    drop(door);
    wait_for("a closed door", || Some(()).filter(|()| farol.not_healthy().contains(&"door".to_owned())));
    let path = |name: &str| farol.path(name).to_str().unwrap().to_owned();
    let test = |more: &[&str]| {
        let mut command = command(&["rules", "test", "--since", "10m", "--data-dir", &path("data")]);
        let output = command.args(["--config", &path("farol.yaml")]).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let rules = path("rules.yaml");
    // A warning waits for others, and for half a minute nobody is told: pending and firing stand at the end.
    let value = wait_for("what is told", || {
        let value: Value = serde_json::from_str(&test(&["--json", &rules])).unwrap();
        let told = value["told"].as_array().unwrap();
        let of_door = told.iter().any(|told| told["firing"][0]["rule"] == "door_down");
        Some(value.clone()).filter(|_| of_door && value["samples"].as_u64().unwrap() > 0)
    });
    let told: Vec<String> = value["told"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| {
            let alert = &told["firing"][0];
            format!("{} {} {}", told["change"], told["receiver"], alert["rule"])
        })
        .collect();
    assert!(told.contains(&"\"added\" \"log\" \"door_down\"".to_owned()), "{value}");
    assert!(told.contains(&"\"both\" \"log\" \"component_unhealthy\"".to_owned()), "{value}");
    assert!(!told.iter().any(|told| told.contains("memory_late")), "{value}");
    assert!(value["firing"].as_u64().unwrap() >= 3, "the memory fires too, and waits: {value}");
    // It is told at the moment at which the monitor told it.
    let is_told = |told: &&Value| told["firing"][0]["rule"] == "component_unhealthy";
    let told = value["told"].as_array().unwrap().iter().find(is_told).unwrap();
    let events = farol.ask("GET /api/v1/events");
    let events: Value = serde_json::from_str(events.rsplit("\r\n\r\n").next().unwrap()).unwrap();
    let is_live = |event: &&Value| event["kind"] == "alert_fired" && event["component"] == "door";
    let event = events["items"].as_array().unwrap().iter().find(is_live).unwrap();
    assert_eq!(told["at"], event["at"]);
    let text = test(&[&rules]);
    assert!(text.contains("\n+  ") && text.contains("critical door_down{agent=\"web-1\"}"), "{text}");
    assert!(text.contains("1 more (+) and 0 fewer (-) than by the rules in force"), "{text}");
    assert!(test(&[]).contains("the rules are those in force"));
    assert_eq!(farol.status().0, 2, "it goes on");
    assert_eq!(farol.end(), 0, "{}", farol.log());
}
