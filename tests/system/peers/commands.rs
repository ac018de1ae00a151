//! Farol's own command from outside: what scripts and containers see, which is exit codes and JSON.

use super::shop::{Shop, Web};
use super::{Done, run};
use farol_tests::process::command;
use serde_json::Value;
use std::path::Path;

async fn farol(args: &[&str]) -> Done {
    run(command("farol", args).expect("it is built"), "").await
}

/// Exit code and the JSON it prints.
async fn json(args: &[&str]) -> (Option<i32>, Value) {
    let done = farol(args).await;
    let value = serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done.code, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_is_0_for_what_is_up_and_1_for_all_else() {
    let shop = Shop::open().await;
    let (http, health) = (shop.farol.address("http"), shop.farol.address("health"));
    let urls = |path: &str, name: &str| [format!("http://{http}{path}"), format!("grpc://{health}{name}")];
    for url in urls("/health/services/shop", "/shop").iter().chain(&urls("/health", "")) {
        let done = farol(&["healthcheck", url]).await;
        assert!(done.code == Some(0) && done.out.starts_with("healthy: "), "{url}: {done:?}");
    }
    let agents = shop.farol.address("agents");
    for (url, words) in [
        (format!("http://{health}/health"), format!("`grpc://{health}/SERVICE`")),
        (format!("http://{agents}/"), format!("`grpc://{agents}/SERVICE`")),
        (format!("https://{http}/health"), "`http://`".to_owned()),
        (format!("grpc://{http}"), "`http://HOST:PORT/health`".to_owned()),
    ] {
        let done = farol(&["healthcheck", &url, "--timeout", "10s"]).await;
        assert!(done.code == Some(1) && done.out.contains(&words), "{url}: {done:?}");
    }
    for (url, words) in
        [(format!("http://{health}"), "it is a gRPC port"), (format!("https://{http}"), "`http://`")]
    {
        let done = farol(&["status", "--url", &url]).await;
        assert!(done.code == Some(3) && done.err.contains(words), "{url}: {done:?}");
    }
    shop.web.set(false);
    shop.becomes("unhealthy").await;
    for url in urls("/health/services/shop", "/shop").iter().chain(&urls("/nothing", "/nobody")) {
        let done = farol(&["healthcheck", url]).await;
        assert!(done.code == Some(1) && done.out.starts_with("unhealthy: "), "{url}: {done:?}");
    }
    shop.farol.kill().await.expect("it is killed");
    for url in &urls("/health", "") {
        assert_eq!(farol(&["healthcheck", url]).await.code, Some(1), "{url}");
    }
    for wrong in [
        &["healthcheck", "ftp://x/"][..],
        &["healthcheck"],
        &["healthcheck", "http://x", "--timeout", "soon"],
    ] {
        assert_eq!(farol(wrong).await.code, Some(64), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_by_its_exit_code_what_it_found() {
    let web = Web::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("agent.yaml");
    let path = file.to_str().expect("a plain path");
    for (up, more, code, status) in
        [(true, "", 0, "healthy"), (false, ", required: false", 1, "degraded"), (false, "", 2, "unhealthy")]
    {
        web.set(up);
        std::fs::write(&file, web.checks(more)).expect("the file can be written");
        // The check's own deadline is for a quiet machine.
        let (found, value) = json(&["check", "--config", path, "--json", "--timeout", "10s"]).await;
        assert_eq!((found, value["status"].as_str()), (Some(code), Some(status)), "{value}");
        let component = &value["components"][0];
        assert_eq!((&component["name"], &component["kind"]), (&"web".into(), &"http".into()), "{value}");
        assert_eq!(component["status"], if up { "healthy" } else { "unhealthy" }, "{value}");
    }
    wrong_input(&file).await;
}

async fn wrong_input(file: &Path) {
    let path = file.to_str().expect("a plain path");
    std::fs::write(file, "checks: [{name: web, htttp: {}}]").expect("the file can be written");
    let done = farol(&["check", "--config", path, "--json"]).await;
    assert_eq!(done.code, Some(64), "{done:?}");
    assert!(
        done.err.contains("agent.yaml:1") && done.err.contains("`http`") && done.out.is_empty(),
        "{done:?}"
    );
    assert_eq!(farol(&["check", "--config", "/nonexistent.yaml"]).await.code, Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_of_this_machine_needs_no_file() {
    let (code, value) = json(&["check", "--json", "--timeout", "10s"]).await;
    let names: Vec<_> = value["components"].as_array().expect("a list").iter().map(|c| &c["name"]).collect();
    assert!(names.contains(&&"disk".into()) && names.contains(&&"memory".into()), "{value}");
    let expected = ["healthy", "degraded", "unhealthy", "unknown"];
    let code = usize::try_from(code.expect("it ends by itself")).expect("not negative");
    assert_eq!(expected.get(code).copied(), value["status"].as_str(), "{value}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_by_its_exit_code_how_the_fleet_is() {
    let shop = Shop::open().await;
    let url = format!("http://{}", shop.farol.address("http"));
    let args = ["status", "--json", "--url", url.as_str()];
    let (code, value) = json(&args).await;
    assert_eq!((code, value["status"].as_str()), (Some(0), Some("healthy")), "{value}");
    assert_eq!(
        (&value["services"][0]["name"], &value["fleet"]["agents"]["total"]),
        (&"shop".into(), &1.into()),
        "{value}"
    );
    // Of components and agents it lists those that need someone.
    assert_eq!(
        (&value["components"], &value["agents"]),
        (&Value::Array(vec![]), &Value::Array(vec![])),
        "{value}"
    );
    shop.web.set(false);
    shop.becomes("unhealthy").await;
    let (code, value) = json(&args).await;
    assert_eq!((code, value["status"].as_str()), (Some(2), Some("unhealthy")), "{value}");
    let component = &value["components"][0];
    assert_eq!(
        (&component["component"], &component["status"]),
        (&"web".into(), &"unhealthy".into()),
        "{value}"
    );
    shop.farol.kill().await.expect("it is killed");
    let done = farol(&args).await;
    assert!(done.code == Some(3) && !done.err.is_empty(), "{done:?}");
    assert_eq!(farol(&["status", "--url", "nonsense"]).await.code, Some(64));
}
