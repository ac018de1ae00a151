//! What a label must be. Regular expressions are anchored at both ends, as Prometheus anchors them.

use crate::Labels;
use regex::{Regex, RegexBuilder};
use std::fmt;
use std::sync::Arc;

/// A compiled expression takes this many bytes at most.
const REGEX_BYTES: usize = 1 << 20;

/// What one label must be.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub label: Arc<str>,
    /// What it must be.
    pub pattern: Pattern,
}

/// What a text must be.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Exactly this.
    Is(Arc<str>),
    /// Anything else.
    IsNot(Arc<str>),
    /// As this expression says, from the first character to the last.
    Like(Regex),
    /// As it does not say.
    NotLike(Regex),
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no regular expression: {why}")]
pub struct PatternError {
    /// The expression.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Pattern {
    /// Reads `text`, `!text`, `~expression` or `!~expression`.
    ///
    /// # Errors
    /// The expression is none, or too large.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Ok(match (text.strip_prefix("!~"), text.strip_prefix('~'), text.strip_prefix('!')) {
            (Some(expression), _, _) => Self::NotLike(anchored(expression)?),
            (_, Some(expression), _) => Self::Like(anchored(expression)?),
            (_, _, Some(other)) => Self::IsNot(other.into()),
            _ => Self::Is(text.into()),
        })
    }

    /// Whether a text is so.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Is(is) => **is == *text,
            Self::IsNot(is) => **is != *text,
            Self::Like(expression) => expression.is_match(text),
            Self::NotLike(expression) => !expression.is_match(text),
        }
    }
}

fn anchored(expression: &str) -> Result<Regex, PatternError> {
    let why = |error: regex::Error| PatternError {
        text: expression.to_owned(),
        why: error.to_string().lines().last().unwrap_or_default().to_owned(),
    };
    // By itself first: `a)|(b` must not become one through the brackets.
    Regex::new(expression).map_err(why)?;
    RegexBuilder::new(&format!("^(?:{expression})$")).size_limit(REGEX_BYTES).build().map_err(why)
}

impl fmt::Display for Pattern {
    /// As it is written; an expression without the anchors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |expression: &Regex| {
            let text = expression.as_str();
            text.strip_prefix("^(?:").and_then(|t| t.strip_suffix(")$")).unwrap_or(text).to_owned()
        };
        match self {
            Self::Is(is) => f.write_str(is),
            Self::IsNot(is) => write!(f, "!{is}"),
            Self::Like(expression) => write!(f, "~{}", bare(expression)),
            Self::NotLike(expression) => write!(f, "!~{}", bare(expression)),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label && self.pattern == other.pattern
    }
}

impl Matcher {
    /// Whether these labels are so. A label that is missing matches only what says what it must not be.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        match labels.get(&self.label) {
            Some(value) => self.pattern.matches(value),
            None => matches!(self.pattern, Pattern::IsNot(_) | Pattern::NotLike(_)),
        }
    }

    /// Whether all of them say so.
    #[must_use]
    pub fn all(matchers: &[Self], labels: &Labels) -> bool {
        matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_shown_as_they_are_written() {
        for (text, yes, no) in [
            ("eu", "eu", "eu1"),
            ("!eu", "us", "eu"),
            ("~pay-.*", "pay-1", "xpay-1"),
            ("~a|b", "b", "ab"),
            ("!~a|b", "ab", "a"),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            assert!(pattern.matches(yes) && !pattern.matches(no), "{text}");
            assert_eq!(pattern.to_string(), text);
        }
        for wrong in ["~(", "~a)|(b", "~x{1000000}"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_missing_label_matches_only_what_it_must_not_be() {
        let labels = Labels::from([("cluster", "eu")]);
        for (label, text, expected) in
            [("cluster", "eu", true), ("pod", "a", false), ("pod", "!a", true), ("pod", "~.*", false)]
        {
            let matcher = Matcher { label: label.into(), pattern: Pattern::parse(text).unwrap() };
            assert_eq!(matcher.matches(&labels), expected, "{label}: {text}");
        }
    }
}
