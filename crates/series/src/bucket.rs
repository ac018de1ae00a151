//! What the samples of one series within a stretch of time come to, and how two such become one.
//! Knows neither how long the stretches are nor how they are kept (see `rollup`).

/// The samples of one series within one stretch of time, at least one. A NaN is no sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where the stretch begins: a multiple of the roll-up's length.
    pub start_ms: i64,
    /// When its first sample was measured.
    pub first_ms: i64,
    /// When its last sample was measured.
    pub last_ms: i64,
    /// How many samples.
    pub count: u32,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Sum.
    pub sum: f64,
    /// The earliest value. Of what is no counter: NaN.
    pub first: f64,
    /// The latest value.
    pub last: f64,
    /// What a counter grew by from the first sample to the last, where a lower value means that it began again from
    /// zero. What it grew by before the first is seen from [`Bucket::first`] and the sample before, which another
    /// bucket may hold: so no growth is lost or counted twice, however buckets are cut. Of what is no counter: NaN.
    pub growth: f64,
}

impl Bucket {
    /// The bucket of one sample.
    pub(crate) fn of(start_ms: i64, t: i64, value: f64, counter: bool) -> Self {
        let (first, growth) = if counter { (value, 0.0) } else { (f64::NAN, f64::NAN) };
        Bucket {
            start_ms,
            first_ms: t,
            last_ms: t,
            count: 1,
            min: value,
            max: value,
            sum: value,
            first,
            last: value,
            growth,
        }
    }

    /// Takes in a later sample of the same stretch.
    #[inline]
    pub(crate) fn extend(&mut self, t: i64, value: f64, counter: bool) {
        if counter {
            self.growth += grown(self.last, value);
        }
        self.count = self.count.saturating_add(1);
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
        self.sum += value;
        self.last = value;
        self.last_ms = t;
    }

    /// Takes in another one of the same stretch. Their samples should not lie between each other's; where they do, and
    /// can be of one course, the growth of the one that began first counts, and what it became after that: growth counts
    /// once, and only what a restart of the counter in there took is unknown. Where they cannot, as the times of two
    /// boots may lie, each grew by itself.
    pub(crate) fn join(&mut self, other: &Bucket) {
        let (early, late) = if (other.first_ms, other.last_ms) < (self.first_ms, self.last_ms) {
            (other, &*self)
        } else {
            (&*self, other)
        };
        let last = if late.last_ms >= early.last_ms { late } else { early };
        let more = if late.first_ms > early.last_ms {
            grown(early.last, late.first) + late.growth
        } else if late.first < early.first || late.first > early.last {
            late.growth
        } else if late.last_ms > early.last_ms {
            grown(early.last, late.last)
        } else {
            0.0
        };
        *self = Bucket {
            start_ms: self.start_ms,
            first_ms: early.first_ms,
            last_ms: last.last_ms,
            count: early.count.saturating_add(late.count),
            min: if late.min < early.min { late.min } else { early.min },
            max: if late.max > early.max { late.max } else { early.max },
            sum: early.sum + late.sum,
            first: early.first,
            last: last.last,
            growth: early.growth + more,
        };
    }
}

/// What a counter grew by between two samples. A value lower than the one before means that it began again from zero.
pub(crate) fn grown(before: f64, value: f64) -> f64 {
    if value < before { value } else { value - before }
}
