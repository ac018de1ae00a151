//! TLS on real sockets: who gets in, who is told apart, and certificates replaced while connections stay.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use farol_shutdown::listener::{Closed, Limits, Tls, TlsError, client_tls, verify_files};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clients::{PREFACE, closed_after, says};
use crate::rig::{Rig, ms, short, until};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Writes `name.crt` and `name.key`.
    fn issue(
        &self,
        dir: &Path,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            write(dir, &format!("{name}.crt"), &certificate.pem()),
            write(dir, &format!("{name}.key"), &key.serialize_pem()),
        )
    }

    fn server(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        self.issue(dir, name, |params| {
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())]
        })
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

async fn connect(
    addr: SocketAddr,
    ca: &Path,
    identity: Option<(&Path, &Path)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut config = client_tls(ca, identity).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).await?;
    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
    text.split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .ok_or(std::io::ErrorKind::UnexpectedEof.into())
}

/// A client certificate by its file's name: who signs it, what is in it, and why it is refused.
struct Case {
    name: &'static str,
    by_ours: bool,
    change: fn(&mut CertificateParams),
    refused: Option<Closed>,
}

const GOOD: &str = "spiffe://farol/agent/shop:payments-1";

fn good(params: &mut CertificateParams) {
    params.subject_alt_names = vec![uri(GOOD)];
}

const fn case(name: &'static str, refused: Option<Closed>, change: fn(&mut CertificateParams)) -> Case {
    Case { name, by_ours: true, change, refused }
}

const MATRIX: [Case; 10] = [
    case("good", None, good),
    Case { name: "wrong authority", by_ours: false, change: good, refused: Some(Closed::Tls) },
    case("two URIs", Some(Closed::Identity), |params| {
        params.subject_alt_names = vec![uri(GOOD), uri("spiffe://farol/agent/other")];
    }),
    case("CN only", Some(Closed::Identity), |_| {}),
    case("DNS only", Some(Closed::Identity), |params| {
        params.subject_alt_names = vec![SanType::DnsName("a.b".try_into().unwrap())];
    }),
    case("not a URI", Some(Closed::Identity), |params| params.subject_alt_names = vec![uri("payments")]),
    case("expired", Some(Closed::Tls), |params| {
        good(params);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }),
    case("not yet valid", Some(Closed::Tls), |params| {
        good(params);
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
    }),
    case("for servers", Some(Closed::Tls), |params| {
        good(params);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }),
    case("one URI beside a DNS name", None, |params| {
        params.subject_alt_names = vec![SanType::DnsName("a.b".try_into().unwrap()), uri(GOOD)];
    }),
];

/// With TLS 1.3 the client may hear of its refusal only with its first answer.
async fn asks(addr: SocketAddr, ca: &Path, identity: Option<(&Path, &Path)>) -> std::io::Result<String> {
    get(&mut connect(addr, ca, identity).await?, "/peer").await
}

#[tokio::test]
async fn only_a_verified_certificate_with_exactly_one_uri_gets_in() {
    let dir = TempDir::new().unwrap();
    let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
    let ca = write(dir.path(), "ca.pem", &ours.pem);
    let (cert, key) = ours.server(dir.path(), "server");
    let tls = Tls::load(&cert, &key, Some(&ca)).unwrap();
    let rig = Rig::start(short(), Limits::default(), Some(tls));

    assert!(asks(rig.addr, &ca, None).await.is_err(), "nobody gets in without a certificate");
    until("it is counted", || rig.stats.closed(Closed::Tls) == 1).await;
    for Case { name, by_ours, change, refused } in MATRIX {
        let authority = if by_ours { &ours } else { &foreign };
        let (cert, key) = authority.issue(dir.path(), name, change);
        let before = refused.map(|reason| rig.stats.closed(reason));
        let answer = asks(rig.addr, &ca, Some((&cert, &key))).await;
        match refused.zip(before) {
            Some((reason, before)) => {
                assert!(answer.is_err(), "{name} got in: {answer:?}");
                until(name, || rig.stats.closed(reason) == before + 1).await;
            }
            None => assert_eq!(answer.unwrap(), format!("127.0.0.1 {GOOD}"), "{name}"),
        }
    }
    let (report, _) = rig.stop().await;
    assert_eq!(report.code, 0);
}

