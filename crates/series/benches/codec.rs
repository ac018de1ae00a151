//! What a row of 100 series costs to encode, apply and read: 79 integers, 13 two-decimals, 8 floats, about half
//! unchanged from row to row. `FAROL_ROWS=<file>` of recorded rows (100 little-endian doubles each, in that
//! order) replaces the made-up ones, and bytes a sample are printed for either.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farol_series::{Columns, Encoding};
use std::hint::black_box;

const SERIES: usize = 100;

type Row = Vec<Option<f64>>;

fn encodings() -> Vec<Encoding> {
    let kinds = [(79, Encoding::Integer), (13, Encoding::Decimal(2)), (8, Encoding::Float)];
    kinds.iter().flat_map(|&(count, encoding)| vec![encoding; count]).collect()
}

/// A third of the integers are still, the others step like counters and gauges of very different speeds.
fn made_up() -> Vec<Row> {
    let mut state = 7_u64;
    let mut roll = move |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let mut row: Vec<f64> = (0..SERIES).map(|_| roll(1 << 30) as f64).collect();
    let rows = (0..256).map(|_| {
        for (index, value) in row.iter_mut().enumerate() {
            match index {
                0..53 if roll(10) < 6 => *value += roll(1 << (1 + index % 17)) as f64,
                79..92 if roll(2) == 0 => *value = roll(10_000) as f64 / 100.0,
                92.. => *value = f64::from(roll(100_000) as f32 / 1000.0),
                _ => {}
            }
        }
        row.iter().copied().map(Some).collect()
    });
    // Decimals start as whole numbers; the first row is left out so that none is larger than a percentage.
    rows.skip(20).collect()
}

/// Every `every`th of the recorded rows.
fn recorded(bytes: &[u8], every: usize) -> Vec<Row> {
    let double = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let rows = bytes.chunks_exact(8 * SERIES).step_by(every);
    rows.map(|row| row.chunks_exact(8).map(|bytes| Some(double(bytes))).collect()).collect()
}

#[expect(clippy::print_stderr, reason = "bytes a sample are a result too, and criterion only knows times")]
fn measure(c: &mut Criterion, name: &str, rows: &[Row]) {
    let mut columns = Columns::new(encodings());
    let blocks: Vec<Vec<u8>> = rows.iter().map(|row| block(&mut columns, row)).collect();
    let deltas = &blocks[1..];
    let bytes: usize = deltas.iter().map(Vec::len).sum();
    let same = rows.windows(2).flat_map(|pair| pair[0].iter().zip(&pair[1])).filter(|(old, new)| old == new);
    let samples = (deltas.len() * SERIES) as f64;
    let unchanged = 100.0 * same.count() as f64 / samples;
    eprintln!("{name}: {} rows, {unchanged:.0} % of samples unchanged", rows.len());
    eprintln!("{name}: {:.3} bytes/sample, key frame {} bytes", bytes as f64 / samples, blocks[0].len());

    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(samples as u64 + SERIES as u64));
    group.bench_function("encode", |b| {
        let mut out = Vec::with_capacity(4096);
        b.iter(|| {
            columns.reset();
            for row in rows {
                out.clear();
                columns.encode(black_box(row), &mut out).expect("held");
            }
        });
    });
    group.bench_function("apply", |b| {
        b.iter(|| {
            columns.reset();
            for block in &blocks {
                columns.apply(black_box(block)).expect("good block");
            }
        });
    });
    group.bench_function("apply and read", |b| {
        b.iter(|| {
            columns.reset();
            let mut sum = 0.0;
            for block in &blocks {
                columns.apply(black_box(block)).expect("good block");
                sum += columns.values().flatten().sum::<f64>();
            }
            sum
        });
    });
    group.finish();
}

fn block(columns: &mut Columns, row: &Row) -> Vec<u8> {
    let mut out = Vec::new();
    columns.encode(row, &mut out).expect("held");
    out
}

fn codec(c: &mut Criterion) {
    match std::env::var_os("FAROL_ROWS") {
        None => measure(c, "made up", &made_up()),
        Some(path) => {
            let bytes = std::fs::read(&path).expect("FAROL_ROWS names a readable file");
            measure(c, "recorded, each row", &recorded(&bytes, 1));
            measure(c, "recorded, each tenth row", &recorded(&bytes, 10));
        }
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
