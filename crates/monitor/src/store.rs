//! What the monitor keeps: the seam between the monitor and a database. Says what is stored and what a commit
//! means; how it is laid out is each store's own business.

mod catalog;
pub mod copy;
mod database;
mod documents;
mod layouts;
mod load;
mod marks;
pub mod measure;
mod memory;
mod open;
mod pack;
mod postgres;
mod reading;
mod rollups;
mod row;
mod sealed;
mod seals;
mod shelf;
mod shorten;
mod sqlite;
mod texts;
mod upkeep;

pub use documents::{
    DOCUMENT_KEY_AT_MOST, DOCUMENTS_AT_MOST, Document, DocumentChange, DocumentKind, DocumentPage,
};
pub use open::{open, read};
pub use postgres::{PostgresServer, PostgresSettings, PostgresStore, PostgresTls, TlsMode};
pub(crate) use row::varint;
pub use sealed::{
    Blocks, Cuts, DAY_MS, Level, Piece, Retention, SealedRecord, Sizes, StoredBlock, Tidied, VisitBlocks,
};
pub use sqlite::{Settings, SqliteStore};

use bytes::Bytes;
use farol_health::Status;
use farol_wire::{Boot, Definition, Role};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A place that keeps what was acknowledged.
///
/// `commit` is one transaction: after `Ok` the group survives `kill -9`. A store never retries a failed sync.
pub trait Store: Send + Sync + 'static {
    /// The id made when the store was created; agents notice when they meet another one.
    fn id(&self) -> Arc<str>;

    /// Everything a starting monitor must know.
    fn restore(&self) -> BoxFuture<'_, Result<Restored, StoreError>>;

    /// Writes one group, whole or not at all. An empty group is written too: it shows whether the store takes.
    fn commit<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Does a small piece of the upkeep that is due: what is sealed or too old is deleted, roll-ups are merged, what is
    /// committed reaches its last place.
    fn tidy<'a>(&'a self, now_ms: i64, retention: &'a Retention)
    -> BoxFuture<'a, Result<Tidied, StoreError>>;

    /// Every agent of which reports may be kept, in the order of their keys; forgotten ones included.
    fn agents(&self) -> BoxFuture<'_, Result<Vec<KnownAgent>, StoreError>>;

    /// Shows the journal's reports of these agents whose time lies in `from_ms..=to_ms` (unix milliseconds), with
    /// every report needed to decode the first of them. Agent by agent in the order given, each in order of (boot,
    /// nonce, seq), without duplicates. What is sealed, and what cannot be decoded because its key report is gone, is
    /// left out. Who wants both asks for the blocks afterwards: what is sealed in between is then in the blocks.
    fn reports<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        visit: Visit<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Shows the blocks of these agents that have something in `from_ms..=to_ms` and whose layouts are wanted, agent by
    /// agent in the order given, each in the order of their newest times.
    fn blocks<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        level: Level,
        visit: VisitBlocks<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Shows a slice of the journal's reports that are not sealed, in the order in which they were committed; duplicates
    /// may be among them. Begins after the place `after`, 0 for the beginning, and gives the place to go on from;
    /// `None` at the end.
    fn unsealed<'a>(&'a self, after: i64, visit: Visit<'a>)
    -> BoxFuture<'a, Result<Option<i64>, StoreError>>;

    /// Before which times what was kept is gone.
    fn cuts(&self) -> Cuts;

    /// What it holds, as it was last measured.
    fn sizes(&self) -> Sizes;

    /// Status changes of the components that match, the last one before `from_ms` included, in order of time.
    /// At most [`CHANGES_AT_MOST`].
    fn status_changes(
        &self,
        filter: ComponentFilter,
        from_ms: i64,
        to_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<StatusChange>, StoreError>>;

    /// Times in which no monitor watched, in order.
    fn blind(&self, from_ms: i64, to_ms: i64) -> BoxFuture<'_, Result<Vec<(i64, i64)>, StoreError>>;

    /// A page of documents of a kind.
    fn documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> BoxFuture<'_, Result<Vec<Document>, StoreError>>;

    /// Reports that were asked for since the start and could not be shown, because their definitions are gone.
    fn undecodable(&self) -> u64;

    /// The connections to its database, as far as there are some and they are known.
    fn connections(&self) -> Connections {
        Connections::default()
    }

    /// Makes everything durable and lets go of the database. Afterwards everything is refused.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the monitor, however it comes.
    Normal,
    /// A power loss too, at the price of a sync per commit.
    Full,
}

