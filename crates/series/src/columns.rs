//! One source's series: turns rows into blocks and blocks into rows.
//! Decides what counts as a change and that a refused block changes nothing; not when to send a key frame.

mod pick;

pub use pick::Pick;

use crate::block::{self, Applied, Bits, BlockError, Gone};
use crate::encoding::Encoding;
use crate::number::{self, Cursor, NumberFault};

/// One source's series in fixed order; sender and receiver keep one each, and the same blocks keep the two equal.
///
#[doc = include_str!("../BLOCK.md")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// How each series is carried; never changes, a wider one makes new columns.
    encodings: Box<[Encoding]>,
    /// The last word of each series, the base of its next delta; kept while the series is absent.
    words: Box<[u64]>,
    /// Which series have a value now: one bit each, so that whole words compare with a block's bitmap.
    present: Box<[u64]>,
}

/// A value does not fit its series' encoding: widen it, define the series anew, make new columns, start with a
/// key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value of series {index} does not fit its encoding: widen it and start with a key frame")]
pub struct NotHeld {
    /// The first such series.
    pub index: usize,
}

impl Columns {
    /// Columns before their first key frame: every series absent, every delta taken from zero.
    pub fn new(encodings: Vec<Encoding>) -> Self {
        let series = encodings.len();
        Columns {
            encodings: encodings.into(),
            words: vec![0; series].into(),
            present: vec![0; series.div_ceil(64)].into(),
        }
    }

    /// How many series there are, present or not.
    pub fn len(&self) -> usize {
        self.encodings.len()
    }

    /// Is there no series at all?
    pub fn is_empty(&self) -> bool {
        self.encodings.is_empty()
    }

    /// The encodings, in order.
    pub fn encodings(&self) -> &[Encoding] {
        &self.encodings
    }

    /// The last row: a value for each series, None where it is absent.
    pub fn values(&self) -> impl Iterator<Item = Option<f64>> {
        let words = self.encodings.iter().zip(&self.words).enumerate();
        words.map(|(index, (encoding, &word))| self.is_present(index).then(|| encoding.value(word)))
    }

    /// One series' value; None if it is absent or there is no such series.
    #[inline]
    pub fn value(&self, index: usize) -> Option<f64> {
        let encoding = self.encodings.get(index)?;
        self.is_present(index).then(|| encoding.value(self.words[index]))
    }

    /// Back to before the first key frame, so that the next block is one.
    pub fn reset(&mut self) {
        self.words.fill(0);
        self.present.fill(0);
    }

    /// Appends the block that leads from the last row to this one; nothing at all if they are equal.
    ///
    /// # Errors
    /// A value that its encoding does not hold. The state and `out` are then as they were.
    ///
    /// # Panics
    /// If `values` has not one entry for each series: the row was not made for these columns.
    pub fn encode(&mut self, values: &[Option<f64>], out: &mut Vec<u8>) -> Result<(), NotHeld> {
        assert_eq!(values.len(), self.len(), "a row has one entry for each series");
        let start = out.len();
        let deltas = start + block::bitmap_length(values.len());
        out.resize(deltas, 0);
        let mut gone = 0;
        for (index, &value) in values.iter().enumerate() {
            let present = self.is_present(index);
            let Some(value) = value else {
                gone += u64::from(present);
                continue;
            };
            let (encoding, base) = (self.encodings[index], self.words[index]);
            let Some(word) = encoding.word(value) else {
                self.take_back(&out[start..deltas], Cursor::new(&out[deltas..]), index);
                out.truncate(start);
                return Err(NotHeld { index });
            };
            if present && word == base {
                continue;
            }
            out[start + index / 8] |= 1 << (index % 8);
            match encoding {
                Encoding::Float => number::write_float_bits(base ^ word, out),
                _ => number::write_difference(word.wrapping_sub(base) as i64, out),
            }
            self.words[index] = word;
        }
        if gone > 0 {
            self.write_gone(values, gone, out);
        } else if out[start..deltas].iter().all(|&byte| byte == 0) {
            out.truncate(start);
        }
        for (present, row) in self.present.iter_mut().zip(values.chunks(64)) {
            *present = row.iter().rev().fold(0, |bits, value| bits << 1 | u64::from(value.is_some()));
        }
        Ok(())
    }

