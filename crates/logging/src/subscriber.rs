//! `tracing`'s events become records, and the process gets its one log. It decides which span fields a record
//! carries; what a line looks like and how it is written are decided elsewhere.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal as _, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use opentelemetry_sdk::trace::SdkTracer;
use tokio::time::Instant;
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, Filter, Format, Output};
use crate::gelf::Sink;
use crate::level::Level;
use crate::limit::{Admitted, Line, Repeats};
use crate::otlp::{self, Dropped, ExportError, Exports, Logs, Metrics, Sources};
use crate::queue::{Bounds, Queue, State};
use crate::record::{Fields, Record, Severity, Shown, Value};
use crate::render::Style;
use crate::writer::{Drops, Guard, start};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A process has one log.
    #[error("the log of this process is set up already; call `farol_logging::init` once, in `main`")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// The operating system gave no thread.
    #[error("cannot start the thread that writes the log; see the limit on processes (`ulimit -u`)")]
    Thread(#[source] std::io::Error),
    /// Nothing can be exported as it is wanted.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// The one log of this process.
static PROCESS: OnceLock<Process> = OnceLock::new();

struct Process {
    drops: Drops,
    level: Level,
    /// What is exported by OTLP.
    tracer: Option<SdkTracer>,
    metrics: Option<Arc<Sources>>,
    unsent: Dropped,
}

/// Records that the log set up by [`init`] has dropped; 0 before.
#[must_use]
pub fn dropped() -> u64 {
    PROCESS.get().map_or(0, |process| process.drops.total())
}

/// Records of the log, spans and exports of metrics that did not arrive by OTLP, by signal; none where they are not exported.
pub fn unsent() -> impl Iterator<Item = (&'static str, u64)> {
    PROCESS.get().into_iter().flat_map(|process| process.unsent.counts())
}

/// Has `tell` asked for metrics whenever those of this process are exported by OTLP, the last time at its very end;
/// dropped at once where they are not. The scope parts those who tell metrics of the same names.
pub fn observe(scope: &'static str, tell: impl Fn(&mut Metrics) + Send + 'static) {
    if let Some(sources) = PROCESS.get().and_then(|process| process.metrics.as_ref()) {
        sources.add(scope, Box::new(tell));
    }
}

/// What makes spans, where traces are exported.
pub(crate) fn tracer() -> Option<&'static SdkTracer> {
    PROCESS.get()?.tracer.as_ref()
}

/// Lets the log set up by [`init`] keep other records from now on. False where there is no such log.
pub fn set_level(filter: &Filter) -> bool {
    PROCESS.get().is_some_and(|process| process.level.set(filter))
}

/// Takes over another configuration while the log runs: its level, where it has changed, so that a reload for
/// another reason leaves a level that an operator has set. Gives the keys that count only after a restart.
pub fn take_over(known: &mut Config, new: &Config) -> Vec<&'static str> {
    if known.level != new.level {
        set_level(&new.level);
        known.level.clone_from(&new.level);
    }
    known.needs_restart(new)
}

/// What the log set up by [`init`] keeps now.
#[must_use]
pub fn level() -> Option<Filter> {
    PROCESS.get().map(|process| process.level.get())
}

/// Sends all of this process's events, those of the `log` crate and panics included, where `config` says.
///
/// # Errors
/// When a log is set up already, or no thread can be started.
pub fn init(config: Config) -> Result<Guard, InitError> {
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let style = Style::new(config.format, colour && config.format == Format::Text);
    let output = config.output.clone();
    let exports = config.otlp.as_ref().map(|otlp| otlp::start(otlp, &config.process)).transpose()?;
    let (exports, exporting) = exports.unzip();
    let Exports { logs, tracer, metrics, dropped: unsent } = exports.unwrap_or_default();
    let (dispatch, guard, level) = build(&config, style, Bounds::default(), logs, |state| match output {
        Output::Stderr => Box::new(std::io::stderr()),
        Output::Gelf(to) => {
            let told = Style::new(Format::fitting(), colour);
            Box::new(Sink::new(to, Arc::clone(state), told))
        }
    })?;
    dispatch.try_init().map_err(InitError::Twice)?;
    // It cannot be set already: the line above succeeds once.
    PROCESS.set(Process { drops: guard.drops(), level, tracer, metrics, unsent }).ok();
    std::panic::set_hook(Box::new(log_panic));
    Ok(guard.exporting(exporting))
}

