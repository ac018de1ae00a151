//! Configuration through the real binaries: every mistake is told at once, where it is and what to do; nothing
//! starts half.

mod mistakes;
mod reload;
mod start;

use anyhow::{Context, Result, ensure};
use farol_tests::process::command;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The three processes that read a configuration.
const BINARIES: [&str; 3] = ["farol-monitor", "farol-agent", "farol"];
/// A process that is refused has ended within this.
const SOON: Duration = Duration::from_secs(20);

/// What a process said before it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// It was refused with this code, in words that hold each of these.
    fn refuses(&self, code: i32, words: &[&str]) -> Result<()> {
        ensure!(self.code == code, "exit {code} was expected: {self:?}");
        let all = format!("{}{}", self.out, self.err);
        for word in words {
            ensure!(all.contains(word), "`{word}` was expected: {all}");
        }
        ensure!(!all.contains("panicked"), "{all}");
        Ok(())
    }
}

/// Runs a binary to its end, with this environment added.
async fn run(binary: &str, args: &[&str], env: &[(&str, &str)], folder: &Path) -> Result<Said> {
    let mut command = command(binary, args)?;
    command.envs(env.iter().copied()).current_dir(folder);
    let ended = tokio::time::timeout(SOON, command.output()).await;
    let output = ended.with_context(|| format!("{binary} {args:?} goes on"))??;
    Ok(Said {
        code: output.status.code().context("a signal ended it")?,
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A folder with a file in it.
fn folder_with(name: &str, text: impl AsRef<[u8]>) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(name), text)?;
    Ok(folder)
}

/// `--check-config` of a file of this text.
async fn check(binary: &str, text: impl AsRef<[u8]>) -> Result<Said> {
    let folder = folder_with("c.yaml", text)?;
    run(binary, &["--config", "c.yaml", "--check-config"], &[], folder.path()).await
}

/// The flags for free ports, and a data directory in `folder`.
fn flags(data: &Path) -> [String; 8] {
    let free = || "127.0.0.1:0".to_owned();
    let data: PathBuf = data.to_owned();
    [
        "--http".into(),
        free(),
        "--agents".into(),
        free(),
        "--health".into(),
        free(),
        "--data-dir".into(),
        data.to_string_lossy().into_owned(),
    ]
}
