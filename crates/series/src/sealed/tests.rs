//! Blocks that come back bit for bit, and bytes that are no block.

use super::Sealed;
use crate::columns::tests::{bits, rows};
use crate::envelope::{self, Kind, SealedError};
use crate::number::{write_long, write_long_difference};
use crate::{Columns, Encoding, Full, Sealer};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

type Row = Vec<Option<f64>>;

/// Rows of one source as columns after each block, in encodings that hold them.
fn columns(rows: &[Row]) -> Vec<Columns> {
    let width = rows.first().map_or(0, Vec::len);
    let widened = |index: usize| {
        let mut encoding = Encoding::Integer;
        // Twice, for a wider encoding may have a smaller range.
        for value in rows.iter().chain(rows).chain(rows).filter_map(|row| row[index]) {
            encoding = encoding.widen(value);
        }
        if rows.iter().filter_map(|row| row[index]).all(|value| encoding.holds(value)) {
            encoding
        } else {
            Encoding::Float
        }
    };
    let mut state = Columns::new((0..width).map(widened).collect());
    let step = |row: &Row| {
        state.encode(row, &mut Vec::new()).expect("held");
        state.clone()
    };
    rows.iter().map(step).collect()
}

/// Seals one source (7) of these rows.
fn sealed(times: &[i64], rows: &[Row]) -> Vec<u8> {
    let columns = columns(rows);
    let mut sealer = Sealer::new(&[(7, columns[0].encodings())]);
    for (&t, row) in times.iter().zip(&columns) {
        sealer.tick(0, t, row).expect("room");
    }
    sealer.finish()
}

