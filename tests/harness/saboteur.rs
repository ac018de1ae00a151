//! A store that ends its process at a named point, or takes its time: what stands above it is the real monitor.

use anyhow::{Context, Result, bail};
use farol_monitor::store::{
    AgentKey, ComponentFilter, Connections, Cuts, Document, DocumentChange, DocumentKind, DocumentPage,
    Group, KnownAgent, Level, Piece, Restored, Retention, Sizes, StatusChange, Store, StoreError, Tidied,
    Visit, VisitBlocks,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::future::poll_fn;
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
    /// This piece of upkeep is at work, and waits for the database. Those that have nothing to do there look into memory
    /// alone, and are not among the names.
    During(Piece),
    /// This piece of upkeep is done.
    After(Piece),
    /// Sealed blocks are about to be written.
    BeforeSealed,
    /// They are written, and nobody was told.
    AfterSealed,
    /// The restart pass has read so many reports of the journal's unsealed tail.
    MidRestartPass,
    /// The store is about to be closed.
    BeforeClose,
    /// It is closed.
    AfterClose,
    /// A group with this word on a document is about to be written.
    Before(Word),
    /// It is written, and nobody was told.
    AfterWord(Word),
}

/// A word on a document of alerting, by which commits are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A notice is due that tells that something fires.
    Firing,
    /// A notice is due that tells that something is over.
    Resolved,
    /// A notice is not due any more: it was taken.
    Mark,
    /// The life of an element.
    Element,
    /// What a receiver was told.
    Conversation,
    /// An incident.
    Incident,
    /// A silence.
    Silence,
    /// An acknowledgement.
    Acknowledgement,
    /// An attempt whose last word is this: `started`, `verifying`.
    Attempt(&'static str),
}

impl Word {
    /// Whether a group holds such a word.
    fn is_in(self, group: &Group) -> bool {
        group.documents.iter().any(|change| self.is(change))
    }

    fn is(self, change: &DocumentChange) -> bool {
        let put = match change {
            DocumentChange::Put(document) => document,
            DocumentChange::PutSpare(_) => return false,
            DocumentChange::Delete { kind, .. } => return self == Self::Mark && *kind == DocumentKind::Due,
        };
        let kind = match self {
            Self::Firing | Self::Resolved => {
                const OVER: &[u8] = br#""why":"resolved""#;
                let is_over = put.body.windows(OVER.len()).any(|bytes| bytes == OVER);
                return put.kind == DocumentKind::Due && is_over == (self == Self::Resolved);
            }
            Self::Mark => return false,
            Self::Attempt(outcome) => {
                let said: serde_json::Value = serde_json::from_slice(&put.body).unwrap_or_default();
                return put.kind == DocumentKind::Action && said["outcome"]["outcome"] == outcome;
            }
            Self::Element => DocumentKind::Element,
            Self::Conversation => DocumentKind::Conversation,
            Self::Incident => DocumentKind::Incident,
            Self::Silence => DocumentKind::Silence,
            Self::Acknowledgement => DocumentKind::Acknowledgement,
        };
        put.kind == kind
    }
}

/// All of them by their names.
pub const POINTS: [(&str, Point); 25] = [
    ("after_open", Point::AfterOpen),
    ("before_restore", Point::BeforeRestore),
    ("after_restore", Point::AfterRestore),
    ("mid_restart_pass", Point::MidRestartPass),
    ("before_commit", Point::BeforeCommit),
    ("after_commit", Point::AfterCommit),
    ("before_sealed", Point::BeforeSealed),
    ("after_sealed", Point::AfterSealed),
    ("before_upkeep", Point::BeforeUpkeep),
    ("after_upkeep", Point::AfterUpkeep),
    ("after_checkpoint", Point::After(Piece::Checkpoint)),
    ("after_marks", Point::After(Piece::Marks)),
    ("during_journal", Point::During(Piece::Journal)),
    ("after_journal", Point::After(Piece::Journal)),
    ("after_roll_ups", Point::After(Piece::RollUps)),
    ("after_retention", Point::After(Piece::Retention)),
    ("after_budget", Point::After(Piece::Budget)),
    ("during_statuses", Point::During(Piece::Statuses)),
    ("after_statuses", Point::After(Piece::Statuses)),
    ("during_documents", Point::During(Piece::Documents)),
    ("after_documents", Point::After(Piece::Documents)),
    ("during_pages", Point::During(Piece::Pages)),
    ("after_pages", Point::After(Piece::Pages)),
    ("before_close", Point::BeforeClose),
    ("after_close", Point::AfterClose),
];

