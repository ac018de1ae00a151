//! The recorded samples as Prometheus' remote write: protobuf in snappy's block format. Labels are encoded once for
//! each series, as a sender keeps them; what a sample costs here is nobody's figure.

use super::server::Server;
use crate::clock::now_ns;
use crate::http::Client;
use crate::tape::{Tape, Walk};
use anyhow::anyhow;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use std::ops::Range;

const HEAD: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// What is sent together, and over how many connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) agents_a_request: usize,
    pub(super) connections: usize,
}

/// The samples of some rounds.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    pub(super) rounds: Range<u64>,
    pub(super) from_ms: i64,
    pub(super) every_ms: i64,
}

/// What went over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) samples: u64,
    pub(super) requests: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
}

/// All agents, each with its place in the recording.
pub(super) struct Senders(Vec<Sender>);

struct Sender {
    walk: Walk,
    /// Each series' labels, encoded.
    labels: Vec<Vec<u8>>,
}

impl Senders {
    pub(super) fn new(tape: &Tape, agents: usize) -> Self {
        Self((0..agents).map(|number| Sender::new(tape, number)).collect())
    }

    /// Sends these rounds, one request after the other on each connection.
    pub(super) fn write(
        &mut self,
        to: &Server,
        tape: &Tape,
        shape: Shape,
        rounds: &Rounds,
    ) -> anyhow::Result<Written> {
        let (before, began) = (to.reading()?, now_ns());
        let each = self.0.len().div_ceil(shape.connections).max(1);
        let parts: Vec<anyhow::Result<Written>> = std::thread::scope(|scope| {
            let threads = self.0.chunks_mut(each).map(|part| {
                let client = to.client();
                scope.spawn(move || write_part(part, client, tape, shape, rounds))
            });
            let threads: Vec<_> = threads.collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|part| part.unwrap_or_else(|_| Err(anyhow!("a sender panicked")))).collect()
        });
        let mut sum = Written {
            seconds: (now_ns() - began) as f64 / 1e9,
            cpu_seconds: to.reading()?.cpu_since(&before),
            ..Written::default()
        };
        for part in parts {
            let part = part?;
            sum.samples += part.samples;
            sum.requests += part.requests;
            sum.bytes += part.bytes;
        }
        Ok(sum)
    }
}

fn write_part(
    agents: &mut [Sender],
    mut client: Client,
    tape: &Tape,
    shape: Shape,
    rounds: &Rounds,
) -> anyhow::Result<Written> {
    let mut written = Written::default();
    let (mut plain, mut snappy) = (Vec::new(), snap::raw::Encoder::new());
    for round in rounds.rounds.clone() {
        let at_ms = rounds.from_ms + i64::try_from(round)? * rounds.every_ms;
        for together in agents.chunks_mut(shape.agents_a_request) {
            plain.clear();
            together.iter_mut().for_each(|agent| agent.append(tape, at_ms, &mut plain));
            let body = snappy.compress_vec(&plain)?;
            let answer = client.post("/api/v1/write", HEAD, &body)?;
            let (status, why) = (answer.status, String::from_utf8_lossy(answer.body));
            anyhow::ensure!(status == 204 || status == 200, "remote write: {status} {why}");
            written.samples += (together.len() * tape.series().len()) as u64;
            written.bytes += body.len() as u64;
            written.requests += 1;
        }
    }
    Ok(written)
}

impl Sender {
    fn new(tape: &Tape, number: usize) -> Self {
        let labels = tape.series().iter().map(|series| {
            let mut labels = tape.labels(series, number);
            labels.insert("__name__".to_owned(), series.name.clone());
            labels.insert("agent".to_owned(), format!("bench:pod-{number}"));
            let labels = labels.into_iter().map(|(name, value)| Label { name, value }).collect();
            TimeSeries { labels, samples: Vec::new() }.encode_to_vec()
        });
        Self { walk: Walk::new(tape, number), labels: labels.collect() }
    }

    /// The agent's next row, as part of a `WriteRequest`.
    fn append(&mut self, tape: &Tape, at_ms: i64, out: &mut Vec<u8>) {
        let row = self.walk.step(tape);
        for (labels, value) in self.labels.iter().zip(tape.row(row)) {
            let sample = Sample { value, timestamp: at_ms };
            let length = sample.encoded_len();
            let whole = labels.len() + 1 + encoded_len_varint(length as u64) + length;
            encode_key(1, WireType::LengthDelimited, out);
            encode_varint(whole as u64, out);
            out.extend_from_slice(labels);
            encode_key(2, WireType::LengthDelimited, out);
            encode_varint(length as u64, out);
            sample.encode_raw(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Recording, Series};

    /// `prometheus.WriteRequest`, as far as it is used.
    #[derive(Clone, PartialEq, Message)]
    struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        series: Vec<TimeSeries>,
    }

    #[test]
    fn what_is_put_together_by_hand_is_a_write_request() {
        let series = |name: &str, labels: &[(&str, &str)]| Series {
            name: name.into(),
            labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            counter: false,
        };
        let series = vec![series("a", &[("z", "1"), ("B", "2")]), series("b", &[])];
        let rows = vec![vec![Some(1.5), Some(0.0)], vec![Some(2.5), Some(-7.0)]];
        let tape = Tape::new(Recording { series, rows }).unwrap();
        let mut bytes = Vec::new();
        let mut agents = [Sender::new(&tape, 0), Sender::new(&tape, 1)];
        agents.iter_mut().for_each(|agent| agent.append(&tape, 1_760_000_000_000, &mut bytes));
        let request = WriteRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(request.encode_to_vec(), bytes);
        assert_eq!(request.series.len(), 2 * tape.series().len());
        let first = &request.series[0];
        let labels: Vec<_> = first.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
        assert_eq!(labels, [("B", "2"), ("__name__", "a"), ("agent", "bench:pod-0"), ("z", "1")]);
        assert_eq!(first.samples, [Sample { value: 2.5, timestamp: 1_760_000_000_000 }]);
        assert_eq!(request.series[tape.series().len()].samples[0].value, 1.5);
    }
}
