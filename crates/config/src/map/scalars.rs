//! Getters of single values. Each decides how its text is understood, and what to say when it is not.

use super::field::{Field, Found};
use super::{Kind, Map, Wanted};
use crate::node::{Value, join};
use crate::problem::{Origin, Problem, quoted};
use crate::quantity;
use crate::url::HostPort;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Said of a number that its type does not even hold; a range adds itself.
pub(super) const FAR_OUTSIDE: &str = "is too large or too small here";

/// How the values of one getter look.
pub(super) struct Look<'m, T> {
    pub(super) example: &'m str,
    pub(super) stand_in: T,
    pub(super) show: Box<dyn Fn(&T) -> String + 'm>,
    pub(super) is_text: bool,
}

impl<'t> Map<'t> {
    /// Text, not empty.
    pub fn text<'m>(&'m mut self, key: &str) -> Field<'m, 't, String> {
        let parse = |text: &str| match text {
            "" => Err("is empty; write a text, or remove the key".to_owned()),
            text => Ok(text.to_owned()),
        };
        self.scalar(key, text_look("text"), parse)
    }

    /// A name: 1 to 128 letters, digits, `.`, `_`, `-`.
    pub fn name<'m>(&'m mut self, key: &str) -> Field<'m, 't, String> {
        self.scalar(key, text_look("payments-1"), |text| checked_name(text, ""))
    }

    /// An agent's id: as [`name`](Self::name), and `:`.
    pub fn agent_id<'m>(&'m mut self, key: &str) -> Field<'m, 't, String> {
        self.scalar(key, text_look("shop:payments-1"), |text| checked_name(text, ":"))
    }

    /// A duration such as `10s`, `500ms`, `1h30m`.
    pub fn duration<'m>(&'m mut self, key: &str) -> Field<'m, 't, Duration> {
        let show = |value: &Duration| quantity::duration_text(*value);
        self.scalar(key, look("10s", Duration::ZERO, show), |text| {
            quantity::duration(text).ok_or_else(|| match quantity::number(text) {
                Some(_) => {
                    format!("{} has no unit; write for instance `{text}s` or `{text}ms`", quoted(text))
                }
                None => format!("{} is not a duration; write for instance `10s` or `500ms`", quoted(text)),
            })
        })
    }

    /// A number of bytes such as `20GB`, `256MiB`, `4096`.
    pub fn bytes<'m>(&'m mut self, key: &str) -> Field<'m, 't, u64> {
        self.scalar(key, look("256MiB", 0, |value| quantity::bytes_text(*value)), |text| {
            quantity::bytes(text).ok_or_else(|| {
                format!("{} is not a size; write for instance `20GB` or `256MiB`", quoted(text))
            })
        })
    }

    /// A whole number.
    pub fn integer<'m, T>(&'m mut self, key: &str) -> Field<'m, 't, T>
    where
        T: TryFrom<i128> + Default + Display + 'static,
    {
        self.scalar(key, look("3", T::default(), T::to_string), |text| {
            match quantity::whole(text).map(T::try_from) {
                Some(Ok(value)) => Ok(value),
                Some(Err(_)) => Err(format!("{} {FAR_OUTSIDE}", quoted(text))),
                None => Err(format!("{} is not a whole number; write for instance `3`", quoted(text))),
            }
        })
    }

    /// A number.
    pub fn number<'m>(&'m mut self, key: &str) -> Field<'m, 't, f64> {
        self.scalar(key, look("0.5", 0.0, f64::to_string), |text| {
            quantity::number(text)
                .ok_or_else(|| format!("{} is not a number; write for instance `0.5`", quoted(text)))
        })
    }

    /// A percentage: `30%` (or `30`) gives 30.0.
    pub fn percent<'m>(&'m mut self, key: &str) -> Field<'m, 't, f64> {
        self.scalar(key, look("30%", 0.0, |value| format!("{value}%")), |text| {
            quantity::percent(text)
                .ok_or_else(|| format!("{} is not a percentage; write for instance `30%`", quoted(text)))
        })
    }

    /// `true` or `false`.
    pub fn flag<'m>(&'m mut self, key: &str) -> Field<'m, 't, bool> {
        self.scalar(key, look("true", false, bool::to_string), |text| match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(format!("{} is neither yes nor no here; write `true` or `false`", quoted(text))),
        })
    }

    /// An address to listen on: `127.0.0.1:8501`, `[::]:8501`, `localhost:8501` (127.0.0.1), `:8501` is an
    /// error that says what to write. Port 0 is allowed. Other names are not resolved.
    pub fn address<'m>(&'m mut self, key: &str) -> Field<'m, 't, SocketAddr> {
        let none = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.scalar(key, look("127.0.0.1:8501", none, SocketAddr::to_string), listen_address)
    }

    /// A host and a port to connect to, not resolved.
    pub fn host_port<'m>(&'m mut self, key: &str) -> Field<'m, 't, HostPort> {
        let none = HostPort { host: "localhost".to_owned(), port: 1 };
        self.scalar(key, look("db.example:5432", none, HostPort::to_string), |text| {
            text.parse()
                .map_err(|why| format!("{} {why}; write for instance `db.example:5432`", quoted(text)))
        })
    }

    /// A path. A relative one in a file starts at the file's directory, elsewhere at the working directory.
    pub fn path<'m>(&'m mut self, key: &str) -> Field<'m, 't, PathBuf> {
        self.path_but(None, key)
    }

    /// The same, or this word, which stays as it is. A file of that name is written with `./`.
    pub fn path_or<'m>(&'m mut self, word: &str, key: &str) -> Field<'m, 't, PathBuf> {
        self.path_but(Some(word), key)
    }

    fn path_but<'m>(&'m mut self, word: Option<&str>, key: &str) -> Field<'m, 't, PathBuf> {
        let base = self.find(key).map(|node| base_of(&node.origin)).unwrap_or_default();
        let show = |value: &PathBuf| value.to_string_lossy().into_owned();
        let look = Look { is_text: true, ..look("tls/cert.pem", PathBuf::new(), show) };
        self.scalar(key, look, |text| match text {
            "" => Err("is empty; write a path, or remove the key".to_owned()),
            text if text.contains('\0') => Err("holds a NUL character; write a path".to_owned()),
            text if word == Some(text) => Ok(PathBuf::from(text)),
            text => Ok(base.join(text)),
        })
    }

    /// One of several words. The first stands in where a required one is missing.
    ///
    /// # Panics
    /// With no words at all: a mistake of the reader.
    pub fn one_of<'m, T>(&'m mut self, key: &str, words: &'m [(&'m str, T)]) -> Field<'m, 't, T>
    where
        T: Clone + PartialEq,
    {
        let (first, stand_in) = words.first().cloned().expect("a reader names at least one word");
        let show = move |value: &T| {
            words.iter().find(|(_, other)| other == value).map_or("", |(word, _)| *word).to_owned()
        };
        self.scalar(key, Look { is_text: true, ..look(first, stand_in, show) }, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| value.clone()).ok_or_else(|| {
                let list: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                format!("{} is none of {}", quoted(text), list.join(", "))
            })
        })
    }

    /// Anything that parses from text; `what` and `example` are for messages.
    ///
    /// # Panics
    /// When the example does not parse: a mistake of the reader.
    pub fn parsed<'m, T>(&'m mut self, key: &str, what: &str, example: &'m str) -> Field<'m, 't, T>
    where
        T: FromStr<Err: Display> + Display + 'static,
    {
        let stand_in = example.parse().ok().expect("a reader's example parses");
        let look = Look { is_text: true, ..look(example, stand_in, T::to_string) };
        self.scalar(key, look, |text| {
            text.parse().map_err(|error| {
                let error = crate::problem::printable(&format!("{error}"));
                format!("{} is not {what} ({error}); write for instance `{example}`", quoted(text))
            })
        })
    }

    /// Finds and parses one value. The dump shows it as [`Look::show`] does.
    pub(super) fn scalar<'m, T>(
        &'m mut self,
        key: &str,
        look: Look<'m, T>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Field<'m, 't, T> {
        let found = match self.take(key) {
            None => Found::Missing,
            Some(node) => {
                let path = join(&self.path, key);
                match &node.value {
                    Value::Scalar { text, .. } => {
                        self.parse_found(key, &path, &node.origin, &look.show, || parse(text))
                    }
                    Value::List(_) | Value::Map(_) => {
                        let example = format!("{key}: {}", look.example);
                        self.wrong_kind(node, &path, Wanted { kind: Kind::Single, example: &example });
                        Found::Wrong
                    }
                }
            }
        };
        self.field(key, look, found)
    }

    pub(super) fn parse_found<T>(
        &mut self,
        key: &str,
        path: &str,
        origin: &Origin,
        show: &dyn Fn(&T) -> String,
        parse: impl FnOnce() -> Result<T, String>,
    ) -> Found<T> {
        match parse() {
            Ok(value) => {
                let dumped = (key.to_owned(), show(&value));
                Found::Value { value, origin: origin.clone(), dumped }
            }
            Err(message) => {
                self.problems.push(Problem::new(origin, path, message));
                Found::Wrong
            }
        }
    }

    pub(super) fn field<'m, T>(
        &'m mut self,
        key: &str,
        look: Look<'m, T>,
        found: Found<T>,
    ) -> Field<'m, 't, T> {
        let Look { example, stand_in, show, is_text } = look;
        Field { map: self, key: key.to_owned(), found, example: example.to_owned(), stand_in, show, is_text }
    }
}