/// Those round the ledger of alerting, by their names.
pub const LEDGER: [(&str, Point); 16] = [
    ("before_firing", Point::Before(Word::Firing)),
    ("after_firing", Point::AfterWord(Word::Firing)),
    ("before_resolved", Point::Before(Word::Resolved)),
    ("after_resolved", Point::AfterWord(Word::Resolved)),
    ("before_mark", Point::Before(Word::Mark)),
    ("after_mark", Point::AfterWord(Word::Mark)),
    ("before_element", Point::Before(Word::Element)),
    ("after_element", Point::AfterWord(Word::Element)),
    ("before_conversation", Point::Before(Word::Conversation)),
    ("after_conversation", Point::AfterWord(Word::Conversation)),
    ("before_incident", Point::Before(Word::Incident)),
    ("after_incident", Point::AfterWord(Word::Incident)),
    ("before_silence", Point::Before(Word::Silence)),
    ("after_silence", Point::AfterWord(Word::Silence)),
    ("before_acknowledgement", Point::Before(Word::Acknowledgement)),
    ("after_acknowledgement", Point::AfterWord(Word::Acknowledgement)),
];

/// Those round the attempts of actions, by their names.
pub const ATTEMPTS: [(&str, Point); 4] = [
    ("before_started", Point::Before(Word::Attempt("started"))),
    ("after_started", Point::AfterWord(Word::Attempt("started"))),
    ("before_verifying", Point::Before(Word::Attempt("verifying"))),
    ("after_verifying", Point::AfterWord(Word::Attempt("verifying"))),
];

fn all() -> impl Iterator<Item = (&'static str, Point)> {
    POINTS.into_iter().chain(LEDGER).chain(ATTEMPTS)
}

/// Upkeep goes through these in this order when all are due, as they are at a start: what follows a piece is known
/// before it is done. A stamp comes only where nothing is committed, a checkpoint at any time.
const ORDER: [Piece; 8] = [
    Piece::Marks,
    Piece::Journal,
    Piece::RollUps,
    Piece::Retention,
    Piece::Budget,
    Piece::Statuses,
    Piece::Documents,
    Piece::Pages,
];

impl Point {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        all().find(|(_, point)| *point == self).map_or("", |(name, _)| name)
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
        let Some((_, point)) = all().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = all().map(|(name, _)| name).collect();
            bail!("there is no crash point `{name}`; there are {}", known.join(", "));
        };
        let time = time.parse().with_context(|| format!("`{time}` is not a number of times"))?;
        Ok(Self { point, time })
    }
}

/// A store that does what it is told by the one within, except for what it was planned to do wrong.
pub struct Saboteur {
    within: Arc<dyn Store>,
    crash: Option<Crash>,
    /// How often the point was reached.
    reached: AtomicU64,
    /// The last piece of [`ORDER`] that was done.
    did: Mutex<Option<Piece>>,
    /// Each commit takes so much longer.
    slow: Duration,
}

impl Saboteur {
    /// The store is open, which is a point in itself.
    #[must_use]
    pub fn open(within: Arc<dyn Store>, crash: Option<Crash>, slow: Duration) -> Self {
        let saboteur = Self { within, crash, reached: AtomicU64::new(0), did: Mutex::new(None), slow };
        saboteur.pass(Point::AfterOpen);
        saboteur
    }

    /// The piece of upkeep that is due next, as far as it is known.
    fn next_piece(&self) -> Option<Piece> {
        let did = (*self.did.lock())?;
        let at = ORDER.iter().position(|piece| *piece == did)?;
        ORDER.get(at + 1).copied()
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
            let seals = !group.sealed.is_empty();
            if counts {
                self.pass(Point::BeforeCommit);
            }
            if seals {
                self.pass(Point::BeforeSealed);
            }
            let word = match self.crash.map(|crash| crash.point) {
                Some(Point::Before(word) | Point::AfterWord(word)) => {
                    Some(word).filter(|word| word.is_in(group))
                }
                _ => None,
            };
            if let Some(word) = word {
                self.pass(Point::Before(word));
            }
            let committed = self.within.commit(group).await;
            if let (Some(word), Ok(())) = (word, &committed) {
                self.pass(Point::AfterWord(word));
            }
            if counts && committed.is_ok() {
                self.pass(Point::AfterCommit);
            }
            if seals && committed.is_ok() {
                self.pass(Point::AfterSealed);
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
            let next = self.next_piece();
            let (mut work, mut looks) = (self.within.tidy(now_ms, retention), 0);
            let tidied = poll_fn(|context| {
                looks += 1;
                // At the second look something has come back from the database already, and all is not done.
                if let (2, Some(piece)) = (looks, next) {
                    self.pass(Point::During(piece));
                }
                work.as_mut().poll(context)
            })
            .await;
            if let Ok(Tidied { did: Some(piece), .. }) = tidied {
                if ORDER.contains(&piece) {
                    *self.did.lock() = Some(piece);
                }
                self.pass(Point::AfterUpkeep);
                self.pass(Point::After(piece));
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
        async move {
            let mut seen = |stored| {
                self.pass(Point::MidRestartPass);
                visit(stored)
            };
            self.within.unsealed(after, &mut seen).await
        }
        .boxed()
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

    fn documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> BoxFuture<'_, Result<Vec<Document>, StoreError>> {
        self.within.documents(kind, page)
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
    use super::{Crash, Point};

    #[test]
    fn points_are_read_by_their_names_and_a_wrong_one_is_told() {
        for (name, point) in super::all() {
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
