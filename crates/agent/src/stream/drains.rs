//! What of the agent drains because the monitor says so, and until when: it ends by itself where the monitor cannot say
//! so. Whether the agent heeds such words at all is decided where they come in.

use crate::recorder::Recorder;
use farol_health::Checker;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// A window may be so far away that no clock says when.
const AT_MOST: Duration = Duration::from_secs(366 * 86_400);

/// What the monitor's windows do.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    /// They are over then; `None` where none holds, or nobody knows.
    over: watch::Sender<Option<Instant>>,
}

impl Drains {
    /// These components drain, or all of them, in place of those before: for so long, or until something else is said
    /// where that is nothing.
    pub(super) fn take(
        &self,
        checker: &Checker,
        recorder: &Recorder,
        (names, all): (&[String], bool),
        remaining: Duration,
    ) {
        // Under its lock: what was said before does not end what is said now.
        self.over.send_modify(|over| {
            apply(checker, recorder, names, all);
            *over = (!remaining.is_zero()).then(|| Instant::now() + remaining.min(AT_MOST));
        });
    }

    /// Ends what is over, again and again. `drained` is the agent's own word, which stands.
    pub(super) async fn run(&self, checker: &Checker, recorder: &Recorder, drained: &CancellationToken) {
        let mut changes = self.over.subscribe();
        loop {
            let over = *changes.borrow_and_update();
            tokio::select! {
                () = sleep_until(over.unwrap_or_else(Instant::now)), if over.is_some() => {
                    tracing::info!("the monitor's drain windows are over");
                    self.over.send_if_modified(|now| {
                        let is_same = *now == over;
                        if is_same {
                            apply(checker, recorder, &[], drained.is_cancelled());
                            *now = None;
                        }
                        is_same
                    });
                }
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn apply(checker: &Checker, recorder: &Recorder, names: &[String], all: bool) {
    checker.set_maintenance(names);
    checker.set_draining(all);
    recorder.look();
}
