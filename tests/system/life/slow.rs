//! Readers that take a byte a second while thousands of statuses change: the monitor keeps nothing for them, others hear
//! in time, and they start anew or are cut.

use farol_health::Status;
use farol_tests::speaker::{Person, Speaker};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

/// Agents, and the status changes a second of each: as many as a monitor keeps up with beside other tests, which one with
/// debug checks does with half of them.
const SPEAKERS: usize = 20;
const CHANGES: u32 = if cfg!(debug_assertions) { 50 } else { 100 };
/// A slow reader that becomes quick has what there is for it within; a pause of a quarter is the end of it.
const CAUGHT_UP: Duration = Duration::from_secs(3);
/// What the monitor may keep for slow readers.
const GROWTH_KIB: u64 = 20 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_byte_a_second_cost_nobody_anything() {
    slow(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long form; more than a minute"]
async fn readers_of_a_byte_a_second_cost_nobody_anything_in_a_minute() {
    slow(Duration::from_secs(60)).await;
}

async fn slow(lasts: Duration) {
    let stack = Stack::start("").await.unwrap();
    let mut speaking = JoinSet::new();
    for number in 0..SPEAKERS {
        speaking.spawn(change(stack.addresses().agents, number));
    }
    // The ring of events is full, and memory as it is without slow readers.
    until("many events", SOON, async || {
        let fleet = stack.json("/api/v1/fleet").await.unwrap_or_default();
        let number = fleet["event"].as_str().and_then(|id| id.rsplit_once('-')?.1.parse::<u64>().ok());
        number.is_some_and(|number| number > 10_000)
    })
    .await
    .unwrap();
    let before = resident_kib(&stack);

    let request = "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    let mut sse = small(stack.addresses().http).await;
    sse.write_all(request.as_bytes()).await.unwrap();
    let mut watch = small(stack.addresses().health).await;
    watch.write_all(&watch_request("svc-0")).await.unwrap();
    let mut events = stack.events().await.unwrap();
    // The time counts from when the quick one reads.
    assert!(events.next().await.unwrap().is_some(), "the quick reader is not cut");
    let (mut readers, ends) = (JoinSet::new(), Instant::now() + lasts);
    readers.spawn(byte_by_byte(sse, ends));
    readers.spawn(byte_by_byte(watch, ends));

    let (mut lags, mut most, mut looks) = (Vec::new(), before, Instant::now());
    while let Ok(event) = timeout_at(ends, events.next()).await {
        let event = event.unwrap().expect("the quick reader is not cut");
        assert_ne!(event.name, "reset", "the quick reader is quick enough");
        lags.push(lag_ms(event.text("at")));
        if looks.elapsed() > Duration::from_millis(200) {
            (most, looks) = (most.max(resident_kib(&stack)), Instant::now());
        }
    }
    speaking.shutdown().await;
    lags.sort_unstable();
    let p99 = lags[lags.len() * 99 / 100];
    let rate = lags.len() as f64 / lasts.as_secs_f64();
    let mut fates = Vec::new();
    while let Some(reader) = readers.join_next().await {
        fates.push(fate(reader.unwrap()).await);
    }
    eprintln!(
        "{lasts:?}: {rate:.0} events/s, p50 {} ms and p99 {p99} ms late at the quick reader; the monitor grew by {} KiB; \
         slow ones: {fates:?}",
        lags[lags.len() / 2],
        most.saturating_sub(before)
    );
    assert!(most <= before + GROWTH_KIB, "from {before} KiB to {most}");
    // With debug checks, beside other tests, that would be their speed: what counts then is that it was never cut.
    assert!(p99 < 100 || cfg!(debug_assertions), "p99 {p99} ms late");
    // What the system's socket buffers and the ring of events hold may be enough for a few seconds.
    let well = ["cut", "resynced", "newest only", "missed nothing"];
    assert!(fates.iter().all(|fate| well.contains(&fate.as_str())), "{fates:?}");
}

/// An agent whose one component changes again and again.
async fn change(agents: SocketAddr, number: usize) {
    let person = Person::new(&format!("speaker-{number}"));
    let speaker = Speaker::open(agents, &person).await.unwrap();
    speaker.define(&Person::definition(&format!("svc-{number}"))).await.unwrap();
    let mut ticks = interval(Duration::from_secs(1) / CHANGES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for status in [Status::Healthy, Status::Unhealthy].into_iter().cycle() {
        ticks.tick().await;
        speaker.state(0, status).await.unwrap();
    }
}

/// A connection with the least of a receive buffer.
async fn small(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(to).await.unwrap()
}

/// Preface, SETTINGS, HEADERS and one message of `grpc.health.v1.Health/Watch`.
fn watch_request(service: &str) -> Vec<u8> {
    let literal = |out: &mut Vec<u8>, name: &str, value: &str| {
        out.extend([0, name.len() as u8]);
        out.extend(name.as_bytes());
        out.push(value.len() as u8);
        out.extend(value.as_bytes());
    };
    let mut head = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Watch"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        literal(&mut head, name, value);
    }
    let mut body = vec![0, 0, 0, 0, service.len() as u8 + 2, 0x0a, service.len() as u8];
    body.extend(service.as_bytes());
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let mut out = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        out.extend(payload);
        out
    };
    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    all.extend(frame(4, 0, 0, &[]));
    all.extend(frame(1, 4, 1, &head));
    all.extend(frame(0, 1, 1, &body));
    all
}

/// Reads a byte a second until then.
async fn byte_by_byte(mut stream: TcpStream, ends: Instant) -> (TcpStream, bool) {
    let mut seconds = interval(Duration::from_secs(1));
    let read = async {
        loop {
            seconds.tick().await;
            if !matches!(stream.read(&mut [0]).await, Ok(1)) {
                return;
            }
        }
    };
    let cut = timeout_at(ends, read).await.is_ok();
    (stream, cut)
}

/// What has become of a slow reader, once it reads all that there is for it.
async fn fate((mut stream, cut): (TcpStream, bool)) -> String {
    let (mut all, mut piece) = (Vec::<u8>::new(), vec![0; 64 << 10]);
    let end = Instant::now() + CAUGHT_UP;
    while !cut && Instant::now() < end {
        match timeout(CAUGHT_UP / 4, stream.read(&mut piece)).await {
            Ok(Ok(0) | Err(_)) => return "cut".to_owned(),
            Ok(Ok(count)) => all.extend(&piece[..count]),
            Err(_) => break,
        }
        if all.windows(12).any(|window| window == b"event: reset") {
            return "resynced".to_owned();
        }
    }
    let text = String::from_utf8_lossy(&all);
    // The reading may have ended in the middle of an event.
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let ids =
        whole.lines().filter_map(|line| line.strip_prefix("id: ")?.rsplit_once('-')?.1.parse::<u64>().ok());
    let ids: Vec<u64> = ids.collect();
    match (cut, ids.is_empty()) {
        (true, _) => "cut".to_owned(),
        // A watch owes a newest status, not all of them.
        (false, true) if all.len() < 256 << 10 => "newest only".to_owned(),
        (false, false) if ids.windows(2).all(|pair| pair[1] == pair[0] + 1) => "missed nothing".to_owned(),
        (false, _) => format!("neither; {} bytes, {} events", all.len(), ids.len()),
    }
}

fn lag_ms(at: &str) -> i64 {
    at.parse::<jiff::Timestamp>().map_or(0, |at| jiff::Timestamp::now().duration_since(at).as_millis() as i64)
}

/// The monitor's memory.
fn resident_kib(stack: &Stack) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stack.monitor().pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap()
}
