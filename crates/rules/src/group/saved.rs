//! A conversation as it is stored. Moments on the running clock mean nothing in another process: they are kept relative
//! to the moment of saving.

use super::record::{Record, Tick};
use super::{Conversation, signed};
use crate::{AlertId, Moment, Waits};
use serde::{Deserialize, Serialize};

/// A conversation that outlasts the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// When it was saved.
    wall_ms: i64,
    alerts: Vec<(AlertId, Record)>,
    last: Option<Tick>,
    waits: Waits,
    number: u64,
    opened_ms: Option<i64>,
}

impl Conversation {
    /// As it is to be stored.
    #[must_use]
    pub fn saved(&self, now: Moment) -> Saved {
        let mut saved = Saved {
            wall_ms: now.wall_ms,
            alerts: self.alerts.iter().map(|(id, record)| (id.clone(), record.clone())).collect(),
            last: self.last,
            waits: self.waits,
            number: self.number,
            opened_ms: self.opened_ms,
        };
        saved.shift(signed(now.run_ms).saturating_neg());
        saved
    }

    /// As it was stored. Its timers went on from then until the monitor was last alive, and go on from now. It is to be
    /// stored again before the monitor's being alive is: what was saved before a pause knows nothing of the pause.
    #[must_use]
    pub fn restored(mut saved: Saved, alive_until_wall_ms: i64, now: Moment) -> Self {
        let ran_on = alive_until_wall_ms.saturating_sub(saved.wall_ms).max(0);
        saved.shift(signed(now.run_ms).saturating_sub(ran_on));
        let Saved { alerts, last, waits, number, opened_ms, .. } = saved;
        Self { alerts: alerts.into_iter().collect(), last, waits, number, opened_ms }
    }
}

impl Saved {
    fn shift(&mut self, by: Tick) {
        for (_, record) in &mut self.alerts {
            record.shift(by);
        }
        self.last = self.last.map(|last| last.saturating_add(by));
    }
}
