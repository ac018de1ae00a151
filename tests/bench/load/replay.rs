//! One agent's walk over the recording: what it reports next, made by the real codec. Knows no connection.

use crate::rows::Recording;
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_series::{Columns, Encoding};
use farol_wire::proto;
use farol_wire::{Bitmap, ComponentDef, ComponentReport, Definition, SeriesDef, SeriesType, SourceDef};
use std::sync::Arc;
use std::time::Duration;

/// Components of an agent.
const COMPONENTS: u32 = 10;
/// Services an agent has a part in, and agents that have parts in the same ones.
const SERVICES: u32 = 3;
const AGENTS_PER_SERVICE: usize = 20;
/// A new segment begins after so many reports, as the real agent does.
const SEGMENT: u64 = 64;

/// What all agents replay.
pub(super) struct Tape {
    recording: Recording,
    encodings: Vec<Encoding>,
    /// Values in each row: an absent one is no sample.
    samples: Vec<u64>,
}

impl Tape {
    pub(super) fn new(recording: Recording) -> Self {
        let present = |row: &Vec<Option<f64>>| row.iter().flatten().count() as u64;
        let samples = recording.rows.iter().map(present).collect();
        Self { encodings: recording.encodings(), samples, recording }
    }

    pub(super) fn series(&self) -> usize {
        self.recording.series.len()
    }

    /// What agent `number` defines.
    pub(super) fn definition(&self, number: usize, interval: Duration) -> proto::Define {
        let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let series =
            self.recording.series.iter().zip(&self.encodings).zip(1..).map(|((s, encoding), id)| SeriesDef {
                id,
                source: 1,
                name: s.name.clone(),
                labels: s.labels.clone(),
                kind: if s.counter { SeriesType::Counter } else { SeriesType::Gauge },
                encoding: encoding.to_wire(),
                unit: String::new(),
            });
        let components = (1..=COMPONENTS).map(|id| ComponentDef {
            id,
            service: format!("service-{}-{}", number / AGENTS_PER_SERVICE, id % SERVICES),
            name: format!("component-{id}"),
            required: true,
            readiness: id == 1,
            ttl_ms: interval_ms.saturating_mul(3).saturating_add(500),
            kind: "tcp".into(),
            labels: Default::default(),
        });
        let definition = Definition {
            sources: vec![SourceDef { id: 1, name: "system".into(), interval_ms }],
            series: series.collect(),
            components: components.collect(),
        };
        (&definition).into()
    }
}

/// The state before the first report.
pub(super) fn state() -> proto::State {
    proto::State { as_of: 0, components: statuses() }
}

fn statuses() -> Vec<proto::ComponentStatus> {
    let status = |id| {
        proto::ComponentStatus::from(ComponentReport {
            id,
            hard: Status::Healthy,
            soft: Status::Healthy,
            reason: "ok".into(),
            message: String::new(),
            checked_ms: Some(boot_ms()),
            maintenance: false,
        })
    };
    (1..=COMPONENTS).map(status).collect()
}

/// Walks forth and back, so that no step is larger than a real one.
pub(super) struct Replay {
    tape: Arc<Tape>,
    columns: Columns,
    at: usize,
    forth: bool,
    seq: u64,
    /// Where in a segment the first report stands, so that not all agents begin one in the same tick.
    phase: u64,
}

impl Replay {
    pub(super) fn new(tape: &Arc<Tape>, number: usize) -> Self {
        Self {
            columns: Columns::new(tape.encodings.clone()),
            at: number % tape.samples.len(),
            forth: true,
            seq: 0,
            phase: number as u64 % SEGMENT,
            tape: Arc::clone(tape),
        }
    }

    /// The sequence number of the last report.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The next report, and how many samples it carries.
    pub(super) fn next(&mut self) -> anyhow::Result<(proto::Report, u64)> {
        self.step();
        self.seq += 1;
        let key = self.seq == 1 || (self.seq + self.phase).is_multiple_of(SEGMENT);
        if key {
            self.columns.reset();
        }
        let mut data = Vec::new();
        self.columns.encode(&self.tape.recording.rows[self.at], &mut data)?;
        let mut checked = Bitmap::default();
        (0..COMPONENTS as usize).for_each(|i| checked.set(i));
        let report = proto::Report {
            seq: self.seq,
            at_ms: boot_ms(),
            key,
            changed: if key { statuses() } else { Vec::new() },
            checked: checked.into_bytes(),
            blocks: vec![proto::Block { source: 1, before_ms: 0, data: data.into() }],
            ack_now: false,
            padding: Vec::new(),
        };
        Ok((report, self.tape.samples[self.at]))
    }

    fn step(&mut self) {
        let last = self.tape.samples.len() - 1;
        if self.at == 0 {
            self.forth = true;
        } else if self.at == last {
            self.forth = false;
        }
        self.at = if self.forth { self.at + 1 } else { self.at - 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Series;

    fn tape(rows: &[[Option<f64>; 2]]) -> Arc<Tape> {
        let series = |name: &str| Series { name: name.into(), labels: Default::default(), counter: false };
        let rows = rows.iter().map(|row| row.to_vec()).collect();
        Arc::new(Tape::new(Recording { series: vec![series("a"), series("b")], rows }))
    }

    #[test]
    fn reports_decode_to_the_rows_walked_forth_and_back_whatever_the_phase() {
        let rows = [[Some(1.5), None], [Some(2.5), Some(7.0)], [None, Some(8.0)]];
        let tape = tape(&rows);
        for number in 0..70 {
            let mut replay = Replay::new(&tape, number);
            let mut columns = Columns::new(tape.encodings.clone());
            let mut seen = Vec::new();
            for seq in 1..=130 {
                let (report, samples) = replay.next().unwrap();
                assert_eq!(report.seq, seq);
                if report.key {
                    columns.reset();
                }
                columns.apply(&report.blocks[0].data).unwrap();
                let row: Vec<_> = columns.values().collect();
                assert_eq!(samples, row.iter().flatten().count() as u64);
                seen.push(rows.iter().position(|r| r[..] == row[..]).expect("a row of the recording"));
            }
            assert!(seen.windows(2).all(|pair| pair[0].abs_diff(pair[1]) == 1), "{number}: {seen:?}");
        }
    }

    #[test]
    fn agents_begin_their_segments_in_different_ticks() {
        let tape = tape(&[[Some(1.0), None], [Some(2.0), None]]);
        let mut keys = [0; 64];
        for number in 0..64 {
            let mut replay = Replay::new(&tape, number);
            for count in &mut keys {
                *count += usize::from(replay.next().unwrap().0.key);
            }
        }
        assert!(keys[1..].iter().all(|n| *n <= 2), "{keys:?}");
    }
}
