//! A thread outside the runtime that ends the process when its time is over, whatever hangs: a blocked
//! worker, a runtime that cannot be dropped, an exit handler. Knows a deadline and a code, nothing else.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What the process may take beyond its budget before it is ended by force.
const GRACE: Duration = Duration::from_millis(500);
/// How long a last log line may take; a log that hangs must not keep the process.
const LAST_WORD: Duration = Duration::from_millis(100);

pub(crate) struct Backstop {
    /// At most three orders come in a life: told to stop, running, done.
    orders: SyncSender<Order>,
}

#[derive(Clone, Copy)]
struct Order {
    within: Duration,
    code: u8,
}

impl Backstop {
    pub(crate) fn start() -> io::Result<Backstop> {
        let (orders, coming) = sync_channel(8);
        let kept = orders.clone();
        std::thread::Builder::new().name("backstop".into()).spawn(move || {
            // Its own sender keeps the wait alive when everything else has been dropped.
            let _kept = kept;
            watch(&coming);
        })?;
        Ok(Backstop { orders })
    }

    /// Ends the process after this time and a grace, unless it ends by itself; replaces an earlier order.
    pub(crate) fn end_within(&self, within: Duration, code: u8) {
        // A full queue means that the thread is about to end the process anyway.
        let _sent = self.orders.try_send(Order { within: within + GRACE, code });
    }
}

fn watch(coming: &Receiver<Order>) {
    let Ok(mut order) = coming.recv() else { return };
    loop {
        match coming.recv_timeout(order.within) {
            Ok(next) => order = next,
            Err(RecvTimeoutError::Timeout) => end(order.code),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn end(code: u8) -> ! {
    let (said, wait) = sync_channel(1);
    let speaker = std::thread::Builder::new().name("last-word".into()).spawn(move || {
        tracing::error!(code, "the process did not end by itself inside its budget; ending it");
        // Nobody waits any more when the line took too long.
        let _said = said.try_send(());
    });
    if speaker.is_ok() {
        // A short wait either way: the line may still be on its way through a writer's queue.
        let _in_time = wait.recv_timeout(LAST_WORD);
        let _written = wait.recv_timeout(LAST_WORD);
    }
    // Not `std::process::exit`: that runs exit handlers, which may hang as well.
    signal_hook::low_level::exit(i32::from(code))
}