/// The same log, but what goes out by OTLP, into a sink of the caller's, for tests and embedders:
/// `tracing::dispatcher::with_default(&dispatch, || …)`. Nothing global is touched, and there is no colour.
///
/// # Errors
/// When no thread can be started.
pub fn dispatch(config: &Config, sink: impl Write + Send + 'static) -> Result<(Dispatch, Guard), InitError> {
    let style = Style::new(config.format, false);
    let (dispatch, guard, _) = build(config, style, Bounds::default(), None, |_| Box::new(sink))?;
    Ok((dispatch, guard))
}

pub(crate) fn build(
    config: &Config,
    style: Style,
    bounds: Bounds,
    exported: Option<Logs>,
    sink: impl FnOnce(&Arc<State>) -> Box<dyn Write + Send>,
) -> Result<(Dispatch, Guard, Level), InitError> {
    let repeats = Arc::new(Repeats::new(config.repeats));
    let exported = exported.map(Arc::new);
    let (queue, guard) = start(style.clone(), bounds, Arc::clone(&repeats), exported.clone(), sink)
        .map_err(InitError::Thread)?;
    let (filter, level) = Level::new(&config.level);
    let lines = Lines { style, queue, repeats, exported, critical_only: Arc::clone(&level.critical_only) };
    Ok((Dispatch::new(tracing_subscriber::registry().with(filter).with(lines)), guard, level))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        critical = true,
        panic.location = panic.location().map(tracing::field::display),
        panic.thread = thread.name(),
        panic.backtrace = captured.then(|| tracing::field::display(&backtrace)),
        "panicked: {}",
        panic.payload_as_str().unwrap_or("(the payload is no text)")
    );
}

struct Lines {
    style: Style,
    queue: Arc<Queue>,
    repeats: Arc<Repeats>,
    /// Sent by OTLP too.
    exported: Option<Arc<Logs>>,
    /// `LOG_LEVEL=critical`, which an `EnvFilter` cannot say.
    critical_only: Arc<AtomicBool>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        // Formatted first: a value may log while it is formatted, which reads the extensions.
        let mut added = Fields::default();
        values.record(&mut added);
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            fields.extend(added);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let metadata = event.metadata();
        let severity = Severity::of(*metadata.level(), own.is_true("critical"));
        if severity != Severity::Critical && self.critical_only.load(Relaxed) {
            return;
        }
        let target = own.text("log.target").unwrap_or(metadata.target());
        let message = own.text("message").unwrap_or_default();
        let place = metadata.callsite();
        with_spans(context.event_scope(event), &own, |correlation_id, fields| {
            let line = Line { severity, target, message, fields: &fields };
            match self.repeats.admit(&place, &line, Instant::now()) {
                Admitted::Written => {}
                Admitted::Counted => return,
                Admitted::CountedFirst => return self.queue.wake(),
            }
            let at = Timestamp::now();
            let record = Record { at, severity, target, correlation_id, message, fields };
            if let Some(exported) = &self.exported {
                exported.take(&record);
            }
            self.queue.push(self.style.line(&record));
        });
    }
}

/// Shows `render` the correlation id and the fields of an event and all its spans, the innermost first.
fn with_spans<S: Subscriber + for<'b> LookupSpan<'b>>(
    scope: Option<Scope<'_, S>>,
    own: &Fields,
    render: impl FnOnce(Option<&str>, Shown<'_>),
) {
    let spans: Vec<_> = scope.into_iter().flatten().collect();
    let extensions: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
    let mut correlation_id = own.text("correlation_id");
    let mut fields: Vec<_> = own.iter().filter(|(name, value)| !is_the_events_own(name, value)).collect();
    for inherited in extensions.iter().filter_map(|extensions| extensions.get::<Fields>()) {
        correlation_id = correlation_id.or_else(|| inherited.text("correlation_id"));
        for (name, value) in inherited.iter().filter(|(name, value)| !is_an_id(name, value)) {
            if fields.iter().all(|(known, _)| *known != name) {
                fields.push((name, value));
            }
        }
    }
    render(correlation_id, fields);
}

/// Shown in the record's head, or only bookkeeping of the bridge from the `log` crate.
fn is_the_events_own(name: &str, value: &Value) -> bool {
    name == "message"
        || (name == "critical" && matches!(value, Value::Flag(_)))
        || matches!(name, "log.target" | "log.module_path" | "log.file" | "log.line")
        || is_an_id(name, value)
}

fn is_an_id(name: &str, value: &Value) -> bool {
    name == "correlation_id" && matches!(value, Value::Text(_))
}

#[cfg(test)]
mod tests;
