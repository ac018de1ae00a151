//! What history costs: sealing rows, opening a block, reading one column or all, rolling up. The rows are the recorded ones of
//! `tests/bench/rows.tsv`, one every 10 s, walked forth and back where there are too few; bytes a sample are printed.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farol_series::{Columns, Encoding, Fold, Reduce, Rolled, Rollup, Sealed, SealedRollup, Sealer};
use std::hint::black_box;
use std::path::Path;

/// Milliseconds between two rows.
const STEP: i64 = 10_000;
const FIVE_MINUTES: i64 = 300_000;
const HOUR: i64 = 3_600_000;

/// The recording, as columns after each row.
struct Tape {
    kinds: Vec<Rolled>,
    rows: Vec<Columns>,
}

impl Tape {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/bench/rows.tsv");
        let text = std::fs::read_to_string(&path).expect("the recording is there");
        let counters = text.lines().filter_map(|line| line.strip_prefix("S\t"));
        let counters: Vec<bool> = counters.map(|line| line.split('\t').nth(1) == Some("counter")).collect();
        let row = |line: &str| line.split('\t').map(|value| value.parse().ok()).collect();
        let rows: Vec<Vec<Option<f64>>> =
            text.lines().filter_map(|line| line.strip_prefix("R\t")).map(row).collect();
        let widest = |index: usize| {
            let values = rows.iter().filter_map(|row| row[index]);
            values.fold(Encoding::Integer, |encoding, value| encoding.widen(value))
        };
        let encodings: Vec<Encoding> = (0..counters.len()).map(widest).collect();
        let kinds = encodings.iter().zip(counters);
        let kinds = kinds.map(|(&encoding, counter)| Rolled { encoding, counter }).collect();
        let mut state = Columns::new(encodings);
        let rows = rows.iter().map(|row| {
            state.encode(row, &mut Vec::new()).expect("held");
            state.clone()
        });
        Tape { kinds, rows: rows.collect() }
    }

    /// The row of a tick: forth and back, so that no step is larger than a real one.
    fn row(&self, tick: usize) -> &Columns {
        let turn = 2 * (self.rows.len() - 1);
        let place = tick % turn;
        &self.rows[place.min(turn - place)]
    }

    fn seal(&self, ticks: usize) -> Vec<u8> {
        let mut sealer = Sealer::new(&[(1, self.rows[0].encodings())]);
        for tick in 0..ticks {
            sealer.tick(0, time(tick), self.row(tick)).expect("room");
        }
        sealer.finish()
    }

    fn samples(&self, ticks: usize) -> u64 {
        (0..ticks).map(|tick| self.row(tick).values().flatten().count() as u64).sum()
    }

    fn roll_up(&self, sealed: &Sealed) -> Rollup {
        let mut rollup = Rollup::new(FIVE_MINUTES, self.kinds.iter().copied());
        for series in 0..self.kinds.len() {
            sealed.samples(1, series, |t, value| rollup.add(series, t, value)).expect("own block");
        }
        rollup
    }
}

/// A clock that is a millisecond off now and then.
fn time(tick: usize) -> i64 {
    1_763_000_000_123 + STEP * tick as i64 + i64::from(tick.is_multiple_of(7))
}

#[expect(clippy::print_stderr, reason = "bytes a sample are a result too, and criterion only knows times")]
fn block(c: &mut Criterion, tape: &Tape, ticks: usize) {
    let samples = tape.samples(ticks);
    let bytes = tape.seal(ticks);
    let sealed = Sealed::open(&bytes).expect("own block");
    let series = tape.kinds.len();
    eprintln!("{ticks} rows of {series}: {:.3} bytes/sample", bytes.len() as f64 / samples as f64);
    let mut group = c.benchmark_group(format!("block of {ticks} rows"));
    group.throughput(Throughput::Elements(samples));
    group.bench_function("seal", |b| b.iter(|| tape.seal(black_box(ticks))));
    group.bench_function("open", |b| b.iter(|| Sealed::open(black_box(&bytes)).expect("own block")));
    group.bench_function("open and read one column", |b| {
        b.iter(|| {
            let sealed = Sealed::open(black_box(&bytes)).expect("own block");
            let mut sum = 0.0;
            sealed.samples(1, 1, |_, value| sum += value).expect("own block");
            sum
        });
    });
    group.bench_function("read all columns", |b| {
        b.iter(|| {
            let mut sum = 0.0;
            for series in 0..series {
                sealed.samples(1, series, |_, value| sum += value).expect("own block");
            }
            sum
        });
    });
    group.bench_function("roll up to 5 minutes", |b| b.iter(|| tape.roll_up(black_box(&sealed))));
    group.finish();
}

#[expect(clippy::print_stderr, reason = "bytes a bucket are a result too, and criterion only knows times")]
fn rollup(c: &mut Criterion, tape: &Tape) {
    let half_hour = tape.roll_up(&Sealed::open(&tape.seal(180)).expect("own block"));
    let day = tape.roll_up(&Sealed::open(&tape.seal(8_640)).expect("own block"));
    let hours = day.coarsen(HOUR).expect("a multiple");
    for (name, rollup) in
        [("half an hour in 5 min", &half_hour), ("a day in 5 min", &day), ("a day in 1 h", &hours)]
    {
        let buckets: usize = (0..tape.kinds.len()).map(|series| rollup.buckets(series).len()).sum();
        let bytes = rollup.encode().expect("small");
        eprintln!("{name}: {buckets} buckets, {:.2} bytes/bucket", bytes.len() as f64 / buckets as f64);
    }
    let bytes = day.encode().expect("small");
    let mut group = c.benchmark_group("roll-up of a day");
    group.bench_function("encode", |b| b.iter(|| black_box(&day).encode().expect("small")));
    group.bench_function("coarsen to 1 h", |b| b.iter(|| black_box(&day).coarsen(HOUR).expect("a multiple")));
    group.bench_function("open and read one series", |b| {
        b.iter(|| SealedRollup::open(black_box(&bytes)).expect("own").buckets(1).expect("own"));
    });
    let sealed = SealedRollup::open(&bytes).expect("own");
    group.bench_function("read one series and reduce it", |b| {
        b.iter(|| {
            let mut fold = Fold::new(time(0), time(8_640), HOUR, Reduce::Avg).expect("a sound range");
            for bucket in sealed.buckets(black_box(1)).expect("own") {
                fold.bucket(&bucket).expect("no percentile");
            }
            fold.finish()
        });
    });
    group.finish();
}

fn sealing(c: &mut Criterion) {
    let tape = Tape::read();
    for ticks in [110, 180, 360] {
        block(c, &tape, ticks);
    }
    rollup(c, &tape);
}

criterion_group!(benches, sealing);
criterion_main!(benches);