/// A store's connections to its database; what is not known is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// At work.
    pub active: Option<u32>,
    /// Open, with nothing to do.
    pub idle: Option<u32>,
    /// So many may be open.
    pub max: Option<u32>,
}

impl Connections {
    /// A pool's that reads, and the one that writes: whether it is open, if it has nothing to do.
    fn of<D: sqlx::Database>(readers: &sqlx::Pool<D>, writer: Option<bool>) -> Self {
        let idle = u32::try_from(readers.num_idle()).unwrap_or(u32::MAX);
        Self {
            active: Some(readers.size().saturating_sub(idle) + u32::from(writer.is_none())),
            idle: Some(idle + u32::from(writer == Some(true))),
            max: Some(readers.options().get_max_connections() + 1),
        }
    }
}

/// Sees one report after another, and says when it has seen enough.
pub type Visit<'a> = &'a mut (dyn FnMut(StoredReport) -> ControlFlow<()> + Send);

/// Status changes that are given at once; who asks for more is told to narrow the question.
pub const CHANGES_AT_MOST: usize = 500_000;

/// Raw reports are kept for so long.
pub const JOURNAL_KEPT_MS: i64 = 24 * 3_600_000;

/// Status changes and blind times are kept for so long.
pub const STATUS_KEPT_MS: i64 = 400 * 24 * 3_600_000;

/// An agent of which reports may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAgent {
    /// Its row number.
    pub key: AgentKey,
    /// Its id. One that came back long after it was forgotten stands here twice.
    pub id: Arc<str>,
}

/// Why a store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It may work later: the disk is full, the database is locked or away.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// It will not get better: the file is damaged, the version is newer than this program.
    #[error("{0}")]
    Fatal(String),
    /// The answer would be too large: the question must be narrowed.
    #[error("{0}")]
    TooMuch(String),
}

/// An agent's row number in the store: small, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentKey(pub u32);

/// A set of definitions under the hash of its content: agents that define the same share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Its row number in the store.
    pub key: LayoutKey,
    /// The set.
    pub set: Definition,
}

impl Layout {
    /// What it takes up in memory, nearly: names and labels are a stranger's.
    #[must_use]
    pub fn weight(&self) -> usize {
        // A definition; its map of labels, which has room for some from the first one on; a label.
        const EACH: usize = 160;
        const LABELS: usize = 560;
        const LABEL: usize = 64;
        let sources = self.set.sources.iter().map(|source| EACH + source.name.len());
        let series = self.set.series.iter().map(|series| {
            let labels = series.labels.iter().map(|(name, value)| LABEL + name.len() + value.len());
            let map = if series.labels.is_empty() { 0 } else { LABELS };
            EACH + series.name.len() + series.unit.len() + map + labels.sum::<usize>()
        });
        EACH + sources.chain(series).sum::<usize>()
    }
}

/// A layout's row number in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayoutKey(pub u32);

/// One commit: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Agents that are new or changed.
    pub agents: Vec<AgentRecord>,
    /// Layouts that are new.
    pub layouts: Vec<Arc<Layout>>,
    /// Layouts that nobody uses any more: no later group has a report made with one. Once the reports that were are
    /// gone, upkeep deletes them.
    pub unused: Vec<LayoutKey>,
    /// Reports, in the order in which each stream brought them.
    pub reports: Vec<ReportRecord>,
    /// What was committed before and stands in blocks from now on: each boot's in order. One that is sealed already
    /// is left out.
    pub sealed: Vec<SealedRecord>,
    /// Components' statuses as they are now, for the restart.
    pub components: Vec<ComponentRecord>,
    /// Components that are gone: their record of now is deleted, their history stays.
    pub removed: Vec<ComponentKey>,
    /// Agents that are forgotten: the same. Their components are named in `removed`.
    pub forgotten: Vec<AgentKey>,
    /// Status changes, for history and uptime.
    pub changes: Vec<StatusChange>,
    /// Times of which agents told later what the monitor did not hear: the stale changes in them give way, before
    /// `changes` are written.
    pub covered: Vec<Covered>,
    /// Times in which no monitor watched.
    pub blind: Vec<(i64, i64)>,
    /// What becomes of documents, in order: the last word on a key counts.
    pub documents: Vec<DocumentChange>,
}

/// A component's time that is known after all: from `from_ms` up to, but not at, `to_ms`. In it the component is what
/// it was told to be before, or by the changes that come along. If it was stale at `to_ms`, it is so from there on:
/// what nobody told stays unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Which component.
    pub key: ComponentKey,
    /// From when, unix milliseconds.
    pub from_ms: i64,
    /// Until when.
    pub to_ms: i64,
    /// Staleness that lasts over its end goes on from there. False where the agent itself told what follows.
    pub stale_after: bool,
}

