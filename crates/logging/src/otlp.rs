//! Sends the log's records, spans and this process's own metrics to a collector, from one thread with a runtime of
//! its own. Decides what waits, what is tried again and what is dropped; never makes who logs wait. What that thread
//! does itself, its connection included, is never exported: OpenTelemetry's suppression is on for all of it.

mod channel;
mod failure;
mod health;
mod logs;
mod metrics;
mod queue;
mod resource;
mod sender;
mod spans;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::trace::SdkTracer;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Otlp, Process};
use channel::Channels;
use health::Health;
pub(crate) use logs::{Logs, TraceIds};
pub(crate) use metrics::Sources;
pub use metrics::{MetricKind, Metrics};
pub(crate) use queue::Dropped;
#[cfg(test)]
pub(crate) use spans::tracer;

/// How long the end waits for what is still to be sent; a collector that hangs costs no more.
const LAST: Duration = Duration::from_millis(800);
/// And for the thread's end after that.
const GRACE: Duration = Duration::from_millis(100);

/// The export cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A setting is wrong in a way that is seen only now.
    #[error("logging.otlp.{key}: {message}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The operating system gave no thread, or no poll.
    #[error(
        "cannot start the thread that exports by OTLP; see the limits on processes and open files (`ulimit -a`)"
    )]
    Thread(#[source] io::Error),
}

/// Where those who log, trace and count hand it in.
#[derive(Default)]
pub(crate) struct Exports {
    pub(crate) logs: Option<Logs>,
    pub(crate) tracer: Option<SdkTracer>,
    pub(crate) metrics: Option<Arc<Sources>>,
    pub(crate) dropped: Dropped,
}

/// The thread; its drop sends what waits, for at most a second.
#[derive(Debug)]
pub(crate) struct Running {
    /// By when it is to end.
    stop: watch::Sender<Option<Instant>>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(Some(Instant::now() + LAST));
        if self.ended.recv_timeout(LAST + GRACE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the thread that exports by OTLP does not end; it is left behind");
        }
    }
}

/// Whether this thread is the export's own: nothing it says is exported.
pub(crate) fn is_own_thread() -> bool {
    Context::is_current_telemetry_suppressed()
}

/// The process's end, as the senders see it.
#[derive(Clone)]
struct End(watch::Receiver<Option<Instant>>);

impl End {
    /// It begins: what waits is to be sent now.
    async fn begins(&mut self) {
        // An error means that the guard is gone, which is the end too.
        self.0.wait_for(Option::is_some).await.ok();
    }

    /// The time to send what waits is over.
    async fn is_over(&mut self) {
        self.begins().await;
        let deadline = *self.0.borrow();
        if let Some(deadline) = deadline {
            tokio::time::sleep_until(deadline).await;
        }
    }
}

/// A runtime that may be dropped anywhere, another runtime included, and waits for nothing: a look-up of a name may hang.
struct Own(Option<Runtime>);

impl Own {
    fn new() -> io::Result<Self> {
        let mut builder = runtime::Builder::new_current_thread();
        // Those that look up names.
        builder.enable_all().thread_name("otlp").on_thread_start(|| {
            std::mem::forget(Context::enter_telemetry_suppressed_scope());
        });
        builder.build().map(|runtime| Self(Some(runtime)))
    }

    fn get(&self) -> &Runtime {
        self.0.as_ref().expect("only the drop takes it")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts the thread; connections are made when there is something to send.
pub(crate) fn start(config: &Otlp, process: &Process) -> Result<(Exports, Running), ExportError> {
    let runtime = Own::new().map_err(ExportError::Thread)?;
    let resource = resource::of(config, process);
    let health = Arc::new(Health::default());
    let (stop, stopped) = watch::channel(None);
    let end = End(stopped);
    // Connections belong to the runtime that they are made in.
    let entered = runtime.get().enter();
    let mut channels = Channels::new(config)?;
    let mut dropped = Dropped::default();
    let (logs, send_logs) = logs::open(config, &mut channels, &resource, &health, &mut dropped)?.unzip();
    let (tracer, send_spans) = spans::open(config, &mut channels, &resource, &health, &mut dropped)?.unzip();
    let (sources, send_metrics) =
        metrics::open(config, &mut channels, &resource, &health, &mut dropped)?.unzip();
    drop(entered);
    // Nobody has set it: it was made above.
    health.dropped.set(dropped.clone()).ok();
    let (alive, ended) = sync_channel(0);
    let work = async move {
        tokio::join!(
            maybe(send_logs.map(|sender| sender.run(end.clone()))),
            maybe(send_spans.map(|sender| sender.run(end.clone()))),
            maybe(send_metrics.map(|sender| sender.run(end.clone()))),
        );
    };
    let thread = thread::Builder::new().name("otlp".to_owned()).spawn(move || {
        let _alive = alive;
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        runtime.get().block_on(work);
    });
    thread.map_err(ExportError::Thread)?;
    Ok((Exports { logs, tracer, metrics: sources, dropped }, Running { stop, ended }))
}

async fn maybe(work: Option<impl Future<Output = ()>>) {
    if let Some(work) = work {
        work.await;
    }
}

#[cfg(test)]
mod tests;
