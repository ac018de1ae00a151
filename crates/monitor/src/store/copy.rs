//! Copies of a store: made while a monitor writes to it, and put in its place again. Decides what a copy must pass
//! before it is called one, and that nothing is overwritten unasked; how a database is copied is its dialect's.

mod child;

pub(super) use child::Child;

use crate::config;
use anyhow::{Context, bail, ensure};
use farol_shutdown::DataDir;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of SQLite begins so, and a dump of PostgreSQL so.
const SQLITE: &[u8] = b"SQLite format 3\0";
const DUMP: &[u8] = b"PGDMP";
/// Progress is told so often.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes written.
    pub bytes: u64,
    /// Of so many, nearly; `None` where nobody knows.
    pub of: Option<u64>,
}

/// Hears how far it is.
pub type Seen<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The store's id, which its copy has too.
    pub store_id: String,
    /// The copy's size.
    pub bytes: u64,
    /// Where the store is now that stood in the place before.
    pub aside: Option<String>,
}

/// Copies the store into `file`: all that was acknowledged before it began is in it. A monitor may go on meanwhile.
///
/// # Errors
/// There is no such store, it is damaged or cannot be reached, or `file` cannot be written; nothing of it is left then.
pub async fn backup(
    settings: &config::Store,
    data_dir: &Path,
    file: &Path,
    replace: bool,
    seen: Seen<'_>,
) -> anyhow::Result<Copied> {
    let there = file.try_exists().with_context(|| format!("cannot look at {}", file.display()))?;
    ensure!(
        replace || !there,
        "{} exists; name another file, or let it be replaced with `--force`",
        file.display()
    );
    let partial = Partial::beside(file)?;
    let store_id = match settings {
        config::Store::Sqlite { path, .. } => {
            super::sqlite::copy::backup(&data_dir.join(path), partial.path(), seen).await?
        }
        config::Store::Postgres(settings) => {
            super::postgres::copy::backup(settings, partial.path(), seen).await?
        }
    };
    let bytes = partial.take_place_of(file)?;
    Ok(Copied { store_id, bytes, aside: None })
}

/// Puts a copy in the place of the store. What stands there is only set aside, and that only if `replace`. How far it
/// is only a file tells.
///
/// # Errors
/// A monitor runs on it, a store is there, the file is no copy of that kind of store, or cannot be written.
pub async fn restore(
    settings: &config::Store,
    data_dir: &Path,
    file: &Path,
    replace: bool,
    seen: Seen<'_>,
) -> anyhow::Result<Copied> {
    let kind = kind(file)?;
    match (settings, kind) {
        (config::Store::Sqlite { path, .. }, Some(Kind::Sqlite)) => {
            let _held = DataDir::lock(data_dir, "farol restore")?;
            super::sqlite::copy::restore(file, &data_dir.join(path), replace, seen).await
        }
        (config::Store::Postgres(settings), Some(Kind::Dump)) => {
            super::postgres::copy::restore(settings, file, replace).await
        }
        (config::Store::Sqlite { .. }, Some(Kind::Dump)) => bail!(
            "{} is a copy of a PostgreSQL store, and the configuration names SQLite; give the file with `store: \
             {{postgres: {{…}}}}` by `--config`",
            file.display()
        ),
        (config::Store::Postgres(_), Some(Kind::Sqlite)) => bail!(
            "{} is a copy of an SQLite store, and the configuration names PostgreSQL; one cannot become the other",
            file.display()
        ),
        (_, None) => bail!("{} is no copy that `farol backup` made", file.display()),
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Dump,
}

fn kind(file: &Path) -> anyhow::Result<Option<Kind>> {
    let mut first = Vec::new();
    let read = File::open(file).and_then(|file| file.take(SQLITE.len() as u64).read_to_end(&mut first));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(if first == SQLITE {
        Some(Kind::Sqlite)
    } else if first.starts_with(DUMP) {
        Some(Kind::Dump)
    } else {
        None
    })
}

/// A file that is being written beside the one it is to become. Gone when dropped before.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    /// It has its name.
    done: bool,
}

impl Partial {
    /// An empty file for its owner alone, on the same disk.
    pub(super) fn beside(file: &Path) -> anyhow::Result<Self> {
        let Some(name) = file.file_name() else { bail!("{} is no name of a file", file.display()) };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.partial", std::process::id()));
        let path = file.with_file_name(hidden);
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&path);
        made.with_context(|| format!("cannot write beside {}", file.display()))?;
        Ok(Self { path, done: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reaches the disk and takes its name: after a power loss there is the old file or the whole new one. Its size.
    pub(super) fn take_place_of(mut self, file: &Path) -> anyhow::Result<u64> {
        let write = || {
            let written = File::open(&self.path)?;
            written.sync_all()?;
            fs::rename(&self.path, file)?;
            sync_directory(file)?;
            Ok::<_, std::io::Error>(written.metadata()?.len())
        };
        let bytes = write().with_context(|| format!("cannot write {}", file.display()))?;
        self.done = true;
        Ok(bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.done {
            // Nobody asked for half a copy, and there is nothing to do when it cannot be deleted.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Makes the names in a file's directory durable.
pub(super) fn sync_directory(file: &Path) -> std::io::Result<()> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Tells how far a file has grown, until the work is done.
pub(super) async fn watched<T>(
    work: impl Future<Output = T>,
    file: &Path,
    of: Option<u64>,
    seen: Seen<'_>,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => {
                let bytes = fs::metadata(file).map_or(0, |metadata| metadata.len());
                seen(Progress { bytes, of });
            }
        }
    }
}

/// Renames a file if it is there; whether it was.
pub(super) fn set_aside(file: &Path, to: &Path) -> anyhow::Result<bool> {
    match fs::rename(file, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => {
            Err(error).with_context(|| format!("cannot rename {} to {}", file.display(), to.display()))
        }
    }
}

/// What is added to the name of what is set aside: the time.
pub(super) fn stamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_copy_is_not_left_behind_and_a_whole_one_replaces_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store.backup");
        fs::write(&file, "old").unwrap();
        drop(Partial::beside(&file).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let partial = Partial::beside(&file).unwrap();
        fs::write(partial.path(), "new!").unwrap();
        assert_eq!(partial.take_place_of(&file).unwrap(), 4);
        assert_eq!(fs::read_to_string(&file).unwrap(), "new!");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_told_by_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        for (bytes, expected) in [
            (&b"SQLite format 3\0more"[..], Some(Kind::Sqlite)),
            (b"PGDMP\x01", Some(Kind::Dump)),
            (b"SQLite", None),
            (b"", None),
        ] {
            fs::write(&file, bytes).unwrap();
            assert_eq!(kind(&file).unwrap(), expected);
        }
        assert!(kind(dir.path()).is_err());
    }
}
