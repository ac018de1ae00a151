//! What has been reported of each component, so that only changes go out. A change of the message alone goes out at
//! most once a minute.

use crate::catalog::{CheckSeries, ComponentIds};
use farol_health::{ComponentView, Snapshot, Status};
use farol_wire::limits::{MESSAGE_BYTES, REASON_BYTES};
use farol_wire::{ComponentReport, proto};
use prost::Message;
use std::sync::Arc;

/// Tag and length of a status in its message.
const ENTRY_BYTES: usize = 4;
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

impl Tracked {
    /// Its entry when nothing is new but the time of its last word: with the message that was told, because another one
    /// has to wait.
    pub(super) fn renewed(&self, view: &ComponentView, draining: bool) -> Option<proto::ComponentStatus> {
        let told = self.told.as_ref()?;
        let mut entry = entry(self.ids.component, view, draining);
        entry.message = cut(&told.message, MESSAGE_BYTES);
        Some(entry)
    }
}

/// A component as it stands.
pub(super) fn entry(id: u32, view: &ComponentView, draining: bool) -> proto::ComponentStatus {
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

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// Cuts the longest messages, all to one length, until the statuses take no more than `room` bytes in their message.
/// Statuses and reasons stay, also where they alone are too many.
pub(super) fn shorten(statuses: &mut [proto::ComponentStatus], room: usize) {
    let whole: usize = statuses.iter().map(|status| status.encoded_len() + ENTRY_BYTES).sum();
    if whole <= room {
        return;
    }
    let messages: usize = statuses.iter().map(|status| status.message.len()).sum();
    let left = room.saturating_sub(whole - messages);
    let taken = |most: usize| statuses.iter().map(|status| status.message.len().min(most)).sum::<usize>();
    // The shortest that is too long; one less fits.
    let (mut fits, mut over) = (0, MESSAGE_BYTES);
    while fits + 1 < over {
        let most = usize::midpoint(fits, over);
        if taken(most) <= left { fits = most } else { over = most }
    }
    for message in statuses.iter_mut().map(|status| &mut status.message) {
        message.truncate(message.floor_char_boundary(fits));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(messages: &[usize]) -> Vec<proto::ComponentStatus> {
        let status = |(id, length): (u32, &usize)| proto::ComponentStatus {
            id,
            hard: Status::Unhealthy as i32,
            reason: "exhausted".to_owned(),
            message: "ü".repeat(length / 2),
            ..Default::default()
        };
        (1..).zip(messages).map(status).collect()
    }

    #[test]
    fn the_longest_messages_are_cut_until_the_statuses_fit_and_nothing_else_is() {
        for (messages, room, expected) in [
            (vec![1_000, 1_000], 3_000, vec![1_000, 1_000]),
            (vec![1_000, 1_000, 20], 1_100, vec![500, 500, 20]),
            (vec![1_000; 100], 5_000, vec![24; 100]),
            (vec![1_000; 100], 100, vec![0; 100]),
        ] {
            let mut cut = statuses(&messages);
            shorten(&mut cut, room);
            let lengths: Vec<usize> = cut.iter().map(|status| status.message.len()).collect();
            let bytes = proto::State { as_of: 0, components: cut.clone() }.encoded_len();
            let least: usize = statuses(&vec![0; messages.len()]).iter().map(|s| s.encoded_len() + 4).sum();
            assert!(bytes <= room.max(least), "{bytes} in {room}");
            for (length, expected) in lengths.iter().zip(&expected) {
                assert!(length.abs_diff(*expected) <= 20, "{lengths:?} is not {expected:?}");
            }
            assert!(cut.iter().all(|status| status.reason == "exhausted" && status.hard == 4));
        }
    }
}
