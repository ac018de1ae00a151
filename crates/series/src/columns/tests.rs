//! Rows that come back bit for bit, and blocks that no honest peer sends.

use super::{Columns, NotHeld};
use crate::{Applied, BlockError, Encoding, NumberFault};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

pub(crate) type Row = Vec<Option<f64>>;

pub(crate) fn bits(row: impl IntoIterator<Item = Option<f64>>) -> Vec<Option<u64>> {
    row.into_iter().map(|value| value.map(f64::to_bits)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn four() -> Columns {
    Columns::new(vec![Encoding::Integer, Encoding::Decimal(2), Encoding::Float, Encoding::Integer])
}

#[test]
fn the_layout_example_is_true() {
    let rows = [
        [Some(300.0), Some(0.75), Some(0.5), None],
        [Some(301.0), Some(0.75), Some(0.25), None],
        [None, Some(0.75), Some(0.25), Some(7.0)],
        [None, Some(0.75), Some(0.25), Some(7.0)],
        [Some(301.0), Some(0.75), Some(0.25), Some(7.0)],
    ];
    let blocks = ["07d8049601d1fe03", "0502d003", "080e0100", "", "0100"];
    let (mut sender, mut receiver) = (four(), four());
    for (row, block) in rows.iter().zip(blocks) {
        let mut out = Vec::new();
        sender.encode(row, &mut out).expect("all values are held");
        assert_eq!(hex(&out), block);
        receiver.apply(&out).expect("own block");
        assert_eq!(bits(receiver.values()), bits(row.iter().copied()));
    }
    let written = include_str!("../../BLOCK.md").replace(' ', "");
    for block in blocks {
        assert!(block.is_empty() || written.contains(&format!("`{block}`")), "{block} is not in the layout");
    }
}

#[test]
fn applied_counts_what_changed_and_what_went() {
    let mut columns = four();
    let apply = |columns: &mut Columns, block: &[u8]| columns.apply(block).expect("good block");
    assert_eq!(apply(&mut columns, &[7, 2, 2, 0, 1]), Applied { changed: 3, gone: 0 });
    assert_eq!(apply(&mut columns, &[]), Applied { changed: 0, gone: 0 });
    assert_eq!(apply(&mut columns, &[1, 2, 2, 1, 0]), Applied { changed: 1, gone: 2 });
    assert_eq!(columns.value(0), Some(2.0));
    assert_eq!(columns.values().collect::<Row>(), [Some(2.0), None, None, None]);
    assert_eq!((columns.value(1), columns.value(4)), (None, None));
}

#[test]
fn each_hostile_block_is_named_and_changes_nothing() {
    use BlockError::*;
    let cut = NumberFault::Truncated;
    let cases: Vec<(&[u8], BlockError)> = vec![
        (&[0x10], BitBeyondEnd { series: 4 }),
        (&[0x80, 0], BitBeyondEnd { series: 4 }),
        (&[0], NoChange),
        (&[1], Delta { index: 0, fault: cut }),
        (&[1, 0x80], Delta { index: 0, fault: cut }),
        (&[3, 2], Delta { index: 1, fault: cut }),
        (&[5, 2, 0x07, 1], Delta { index: 2, fault: cut }),
        (
            &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            Delta { index: 0, fault: NumberFault::TooLong },
        ),
        (&[1, 0x82, 0], Delta { index: 0, fault: NumberFault::NotShortest }),
        (&[5, 2, 1, 1, 0], Delta { index: 2, fault: NumberFault::NotShortest }),
        (&[3, 2, 0], ZeroDelta { index: 1 }),
        (&[5, 2, 0, 0], ZeroDelta { index: 2 }),
        (&[1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20], Overflow { index: 0 }),
        (&[3, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08], Overflow { index: 1 }),
        (&[1, 2, 0], NoneGone),
        (&[0, 1], GoneList { fault: cut }),
        (&[0, 0x80], GoneList { fault: cut }),
        (&[1, 2, 2, 1], GoneList { fault: cut }),
        (&[0, 1, 4], GoneBeyondEnd { index: 4, series: 4 }),
        (&[0, 2, 0, 3], GoneBeyondEnd { index: 4, series: 4 }),
        (
            &[0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            GoneBeyondEnd { index: (1 << 56) - 1, series: 4 },
        ),
        (&[0, 1, 3], GoneTwice { index: 3 }),
        (&[1, 2, 1, 0], ChangedAndGone { index: 0 }),
        (&[8, 2, 1, 3], ChangedAndGone { index: 3 }),
        (&[1, 2, 1, 1, 9, 9], TrailingBytes { count: 2 }),
    ];
    let mut columns = four();
    columns.encode(&[Some(5.0), Some(1.5), Some(0.1), None], &mut Vec::new()).expect("held");
    let before = columns.clone();
    for (block, error) in cases {
        assert_eq!(columns.apply(block), Err(error), "{block:x?}");
        assert_eq!(columns, before, "{block:x?}");
    }
    let mut many = Columns::new(vec![Encoding::Integer; 17]);
    assert_eq!(many.apply(&[1, 2]), Err(Truncated { length: 2, needed: 3, series: 17 }));
    let mut none = Columns::new(Vec::new());
    assert_eq!(none.apply(&[]), Ok(Applied::default()));
    assert_eq!(none.apply(&[0]), Err(NoneGone));
    assert_eq!(none.apply(&[1, 0]), Err(GoneBeyondEnd { index: 0, series: 0 }));
}

#[test]
fn a_number_at_the_edge_of_its_range_may_not_step_over_it() {
    let edge = 9_007_199_254_740_992.0;
    let mut columns = Columns::new(vec![Encoding::Integer]);
    let mut block = Vec::new();
    columns.encode(&[Some(edge)], &mut block).expect("held");
    block.clear();
    columns.encode(&[Some(-edge)], &mut block).expect("held");
    assert_eq!(block.len(), 1 + 8);
    assert_eq!(columns.apply(&[1, 1]), Err(BlockError::Overflow { index: 0 }));
    assert_eq!(columns.value(0), Some(-edge));
    assert_eq!(columns.encode(&[Some(edge * 2.0)], &mut block), Err(NotHeld { index: 0 }));
}

#[test]
fn a_row_that_is_not_held_changes_neither_state_nor_output() {
    let mut columns = four();
    columns.encode(&[Some(5.0), Some(1.5), Some(0.1), None], &mut Vec::new()).expect("held");
    let before = columns.clone();
    let mut out = b"before".to_vec();
    let row = [Some(6.0), Some(1.75), Some(f64::NAN), Some(0.5)];
    assert_eq!(columns.encode(&row, &mut out), Err(NotHeld { index: 3 }));
    assert_eq!((columns, out.as_slice()), (before, b"before".as_slice()));
}

#[test]
#[should_panic(expected = "one entry for each series")]
fn a_row_made_for_other_columns_is_a_mistake_of_the_program() {
    four().encode(&[None; 3], &mut Vec::new()).expect("panics before");
}

pub(crate) fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i64>().prop_map(|number| number as f64),
        (-1000_i64..1000).prop_map(|number| number as f64),
        (any::<i32>(), 0_i32..11).prop_map(|(number, digits)| f64::from(number) / 10_f64.powi(digits)),
        any::<f32>().prop_map(f64::from),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::from_bits(0xfff0_dead_beef_0001),
            f64::from_bits(1),
            f64::MIN_POSITIVE,
            f64::MAX,
            9_007_199_254_740_992.0,
            9_007_199_254_740_994.0,
            -9_007_199_254_740_993.0,
        ]),
    ]
}

