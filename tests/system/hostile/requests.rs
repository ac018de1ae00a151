//! HTTP requests that are no good: each is answered at once with a problem document that says what to do.

use super::Scene;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// A bad request is refused within this.
const SOON: Duration = Duration::from_secs(3);

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// It is a problem document with this status and code, and its words say what to do.
    fn is_problem(&self, status: u16, code: &str, word: &str) -> Result<()> {
        ensure!(self.status == status, "{status} was expected: {} {}", self.head, self.body);
        ensure!(self.head.to_ascii_lowercase().contains("application/problem+json"), "{}", self.head);
        let document: Value = serde_json::from_str(&self.body)?;
        ensure!(document["code"] == code && document["status"] == status, "{code} was expected: {document}");
        let detail = document["detail"].as_str().context("a detail")?;
        ensure!(detail.contains(word), "`{word}` was expected: {detail}");
        Ok(())
    }
}

/// Sends bytes as they are and reads the answer.
async fn ask(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await.ok();
    answer(&mut stream).await
}

async fn answer(stream: &mut TcpStream) -> Result<Answer> {
    let mut bytes = Vec::new();
    // What came before a reset counts.
    timeout(SOON, stream.read_to_end(&mut bytes)).await.context("no answer in time")?.ok();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { bail!("no answer: {text:?}") };
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("a status")?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

fn request(method: &str, path: &str, headers: &[&str]) -> Vec<u8> {
    let host = if headers.iter().any(|line| line.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{lines}\r\n").into_bytes()
}

#[tokio::test]
async fn a_bad_question_is_a_problem_document_that_says_what_to_do() -> Result<()> {
    let mut scene = Scene::start().await?;
    let http = scene.monitor.address("http");
    let cases = [
        ("GET", "/nowhere", 404, "no_such_path", "/openapi.json"),
        ("GET", "/api/v1", 404, "no_such_path", "/openapi.json"),
        ("GET", "/api/v1/agents/", 404, "no_such_path", "/openapi.json"),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404, "no_such_path", "/openapi.json"),
        ("GET", "/%00", 404, "no_such_path", "/openapi.json"),
        ("GET", "/%ff%fe", 404, "no_such_path", "/openapi.json"),
        ("POST", "/health", 405, "method_not_allowed", "Allow"),
        ("DELETE", "/api/v1/fleet", 405, "method_not_allowed", "Allow"),
        ("BREW", "/metrics", 405, "method_not_allowed", "Allow"),
        ("GET", "/api/v1/agents/%ff%fe", 400, "not_utf8", "UTF-8"),
        ("GET", "/health/services/%c3%28", 400, "not_utf8", "UTF-8"),
        ("GET", "/api/v1/agents/nobody", 404, "unknown_agent", "/api/v1/agents"),
        ("GET", "/health/services/nobody", 404, "unknown_service", "/api/v1/services"),
        ("GET", "/health/services/shop/live", 404, "no_remote_liveness", "process"),
        ("GET", "/api/v1/agents?limit=%ff", 400, "not_utf8", "UTF-8"),
        ("GET", "/api/v1/agents?limit=0", 400, "bad_parameter", "1 to 10000"),
        ("GET", "/api/v1/agents?limit=1&limit=2", 400, "bad_parameter", "twice"),
        ("GET", "/api/v1/agents?colour=red", 400, "unknown_parameter", "`limit`"),
        ("GET", "/metrics?colour=red", 400, "unknown_parameter", "none"),
        ("GET", "/metrics/fleet?match[]=%7B", 400, "bad_selector", "match[]"),
        ("GET", "/metrics/fleet?match[]=a%7Bb=~%22(%22%7D", 400, "bad_selector", "match[]"),
        ("GET", "/metrics/fleet?match[]=%ff", 400, "not_utf8", "UTF-8"),
        ("GET", "/metrics/fleet?match[]=", 400, "bad_parameter", "value"),
    ];
    for (method, path, status, code, word) in cases {
        let name = format!("{method} {path}");
        let answer = ask(http, &request(method, path, &[])).await.with_context(|| name.clone())?;
        answer.is_problem(status, code, word).context(name)?;
    }
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}

#[tokio::test]
async fn a_bad_question_about_the_past_is_told_what_to_do() -> Result<()> {
    let mut scene = Scene::start().await?;
    let http = scene.monitor.address("http");
    let history = "/api/v1/history?metric=metric_1&";
    let cases = [
        ("/api/v1/history", "missing_parameter", "metric"),
        ("/api/v1/history?metric=", "bad_parameter", "value"),
        (&format!("{history}from=yesterday"), "bad_parameter", "RFC 3339"),
        (&format!("{history}to=%ff"), "not_utf8", "UTF-8"),
        (&format!("{history}from=now"), "bad_range", "not before"),
        (&format!("{history}from=-1h&to=-2h"), "bad_range", "not before"),
        (&format!("{history}step=5"), "bad_parameter", "15s"),
        (&format!("{history}step=-5s"), "bad_parameter", "15s"),
        (&format!("{history}step=0s"), "bad_range", "step"),
        (&format!("{history}step=99999999999999999999s"), "bad_parameter", "15s"),
        (&format!("{history}from=0001-01-01T00:00:00Z&step=1ms"), "bad_range", "step"),
        (&format!("{history}reduce=median"), "bad_parameter", "p95"),
        (&format!("{history}label=x"), "bad_parameter", "name=value"),
        (&format!("{history}label=a=b&label=a=c"), "bad_parameter", "twice"),
        ("/api/v1/uptime?from=now", "bad_range", "not before"),
        ("/api/v1/uptime?step=5s", "unknown_parameter", "`from`"),
        ("/api/v1/uptime?to=soon", "bad_parameter", "RFC 3339"),
    ];
    for (path, code, word) in cases {
        let answer = ask(http, &request("GET", path, &[])).await.context(path.to_owned())?;
        answer.is_problem(400, code, word).context(path.to_owned())?;
    }
    for times in
        ["from=-9223372036854775807ms", "from=-9000000000000000ms", "from=-9223372036854775807ms&to=-1h"]
    {
        for path in [format!("{history}{times}"), format!("/api/v1/uptime?{times}")] {
            let answer = ask(http, &request("GET", &path, &[])).await.context(path.clone())?;
            ensure!(answer.status < 500, "{path}: {} {}", answer.head, answer.body);
            serde_json::from_str::<Value>(&answer.body).context(path)?;
        }
    }
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}

#[tokio::test]
async fn a_selector_that_would_cost_too_much_is_refused() -> Result<()> {
    let mut scene = Scene::start().await?;
    let http = scene.monitor.address("http");
    let bomb = "%7Ba=~%22(((x%7B1,500%7D)%7B1,500%7D)%7B1,500%7D)%22%7D";
    let answer = ask(http, &request("GET", &format!("/metrics/fleet?match[]={bomb}"), &[])).await?;
    answer.is_problem(400, "bad_selector", "match[]")?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused_and_probes_are_open() -> Result<()> {
    let mut scene = Scene::with("access: {hosts: [farol.example.com]}\n").await?;
    let http = scene.monitor.address("http");
    let path = "/api/v1/fleet";
    let ours = format!("Origin: http://localhost:{}", http.port());
    let host = format!("Host: localhost:{}", http.port());
    let good: [&[&str]; 4] =
        [&[], &["Host: farol.example.com"], &["Host: 127.0.0.1:1"], &[host.as_str(), ours.as_str()]];
    for headers in good {
        let answer = ask(http, &request("GET", path, headers)).await?;
        ensure!(answer.status == 200, "{headers:?}: {} {}", answer.head, answer.body);
    }
    for headers in [["Host: evil.example.com"], ["Host: localhost.evil.com"], ["Host: 127.0.0.1.nip.io"]] {
        let answer = ask(http, &request("GET", path, &headers)).await?;
        answer.is_problem(421, "unknown_host", "hosts").with_context(|| format!("{headers:?}"))?;
        let probe = ask(http, &request("GET", "/health", &headers)).await?;
        ensure!(probe.status == 200, "probes are open: {}", probe.head);
    }
    for origin in ["Origin: http://evil.example.com", "Origin: null", "Origin: http://localhost:1"] {
        let answer = ask(http, &request("GET", path, &[&host, origin])).await?;
        answer.is_problem(403, "foreign_origin", "other origins").context(origin)?;
    }
    let twice = ask(http, &request("GET", path, &["Host: localhost", "Host: localhost"])).await?;
    ensure!(twice.status == 400, "two hosts: {} {}", twice.head, twice.body);
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn what_operates_needs_the_token_on_loopback_too() -> Result<()> {
    let mut scene = Scene::start().await?;
    let http = scene.monitor.address("http");
    let file = scene.folder.path().join("data/operator.token");
    let token = std::fs::read_to_string(&file)?.trim().to_owned();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file)?.permissions());
    ensure!(mode & 0o777 == 0o600, "only its owner reads the token: {mode:o}");
    let empty = "Content-Length: 0";
    for (method, path) in [("POST", "/api/v1/reload"), ("DELETE", "/api/v1/agents/honest")] {
        let none = ask(http, &request(method, path, &[empty])).await?;
        none.is_problem(401, "token_needed", "operator.token")?;
        ensure!(none.head.to_ascii_lowercase().contains("www-authenticate: bearer"), "{}", none.head);
        for wrong in ["Bearer x", "Bearer ", "Basic eDp4", "Bearer \u{ff}", &token] {
            let header = format!("Authorization: {wrong}");
            let answer = ask(http, &request(method, path, &[empty, &header])).await?;
            answer.is_problem(401, "wrong_token", "operator.token").context(wrong.to_owned())?;
        }
    }
    let header = format!("Authorization: Bearer {token}");
    let right = ask(http, &request("DELETE", "/api/v1/agents/honest", &[empty, &header])).await?;
    right.is_problem(409, "agent_not_lost", "stop it first")?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_refused_before_it_is_read() -> Result<()> {
    const WHOLE: u64 = 100 << 20;
    let mut scene = Scene::start().await?;
    let http = scene.monitor.address("http");
    let before = scene.memory()?;
    let declared = format!("Content-Length: {WHOLE}");
    for (method, path) in [("POST", "/api/v1/reload"), ("GET", "/health"), ("POST", "/nowhere")] {
        for header in [declared.as_str(), "Transfer-Encoding: chunked"] {
            let name = format!("{method} {path}, {header}");
            let began = Instant::now();
            let (sent, answer) =
                send_body(http, &request(method, path, &[header]), WHOLE).await.context(name.clone())?;
            ensure!(began.elapsed() < SOON, "{name}: it took {:?}", began.elapsed());
            ensure!(sent < WHOLE / 4, "{name}: {sent} bytes were taken");
            if let Some(answer) = answer {
                answer.is_problem(413, "body_too_large", "65536").context(name)?;
            }
        }
    }
    let after = scene.memory()?;
    ensure!(after < before + 30, "the memory grew from {before} to {after} MiB");
    scene.nobody_else_noticed().await
}

/// Sends a body until it is refused. The answer may be lost when the connection is cut.
async fn send_body(address: SocketAddr, head: &[u8], whole: u64) -> Result<(u64, Option<Answer>)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head).await?;
    let chunked = String::from_utf8_lossy(head).contains("chunked");
    let piece =
        if chunked { [&b"4000\r\n"[..], &[b'x'; 0x4000], b"\r\n"].concat() } else { vec![b'x'; 0x4000] };
    let mut sent = 0;
    let sending = async {
        while sent < whole && stream.write_all(&piece).await.is_ok() {
            sent += piece.len() as u64;
        }
    };
    timeout(SOON, sending).await.ok();
    Ok((sent, answer(&mut stream).await.ok()))
}

