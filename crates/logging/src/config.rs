//! What is logged, how it looks and where it goes: words of a file or of the environment become checked values.

mod otlp;
mod output;

pub use otlp::{Headers, OTLP_CA, OTLP_HEADERS, OTLP_KEYS, Otlp};
pub use output::{Compression, Gelf, Output, Transport};

use std::io::IsTerminal as _;
use std::ops::RangeInclusive;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

use output::Place;

use crate::correlation::SPAN_TARGET;

/// Libraries whose `debug` says nothing about Farol; `LOG_LEVEL=trace` shows them too.
const CHATTY: &str = "h2=info,hyper=info,hyper_util=info,tower=info,tonic=info,rustls=info,reqwest=info";

/// How logs are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The shape of a line.
    pub format: Format,
    /// Which records are kept.
    pub level: Filter,
    /// Where the lines go.
    pub output: Output,
    /// How often the same line is written within a second; the rest is told as a count. 0 writes all of them.
    pub repeats: u32,
    /// What else is sent where by OTLP; nothing for `None`.
    pub otlp: Option<Otlp>,
    /// Who says it, to OTLP.
    pub process: Process,
}

/// The process as a collector knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// `service.name` where nobody chooses another.
    pub name: &'static str,
    /// `service.instance.id`.
    pub instance: Option<String>,
}

impl Default for Process {
    fn default() -> Self {
        Self { name: "farol", instance: None }
    }
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line; also called `structured`.
    Json,
    /// `time LEVEL target: message key=value`, for a human.
    Text,
    /// GELF 1.1, the Graylog Extended Log Format.
    Gelf,
}

/// Which records are kept: a level, or directives such as `info,farol_agent=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What `EnvFilter` is built from; known to parse.
    directives: String,
    /// CRITICAL is an ERROR event with a field, which directives cannot tell apart.
    pub(crate) critical_only: bool,
}

/// A setting, its variable in the environment and its default.
pub struct Key {
    /// Under `logging:` in a configuration file.
    pub name: &'static str,
    /// The variable that sets it too.
    pub variable: &'static str,
    /// What counts where nothing is said.
    pub default: &'static str,
}

/// Every setting of the log.
#[rustfmt::skip]
pub const KEYS: [Key; 6] = [
    Key { name: "level", variable: "LOG_LEVEL", default: "info" },
    Key { name: "format", variable: "LOG_FORMAT", default: "auto" },
    Key { name: "output", variable: "LOG_GELF", default: "stderr" },
    Key { name: "compression", variable: "LOG_GELF_COMPRESSION", default: "zlib" },
    Key { name: "chunk_bytes", variable: "LOG_GELF_CHUNK_BYTES", default: "1420" },
    Key { name: "repeats", variable: "LOG_REPEATS", default: "10" },
];

/// A setting that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name in a file.
    pub key: &'static str,
    /// Its variable.
    pub variable: &'static str,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Variables hold what cannot be understood; one line for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|p| format!("{}: {}", p.variable, p.message)).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Problem>);

/// A word that is no such value; says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotUnderstood(pub(crate) String);

impl Config {
    /// Reads the variables of [`KEYS`] and [`OTLP_KEYS`] through `variable`. Absent or empty: INFO, and text on a terminal, else
    /// JSON, on standard error.
    ///
    /// # Errors
    /// Names each variable that cannot be understood and what to write instead.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let (mut config, mut problems) =
            Self::of(|key| variable(key.variable).unwrap_or_else(|| key.default.to_owned()));
        match Otlp::from_env(variable) {
            Ok(otlp) => config.otlp = otlp,
            Err(ConfigError(more)) => problems.extend(more),
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    /// Reads each setting of [`KEYS`] as `text` has it. What cannot be understood has its default in the result
    /// and is among the problems, which all come at once.
    pub fn of(mut text: impl FnMut(&Key) -> String) -> (Self, Vec<Problem>) {
        let mut reader = Reader { text: &mut text, problems: Vec::new() };
        let level = reader.read(&KEYS[0], str::parse);
        let format = reader.read(&KEYS[1], |word| match word {
            "auto" => Ok(None),
            word => word.parse().map(Some),
        });
        let place = reader.read(&KEYS[2], Place::parse);
        let compression = reader.read(&KEYS[3], str::parse);
        let chunk_bytes = reader.read(&KEYS[4], |word| {
            number(word, 128..=8192).map_err(|told| NotUnderstood(format!("{told}, the size of a datagram")))
        });
        let repeats = reader.read(&KEYS[5], |word| number(word, 0..=1_000_000));
        let output = match place {
            None => Output::Stderr,
            Some(Place { transport, host, port }) => {
                Output::Gelf(Gelf { transport, host, port, compression, chunk_bytes })
            }
        };
        let format = match (&output, format) {
            (_, Some(format)) => format,
            (Output::Stderr, None) => Format::fitting(),
            (Output::Gelf(_), None) => Format::Gelf,
        };
        if output != Output::Stderr && format != Format::Gelf {
            let what = "is sent over the network in GELF only; write `gelf` here, or `stderr` as the output";
            reader.tell(&KEYS[1], what.to_owned());
        }
        let config = Self { format, level, output, repeats, otlp: None, process: Process::default() };
        (config, reader.problems)
    }

    /// The same of a process with this name, and this instance of it where there are several.
    #[must_use]
    pub fn of_process(self, name: &'static str, instance: Option<String>) -> Self {
        Self { process: Process { name, instance }, ..self }
    }

    /// What a running log cannot take over from `new`.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, same) in [
            ("logging.format", self.format == new.format),
            ("logging.output", self.output == new.output),
            ("logging.repeats", self.repeats == new.repeats),
            ("logging.otlp", self.otlp == new.otlp),
        ] {
            if !same {
                names.push(name);
            }
        }
        names
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::of(|key| key.default.to_owned()).0
    }
}

