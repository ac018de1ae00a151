//! What a stream waits for besides its agent: others who want it gone or awake, and the next acknowledgement.

use crate::fleet::StreamLink;
use crate::journal::Follower;
use farol_health::clock::boot_ms;
use std::sync::Arc;
use std::time::Duration;

/// The stream as others see it; nothing before Hello.
pub(in crate::ingest) struct Link(pub(super) Option<Arc<StreamLink>>);

impl Link {
    pub(in crate::ingest) async fn replaced(&self) {
        match &self.0 {
            Some(link) => link.replaced.cancelled().await,
            None => std::future::pending().await,
        }
    }

    pub(in crate::ingest) async fn pinged(&self) {
        match &self.0 {
            Some(link) => link.ping.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// When an acknowledgement may be due: at the next commit, or when the time rule says so.
pub(in crate::ingest) struct NextAck(Option<(Arc<Follower>, u64, u64)>);

impl NextAck {
    pub(super) fn of(follower: Arc<Follower>, at_ms: u64) -> Self {
        let seen = follower.committed();
        Self(Some((follower, seen, at_ms)))
    }

    pub(super) fn never() -> Self {
        Self(None)
    }

    pub(in crate::ingest) async fn wait(&self) {
        let Some((follower, seen, at_ms)) = &self.0 else { return std::future::pending().await };
        let left = Duration::from_millis(at_ms.saturating_sub(boot_ms()).max(1));
        tokio::select! {
            _ = follower.beyond(*seen) => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}
