//! How the export does: one line of the log when it begins to fail, one when it works again, whatever the number of
//! signals and tries in between.

use std::sync::OnceLock;

use parking_lot::Mutex;

use super::Dropped;
use super::failure::{Failure, Next};

/// How all signals do.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Those that fail now.
    failing: Mutex<Vec<&'static str>>,
    /// Those of which something was too much for the collector: it goes on with the rest, so that such a failure has no
    /// end that could be told.
    too_much: Mutex<Vec<&'static str>>,
    /// For the line of the end; set when every signal has its queue.
    pub(super) dropped: OnceLock<Dropped>,
}

impl Health {
    /// An export failed.
    pub(super) fn fails(&self, signal: &'static str, address: &str, Failure { why, next }: &Failure) {
        if *next == Next::Less {
            return self.too_much(signal, address, why);
        }
        let mut failing = self.failing.lock();
        if failing.contains(&signal) {
            return;
        }
        failing.push(signal);
        let first = failing.len() == 1;
        drop(failing);
        if !first {
            tracing::debug!(otlp.signal = signal, otlp.endpoint = address, error = why, "nor can this");
        } else if matches!(next, Next::Later(_)) {
            tracing::warn!(
                otlp.signal = signal,
                otlp.endpoint = address,
                error = why,
                "telemetry cannot be exported; what fits into memory waits, and it is tried again"
            );
        } else {
            tracing::warn!(
                otlp.signal = signal,
                otlp.endpoint = address,
                error = why,
                "the collector refuses telemetry, which is dropped; does it take this signal, and these headers?"
            );
        }
    }

    fn too_much(&self, signal: &'static str, address: &str, why: &str) {
        let mut told = self.too_much.lock();
        if told.contains(&signal) {
            return;
        }
        told.push(signal);
        drop(told);
        tracing::warn!(
            otlp.signal = signal,
            otlp.endpoint = address,
            error = why,
            "the collector refuses as too much what cannot be made smaller; it is dropped, and others like it are \
             without a word but counted: is its limit for a message, or a quota, too low?"
        );
    }

    /// An export arrived.
    pub(super) fn works(&self, signal: &'static str) {
        let mut failing = self.failing.lock();
        let Some(at) = failing.iter().position(|known| *known == signal) else { return };
        failing.swap_remove(at);
        let last = failing.is_empty();
        drop(failing);
        if last {
            let dropped: u64 =
                self.dropped.get().map_or(0, |dropped| dropped.counts().map(|(_, count)| count).sum());
            tracing::info!(dropped_total = dropped, "telemetry is exported again");
        }
    }
}