fn read(sealed: &Sealed, source: u32, column: usize) -> Vec<(i64, u64)> {
    let mut samples = Vec::new();
    sealed.samples(source, column, |t, value| samples.push((t, value.to_bits()))).expect("sound");
    samples
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_layout_example_is_true() {
    let rows = [
        vec![Some(300.0), Some(0.75), None],
        vec![Some(300.0), Some(0.5), Some(0.5)],
        vec![Some(301.0), Some(0.5), Some(0.5)],
    ];
    let mut columns = Columns::new(vec![Encoding::Integer, Encoding::Decimal(2), Encoding::Float]);
    let mut sealer = Sealer::new(&[(7, columns.encodings())]);
    for (t, row) in [1000, 2000, 3005].into_iter().zip(&rows) {
        columns.encode(row, &mut Vec::new()).expect("held");
        sealer.tick(0, t, &columns).expect("room");
    }
    let body = envelope::open(Kind::Samples, &sealer.finish()).expect("own block");
    let parts = [
        "01",
        "07 03 03",
        "00 02 0a",
        "d00f 00 0a",
        "06 06 09",
        "00 d804 00 00 02",
        "00 9601 31 00 00",
        "02 01 02 d1fe03 00 00 00",
    ];
    assert_eq!(hex(&body), parts.concat().replace(' ', ""));
    let written = include_str!("../../SEALED.md");
    for part in parts {
        assert!(written.contains(&format!("`{part}`")), "{part} is not in the layout");
    }
}

#[test]
fn a_block_knows_its_sources_and_gives_one_column_at_a_time() {
    let (mut one, mut two) = (Columns::new(vec![Encoding::Integer; 2]), Columns::new(vec![Encoding::Float]));
    let (first, second) = (one.encodings().to_vec(), two.encodings().to_vec());
    let mut sealer = Sealer::new(&[(3, &first), (9, &second), (4, &[])]);
    assert!(sealer.is_empty());
    for t in [10, 20, 30] {
        one.encode(&[Some(t as f64), (t > 10).then_some(5.0)], &mut Vec::new()).expect("held");
        sealer.tick(0, t, &one).expect("room");
        if t != 20 {
            two.encode(&[Some(-0.0)], &mut Vec::new()).expect("held");
            sealer.tick(1, t + 1, &two).expect("room");
        }
    }
    assert_eq!(sealer.len(), 8);
    let sealed = Sealed::open(&sealer.finish()).expect("own block");
    assert_eq!(sealed.source_ids().collect::<Vec<_>>(), [3, 9, 4]);
    assert_eq!(sealed.encodings(3).collect::<Vec<_>>(), first);
    assert_eq!(sealed.ticks(9), Some([11, 31].as_slice()));
    assert_eq!((sealed.ticks(4), sealed.ticks(5)), (Some([].as_slice()), None));
    let bits = |t: i64, value: f64| (t, value.to_bits());
    assert_eq!(read(&sealed, 3, 1), [bits(20, 5.0), bits(30, 5.0)]);
    assert_eq!(read(&sealed, 9, 0), [bits(11, -0.0), bits(31, -0.0)]);
    for (source, column) in [(3, 2), (4, 0), (5, 0)] {
        assert_eq!(sealed.samples(source, column, |_, _| {}), Err(SealedError::NoSuchColumn));
    }
}

#[test]
fn a_full_block_says_so_and_is_still_good() {
    let wide = Columns::new(vec![Encoding::Integer; 1 << 20]);
    let mut sealer = Sealer::new(&[(1, wide.encodings())]);
    assert_eq!(sealer.tick(0, 1, &wide), Ok(()));
    assert_eq!(sealer.tick(0, 2, &wide), Ok(()));
    assert_eq!(sealer.tick(0, 3, &wide), Err(Full));
    let sealed = Sealed::open(&sealer.finish()).expect("as large as they get");
    assert_eq!(sealed.ticks(1), Some([1, 2].as_slice()));
}

#[test]
fn what_is_not_a_sealed_block_is_named() {
    let good = sealed(&[5], &[vec![Some(1.0)]]);
    let mut other = good.clone();
    other[1] = 2;
    let unknown = |kind, version| Err(SealedError::Unknown { kind, version });
    assert_eq!(Sealed::open(&other), unknown(b'S', 2));
    assert_eq!(Sealed::open(b"R\x01abcdefgh"), unknown(b'R', 1));
    assert_eq!(Sealed::open(b"S"), Err(SealedError::Short { length: 1 }));
    assert_eq!(Sealed::open(b"S\x01abc"), Err(SealedError::Short { length: 5 }));
    let last = other.len() - 1;
    other = good.clone();
    other[last] ^= 1;
    assert!(matches!(Sealed::open(&other), Err(SealedError::Checksum { .. })));
}

/// A claim with a right checksum.
fn claim(length: u64, packed: &[u8]) -> Vec<u8> {
    let mut bytes = b"S\x01".to_vec();
    write_long(length, &mut bytes);
    bytes.extend(packed);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

#[test]
fn no_claim_takes_more_memory_than_there_may_be() {
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 1).expect("room");
    let unpack = |length| Err(SealedError::Unpack { length });
    assert_eq!(Sealed::open(&claim(1 << 10, &bomb)), unpack(1 << 10));
    assert_eq!(Sealed::open(&claim((1 << 20) + 1, &bomb)), unpack((1 << 20) + 1));
    let too_large = |what, most| Err(SealedError::TooLarge { what, most });
    assert_eq!(Sealed::open(&claim(1 << 40, &bomb)), too_large("bytes", 64 << 20));

    let body = |numbers: &[u64]| {
        let mut body = Vec::new();
        numbers.iter().for_each(|&number| write_long(number, &mut body));
        envelope::seal(Kind::Samples, &body)
    };
    assert_eq!(Sealed::open(&body(&[1 << 30])), too_large("sources", 1 << 16));
    assert_eq!(Sealed::open(&body(&[1, 7, 1 << 30])), too_large("ticks", 1 << 21));
    assert_eq!(Sealed::open(&body(&[1, 7, 1, 1 << 30])), too_large("columns", 1 << 21));
    assert!(matches!(Sealed::open(&body(&[1, 7, 1 << 20, 0])), Err(SealedError::Number { .. })));
    // 2 000 ticks of 2 000 columns: small to write, large to read.
    let mut wide = Vec::new();
    [1, 7, 2_000, 2_000].iter().for_each(|&number| write_long(number, &mut wide));
    wide.resize(wide.len() + 3 * 2_000, 0);
    assert_eq!(Sealed::open(&envelope::seal(Kind::Samples, &wide)), too_large("samples", 1 << 21));
}

#[test]
fn a_column_that_no_sealer_wrote_is_an_error_when_it_is_read() {
    let body = |column: &[u8]| {
        let mut body = vec![1, 7, 3, 1, 0];
        [10_i64, 0, 0].iter().for_each(|&step| write_long_difference(step, &mut body));
        body.push(column.len() as u8);
        body.extend(column);
        Sealed::open(&envelope::seal(Kind::Samples, &body)).expect("its head is sound")
    };
    let mut seen = Vec::new();
    let good = body(&[0, 2, 0, 1]);
    good.samples(7, 0, |t, value| seen.push((t, value))).expect("sound");
    assert_eq!(seen, [(10, 1.0), (20, 1.0), (30, 1.0)]);
    for column in [
        &[] as &[u8],
        &[0],
        &[0, 2, 0],
        &[0, 2, 0, 2],
        &[0, 2, 0, 1, 1],
        &[0, 2, 0, 0],
        &[1, 2],
        &[2, 1, 3, 2, 2, 2],
        &[9, 1],
        &[0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 1],
    ] {
        assert!(body(column).samples(7, 0, |_, _| {}).is_err(), "{column:x?}");
    }
}

fn time() -> impl Strategy<Value = i64> {
    let edge = prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX]);
    prop_oneof![any::<i64>(), edge, (0_i64..40).prop_map(|tick| 1_763_000_000_000 + 10_000 * tick)]
}

proptest! {
    #[test]
    fn whatever_is_sealed_comes_back_bit_for_bit(
        rows in rows(), times in prop::collection::vec(time(), 6),
    ) {
        let sealed = Sealed::open(&sealed(&times, &rows)).expect("own block");
        prop_assert_eq!(sealed.ticks(7), Some(&times[..rows.len()]));
        for column in 0..rows[0].len() {
            let expected = times.iter().zip(bits(rows.iter().map(|row| row[column])));
            let expected = expected.filter_map(|(&t, bits)| Some((t, bits?)));
            prop_assert_eq!(read(&sealed, 7, column), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_flipped_bit_or_a_cut_is_an_error(rows in rows(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let good = sealed(&[1, 2, 3, 4, 5, 6], &rows);
        let at = at.index(good.len());
        prop_assert!(Sealed::open(&good[..at]).is_err());
        let mut bad = good;
        bad[at] ^= 1 << bit;
        prop_assert!(Sealed::open(&bad).is_err());
    }
}