#[tokio::test]
async fn a_head_of_a_megabyte_is_refused() -> Result<()> {
    let mut scene = Scene::start().await?;
    let http = scene.monitor.address("http");
    let before = scene.memory()?;
    let long = "x".repeat(1 << 20);
    let heads = [
        request("GET", "/health", &[&format!("X-Long: {long}")]),
        request("GET", &format!("/health?{long}"), &[]),
        request("GET", "/health", &vec!["X-Many: y"; 10_000]),
    ];
    for head in heads {
        let answer = ask(http, &head).await.map(|answer| answer.status);
        // The answer may be lost when the connection is cut in the middle of the head.
        ensure!(answer.as_ref().is_ok_and(|s| matches!(s, 400 | 414 | 431)) || answer.is_err(), "{answer:?}");
    }
    let fine = ask(http, &request("GET", "/health", &[&format!("X-Long: {}", &long[..64 << 10])])).await?;
    ensure!(matches!(fine.status, 200 | 431), "64 KiB: {}", fine.head);
    let after = scene.memory()?;
    ensure!(after < before + 30, "the memory grew from {before} to {after} MiB");
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn head_is_answered_as_get_without_a_body() -> Result<()> {
    let mut scene = Scene::start().await?;
    let http = scene.monitor.address("http");
    for path in ["/health", "/health/ready", "/livez", "/metrics", "/api/v1/fleet", "/health/services/shop"] {
        let answer = ask(http, &request("HEAD", path, &[])).await.context(path)?;
        ensure!(answer.status == 200 && answer.body.is_empty(), "{path}: {} {}", answer.head, answer.body);
    }
    let nowhere = ask(http, &request("HEAD", "/nowhere", &[])).await?;
    ensure!(nowhere.status == 404 && nowhere.body.is_empty(), "{} {}", nowhere.head, nowhere.body);
    scene.nobody_else_noticed().await
}
