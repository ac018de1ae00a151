//! What the first process of a container owes to others: when their parents are gone, they become its children, and
//! stay as zombies until it asks for their exit status. Decides which zombies are orphans; own children are left to
//! those who started them.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};

/// How often is looked. A zombie that is there at two looks is an orphan: whoever waits for a child of his own asks
/// for its status as soon as it ends.
const LOOK: Duration = Duration::from_secs(5);

/// Starts a thread that clears orphans away, where this process is the first one of its namespace.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn reap_if_first() -> io::Result<()> {
    if getpid() != Pid::INIT {
        return Ok(());
    }
    std::thread::Builder::new().name("orphans".into()).spawn(|| {
        let mut orphans = Orphans::default();
        loop {
            std::thread::park_timeout(LOOK);
            for pid in orphans.next(zombies()) {
                reap(pid);
            }
        }
    })?;
    Ok(())
}

/// The zombies that were there at the last look.
#[derive(Debug, Default)]
struct Orphans {
    seen: BTreeSet<i32>,
}

impl Orphans {
    /// Those of now that were there before: nobody waits for them.
    fn next(&mut self, now: BTreeSet<i32>) -> Vec<i32> {
        let (old, new): (Vec<_>, Vec<_>) = now.into_iter().partition(|pid| self.seen.contains(pid));
        self.seen = new.into_iter().collect();
        old
    }
}

/// All children that have ended and that nobody has asked for. Empty without a look at `/proc` in the usual case.
fn zombies() -> BTreeSet<i32> {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if !matches!(waitid(WaitId::All, peek), Ok(Some(_))) {
        return BTreeSet::new();
    }
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeSet::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| is_zombie(&stat)))
        .collect()
}

/// A zombie whose parent is the first process.
fn is_zombie(stat: &str) -> bool {
    // The name in parentheses may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_whitespace();
    (fields.next(), fields.next()) == (Some("Z"), Some("1"))
}

fn reap(pid: i32) {
    let Some(child) = Pid::from_raw(pid) else { return };
    if matches!(waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(Some(_))) {
        tracing::debug!(pid, "an orphaned process has ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_a_zombie_is_an_orphan() {
        let mut orphans = Orphans::default();
        let now = |pids: &[i32]| pids.iter().copied().collect();
        assert_eq!(orphans.next(now(&[7, 8])), [0; 0], "its parent may be about to ask");
        assert_eq!(orphans.next(now(&[8, 9])), [8]);
        assert_eq!(orphans.next(now(&[8])), [0; 0], "a number used again is another process");
        assert_eq!(orphans.next(now(&[])), [0; 0]);
    }

    #[test]
    fn a_zombie_is_told_by_its_state_and_its_parent_whatever_its_name() {
        for (stat, expected) in [
            ("12 (sleep) Z 1 12 12 0 -1", true),
            ("12 (a) S 1 ) Z 1 12", true),
            ("12 (sleep) Z 40 12 12", false),
            ("12 (Z 1) S 1 12 12", false),
            ("", false),
        ] {
            assert_eq!(is_zombie(stat), expected, "{stat}");
        }
    }
}
