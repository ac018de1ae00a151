//! How full something is, and when that is bad: the one rule of disks and memory. Pure.

use farol_health::Status;

/// At least so much must be left, whatever the size …
const FLOOR_BYTES: u64 = 256 * 1024 * 1024;
/// … but never more than this share of it, so that a small volume is not ill by birth …
const FLOOR_SHARE_MAX: u64 = 20;
/// … and at least this share.
const FLOOR_SHARE_MIN: u64 = 100;

/// Used and available, in bytes. What is reserved for root counts as neither, as `df` does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) used: u64,
    pub(crate) available: u64,
}

impl Room {
    pub(crate) fn size(self) -> u64 {
        self.used.saturating_add(self.available)
    }

    /// Used, per hundred of used and available. Nothing at all is not full.
    pub(crate) fn used_percent(self) -> f64 {
        match self.size() {
            0 => 0.0,
            size => self.used as f64 / size as f64 * 100.0,
        }
    }

    /// Unhealthy below 1 % or 256 MiB left (but at most 5 % of the size), degraded from `degraded_at` per
    /// hundred used.
    pub(crate) fn judge(self, degraded_at: f64) -> Status {
        let size = self.size();
        let floor = FLOOR_BYTES.min(size / FLOOR_SHARE_MAX).max(size / FLOOR_SHARE_MIN);
        if size > 0 && self.available < floor.max(1) {
            Status::Unhealthy
        } else if self.used_percent() >= degraded_at {
            Status::Degraded
        } else {
            Status::Healthy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const GIB: u64 = 1024 * MIB;

    #[test]
    fn degraded_when_full_and_unhealthy_only_when_next_to_nothing_is_left() {
        let table = [
            (84 * GIB, 16 * GIB, Status::Healthy),
            (85 * GIB, 15 * GIB, Status::Degraded),
            (98 * GIB, 2 * GIB, Status::Degraded),
            (100 * GIB - 900 * MIB, 900 * MIB, Status::Unhealthy), // below 1 %
            (10 * GIB - 255 * MIB, 255 * MIB, Status::Unhealthy),  // below 256 MiB
            (10 * GIB - 257 * MIB, 257 * MIB, Status::Degraded),
            (10 * MIB, 90 * MIB, Status::Healthy), // a small volume
            (94 * MIB, 6 * MIB, Status::Degraded),
            (96 * MIB, 4 * MIB, Status::Unhealthy),
            (10, 0, Status::Unhealthy),
            (0, 0, Status::Healthy), // a file system without blocks, such as proc
        ];
        for (used, available, expected) in table {
            assert_eq!(Room { used, available }.judge(85.0), expected, "{used} used, {available} left");
        }
    }

    #[test]
    fn percentages_are_of_used_and_available() {
        assert_eq!(Room { used: 1, available: 3 }.used_percent(), 25.0);
        assert_eq!(Room { used: 0, available: 0 }.used_percent(), 0.0);
    }
}
