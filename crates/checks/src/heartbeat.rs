//! Kind `heartbeat`: a job says now and then that it runs; silence is its failure. Decides what the silence means; the
//! beats come through the agent's local API.

use crate::kind::{Kind, Read};
use farol_config::Map;
use farol_health::{Check, Dependency, Outcome};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) const KIND: Kind = Kind { name: "heartbeat", host: false, dependency: Dependency::Other, read };

/// How long a silence may be allowed to be.
pub(crate) const TTLS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32 * 86_400);

fn read(m: &mut Map<'_>) -> Option<Read> {
    let ttl = m.duration("ttl").within(TTLS).example("1h").required();
    Some(Read::told(ttl, Heartbeat::new(ttl)))
}

/// What is said when no beat came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    ttl: Duration,
}

impl Heartbeat {
    /// A beat is missed after this time of silence. For a [`farol_health::Spec`] that is told, with this interval.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl }
    }
}

impl Check for Heartbeat {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        let message = format!("no heartbeat within {:?}: see whether the job that sends it runs", self.ttl);
        async { Outcome::unhealthy("heartbeat_missed", message) }.boxed()
    }
}
