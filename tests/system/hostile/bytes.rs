//! Bytes that are no message, no request and no protocol, on each of the ports.

use super::Scene;
use anyhow::{Context, Result, ensure};
use axum::body::Body;
use axum::http::{HeaderMap, Request, Uri};
use farol_wire::proto::AgentMessage;
use prost::Message;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{Service, ServiceExt};

/// A connection that says nothing sensible is over within this.
const SOON: Duration = Duration::from_secs(10);

/// A body: what it is, its bytes, the encoding it claims, and the code and words it must end with.
type Case = (&'static str, Vec<u8>, Option<&'static str>, &'static str, &'static str);

/// How a call ended: the code and the words, wherever they stood.
struct Ended {
    code: String,
    words: String,
}

/// Sends these bytes as the body of a call.
async fn call(address: SocketAddr, body: Vec<u8>, encoding: Option<&str>) -> Result<Ended> {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{address}"))?;
    let mut channel = endpoint.connect().await?;
    let mut request = Request::post(Uri::from_static("/farol.v1.Fleet/Stream"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let request = request.body(tonic::body::Body::new(Body::from(body)))?;
    let response = timeout(SOON, channel.ready().await?.call(request)).await??;
    let (head, mut body) = response.into_parts();
    let mut trailers = head.headers.clone();
    let read = async {
        use http_body_util::BodyExt;
        while let Some(frame) = body.frame().await {
            if let Ok(found) = frame?.into_trailers() {
                trailers = found;
            }
        }
        anyhow::Ok(())
    };
    timeout(SOON, read).await.context("the call does not end")??;
    Ok(Ended { code: text(&trailers, "grpc-status"), words: text(&trailers, "grpc-message") })
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

/// A message as gRPC frames it.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn hello_message() -> Vec<u8> {
    AgentMessage { kind: Some(super::peer::hello("x")) }.encode_to_vec()
}

/// The bytes of a field that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a short field");
    assert!(length < 128, "a length of one byte");
    [&[number << 3 | 2, length][..], content].concat()
}

#[tokio::test]
async fn bytes_that_are_no_message_end_the_call_with_what_is_wrong() -> Result<()> {
    let mut scene = Scene::start().await?;
    let address = scene.monitor.address("agents");
    let (good, invalid) = (hello_message(), "3");
    let cases: Vec<Case> = vec![
        ("no UTF-8", framed(0, &field(1, &field(1, b"a\xff\xfe"))), None, invalid, "UTF-8"),
        ("no protobuf", framed(0, &[0xff; 64]), None, invalid, "cannot be read"),
        ("a field cut short", framed(0, &good[..good.len() - 3]), None, invalid, "cannot be read"),
        ("the wrong kind of field", framed(0, &[0x08, 0x01]), None, invalid, "cannot be read"),
        ("longer than the body", [&[0, 0, 0, 4, 0][..], &good].concat(), None, invalid, "cannot be read"),
        ("four gigabytes declared", [&[0, 255, 255, 255, 255][..], &good].concat(), None, invalid, "limit"),
        ("an unknown flag", framed(7, &good), None, invalid, "compression flag"),
        ("compressed without a word", framed(1, &good), None, invalid, "compressed"),
        ("compressed", framed(1, &good), Some("gzip"), "12", "gzip"),
        ("no frame at all", b"GET / HTTP/1.1\r\n\r\n".to_vec(), None, invalid, "cannot be read"),
    ];
    let violations = cases.iter().filter(|case| case.3 == invalid).count() as u64;
    for (name, body, encoding, code, word) in cases {
        let ended = call(address, body, encoding).await.context(name)?;
        ensure!(ended.code == code && ended.words.contains(word), "{name}: {} {}", ended.code, ended.words);
        scene.nobody_else_noticed().await.context(name)?;
    }
    let counted = scene.count("farol_ingest_violations_total").await?;
    ensure!(counted == violations, "{violations} calls broke the protocol, {counted} were counted");
    scene.is_sound()
}

#[tokio::test]
async fn fields_of_a_protocol_to_come_are_skipped() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut bytes = super::peer::hello_of("newer").encode_to_vec();
    bytes.extend(field(15, b"what nobody knows yet"));
    let mut message = field(1, &bytes);
    message.extend(field(14, b"more"));
    let ended = call(scene.monitor.address("agents"), framed(0, &message), None).await?;
    ensure!(ended.code == "0", "{} {}", ended.code, ended.words);
    scene.nobody_else_noticed().await
}

/// Sends bytes and reads until the connection is closed.
async fn thrown_at(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // It may be closed before all is sent.
    stream.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    read.with_context(|| format!("the connection stays open: {:?}", bytes.escape_ascii().to_string()))?.ok();
    Ok(answer)
}

#[tokio::test]
async fn garbage_on_any_port_ends_its_connection_and_nothing_else() -> Result<()> {
    let mut scene = Scene::start().await?;
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x55; 505]].concat();
    let noise: Vec<u8> = (0..4_096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let broken_frames = [&preface[..], &[0xff; 2_000]].concat();
    let garbage = [
        noise,
        tls_hello,
        broken_frames,
        b"\0".repeat(100),
        b"\r\n".repeat(5_000),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n"
            .to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n".to_vec(),
        b"\x80\x01\x03*\x1f\x8bHELO".to_vec(),
    ];
    let ports = ["http", "agents", "health"];
    let all = ports.iter().flat_map(|port| garbage.iter().map(move |bytes| (*port, bytes)));
    let thrown = all.map(|(port, bytes)| {
        let address = scene.monitor.address(port);
        async move { (port, thrown_at(address, bytes).await) }
    });
    for (port, answer) in futures::future::join_all(thrown).await {
        let shown = answer.context(port)?.escape_ascii().to_string();
        let refused = !shown.starts_with("HTTP/1.1 2");
        ensure!(refused, "{port} takes it for a request: {shown}");
    }
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}

#[tokio::test]
async fn an_http1_request_on_a_grpc_port_is_answered() -> Result<()> {
    let mut scene = Scene::start().await?;
    for port in ["agents", "health"] {
        for line in
            ["GET /", "GET /health", "POST /farol.v1.Fleet/Stream", "POST /grpc.health.v1.Health/Check"]
        {
            let request = format!(
                "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let answer = thrown_at(scene.monitor.address(port), request.as_bytes()).await?;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let refused = answer.starts_with("HTTP/1.1 415 ")
                && answer.contains("gRPC")
                && answer.contains("listen.http");
            ensure!(refused, "{port}, {line}: {answer:?}");
        }
        scene.nobody_else_noticed().await.context(port)?;
    }
    scene.is_sound()
}
