//! Groups, refusals and bounds, on a double of a store that does what a test says. Time is paused: what is waited
//! for is exact.

mod bounds;
mod documents;
mod groups;
mod refusals;
mod sealing;

use super::{Follower, Journal, Submitted, open};
use crate::fleet::Effects;
use crate::store::{
    AgentKey, BlockRecord, ComponentFilter, ComponentKey, ComponentRecord, Cuts, Document, DocumentKind,
    DocumentPage, Group, KnownAgent, Layout, LayoutKey, Level, ReportRecord, Restored, Retention, Sizes,
    StatusChange, Store, StoreError, Tidied, Visit, VisitBlocks,
};
use farol_health::Status;
use farol_wire::{Boot, Definition};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const BOOT: Boot = Boot { number: 1, nonce: 1 };
const AGENT: AgentKey = AgentKey(1);

/// A double: remembers each group with its time, and answers as it was told, `Ok` afterwards.
#[derive(Debug)]
struct Scripted {
    began: Instant,
    answers: Mutex<VecDeque<StoreError>>,
    groups: Mutex<Vec<(u64, Group)>>,
    /// How long a commit takes.
    takes: Mutex<Duration>,
    tidied: Mutex<VecDeque<Result<bool, StoreError>>>,
    steps: Mutex<Vec<u64>>,
    closed: Mutex<bool>,
}

impl Scripted {
    fn since_start(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// When each group came, in milliseconds.
    fn times(&self) -> Vec<u64> {
        self.groups.lock().iter().map(|(at_ms, _)| *at_ms).collect()
    }

    /// The numbers of each group's reports.
    fn seqs(&self) -> Vec<Vec<u64>> {
        self.groups.lock().iter().map(|(_, group)| group.reports.iter().map(|r| r.seq).collect()).collect()
    }

    /// The last one with anything in it.
    fn last(&self) -> Group {
        let groups = self.groups.lock();
        let nothing = format!("{:?}", Group::default());
        let last = groups.iter().rev().find(|(_, group)| format!("{group:?}") != nothing);
        last.map(|(_, group)| group.clone()).unwrap_or_default()
    }
}

impl Store for Scripted {
    fn id(&self) -> Arc<str> {
        "scripted".into()
    }

    fn restore(&self) -> BoxFuture<'_, Result<Restored, StoreError>> {
        async { Ok(Restored::default()) }.boxed()
    }

    fn commit<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Result<(), StoreError>> {
        async {
            self.groups.lock().push((self.since_start(), group.clone()));
            let takes = *self.takes.lock();
            tokio::time::sleep(takes).await;
            let answer = self.answers.lock().pop_front();
            answer.map_or(Ok(()), Err)
        }
        .boxed()
    }

    fn tidy<'a>(&'a self, _: i64, _: &'a Retention) -> BoxFuture<'a, Result<Tidied, StoreError>> {
        async {
            self.steps.lock().push(self.since_start());
            let answer = self.tidied.lock().pop_front();
            answer.unwrap_or(Ok(false)).map(|more| Tidied { did: None, more })
        }
        .boxed()
    }

    fn blocks<'a>(
        &'a self,
        _: &'a [AgentKey],
        _: i64,
        _: i64,
        _: Level,
        _: VisitBlocks<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        unreachable!("a journal only writes")
    }

    fn unsealed<'a>(&'a self, _: i64, _: Visit<'a>) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        async { Ok(None) }.boxed()
    }

    fn cuts(&self) -> Cuts {
        Cuts::default()
    }

    fn sizes(&self) -> Sizes {
        Sizes::default()
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<KnownAgent>, StoreError>> {
        unreachable!("a journal only writes")
    }

    fn reports<'a>(
        &'a self,
        _: &'a [AgentKey],
        _: i64,
        _: i64,
        _: Visit<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        unreachable!("a journal only writes")
    }

    fn documents(
        &self,
        _: DocumentKind,
        _: DocumentPage,
    ) -> BoxFuture<'_, Result<Vec<Document>, StoreError>> {
        unreachable!("a journal only writes")
    }

    fn status_changes(
        &self,
        _: ComponentFilter,
        _: i64,
        _: i64,
    ) -> BoxFuture<'_, Result<Vec<StatusChange>, StoreError>> {
        unreachable!("a journal only writes")
    }

    fn blind(&self, _: i64, _: i64) -> BoxFuture<'_, Result<Vec<(i64, i64)>, StoreError>> {
        unreachable!("a journal only writes")
    }

    fn undecodable(&self) -> u64 {
        unreachable!("a journal only writes")
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            *self.closed.lock() = true;
            Ok(())
        }
        .boxed()
    }
}

/// A running journal.
struct Bench {
    store: Arc<Scripted>,
    journal: Journal,
    cleaning: CancellationToken,
    writer: JoinSet<Result<(), StoreError>>,
}

impl Bench {
    fn new(answers: impl IntoIterator<Item = StoreError>) -> Self {
        Self::restored(answers, &Restored::default())
    }

    fn restored(answers: impl IntoIterator<Item = StoreError>, restored: &Restored) -> Self {
        let store = Arc::new(Scripted {
            began: Instant::now(),
            answers: Mutex::new(answers.into_iter().collect()),
            groups: Mutex::default(),
            takes: Mutex::default(),
            tidied: Mutex::default(),
            steps: Mutex::default(),
            closed: Mutex::new(false),
        });
        let (journal, writer) = open(Arc::clone(&store) as Arc<dyn Store>, restored);
        let cleaning = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run(cleaning.clone()));
        Self { store, journal, cleaning, writer: tasks }
    }

    fn follow(&self) -> Follower {
        self.journal.follow(AGENT, BOOT)
    }

    fn send(&self, follower: &Follower, seq: u64) -> Submitted {
        self.journal.report(follower, report(seq, 10), false)
    }

    /// Lets so much time pass.
    async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn end(mut self) -> Result<(), StoreError> {
        self.cleaning.cancel();
        self.writer.join_next().await.unwrap().unwrap()
    }
}

fn report(seq: u64, bytes: usize) -> ReportRecord {
    ReportRecord {
        agent: AGENT,
        boot: BOOT,
        seq,
        layout: LayoutKey(1),
        at_ms: 0,
        key: seq == 1,
        blocks: vec![BlockRecord { source: 1, before_ms: 0, data: vec![0; bytes].into() }],
    }
}

fn layout(key: u32) -> Arc<Layout> {
    Arc::new(Layout { key: LayoutKey(key), set: Definition::default() })
}

fn key(name: &str) -> ComponentKey {
    ComponentKey { agent: "one".into(), service: "shop".into(), component: name.into() }
}

fn changed(name: &str, at_ms: i64) -> Effects {
    let change = StatusChange {
        key: key(name),
        at_ms,
        status: Some(Status::Healthy),
        maintenance: false,
        muted: false,
        stale: false,
        reason: "ok".into(),
    };
    Effects { changes: vec![change], ..Effects::default() }
}

fn component(name: &str, changed_ms: i64) -> ComponentRecord {
    ComponentRecord {
        key: key(name),
        required: true,
        readiness: true,
        ttl_ms: 1,
        kind: "tcp".into(),
        hard: Status::Healthy,
        soft: Status::Healthy,
        reason: "ok".into(),
        message: "".into(),
        checked_ms: None,
        changed_ms,
        stale: false,
    }
}

fn refused() -> StoreError {
    StoreError::Refused("the disk is full".to_owned())
}