pub(super) fn look<'m, T>(example: &'m str, stand_in: T, show: impl Fn(&T) -> String + 'm) -> Look<'m, T> {
    Look { example, stand_in, show: Box::new(show), is_text: false }
}

fn text_look(example: &str) -> Look<'_, String> {
    Look { is_text: true, ..look(example, example.to_owned(), String::clone) }
}

/// Where relative paths start that were written here.
pub(super) fn base_of(origin: &Origin) -> PathBuf {
    match origin {
        Origin::File { path, .. } => {
            Path::new(path.as_ref()).parent().map(Path::to_path_buf).unwrap_or_default()
        }
        _ => PathBuf::new(),
    }
}

/// A name of letters, digits, `.`, `_`, `-` and the further characters.
pub(super) fn checked_name(text: &str, further: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || further.contains(c);
    if !text.is_empty() && text.len() <= 128 && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    let colon = if further.is_empty() { "" } else { " `:`" };
    Err(format!("{} is not a name; use 1 to 128 letters, digits, `.` `_` `-`{colon}", quoted(text)))
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = |text: &str| text.parse::<u16>().ok();
    if let Some(port) = text.strip_prefix("localhost:").and_then(port) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let advice = match port(text.strip_prefix(':').unwrap_or(text)) {
        Some(port) => format!("has no host; write `127.0.0.1:{port}`, or `[::]:{port}` for all interfaces"),
        None => {
            "is not an address to listen on; write for instance `127.0.0.1:8501` or `[::]:8501`".to_owned()
        }
    };
    Err(format!("{} {advice}", quoted(text)))
}
