//! A wall clock that is moved under a process, by libfaketime: only the wall clock, as when somebody sets it.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The file that libfaketime reads at each look at the clock.
const FILE: &str = "clock";

/// The wall clock of the processes that run with its environment.
pub struct WallClock(PathBuf);

impl WallClock {
    /// One that is right, with its file in this folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(folder: &Path) -> Result<Self> {
        let clock = Self::of(folder);
        clock.set(0)?;
        Ok(clock)
    }

    /// The one whose file is in this folder.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// What a process is started with.
    ///
    /// # Errors
    /// libfaketime is not installed.
    pub fn env(&self) -> Result<[(&'static str, String); 5]> {
        Ok([
            ("LD_PRELOAD", library()?.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
        ])
    }

    /// Off by so many seconds from now on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // Replaced whole: a reader must not find half of it.
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}s\n"))?;
        Ok(std::fs::rename(new, &self.0)?)
    }
}

/// Debian's packages put it into a folder of the machine's kind.
fn library() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|path| path.exists()).context("libfaketime is not installed; run scripts/test-deps")
}
