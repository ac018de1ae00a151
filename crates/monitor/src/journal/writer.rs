//! The one task that commits. Decides when a group closes, and what a refusal means.

use super::queue::Batch;
use super::sealing::Sealing;
use super::trust::Trust;
use super::{Documents, Shared, State};
use crate::store::{Retention, Store, StoreError};
use farol_health::clock::wall_ms as now_ms;
use farol_logging::event;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A group closes so long after its first part came, at the latest.
pub(super) const GROUP_WITHIN: Duration = Duration::from_millis(200);
/// A store that refuses is asked again after so long, doubled each time up to the second.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// With nothing to commit the store's upkeep goes on so often.
const IDLE: Duration = Duration::from_secs(1);
/// A store that was asked nothing for so long is asked whether it takes: nobody would see otherwise that it does not.
const ASK: Duration = Duration::from_secs(5);
/// A commit that takes so long is told; so many groups fit into it that reports begin to wait.
const SLOW: Duration = Duration::from_secs(1);
/// Upkeep that was refused is tried again after so long.
const UPKEEP_AGAIN: Duration = Duration::from_secs(10);

/// Commits what waits.
pub struct Writer {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    /// How long what is kept.
    retention: Retention,
    /// Whether the wall clock may say what is old.
    trust: Trust,
    sealing: Sealing,
    /// The wait before the next try, while the store refuses.
    retry: Duration,
    /// More upkeep is due at once.
    more: bool,
    /// Upkeep was refused: not before then.
    upkeep_from: Option<Instant>,
    /// When the last commit ended.
    asked: Instant,
    /// The last commit was slow, which was told: a row of them is one event.
    slow: bool,
}

impl Writer {
    pub(super) fn new(store: Arc<dyn Store>, shared: Arc<Shared>) -> Self {
        Self {
            store,
            shared,
            retention: Retention::default(),
            trust: Trust::new(now_ms(), farol_health::clock::boot_ms()),
            sealing: Sealing::default(),
            retry: RETRY.0,
            more: false,
            upkeep_from: None,
            asked: Instant::now(),
            slow: false,
        }
    }

