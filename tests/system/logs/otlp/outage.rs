//! A collector that comes late, hangs, or is never there.

use super::collector::Collector;
use farol_tests::process::Process;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const ANY_PORT: [&str; 6] = ["--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];
const WARNING: &str = "telemetry cannot be exported";

async fn farol(folder: &Path, endpoint: &str) -> Process {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_SERVICE_NAME", "lighthouse"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=chosen,deployment.environment.name=test"),
    ];
    Process::start_with("farol", &ANY_PORT, &env, folder).await.unwrap()
}

fn warnings(log: &str) -> usize {
    log.matches(WARNING).count()
}

#[tokio::test]
async fn what_was_said_before_the_collector_came_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let farol = farol(folder.path(), &format!("http://127.0.0.1:{port}")).await;
    until("the outage is told", SOON, async || warnings(&farol.log()) > 0).await.unwrap();
    farol.get("/api/v1/fleet").await.unwrap();
    let collector = Collector::open(port);
    let ready = collector.first("logs", "the first line", |record| record["message"] == "ready").await;
    for (key, value) in [
        ("service.name", "lighthouse"),
        ("service.instance.id", "chosen"),
        ("deployment.environment.name", "test"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(ready["resource"][key], value, "{ready}");
    }
    collector.first("traces", "a span of before", |span| span["name"] == "GET /api/v1/fleet").await;
    collector.first("metrics", "metrics", |sample| sample["name"] == "farol_ready").await;
    until("its end is told", SOON, async || farol.log().contains("telemetry is exported again"))
        .await
        .unwrap();
    let ended = farol.stop().await.unwrap();
    assert_eq!((ended.code, warnings(&ended.log)), (0, 1), "{}", ended.log);
    let dropped = |sample: &Value| sample["name"] == "farol_otlp_dropped_total";
    let dropped = collector.first("metrics", "what was dropped", dropped).await;
    assert_eq!(dropped["value"], 0.0, "{dropped}");
}

#[tokio::test]
async fn one_that_hangs_or_is_away_is_told_once_and_delays_nothing() {
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let quiet = tempfile::tempdir().unwrap();
    let without = Process::start("farol", &ANY_PORT, quiet.path()).await.unwrap();
    let usual = without.stop().await.unwrap().took;
    for address in [hangs.local_addr().unwrap(), away] {
        let folder = tempfile::tempdir().unwrap();
        let farol = farol(folder.path(), &format!("http://{address}")).await;
        for _ in 0..20 {
            assert_eq!(farol.get("/health/live").await.unwrap().0, 200);
            assert_eq!(farol.get("/api/v1/fleet").await.unwrap().0, 200);
        }
        if address == away {
            until("it is told", SOON, async || warnings(&farol.log()) > 0).await.unwrap();
        }
        let ended = farol.stop().await.unwrap();
        assert_eq!(ended.code, 0, "{}", ended.log);
        assert!(ended.took < usual + Duration::from_secs(2), "{:?} after {usual:?}", ended.took);
        assert_eq!(warnings(&ended.log), 1, "{}", ended.log);
        assert!(ended.log.contains("the process ends before these could be exported"), "{}", ended.log);
        let last = ended.log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).count();
        assert_eq!(last, 0, "nothing else went wrong: {}", ended.log);
    }
}

#[tokio::test]
async fn one_that_takes_little_at_once_gets_every_line_that_fits() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::limited(4_096));
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000".to_owned()),
        ("LOG_LEVEL", "debug".to_owned()),
        ("LOG_REPEATS", "0".to_owned()),
    ];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let farol = Process::start_with("farol", &ANY_PORT, &env, folder.path()).await.unwrap();
    for n in 0..200 {
        farol.get(&format!("/api/v1/burst/{n}")).await.unwrap();
    }
    let of = |n: usize| move |record: &Value| record["fields"]["path"] == format!("/api/v1/burst/{n}");
    collector.first("logs", "the last of the burst", of(199)).await;
    farol.get("/api/v1/burst/200").await.unwrap();
    collector.first("logs", "a later line", of(200)).await;
    let all = collector.all("logs");
    for n in 0..=200 {
        assert_eq!(all.iter().filter(|record| of(n)(record)).count(), 1, "line {n}");
    }
    // The metrics are never short enough.
    let lost = async || {
        let (_, page) = farol.get("/metrics").await.unwrap();
        let count =
            page.lines().find(|line| line.starts_with("farol_otlp_dropped_total{signal=\"metrics\"}"));
        count.is_some_and(|line| !line.ends_with(" 0"))
    };
    until("lost metrics are counted", SOON, lost).await.unwrap();
    // What it says while it ends may be more than a slow collector takes in the time there is.
    let log = farol.log();
    let told = log.matches("refuses as too much what cannot be made smaller").count();
    assert_eq!((told, warnings(&log)), (1, 0), "{log}");
    let ended = farol.stop().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
}

#[tokio::test]
async fn nothing_connects_unless_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let off = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_SDK_DISABLED", "true")];
    let none = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let on = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    for (at, (env, connects)) in
        [(&[][..], false), (&off[..], false), (&none[..], false), (&on[..], true)].into_iter().enumerate()
    {
        let own = folder.path().join(at.to_string());
        let farol = Process::start_with("farol", &ANY_PORT, env, &own).await.unwrap();
        let tasks = std::fs::read_dir(format!("/proc/{}/task", farol.pid())).unwrap();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        assert_eq!(names.into_iter().any(|name| name == "otlp\n"), connects, "{env:?}");
        farol.get("/api/v1/fleet").await.unwrap();
        if connects {
            until("it connects", SOON, async || listener.accept().is_ok()).await.unwrap();
        }
        // Its end would send what waits.
        assert_eq!(farol.stop().await.unwrap().code, 0);
        assert!(connects || listener.accept().is_err(), "{env:?}");
    }
}
