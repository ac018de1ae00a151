//! Kind `tls_certificate` against servers whose certificates are good, old, foreign or for other names.

use super::doubles::{listener, saying, tls_saying};
use super::{expect, fact, figure, healthy, is_cut_at, shown, unhealthy};
use farol_checks::Trust;
use farol_checks::tls_certificate::{Settings, TlsCertificate};
use farol_health::Status;
use farol_tests::certificates::{Authority, Days, self_signed};
use std::time::Duration;

fn at(port: u16) -> Settings {
    Settings::at("localhost", port).expect("a name")
}

fn trusting(authority: &Authority, port: u16) -> TlsCertificate {
    TlsCertificate::new(at(port).trust(Trust::default().ca(authority.pem()))).expect("it can be used")
}

#[tokio::test]
async fn the_days_left_decide() {
    let authority = Authority::new().unwrap();
    for (until, status, reason) in [
        (90, Status::Healthy, "ok"),
        (20, Status::Degraded, "certificate_expires_soon"),
        (6, Status::Unhealthy, "certificate_expires_soon"),
        (-1, Status::Unhealthy, "certificate_expired"),
    ] {
        let pair = authority.sign(&["localhost"], Days { from: -100, until }).unwrap();
        let server = tls_saying(pair.server(None, &[]).unwrap(), b"").await;
        let outcome = expect(&trusting(&authority, server.port), status, reason).await;
        let left = shown(&outcome, "days_left").unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a few days")]
        let until = until as f64;
        assert!((until - 1.0..=until).contains(&left), "{left}");
        assert!(figure(&outcome, "tls_handshake_seconds").is_some());
        assert!(fact(&outcome, "issuer").is_some_and(|issuer| issuer.contains("Farol's tests")));
        assert!(fact(&outcome, "expires").is_some_and(|end| end.ends_with('Z')));
    }
}

#[tokio::test]
async fn who_signed_it_and_for_which_name_decide() {
    let authority = Authority::new().unwrap();
    let pair = authority.sign(&["api.test"], Days::default()).unwrap();
    let server = tls_saying(pair.server(None, &[]).unwrap(), b"").await;
    unhealthy(&trusting(&authority, server.port), "name_mismatch").await;
    let named = at(server.port).name("api.test").unwrap().trust(Trust::default().ca(authority.pem()));
    healthy(&TlsCertificate::new(named).unwrap()).await;
    unhealthy(&trusting(&Authority::new().unwrap(), server.port), "untrusted").await;
    let own = self_signed(&["localhost"]).unwrap();
    let server = tls_saying(own.server(None, &[]).unwrap(), b"").await;
    let outcome = unhealthy(&trusting(&authority, server.port), "self_signed").await;
    assert!(shown(&outcome, "days_left").is_some(), "its days are told all the same");
    let trusted = at(server.port).trust(Trust::default().ca(own.pem));
    healthy(&TlsCertificate::new(trusted).unwrap()).await;
}

#[tokio::test]
async fn a_server_that_wants_to_know_its_clients_still_shows_its_own() {
    let authority = Authority::new().unwrap();
    let pair = authority.sign(&["localhost"], Days::default()).unwrap();
    let server = tls_saying(pair.server(Some(&authority), &[]).unwrap(), b"").await;
    healthy(&trusting(&authority, server.port)).await;
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_as_such() {
    let authority = Authority::new().unwrap();
    let web = saying(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    unhealthy(&trusting(&authority, web.port), "tls_failed").await;
    let closing = saying(b"").await;
    unhealthy(&trusting(&authority, closing.port), "connection_closed").await;
    let (silent, port) = listener().await;
    is_cut_at(Duration::from_millis(200), &trusting(&authority, port)).await;
    drop(silent);
    unhealthy(&trusting(&authority, port), "connection_refused").await;
}
