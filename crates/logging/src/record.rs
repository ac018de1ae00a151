//! One record before it is a line: level, target, message and fields, each value bounded.
//! It knows nothing of formats.

use std::error::Error;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};

/// A longer value is cut: a record must not hold what a stranger can make as long as he likes.
pub(crate) const VALUE_BYTES: usize = 32 * 1024;

/// The names a reader searches for; `Trace` is shown as DEBUG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    /// `critical` is the event's field of that name.
    pub(crate) fn of(level: tracing::Level, critical: bool) -> Self {
        match level {
            tracing::Level::ERROR if critical => Self::Critical,
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

/// All that a line is made of.
pub(crate) struct Record<'a> {
    pub(crate) at: Timestamp,
    pub(crate) severity: Severity,
    pub(crate) target: &'a str,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) message: &'a str,
    /// The event's own first, then those of each span from the inside out; no name twice.
    pub(crate) fields: Shown<'a>,
}

/// Fields as a line shows them.
pub(crate) type Shown<'a> = Vec<(&'static str, &'a Value)>;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Unsigned(u64),
    Number(f64),
    Flag(bool),
}

/// The fields of one event or one span; a name recorded again replaces the first.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).and_then(|(_, value)| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.0.iter().any(|(known, value)| *known == name && *value == Value::Flag(true))
    }

    /// A name that is there already takes the new value.
    pub(crate) fn extend(&mut self, added: Self) {
        for (name, value) in added.0 {
            self.set(name, value);
        }
    }

    /// Adds a field of the log's own making.
    pub(crate) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        self.set(name.strip_prefix("r#").unwrap_or(name), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Number(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Integer(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Unsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Bounded::default();
        text.push(value);
        self.put(field, Value::Text(text.finish()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = Bounded::default();
        text.format(format_args!("{value}"));
        let mut source = value.source();
        while let Some(error) = source {
            text.format(format_args!(": {error}"));
            source = error.source();
        }
        self.put(field, Value::Text(text.finish()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded::default();
        text.format(format_args!("{value:?}"));
        self.put(field, Value::Text(text.finish()));
    }
}

/// Keeps the first [`VALUE_BYTES`] of what is written and counts the rest.
#[derive(Default)]
struct Bounded {
    kept: String,
    /// Bytes that were left out; once something is, nothing further is kept.
    cut: usize,
}

impl Bounded {
    fn format(&mut self, arguments: fmt::Arguments<'_>) {
        if self.write_fmt(arguments).is_err() {
            self.push("(this value failed to format)");
        }
    }

    fn push(&mut self, text: &str) {
        let room = if self.cut == 0 { VALUE_BYTES - self.kept.len() } else { 0 };
        let end = if text.len() <= room { text.len() } else { text.floor_char_boundary(room) };
        self.kept.push_str(&text[..end]);
        self.cut += text.len() - end;
    }

    fn finish(mut self) -> String {
        if self.cut > 0 {
            let cut = self.cut;
            write!(self.kept, "… ({cut} bytes more)").expect("a String takes all that is written");
        }
        self.kept
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounded, Severity, VALUE_BYTES};
    use tracing::Level;

    #[test]
    fn levels_carry_the_names_readers_know() {
        for (level, critical, name) in [
            (Level::TRACE, false, "DEBUG"),
            (Level::DEBUG, false, "DEBUG"),
            (Level::INFO, true, "INFO"),
            (Level::WARN, false, "WARNING"),
            (Level::ERROR, false, "ERROR"),
            (Level::ERROR, true, "CRITICAL"),
        ] {
            assert_eq!(Severity::of(level, critical).name(), name, "{level} {critical}");
        }
    }

    #[test]
    fn a_long_value_is_cut_at_a_character_and_says_how_much() {
        let mut text = Bounded::default();
        text.push(&"x".repeat(VALUE_BYTES - 1));
        text.push("é");
        text.push("never kept after a cut");
        let kept = text.finish();
        assert!(kept.ends_with("x… (24 bytes more)"), "{}", &kept[VALUE_BYTES - 4..]);
        let mut whole = Bounded::default();
        whole.push(&"x".repeat(VALUE_BYTES));
        assert_eq!(whole.finish().len(), VALUE_BYTES);
    }
}
