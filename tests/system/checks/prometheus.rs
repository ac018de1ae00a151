//! Kind `prometheus` against a page of a real Prometheus and against pages of our own.

use super::doubles::{listener, serving};
use super::{expect, figure, healthy, is_cut_at, shown, unhealthy};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use farol_checks::Bound;
use farol_checks::prometheus::{Limits, Prometheus, Selector, Settings, Several};
use farol_health::Status;
use farol_tests::prometheus::Prometheus as Real;
use std::time::Duration;

fn check(url: &str, selector: &str, limits: Limits) -> Prometheus {
    let selector = Selector::parse(selector).expect("a selector");
    let settings = Settings::from_url(url, selector).expect("the URL is good").limits(limits);
    Prometheus::new(settings).expect("a client")
}

fn limits(degraded: &str, unhealthy: &str) -> Limits {
    let bound = |text: &str| Some(Bound::parse(text).expect("a bound"));
    Limits { degraded: bound(degraded), unhealthy: bound(unhealthy), ..Limits::default() }
}

#[tokio::test]
async fn a_real_page_is_read() {
    let real = Real::scraping(&[]).await.unwrap();
    let url = real.url("/metrics");
    let outcome = healthy(&check(&url, "go_goroutines", limits("> 100000", "> 200000"))).await;
    assert!(shown(&outcome, "value").is_some_and(|value| value > 1.0), "{outcome:?}");
    assert!(figure(&outcome, "prometheus_scrape_seconds").is_some());
    let build = r#"prometheus_build_info{goos="linux",version!=""}"#;
    let outcome = healthy(&check(&url, build, limits("!= 1", "< 0"))).await;
    assert_eq!(shown(&outcome, "value"), Some(1.0));
    let several = r#"go_gc_duration_seconds{quantile=~"0.+"}"#;
    let outcome = healthy(&check(&url, several, Limits::default())).await;
    assert_eq!(figure(&outcome, "prometheus_series"), Some(3.0), "{outcome:?}");
    expect(&check(&url, "go_goroutines", limits("> 0", "> 200000")), Status::Degraded, "threshold_degraded")
        .await;
    unhealthy(&check(&url, "go_goroutines", limits("> 0", "> 1")), "threshold_unhealthy").await;
    expect(&check(&url, "gone_total", limits("> 0", "> 1")), Status::Unknown, "no_series").await;
    unhealthy(&check(&real.url("/graph-that-is-not"), "a", Limits::default()), "unexpected_status").await;
}

#[tokio::test]
async fn pages_that_are_none_and_pages_without_end_have_their_reason() {
    let endless = || async {
        let line = Bytes::from(format!("# {}\n", "filler".repeat(10_000)));
        Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(line.clone())))
    };
    let many = || async { (0..1001).map(|n| format!("depth{{n=\"{n}\"}} 1\n")).collect::<String>() };
    let app = Router::new()
        .route("/html", get(|| async { "<html>metrics</html>" }))
        .route("/json", get(|| async { "{\"depth\": 5}" }))
        .route("/nan", get(|| async { "depth NaN\n" }))
        .route("/empty", get(|| async { "" }))
        .route("/many", get(many))
        .route("/endless", get(endless));
    let server = serving(app).await;
    let check = |path: &str, limits: Limits| check(&server.url(path), "depth", limits);
    unhealthy(&check("/html", Limits::default()), "not_prometheus").await;
    unhealthy(&check("/json", Limits::default()), "not_prometheus").await;
    unhealthy(&check("/many", Limits::default()), "too_many_series").await;
    unhealthy(&check("/endless", Limits::default()), "page_too_large").await;
    expect(&check("/nan", limits("> 1", "> 2")), Status::Unknown, "not_a_number").await;
    for missing in [Status::Unknown, Status::Healthy, Status::Degraded, Status::Unhealthy] {
        let limits = Limits { missing, ..Limits::default() };
        expect(&check("/empty", limits), missing, "no_series").await;
    }
}

#[tokio::test]
async fn several_series_are_judged_one_by_one_or_as_one() {
    let page = "depth{queue=\"mail\"} 5\ndepth{queue=\"print\"} 50\n";
    let server = serving(Router::new().route("/metrics", get(move || async move { page }))).await;
    for (several, reason, status) in [
        (Several::Each, "threshold_degraded", Status::Degraded),
        (Several::Sum, "threshold_unhealthy", Status::Unhealthy),
        (Several::Min, "ok", Status::Healthy),
        (Several::Max, "threshold_degraded", Status::Degraded),
        (Several::Avg, "ok", Status::Healthy),
    ] {
        let limits = Limits { several, ..limits("> 30", "> 54") };
        expect(&check(&server.url("/metrics"), "depth", limits), status, reason).await;
    }
    let outcome = expect(
        &check(&server.url("/metrics"), "depth", limits("> 30", "> 54")),
        Status::Degraded,
        "threshold_degraded",
    )
    .await;
    assert!(outcome.message.contains("depth{queue=\"print\"}"), "{}", outcome.message);
}

#[tokio::test]
async fn a_silent_page_is_cut_by_the_deadline() {
    let (silent, port) = listener().await;
    let url = format!("http://127.0.0.1:{port}/metrics");
    is_cut_at(Duration::from_millis(200), &check(&url, "depth", Limits::default())).await;
    drop(silent);
    unhealthy(&check(&url, "depth", Limits::default()), "connection_refused").await;
}
