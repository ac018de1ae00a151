//! What the real servers have in common: a free port, a child process that never outlives its owner.

use crate::wait::until;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Child;
use std::time::Duration;
use tokio::time::Instant;

/// A port of 127.0.0.1 that was free a moment ago; whoever uses it must try again with another when it is not.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A running child process. Killed and waited for when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// What ends the process and its children at once.
    last: Signal,
}

impl Running {
    pub(crate) fn new(child: Child, last: Signal) -> Self {
        Self { child, last }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("sending a signal")
    }

    /// Makes all its threads stand still, or go on. A stop is over only when the last of them has stopped.
    pub(crate) fn hang(&self, still: bool) -> Result<()> {
        self.signal(if still { Signal::STOP } else { Signal::CONT })?;
        let began = Instant::now();
        while still && !self.stands_still()? {
            ensure!(began.elapsed() < Duration::from_secs(20), "it does not stand still");
            std::thread::yield_now();
        }
        Ok(())
    }

    fn stands_still(&self) -> Result<bool> {
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
            // The state stands behind the name, which may hold anything.
            if stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('T')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends `signal` and waits for the end.
    pub(crate) async fn end(mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        until("the server's end", Duration::from_secs(20), || std::future::ready(self.has_ended())).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            // One that stands still must go on to be able to end; one that has just ended needs neither.
            drop(self.signal(self.last));
            drop(self.signal(Signal::CONT));
            drop(self.child.wait());
        }
    }
}