/// Takes settings out as texts and collects what is wrong with them.
struct Reader<'r> {
    text: &'r mut dyn FnMut(&Key) -> String,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn read<T>(&mut self, key: &Key, parse: impl Fn(&str) -> Result<T, NotUnderstood>) -> T {
        let given = (self.text)(key);
        let given = if given.trim().is_empty() { key.default } else { given.trim() };
        parse(given).unwrap_or_else(|NotUnderstood(message)| {
            self.tell(key, message);
            parse(key.default).unwrap_or_else(|error| panic!("a test reads the default: {error}"))
        })
    }

    fn tell(&mut self, key: &Key, message: String) {
        self.problems.push(Problem { key: key.name, variable: key.variable, message });
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    word: &str,
    within: RangeInclusive<T>,
) -> Result<T, NotUnderstood> {
    word.parse().ok().filter(|number| within.contains(number)).ok_or_else(|| {
        NotUnderstood(format!("`{word}` is not a number from {} to {}", within.start(), within.end()))
    })
}

impl Format {
    pub(crate) fn fitting() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

impl FromStr for Format {
    type Err = NotUnderstood;

    fn from_str(text: &str) -> Result<Self, NotUnderstood> {
        match text.trim().to_ascii_lowercase().as_str() {
            "json" | "structured" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            "gelf" => Ok(Self::Gelf),
            _ => Err(NotUnderstood(format!(
                "`{text}` is not a format; write `structured`, `json`, `text` or `gelf`"
            ))),
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

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.critical_only { "critical" } else { &self.directives })
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self { directives: "info".to_owned(), critical_only: false }
    }
}

impl FromStr for Filter {
    type Err = NotUnderstood;

    fn from_str(text: &str) -> Result<Self, NotUnderstood> {
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
            return Err(NotUnderstood(format!(
                "`{text}` is not a level; write one of trace, debug, info, warning, error, critical, or \
                 directives such as `info,farol_agent=debug`"
            )));
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
    use super::{Compression, Config, Filter, Format, Gelf, Output, Transport};

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
            assert!(given.parse::<Filter>().unwrap_err().to_string().contains("is not a level"), "{given}");
        }
    }

    fn read(given: &[(&'static str, &str)]) -> (Config, String) {
        let known = |name| given.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let (config, problems) = Config::of(|key| known(key.name).unwrap_or_else(|| key.default.to_owned()));
        let told: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect();
        (config, told.join("\n"))
    }

    #[test]
    fn settings_are_understood() {
        for format in ["json", "structured", "JSON"] {
            assert_eq!(read(&[("format", format)]).0.format, Format::Json);
        }
        let (config, told) = read(&[("level", " "), ("format", "text"), ("repeats", "0")]);
        assert_eq!((config.format, config.level, config.repeats), (Format::Text, Filter::default(), 0));
        assert_eq!(told, "");
        let (config, told) =
            read(&[("output", "udp://[::1]:12201"), ("compression", "gzip"), ("chunk_bytes", "8192")]);
        let gelf = Gelf {
            transport: Transport::Udp,
            host: "::1".to_owned(),
            port: 12201,
            compression: Compression::Gzip,
            chunk_bytes: 8192,
        };
        assert_eq!((config.format, config.output, told.as_str()), (Format::Gelf, Output::Gelf(gelf), ""));
    }

    #[test]
    fn all_problems_come_at_once() {
        let (config, told) = read(&[
            ("level", "loud"),
            ("format", "xml"),
            ("output", "http://graylog"),
            ("compression", "lz4"),
            ("chunk_bytes", "7"),
            ("repeats", "-1"),
        ]);
        assert_eq!(config, Config::default());
        let keys: Vec<_> = told.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(keys, ["level", "format", "output", "compression", "chunk_bytes", "repeats"], "{told}");
        let (_, told) = read(&[("output", "tcp://graylog:12201"), ("format", "json")]);
        assert!(told.starts_with("format: is sent over the network in GELF only"), "{told}");
    }

    #[test]
    fn variables_are_read_and_each_wrong_one_is_named() {
        let set = |name: &str| match name {
            "LOG_LEVEL" => Some("loud".to_owned()),
            "LOG_FORMAT" => Some("xml".to_owned()),
            _ => None,
        };
        let told = Config::from_env(set).unwrap_err().to_string();
        assert!(told.starts_with("LOG_LEVEL: `loud` is not a level"), "{told}");
        assert!(told.contains("\nLOG_FORMAT: `xml` is not a format"), "{told}");
        assert_eq!(Config::from_env(|_| None).unwrap(), Config::default());
    }
}
