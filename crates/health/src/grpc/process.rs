//! The names of one process for gRPC: `""`, `<service>`, `<service>/<component>` and `group:<name>`. Decides how they
//! follow from its components; the protocol is the server's.

use super::{ServingStatus, Statuses};
use crate::aggregate::{self, Aggregate};
use crate::group::Groups;
use crate::probe::{Moment, Source, part};
use crate::{ComponentView, clock};
use std::sync::Arc;
use tokio::sync::watch;

/// The statuses of a process that checks its own components: an agent or an application.
pub struct ProcessStatuses {
    /// The process.
    source: Arc<dyn Source>,
    /// Its groups, known as `group:<name>`.
    groups: Groups,
}

impl ProcessStatuses {
    /// Reads this source.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self { source, groups: Groups::default() }
    }

    /// Knows these groups, too. Their HTTP codes have no part in it.
    #[must_use]
    pub fn with_groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// While the process stops or drains, every name it knows says NOT_SERVING.
    fn closed(&self, draining: bool) -> bool {
        draining || self.source.stopping()
    }

    /// `""` is `/health/ready`.
    fn itself(&self) -> ServingStatus {
        if Moment::of(&*self.source, false).ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }
}

impl Statuses for ProcessStatuses {
    fn check(&self, name: &str) -> Option<ServingStatus> {
        if name.is_empty() {
            return Some(self.itself());
        }
        let snapshot = self.source.snapshot();
        let now_ms = clock::boot_ms();
        let group = name.strip_prefix("group:").and_then(|name| self.groups.get(name));
        let status = match name.split_once('/') {
            _ if group.is_some() => group.map(|group| of(group.status_at(&snapshot, now_ms))),
            Some((service, component)) => snapshot
                .components
                .iter()
                .find(|c| *c.service == *service && *c.name == *component)
                .map(|c| of_component(c, now_ms)),
            None => of_service(&snapshot.components, name, now_ms),
        }?;
        Some(if self.closed(snapshot.draining) { ServingStatus::NotServing } else { status })
    }

    fn list(&self) -> Vec<(String, ServingStatus)> {
        let snapshot = self.source.snapshot();
        let now_ms = clock::boot_ms();
        let closed = self.closed(snapshot.draining);
        let mut listed = vec![(String::new(), self.itself())];
        for component in &snapshot.components {
            if listed.iter().any(|(name, _)| **name == *component.service) {
                continue;
            }
            if let Some(status) = of_service(&snapshot.components, &component.service, now_ms) {
                let status = if closed { ServingStatus::NotServing } else { status };
                listed.push((component.service.to_string(), status));
            }
        }
        for group in self.groups.iter() {
            let status =
                if closed { ServingStatus::NotServing } else { of(group.status_at(&snapshot, now_ms)) };
            listed.push((format!("group:{}", group.name()), status));
        }
        listed
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.source.changed()
    }
}

fn of_service(components: &[Arc<ComponentView>], service: &str, now_ms: u64) -> Option<ServingStatus> {
    let mut members = components.iter().filter(|c| *c.service == *service).peekable();
    members.peek()?;
    Some(of(aggregate::instance(members.map(|c| part(c, now_ms)))))
}

fn of(shown: Aggregate) -> ServingStatus {
    shown.status().map_or(ServingStatus::NotServing, ServingStatus::from)
}

/// A component asked for by name speaks for itself, required or not.
fn of_component(component: &ComponentView, now_ms: u64) -> ServingStatus {
    if component.maintenance { ServingStatus::NotServing } else { component.status_at(now_ms).into() }
}
