//! What is logged and how it looks: `LOG_LEVEL` and `LOG_FORMAT` become checked values.
//! It decides nothing about where the lines go.

use std::io::IsTerminal as _;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

use crate::correlation::SPAN_TARGET;

/// Libraries whose `debug` says nothing about Farol; `LOG_LEVEL=trace` shows them too.
const CHATTY: &str = "h2=info,hyper=info,hyper_util=info,tower=info,tonic=info,rustls=info,reqwest=info";

/// How logs are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The shape of a line.
    pub format: Format,
    /// Which records are kept.
    pub level: Filter,
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line; also called `structured`.
    Json,
    /// `time LEVEL target: message key=value`, for a human.
    Text,
}

/// Which records are kept: a level, or directives such as `info,farol_agent=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What `EnvFilter` is built from; known to parse.
    directives: String,
    /// CRITICAL is an ERROR event with a field, which directives cannot tell apart.
    pub(crate) critical_only: bool,
}

/// A variable holds what is neither a level nor a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `LOG_LEVEL` cannot be understood.
    #[error(
        "LOG_LEVEL: `{0}` is not a level; write one of trace, debug, info, warning, error, critical, \
         or directives such as `info,farol_agent=debug`"
    )]
    Level(String),
    /// `LOG_FORMAT` cannot be understood.
    #[error("LOG_FORMAT: `{0}` is not a format; write `structured`, `json` or `text`")]
    Format(String),
    /// Neither can be understood.
    #[error("{0}\n{1}")]
    Both(Box<ConfigError>, Box<ConfigError>),
}

impl Config {
    /// Reads `LOG_LEVEL` and `LOG_FORMAT` through `variable`. Absent or empty: INFO, and text on a terminal,
    /// else JSON.
    ///
    /// # Errors
    /// Names each variable that cannot be understood and what to write instead.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let format = given("LOG_FORMAT").map_or_else(|| Ok(Format::fitting()), |value| value.parse());
        let level = given("LOG_LEVEL").map_or_else(|| Ok(Filter::default()), |value| value.parse());
        match (format, level) {
            (Ok(format), Ok(level)) => Ok(Self { format, level }),
            (Err(format), Err(level)) => Err(ConfigError::Both(level.into(), format.into())),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::fitting(), level: Filter::default() }
    }
}

impl Format {
    fn fitting() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

impl FromStr for Format {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "json" | "structured" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(ConfigError::Format(text.to_owned())),
        }
    }
}

impl Filter {
    /// Built anew each time because `EnvFilter` is no value. The span of a request must be kept at every
    /// level: it carries the correlation id of records that are themselves kept.
    pub(crate) fn build(&self) -> Option<EnvFilter> {
        EnvFilter::builder().parse(format!("{},{SPAN_TARGET}=error", self.directives)).ok()
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self { directives: "info".to_owned(), critical_only: false }
    }
}

impl FromStr for Filter {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let word = text.trim().to_ascii_lowercase();
        let directives = match word.as_str() {
            "debug" => format!("debug,{CHATTY}"),
            _ => text
                .trim()
                .split(',')
                .map(directive)
                .collect::<Option<Vec<_>>>()
                .unwrap_or_default()
                .join(","),
        };
        let filter = Self { directives, critical_only: word == "critical" };
        if filter.directives.is_empty() || filter.build().is_none() {
            return Err(ConfigError::Level(text.to_owned()));
        }
        Ok(filter)
    }
}

/// One directive in `EnvFilter`'s words. A bare word must be a level: `EnvFilter` would take a mistyped one for
/// a target and silence everything else.
fn directive(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some((target, word)) = text.rsplit_once('=') {
        return Some(level(word).map_or_else(|| text.to_owned(), |level| format!("{target}={level}")));
    }
    level(text)
        .map(str::to_owned)
        .or_else(|| text.contains(['[', ']', '{', '}', ':']).then(|| text.to_owned()))
}

fn level(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "off" => Some("off"),
        "critical" | "error" => Some("error"),
        "warning" | "warn" => Some("warn"),
        "info" => Some("info"),
        "debug" => Some("debug"),
        "trace" => Some("trace"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError, Filter, Format};

    #[test]
    fn levels_and_directives_are_understood() {
        for (given, directives, critical_only) in [
            ("info", "info", false),
            (" WARNING ", "warn", false),
            ("warn", "warn", false),
            ("error", "error", false),
            ("critical", "error", true),
            ("trace", "trace", false),
            ("info,farol_agent=debug", "info,farol_agent=debug", false),
            ("warning, farol_agent=Warning", "warn,farol_agent=warn", false),
            ("info,farol_monitor::ingest", "info,farol_monitor::ingest", false),
            ("info,farol_monitor[stream{agent=a}]=debug", "info,farol_monitor[stream{agent=a}]=debug", false),
        ] {
            let filter: Filter = given.parse().unwrap_or_else(|error| panic!("{given}: {error}"));
            assert_eq!(
                (filter.directives.as_str(), filter.critical_only),
                (directives, critical_only),
                "{given}"
            );
        }
        let debug: Filter = "debug".parse().unwrap();
        assert!(debug.directives.starts_with("debug,h2=info,"));
    }

    #[test]
    fn a_mistyped_level_is_an_error_and_silences_nothing() {
        for given in ["inof", "info,loud", "farol_agent=loud", "a=b=c", "[", "info,,debug", "verbose"] {
            assert_eq!(given.parse::<Filter>(), Err(ConfigError::Level(given.to_owned())), "{given}");
        }
    }

    #[test]
    fn variables_are_read_and_a_wrong_one_is_named() {
        let read = |level: &'static str, format: &'static str| {
            Config::from_env(move |name| match name {
                "LOG_LEVEL" => Some(level.to_owned()),
                "LOG_FORMAT" => Some(format.to_owned()),
                other => panic!("{other} is not ours"),
            })
        };
        assert_eq!(read("info", "structured").unwrap().format, Format::Json);
        assert_eq!(read("info", "JSON").unwrap().format, Format::Json);
        assert_eq!(read("", "text").unwrap(), Config { format: Format::Text, level: Filter::default() });
        assert_eq!(read("info", "gelf").unwrap_err(), ConfigError::Format("gelf".to_owned()));
        assert!(read("loud", "text").unwrap_err().to_string().contains("LOG_LEVEL: `loud`"));
        let both = read("loud", "gelf").unwrap_err().to_string();
        assert!(
            both.lines().count() == 2 && both.contains("LOG_LEVEL") && both.contains("LOG_FORMAT"),
            "{both}"
        );
        assert_eq!(Config::from_env(|_| None).unwrap(), Config::default());
    }
}
