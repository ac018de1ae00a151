//! What is exported by OTLP, and to where. Decides when nothing is: unless an endpoint is named, or a signal is asked
//! for. How it is sent is `crate::otlp`'s.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use percent_encoding::percent_decode_str;

use super::{ConfigError, Key, NotUnderstood, Problem, Reader};

/// A key with this word leaves it to its variable, and where that is not set, to what is usual.
const AUTO: &str = "auto";
/// Where a collector listens where nobody says otherwise.
const LOCAL: &str = "http://127.0.0.1:4317";
/// An export may take so long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Metrics are exported so often.
const INTERVAL: Duration = Duration::from_secs(60);

/// OTLP's settings: under `logging.otlp` in a configuration file, which wins over these variables unless it says `auto`,
/// because other programs read them too.
#[rustfmt::skip]
pub const OTLP_KEYS: [Key; 16] = [
    Key { name: "disabled", variable: "OTEL_SDK_DISABLED", default: AUTO },
    Key { name: "endpoint", variable: "OTEL_EXPORTER_OTLP_ENDPOINT", default: AUTO },
    Key { name: "logs", variable: "OTEL_LOGS_EXPORTER", default: AUTO },
    Key { name: "traces", variable: "OTEL_TRACES_EXPORTER", default: AUTO },
    Key { name: "metrics", variable: "OTEL_METRICS_EXPORTER", default: AUTO },
    Key { name: "logs_endpoint", variable: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", default: AUTO },
    Key { name: "traces_endpoint", variable: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default: AUTO },
    Key { name: "metrics_endpoint", variable: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", default: AUTO },
    Key { name: OTLP_HEADERS, variable: "OTEL_EXPORTER_OTLP_HEADERS", default: AUTO },
    Key { name: "protocol", variable: "OTEL_EXPORTER_OTLP_PROTOCOL", default: AUTO },
    Key { name: "timeout", variable: "OTEL_EXPORTER_OTLP_TIMEOUT", default: AUTO },
    Key { name: "compression", variable: "OTEL_EXPORTER_OTLP_COMPRESSION", default: AUTO },
    Key { name: OTLP_CA, variable: "OTEL_EXPORTER_OTLP_CERTIFICATE", default: AUTO },
    Key { name: "interval", variable: "OTEL_METRIC_EXPORT_INTERVAL", default: AUTO },
    Key { name: "sample", variable: "", default: AUTO },
    Key { name: "service_name", variable: "OTEL_SERVICE_NAME", default: AUTO },
];

/// The key whose value is secret.
pub const OTLP_HEADERS: &str = "headers";
/// The key whose value is a file.
pub const OTLP_CA: &str = "ca";

/// What is exported, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// Where the log's records go.
    pub logs: Option<String>,
    /// Where spans go.
    pub traces: Option<String>,
    /// Where this process's own metrics go.
    pub metrics: Option<String>,
    /// Sent with each export.
    pub headers: Headers,
    /// An export may take so long.
    pub timeout: Duration,
    /// Exports are compressed.
    pub gzip: bool,
    /// Certificates are trusted that this one has signed; those of the system where there is none.
    pub ca: Option<PathBuf>,
    /// Between two exports of the metrics.
    pub interval: Duration,
    /// The share of traces begun here that is recorded; `None` leaves it to `OTEL_TRACES_SAMPLER`.
    pub sample: Option<f64>,
    /// What the process calls itself; `None` is its own name.
    pub service_name: Option<String>,
}

/// Names and values of which only the names are ever shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub(crate) Vec<(String, String)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, _)| (name, "***"))).finish()
    }
}

/// Whether a signal is exported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Switch {
    /// Where an endpoint is named.
    Auto,
    On,
    Off,
}

impl Otlp {
    /// Reads the variables of [`OTLP_KEYS`] through `variable`; `None` where nothing is to be exported.
    ///
    /// # Errors
    /// Names each variable that cannot be understood and what to write instead.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let (otlp, problems) = Self::of(|key| variable(key.variable));
        if problems.is_empty() { Ok(otlp) } else { Err(ConfigError(problems)) }
    }

    /// Reads each setting of [`OTLP_KEYS`] as `text` has it, with all problems at once.
    /// A key without a text has its default.
    pub fn of(mut text: impl FnMut(&Key) -> Option<String>) -> (Option<Self>, Vec<Problem>) {
        let keys = &OTLP_KEYS;
        let mut text = |key: &Key| text(key).unwrap_or_else(|| key.default.to_owned());
        let mut reader = Reader { text: &mut text, problems: Vec::new() };
        let disabled = reader.read(&keys[0], flag);
        let told_before = reader.problems.len();
        let endpoint = reader.read(&keys[1], endpoint);
        let switches = [2, 3, 4].map(|at| reader.read(&keys[at], switch));
        let own = [5, 6, 7].map(|at| reader.read(&keys[at], self::endpoint));
        let headers = reader.read(&keys[8], headers);
        let spoken = (reader.text)(&keys[9]);
        let timeout = reader.read(&keys[10], |word| time(word, Duration::from_millis(100), TIMEOUT));
        let gzip = reader.read(&keys[11], compression);
        let ca = reader.read(&keys[12], |word| Ok((word != AUTO).then(|| PathBuf::from(word))));
        let interval = reader.read(&keys[13], |word| time(word, Duration::from_secs(1), INTERVAL));
        let sample = reader.read(&keys[14], sample);
        let service_name = reader.read(&keys[15], |word| Ok((word != AUTO).then(|| word.to_owned())));
        if disabled {
            // What it would have been is nobody's trouble.
            reader.problems.truncate(told_before);
            return (None, reader.problems);
        }
        let [logs, traces, metrics] = [0, 1, 2].map(|at| {
            let named = own[at].clone().or_else(|| endpoint.clone());
            match switches[at] {
                Switch::Off => None,
                Switch::Auto => named,
                Switch::On => named.or_else(|| Some(LOCAL.to_owned())),
            }
        });
        if logs.is_none() && traces.is_none() && metrics.is_none() {
            return (None, reader.problems);
        }
        if !["grpc", AUTO, ""].contains(&spoken.trim()) {
            let what = "is not spoken by Farol; write `grpc`, and the collector's port for it, mostly 4317";
            reader.tell(&keys[9], what.to_owned());
        }
        let otlp = Self { logs, traces, metrics, headers, timeout, gzip, ca, interval, sample, service_name };
        (Some(otlp), reader.problems)
    }
}

