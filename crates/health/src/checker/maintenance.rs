//! The switch an operator turns: the whole process under maintenance, with a reason. The checks go on and their
//! statuses stay true beneath it; what is shown then is decided by those who read the snapshot.

use super::Checker;

/// Puts the process under maintenance and ends it. Clones are the same switch.
///
/// While it is on, `/health` and `/health/ready` say `maintenance` with 503 and `Retry-After`, gRPC says NOT_SERVING,
/// and liveness stays as it is. [`Checker::set_draining`] has the same effect for its own reasons: the process is
/// back when neither holds.
#[derive(Clone)]
pub struct Maintenance(Checker);

impl Maintenance {
    pub(super) fn of(checker: Checker) -> Self {
        Self(checker)
    }

    /// Turns the switch; `reason` is what callers on this machine are told. Turning it on again changes the reason.
    pub fn set(&self, on: bool, reason: &str) {
        let mut board = self.0.0.board.lock();
        if !board.switch_maintenance(on.then_some(reason)) {
            return;
        }
        self.0.0.publish(&mut board);
        drop(board);
        if on {
            tracing::warn!(reason, "maintenance begins");
        } else {
            tracing::info!(reason, "maintenance ends");
        }
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.snapshot().maintenance.is_some()
    }
}
