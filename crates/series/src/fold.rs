//! A range answered from samples, from buckets, or from both: what lies further back is known as roll-ups only.
//! Decides which step a bucket belongs to and what it cannot answer.

use crate::bucket::Bucket;
use crate::range::{self, Point, RangeError};
use crate::reduce::{Reduce, Tally};

/// Takes samples and buckets of one series in order of time and gives the points of a range.
///
/// A sample belongs to the step it lies in, a bucket to the step its first sample lies in: where `from` and `step` are
/// multiples of the bucket's length, a bucket lies in one step, and the answer is the one its samples would have
/// given. What lies before `from` only tells a rate where to start. What is not later than what came before is left
/// out, so that nothing counts twice. A step without anything is a gap, and stays one.
#[derive(Debug)]
pub struct Fold {
    /// Where the range begins.
    from: i64,
    /// Where it ends.
    to: i64,
    /// How long a step is; at least 1.
    step: i64,
    /// How many points there will be.
    count: usize,
    /// The steps that are over.
    points: Vec<Point>,
    /// Where the step begins that is being filled.
    start: i64,
    /// What it holds so far.
    tally: Tally,
}

/// A reduction needs the samples themselves, and only buckets are left of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} needs the samples themselves, and only roll-ups are left of them: ask for a later range, or for avg, min or max"
)]
pub struct NeedsSamples(pub Reduce);

impl Reduce {
    /// Can buckets not answer it?
    pub fn needs_samples(self) -> bool {
        self == Reduce::P95
    }
}

impl Fold {
    /// An empty range.
    ///
    /// # Errors
    /// What [`steps`](crate::steps) refuses.
    pub fn new(from: i64, to: i64, step: i64, how: Reduce) -> Result<Self, RangeError> {
        let count = range::steps(from, to, step)?;
        let points = Vec::with_capacity(count);
        Ok(Fold { from, to, step, count, points, start: from, tally: Tally::new(how) })
    }

    /// Takes a sample.
    #[inline]
    pub fn sample(&mut self, t: i64, value: f64) {
        if t >= self.to {
            return;
        }
        if t < self.from {
            return self.tally.precede(t, value);
        }
        self.reach(t);
        self.tally.add(t, value);
    }

    /// Takes a sample of which it is known what it grew from: not from the sample that came last, where clocks were set
    /// and times lie between one another. `None`: nobody knows.
    pub fn sample_after(&mut self, t: i64, value: f64, before: Option<(i64, f64)>) {
        if t < self.from || t >= self.to {
            return self.sample(t, value);
        }
        self.reach(t);
        self.tally.add_after(t, value, before);
    }

    /// Takes a bucket.
    ///
    /// # Errors
    /// The reduction needs samples. The range goes on as if the bucket were not there.
    pub fn bucket(&mut self, bucket: &Bucket) -> Result<(), NeedsSamples> {
        if self.tally.how().needs_samples() {
            return Err(NeedsSamples(self.tally.how()));
        }
        if bucket.first_ms >= self.to {
            return Ok(());
        }
        if bucket.last_ms < self.from {
            self.tally.precede(bucket.last_ms, bucket.last);
            return Ok(());
        }
        self.reach(bucket.first_ms);
        self.tally.add_bucket(bucket);
        Ok(())
    }

    /// The points: one for each step.
    pub fn finish(mut self) -> Vec<Point> {
        while self.points.len() < self.count {
            self.close();
        }
        self.points
    }

    /// Ends the steps before the one this moment lies in.
    #[inline]
    fn reach(&mut self, t: i64) {
        // One point less than all, so that the last step is still open for it.
        while self.points.len() + 1 < self.count
            && t > self.start
            && t.abs_diff(self.start) >= self.step.unsigned_abs()
        {
            self.close();
        }
    }

    fn close(&mut self) {
        self.points.push(Point { t: self.start, value: self.tally.take() });
        self.start = self.start.saturating_add(self.step);
    }
}

#[cfg(test)]
mod tests;
