//! Both pages as a scraper reads them, in both formats.

mod strict;

use crate::http::scene::{Reply, Scene, local, series};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use farol_health::Status;
use farol_wire::SeriesType::{Counter, Gauge};
use std::io::Write;
use std::process::{Command, Stdio};
use strict::Read;

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

async fn scrape(scene: &Scene, path: &str, accept: &str) -> Reply {
    scene.send(local(Method::GET, path).header("accept", accept).body(Body::empty()).unwrap()).await
}

/// The page in both formats, read by the strict reader; both say the same.
async fn read(scene: &Scene, path: &str) -> Read {
    // The first scrape has a count of its own on the pages after it.
    scrape(scene, path, "*/*").await;
    let text = scrape(scene, path, "*/*").await;
    assert_eq!(text.status, StatusCode::OK, "{}", text.body);
    assert_eq!(text.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let open = scrape(scene, path, OPEN).await;
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = strict::read(&text.body, false).unwrap();
    let open = strict::read(&open.body, true).unwrap();
    let names = |read: &Read| read.samples.iter().map(|s| (s.0.clone(), s.1.clone())).collect::<Vec<_>>();
    assert_eq!(names(&text), names(&open));
    text
}

/// Asks promtool, where it is installed.
fn promtool(page: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("promtool is not installed: only the strict reader has judged");
        return;
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said.concat().trim().is_empty(), "{}\n{page}", said.concat());
}

#[tokio::test]
async fn the_monitors_own_page_is_clean_and_tells_every_status() {
    let scene = Scene::new().await;
    scene.declare(&[("payments", Default::default())], "checkout");
    let agent =
        scene.agent("web-1", &[("payments", "database", Status::Unhealthy), ("a", "b", Status::Healthy)]);
    agent.live.lock().components[1].stale = true;
    scene.app.reloads.note(true, 1_768_473_000_000);
    scene.app.reloads.note(false, 1_768_473_000_001);
    let page = read(&scene, "/metrics").await;
    let database = [("agent", "web-1"), ("service", "payments"), ("component", "database")];
    assert_eq!(page.value("farol_component_status", &database), Some(4.0));
    assert_eq!(page.value("farol_component_stale", &database), Some(0.0));
    assert_eq!(page.value("farol_component_status", &[("component", "b")]), Some(0.0));
    assert_eq!(page.value("farol_component_stale", &[("component", "b")]), Some(1.0));
    assert_eq!(page.value("farol_service_status", &[("service", "payments")]), Some(4.0));
    assert_eq!(page.value("farol_group_status", &[("group", "checkout")]), Some(4.0));
    assert_eq!(page.value("farol_agents", &[("presence", "here")]), Some(1.0));
    assert_eq!(page.value("farol_agents_connected", &[]), Some(1.0));
    assert_eq!(page.value("farol_config_last_reload_successful", &[]), Some(0.0));
    assert_eq!(page.value("farol_config_reloads_total", &[("result", "failure")]), Some(1.0));
    assert_eq!(page.value("farol_log_lines_dropped_total", &[]), Some(0.0));
    assert_eq!(page.value("farol_build_info", &[("version", "1.2.3")]), Some(1.0));
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(page.value(name, &[]).unwrap() > 0.0, "{name}");
    }
    let started = page.value("process_start_time_seconds", &[]).unwrap();
    let now = jiff::Timestamp::now().as_second() as f64;
    assert!((now - 60.0..now).contains(&started), "{started} at {now}");
    promtool(&scrape(&scene, "/metrics", "*/*").await.body);
}

