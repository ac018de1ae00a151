//! The one task that commits. Decides when a group closes, and what a refusal means.

use super::Shared;
use super::queue::Batch;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A group closes after so long at the latest.
const GROUP_WITHIN: Duration = Duration::from_millis(200);
/// A store that refuses is asked again after so long, doubled each time up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Commits what waits.
pub struct Writer {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    /// The wait before the next try, while the store refuses.
    retry: Duration,
}

impl Writer {
    pub(super) fn new(store: Arc<dyn Store>, shared: Arc<Shared>) -> Self {
        Self { store, shared, retry: RETRY.0 }
    }

    /// Commits until `cleaning` is cancelled, then commits the rest and closes the store. An error means that the
    /// store will take nothing any more: the process must end.
    pub async fn run(mut self, cleaning: CancellationToken) -> Result<(), StoreError> {
        loop {
            tokio::select! {
                () = self.something_waits() => {}
                () = cleaning.cancelled() => break,
            }
            if !self.refusing() {
                self.gather(&cleaning).await;
            }
            if let Some(wait) = self.commit().await? {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = cleaning.cancelled() => break,
                }
            }
        }
        if self.commit().await?.is_some() {
            tracing::error!("the store refused the last group; what was not acknowledged comes again");
        }
        self.store.close().await
    }

    async fn something_waits(&self) {
        loop {
            let waiting = self.shared.waiting.notified();
            if !self.shared.state.lock().queue.is_empty() {
                return;
            }
            waiting.await;
        }
    }

    /// Lets a group grow until it is urgent, large or old enough.
    async fn gather(&self, cleaning: &CancellationToken) {
        let closes = Instant::now() + GROUP_WITHIN;
        loop {
            let waiting = self.shared.waiting.notified();
            if self.shared.state.lock().queue.urgent {
                return;
            }
            tokio::select! {
                () = waiting => {}
                () = tokio::time::sleep_until(closes) => return,
                () = cleaning.cancelled() => return,
            }
        }
    }

    fn refusing(&self) -> bool {
        self.shared.state.lock().health.refusing.is_some()
    }

    /// Commits what waits. `Some`: the store refuses, and is asked again after this time.
    async fn commit(&mut self) -> Result<Option<Duration>, StoreError> {
        let Batch { group, waiters } = self.shared.state.lock().queue.take();
        let kept = group.clone();
        let began = Instant::now();
        match self.store.commit(group).await {
            Ok(()) => {
                self.committed(kept.reports.len() as u64, began.elapsed());
                waiters.iter().for_each(|(progress, seq)| progress.commit(*seq));
                Ok(None)
            }
            Err(StoreError::Refused(why)) => {
                let wait = self.refused(Batch { group: kept, waiters }, why);
                Ok(Some(wait))
            }
            Err(fatal) => {
                self.shared.state.lock().health.failed = true;
                waiters.iter().for_each(|(progress, _)| progress.roll_back());
                tracing::error!(error = %fatal, "the store failed; nothing is acknowledged any more");
                Err(fatal)
            }
        }
    }

    fn committed(&mut self, reports: u64, took: Duration) {
        let mut state = self.shared.state.lock();
        let health = &mut state.health;
        health.committed_reports += reports;
        health.committed_groups += 1;
        health.commit_seconds += took.as_secs_f64();
        health.last_commit_ms = Some(now_ms());
        let refused_since = health.refusing.take();
        drop(state);
        if let Some((since, _)) = refused_since {
            self.retry = RETRY.0;
            self.shared.recovered.send_modify(|n| *n += 1);
            tracing::info!(refused_ms = now_ms() - since, "the store takes again");
        }
    }

    fn refused(&mut self, batch: Batch, why: String) -> Duration {
        let mut state = self.shared.state.lock();
        let dropped = state.queue.put_back(batch);
        state.health.dropped_reports += dropped;
        if state.health.refusing.is_none() {
            tracing::error!(error = %why, "the store refuses; reports are not acknowledged until it takes again");
        }
        let since = state.health.refusing.as_ref().map_or_else(now_ms, |(since, _)| *since);
        state.health.refusing = Some((since, why));
        let wait = self.retry;
        self.retry = (self.retry * 2).min(RETRY.1);
        wait
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
