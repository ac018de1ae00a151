//! What the fuzz target and the ordinary test `tests/mutation.rs` both run on bytes: a peer's blocks, and rows of any bits.
//! Decides what must hold; where the bytes come from is the callers' matter.

use farol_series::{Applied, Columns, Encoding, NotHeld};

/// What the bytes led to, so that a caller can see that both ways were taken.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// Blocks that were taken.
    pub(crate) applied: usize,
    /// Blocks that were refused.
    pub(crate) refused: usize,
    /// Rows that went round.
    pub(crate) rows: usize,
}

/// The first byte chooses between blocks and rows and, with the second, says how many series there are.
pub(crate) fn exercise(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let [first, second, rest @ ..] = bytes else { return seen };
    let series = usize::from(*second) % 130;
    if first % 4 == 0 {
        rows(series, rest, &mut seen)
    } else {
        blocks(series, rest, &mut seen)
    }
    seen
}

/// Bytes as encodings, then as blocks, each after its length.
fn blocks(series: usize, bytes: &[u8], seen: &mut Seen) {
    let Some((kinds, mut rest)) = bytes.split_at_checked(series.div_ceil(8)) else { return };
    let mut columns = Columns::new(encodings(kinds, series));
    while let [length, tail @ ..] = rest {
        let (block, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        one_block(&mut columns, block, seen);
    }
}

/// A byte chooses for eight series, so that short inputs reach many.
pub(crate) fn encodings(kinds: &[u8], series: usize) -> Vec<Encoding> {
    let encoding = |index: usize| match kinds[index / 8].wrapping_add(index as u8) % 12 {
        0 | 1 => Encoding::Float,
        digits @ 2..=4 => Encoding::Decimal(digits),
        9 => Encoding::Decimal(9),
        _ => Encoding::Integer,
    };
    (0..series).map(encoding).collect()
}

/// A block is refused and changes nothing, or it is the one block that leads from the row before to the row after.
fn one_block(columns: &mut Columns, block: &[u8], seen: &mut Seen) {
    let before = columns.clone();
    match columns.apply(block) {
        Err(error) => {
            seen.refused += 1;
            assert!(*columns == before, "refused ({error}), yet the state changed");
            assert!(!error.to_string().is_empty());
        }
        Ok(Applied { changed, gone }) => {
            seen.applied += 1;
            assert!(changed + gone <= columns.len());
            let row: Vec<_> = columns.values().collect();
            let (mut sender, mut again) = (before, Vec::new());
            sender.encode(&row, &mut again).expect("an applied row is held");
            assert_eq!(again, block, "two blocks for one change");
            assert!(sender == *columns, "sender and receiver differ");
        }
    }
}

/// Bytes as values of any bits, some absent, some as before; encodings start narrow and are widened.
fn rows(series: usize, mut bytes: &[u8], seen: &mut Seen) {
    let mut sender = Columns::new(vec![Encoding::Integer; series]);
    let mut receiver = sender.clone();
    let mut row = vec![None; series];
    let mut block = Vec::new();
    while !bytes.is_empty() && series > 0 {
        for value in &mut row {
            let [kind, rest @ ..] = bytes else { break };
            bytes = rest;
            let mut word = [0; 8];
            let wanted = usize::from(kind >> 4).min(8).min(rest.len());
            let (taken, rest) = rest.split_at(wanted);
            word[..wanted].copy_from_slice(taken);
            match kind % 8 {
                0 => *value = None,
                1 | 2 => *value = Some(f64::from_bits(u64::from_le_bytes(word))),
                3 => *value = Some(f64::from_bits(u64::from_be_bytes(word))),
                4 => *value = Some(i64::from_le_bytes(word) as f64),
                digits @ 5..=6 => *value = Some(i64::from_le_bytes(word) as f64 / 10_f64.powi(digits as i32)),
                _ => continue,
            }
            bytes = rest;
        }
        block.clear();
        let mut before = sender.clone();
        while let Err(NotHeld { index }) = sender.encode(&row, &mut block) {
            assert!(block.is_empty() && sender == before, "refused, yet something was written");
            let mut encodings = sender.encodings().to_vec();
            let wider = encodings[index].widen(row[index].expect("an absent value is always held"));
            assert!(wider > encodings[index]);
            encodings[index] = wider;
            (sender, receiver) = (Columns::new(encodings.clone()), Columns::new(encodings));
            before = sender.clone();
        }
        receiver.apply(&block).expect("a block of our own");
        seen.rows += 1;
        let arrived = receiver.values().map(|value| value.map(f64::to_bits));
        assert!(arrived.eq(row.iter().map(|value| value.map(f64::to_bits))), "a row arrived changed");
        assert!(sender == receiver, "sender and receiver differ");
    }
}