    /// Applies a peer's block. Allocates nothing; its work is bounded by the length of the block and [`Columns::len`].
    ///
    /// # Errors
    /// A block that is not exactly what [`Columns::encode`] would have made. The state is then as it was.
    pub fn apply(&mut self, block: &[u8]) -> Result<Applied, BlockError> {
        if block.is_empty() {
            return Ok(Applied::default());
        }
        let (bitmap, start) = block::split(block, self.len())?;
        let mut cursor = start;
        let changed = match self.add_deltas(bitmap, &mut cursor) {
            Ok(changed) => changed,
            Err((index, error)) => {
                self.take_back(bitmap, start, index);
                return Err(error);
            }
        };
        match self.check_gone(bitmap, cursor) {
            Ok(0) if changed == 0 => Err(BlockError::NoChange),
            Ok(gone) => {
                self.mark_present(bitmap, cursor);
                Ok(Applied { changed, gone })
            }
            Err(error) => {
                self.take_back(bitmap, start, self.len());
                Err(error)
            }
        }
    }

    /// How many series have a value.
    pub fn present(&self) -> usize {
        self.present.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// The last word of each series; that of an absent one means nothing.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Which series have a value, one bit each.
    pub(crate) fn presence(&self) -> &[u64] {
        &self.present
    }

    #[inline]
    fn is_present(&self, index: usize) -> bool {
        self.present.get(index / 64).is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }

    /// Appends the list of the series that go absent.
    fn write_gone(&self, values: &[Option<f64>], count: u64, out: &mut Vec<u8>) {
        number::write_varint(count, out);
        let mut next = 0;
        for (index, value) in values.iter().enumerate() {
            if value.is_none() && self.is_present(index) {
                number::write_varint((index - next) as u64, out);
                next = index + 1;
            }
        }
    }

    /// Adds each delta to its word and counts them. At the first one that is wrong, gives its index and what is
    /// wrong; the words before it have changed by then.
    fn add_deltas(&mut self, bitmap: &[u8], cursor: &mut Cursor<'_>) -> Result<usize, (usize, BlockError)> {
        let mut changed = 0;
        for (place, bits) in block::words(bitmap).enumerate() {
            let present = self.present[place];
            for bit in Bits(bits) {
                let index = place * 64 + bit;
                let encoding = self.encodings[index];
                let base = self.words[index];
                let word = next_word(encoding, base, cursor)
                    .map_err(|fault| (index, BlockError::Delta { index, fault }))?;
                if word == base && present >> bit & 1 == 1 {
                    return Err((index, BlockError::ZeroDelta { index }));
                }
                if !encoding.allows(word) {
                    return Err((index, BlockError::Overflow { index }));
                }
                self.words[index] = word;
            }
            changed += bits.count_ones() as usize;
        }
        Ok(changed)
    }

    /// Undoes [`Columns::add_deltas`] for the series before `end`: the same deltas, the other way.
    #[cold]
    fn take_back(&mut self, bitmap: &[u8], mut deltas: Cursor<'_>, end: usize) {
        for (place, bits) in block::words(bitmap).enumerate() {
            for index in Bits(bits).map(|bit| place * 64 + bit).take_while(|&index| index < end) {
                let read = match self.encodings[index] {
                    Encoding::Float => deltas.float_bits().map(|bits| self.words[index] ^ bits),
                    _ => deltas.difference().map(|less| self.words[index].wrapping_sub(less as u64)),
                };
                self.words[index] = read.expect("was read without fault a moment ago");
            }
        }
    }

    /// Judges the list of gone series against the presence before this block, and counts them.
    fn check_gone(&self, bitmap: &[u8], cursor: Cursor<'_>) -> Result<usize, BlockError> {
        let mut list = Gone::open(cursor)?;
        let mut gone = 0;
        for index in list.by_ref() {
            let index = index.map_err(|fault| BlockError::GoneList { fault })?;
            let beyond = BlockError::GoneBeyondEnd { index, series: self.len() };
            let index = usize::try_from(index).ok().filter(|&index| index < self.len()).ok_or(beyond)?;
            if block::marks(bitmap, index) {
                return Err(BlockError::ChangedAndGone { index });
            }
            if !self.is_present(index) {
                return Err(BlockError::GoneTwice { index });
            }
            gone += 1;
        }
        list.finish()?;
        Ok(gone)
    }

    /// Brings presence up to date, after everything has been judged.
    fn mark_present(&mut self, bitmap: &[u8], cursor: Cursor<'_>) {
        for (present, bits) in self.present.iter_mut().zip(block::words(bitmap)) {
            *present |= bits;
        }
        let list = Gone::open(cursor).expect("was opened without fault a moment ago");
        for index in list.map_while(Result::ok) {
            self.present[index as usize / 64] &= !(1 << (index % 64));
        }
    }
}

/// The word to which the next delta leads; not yet judged.
#[inline]
fn next_word(encoding: Encoding, base: u64, deltas: &mut Cursor<'_>) -> Result<u64, NumberFault> {
    match encoding {
        Encoding::Float => deltas.float_bits().map(|bits| base ^ bits),
        _ => deltas.difference().map(|more| base.wrapping_add(more as u64)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