/// An agent as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentRecord {
    /// Its row number, given by the monitor.
    pub key: AgentKey,
    /// Its id.
    pub id: Arc<str>,
    /// What it runs beside.
    pub role: Role,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Its software version.
    pub version: Arc<str>,
    /// Its report interval.
    pub interval_ms: u32,
    /// When it was last heard, unix milliseconds. [`Store::restore`] gives the time of its newest report when that
    /// is later.
    pub last_seen_ms: i64,
    /// The boot of its last stream.
    pub boot: Boot,
}

/// One report for the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRecord {
    /// Whose it is.
    pub agent: AgentKey,
    /// Of which start.
    pub boot: Boot,
    /// Its number; (agent, boot, seq) is unique.
    pub seq: u64,
    /// The definitions it was made with.
    pub layout: LayoutKey,
    /// When it was made, unix milliseconds by the monitor's clock.
    pub at_ms: i64,
    /// Its blocks decode by themselves.
    pub key: bool,
    /// One for each source that ticked.
    pub blocks: Vec<BlockRecord>,
}

/// A source's block in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// The source's id in the layout.
    pub source: u32,
    /// When it ticked, counted back from the report.
    pub before_ms: u32,
    /// As farol-series wrote it.
    pub data: Bytes,
}

/// A report as it comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReport {
    /// The report.
    pub report: ReportRecord,
    /// Its definitions.
    pub layout: Arc<Layout>,
}

/// Which component.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentKey {
    /// The agent's id.
    pub agent: Arc<str>,
    /// The service, scope included.
    pub service: Arc<str>,
    /// The component's name.
    pub component: Arc<str>,
}

/// Which components; `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentFilter {
    /// The agent's id.
    pub agent: Option<String>,
    /// The service, scope included.
    pub service: Option<String>,
    /// The component's name.
    pub component: Option<String>,
}

/// A component as it was last known.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentRecord {
    /// Which one.
    pub key: ComponentKey,
    /// Whether the instance depends on it.
    pub required: bool,
    /// Whether readiness asks it.
    pub readiness: bool,
    /// A status older than this is stale.
    pub ttl_ms: u32,
    /// The kind of its check.
    pub kind: Arc<str>,
    /// The status that counts.
    pub hard: Status,
    /// What the last result said.
    pub soft: Status,
    /// A stable code.
    pub reason: Arc<str>,
    /// For people.
    pub message: Arc<str>,
    /// When the last result came, unix milliseconds.
    pub checked_ms: Option<i64>,
    /// When the hard status last changed, unix milliseconds.
    pub changed_ms: i64,
    /// Nothing was heard of it for too long; the statuses above are the last ones.
    pub stale: bool,
}

/// A component's status from one moment on.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusChange {
    /// Which component.
    pub key: ComponentKey,
    /// From when, unix milliseconds.
    pub at_ms: i64,
    /// What it was from then on; `None` when the component was removed.
    pub status: Option<Status>,
    /// Under maintenance from then on.
    pub maintenance: bool,
    /// A window mutes it from then on: what it shows is true, and its uptime is not counted.
    pub muted: bool,
    /// The monitor's own word because it heard nothing: what an agent tells later of that time takes its place.
    pub stale: bool,
    /// A stable code.
    pub reason: Arc<str>,
}

/// What a starting monitor finds.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// All agents that are not forgotten.
    pub agents: Vec<AgentRecord>,
    /// Forgotten ones with a boot that is known: they may come back.
    pub forgotten: Vec<AgentRecord>,
    /// Their components as last known.
    pub components: Vec<ComponentRecord>,
    /// The last committed number of each boot that is known.
    pub marks: Vec<(AgentKey, Boot, u64)>,
    /// Up to which number those of which there are blocks are sealed.
    pub sealed: Vec<(AgentKey, Boot, u64)>,
    /// Layouts in use, those used last when there are very many: what is not among them is unused from here on.
    pub layouts: Vec<Arc<Layout>>,
    /// The time of the last commit, of later upkeep or of the closing, unix milliseconds: nobody watched after it.
    /// `None` for a new store.
    pub last_commit_ms: Option<i64>,
    /// The highest agent key ever given.
    pub last_agent_key: u32,
    /// The highest layout key that anything kept names, also one whose layout is gone.
    pub last_layout_key: u32,
    /// All documents of the kinds that are kept until they are deleted.
    pub documents: Vec<Document>,
}
