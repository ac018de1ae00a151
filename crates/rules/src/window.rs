//! The latest samples of one series, as far back as a rule looks, and what they come to. Decides what goes out of the
//! window; whether the result is bad is not decided here.

use crate::Moment;
use farol_series::Reduce;
use std::cmp::Ordering;

/// No window holds more entries.
const MOST: u64 = 64;
/// The two clocks may differ by so much more than before: above it the monitor did not run, or the clock was set.
const SKEW_MS: u64 = 2_000;

/// What is known of a series within a window.
///
/// It holds at most 64 entries. Where more samples fit into the window than that, neighbours are put together, each
/// entry over a 62nd of the window or less: `avg max min last sum count` stay right, but that samples leave by entries; a `rate`
/// is right since the last sample of the oldest entry; `p95` is one of the entries' averages then. A sample that is exactly as old as the window is long is out.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The samples: a ring.
    entries: Box<[Entry]>,
    /// When the latest sample came: what is not later is left out.
    latest_ms: u64,
    /// A sample from before this moment goes into the newest entry.
    bucket_ends_ms: u64,
    /// The latest value, from which a counter grows.
    last: f64,
    /// How far the wall clock was ahead of the running one at the latest sample: a rate over time in which the monitor
    /// did not run would be too high.
    skew_ms: i64,
    /// So far back, at most a day: the entries' times are compared as `u32`.
    over_ms: u32,
    /// One entry spans so much at most.
    width_ms: u32,
    /// The place of the oldest entry.
    head: u8,
    /// How many there are.
    len: u8,
    /// What is asked for: an entry keeps only what that needs.
    how: Reduce,
}

/// One sample, or a few that came close together.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The latest one's running time, its lower half.
    t: u32,
    /// How many.
    count: u32,
    /// Their sum, extreme or latest, or by how much a counter grew since the entry before.
    value: f64,
}

impl Window {
    /// An empty window over at most 24 h, for samples that come so often (0: nobody knows).
    #[must_use]
    pub(crate) fn new(how: Reduce, over_ms: u64, interval_ms: u64) -> Self {
        let over = over_ms.clamp(1, 24 * 3_600_000);
        let fit = over.checked_div(interval_ms).map_or(MOST, |samples| samples + 3).clamp(3, MOST);
        // An entry may begin before the window, and a rate's first sample is one by itself.
        let whole = if how == Reduce::Rate { fit - 2 } else { fit - 1 };
        Self {
            entries: vec![Entry::default(); usize::try_from(fit).unwrap_or(3)].into(),
            latest_ms: 0,
            bucket_ends_ms: 0,
            last: f64::NAN,
            skew_ms: 0,
            over_ms: u32::try_from(over).unwrap_or(u32::MAX),
            width_ms: u32::try_from(over.div_ceil(whole)).unwrap_or(u32::MAX),
            head: 0,
            len: 0,
            how,
        }
    }

    /// Takes a sample and says what the window comes to; `None` where nothing can be said. A NaN is no sample, and
    /// neither is one that is not later than the latest.
    #[inline]
    pub(crate) fn push(&mut self, at: Moment, value: f64) -> Option<f64> {
        if value.is_nan() || (self.len > 0 && at.run_ms <= self.latest_ms) {
            return self.reduced();
        }
        let skew_ms = at.wall_ms.wrapping_sub(at.run_ms.cast_signed());
        let is_blind = self.how == Reduce::Rate && skew_ms.abs_diff(self.skew_ms) > SKEW_MS;
        if is_blind || at.run_ms - self.latest_ms.min(at.run_ms) >= u64::from(self.over_ms) {
            self.len = 0;
        }
        self.skew_ms = skew_ms;
        let grown = if value < self.last { value } else { value - self.last };
        let value_kept = match self.how {
            // What it grew before the first sample of a window is not asked for.
            Reduce::Rate => grown,
            _ => value,
        };
        self.last = value;
        self.expire(at.run_ms);
        self.append(at.run_ms, Entry { t: at.run_ms as u32, count: 1, value: value_kept });
        self.reduced()
    }

    /// Drops what is too old.
    #[inline]
    fn expire(&mut self, run_ms: u64) {
        while self.len > 0
            && (run_ms as u32).wrapping_sub(self.entries[usize::from(self.head)].t) >= self.over_ms
        {
            self.pop();
        }
    }

