//! The parts of a block and what can be wrong with them; `BLOCK.md` is the layout.
//! Finds the parts and reads the list of gone series; holds no state (see `columns`).

use crate::number::{Cursor, NumberFault, window};

/// What one block did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Series that have a new value, or have one again.
    pub changed: usize,
    /// Series that have no value any more.
    pub gone: usize,
}

/// Why a block was refused. The state is as it was; the remedy is always to ask the peer for a key frame
/// (if that is refused too, the two ends do not mean the same series).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Shorter than the bitmap alone.
    #[error("truncated block: {length} bytes, and the bitmap of {series} series alone has {needed}")]
    Truncated {
        /// Bytes that came.
        length: usize,
        /// Bytes of the bitmap.
        needed: usize,
        /// Series defined.
        series: usize,
    },
    /// The bitmap marks a series that is not defined.
    #[error("the bitmap marks a series beyond the {series} that are defined")]
    BitBeyondEnd {
        /// Series defined.
        series: usize,
    },
    /// Nothing changed, which an empty block says.
    #[error("the block changes nothing; such a block must be empty")]
    NoChange,
    /// A delta that cannot be read.
    #[error("the delta of series {index} {fault}")]
    Delta {
        /// Series whose delta it is.
        index: usize,
        /// What is wrong.
        fault: NumberFault,
    },
    /// Marked as changed, with a delta of zero.
    #[error("series {index} is marked as changed, but its delta is zero")]
    ZeroDelta {
        /// Series whose delta it is.
        index: usize,
    },
    /// A delta that leads to a number its encoding cannot hold.
    #[error("overflow: the delta of series {index} leads out of the range of its encoding")]
    Overflow {
        /// Series whose delta it is.
        index: usize,
    },
    /// The list of gone series cannot be read.
    #[error("a number in the list of gone series {fault}")]
    GoneList {
        /// What is wrong.
        fault: NumberFault,
    },
    /// The list of gone series is there but has a count of zero.
    #[error("the list of gone series is there, but empty")]
    NoneGone,
    /// A series that is not defined goes absent.
    #[error("series {index} goes absent, but only {series} are defined")]
    GoneBeyondEnd {
        /// Index in the list.
        index: u64,
        /// Series defined.
        series: usize,
    },
    /// A series goes absent that has no value.
    #[error("series {index} goes absent, but was absent before")]
    GoneTwice {
        /// Index in the list.
        index: usize,
    },
    /// A series has both a delta and a place in the list of gone series.
    #[error("series {index} both changes and goes absent")]
    ChangedAndGone {
        /// Index in the list.
        index: usize,
    },
    /// Bytes after the end.
    #[error("{count} trailing bytes")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

/// Bytes of the bitmap of so many series.
pub(crate) fn bitmap_length(series: usize) -> usize {
    series.div_ceil(8)
}

/// Splits a block that is not empty into its bitmap, which marks no series beyond the last, and the rest.
pub(crate) fn split(block: &[u8], series: usize) -> Result<(&[u8], Cursor<'_>), BlockError> {
    let needed = bitmap_length(series);
    let truncated = BlockError::Truncated { length: block.len(), needed, series };
    let (bitmap, rest) = block.split_at_checked(needed).ok_or(truncated)?;
    let used = series % 8;
    match bitmap.last() {
        Some(last) if used > 0 && last >> used != 0 => Err(BlockError::BitBeyondEnd { series }),
        _ => Ok((bitmap, Cursor::new(rest))),
    }
}

/// The bitmap as 64-bit words, series 0 in the lowest bit of the first.
pub(crate) fn words(bitmap: &[u8]) -> impl Iterator<Item = u64> {
    bitmap.chunks(8).map(window)
}

/// Does the bitmap mark this series?
pub(crate) fn marks(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// The places of the set bits, lowest first.
pub(crate) struct Bits(pub(crate) u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0.checked_sub(1)?;
        Some(place)
    }
}

/// The list of gone series, read as it is asked for; rising by construction.
pub(crate) struct Gone<'a> {
    /// Where the next gap is.
    cursor: Cursor<'a>,
    /// How many are still to come.
    left: u64,
    /// The index that a gap of zero means.
    next: u64,
}

impl<'a> Gone<'a> {
    /// Opens the list at the end of the deltas, where nothing at all means none.
    pub(crate) fn open(mut cursor: Cursor<'a>) -> Result<Self, BlockError> {
        let mut left = 0;
        if cursor.left() > 0 {
            left = cursor.varint().map_err(|fault| BlockError::GoneList { fault })?;
            if left == 0 {
                return Err(BlockError::NoneGone);
            }
        }
        Ok(Gone { cursor, left, next: 0 })
    }

    /// Nothing may follow the list.
    pub(crate) fn finish(self) -> Result<(), BlockError> {
        match self.cursor.left() {
            0 => Ok(()),
            count => Err(BlockError::TrailingBytes { count }),
        }
    }
}

impl Iterator for Gone<'_> {
    /// An index, which may lie beyond the end.
    type Item = Result<u64, NumberFault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let index = self.cursor.varint().map(|gap| self.next.saturating_add(gap));
        if let Ok(index) = index {
            self.next = index.saturating_add(1);
        }
        Some(index)
    }
}
