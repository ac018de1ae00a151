//! The way to a monitor over TLS, with a certificate of the agent's own.

use super::double::Double;
use super::{config, start_with};
use crate::Network;
use crate::config::TlsFiles;
use farol_shutdown::listener::Tls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn issue(&self, dir: &Path, name: &str, subject: SanType) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![subject];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let write = |ending: &str, text: &str| {
            let path = dir.join(format!("{name}.{ending}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        (write("crt", &certificate.pem()), write("key", &key.serialize_pem()))
    }
}

#[tokio::test]
async fn an_agent_with_a_certificate_streams_over_tls_and_one_without_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, &authority.1).unwrap();
    let server = authority.issue(dir.path(), "monitor", SanType::DnsName("localhost".try_into().unwrap()));
    let uri = SanType::URI("spiffe://farol/agent/web-1".try_into().unwrap());
    let identity = authority.issue(dir.path(), "agent", uri);
    let mut double = Double::start_with_tls(Tls::load(&server.0, &server.1, Some(&ca)).unwrap()).await;

    let mut settings = config(&[double.address], "");
    settings.monitors[0] = format!("https://localhost:{}", double.address.port()).parse().unwrap();
    let files = |identity| TlsFiles { ca: ca.clone(), identity };
    let stranger = start_with(settings.clone(), 1, Arc::new(Network::new(Some(files(None)))));
    stranger.fails_with("ertificate").await;
    drop(stranger);

    let _alive = start_with(settings, 1, Arc::new(Network::new(Some(files(Some(identity))))));
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
}