#[tokio::test]
async fn without_client_authorities_nobody_needs_a_certificate_and_both_protocols_are_offered() {
    let dir = TempDir::new().unwrap();
    let ours = Authority::new("ours");
    let ca = write(dir.path(), "ca.pem", &ours.pem);
    let (cert, key) = ours.server(dir.path(), "server");
    let rig = Rig::start(short(), Limits::default(), Some(Tls::load(&cert, &key, None).unwrap()));
    let mut stream = connect(rig.addr, &ca, None).await.unwrap();
    assert_eq!(get(&mut stream, "/peer").await.unwrap(), "127.0.0.1 nobody");
    let root = reqwest::Certificate::from_pem(ours.pem.as_bytes()).unwrap();
    let client =
        reqwest::Client::builder().tls_certs_only([root]).resolve("localhost", rig.addr).build().unwrap();
    let url = format!("https://localhost:{}/", rig.addr.port());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2, "chosen by ALPN");
    assert_eq!(answer.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn half_a_client_hello_and_silence_after_the_handshake_have_a_deadline_and_never_delay_the_end() {
    let dir = TempDir::new().unwrap();
    let ours = Authority::new("ours");
    let ca = write(dir.path(), "ca.pem", &ours.pem);
    let (cert, key) = ours.server(dir.path(), "server");
    let tls = Tls::load(&cert, &key, None).unwrap();
    let half_hello: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

    let limits = Limits { handshake: ms(300), ..Limits::default() };
    let rig = Rig::start(short(), limits, Some(tls.clone()));
    for said in [&[][..], &[half_hello]] {
        let mut client = says(rig.addr, said).await;
        let took = closed_after(&mut client).await;
        assert!(took >= ms(240) && took < ms(1_500), "{took:?}");
    }
    let mut plain = says(rig.addr, &[PREFACE]).await;
    assert!(closed_after(&mut plain).await < ms(240), "not TLS at all");
    let mut quiet = connect(rig.addr, &ca, None).await.unwrap();
    let mut rest = Vec::new();
    // Closed without a goodbye, which rustls reports as an error.
    let _end = tokio::time::timeout(Duration::from_secs(5), quiet.read_to_end(&mut rest)).await.unwrap();
    until("it is counted", || rig.stats.open() == 0).await;
    assert_eq!((rig.stats.closed(Closed::Handshake), rig.stats.closed(Closed::Tls)), (3, 1));

    let rig = Rig::start(short(), Limits::default(), Some(tls));
    let _held = [says(rig.addr, &[]).await, says(rig.addr, &[half_hello]).await];
    let _quiet = connect(rig.addr, &ca, None).await.unwrap();
    until("all are open", || rig.stats.open() == 3).await;
    let (report, took) = rig.stop().await;
    assert!(took < short().total(), "{took:?}");
    assert_eq!(report.code, 0);
}

#[tokio::test]
async fn a_reload_is_seen_by_new_connections_and_drops_no_open_one() {
    let dir = TempDir::new().unwrap();
    let (ours, next) = (Authority::new("ours"), Authority::new("next"));
    let (old_ca, new_ca) = (write(dir.path(), "old.pem", &ours.pem), write(dir.path(), "new.pem", &next.pem));
    let (cert, key) = ours.server(dir.path(), "server");
    let tls = Tls::load(&cert, &key, None).unwrap();
    let rig = Rig::start(short(), Limits::default(), Some(tls.clone()));
    let mut open = connect(rig.addr, &old_ca, None).await.unwrap();
    assert_eq!(get(&mut open, "/").await.unwrap(), "hello");

    std::fs::write(&cert, "not a certificate").unwrap();
    let refused = tls.reread().err().unwrap();
    assert!(matches!(&refused, TlsError::Missing { path, .. } if *path == cert), "{refused}");
    assert!(connect(rig.addr, &old_ca, None).await.is_ok(), "a bad file changes nothing");

    next.server(dir.path(), "server");
    let reread = tls.reread().unwrap();
    assert!(connect(rig.addr, &old_ca, None).await.is_ok(), "what is not taken over changes nothing");
    reread.take_over();
    let mut fresh = connect(rig.addr, &new_ca, None).await.unwrap();
    assert_eq!(get(&mut fresh, "/").await.unwrap(), "hello");
    assert!(connect(rig.addr, &old_ca, None).await.is_err(), "the old certificate is gone");
    assert_eq!(get(&mut open, "/").await.unwrap(), "hello", "the open connection stays");
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let dir = TempDir::new().unwrap();
    let ours = Authority::new("ours");
    let (cert, key) = ours.server(dir.path(), "one");
    let (_, other_key) = ours.server(dir.path(), "two");
    let absent = dir.path().join("absent.pem");
    let broken =
        write(dir.path(), "broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let nonsense =
        write(dir.path(), "nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (cert, key, ca, file, wrong) in [
        (&absent, &key, None, &absent, "cannot be read"),
        (&key, &key, None, &key, "holds no certificate"),
        (&cert, &cert, None, &cert, "holds no unencrypted private key"),
        (&broken, &key, None, &broken, "is broken PEM"),
        (&nonsense, &key, None, &nonsense, "cannot be used"),
        (&cert, &other_key, None, &other_key, "does not belong to the certificate"),
        (&cert, &key, Some(&absent), &absent, "cannot be read"),
        (&cert, &key, Some(&nonsense), &nonsense, "cannot be used"),
    ] {
        let error = Tls::load(cert, key, ca.map(PathBuf::as_path)).unwrap_err().to_string();
        assert!(error.contains(file.to_str().unwrap()) && error.contains(wrong), "{error}");
    }
    let error = client_tls(&absent, None).unwrap_err().to_string();
    assert!(error.contains("absent.pem"), "{error}");
    let error = client_tls(&cert, Some((&cert, &other_key))).unwrap_err().to_string();
    assert!(error.contains("does not belong"), "{error}");
}

#[test]
fn each_file_is_judged_by_itself_and_then_the_pair() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("us");
    let (cert, key) = authority.server(dir.path(), "one");
    let (_, other_key) = authority.server(dir.path(), "other");
    let ca = write(dir.path(), "ca.crt", &authority.pem);
    let none = dir.path().join("none.pem");
    let parts = |cert: &Path, key: &Path, ca: &Path| {
        let found = verify_files(Some(cert), Some(key), Some(ca));
        found.into_iter().map(|(part, _)| part).collect::<Vec<_>>()
    };
    assert_eq!(parts(&cert, &key, &ca), [""; 0]);
    assert_eq!(parts(&none, &cert, &key), ["cert", "key", "ca"]);
    assert_eq!(parts(&cert, &other_key, &ca), ["key"]);
    let (part, words) = verify_files(None, None, Some(&none)).remove(0);
    assert!(
        part == "ca" && words.contains("none.pem cannot be read") && words.contains("No such file"),
        "{words}"
    );
}
