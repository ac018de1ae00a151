//! The four routes as `curl` gets them, byte by byte as `jq` understands them.

use super::shop::Shop;
use super::{Done, run, tool};
use farol_tests::process::Process;
use farol_tests::wait::until;
use std::time::Duration;
use tokio::process::Command;

/// GET by curl: `STATUS CONTENT-TYPE CACHE-CONTROL` and the body.
async fn curl(farol: &Process, path: &str) -> (String, String) {
    let mut command = Command::new(tool("curl"));
    let wanted = "\n%{http_code} %{content_type} %header{cache-control}";
    let url = format!("http://{}{path}", farol.address("http"));
    command.args(["--silent", "--show-error", "--noproxy", "*", "--write-out", wanted, &url]);
    let Done { code, out, err } = run(command, "").await;
    assert_eq!(code, Some(0), "{err}");
    let (body, head) = out.rsplit_once('\n').expect("curl writes the last line");
    (head.to_owned(), body.to_owned())
}

/// What a filter of jq makes of a text.
async fn jq(filter: &str, text: &str) -> String {
    let mut command = Command::new(tool("jq"));
    command.args(["--compact-output", "--exit-status", filter]);
    let Done { code, out, err } = run(command, text).await;
    assert_eq!(code, Some(0), "{filter}: {err}\n{text}");
    out.trim_end().to_owned()
}

/// jq puts marks in the place of what changes, if it looks as it should.
const MARKS: &str = r#"
    def mark(pattern; name): if test("^" + pattern + "$") then name else error(name + ": " + .) end;
    def time: mark("\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z"; "TIME");
    def percent: mark("\\d{1,3}%"; "PERCENT");
    def response: mark("(\\d(\\.[1-9])?|\\d{2,})ms"; "RESPONSE");
    def up: mark("healthy|degraded"; "UP");
"#;

/// The body is exactly this, once what changes is marked, and has no byte that JSON does not need.
async fn assert_shape(body: &str, filter: &str, expected: &str) {
    assert_eq!(jq(&format!("{MARKS} {filter}"), body).await, expected, "{body}");
    assert_eq!(jq(".", body).await, body, "it is not compact");
}

const FINE: &str = "200 application/json no-store";

#[tokio::test(flavor = "multi_thread")]
async fn the_four_routes_are_as_documented() {
    let shop = Shop::open().await;
    let (head, body) = curl(&shop.farol, "/health").await;
    assert_eq!(head, FINE, "{body}");
    // A machine that is full or busy makes its monitor degraded, which is 200 too.
    let marks = r#".status |= up | .timestamp |= time | .uptime |= mark("\\d{2,}:\\d{2}:\\d{2}"; "UPTIME") |
                   .version |= mark("\\d+\\.\\d+\\.\\d+"; "VERSION")"#;
    assert_shape(&body, marks, r#"{"status":"UP","timestamp":"TIME","uptime":"UPTIME","version":"VERSION"}"#)
        .await;

    let (head, body) = curl(&shop.farol, "/health/ready").await;
    assert_eq!(head, FINE, "{body}");
    assert_shape(&body, ".", r#"{"ready":true,"dependencies":{"database":"connected"}}"#).await;

    let (head, body) = curl(&shop.farol, "/health/live").await;
    assert_eq!(head, FINE, "{body}");
    assert_shape(&body, ".last_heartbeat |= time", r#"{"alive":true,"last_heartbeat":"TIME"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_detailed_route_holds_the_real_figures_of_this_machine() {
    let shop = Shop::open().await;
    // A share of the processors is known once the kernel has counted a moment; until then it is left out.
    let busy = async || curl(&shop.farol, "/health/detailed").await.1.contains("cpu_usage");
    until("the processors' share", Duration::from_secs(30), busy).await.unwrap();
    let (head, body) = curl(&shop.farol, "/health/detailed").await;
    assert_eq!(head, FINE, "{body}");
    assert_eq!(jq(".", &body).await, body, "it is not compact");
    let keys = jq("[keys_unsorted, (.components | keys_unsorted | sort)]", &body).await;
    assert_eq!(keys, r#"[["status","timestamp","components"],["database","system"]]"#);
    let system = format!(
        "{MARKS} .components.system | (.cpu_usage, .memory_usage, .disk_usage) |= percent |
         .status |= up | {{status, cpu_usage, memory_usage, disk_usage}}"
    );
    let expected = r#"{"status":"UP","cpu_usage":"PERCENT","memory_usage":"PERCENT","disk_usage":"PERCENT"}"#;
    assert_eq!(jq(&system, &body).await, expected, "{body}");
    let database = format!(
        "{MARKS} .components.database | .response_time |= response | .checked_at |= time |
         {{status, response_time, checked_at}}"
    );
    let expected = r#"{"status":"healthy","response_time":"RESPONSE","checked_at":"TIME"}"#;
    assert_eq!(jq(&database, &body).await, expected, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_says_503_and_the_monitor_itself_stays_well() {
    let shop = Shop::open().await;
    shop.web.set(false);
    shop.becomes("unhealthy").await;
    for path in ["/health/services/shop", "/health/services/shop/ready", "/health/groups/checkout"] {
        let (head, body) = curl(&shop.farol, path).await;
        assert!(head.starts_with("503 application/json"), "{path}: {head} {body}");
    }
    for path in ["/health", "/health/ready", "/health/live"] {
        assert_eq!(curl(&shop.farol, path).await.0, FINE, "{path}");
    }
    let (head, body) = curl(&shop.farol, "/health/services/shop/live").await;
    assert!(head.starts_with("404 application/problem+json"), "{head} {body}");
    assert_eq!(jq("has(\"code\") and has(\"detail\")", &body).await, "true", "{body}");
}
