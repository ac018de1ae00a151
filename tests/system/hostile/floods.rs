//! Floods below gRPC: frames written by hand, faster and smaller than any library writes them.

use super::Scene;
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header that no table holds.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short header");
    [&[0, length(name)][..], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

fn call_headers() -> Vec<u8> {
    [
        literal(":method", "POST"),
        literal(":scheme", "http"),
        literal(":path", "/farol.v1.Fleet/Stream"),
        literal(":authority", "localhost"),
        literal("content-type", "application/grpc"),
        literal("te", "trailers"),
    ]
    .concat()
}

/// Connects, says what every client says, and then this again and again. True when the monitor closes the
/// connection before all was said.
async fn flood(
    address: SocketAddr,
    first: Vec<u8>,
    again: impl Fn(u32) -> Vec<u8>,
    times: u32,
) -> Result<bool> {
    let stream = TcpStream::connect(address).await?;
    let (mut read, mut write) = stream.into_split();
    write.write_all(PREFACE).await?;
    write.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    write.write_all(&frame(SETTINGS, ACK, 0, &[])).await?;
    write.write_all(&first).await?;
    let saying = async {
        for from in (0..times).step_by(100) {
            let batch: Vec<u8> = (from..from + 100).flat_map(&again).collect();
            if write.write_all(&batch).await.is_err() {
                return true;
            }
        }
        false
    };
    let hearing = async {
        let mut bytes = vec![0; 16_384];
        while read.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
    };
    let both = async {
        tokio::select! {
            closed = saying => closed,
            () = hearing => true,
        }
    };
    timeout(Duration::from_secs(20), both).await.context("the monitor neither takes it nor closes")
}

async fn survives(name: &str, first: Vec<u8>, again: impl Fn(u32) -> Vec<u8>, times: u32) -> Result<bool> {
    let mut scene = Scene::start().await?;
    let before = scene.memory()?;
    let closed =
        flood(scene.monitor.address("agents"), first, again, times).await.context(name.to_owned())?;
    let after = scene.memory()?;
    ensure!(after < before + 50, "{name}: the memory grew from {before} to {after} MiB");
    scene.nobody_else_noticed().await.context(name.to_owned())?;
    scene.is_sound()?;
    Ok(closed)
}

#[tokio::test]
async fn streams_opened_and_reset_in_a_hurry_end_the_connection() -> Result<()> {
    let one = |n: u32| {
        let stream = 2 * n + 1;
        let open = frame(HEADERS, END_HEADERS, stream, &call_headers());
        [open, frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
    };
    ensure!(survives("rapid reset", Vec::new(), one, 50_000).await?, "the monitor went on taking them");
    Ok(())
}

#[tokio::test]
async fn a_header_block_without_end_ends_the_connection() -> Result<()> {
    let first = frame(HEADERS, 0, 1, &call_headers());
    let more = |n: u32| frame(CONTINUATION, 0, 1, &literal(&format!("x-{n}"), "y"));
    ensure!(survives("continuation", first, more, 100_000).await?, "the monitor went on taking them");
    Ok(())
}

#[tokio::test]
async fn a_flood_of_empty_frames_disturbs_nobody() -> Result<()> {
    let first = frame(HEADERS, END_HEADERS, 1, &call_headers());
    survives("empty data", first, |_| frame(DATA, 0, 1, &[]), 100_000).await?;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_frames_of_one_byte_disturbs_nobody() -> Result<()> {
    let first = frame(HEADERS, END_HEADERS, 1, &call_headers());
    survives("one byte", first, |_| frame(DATA, 0, 1, &[0]), 100_000).await?;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_pings_and_settings_disturbs_nobody() -> Result<()> {
    let both = |_| [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])].concat();
    survives("pings", Vec::new(), both, 100_000).await?;
    Ok(())
}
