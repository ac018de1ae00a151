//! What the real servers have in common: a free port, a child process that never outlives its owner.

use crate::wait::until;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Child;
use std::time::Duration;

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
