//! Signals of the process: the first SIGTERM or SIGINT is told to the supervisor, the second ends the
//! process at once, inside the signal handler, so that no stuck runtime can delay it. SIGHUP is a stream.
//! Decides nothing about how a shutdown goes.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::sync::mpsc;

use crate::exit;

/// Installs the handlers of SIGTERM and SIGINT. Call it first in `main`, once: needs no runtime.
///
/// From then on the first of them waits for [`crate::Supervisor::for_process`], and a second one
/// exits with 128 + n at once.
///
/// # Errors
/// When the kernel refuses the handler, a pipe or the thread that reads it.
pub fn terminations() -> io::Result<Signals> {
    let mut arriving = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let asked_before = Arc::new(AtomicBool::new(false));
    for number in [SIGTERM, SIGINT] {
        let code = i32::from(exit::by_signal(number));
        flag::register_conditional_shutdown(number, code, Arc::clone(&asked_before))?;
        flag::register(number, Arc::clone(&asked_before))?;
    }
    let signals = Signals { slot: Arc::default() };
    let slot = Arc::clone(&signals.slot);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for number in arriving.forever() {
            arrive(&slot, number);
        }
    })?;
    Ok(signals)
}

/// The first SIGTERM or SIGINT of this process, past or future.
pub struct Signals {
    /// Shared with the thread that reads the signals.
    slot: Arc<Mutex<Slot>>,
}

#[derive(Default)]
struct Slot {
    /// A signal that came before anyone listened.
    arrived: Option<i32>,
    /// Who wants to know.
    tell: Option<Box<dyn FnOnce(i32) + Send>>,
}

impl Signals {
    /// Calls `tell` with the first signal's number, on the signal thread, or at once if it came already.
    pub(crate) fn on_first(&self, tell: impl FnOnce(i32) + Send + 'static) {
        let mut slot = self.slot.lock();
        match slot.arrived {
            Some(number) => {
                drop(slot);
                tell(number);
            }
            None => slot.tell = Some(Box::new(tell)),
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("arrived", &self.slot.lock().arrived).finish()
    }
}

fn arrive(slot: &Mutex<Slot>, number: i32) {
    let mut held = slot.lock();
    if held.arrived.is_none() {
        held.arrived = Some(number);
        let tell = held.tell.take();
        drop(held);
        if let Some(tell) = tell {
            tell(number);
        }
    }
}

/// SIGHUP as a stream: each means "read the configuration again". Several at once count as one.
#[derive(Debug)]
pub struct Hangups {
    /// Where they come from.
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The process' own SIGHUP.
    Signal(tokio::signal::unix::Signal),
    /// Asked for by the code around it.
    Asked(mpsc::Receiver<()>),
}

/// Installs the handler of SIGHUP at once; needs a tokio runtime.
///
/// # Errors
/// When the kernel refuses the handler.
pub fn hangups() -> io::Result<Hangups> {
    let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    Ok(Hangups { source: Source::Signal(signal) })
}

impl Hangups {
    /// A stream without signals: for several instances in one process, each told by its own sender.
    /// One waiting request is kept, more are the same request.
    pub fn asked() -> (mpsc::Sender<()>, Hangups) {
        let (ask, asked) = mpsc::channel(1);
        (ask, Hangups { source: Source::Asked(asked) })
    }

    /// The next request; pending for ever when none can come any more.
    pub async fn recv(&mut self) {
        let came = match &mut self.source {
            Source::Signal(signal) => signal.recv().await,
            Source::Asked(asked) => asked.recv().await,
        };
        if came.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_before_anyone_listens_is_told_later_and_only_once() {
        let signals = Signals { slot: Arc::default() };
        arrive(&signals.slot, SIGTERM);
        arrive(&signals.slot, SIGINT);
        let (told, heard) = std::sync::mpsc::channel();
        signals.on_first(move |number| told.send(number).unwrap());
        assert_eq!(heard.recv(), Ok(SIGTERM));
        assert!(heard.recv().is_err(), "told once, then dropped");
    }

    #[tokio::test]
    async fn a_request_by_hand_is_a_hangup() {
        let (ask, mut hangups) = Hangups::asked();
        ask.send(()).await.unwrap();
        hangups.recv().await;
    }
}
