//! A copy of the file, made by SQLite itself in one read transaction while another connection may write, and the way
//! back. Decides what is looked at before a copy is trusted.

use super::{fault, migrate};
use crate::store::StoreError;
use crate::store::copy::{Copied, Partial, Progress, Seen, set_aside, stamp, sync_directory, watched};
use anyhow::{Context, bail, ensure};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A lock of another process is waited for so long.
const BUSY: Duration = Duration::from_secs(10);
/// So much is copied at once.
const PIECE: usize = 1 << 20;
/// What SQLite keeps beside a file.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Copies the store at `path` into `to`, an empty file; the store's id.
pub(in crate::store) async fn backup(path: &Path, to: &Path, seen: Seen<'_>) -> anyhow::Result<String> {
    let there = path.try_exists().with_context(|| format!("cannot look at {}", path.display()))?;
    ensure!(
        there,
        "there is no store at {}; name the monitor's directory with `--data-dir`, or its file with `--config`",
        path.display()
    );
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    let judged = |e: sqlx::Error| fault::judge(path, &e);
    let mut live = options.disable_statement_logging().connect().await.map_err(judged)?;
    migrate::recognise(path, &mut live).await?;
    let of: i64 =
        sqlx::query_scalar("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            .fetch_one(&mut live)
            .await
            .map_err(judged)?;
    let Some(name) = to.to_str() else { bail!("{} is no name that SQLite takes", to.display()) };
    let copying = sqlx::query("VACUUM INTO ?").bind(name).execute(&mut live);
    let copied = watched(copying, to, u64::try_from(of).ok(), seen).await;
    copied.map_err(|e| match fault::judge(path, &e) {
        // It is the copy's disk that is full.
        StoreError::Refused(why) if why.contains("is full") => {
            StoreError::Refused(format!("the disk of {} is full; free some space", to.display()))
        }
        judged => judged,
    })?;
    // What it reads it has read: nothing is left to go wrong with it.
    drop(live.close().await);
    look_through(to).await
}

/// Puts a copy in the store's place; who calls holds the directory.
pub(in crate::store) async fn restore(
    file: &Path,
    path: &Path,
    replace: bool,
    seen: Seen<'_>,
) -> anyhow::Result<Copied> {
    let all: Vec<PathBuf> = std::iter::once("").chain(BESIDE).map(|end| with(path, end)).collect();
    let there = all.iter().find(|file| file.exists());
    if let Some(there) = there.filter(|_| !replace) {
        bail!(
            "a store is there ({}); restore into another directory with `--data-dir`, or set it aside with `--force`",
            there.display()
        );
    }
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let partial = Partial::beside(path)?;
    copy(file, partial.path(), seen)
        .with_context(|| format!("cannot copy {} to {}", file.display(), path.display()))?;
    let store_id = look_through(partial.path()).await.with_context(|| file.display().to_string())?;
    let mut aside = None;
    if there.is_some() {
        let name = with(path, &format!(".before-{}", stamp()));
        // The log before the file: what is in it belongs to the old file alone.
        for end in BESIDE {
            set_aside(&with(path, end), &with(&name, end))?;
        }
        set_aside(path, &name)?;
        sync_directory(path).with_context(|| format!("cannot write beside {}", path.display()))?;
        aside = Some(name.display().to_string());
    }
    let bytes = partial.take_place_of(path)?;
    Ok(Copied { store_id, bytes, aside })
}

/// Reads the whole file as the database it is to be; its id.
async fn look_through(file: &Path) -> anyhow::Result<String> {
    let judged = |e: sqlx::Error| fault::judge(file, &e);
    // Nobody writes to it, so that nothing is put beside it.
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let mut copy = options.disable_statement_logging().connect().await.map_err(judged)?;
    migrate::recognise(file, &mut copy).await?;
    let answer: String =
        sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut copy).await.map_err(judged)?;
    ensure!(answer == "ok", "{}", broken(file, &answer));
    let id = sqlx::query_scalar("SELECT id FROM store").fetch_one(&mut copy).await.map_err(judged);
    closed(copy).await;
    Ok(id?)
}

async fn closed(connection: SqliteConnection) {
    // It only read.
    drop(connection.close().await);
}

fn broken(file: &Path, what: &str) -> String {
    format!("{} is damaged: {what}. Take another copy", file.display())
}

fn copy(from: &Path, to: &Path, seen: Seen<'_>) -> std::io::Result<()> {
    let mut from = File::open(from)?;
    let of = Some(from.metadata()?.len());
    let mut to = OpenOptions::new().write(true).open(to)?;
    let (mut piece, mut bytes) = (vec![0; PIECE], 0_u64);
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&piece[..read])?;
        bytes += read as u64;
        seen(Progress { bytes, of });
    }
}

/// A name with something at its end.
fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}
