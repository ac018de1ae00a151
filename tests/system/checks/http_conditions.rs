//! What kind `http` can ask and expect beyond a status: method, body, headers, JSON, redirects, certificates.

use super::doubles::{Server, serving, tls_saying};
use super::{expect, figure, healthy, unhealthy};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get};
use farol_checks::http::{Condition, Expect, Http, Settings, Text};
use farol_checks::{Lifetime, Pattern, Trust};
use farol_health::Status;
use farol_tests::certificates::{Authority, Days};
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

async fn web() -> Server {
    let echo =
        |method: Method, body: Bytes| async move { format!("{method} {}", String::from_utf8_lossy(&body)) };
    let json = || async {
        ([("x-version", "2.4.1")], axum::Json(serde_json::json!({"status": "ok", "queue": {"depth": 7}})))
    };
    let big = || async { "x".repeat(3 << 20) };
    let endless = || async {
        let chunks =
            futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"ready and ")));
        Body::from_stream(chunks)
    };
    let hop = |Path(left): Path<u32>| async move {
        if left == 0 {
            "there".into_response()
        } else {
            Redirect::temporary(&format!("/hop/{}", left - 1)).into_response()
        }
    };
    let away = |headers: HeaderMap| async move {
        let to = headers.get("x-to").and_then(|to| to.to_str().ok()).unwrap_or("/").to_owned();
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)])
    };
    let seen = |headers: HeaderMap, body: Bytes| async move {
        let secret = headers.values().any(|value| value.as_bytes().windows(6).any(|part| part == b"s3cret"));
        format!("secret: {secret}, body: {}", body.len())
    };
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/json", get(json))
        .route("/big", get(big))
        .route("/endless", get(endless))
        .route("/hop/{left}", get(hop))
        .route("/away", any(away))
        .route("/seen", any(seen));
    serving(app).await
}

fn to(url: &str) -> Settings {
    Settings::from_url(url).expect("the URL is good")
}

fn check(settings: Settings, expect: Expect) -> Http {
    Http::new(settings.expect(expect)).expect("a client")
}

fn body(text: &str) -> Expect {
    Expect { body: vec![Text::Contains(text.to_owned())], ..Expect::default() }
}

fn json(pointer: &str, condition: &str) -> Expect {
    let condition = Condition::parse(condition).expect("a condition");
    Expect { json: vec![(pointer.to_owned(), condition)], ..Expect::default() }
}

#[tokio::test]
async fn method_and_body_are_sent() {
    let server = web().await;
    let settings = to(&server.url("/echo")).method("POST").unwrap().body("{\"ping\":1}");
    healthy(&check(settings.clone(), body("POST {\"ping\":1}"))).await;
    unhealthy(&check(settings, body("GET")), "unexpected_body").await;
    healthy(&check(to(&server.url("/echo")).method("HEAD").unwrap(), Expect::default())).await;
}