fn flag(word: &str) -> Result<bool, NotUnderstood> {
    match word.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | AUTO => Ok(false),
        _ => Err(NotUnderstood(format!("`{word}` is neither yes nor no; write `true` or `false`"))),
    }
}

fn switch(word: &str) -> Result<Switch, NotUnderstood> {
    match word.to_ascii_lowercase().as_str() {
        AUTO => Ok(Switch::Auto),
        "true" | "otlp" => Ok(Switch::On),
        "false" | "none" => Ok(Switch::Off),
        _ => Err(NotUnderstood(format!(
            "`{word}` is not known; write `auto`, `true` or `false`, in the variable `otlp` or `none`"
        ))),
    }
}

/// `none` is what a file says against a variable.
fn endpoint(word: &str) -> Result<Option<String>, NotUnderstood> {
    if word == "none" || word == AUTO {
        return Ok(None);
    }
    let headers = "and what the collector asks for under `headers`";
    // The text is never repeated: it may hold a password or a token, wherever it is written.
    let no_address = || {
        NotUnderstood(format!("is not the address of a collector; write for instance `{LOCAL}`, {headers}"))
    };
    let uri = word.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let uri = uri.ok_or_else(no_address)?;
    let authority = uri.authority().ok_or_else(no_address)?;
    let more = [
        (authority.as_str().contains('@'), "a user or a password"),
        (word.contains('#'), "a fragment (`#…`)"),
        (uri.query().is_some(), "a query (`?…`)"),
        (!matches!(uri.path(), "" | "/"), "a path"),
    ];
    if let Some((_, what)) = more.into_iter().find(|(has, _)| *has) {
        return Err(NotUnderstood(format!(
            "has {what}, which is not sent; write no more than for instance `{LOCAL}`, {headers}"
        )));
    }
    if uri.host().is_none_or(str::is_empty) { Err(no_address()) } else { Ok(Some(word.to_owned())) }
}

/// `name=value,name=value`, the values with `%20` and the like, as `OTEL_EXPORTER_OTLP_HEADERS` has them.
fn headers(text: &str) -> Result<Headers, NotUnderstood> {
    if text.trim() == AUTO {
        return Ok(Headers::default());
    }
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let read = |(at, entry): (usize, &str)| {
        let pair = || {
            let (name, value) = entry.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
            let sound = http::HeaderName::from_bytes(name.as_bytes()).is_ok() && !name.ends_with("-bin");
            let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            (sound && printable).then_some((name, value))
        };
        // No value is repeated: it is secret.
        pair().ok_or_else(|| {
            let at = at + 1;
            NotUnderstood(format!("entry {at} is not `name=value`; write for instance `api-key=…,tenant=…`"))
        })
    };
    entries.enumerate().map(read).collect::<Result<_, _>>().map(Headers)
}

fn compression(word: &str) -> Result<bool, NotUnderstood> {
    match word {
        "none" | AUTO => Ok(false),
        "gzip" => Ok(true),
        _ => Err(NotUnderstood(format!("`{word}` is not known; write `none` or `gzip`"))),
    }
}

/// A duration with its unit, or milliseconds, as the variables have them.
fn time(word: &str, least: Duration, usual: Duration) -> Result<Duration, NotUnderstood> {
    if word == AUTO {
        return Ok(usual);
    }
    let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let unit = match &word[end..] {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let length = unit.and_then(|unit| Some(Duration::from_millis(word[..end].parse::<u64>().ok()? * unit)));
    length.filter(|length| (least..=Duration::from_secs(3_600)).contains(length)).ok_or_else(|| {
        NotUnderstood(format!(
            "`{word}` is not a time from {least:?} to one hour; write for instance `10s`, `500ms` or `2m`"
        ))
    })
}

fn sample(word: &str) -> Result<Option<f64>, NotUnderstood> {
    if word == AUTO {
        return Ok(None);
    }
    word.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(Some).ok_or_else(|| {
        NotUnderstood(format!("`{word}` is not a share of traces; write `auto`, or a number from 0 to 1"))
    })
}

#[cfg(test)]
mod tests;
