//! Where a value came from, and what is wrong with it. Decides how a problem reads and in which order
//! problems are told; does not decide what is wrong.

use std::fmt;
use std::sync::Arc;

/// How many problems are told at once; the others are only counted.
const TOLD: usize = 200;
/// How much of a wrong value a message repeats.
const REPEATED: usize = 60;
/// No message has more characters: what is wrong and what to do is shorter, a value that is repeated may not be.
const SAID: usize = 2_000;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In a file. Line and column start at 1; line 0 means the file as a whole.
    File {
        /// The file's name as it was given.
        path: Arc<str>,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In an environment variable of this name.
    Env(String),
    /// In a file of its own that a key or variable names.
    SecretFile {
        /// The key or environment variable that names the file.
        var: String,
        /// The file.
        path: String,
    },
    /// In a flag of this name.
    Flag(String),
    /// Nowhere: the default.
    Default,
}

impl Origin {
    pub(crate) fn file(path: &Arc<str>, line: usize, column: usize) -> Self {
        Self::File { path: Arc::clone(path), line, column }
    }

    fn order(&self) -> (u8, &str, usize, usize) {
        match self {
            Self::File { path, line, column } => (0, path, *line, *column),
            Self::SecretFile { var, .. } => (1, var, 0, 0),
            Self::Env(name) => (2, name, 0, 0),
            Self::Flag(name) => (3, name, 0, 0),
            Self::Default => (4, "", 0, 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0, .. } => f.write_str(&printable(path)),
            Self::File { path, line, .. } => write!(f, "{}:{line}", printable(path)),
            Self::Env(name) | Self::Flag(name) => f.write_str(&printable(name)),
            Self::SecretFile { var, path } => {
                write!(f, "{} (named by {})", printable(path), printable(var))
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The key, for instance `agent.checks[2].interval`; empty for a file as a whole.
    pub key: String,
    /// What is wrong and what to do: one printable line. Never holds a secret.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(origin: &Origin, key: &str, message: impl Into<String>) -> Self {
        // Whoever found the problem may repeat a value as it was written.
        let message = printable(&cut(&message.into(), SAID));
        Self { origin: origin.clone(), key: key.to_owned(), message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}", self.origin)?;
            match &self.origin {
                Origin::File { line: 1.., column, .. } if self.key.is_empty() => write!(f, ":{column}: ")?,
                _ => f.write_str(": ")?,
            }
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", printable(&self.key))?;
        }
        f.write_str(&self.message)
    }
}

/// All problems of one load or read, sorted by file and line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The ones that are told.
    told: Vec<Problem>,
    /// How many more there are: a hostile file could give a hundred thousand.
    more: usize,
}

impl Problems {
    pub(crate) fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (a.origin.order(), &a.key).cmp(&(b.origin.order(), &b.key)));
        problems.dedup();
        let more = problems.len().saturating_sub(TOLD);
        problems.truncate(TOLD);
        Self { told: problems, more }
    }

    /// The problems, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.told.iter()
    }

    /// How many there are, counting those that are not told one by one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.told.len() + self.more
    }

    /// Always false; here because `len` is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }
}

impl FromIterator<Problem> for Problems {
    /// Sorts them, and tells each once.
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self::sorted(problems.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.told.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self::sorted(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.told.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more problems", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Text without what could forge a line or colour a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if needs_escape(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Controls, line separators, and the marks that turn the writing direction round.
pub(crate) fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A piece of input for a message: in back-ticks, printable, cut when long.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", printable(&cut(text, REPEATED)))
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    let mut cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, line: usize, key: &str) -> Problem {
        Problem::new(&Origin::file(&Arc::from(path), line, 7), key, "is wrong")
    }

    #[test]
    fn problems_are_sorted_by_file_and_line_and_told_once() {
        let problems = Problems::sorted(vec![
            at("b.yaml", 1, "x"),
            at("a.yaml", 10, "y"),
            at("a.yaml", 9, "z"),
            at("b.yaml", 1, "x"),
        ]);
        assert_eq!(
            problems.to_string(),
            "a.yaml:9: z: is wrong\na.yaml:10: y: is wrong\nb.yaml:1: x: is wrong"
        );
    }

    #[test]
    fn a_problem_without_a_key_names_the_column_and_a_whole_file_no_line() {
        assert_eq!(at("a.yaml", 3, "").to_string(), "a.yaml:3:7: is wrong");
        assert_eq!(at("a.yaml", 0, "").to_string(), "a.yaml: is wrong");
        assert_eq!(Problem::new(&Origin::Default, "name", "is required").to_string(), "name: is required");
    }

    #[test]
    fn control_characters_cannot_forge_a_line() {
        let problem = Problem::new(&Origin::Env("X\nY".into()), "a\u{1b}[31m", quoted("b\r\nc"));
        assert_eq!(problem.to_string(), "X\\u{a}Y: a\\u{1b}[31m: `b\\u{d}\\u{a}c`");
        let raw = Problem::new(&Origin::Default, "level", "`info\u{1b}[2J\nok` is not a level".to_owned());
        assert_eq!(raw.message, "`info\\u{1b}[2J\\u{a}ok` is not a level");
        let long = Problem::new(&Origin::Default, "cert", "x".repeat(1 << 20));
        assert_eq!(long.message.chars().count(), SAID + 1);
    }

    #[test]
    fn more_problems_than_are_told_are_counted() {
        let problems = Problems::sorted((1..=TOLD + 5).map(|line| at("a.yaml", line, "k")).collect());
        assert_eq!(problems.len(), TOLD + 5);
        assert!(problems.to_string().ends_with("\nand 5 more problems"));
    }
}
