//! How fast the local API may be told: a bucket of tokens for each declared name, and one for all that is not
//! declared. Pure. One name's flood takes nothing from another's.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Words a second, in the long run.
const RATE: f64 = 10.0;
/// Words at once.
const BURST: f64 = 30.0;

/// All buckets.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// At most as many as there are declared names; see [`Self::keep`].
    of_names: HashMap<String, Bucket>,
    /// Of requests for names that are not declared.
    of_others: Option<Bucket>,
}

impl Buckets {
    /// Forgets names that are gone, once there are more buckets than names.
    pub(super) fn keep(&mut self, is_declared: impl Fn(&str) -> bool, declared: usize) {
        if self.of_names.len() > declared {
            self.of_names.retain(|name, _| is_declared(name));
        }
    }

    /// Takes a token of a declared name, or of all others.
    ///
    /// # Errors
    /// There is none; how long until there is.
    pub(super) fn take(&mut self, name: Option<&str>, now: Instant) -> Result<(), Duration> {
        match name {
            None => self.of_others.get_or_insert_with(|| Bucket::full(now)).take(now),
            Some(name) => match self.of_names.get_mut(name) {
                Some(bucket) => bucket.take(now),
                None => self.of_names.entry(name.to_owned()).or_insert_with(|| Bucket::full(now)).take(now),
            },
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// What may be taken, as of `at`.
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(now: Instant) -> Self {
        Self { tokens: BURST, at: now }
    }

    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        *self = Self { tokens: (self.tokens + since * RATE).min(BURST), at: now };
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_ten_a_second_and_no_other_name_suffers() {
        let start = Instant::now();
        let mut buckets = Buckets::default();
        let mut passed = 0;
        while buckets.take(Some("a"), start).is_ok() {
            passed += 1;
        }
        assert_eq!(passed, 30);
        let wait = buckets.take(Some("a"), start).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "{wait:?}");
        assert!(buckets.take(Some("b"), start).is_ok());
        assert!(buckets.take(None, start).is_ok());
        let mut later = start;
        let mut passed = 0;
        for _ in 0..10_000 {
            later += Duration::from_millis(1);
            passed += usize::from(buckets.take(Some("a"), later).is_ok());
        }
        assert!((99..=101).contains(&passed), "{passed}");
        let hour = later + Duration::from_secs(3_600);
        assert_eq!((0..100).filter(|_| buckets.take(Some("a"), hour).is_ok()).count(), 30, "no hoard");
    }

    #[test]
    fn buckets_of_names_that_are_gone_are_forgotten() {
        let now = Instant::now();
        let mut buckets = Buckets::default();
        for name in ["a", "b", "c"] {
            buckets.take(Some(name), now).unwrap();
        }
        buckets.keep(|_| true, 3);
        assert_eq!(buckets.of_names.len(), 3);
        buckets.keep(|name| name == "b", 1);
        assert_eq!(buckets.of_names.keys().collect::<Vec<_>>(), ["b"]);
    }
}
