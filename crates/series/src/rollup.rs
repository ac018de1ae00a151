//! Roll-ups: the buckets of many series, by position in a layout, of one length.
//! Decides which bucket a sample belongs to, and how roll-ups are joined and made coarser; their bytes are `coded`'s.

mod coded;

pub use coded::SealedRollup;

use crate::bucket::Bucket;
use crate::encoding::Encoding;
use crate::envelope::SealedError;
use crate::sealer::Full;

/// What a roll-up must know of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolled {
    /// How its samples are carried: its buckets are kept the same way where they can be.
    pub encoding: Encoding,
    /// Does it count up? Only then is its growth known.
    pub counter: bool,
}

/// The buckets of many series. A series is known by its position; one that is not kept just has no buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// How long a bucket is; at least 1.
    length_ms: i64,
    /// What is known of each series, in order.
    kinds: Vec<Rolled>,
    /// The buckets of each series, in order of time, one for each stretch that has samples.
    series: Vec<Vec<Bucket>>,
}

/// Two roll-ups cannot become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// One length is no multiple of the other, or is not above zero.
    #[error("buckets of {from} ms cannot become buckets of {to} ms")]
    Length {
        /// What there is.
        from: i64,
        /// What it should become.
        to: i64,
    },
    /// They are of different layouts.
    #[error("one roll-up has {0} series, the other {1}, or they differ in kind")]
    Series(usize, usize),
}

impl Rollup {
    /// No buckets yet, of this length (at least 1 ms).
    pub fn new(length_ms: i64, kinds: impl IntoIterator<Item = Rolled>) -> Self {
        let kinds: Vec<Rolled> = kinds.into_iter().collect();
        Rollup { length_ms: length_ms.max(1), series: vec![Vec::new(); kinds.len()], kinds }
    }

    /// How long a bucket is.
    pub fn length_ms(&self) -> i64 {
        self.length_ms
    }

    /// What is known of each series.
    pub fn kinds(&self) -> &[Rolled] {
        &self.kinds
    }

    /// The buckets of a series in order of time; none if there is no such series.
    pub fn buckets(&self, series: usize) -> &[Bucket] {
        self.series.get(series).map_or(&[], Vec::as_slice)
    }

    /// Is there no bucket at all?
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(Vec::is_empty)
    }

    /// Takes a sample of a series. A NaN is left out, and so is one that is not later than the one before it.
    ///
    /// # Panics
    /// If there is no such series.
    #[inline]
    pub fn add(&mut self, series: usize, t: i64, value: f64) {
        let buckets = &mut self.series[series];
        let counter = self.kinds[series].counter;
        let Some(bucket) = buckets.last_mut() else {
            if !value.is_nan() {
                buckets.push(Bucket::of(start(t, self.length_ms), t, value, counter));
            }
            return;
        };
        if value.is_nan() || t <= bucket.last_ms {
            return;
        }
        if t.abs_diff(bucket.start_ms) < self.length_ms.unsigned_abs() {
            bucket.extend(t, value, counter);
        } else {
            buckets.push(Bucket::of(start(t, self.length_ms), t, value, counter));
        }
    }

    /// Takes buckets of a series, of this length and in order of time, into those that are there.
    ///
    /// # Panics
    /// If there is no such series.
    pub fn absorb(&mut self, series: usize, buckets: &[Bucket]) {
        let mine = &mut self.series[series];
        let mut sorted = true;
        if mine.last().zip(buckets.first()).is_some_and(|(last, first)| first.start_ms <= last.start_ms) {
            sorted = false;
        }
        mine.extend_from_slice(buckets);
        if !sorted {
            mine.sort_by_key(|bucket| bucket.start_ms);
        }
        mine.dedup_by(|next, kept| {
            let same = next.start_ms == kept.start_ms;
            if same {
                kept.join(next);
            }
            same
        });
    }

    /// Takes another roll-up of the same layout and length into this one: partial buckets of one stretch become one.
    ///
    /// # Errors
    /// They are not of the same layout and length. Nothing has changed then.
    pub fn merge(&mut self, other: &Rollup) -> Result<(), Mismatch> {
        if self.length_ms != other.length_ms {
            return Err(Mismatch::Length { from: other.length_ms, to: self.length_ms });
        }
        if self.kinds != other.kinds {
            return Err(Mismatch::Series(self.kinds.len(), other.kinds.len()));
        }
        for (index, buckets) in other.series.iter().enumerate() {
            self.absorb(index, buckets);
        }
        Ok(())
    }

    /// The same in longer buckets.
    ///
    /// # Errors
    /// The new length is no multiple of the length there is.
    pub fn coarsen(&self, length_ms: i64) -> Result<Rollup, Mismatch> {
        if length_ms < self.length_ms || length_ms % self.length_ms != 0 {
            return Err(Mismatch::Length { from: self.length_ms, to: length_ms });
        }
        let mut coarse = Rollup::new(length_ms, self.kinds.iter().copied());
        for (index, buckets) in self.series.iter().enumerate() {
            let mut longer = buckets.clone();
            longer.iter_mut().for_each(|bucket| bucket.start_ms = start(bucket.first_ms, length_ms));
            coarse.absorb(index, &longer);
        }
        Ok(coarse)
    }

    /// When its first and its last sample were measured.
    pub fn times(&self) -> Option<(i64, i64)> {
        let all = || self.series.iter().flatten();
        all().map(|bucket| bucket.first_ms).min().zip(all().map(|bucket| bucket.last_ms).max())
    }

    /// Two of it, where it is too large for one: the earlier stretches and the later ones, or where there is only one
    /// stretch the first series that have something and the others. `None` if there is nothing to part.
    pub fn halves(mut self) -> Option<(Rollup, Rollup)> {
        let starts = || self.series.iter().flatten().map(|bucket| bucket.start_ms);
        let (first, last) = starts().min().zip(starts().max())?;
        let mut late = Rollup::new(self.length_ms, self.kinds.iter().copied());
        if first < last {
            let middle = first.midpoint(last);
            for (mine, others) in self.series.iter_mut().zip(&mut late.series) {
                *others = mine.split_off(mine.partition_point(|bucket| bucket.start_ms <= middle));
            }
            return Some((self, late));
        }
        let there: Vec<usize> = (0..self.series.len()).filter(|at| !self.series[*at].is_empty()).collect();
        let from = there.get(there.len().div_ceil(2))?;
        for at in *from..self.series.len() {
            late.series[at] = std::mem::take(&mut self.series[at]);
        }
        Some((self, late))
    }

    /// The roll-up as bytes. Sums and growth of decimals are written as the decimals they should be, without what
    /// adding doubles did to their last digits; all else is kept bit for bit.
    ///
    /// # Errors
    /// It is too large to be read again: make several of it, by [`Rollup::halves`].
    pub fn encode(&self) -> Result<Vec<u8>, Full> {
        coded::encode(self)
    }

    /// Reads what [`Rollup::encode`] gives.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, SealedError> {
        let sealed = SealedRollup::open(bytes)?;
        let series = (0..sealed.kinds().len()).map(|index| sealed.buckets(index));
        let series = series.collect::<Result<_, _>>()?;
        Ok(Rollup { length_ms: sealed.length_ms(), kinds: sealed.kinds().to_vec(), series })
    }
}

/// Where the bucket of a moment begins.
fn start(t: i64, length_ms: i64) -> i64 {
    t.div_euclid(length_ms).saturating_mul(length_ms)
}

#[cfg(test)]
mod tests;
