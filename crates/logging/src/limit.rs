//! The same line again and again is written a few times a second, then counted. Decides which lines are the same:
//! those of one place in the code whose message and texts are equal, whatever their numbers; and that one place
//! never writes more than fifty times as many. CRITICAL, DEBUG and access lines are always written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::correlation::ACCESS_TARGET;
use crate::otlp::TraceIds;
use crate::record::{Record, Severity, Shown, Value};

/// What is counted together.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
/// One place in the code may write so many times as much as one line of it.
const PLACE: u32 = 50;
/// So many lines are told apart; those for which there is no room are counted by their place alone.
const KEYS: usize = 1_024;
/// Of what was left out, each text is kept so far, and so many fields.
const KEPT_BYTES: usize = 512;
const KEPT_FIELDS: usize = 16;

/// Counts lines.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// A second may hold so many of one line; 0 is no limit.
    limit: u32,
    /// Something was left out and is not told yet.
    owes: AtomicBool,
    /// Keyed anew in each process: nobody can make lines of others look the same.
    hasher: RandomState,
    windows: Mutex<HashMap<u64, Window>>,
}

/// The second of one line, or of one place.
#[derive(Debug)]
struct Window {
    began: Instant,
    written: u32,
    /// What was left out in it.
    owed: Option<Owed>,
}

/// A line that was left out, and how often.
#[derive(Debug)]
pub(crate) struct Owed {
    severity: Severity,
    target: String,
    message: String,
    fields: Vec<(&'static str, Value)>,
    count: Value,
}

/// A line that asks whether it is written.
pub(crate) struct Line<'a> {
    pub(crate) severity: Severity,
    pub(crate) target: &'a str,
    pub(crate) message: &'a str,
    pub(crate) fields: &'a Shown<'a>,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    Written,
    /// The first that is left out: the writer has to know.
    CountedFirst,
    Counted,
}

impl Repeats {
    pub(crate) fn new(limit: u32) -> Self {
        let (owes, hasher) = (AtomicBool::new(false), RandomState::new());
        Self { limit, owes, hasher, windows: Mutex::default() }
    }

    /// `place` is where in the code the line stands.
    pub(crate) fn admit(&self, place: &impl Hash, line: &Line<'_>, now: Instant) -> Admitted {
        let always = matches!(line.severity, Severity::Critical | Severity::Debug);
        if self.limit == 0 || always || line.target == ACCESS_TARGET {
            return Admitted::Written;
        }
        let (line_key, place_key) = (self.key(place, Some(line)), self.key(place, None));
        let mut windows = self.windows.lock();
        let own = Self::count(&mut windows, line_key, self.limit, line, now);
        let whole = self.limit.saturating_mul(PLACE);
        let admitted = match own {
            // It has its own count, and is none of the place's.
            Some(false) => false,
            Some(true) | None => Self::count(&mut windows, place_key, whole, line, now).unwrap_or(true),
        };
        if admitted {
            Admitted::Written
        } else if self.owes.swap(true, SeqCst) {
            Admitted::Counted
        } else {
            Admitted::CountedFirst
        }
    }

