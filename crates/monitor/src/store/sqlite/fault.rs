//! What an error of SQLite means: it may work later, or never again. Decides nothing about what is then done.

use crate::store::StoreError;
use std::path::Path;

/// An error with the file it is about.
pub(super) fn judge(path: &Path, error: &sqlx::Error) -> StoreError {
    let file = path.display();
    let code = match error {
        sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(1),
        sqlx::Error::WorkerCrashed => {
            return StoreError::Fatal(format!("the thread of the store {file} crashed; start Farol again"));
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            return StoreError::Fatal(damaged(path, &error.to_string()));
        }
        other => return StoreError::Refused(format!("{file}: {other}")),
    };
    let words = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        _ => error.to_string(),
    };
    judge_code(path, code, &words)
}

/// The same for an extended result code of the library and its words.
pub(super) fn judge_code(path: &Path, code: u32, words: &str) -> StoreError {
    let file = path.display();
    match (code & 0xff, code >> 8) {
        // Also IOERR_SHORT_READ, IOERR_DATA, IOERR_CORRUPTFS.
        (11 | 26, _) | (10, 2 | 32 | 33) => StoreError::Fatal(damaged(path, words)),
        // The tables are ours: one that lacks what it was made with is damaged.
        (1, _) if words.starts_with("no such ") => StoreError::Fatal(damaged(path, words)),
        // IOERR_FSYNC, IOERR_DIR_FSYNC: what was written may be lost, and a second sync would not say so.
        (10, 4 | 5) => StoreError::Fatal(format!(
            "{file} could not be synced to the disk ({words}, code {code}); what was acknowledged stands, nothing more \
             is taken. Look at the disk, then start Farol again"
        )),
        (8, 4) => StoreError::Fatal(format!("{file} was moved or deleted while in use; start Farol again")),
        (13, _) => StoreError::Refused(format!("the disk of {file} is full; free some space")),
        (5 | 6, _) => StoreError::Refused(format!("{file} is locked by another process ({words})")),
        (8 | 3, _) => {
            StoreError::Refused(format!("{file} cannot be written ({words}); look at its owner and mode"))
        }
        (14, _) => {
            StoreError::Refused(format!("{file} cannot be opened ({words}); look at its owner and mode"))
        }
        _ => StoreError::Refused(format!("{file}: {words} (code {code})")),
    }
}

/// The log beside the file cannot be read.
pub(super) fn unreadable_log(path: &Path, error: &std::io::Error) -> StoreError {
    let file = path.display();
    StoreError::Fatal(format!(
        "the log of the store, {file}-wal, cannot be read: {error}; look at its owner, its mode and the disk"
    ))
}

/// Says that the file is damaged, and what to do.
pub(super) fn damaged(path: &Path, what: &str) -> String {
    format!(
        "the store {} is damaged: {what}. Put the file and those beside it (-wal, -shm) aside, or restore a copy with `farol \
         restore --force`, then start Farol again; without a file it begins a new store",
        path.display()
    )
}
