//! Files that must not outlive the process: a folder that goes in the cleanups, and whose leftovers of a crash go at
//! the next start. Does not know what is kept there.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Handle;

/// Held for as long as the folder is used: who can take it has found a leftover.
const LOCK: &str = "lock";
/// Removing may take so long at most.
const DEADLINE: Duration = Duration::from_secs(2);

/// A folder of this process alone. Removed in CLEANUP_RESOURCES with all that is in it.
#[derive(Debug)]
pub struct TemporaryFolder {
    path: PathBuf,
    /// Holds the lock.
    lock: File,
}

impl TemporaryFolder {
    /// Makes `<parent>/<name>.<process id>.tmp` for this user only and registers its removal as a cleanup of this
    /// name. Folders of the same name that other processes have left there by a crash are removed first; those
    /// that a running process holds stay.
    ///
    /// # Errors
    /// It cannot be made. That a leftover cannot be removed is logged.
    pub fn make(handle: &Handle, parent: &Path, name: &'static str) -> io::Result<PathBuf> {
        remove_leftovers(parent, name);
        let path = parent.join(format!("{name}.{}.tmp", std::process::id()));
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::ErrorKind::AlreadyExists.into(),
        })?;
        let folder = Self { path: path.clone(), lock };
        // Blocking, but on a task of its own under a deadline.
        handle.cleanup(name, DEADLINE, move || async move { folder.remove() });
        Ok(path)
    }

    fn remove(self) -> io::Result<()> {
        let removed = std::fs::remove_dir_all(&self.path);
        drop(self.lock);
        removed
    }
}

fn remove_leftovers(parent: &Path, name: &str) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let is_ours = found.to_str().is_some_and(|found| is_named(found, name));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) || is_held(&entry.path()) {
            continue;
        }
        match std::fs::remove_dir_all(entry.path()) {
            Ok(()) => tracing::info!(path = %entry.path().display(), "temporary files of a crash removed"),
            Err(error) => {
                tracing::warn!(path = %entry.path().display(), %error, "temporary files of a crash are in the way");
            }
        }
    }
}

/// `<name>.<digits>.tmp`
fn is_named(found: &str, name: &str) -> bool {
    let inner = found.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".tmp"));
    inner.is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
}

/// Without a lock file its maker died between two lines.
fn is_held(folder: &Path) -> bool {
    let Ok(lock) = OpenOptions::new().write(true).open(folder.join(LOCK)) else { return false };
    lock.try_lock().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Budgets, Supervisor};

    #[tokio::test]
    async fn it_is_there_until_the_cleanups_and_leftovers_go_before() {
        let parent = tempfile::tempdir().unwrap();
        let leave = |name: &str| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("part"), "x").unwrap();
            path
        };
        let (crashed, other, named) = (leave("spool.1.tmp"), leave("sessions.1.tmp"), leave("spool.x.tmp"));
        let held = leave("spool.2.tmp");
        let lock = File::create(held.join(LOCK)).unwrap();
        lock.lock().unwrap();
        let file = parent.path().join("spool.3.tmp");
        std::fs::write(&file, "no folder").unwrap();

        let supervisor = Supervisor::new(Budgets::default());
        let handle = supervisor.handle();
        let path = TemporaryFolder::make(&handle, parent.path(), "spool").unwrap();
        assert!(!crashed.exists(), "a leftover of a crash");
        assert!(other.exists() && named.exists() && held.exists() && file.exists(), "not ours, or in use");
        assert!(TemporaryFolder::make(&handle, parent.path(), "spool").is_err(), "it is held by ourselves");
        std::fs::write(path.join("part"), "x").unwrap();
        handle.shutdown("enough");
        assert_eq!(supervisor.run().await.code, 0);
        assert!(!path.exists());
    }
}
