//! The status of a process from its components: the instance rule.

use crate::{ComponentView, Snapshot, Status};

/// The status of the whole process at `now_ms` of the boot clock, maintenance of the process not regarded.
#[must_use]
pub fn overall(snapshot: &Snapshot, now_ms: u64) -> Status {
    instance(&snapshot.components, now_ms)
}

/// The instance rule over some components; those under maintenance are left out.
pub(crate) fn instance<'a>(components: impl IntoIterator<Item = &'a ComponentView>, now_ms: u64) -> Status {
    let mut required = Status::Healthy;
    let mut degraded = false;
    for component in components {
        if component.maintenance {
            continue;
        }
        match (component.required, component.status_at(now_ms)) {
            (true, Status::Unhealthy) => return Status::Unhealthy,
            (true, Status::Unknown) => required = Status::Unknown,
            (true, Status::Starting) if required == Status::Healthy => required = Status::Starting,
            (_, Status::Degraded) | (false, Status::Unhealthy | Status::Unknown) => degraded = true,
            _ => {}
        }
    }
    if required == Status::Healthy && degraded { Status::Degraded } else { required }
}
