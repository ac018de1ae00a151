//! A store that ends its process at a named point, or takes its time: what stands above it is the real monitor.

use anyhow::{Context, Result, bail};
use farol_monitor::store::{
    AgentKey, ComponentFilter, Connections, Cuts, Group, KnownAgent, Level, Restored, Retention, Sizes,
    StatusChange, Store, StoreError, Tidied, Visit, VisitBlocks,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The store is open, with its tables; nothing was read.
    AfterOpen,
    /// What is known is about to be read.
    BeforeRestore,
    /// It was read, and nobody is served yet.
    AfterRestore,
    /// A group with reports is about to be written.
    BeforeCommit,
    /// It is written, and nobody was told.
    AfterCommit,
    /// A piece of upkeep is about to be done.
    BeforeUpkeep,
    /// It is done.
    AfterUpkeep,
    /// The store is about to be closed.
    BeforeClose,
    /// It is closed.
    AfterClose,
}

/// All of them by their names.
pub const POINTS: [(&str, Point); 9] = [
    ("after_open", Point::AfterOpen),
    ("before_restore", Point::BeforeRestore),
    ("after_restore", Point::AfterRestore),
    ("before_commit", Point::BeforeCommit),
    ("after_commit", Point::AfterCommit),
    ("before_upkeep", Point::BeforeUpkeep),
    ("after_upkeep", Point::AfterUpkeep),
    ("before_close", Point::BeforeClose),
    ("after_close", Point::AfterClose),
];

impl Point {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        POINTS.iter().find(|(_, point)| *point == self).map_or("", |(name, _)| name)
    }
}

/// A point, and at which time of reaching it the process ends: `before_commit:17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Where.
    pub point: Point,
    /// The first time is 1.
    pub time: u64,
}

impl FromStr for Crash {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, time) = text.split_once(':').unwrap_or((text, "1"));
        let Some((_, point)) = POINTS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = POINTS.iter().map(|(name, _)| *name).collect();
            bail!("there is no crash point `{name}`; there are {}", known.join(", "));
        };
        let time = time.parse().with_context(|| format!("`{time}` is not a number of times"))?;
        Ok(Self { point: *point, time })
    }
}

/// A store that does what it is told by the one within, except for what it was planned to do wrong.
pub struct Saboteur {
    within: Arc<dyn Store>,
    crash: Option<Crash>,
    /// How often the point was reached.
    reached: AtomicU64,
    /// Each commit takes so much longer.
    slow: Duration,
}

impl Saboteur {
    /// The store is open, which is a point in itself.
    #[must_use]
    pub fn open(within: Arc<dyn Store>, crash: Option<Crash>, slow: Duration) -> Self {
        let saboteur = Self { within, crash, reached: AtomicU64::new(0), slow };
        saboteur.pass(Point::AfterOpen);
        saboteur
    }

    /// Ends the process here, if this is the point and the time.
    fn pass(&self, point: Point) {
        let Some(crash) = self.crash.filter(|crash| crash.point == point) else { return };
        if self.reached.fetch_add(1, Ordering::Relaxed) + 1 == crash.time {
            #[allow(clippy::print_stderr, reason = "the log's last word")]
            {
                eprintln!("crash point {} reached for the {}. time", point.name(), crash.time);
            }
            std::process::abort();
        }
    }
}

impl Store for Saboteur {
    fn id(&self) -> Arc<str> {
        self.within.id()
    }

    fn restore(&self) -> BoxFuture<'_, Result<Restored, StoreError>> {
        async {
            self.pass(Point::BeforeRestore);
            let restored = self.within.restore().await;
            self.pass(Point::AfterRestore);
            restored
        }
        .boxed()
    }

    fn commit<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            if !self.slow.is_zero() {
                tokio::time::sleep(self.slow).await;
            }
            let counts = !group.reports.is_empty();
            if counts {
                self.pass(Point::BeforeCommit);
            }
            let committed = self.within.commit(group).await;
            if counts && committed.is_ok() {
                self.pass(Point::AfterCommit);
            }
            committed
        }
        .boxed()
    }

    fn tidy<'a>(
        &'a self,
        now_ms: i64,
        retention: &'a Retention,
    ) -> BoxFuture<'a, Result<Tidied, StoreError>> {
        async move {
            self.pass(Point::BeforeUpkeep);
            let tidied = self.within.tidy(now_ms, retention).await;
            // True: it did a piece.
            if matches!(tidied, Ok(Tidied { did: Some(_), .. })) {
                self.pass(Point::AfterUpkeep);
            }
            tidied
        }
        .boxed()
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<KnownAgent>, StoreError>> {
        self.within.agents()
    }

    fn reports<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        visit: Visit<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.within.reports(agents, from_ms, to_ms, visit)
    }

    fn blocks<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        level: Level,
        visit: VisitBlocks<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.within.blocks(agents, from_ms, to_ms, level, visit)
    }

    fn unsealed<'a>(
        &'a self,
        after: i64,
        visit: Visit<'a>,
    ) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        self.within.unsealed(after, visit)
    }

    fn cuts(&self) -> Cuts {
        self.within.cuts()
    }

    fn sizes(&self) -> Sizes {
        self.within.sizes()
    }

    fn status_changes(
        &self,
        filter: ComponentFilter,
        from_ms: i64,
        to_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<StatusChange>, StoreError>> {
        self.within.status_changes(filter, from_ms, to_ms)
    }

    fn blind(&self, from_ms: i64, to_ms: i64) -> BoxFuture<'_, Result<Vec<(i64, i64)>, StoreError>> {
        self.within.blind(from_ms, to_ms)
    }

    fn undecodable(&self) -> u64 {
        self.within.undecodable()
    }

    fn connections(&self) -> Connections {
        self.within.connections()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            self.pass(Point::BeforeClose);
            let closed = self.within.close().await;
            self.pass(Point::AfterClose);
            closed
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::{Crash, POINTS, Point};

    #[test]
    fn points_are_read_by_their_names_and_a_wrong_one_is_told() {
        for (name, point) in POINTS {
            assert_eq!(name.parse::<Crash>().unwrap(), Crash { point, time: 1 });
            assert_eq!(point.name(), name);
        }
        assert_eq!(
            "after_commit:17".parse::<Crash>().unwrap(),
            Crash { point: Point::AfterCommit, time: 17 }
        );
        for wrong in ["", "commit", "after_commit:", "after_commit:x"] {
            assert!(wrong.parse::<Crash>().is_err(), "{wrong}");
        }
        assert!("nowhere".parse::<Crash>().unwrap_err().to_string().contains("before_commit"));
    }
}