/// Rows of one width; each value is absent, new, or the same as in the row before.
pub(crate) fn rows() -> impl Strategy<Value = Vec<Row>> {
    (0_usize..90, 1_usize..6).prop_flat_map(|(width, count)| {
        let cell = prop_oneof![
            1 => proptest::strategy::Just(None),
            3 => value().prop_map(|value| Some(Some(value))),
            3 => proptest::strategy::Just(Some(None)),
        ];
        prop::collection::vec(prop::collection::vec(cell, width), count).prop_map(fill)
    })
}

fn fill(cells: Vec<Vec<Option<Option<f64>>>>) -> Vec<Row> {
    let mut last = vec![0.0; cells[0].len()];
    let fill_row = |row: Vec<Option<Option<f64>>>| -> Row {
        let cells = row.into_iter().zip(&mut last);
        cells.map(|(cell, last)| cell.map(|new| *last = new.unwrap_or(*last)).map(|()| *last)).collect()
    };
    cells.into_iter().map(fill_row).collect()
}

proptest! {
    #[test]
    fn every_row_arrives_bit_for_bit_while_encodings_widen_on_the_way(rows in rows()) {
        let mut sender = Columns::new(vec![Encoding::Integer; rows[0].len()]);
        let mut receiver = sender.clone();
        let mut block = Vec::new();
        for row in &rows {
            block.clear();
            while let Err(NotHeld { index }) = sender.encode(row, &mut block) {
                prop_assert!(block.is_empty());
                let mut encodings = sender.encodings().to_vec();
                let wider = encodings[index].widen(row[index].expect("an absent value is always held"));
                prop_assert!(wider > encodings[index]);
                encodings[index] = wider;
                // Defined anew on both ends: a key frame follows.
                sender = Columns::new(encodings.clone());
                receiver = Columns::new(encodings);
            }
            receiver.apply(&block).expect("a block of our own");
            prop_assert_eq!(bits(receiver.values()), bits(row.iter().copied()));
            prop_assert_eq!(&receiver, &sender);
        }
    }

    #[test]
    fn a_key_frame_needs_nothing_before_it(rows in rows()) {
        let mut sender = Columns::new(vec![Encoding::Float; rows[0].len()]);
        let mut block = Vec::new();
        for row in &rows {
            block.clear();
            sender.encode(row, &mut block).expect("a float holds everything");
            prop_assert!(block.len() <= row.len().div_ceil(8) + 9 * row.len() + 3);
        }
        block.clear();
        let last = rows[rows.len() - 1].clone();
        sender.encode(&last, &mut block).expect("a float holds everything");
        prop_assert!(block.is_empty(), "the same row again is an empty block");
        sender.reset();
        sender.encode(&last, &mut block).expect("a float holds everything");
        let mut fresh = Columns::new(sender.encodings().to_vec());
        fresh.apply(&block).expect("a key frame");
        prop_assert_eq!(bits(fresh.values()), bits(last));
    }
}