    /// Whether the window of `key` has room for one more; `None` where there is no room for the window.
    fn count(
        windows: &mut HashMap<u64, Window>,
        key: u64,
        limit: u32,
        line: &Line<'_>,
        now: Instant,
    ) -> Option<bool> {
        if windows.len() >= KEYS && !windows.contains_key(&key) {
            windows.retain(|_, window| window.owed.is_some() || now.duration_since(window.began) < WINDOW);
            if windows.len() >= KEYS {
                return None;
            }
        }
        let window = match windows.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Window { began: now, written: 0, owed: None }),
        };
        // What an earlier second owes is told with this one's.
        if now.duration_since(window.began) >= WINDOW && window.owed.is_none() {
            (window.began, window.written) = (now, 0);
        }
        if window.written < limit {
            window.written += 1;
            return Some(true);
        }
        window.owed.get_or_insert_with(|| Owed::of(line)).add();
        Some(false)
    }

    fn key(&self, place: &impl Hash, line: Option<&Line<'_>>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        place.hash(&mut hasher);
        if let Some(line) = line {
            start_of(line.message).hash(&mut hasher);
            for (name, value) in line.fields {
                if let Value::Text(text) = value
                    && !TraceIds::has(name)
                {
                    (name, start_of(text)).hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    /// Whether somebody has to look at [`due`](Self::due) again.
    pub(crate) fn owes(&self) -> bool {
        self.owes.load(SeqCst)
    }

    /// What is to be told now: of the windows that are over, or of all.
    pub(crate) fn due(&self, now: Instant, all: bool) -> Vec<Owed> {
        if !self.owes() {
            return Vec::new();
        }
        let mut windows = self.windows.lock();
        let mut due = Vec::new();
        let mut later = false;
        windows.retain(|_, window| {
            let over = all || now.duration_since(window.began) >= WINDOW;
            if over {
                due.extend(window.owed.take());
            }
            later |= window.owed.is_some();
            !over
        });
        self.owes.store(later, SeqCst);
        due
    }
}

impl Owed {
    fn of(line: &Line<'_>) -> Self {
        let kept = |(name, value): &(&'static str, &Value)| {
            let value = match value {
                Value::Text(text) => Value::Text(start_of(text).to_owned()),
                other => (*other).clone(),
            };
            (*name, value)
        };
        Self {
            severity: line.severity,
            target: start_of(line.target).to_owned(),
            message: start_of(line.message).to_owned(),
            fields: line
                .fields
                .iter()
                .filter(|(name, _)| *name != "repeated" && !TraceIds::has(name))
                .take(KEPT_FIELDS)
                .map(kept)
                .collect(),
            count: Value::Unsigned(0),
        }
    }

    fn add(&mut self) {
        if let Value::Unsigned(count) = &mut self.count {
            *count += 1;
        }
    }

    /// The line again, with its count. Its request's ids are left out: there may have been many.
    pub(crate) fn record(&self, at: Timestamp) -> Record<'_> {
        let mut fields: Shown<'_> = self.fields.iter().map(|(name, value)| (*name, value)).collect();
        fields.push(("repeated", &self.count));
        Record {
            at,
            severity: self.severity,
            target: &self.target,
            correlation_id: None,
            message: &self.message,
            fields,
        }
    }
}

fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(KEPT_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::{Admitted, KEYS, Line, Owed, Repeats, WINDOW};
    use crate::record::{Severity, Value};
    use std::time::Duration;
    use tokio::time::Instant;

    fn admit(repeats: &Repeats, place: u32, message: &str, who: &str, now: Instant) -> Admitted {
        let (who, number) = (Value::Text(who.to_owned()), Value::Unsigned(u64::from(place)));
        let fields = vec![("who", &who), ("number", &number)];
        let line = Line { severity: Severity::Info, target: "t", message, fields: &fields };
        repeats.admit(&place, &line, now)
    }

    fn counts(owed: &[Owed]) -> Vec<(String, u64)> {
        let count = |owed: &Owed| match owed.count {
            Value::Unsigned(count) => count,
            _ => panic!("a count is a number"),
        };
        let mut counts: Vec<_> = owed.iter().map(|owed| (owed.message.clone(), count(owed))).collect();
        counts.sort();
        counts
    }

    #[test]
    fn a_line_is_written_so_often_a_second_then_counted_and_told() {
        let (repeats, now) = (Repeats::new(3), Instant::now());
        let told: Vec<_> = (0..6).map(|_| admit(&repeats, 1, "a", "x", now)).collect();
        let (written, counted) = (Admitted::Written, Admitted::Counted);
        assert_eq!(told, [written, written, written, Admitted::CountedFirst, counted, counted]);
        assert_eq!(admit(&repeats, 1, "a", "y", now), written, "another text is another line");
        assert_eq!(admit(&repeats, 2, "a", "x", now), written, "another place is another line");
        assert!(repeats.due(now + Duration::from_millis(999), false).is_empty() && repeats.owes());
        assert_eq!(counts(&repeats.due(now + WINDOW, false)), [("a".to_owned(), 3)]);
        assert!(!repeats.owes());
        assert_eq!(admit(&repeats, 1, "a", "x", now + WINDOW), written);
    }

    #[test]
    fn lines_of_different_traces_are_the_same_line() {
        let (repeats, now) = (Repeats::new(1), Instant::now());
        for (trace, expected) in [("4bf9", Admitted::Written), ("2f35", Admitted::CountedFirst)] {
            let (trace, who) = (Value::Text(trace.to_owned()), Value::Text("x".to_owned()));
            let fields = vec![("who", &who), ("trace_id", &trace), ("span_id", &trace)];
            let line = Line { severity: Severity::Info, target: "t", message: "m", fields: &fields };
            assert_eq!(repeats.admit(&1, &line, now), expected);
        }
        let owed = repeats.due(now, true);
        let names: Vec<_> = owed[0].fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["who"], "there may have been many traces");
    }

    #[test]
    fn a_place_whose_texts_always_change_is_held_too() {
        let (repeats, now) = (Repeats::new(2), Instant::now());
        let written = (0..500)
            .filter(|n| admit(&repeats, 1, "refused", &format!("10.0.0.1:{n}"), now) == Admitted::Written);
        assert_eq!(written.count(), 100);
        assert_eq!(counts(&repeats.due(now, true)), [("refused".to_owned(), 400)]);
    }

    #[test]
    fn memory_is_bounded_and_the_place_still_counts() {
        let (repeats, now) = (Repeats::new(1_000_000), Instant::now());
        for n in 0..5_000 {
            assert_eq!(admit(&repeats, 1, &n.to_string(), "x", now), Admitted::Written);
        }
        assert!(repeats.windows.lock().len() <= KEYS);
        assert_eq!(admit(&repeats, 1, "later", "x", now + WINDOW), Admitted::Written);
        assert!(repeats.windows.lock().len() <= 2, "windows that are over make room");
    }

    #[test]
    fn what_must_not_be_missed_is_never_counted() {
        let (repeats, now) = (Repeats::new(1), Instant::now());
        for (severity, target) in
            [(Severity::Critical, "t"), (Severity::Debug, "t"), (Severity::Info, "access")]
        {
            let line = Line { severity, target, message: "m", fields: &Vec::new() };
            assert!((0..100).all(|_| repeats.admit(&1, &line, now) == Admitted::Written), "{target}");
        }
        let off = Repeats::new(0);
        assert!((0..100).all(|_| admit(&off, 1, "a", "x", now) == Admitted::Written));
    }
}
