//! Kind `push`: an application tells the status of a part of its own; silence says nothing of it. Decides what the
//! silence means; what is told comes through the agent's local API.

use crate::heartbeat::TTLS;
use crate::kind::{Kind, Read};
use farol_config::Map;
use farol_health::{Check, Dependency, Outcome};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::time::Duration;

pub(crate) const KIND: Kind = Kind { name: "push", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let ttl = m.duration("ttl").within(TTLS).example("1m").required();
    Some(Read::told(ttl, Push::new(ttl)))
}

/// What is said when no word came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    ttl: Duration,
}

impl Push {
    /// A word holds for this time. For a [`farol_health::Spec`] that is told, with this interval.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl }
    }
}

impl Check for Push {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        let message =
            format!("no word within {:?}: see whether the application that tells it runs", self.ttl);
        async { Outcome::unknown("push_expired", message) }.boxed()
    }
}
