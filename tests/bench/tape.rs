//! One agent's walk over the recording: what it reports next, made by the real codec. Knows no connection.

use crate::rows::{Recording, Series};
use bytes::Bytes;
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_series::{Columns, Encoding};
use farol_wire::proto;
use farol_wire::{
    Bitmap, Boot, ComponentDef, ComponentReport, Definition, Hello, Role, SeriesDef, SeriesType, SourceDef,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Components of an agent.
const COMPONENTS: u32 = 10;
/// Services an agent has a part in, and agents that have parts in the same ones.
const SERVICES: u32 = 3;
const AGENTS_PER_SERVICE: usize = 20;
/// A new segment begins after so many reports, as the real agent does.
const SEGMENT: u64 = 64;

/// Series of an agent. A recording with fewer is widened by its own series, played backwards under another name.
pub(crate) const SERIES: usize = 100;
/// The metric of which one series an agent is asked for, and agents that are asked for together.
pub(crate) const ASKED: &str = "system_load1";
pub(crate) const RACK: usize = 100;

/// The name of all series where they have only one.
pub(crate) const ONE_NAME: &str = "bench_value";

/// What all agents replay, encoded once: what an agent costs here must not hide what it costs there.
pub(crate) struct Tape {
    series: Vec<Series>,
    encodings: Vec<Encoding>,
    /// No value is absent: each row is as many samples as there are series.
    rows: Vec<Vec<Option<f64>>>,
    /// Each row as a key frame.
    keys: Vec<Bytes>,
    /// Each row as the step from the row before, and from the row after it.
    forth: Vec<Bytes>,
    back: Vec<Bytes>,
    /// The asked metric tells groups of agents apart.
    racks: bool,
}

impl Tape {
    pub(crate) fn new(recording: Recording) -> anyhow::Result<Self> {
        let recording = widened(recording, SERIES);
        let encodings = recording.encodings();
        let mut rows = recording.rows;
        let mut last: Vec<f64> = (0..recording.series.len()).map(|at| first_value(&rows, at)).collect();
        for row in &mut rows {
            for (value, last) in row.iter_mut().zip(&mut last) {
                *last = *value.get_or_insert(*last);
            }
        }
        let (mut keys, mut forth, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..rows.len() {
            let mut columns = Columns::new(encodings.clone());
            keys.push(block(&mut columns, &rows[at])?);
            let beside = [at.checked_sub(1), (at + 1 < rows.len()).then_some(at + 1)];
            for (from, to) in beside.into_iter().zip([&mut forth, &mut back]) {
                columns.reset();
                block(&mut columns, &rows[from.unwrap_or(at)])?;
                to.push(block(&mut columns, &rows[at])?);
            }
        }
        Ok(Self { series: recording.series, encodings, rows, keys, forth, back, racks: false })
    }

    /// The same, where the asked metric has a label for each group of agents.
    pub(crate) fn with_racks(mut self) -> Self {
        self.racks = true;
        self
    }

    /// The same, where all series have one name, and a label for what they were.
    pub(crate) fn with_one_name(mut self) -> Self {
        for (at, series) in self.series.iter_mut().enumerate() {
            series.labels = [("was".to_owned(), format!("{}-{at}", series.name))].into();
            ONE_NAME.clone_into(&mut series.name);
        }
        self
    }

    pub(crate) fn series(&self) -> &[Series] {
        &self.series
    }

    /// The values of a row.
    pub(crate) fn row(&self, at: usize) -> impl Iterator<Item = f64> {
        self.rows[at].iter().map(|value| value.unwrap_or(f64::NAN))
    }

    /// A series' labels at one agent.
    pub(crate) fn labels(&self, series: &Series, number: usize) -> BTreeMap<String, String> {
        let mut labels = series.labels.clone();
        if self.racks && series.name == ASKED {
            labels.insert("rack".to_owned(), (number / RACK).to_string());
        }
        labels
    }

    /// What agent `number` defines.
    pub(crate) fn definition(&self, number: usize, interval: Duration) -> proto::Define {
        let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let series = self.series.iter().zip(&self.encodings).zip(1..).map(|((s, encoding), id)| SeriesDef {
            id,
            source: 1,
            name: s.name.clone(),
            labels: self.labels(s, number),
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

fn first_value(rows: &[Vec<Option<f64>>], at: usize) -> f64 {
    rows.iter().find_map(|row| row[at]).unwrap_or(0.0)
}

fn block(columns: &mut Columns, row: &[Option<f64>]) -> anyhow::Result<Bytes> {
    let mut data = Vec::new();
    columns.encode(row, &mut data)?;
    Ok(data.into())
}

/// So many series: what lacks is what is there, backwards in time, so that no two series are the same. Those with
/// labels come first: they are of devices, of which a larger machine has more.
fn widened(mut recording: Recording, to: usize) -> Recording {
    let width = recording.series.len();
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by_key(|at| recording.series[*at].labels.is_empty());
    for from in order.into_iter().take(to.saturating_sub(width)) {
        let mut series = recording.series[from].clone();
        series.labels.insert("again".to_owned(), "1".to_owned());
        recording.series.push(series);
        let values: Vec<_> = recording.rows.iter().rev().map(|row| row[from]).collect();
        recording.rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
    }
    recording
}

/// Who agent `number` is; it has reports of these starts.
pub(crate) fn hello(number: usize, interval: Duration, spooled: Vec<Boot>) -> proto::Hello {
    let wall = u64::try_from(std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_millis())).unwrap_or(0);
    Hello {
        agent: format!("bench:pod-{number}"),
        role: Role::Pod,
        boot: Boot { number: wall, nonce: number as u64 + 1 },
        spooled,
        labels: [("pod".to_owned(), format!("pod-{number}"))].into(),
        version: "bench".into(),
        protocol: (1, 1),
        interval_ms: u32::try_from(interval.as_millis()).unwrap_or(u32::MAX),
        wall_ms: wall,
        clock_ms: boot_ms(),
        scope: String::new(),
        accept_drain: false,
    }
    .into()
}

/// The state before the first report.
pub(crate) fn state() -> proto::State {
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

/// Walks over the rows forth and back, so that no step is larger than a real one.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    at: u32,
    forth: bool,
}

impl Walk {
    /// Each agent begins somewhere else.
    pub(crate) fn new(tape: &Tape, number: usize) -> Self {
        Self { at: u32::try_from(number % tape.rows.len()).unwrap_or(0), forth: true }
    }

    /// The next row.
    pub(crate) fn step(&mut self, tape: &Tape) -> usize {
        if self.at == 0 {
            self.forth = true;
        } else if self.at as usize == tape.rows.len() - 1 {
            self.forth = false;
        }
        self.at = if self.forth { self.at + 1 } else { self.at - 1 };
        self.at as usize
    }
}

/// What one agent reports next.
pub(crate) struct Replay {
    walk: Walk,
    seq: u64,
    /// Where in a segment the first report stands, so that not all agents begin one in the same tick.
    phase: u64,
}

impl Replay {
    pub(crate) fn new(tape: &Tape, number: usize) -> Self {
        Self { walk: Walk::new(tape, number), seq: 0, phase: number as u64 % SEGMENT }
    }

    /// The sequence number of the last report.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// The next report, and how many samples it carries.
    pub(crate) fn next(&mut self, tape: &Tape) -> (proto::Report, u64) {
        self.seq += 1;
        let key = self.seq == 1 || (self.seq + self.phase).is_multiple_of(SEGMENT);
        (self.walk.report(tape, self.seq, boot_ms(), key), tape.series.len() as u64)
    }
}

impl Walk {
    /// The next row as a report.
    pub(crate) fn report(&mut self, tape: &Tape, seq: u64, at_ms: u64, key: bool) -> proto::Report {
        let at = self.step(tape);
        let blocks = match (key, self.forth) {
            (true, _) => &tape.keys,
            (false, true) => &tape.forth,
            (false, false) => &tape.back,
        };
        let mut checked = Bitmap::default();
        (0..COMPONENTS as usize).for_each(|i| checked.set(i));
        proto::Report {
            seq,
            at_ms,
            key,
            changed: if key { statuses() } else { Vec::new() },
            checked: checked.into_bytes(),
            blocks: vec![proto::Block { source: 1, before_ms: 0, data: blocks[at].clone() }],
            ack_now: false,
            padding: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Series;

    fn tape(rows: &[[Option<f64>; 2]]) -> Tape {
        let series = |name: &str| Series { name: name.into(), labels: Default::default(), counter: false };
        let rows = rows.iter().map(|row| row.to_vec()).collect();
        Tape::new(Recording { series: vec![series("a"), series("b")], rows }).unwrap()
    }

    #[test]
    fn reports_decode_to_the_rows_walked_forth_and_back_whatever_the_phase() {
        // What is absent is filled: with what was there before, or with what comes first.
        let rows = [[Some(1.5), None], [Some(2.5), Some(7.0)], [None, Some(8.0)]];
        let filled = [[1.5, 7.0], [2.5, 7.0], [2.5, 8.0]];
        let tape = tape(&rows);
        for number in 0..70 {
            let mut replay = Replay::new(&tape, number);
            let mut columns = Columns::new(tape.encodings.clone());
            let mut seen = Vec::new();
            for seq in 1..=130 {
                let (report, samples) = replay.next(&tape);
                assert_eq!(report.seq, seq);
                if report.key {
                    columns.reset();
                }
                columns.apply(&report.blocks[0].data).unwrap();
                let row: Vec<_> = columns.values().flatten().collect();
                assert_eq!(samples, row.len() as u64);
                seen.push(filled.iter().position(|r| r[..] == row[..2]).expect("a row of the recording"));
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
                *count += usize::from(replay.next(&tape).0.key);
            }
        }
        assert!(keys[1..].iter().all(|n| *n <= 2), "{keys:?}");
    }

    #[test]
    fn a_narrow_recording_is_widened_by_itself_backwards() {
        let series = |name: &str, labels: &[(&str, &str)]| Series {
            name: name.into(),
            labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            counter: true,
        };
        let rows = vec![vec![Some(1.0), Some(10.0)], vec![Some(2.0), Some(20.0)]];
        let narrow = Recording { series: vec![series("a", &[]), series("b", &[("disk", "x")])], rows };
        let wide = widened(narrow, 3);
        assert_eq!(wide.series[2], series("b", &[("again", "1"), ("disk", "x")]));
        assert_eq!(wide.rows, [[1.0, 10.0, 20.0], [2.0, 20.0, 10.0]].map(|row| row.map(Some).to_vec()));
    }
}
