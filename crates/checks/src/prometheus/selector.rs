//! Which series are meant: `queue_depth{queue="mail",host=~"a.*"}`, as in PromQL. Pure.

use super::labels::{Relation, braces, name};
use crate::pattern::Pattern;
use std::fmt;

/// The most labels that may be named.
const MAX_MATCHERS: usize = 32;

/// A metric's name and what its labels must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// As written, for messages.
    text: String,
    name: String,
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, PartialEq)]
struct Matcher {
    label: String,
    value: Value,
    /// It must not be so.
    not: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Is(String),
    Matches(Pattern),
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` names no series; write for instance `queue_depth{{queue=\"mail\"}}`");
        let text = text.trim();
        let (metric, rest) = name(text);
        let rest = rest.trim_start();
        let read = match rest.strip_prefix('{') {
            Some(inside) => braces(inside).ok_or_else(wrong)?,
            None => braces("}").ok_or_else(wrong)?,
        };
        let trailing = if rest.starts_with('{') { read.rest } else { rest };
        let metric = match (metric, read.name) {
            ("", Some(quoted)) => quoted,
            (metric, None) if !metric.is_empty() => metric.to_owned(),
            _ => return Err(wrong()),
        };
        if !trailing.trim().is_empty() || read.labels.len() > MAX_MATCHERS {
            return Err(wrong());
        }
        let mut matchers = Vec::new();
        for (label, relation, value) in read.labels {
            let not = matches!(relation, Relation::IsNot | Relation::MatchesNot);
            let value = match relation {
                Relation::Is | Relation::IsNot => Value::Is(value),
                Relation::Matches | Relation::MatchesNot => Value::Matches(Pattern::whole(&value)?),
            };
            matchers.push(Matcher { label: label.to_owned(), value, not });
        }
        Ok(Self { text: text.to_owned(), name: metric, matchers })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a series with these labels is meant; one it has not is empty.
    pub(super) fn means(&self, labels: &[(&str, Relation, String)]) -> bool {
        self.matchers.iter().all(|matcher| {
            let found = labels.iter().find(|(label, ..)| *label == matcher.label);
            let text = found.map_or("", |(_, _, value)| value.as_str());
            let same = match &matcher.value {
                Value::Is(wanted) => text == wanted,
                Value::Matches(pattern) => pattern.is_match(text.as_bytes()),
            };
            same != matcher.not
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_means_what_promql_would() {
        let labels = [("queue", Relation::Is, "mail".to_owned()), ("host", Relation::Is, "a1".to_owned())];
        for (text, means) in [
            ("depth", true),
            ("depth{}", true),
            (r#"depth{queue="mail"}"#, true),
            (r#"depth{queue="mai"}"#, false),
            (r#"depth{queue!="mail"}"#, false),
            (r#"depth{host=~"a.*",queue="mail"}"#, true),
            (r#"depth{host=~"a"}"#, false),
            (r#"depth{host!~"b.*"}"#, true),
            (r#"depth{zone=""}"#, true),
            (r#"depth{zone!=""}"#, false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().means(&labels), means, "{text}");
        }
        assert_eq!(Selector::parse(r#"{"queue.depth"}"#).unwrap().name(), "queue.depth");
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["", "5", "a b", "a{", "a{b}", r#"a{b="c"} > 5"#, r#"{b="c"}"#, r#"a{b=~"("}"#, "sum(a)"]
        {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
