//! Following a few series of a source through its blocks: the others' deltas are stepped over, not read. For blocks
//! that were applied whole once, by whoever took them in; here they are not judged again.

use super::{Columns, next_word};
use crate::block::{self, BlockError, Gone};
use crate::encoding::Encoding;
use crate::number::{Cursor, NumberFault};

/// Which series of a source are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// One bit each.
    wanted: Box<[u64]>,
    /// Those that are written as the bits of floats: they cannot be stepped over together.
    floats: Box<[u64]>,
}

impl Pick {
    /// These series of the columns; those that are not there are left out.
    pub fn new(columns: &Columns, series: impl IntoIterator<Item = usize>) -> Self {
        let none = vec![0_u64; columns.len().div_ceil(64)];
        let (mut wanted, mut floats) = (none.clone(), none);
        for index in series.into_iter().filter(|index| *index < columns.len()) {
            wanted[index / 64] |= 1 << (index % 64);
        }
        for (index, encoding) in columns.encodings().iter().enumerate() {
            floats[index / 64] |= u64::from(*encoding == Encoding::Float) << (index % 64);
        }
        Self { wanted: wanted.into(), floats: floats.into() }
    }
}

impl Columns {
    /// Applies a block to the picked series alone; the values of the others mean nothing from then on, until a reset.
    ///
    /// # Errors
    /// A block in which they cannot be found. The state means nothing then.
    pub fn apply_to(&mut self, pick: &Pick, block: &[u8]) -> Result<(), BlockError> {
        if block.is_empty() {
            return Ok(());
        }
        let (bitmap, mut cursor) = block::split(block, self.len())?;
        let mut over = 0;
        for (place, bits) in block::words(bitmap).enumerate() {
            let mut left = bits;
            for bit in block::Bits(bits & (pick.wanted[place] | pick.floats[place])) {
                let index = place * 64 + bit;
                over += (left & ((1 << bit) - 1)).count_ones() as usize;
                left &= u64::MAX << bit << 1;
                self.step(index, std::mem::take(&mut over), &mut cursor)
                    .map_err(|fault| BlockError::Delta { index, fault })?;
            }
            over += left.count_ones() as usize;
        }
        cursor.skip(over).map_err(|fault| BlockError::Delta { index: self.len(), fault })?;
        for (present, bits) in self.present.iter_mut().zip(block::words(bitmap)) {
            *present |= bits;
        }
        for index in Gone::open(cursor)? {
            let index = index.map_err(|fault| BlockError::GoneList { fault })?;
            let beyond = BlockError::GoneBeyondEnd { index, series: self.len() };
            let index = usize::try_from(index).ok().filter(|index| *index < self.len()).ok_or(beyond)?;
            self.present[index / 64] &= !(1 << (index % 64));
        }
        Ok(())
    }

    /// Steps over so many deltas, and takes the next one for this series.
    #[inline]
    fn step(&mut self, index: usize, over: usize, cursor: &mut Cursor<'_>) -> Result<(), NumberFault> {
        cursor.skip(over)?;
        self.words[index] = next_word(self.encodings[index], self.words[index], cursor)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use proptest::strategy::Strategy;

    /// Rows of series of every encoding, some absent now and then.
    fn rows(series: usize) -> impl Strategy<Value = Vec<Vec<Option<i32>>>> {
        let value = proptest::option::weighted(0.8, -70_000..70_000_i32);
        proptest::collection::vec(proptest::collection::vec(value, series), 1..12)
    }

    fn columns(series: usize) -> Columns {
        let encodings = [Encoding::Integer, Encoding::Decimal(2), Encoding::Integer, Encoding::Float];
        Columns::new((0..series).map(|index| encodings[index * 7 % 4]).collect())
    }

    proptest! {
        #[test]
        fn picked_series_have_the_values_that_all_have(
            rows in rows(150),
            picked in proptest::collection::vec(0..150_usize, 0..4),
        ) {
            let (mut sender, mut whole, mut some) = (columns(150), columns(150), columns(150));
            let pick = Pick::new(&some, picked.iter().copied());
            for (round, row) in rows.iter().enumerate() {
                let row: Vec<Option<f64>> = row.iter().map(|value| value.map(f64::from)).collect();
                if round % 5 == 0 {
                    for columns in [&mut sender, &mut whole, &mut some] {
                        columns.reset();
                    }
                }
                let mut block = Vec::new();
                sender.encode(&row, &mut block).unwrap();
                whole.apply(&block).unwrap();
                some.apply_to(&pick, &block).unwrap();
                for index in &picked {
                    prop_assert_eq!(some.value(*index), whole.value(*index));
                }
            }
        }

        #[test]
        fn whatever_bytes_come_there_is_no_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            picked in 0..200_usize,
        ) {
            let mut some = columns(150);
            let pick = Pick::new(&some, [picked]);
            let _outcome = some.apply_to(&pick, &bytes);
        }
    }
}