#[tokio::test]
async fn headers_body_and_json_are_held_against_conditions() {
    let server = web().await;
    let url = server.url("/json");
    let header = |text: Text| Expect { headers: vec![("X-Version".into(), text)], ..Expect::default() };
    let matches = |pattern: &str| Text::Matches(Pattern::new(pattern).unwrap());
    let matching = |pattern: &str| Expect { body: vec![matches(pattern)], ..Expect::default() };
    for (expect, reason) in [
        (header(Text::Is("2.4.1".into())), None),
        (header(matches(r"^2\.")), None),
        (header(matches("^3")), Some("unexpected_header")),
        (matching(r#""depth":\s*\d+"#), None),
        (matching("^ok"), Some("unexpected_body")),
        (json("/status", "ok"), None),
        (json("/queue/depth", "< 10"), None),
        (json("/queue/depth", "> 10"), Some("unexpected_json")),
        (json("/queue/age", "> 10"), Some("json_missing")),
    ] {
        let check = check(to(&url), expect);
        match reason {
            None => drop(healthy(&check).await),
            Some(reason) => drop(unhealthy(&check, reason).await),
        }
    }
    unhealthy(&check(to(&server.url("/echo")), json("/a", "1")), "not_json").await;
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_may_be() {
    let server = web().await;
    unhealthy(&check(to(&server.url("/big")), body("gone")), "body_too_large").await;
    for expect in [body("gone"), json("/a", "1")] {
        let expect = Expect { body_limit: 10_000, ..expect };
        unhealthy(&check(to(&server.url("/endless")), expect), "body_too_large").await;
    }
    let little = Expect { body_limit: 10_000, ..body("ready") };
    healthy(&check(to(&server.url("/endless")), little)).await;
    let more = Expect { body_limit: 4 << 20, ..body("gone") };
    unhealthy(&check(to(&server.url("/big")), more), "unexpected_body").await;
}

#[tokio::test]
async fn redirects_are_followed_only_as_often_as_allowed() {
    let server = web().await;
    let there = |redirects| check(to(&server.url("/hop/3")).redirects(redirects), body("there"));
    unhealthy(&there(0), "unexpected_body").await;
    unhealthy(&there(2), "too_many_redirects").await;
    let outcome = healthy(&there(3)).await;
    assert_eq!(figure(&outcome, "http_response_status"), Some(200.0));
}

#[tokio::test]
async fn nothing_secret_goes_to_another_host() {
    let (server, other) = (web().await, web().await);
    let to = |place: &str| {
        let settings = to(&server.url("/away")).redirects(5).header("x-to", place).unwrap();
        settings.header("authorization", "s3cret").unwrap().header("x-api", "s3cret").unwrap()
    };
    healthy(&check(to("/seen"), body("secret: true"))).await;
    healthy(&check(to(&other.url("/seen")), body("secret: false"))).await;
    let posted = |place: &str| to(place).method("POST").unwrap().body("s3cret");
    healthy(&check(posted("/seen"), body("secret: true, body: 6"))).await;
    let outcome = unhealthy(&check(posted(&other.url("/seen")), Expect::default()), "redirect_refused").await;
    assert!(!outcome.message.contains("s3cret"), "{}", outcome.message);
    unhealthy(&check(to("ftp://127.0.0.1/"), Expect::default()), "redirect_refused").await;
    let nobody = "http://127.0.0.1:1/s3cret";
    let outcome = unhealthy(&check(to(nobody), Expect::default()), "connection_refused").await;
    assert!(outcome.message.contains("127.0.0.1:1/,") && !outcome.message.contains("s3cret"));
}

#[tokio::test]
async fn a_named_authority_is_trusted_and_its_certificates_age_is_told() {
    let authority = Authority::new().unwrap();
    let days = |until| Days { until, ..Days::default() };
    let day = Duration::from_secs(86_400);
    let certificate = Lifetime { warn_below: Some(21 * day), critical_below: Some(7 * day) };
    let aged = Expect { certificate, ..Expect::default() };
    for (until, status, reason) in [
        (90, Status::Healthy, "ok"),
        (20, Status::Degraded, "certificate_expires_soon"),
        (3, Status::Unhealthy, "certificate_expires_soon"),
    ] {
        let pair = authority.sign(&["localhost"], days(until)).unwrap();
        let server = tls_saying(pair.server(None, &[]).unwrap(), OK).await;
        let settings = to(&server.tls_url("/")).trust(Trust::default().ca(authority.pem()));
        let outcome = expect(&check(settings.clone(), aged.clone()), status, reason).await;
        let left = figure(&outcome, "tls_certificate_days_left").unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a few days")]
        let until = until as f64;
        assert!((until - 1.0..=until).contains(&left), "{left}");
        healthy(&check(settings, Expect::default())).await;
    }
}

#[tokio::test]
async fn each_fault_of_a_certificate_has_its_reason() {
    let authority = Authority::new().unwrap();
    for (name, days, reason, elsewhere) in [
        ("localhost", Days { from: -10, until: -1 }, "certificate_expired", "certificate_expired"),
        ("localhost", Days { from: 1, until: 10 }, "certificate_not_yet_valid", "certificate_not_yet_valid"),
        ("other.test", Days::default(), "name_mismatch", "untrusted"),
    ] {
        let pair = authority.sign(&[name], days).unwrap();
        let server = tls_saying(pair.server(None, &[]).unwrap(), OK).await;
        let settings = to(&server.tls_url("/")).trust(Trust::default().ca(authority.pem()));
        unhealthy(&check(settings, Expect::default()), reason).await;
        // By the machine's own authorities.
        unhealthy(&check(to(&server.tls_url("/")), Expect::default()), elsewhere).await;
    }
}

#[tokio::test]
async fn our_own_certificate_is_shown_to_a_server_that_asks_for_one() {
    let authority = Authority::new().unwrap();
    let pair = authority.sign(&["localhost"], Days::default()).unwrap();
    let server = tls_saying(pair.server(Some(&authority), &[]).unwrap(), OK).await;
    let trust = Trust::default().ca(authority.pem());
    let own = authority.sign(&["client.test"], Days::default()).unwrap();
    let settings = to(&server.tls_url("/"));
    unhealthy(&check(settings.clone().trust(trust.clone()), Expect::default()), "tls_failed").await;
    healthy(&check(settings.trust(trust.identity(own.pem, own.key)), body("ok"))).await;
}
