//! The directory in which a process keeps what must outlive it: held by one process at a time, and its small files
//! are replaced whole or not at all. Does not know what is kept there.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that is locked. It stays when the process ends; only the kernel's lock on it counts.
const LOCK: &str = "lock";
/// So much of a lock file is shown to whoever finds it held.
const HOLDER_BYTES: u64 = 200;

/// A directory that this process holds until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

/// A data directory that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// It cannot be made, opened or written.
    #[error("the data directory {path} cannot be used: {advice}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What to do about it.
        advice: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds it.
    #[error(
        "the data directory {path} is held by {holder}; stop that process, or give this one its own with `--data-dir`"
    )]
    Held {
        /// The directory.
        path: PathBuf,
        /// What that process wrote about itself.
        holder: String,
    },
}

impl DataDir {
    /// Makes the directory where it is missing (for this user only), and holds it. `who` is shown to the next one
    /// that tries, with this process' id.
    ///
    /// # Errors
    /// Another process holds it, or it cannot be used.
    pub fn lock(path: impl Into<PathBuf>, who: &str) -> Result<Self, DataDirError> {
        let path = path.into();
        let unusable = |source| {
            let advice = advice(&path, &source);
            DataDirError::Unusable { path: path.clone(), advice, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(unusable)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::Held { holder: holder(&lock), path });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let name = format!("{who}, process {}\n", std::process::id());
        let written =
            lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(name.as_bytes()));
        written.map_err(unusable)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A small file's content; `None` when there is none.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(&self, name: &str) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.path.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a small file: after a crash or a power loss it holds the old text or the new one.
    ///
    /// # Errors
    /// What the system said; the old file is still there then.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        replace(&self.path.join(name), text.as_bytes(), Durable::Yes)
    }
}

/// Whether a replaced file must survive a power loss.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

/// Writes beside the file and renames.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    if durable == Durable::Yes {
        file.sync_all()?;
    }
    std::fs::rename(&beside, path)?;
    if durable == Durable::Yes
        && let Some(folder) = path.parent()
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// What to do when the directory cannot be used.
fn advice(path: &Path, source: &io::Error) -> String {
    let there = |path: &&Path| std::fs::symlink_metadata(path).is_ok();
    let nearest = path.ancestors().find(there).unwrap_or(path);
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "its disk is full; free some space".to_owned(),
        ErrorKind::ReadOnlyFilesystem => {
            "its file system can only be read; name another with `--data-dir`".to_owned()
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory if !nearest.is_dir() => {
            format!("{} is a file, not a directory; name another with `--data-dir`", nearest.display())
        }
        ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(nearest)
                .map_or_else(|_| "another user".to_owned(), |m| format!("user {}", m.uid()));
            let me = rustix::process::geteuid();
            format!(
                "{} belongs to {owner} and this process is user {me}; let that user write to it",
                nearest.display()
            )
        }
        _ => "create it and let this user write to it".to_owned(),
    }
}

fn holder(lock: &File) -> String {
    let mut text = String::new();
    let read = lock.take(HOLDER_BYTES).read_to_string(&mut text);
    let shown: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if read.is_err() || shown.is_empty() { "another process".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_second_one_is_told_who_holds_it_and_the_end_of_the_first_frees_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let first = DataDir::lock(&path, "farol-agent").unwrap();
        let error = DataDir::lock(&path, "farol").unwrap_err().to_string();
        let me = format!("held by farol-agent, process {};", std::process::id());
        assert!(error.contains(&me) && error.contains("--data-dir"), "{error}");
        drop(first);
        assert_eq!(DataDir::lock(&path, "farol").unwrap().path(), path);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_missing_one_is_no_error() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path(), "a test").unwrap();
        assert_eq!(dir.read("boot").unwrap(), None);
        dir.write("boot", "a longer text").unwrap();
        dir.write("boot", "short").unwrap();
        assert_eq!(dir.read("boot").unwrap().as_deref(), Some("short"));
        let mut names: Vec<_> =
            std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["boot", "lock"]);
    }

    #[test]
    fn a_directory_that_cannot_be_made_says_what_to_do() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = DataDir::lock(path, "a test").unwrap_err().to_string();
            assert!(error.contains(&format!("{} is a file, not a directory", file.display())), "{error}");
        }
        for (kind, words) in [
            (ErrorKind::StorageFull, "free some space"),
            (ErrorKind::ReadOnlyFilesystem, "can only be read"),
            (ErrorKind::PermissionDenied, "belongs to user "),
            (ErrorKind::NotFound, "let this user write to it"),
        ] {
            let told = advice(&temp.path().join("a/b"), &kind.into());
            assert!(told.contains(words), "{kind:?}: {told}");
        }
    }
}
