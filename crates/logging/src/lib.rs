//! Structured logs: one record is one line, as JSON, GELF or plain text, on standard error or at a GELF input.
//!
//! ```no_run
//! let config = farol_logging::Config::from_env(|name| std::env::var(name).ok())?;
//! let _guard = farol_logging::init(config)?; // keep it until the end of `main`: its drop flushes
//! tracing::info!(agent.id = "payments-1", "agent is connected");
//! tracing::error!(critical = true, "the store is lost"); // level CRITICAL
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! A record holds `timestamp level correlation_id message target` and, flat, the fields of the event and of all
//! spans round it. Nothing in a value can end a line or forge a second one. Who logs never waits: past the
//! queue's bounds records are dropped, counted, and the count is logged. Lines that repeat within a second are
//! counted instead of written. [`correlation::Layer`] gives each HTTP or gRPC request its id; a task that a
//! handler spawns keeps it with `.in_current_span()`.

mod config;
pub mod correlation;
mod escape;
pub mod event;
mod gelf;
mod level;
mod limit;
mod otlp;
mod queue;
mod record;
mod render;
mod subscriber;
pub mod trace;
mod writer;

pub use config::{
    Compression, Config, ConfigError, Filter, Format, Gelf, Headers, KEYS, Key, NotUnderstood, OTLP_CA,
    OTLP_HEADERS, OTLP_KEYS, Otlp, Output, Problem, Process, Transport,
};
pub use otlp::{ExportError, MetricKind, Metrics};
pub use subscriber::{InitError, dispatch, dropped, init, level, observe, set_level, take_over, unsent};
pub use writer::{Drops, Guard};

#[cfg(test)]
mod memory;