#[tokio::test]
async fn the_fleets_page_is_grouped_by_name_over_agents() {
    let scene = Scene::new().await;
    for (id, load) in [("web-1", 0.25), ("web-2", 4.0)] {
        let agent = scene.agent(id, &[("payments", "database", Status::Healthy)]);
        let checked = [("service", "payments"), ("component", "database")];
        scene.samples(
            &agent,
            &[
                (series("system_load1", Gauge, &[]), load),
                (series("database_connections_active", Gauge, &checked), 5.0),
                (series("system_network_received_bytes_total", Counter, &[("device", "eth0")]), 1e9),
            ],
        );
    }
    let body = scrape(&scene, "/metrics/fleet", "*/*").await.body;
    let expected = "\
# HELP database_connections_active Connections that run a statement.
# TYPE database_connections_active gauge
database_connections_active{agent=\"web-1\",service=\"payments\",component=\"database\"} 5
database_connections_active{agent=\"web-2\",service=\"payments\",component=\"database\"} 5
# HELP system_load1 Load average of the last minute.
# TYPE system_load1 gauge
system_load1{agent=\"web-1\",service=\"payments\"} 0.25
system_load1{agent=\"web-2\",service=\"payments\"} 4
# HELP system_network_received_bytes_total As the agents report it.
# TYPE system_network_received_bytes_total counter
system_network_received_bytes_total{agent=\"web-1\",service=\"payments\",device=\"eth0\"} 1000000000
system_network_received_bytes_total{agent=\"web-2\",service=\"payments\",device=\"eth0\"} 1000000000
";
    assert_eq!(body, expected);
    promtool(&body);
    read(&scene, "/metrics/fleet").await;
    let own = read(&scene, "/metrics").await;
    assert_eq!(own.value("farol_scrape_series", &[]), Some(6.0));
}

#[tokio::test]
async fn reserved_labels_give_way_and_a_scope_is_part_of_the_service() {
    let scene = Scene::new().await;
    let parts = [("payments", "database", Status::Healthy), ("search", "index", Status::Healthy)];
    let agent = scene.scoped_agent("web-1", "eu", &parts);
    let theirs = [("agent", "smith"), ("service", "theirs"), ("exported_agent", "taken")];
    scene.samples(
        &agent,
        &[
            (series("a", Gauge, &theirs), 1.0),
            (series("b", Gauge, &[("service", "payments"), ("component", "database")]), 2.0),
            (series("c", Gauge, &[]), 3.0),
        ],
    );
    let page = read(&scene, "/metrics/fleet").await;
    let labels = |name: &str| {
        let found = page.samples.iter().find(|sample| sample.0 == name).unwrap();
        found.1.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    };
    assert_eq!(
        labels("a"),
        "agent=web-1,exported_agent=taken,exported_exported_agent=smith,exported_service=theirs"
    );
    assert_eq!(labels("b"), "agent=web-1,component=database,service=eu.payments");
    assert_eq!(labels("c"), "agent=web-1", "an agent of two services");
    for (selector, expected) in [
        ("{exported_service=\"theirs\"}", "a"),
        ("{service=\"eu.payments\"}", "b"),
        ("{service=\"\",component=\"\",exported_agent=\"\",agent=\"web-1\"}", "c"),
    ] {
        let path = format!(
            "/metrics/fleet?match[]={}",
            selector.replace('"', "%22").replace('{', "%7b").replace('}', "%7d")
        );
        let page = read(&scene, &path).await;
        let names: Vec<_> = page.samples.iter().map(|s| s.0.as_str()).collect();
        assert_eq!(names, [expected], "{selector}");
    }
}

#[tokio::test]
async fn whatever_a_label_holds_the_page_stays_clean() {
    let scene = Scene::new().await;
    let agent = scene.agent("web-1", &[("s", "c", Status::Healthy)]);
    let nasty = [
        "",
        "\\",
        "\"",
        "\n",
        "\r\n",
        "\\n",
        "a\\\"b",
        "\"} 1\nevil 2\n#",
        "\u{0}",
        "\u{7f}\u{1b}[31m",
        "ünïcode 🦀",
        "\u{2028}",
        "{a=\"b\"}",
        "# HELP x y",
        "\\\\\\",
        "\t",
        "'`",
    ];
    let values =
        [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324, 9_007_199_254_740_993.0];
    let mut all: Vec<_> = nasty.iter().map(|text| (series("nasty", Gauge, &[("l", text)]), 1.0)).collect();
    all.extend(
        values
            .iter()
            .enumerate()
            .map(|(at, value)| (series("number", Gauge, &[("at", &at.to_string())]), *value)),
    );
    let mut unit = series("with_unit", Gauge, &[]);
    unit.unit = "a\nb\\c\"d".into();
    all.push((unit, 1.0));
    scene.samples(&agent, &all);
    let page = read(&scene, "/metrics/fleet").await;
    let read: Vec<_> = page.samples.iter().filter(|s| s.0 == "nasty").map(|s| s.1["l"].as_str()).collect();
    assert_eq!(read, nasty);
    for (at, value) in values.iter().enumerate() {
        let read = page.value("number", &[("at", &at.to_string())]).unwrap();
        assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()), "{value}: {read}");
    }
    promtool(&scrape(&scene, "/metrics/fleet", "*/*").await.body);
}

#[tokio::test]
async fn the_first_type_of_a_name_wins_and_the_others_are_counted() {
    let scene = Scene::new().await;
    for (id, kind) in [("a", Gauge), ("b", Counter), ("c", Gauge)] {
        let agent = scene.agent(id, &[]);
        scene.samples(&agent, &[(series("x", kind, &[]), 1.0)]);
    }
    let page = read(&scene, "/metrics/fleet").await;
    assert_eq!(page.types["x"], "gauge");
    let agents: Vec<_> = page.samples.iter().map(|s| s.1["agent"].as_str()).collect();
    assert_eq!(agents, ["a", "c"]);
    let own = read(&scene, "/metrics").await;
    assert_eq!(own.value("farol_scrape_conflicting_series", &[]), Some(1.0));
    assert_eq!(own.value("farol_scrape_series", &[]), Some(2.0));
}

#[tokio::test]
async fn a_counters_family_never_takes_the_name_of_another() {
    let scene = Scene::new().await;
    let agent = scene.agent("a", &[]);
    scene.samples(
        &agent,
        &[
            (series("x", Gauge, &[]), 1.0),
            (series("x_total", Counter, &[]), 2.0),
            (series("y_total", Counter, &[]), 3.0),
            (series("z", Counter, &[]), 4.0),
        ],
    );
    let open = scrape(&scene, "/metrics/fleet", OPEN).await.body;
    let open = strict::read(&open, true).unwrap();
    let types: Vec<_> = open.types.iter().map(|(name, word)| format!("{name} {word}")).collect();
    assert_eq!(types, ["x gauge", "x_total unknown", "y counter", "z unknown"]);
}

#[tokio::test]
async fn what_did_not_tick_for_three_intervals_and_what_is_there_twice_is_left_out() {
    let scene = Scene::new().await;
    let now = scene.app.clock.now();
    for (id, ago_ms) in [("fresh", 29_000), ("stale", 31_000)] {
        let agent = scene.agent(id, &[]);
        let twice = [(series("x", Gauge, &[("l", "v")]), 1.0), (series("x", Gauge, &[("l", "v")]), 2.0)];
        scene.samples_at(&agent, &twice, (now.run_ms.saturating_sub(ago_ms).max(1), now.wall_ms));
    }
    scene.agent("silent", &[]);
    let page = read(&scene, "/metrics/fleet").await;
    let shown: Vec<_> = page.samples.iter().map(|s| (s.1["agent"].as_str(), s.2)).collect();
    assert_eq!(shown, [("fresh", 1.0)]);
}

#[tokio::test]
async fn over_the_limit_a_scrape_is_refused_with_match_named_and_a_choice_goes_through() {
    let scene = Scene::new().await;
    for id in ["a", "b"] {
        let agent = scene.agent(id, &[]);
        let names = ["one", "two", "three"];
        scene.samples(&agent, &names.map(|name| (series(name, Gauge, &[]), 1.0)));
    }
    scene.app.scrapes.set_max_series(5);
    let refused = scrape(&scene, "/metrics/fleet", "*/*").await;
    assert_eq!((refused.status, &*refused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "too_many_series"));
    assert!(refused.body.contains("match[]"), "{}", refused.body);
    for (query, expected) in [
        ("match[]=one", vec!["one a", "one b"]),
        ("match[]=one&match[]=two%7Bagent%3D%22b%22%7D", vec!["one a", "one b", "two b"]),
        ("match[]=%7B__name__%3D~%22t.*%22,agent!%3D%22a%22%7D", vec!["three b", "two b"]),
        ("match[]=none", vec![]),
    ] {
        let page = read(&scene, &format!("/metrics/fleet?{query}")).await;
        let shown: Vec<_> = page.samples.iter().map(|s| format!("{} {}", s.0, s.1["agent"])).collect();
        assert_eq!(shown, expected, "{query}");
    }
    let own = read(&scene, "/metrics").await;
    assert_eq!(own.value("farol_scrapes_refused_total", &[]), Some(1.0));
    let many = "match[]=x&".repeat(65);
    assert_eq!(scrape(&scene, &format!("/metrics/fleet?{many}"), "*/*").await.code(), "bad_selector");
}

#[tokio::test]
async fn a_large_page_comes_in_pieces_and_nothing_is_lost_between_them() {
    let scene = Scene::new().await;
    for id in 0..300 {
        let agent = scene.agent(&format!("agent-{id:03}"), &[("s", "c", Status::Healthy)]);
        let all: Vec<_> =
            (0..40).map(|n| (series(&format!("metric_{n:02}"), Gauge, &[]), f64::from(n))).collect();
        scene.samples(&agent, &all);
    }
    let page = read(&scene, "/metrics/fleet").await;
    assert_eq!(page.samples.len(), 12_000);
    let response = scene.open(local(Method::GET, "/metrics/fleet").body(Body::empty()).unwrap()).await;
    let mut pieces =
        futures::StreamExt::map(response.into_body().into_data_stream(), |piece| piece.unwrap().len());
    let (mut count, mut largest) = (0, 0);
    while let Some(length) = futures::StreamExt::next(&mut pieces).await {
        (count, largest) = (count + 1, largest.max(length));
    }
    assert!(count > 8 && largest < 80 * 1_024, "{count} pieces, the largest of {largest} bytes");
}

#[tokio::test]
async fn a_family_too_large_to_be_written_with_others_is_whole_and_in_its_place() {
    let scene = Scene::new().await;
    let agents = 3;
    for id in 0..agents {
        let agent = scene.agent(&format!("agent-{id}"), &[]);
        let mut all = vec![(series("a", Gauge, &[]), 1.0), (series("z", Gauge, &[]), 2.0)];
        all.extend((0..3_000).map(|n| (series("large", Gauge, &[("n", &n.to_string())]), f64::from(n))));
        scene.samples(&agent, &all);
    }
    let page = read(&scene, "/metrics/fleet").await;
    let mut names: Vec<_> = page.samples.iter().map(|s| s.0.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "large").count(), 9_000);
    names.dedup();
    assert_eq!(names, ["a", "large", "z"]);
    assert_eq!(page.value("large", &[("agent", "agent-2"), ("n", "2999")]), Some(2_999.0));
}

#[tokio::test]
async fn scrapes_have_so_many_places_and_give_them_back_when_their_reader_goes() {
    let scene = Scene::new().await;
    let mut open = Vec::new();
    for _ in 0..super::AT_ONCE {
        open.push(scene.open(local(Method::GET, "/metrics/fleet").body(Body::empty()).unwrap()).await);
    }
    let refused = scrape(&scene, "/metrics/fleet", "*/*").await;
    assert_eq!((refused.status, &*refused.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_scrapes"));
    open.pop();
    assert_eq!(scrape(&scene, "/metrics/fleet", "*/*").await.status, StatusCode::OK);
}

#[test]
fn the_strict_reader_is_strict() {
    let head = "# HELP x h\n# TYPE x gauge\n";
    for (page, fine) in [
        (format!("{head}x 1\n"), true),
        (format!("{head}x{{a=\"b\",c=\"d\\\\\\\"\\n\"}} -1.5e-7\n"), true),
        (format!("{head}x 1"), false),
        (format!("{head}y 1\n"), false),
        (format!("{head}x 1\nx 2\n"), false),
        (format!("{head}x{{a=\"b\"}} 1\nx{{a=\"b\"}} 1\n"), false),
        (format!("{head}x{{a=\"b\",a=\"c\"}} 1\n"), false),
        (format!("{head}x{{a=\"\\q\"}} 1\n"), false),
        (format!("{head}x{{a=\"b\"\n"), false),
        (format!("{head}x inf\n"), false),
        (format!("{head}{head}x 1\n"), false),
        ("# TYPE x gauge\nx 1\n".to_owned(), false),
        ("x 1\n".to_owned(), false),
    ] {
        assert_eq!(strict::read(&page, false).is_ok(), fine, "{page}");
    }
    assert!(strict::read("# HELP x h\n# TYPE x counter\nx_total 1\n# EOF\n", true).is_ok());
    assert!(strict::read("# HELP x h\n# TYPE x counter\nx_total 1\n", true).is_err());
}
