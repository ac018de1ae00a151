//! How many processes there are. Decides how to count them without listing them: the kernel adds them to the
//! links of `/proc`. Where that number is of another kind (a process namespace, a sandbox), they are listed.

use super::text::float;
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

/// After so many ticks the kernel's count is held against a listing once more.
const COMPARE_AGAIN: u32 = 60;

/// Counts processes.
pub(super) struct Processes {
    proc: PathBuf,
    series: Arc<Series>,
    /// Links of `/proc` that are no processes; `None` where links do not tell.
    other_links: Option<u64>,
    /// Ticks until the next comparison.
    until_compare: u32,
    /// Whether a failure has been logged.
    told: bool,
}

impl Processes {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            proc: config.proc.clone(),
            series: Arc::new(Series::gauge("system_processes", Unit::None)),
            other_links: None,
            until_compare: 0,
            told: false,
        }
    }

    fn count(&mut self) -> io::Result<u64> {
        if self.until_compare > 0
            && let Some(other) = self.other_links
        {
            self.until_compare -= 1;
            return Ok(std::fs::metadata(&self.proc)?.nlink().saturating_sub(other));
        }
        let (listed, other) = self.list()?;
        if self.until_compare == 0 {
            self.other_links = other_links(std::fs::metadata(&self.proc)?.nlink(), listed, other);
            self.until_compare = COMPARE_AGAIN;
        }
        self.until_compare -= 1;
        Ok(listed)
    }

    /// Folders of processes, and other folders.
    fn list(&self) -> io::Result<(u64, u64)> {
        let (mut processes, mut other) = (0, 0);
        for entry in std::fs::read_dir(&self.proc)? {
            let entry = entry?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let number = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
                *(if number { &mut processes } else { &mut other }) += 1;
            }
        }
        Ok((processes, other))
    }
}

impl Collect for Processes {
    fn collect(&mut self, out: &mut Row) {
        match self.count() {
            Ok(count) => out.push(&self.series, float(count)),
            Err(error) if !std::mem::replace(&mut self.told, true) => {
                let path = self.proc.display();
                tracing::warn!(%path, %error, "processes cannot be counted; their series is left out");
            }
            Err(_) => {}
        }
    }
}

/// The links that are no processes, if the rest agrees with the listing but for what came and went meanwhile.
fn other_links(links: u64, listed: u64, other_folders: u64) -> Option<u64> {
    // A folder has two links besides those of the folders in it.
    let other = other_folders + 2;
    let counted = links.checked_sub(other)?;
    (counted.abs_diff(listed) <= 2 + listed / 16).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_count_only_where_they_agree_with_the_listing() {
        let cases = [
            ((107, 97, 8), Some(10)),
            ((109, 97, 8), Some(10)),
            ((1_010, 960, 8), Some(10)),
            // A process namespace: the links are the host's.
            ((510, 3, 8), None),
            // A sandbox that gives each folder two links.
            ((2, 40, 8), None),
        ];
        for ((links, listed, other), expected) in cases {
            assert_eq!(other_links(links, listed, other), expected, "{links} {listed} {other}");
        }
    }

    #[test]
    fn where_links_do_not_tell_processes_are_listed_at_every_tick() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1", "17", "sys"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("42"), "no folder").unwrap();
        let mut processes = Processes::new(&Config { proc: folder.path().into(), ..Config::default() });
        assert_eq!(processes.count().unwrap(), 2);
        std::fs::create_dir(folder.path().join("99")).unwrap();
        assert_eq!(processes.count().unwrap(), 3);
        processes.other_links = None;
        std::fs::create_dir(folder.path().join("100")).unwrap();
        assert_eq!(processes.count().unwrap(), 4);
    }
}
