//! What a stream waits for besides its agent: others who want it gone or awake, and the next acknowledgement.

use super::course::Course;
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
pub(in crate::ingest) struct NextAck {
    /// The boots' progress, each with what was committed when it was last looked at.
    boots: Vec<(Arc<Follower>, u64)>,
    at_ms: u64,
}

impl NextAck {
    /// Without any there is none.
    pub(super) fn of<'c>(courses: impl Iterator<Item = &'c Course>) -> Self {
        let mut next = Self { boots: Vec::new(), at_ms: u64::MAX };
        for course in courses {
            next.at_ms = next.at_ms.min(course.acks.next_ms());
            next.boots.push((Arc::clone(&course.follower), course.looked));
        }
        next
    }

    pub(in crate::ingest) async fn wait(&self) {
        if self.boots.is_empty() {
            return std::future::pending().await;
        }
        let left = Duration::from_millis(self.at_ms.saturating_sub(boot_ms()).max(1));
        let commits = self.boots.iter().map(|(follower, seen)| Box::pin(follower.beyond(*seen)));
        tokio::select! {
            _ = futures::future::select_all(commits) => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}
