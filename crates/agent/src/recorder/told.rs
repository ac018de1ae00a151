//! What has been reported of each component, so that only changes go out. A change of the message alone goes out at
//! most once a minute.

use crate::catalog::{CheckSeries, ComponentIds};
use farol_health::{ComponentView, Snapshot, Status};
use farol_wire::limits::{MESSAGE_BYTES, REASON_BYTES};
use farol_wire::{ComponentReport, proto};
use std::sync::Arc;

/// Between two reports that tell nothing but another message.
const MESSAGE_EVERY_MS: u64 = 60_000;

/// A component that is reported.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) ids: ComponentIds,
    /// Its check's series.
    pub(super) series: CheckSeries,
    /// What the last report said of it.
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    hard: Status,
    soft: Status,
    reason: String,
    message: Arc<str>,
    maintenance: bool,
    at_ms: u64,
}

impl Tracked {
    pub(super) fn new(ids: ComponentIds, series: CheckSeries) -> Self {
        Self { ids, series, told: None }
    }

    /// Whether these statuses are news that goes out at once.
    pub(super) fn is_urgent(&self, hard: Status, soft: Status) -> bool {
        self.told.as_ref().is_none_or(|told| (told.hard, told.soft) != (hard, soft))
    }

    /// Whether a report has something to say of it.
    pub(super) fn is_new(&self, view: &ComponentView, draining: bool, now_ms: u64) -> bool {
        let maintenance = view.maintenance || draining;
        self.told.as_ref().is_none_or(|told| {
            (told.hard, told.soft, told.maintenance) != (view.hard, view.soft, maintenance)
                || told.reason != view.reason
                || (told.message != view.message && now_ms.saturating_sub(told.at_ms) >= MESSAGE_EVERY_MS)
        })
    }

    /// Its entry in a report, if there is something new or `all` is told.
    pub(super) fn tell(
        &mut self,
        view: &ComponentView,
        draining: bool,
        all: bool,
        now_ms: u64,
    ) -> Option<proto::ComponentStatus> {
        if !all && !self.is_new(view, draining, now_ms) {
            return None;
        }
        self.told = Some(Told {
            hard: view.hard,
            soft: view.soft,
            reason: view.reason.to_string(),
            message: Arc::clone(&view.message),
            maintenance: view.maintenance || draining,
            at_ms: now_ms,
        });
        Some(entry(self.ids.component, view, draining))
    }
}

/// A component as it stands.
pub(super) fn entry(id: u32, view: &ComponentView, draining: bool) -> proto::ComponentStatus {
    let cut = |text: &str, most: usize| text[..text.floor_char_boundary(most)].to_owned();
    ComponentReport {
        id,
        hard: view.hard,
        soft: view.soft,
        reason: cut(&view.reason, REASON_BYTES),
        message: cut(&view.message, MESSAGE_BYTES),
        checked_ms: view.checked_ms,
        maintenance: view.maintenance || draining,
    }
    .into()
}

/// The components of a snapshot that are reported.
pub(super) fn reported<'a>(
    snapshot: &'a Snapshot,
    id_of: impl Fn(&str) -> Option<u32> + 'a,
) -> impl Iterator<Item = proto::ComponentStatus> + 'a {
    snapshot
        .components
        .iter()
        .filter_map(move |view| Some(entry(id_of(&view.name)?, view, snapshot.draining)))
}
