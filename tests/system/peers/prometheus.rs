//! A real Prometheus scrapes both pages of a standalone, in OpenMetrics, and can query what it took.

use super::PATIENCE;
use super::shop::Shop;
use farol_tests::prometheus::Prometheus;
use farol_tests::wait::until;

/// What Prometheus 2.42 sends.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// Waits until an expression gives this many samples.
async fn gives(prometheus: &Prometheus, count: usize, expression: &str) {
    let counted = || async { prometheus.query(expression).await.is_ok_and(|samples| samples.len() == count) };
    if let Err(error) = until(expression, PATIENCE, counted).await {
        let targets = prometheus.api("targets", &[]).await;
        panic!("{error}\nit gives {:?}\ntargets {targets:?}", prometheus.query(expression).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_both_pages_and_queries_them() {
    let shop = Shop::open().await;
    let http = shop.farol.address("http");
    let jobs = [("monitor", http, "/metrics"), ("fleet", http, "/metrics/fleet")];
    let prometheus = Prometheus::scraping(&jobs).await.expect("Prometheus runs");
    gives(&prometheus, 2, "up == 1").await;
    gives(&prometheus, 1, "farol_component_status{service='shop',component='web'} == 2").await;
    gives(&prometheus, 1, "farol_service_status{service='shop'} == 2").await;
    gives(&prometheus, 1, "system_memory_total_bytes{agent='shop-1'} > 1e6").await;
    gives(&prometheus, 1, "rate(system_cpu_seconds_total{agent='shop-1',mode='idle'}[10s])").await;

    shop.web.set(false);
    gives(&prometheus, 1, "farol_service_status{service='shop'} == 4").await;
    // It never lost a scrape, and every sample was new and in order.
    gives(&prometheus, 2, "min_over_time(up[1m]) == 1").await;
    gives(&prometheus, 2, "scrape_samples_post_metric_relabeling == scrape_samples_scraped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_gets_openmetrics_and_takes_it() {
    let shop = Shop::open().await;
    let http = shop.farol.address("http");
    let client = reqwest::Client::new();
    for path in ["/metrics", "/metrics/fleet"] {
        let request = client.get(format!("http://{http}{path}")).header("accept", ACCEPT);
        let answer = request.send().await.expect("it answers");
        let kind = answer.headers()["content-type"].to_str().expect("plain").to_owned();
        let text = answer.text().await.expect("it is UTF-8");
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{path}: {kind}");
        assert!(text.ends_with("# EOF\n"), "{path}: {}", &text[text.len().saturating_sub(80)..]);
    }
    let jobs = [("monitor", http, "/metrics"), ("fleet", http, "/metrics/fleet")];
    let prometheus = Prometheus::scraping(&jobs).await.expect("Prometheus runs");
    gives(&prometheus, 2, "up == 1").await;
    // OpenMetrics calls the family of this counter by its name without `_total`; the text format does not.
    let known = || async {
        let query = [("metric", "process_cpu_seconds")];
        let data = prometheus.api("targets/metadata", &query).await.unwrap_or_default();
        data[0]["type"] == "counter"
    };
    until("metadata as OpenMetrics gives it", PATIENCE, known).await.expect("it was scraped as OpenMetrics");
}
