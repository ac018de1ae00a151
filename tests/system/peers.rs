//! Farol's real processes from outside, asked by the official clients of others: Prometheus and promtool, Python's gRPC
//! health client, curl and jq, and Farol's own command.

mod commands;
mod grpc;
mod probes;
mod prometheus;
mod promtool;
mod shop;

use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Nothing a test waits for may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a program wrote, and its exit code.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Where a program is installed.
fn tool(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed; run scripts/test-deps"))
}

/// Python with the packages the tests need.
pub(crate) fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the root");
    let python = root.join("target/test-venv/bin/python");
    assert!(python.is_file(), "{} is not there; run scripts/test-deps", python.display());
    python
}

/// Runs a program to its end with this input.
pub(crate) async fn run(mut command: Command, input: &str) -> Done {
    command.kill_on_drop(true);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let write = async move {
        // A program that needs no more of it closes it early.
        drop(stdin.write_all(input.as_bytes()).await);
    };
    let (_, output) = timeout(PATIENCE, async { tokio::join!(write, child.wait_with_output()) })
        .await
        .unwrap_or_else(|_| panic!("{command:?} does not end"));
    let output = output.expect("its output can be read");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