    /// Keeps what is kept for so long.
    #[must_use]
    pub fn keeping(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Commits until `cleaning` is cancelled, then commits the rest and closes the store. An error means that the
    /// store will take nothing any more: the process must end.
    pub async fn run(mut self, cleaning: CancellationToken) -> Result<(), StoreError> {
        while !cleaning.is_cancelled() {
            let refused = if self.refusing() {
                // Also with nothing to commit: otherwise nobody would see that the store takes again.
                self.commit().await?
            } else if self.a_group_closes(&cleaning).await || self.asked.elapsed() >= ASK {
                self.commit().await?
            } else {
                None
            };
            match refused {
                Some(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = cleaning.cancelled() => {}
                },
                None => {
                    self.tidy().await?;
                    self.sealing.step(&*self.store, &self.shared).await?;
                }
            }
        }
        let rest = !self.shared.state.lock().queue.is_empty();
        if rest && self.commit().await?.is_some() {
            tracing::error!("the store refused the last group; what was not acknowledged comes again");
        }
        self.store.close().await
    }

    /// Waits until a group is urgent, large or old enough; false when there is still none after a while.
    async fn a_group_closes(&self, cleaning: &CancellationToken) -> bool {
        let at_once = self.more || self.sealing.has_more();
        let idle = Instant::now() + if at_once { Duration::ZERO } else { IDLE };
        loop {
            let waiting = self.shared.waiting.notified();
            let closes = {
                let queue = &self.shared.state.lock().queue;
                if queue.urgent {
                    return true;
                }
                queue.since.map(|since| since + GROUP_WITHIN)
            };
            tokio::select! {
                () = waiting => {}
                () = tokio::time::sleep_until(closes.map_or(idle, |closes| closes.min(idle))) => {
                    return closes.is_some_and(|closes| closes <= Instant::now());
                }
                () = cleaning.cancelled() => return false,
            }
        }
    }

    fn refusing(&self) -> bool {
        self.shared.state.lock().health.refusing.is_some()
    }

    /// Commits what waits. `Some`: the store refuses, and is asked again after this time.
    async fn commit(&mut self) -> Result<Option<Duration>, StoreError> {
        let batch = self.shared.state.lock().queue.take();
        self.shared.emptied.notify_waiters();
        let began = Instant::now();
        let committed = self.busy(self.store.commit(&batch.group)).await;
        self.asked = Instant::now();
        match committed {
            Ok(()) => {
                self.committed(&batch, began.elapsed());
                Ok(None)
            }
            Err(StoreError::Fatal(why)) => Err(self.failed(batch, StoreError::Fatal(why))),
            Err(refused) => Ok(Some(self.refused(batch, refused.to_string()))),
        }
    }

    /// Waits for the store, and lets others see since when.
    async fn busy<T>(&self, work: impl Future<Output = T>) -> T {
        self.set_busy(Some(Instant::now()));
        let done = work.await;
        self.set_busy(None);
        done
    }

    fn set_busy(&self, since: Option<Instant>) {
        self.shared.state.lock().busy_since = since;
        // Who waits looks at it in its own time.
        self.shared.documents.send_if_modified(|told| {
            told.busy_since = since;
            false
        });
    }

    /// A step of the store's upkeep.
    async fn tidy(&mut self) -> Result<(), StoreError> {
        if self.upkeep_from.is_some_and(|from| Instant::now() < from) {
            return Ok(());
        }
        let now_ms = now_ms();
        let retention = self.retention_at(now_ms);
        let tidied = self.busy(self.store.tidy(now_ms, &retention)).await;
        match tidied {
            Ok(tidied) => self.more = tidied.more,
            Err(StoreError::Fatal(why)) => {
                return Err(self.failed(Batch::default(), StoreError::Fatal(why)));
            }
            Err(refused) => {
                self.more = false;
                self.upkeep_from = Some(Instant::now() + UPKEEP_AGAIN);
                tracing::warn!(error = %refused, "the store's upkeep was refused; it is tried again");
            }
        }
        Ok(())
    }

    /// How long what is kept: for ever, while the clock cannot be trusted with deleting.
    fn retention_at(&mut self, now_ms: i64) -> Retention {
        if let Some(set_by_ms) = self.trust.look(now_ms, farol_health::clock::boot_ms()) {
            tracing::warn!(set_by_ms, "the wall clock was set; nothing is deleted for its age for an hour");
        }
        if self.trust.is_trusted() {
            return self.retention;
        }
        Retention { budget: self.retention.budget, ..Retention::FOR_EVER }
    }

    fn committed(&mut self, batch: &Batch, took: Duration) {
        let reports = batch.group.reports.len() as u64;
        // Before anybody is told: who was told may ask.
        self.shared.recent.take(&batch.group, now_ms());
        // Each waits for the report of its place.
        for ((progress, seq), report) in batch.waiters.iter().zip(&batch.group.reports) {
            progress.commit(*seq, report.at_ms);
        }
        let mut state = self.shared.state.lock();
        state.note_agents(&batch.group);
        let health = &mut state.health;
        health.committed_reports += reports;
        health.committed_groups += 1;
        health.commit_seconds += took.as_secs_f64();
        health.last_commit_ms = Some(now_ms());
        health.last_commit_took = Some(took);
        let refused_since = health.refusing.take();
        let broke = std::mem::take(&mut state.broke);
        let lost = state.queue.documents.lost;
        drop(state);
        self.tell_documents(Documents { committed: batch.handed, lost, ..Documents::default() });
        if reports > 0 {
            self.retry = RETRY.0;
        }
        let slow = took >= SLOW;
        if slow && !self.slow {
            event::performance("slow_commit").outcome("success").took(took).subject("store").log();
        }
        self.slow = slow;
        if let Some((since, _)) = refused_since {
            tracing::info!(refused_ms = now_ms() - since, "the store takes again");
        }
        if broke {
            self.shared.recovered.send_modify(|n| *n += 1);
        }
    }

    /// Wakes those who wait for documents, if there is something new to them.
    fn tell_documents(&self, now: Documents) {
        self.shared.documents.send_if_modified(|told| {
            let before = *told;
            *told = Documents { busy_since: before.busy_since, ..now };
            *told != before
        });
    }

    fn tell_refusing(&self) {
        let lost = self.shared.state.lock().queue.documents.lost;
        let told = *self.shared.documents.borrow();
        self.tell_documents(Documents { refusing: true, lost, ..told });
    }

    fn refused(&mut self, batch: Batch, why: String) -> Duration {
        let mut guard = self.shared.state.lock();
        let state: &mut State = &mut guard;
        let lost = state.queue.put_back(batch);
        state.broke = true;
        state.health.dropped_reports += lost.reports;
        state.health.dropped_changes += lost.changes;
        state.health.dropped_documents += lost.documents;
        let told = state.health.refusing.as_ref().map(|(_, why)| why);
        if told.is_some_and(|told| *told != why) {
            tracing::warn!(error = %why, "the store refuses for another reason now");
        } else if told.is_none() {
            tracing::error!(error = %why, "the store refuses; reports are not acknowledged until it takes again");
        }
        let since = state.health.refusing.as_ref().map_or_else(now_ms, |(since, _)| *since);
        state.health.refusing = Some((since, why));
        let wait = self.retry;
        self.retry = (self.retry * 2).min(RETRY.1);
        drop(guard);
        self.tell_refusing();
        wait
    }

    fn failed(&self, batch: Batch, why: StoreError) -> StoreError {
        let mut guard = self.shared.state.lock();
        let state: &mut State = &mut guard;
        let lost = state.queue.put_back(batch);
        state.health.dropped_reports += lost.reports;
        state.health.failed = true;
        state.health.refusing.get_or_insert_with(|| (now_ms(), why.to_string()));
        drop(guard);
        self.tell_refusing();
        tracing::error!(critical = true, error = %why, "the store failed; nothing is acknowledged any more");
        why
    }
}
