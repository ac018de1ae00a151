//! The thread that writes lines, and the guard that waits for it at the end. A sink that fails or blocks costs
//! lines, which are counted and told in the log; it never costs the process its time.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::limit::{self, Repeats};
use crate::otlp::{self, Logs};
use crate::queue::{Bounds, Message, Queue, State, queue};
use crate::record::{Record, Severity, Value};
use crate::render::Style;

/// Lines are gathered up to this size, then written at once.
const BATCH_BYTES: usize = 64 * 1024;
/// The guard gives up on a sink that has been busy for so long with one write: a second signal must end the process at once.
const STALL: Duration = Duration::from_millis(100);
/// The guard gives up after looking so often, which makes two seconds.
const PATIENCE: u32 = 20;

/// Writes what is queued until it is dropped; its drop waits for the last line, for at most two seconds and
/// never longer than 100 ms on a sink that takes nothing; before that for what is to be exported by OTLP, for at most one
/// second.
#[derive(Debug)]
#[must_use = "dropped at once, it ends the log at once"]
pub struct Guard {
    /// Dropped first: what it has to say is the log's.
    exporting: Option<otlp::Running>,
    queue: Arc<Queue>,
    state: Arc<State>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

/// Counts records that were dropped because the queue was full or the sink failed.
#[derive(Debug, Clone)]
pub struct Drops(Arc<State>);

impl Drops {
    /// Since the start of the process.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.dropped()
    }
}

impl Guard {
    /// For `/metrics`.
    #[must_use]
    pub fn drops(&self) -> Drops {
        Drops(Arc::clone(&self.state))
    }

    pub(crate) fn exporting(self, exporting: Option<otlp::Running>) -> Self {
        let mut guard = self;
        guard.exporting = exporting;
        guard
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.exporting = None;
        self.queue.close();
        for _ in 0..PATIENCE {
            let before = self.state.writing();
            if self.ended.recv_timeout(STALL) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            if before.is_some() && before == self.state.writing() {
                return;
            }
        }
    }
}

/// Starts the thread. The sink sees the queue's state, and the thread writes what `repeats` owes.
pub(crate) fn start(
    style: Style,
    bounds: Bounds,
    repeats: Arc<Repeats>,
    exported: Option<Arc<Logs>>,
    sink: impl FnOnce(&Arc<State>) -> Box<dyn Write + Send>,
) -> std::io::Result<(Arc<Queue>, Guard)> {
    let (queue, receiver, state) = queue(bounds);
    let queue = Arc::new(queue);
    let (alive, ended) = sync_channel(0);
    let sink = sink(&state);
    let mut writer = Writer { style, state: Arc::clone(&state), repeats, exported, sink, torn: false };
    std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
        let _alive = alive;
        writer.run(&receiver);
    })?;
    Ok((Arc::clone(&queue), Guard { exporting: None, queue, state, ended }))
}

struct Writer {
    /// The record of dropped lines is made here and looks like all others.
    style: Style,
    state: Arc<State>,
    /// Counts of repeated lines, told when their second is over.
    repeats: Arc<Repeats>,
    /// Their counts are sent by OTLP too.
    exported: Option<Arc<Logs>>,
    sink: Box<dyn Write + Send>,
    /// The sink failed inside a line: the next one must not be glued to its half.
    torn: bool,
}

impl Writer {
    fn run(&mut self, receiver: &Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        while let Some(first) = self.next(receiver) {
            self.write_all(first, receiver, &mut batch);
            let closing = self.state.is_closing();
            if closing {
                // What came between the last look and the closing.
                while let Ok(first) = receiver.try_recv() {
                    self.write_all(first, receiver, &mut batch);
                }
            }
            self.tell_repeats(closing);
            if closing {
                return;
            }
        }
    }

    /// Waits for a message; for no longer than a second where repeated lines are to be told.
    fn next(&self, receiver: &Receiver<Message>) -> Option<Message> {
        if !self.repeats.owes() {
            return receiver.recv().ok();
        }
        match receiver.recv_timeout(limit::WINDOW) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => Some(Message::Wake),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn tell_repeats(&mut self, all: bool) {
        for owed in self.repeats.due(Instant::now(), all) {
            let record = owed.record(Timestamp::now());
            if let Some(exported) = &self.exported {
                exported.take(&record);
            }
            let line = self.style.line(&record);
            self.write(line.as_bytes());
        }
    }

    /// Empties the queue, from `first` on.
    fn write_all(&mut self, first: Message, receiver: &Receiver<Message>, batch: &mut Vec<u8>) {
        let mut next = Some(first);
        while let Some(message) = next {
            next = self.gather(message, receiver, batch);
            self.write(batch);
            self.tell_drops();
        }
    }

    /// Fills the batch anew from `message` on; gives back the message that is to open the next one.
    fn gather(&self, message: Message, receiver: &Receiver<Message>, batch: &mut Vec<u8>) -> Option<Message> {
        batch.clear();
        let mut next = message;
        loop {
            if let Message::Line(line) = next {
                self.state.taken(line.len());
                batch.extend_from_slice(line.as_bytes());
            }
            next = receiver.try_recv().ok()?;
            if batch.len() >= BATCH_BYTES {
                return Some(next);
            }
        }
    }

    /// Whatever is lost of the batch is counted by its lines.
    fn write(&mut self, batch: &[u8]) {
        let written = self.write_lines(batch);
        let lost = batch[written..].iter().filter(|byte| **byte == b'\n').count();
        self.state.lose(lost as u64);
    }

    /// How much arrived.
    fn write_lines(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() || (self.torn && self.write_some(b"\n") == 0) {
            return 0;
        }
        let written = self.write_some(bytes);
        self.torn = written > 0 && bytes[written - 1] != b'\n';
        if self.sink.flush().is_ok() { written } else { 0 }
    }

    /// How much the sink took before it failed.
    fn write_some(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.state.watch(|| self.sink.write(&bytes[written..])) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        written
    }

    fn tell_drops(&mut self) {
        let dropped = self.state.take_untold();
        if dropped == 0 {
            return;
        }
        let (count, total) = (Value::Unsigned(dropped), Value::Unsigned(self.state.dropped()));
        let line = self.style.line(&Record {
            at: Timestamp::now(),
            severity: Severity::Warning,
            target: module_path!(),
            correlation_id: None,
            message: "log records were dropped: the sink was too slow or failed",
            fields: vec![("dropped", &count), ("dropped_total", &total)],
        });
        if self.write_lines(line.as_bytes()) < line.len() {
            self.state.still_untold(dropped);
        }
    }
}

#[cfg(test)]
mod tests;