    #[inline]
    fn pop(&mut self) {
        self.head = if usize::from(self.head) + 1 == self.entries.len() { 0 } else { self.head + 1 };
        self.len -= 1;
    }

    /// Puts an entry at the end, or into the newest one.
    #[inline]
    fn append(&mut self, run_ms: u64, entry: Entry) {
        self.latest_ms = run_ms;
        let is_base = self.how == Reduce::Rate && self.len == 1;
        if self.len > 0 && run_ms < self.bucket_ends_ms && !is_base {
            let newest = self.place(self.len - 1);
            self.entries[newest].merge(entry, self.how);
            return;
        }
        if usize::from(self.len) == self.entries.len() {
            self.pop();
        }
        let free = self.place(self.len);
        self.entries[free] = entry;
        self.len += 1;
        self.bucket_ends_ms = run_ms.saturating_add(u64::from(self.width_ms));
    }

    #[inline]
    fn place(&self, index: u8) -> usize {
        let place = usize::from(self.head) + usize::from(index);
        if place >= self.entries.len() { place - self.entries.len() } else { place }
    }

    /// Oldest first.
    #[inline]
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let (head, len) = (usize::from(self.head), usize::from(self.len));
        let first = len.min(self.entries.len() - head);
        self.entries[head..head + first].iter().chain(&self.entries[..len - first])
    }

    /// What the samples come to as of the latest one; `None` where nothing can be said: there are none, or only one
    /// for a rate, or infinities of both signs.
    #[inline]
    #[must_use]
    pub(crate) fn reduced(&self) -> Option<f64> {
        if self.len == 0 {
            return None;
        }
        let values = self.iter().map(|entry| entry.value);
        let count = || self.iter().map(|entry| f64::from(entry.count)).sum::<f64>();
        let number = match self.how {
            Reduce::Avg => values.sum::<f64>() / count(),
            Reduce::Sum => values.sum(),
            Reduce::Count => count(),
            Reduce::Max => values.fold(f64::NEG_INFINITY, f64::max),
            Reduce::Min => values.fold(f64::INFINITY, f64::min),
            Reduce::Last => self.last,
            Reduce::Rate => self.rate()?,
            Reduce::P95 => self.p95(),
        };
        (!number.is_nan()).then_some(number)
    }

    fn rate(&self) -> Option<f64> {
        let oldest = self.iter().next().filter(|_| self.len > 1)?;
        let grown: f64 = self.iter().skip(1).map(|entry| entry.value).sum();
        let span_ms = (self.latest_ms as u32).wrapping_sub(oldest.t);
        Some(grown * 1_000.0 / f64::from(span_ms))
    }

    /// Interpolated between the two nearest, as over stored samples.
    fn p95(&self) -> f64 {
        let mut sorted = [0.0; MOST as usize];
        let sorted = &mut sorted[..usize::from(self.len)];
        for (place, entry) in sorted.iter_mut().zip(self.iter()) {
            *place = entry.value / f64::from(entry.count);
        }
        sorted.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
        let place = 0.95 * (sorted.len() - 1) as f64;
        let (low, part) = (sorted[place as usize], place.fract());
        let high = sorted.get(place as usize + 1).copied().unwrap_or(low);
        if part == 0.0 || high == low { low } else { low * (1.0 - part) + high * part }
    }

    /// Goes on where another window of the same series was, if it kept the same: its series may come at another
    /// interval now.
    pub(crate) fn go_on_from(&mut self, old: &Self) {
        if (self.how, self.over_ms) != (old.how, old.over_ms) {
            return;
        }
        (self.head, self.len) = (0, 0);
        for entry in old.iter() {
            let age = (old.latest_ms as u32).wrapping_sub(entry.t);
            self.append(old.latest_ms - u64::from(age), *entry);
        }
        (self.latest_ms, self.last, self.skew_ms) = (old.latest_ms, old.last, old.skew_ms);
    }
}

impl Entry {
    #[inline]
    fn merge(&mut self, later: Self, how: Reduce) {
        self.t = later.t;
        self.count = self.count.saturating_add(later.count);
        self.value = match how {
            Reduce::Avg | Reduce::Sum | Reduce::P95 | Reduce::Rate => self.value + later.value,
            Reduce::Max => self.value.max(later.value),
            Reduce::Min => self.value.min(later.value),
            Reduce::Last | Reduce::Count => later.value,
        };
    }
}

#[cfg(test)]
mod tests;
