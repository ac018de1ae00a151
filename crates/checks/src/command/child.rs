//! Runs a command in a process group of its own, with next to nothing in its environment and no input, and drains
//! what it prints. Decides that nothing of the group outlives the run, whether it ends or is dropped at its deadline.

use super::{PATH, Settings};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// So much of what it prints is kept; the rest is read and forgotten, so that it never waits for a reader.
const STDOUT_BYTES: usize = 60 << 10;
/// The same for its errors; both together are 64 KiB.
const STDERR_BYTES: usize = 4 << 10;
/// Somebody who left the group may hold the pipes open; after the command's end they are read for so long.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How it ended, and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its exit code or its signal.
    pub(super) status: ExitStatus,
    /// The first [`STDOUT_BYTES`] of its output.
    pub(super) stdout: Vec<u8>,
    /// The first [`STDERR_BYTES`] of its errors.
    pub(super) stderr: Vec<u8>,
}

/// No command gets our files. Those that we opened close themselves; those that came from our own starter are told
/// to.
pub(super) fn keep_files() {
    close_fds::set_fds_cloexec(3, &[]);
}

/// Runs it to its end.
pub(super) async fn run(settings: &Settings) -> io::Result<Ended> {
    let mut group = Group::start(settings)?;
    let (out, err) = (group.child.stdout.take(), group.child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    {
        let reading = async {
            tokio::join!(drain(out, &mut stdout, STDOUT_BYTES), drain(err, &mut stderr, STDERR_BYTES))
        };
        let mut reading = std::pin::pin!(reading);
        tokio::select! {
            // It closed both pipes; it may go on.
            _ = &mut reading => group.leader_ended().await?,
            ended = group.leader_ended() => {
                ended?;
                group.kill();
                // An error means that the pipes are still open: what came until now is what it said.
                timeout(LAST_WORDS, reading).await.ok();
            }
        }
    }
    group.kill();
    let status = group.child.wait().await?;
    Ok(Ended { status, stdout, stderr })
}

/// A command and what it started. Dropped, all of it is killed; the runtime reaps the leader.
struct Group {
    child: Child,
    /// The leader's process id, and so the group's.
    id: Pid,
}

impl Group {
    fn start(Settings { argv, env, cwd }: &Settings) -> io::Result<Self> {
        let mut words = argv.iter();
        let program = words.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let child = Command::new(program)
            .args(words)
            .env_clear()
            .envs([("PATH", PATH), ("LANG", "C"), ("LC_ALL", "C")])
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(cwd)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok(Self { child, id })
    }

    /// Waits for the leader's end without reaping it: as long as it is not reaped, the group's number is no other's.
    async fn leader_ended(&self) -> io::Result<()> {
        let mut changes = signal(SignalKind::child())?;
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(self.id), how)?.is_none() {
            changes.recv().await;
        }
        Ok(())
    }

    /// Kills whoever is left of the group, as long as the number is ours.
    fn kill(&self) {
        if self.child.id().is_some() {
            // An error means that nobody is left.
            kill_process_group(self.id, Signal::KILL).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end and keeps the first `limit` bytes.
async fn drain(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, limit: usize) {
    let Some(mut from) = from else { return };
    let mut chunk = vec![0; 4 << 10];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let room = limit - kept.len();
        kept.extend_from_slice(&chunk[..length.min(room)]);
    }
}
