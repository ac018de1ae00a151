//! Rate, errors and duration of requests by route and method, in a table that is made once: counting takes no lock,
//! and a path that nobody serves has no row of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::Method;

/// Upper bounds in seconds; longer requests are in the count alone.
pub const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "other"];
/// The route of what has none.
const OTHER: &str = "other";

/// The requests of one listener.
#[derive(Debug)]
pub struct Requests {
    listener: &'static str,
    /// In order, so that one is found by halving.
    routes: Vec<(String, [Cell; METHODS.len()])>,
    other: [Cell; METHODS.len()],
}

/// One route and method.
#[derive(Debug, Default)]
struct Cell {
    count: AtomicU64,
    errors: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
}

/// Where a request is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    route: Option<usize>,
    method: usize,
}

/// What was counted of one route and method.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// The listener.
    pub listener: &'static str,
    /// The route as its table has it, or `other`.
    pub route: &'a str,
    /// The method, or `other`.
    pub method: &'static str,
    /// Requests that ended.
    pub count: u64,
    /// Those that the server failed: HTTP 5xx, and gRPC's like.
    pub errors: u64,
    /// The sum of their durations.
    pub seconds: f64,
    /// How many took no longer than each of [`BUCKETS`].
    pub buckets: [u64; BUCKETS.len()],
}

impl Requests {
    /// `routes` as they are matched, or whole paths.
    pub fn new(listener: &'static str, routes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut routes: Vec<_> = routes.into_iter().map(|route| (route.into(), Default::default())).collect();
        routes.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
        routes.dedup_by(|a, b| a.0 == b.0);
        Self { listener, routes, other: Default::default() }
    }

    /// Whether this path has a row of its own.
    pub(super) fn knows(&self, path: &str) -> bool {
        self.routes.binary_search_by(|(known, _)| known.as_str().cmp(path)).is_ok()
    }

    pub(super) fn slot(&self, path: &str, route: Option<&str>, method: &Method) -> Slot {
        let find = |name: &str| self.routes.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok();
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        Slot { route: route.and_then(find).or_else(|| find(path)), method }
    }

    pub(super) fn count(&self, slot: Slot, failed: bool, took: Duration) {
        let cells = slot.route.map_or(&self.other, |at| &self.routes[at].1);
        let cell = &cells[slot.method];
        cell.count.fetch_add(1, Relaxed);
        cell.errors.fetch_add(u64::from(failed), Relaxed);
        cell.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        let seconds = took.as_secs_f64();
        if let Some(at) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            cell.buckets[at].fetch_add(1, Relaxed);
        }
    }

    /// What was counted so far; routes that nobody asked for have no row.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let other = std::iter::once((OTHER, &self.other));
        self.routes.iter().map(|(route, cells)| (route.as_str(), cells)).chain(other).flat_map(
            move |(route, cells)| {
                let asked = cells.iter().zip(METHODS).filter(|(cell, _)| cell.count.load(Relaxed) > 0);
                asked.map(move |(cell, method)| cell.row(self.listener, route, method))
            },
        )
    }
}

impl Cell {
    #[expect(clippy::cast_precision_loss, reason = "microseconds below 2^53 are 285 years")]
    fn row<'a>(&self, listener: &'static str, route: &'a str, method: &'static str) -> Row<'a> {
        let mut buckets = [0; BUCKETS.len()];
        let mut below = 0;
        for (bucket, own) in buckets.iter_mut().zip(&self.buckets) {
            below += own.load(Relaxed);
            *bucket = below;
        }
        // Read after the buckets: no bucket is above the count.
        let (count, errors) = (self.count.load(Relaxed).max(below), self.errors.load(Relaxed));
        Row {
            listener,
            route,
            method,
            count,
            errors,
            seconds: self.micros.load(Relaxed) as f64 / 1e6,
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Requests};
    use http::Method;
    use std::time::Duration;

    #[test]
    fn requests_are_counted_by_route_and_method_and_strangers_in_one_row() {
        let requests = Requests::new("http", ["/b/{id}", "/a", "/a"]);
        for (path, route, method, failed, ms) in [
            ("/a", Some("/a"), Method::GET, false, 1),
            ("/a", Some("/a"), Method::GET, true, 30),
            ("/a", Some("/a"), Method::POST, false, 9_000),
            ("/b/7", Some("/b/{id}"), Method::GET, false, 2),
            ("/x", None, Method::GET, false, 1),
            ("/y", Some("/not/known"), Method::GET, false, 1),
            ("/a", None, Method::OPTIONS, false, 1),
        ] {
            let slot = requests.slot(path, route, &method);
            requests.count(slot, failed, Duration::from_millis(ms));
        }
        let rows: Vec<_> = requests.rows().map(|r| (r.route, r.method, r.count, r.errors)).collect();
        let expected = [
            ("/a", "GET", 2, 1),
            ("/a", "POST", 1, 0),
            ("/a", "other", 1, 0),
            ("/b/{id}", "GET", 1, 0),
            ("other", "GET", 2, 0),
        ];
        assert_eq!(rows, expected);
        let get = requests.rows().next().unwrap();
        assert!((get.seconds - 0.031).abs() < 1e-9);
        let below: Vec<_> = BUCKETS.iter().zip(get.buckets).collect();
        assert_eq!((below[0].1, below[4].1, below[5].1), (1, 1, 2), "{below:?}");
        let post = requests.rows().nth(1).unwrap();
        assert_eq!(post.buckets, [0; BUCKETS.len()], "longer than the last bound");
    }
}
