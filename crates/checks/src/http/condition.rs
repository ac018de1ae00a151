//! Single conditions of an answer: on a text (a header, the body) and on a value of its JSON. Pure.

use crate::pattern::{Bound, Pattern};
use serde_json::Value;
use std::fmt;

/// A condition on a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// It is exactly this.
    Is(String),
    /// It has this in it.
    Contains(String),
    /// The expression is found in it.
    Matches(Pattern),
}

impl Text {
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Is(wanted) => text == wanted.as_bytes(),
            Self::Contains(wanted) => memchr::memmem::find(text, wanted.as_bytes()).is_some(),
            Self::Matches(pattern) => pattern.is_match(text),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(wanted) => write!(f, "`{wanted}`"),
            Self::Contains(wanted) => write!(f, "a text with `{wanted}` in it"),
            Self::Matches(pattern) => write!(f, "a text that matches `{pattern}`"),
        }
    }
}

/// A condition on a value of a JSON document.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It is this word, number, `true`, `false` or `null`.
    Is(String),
    /// It is anything else.
    IsNot(String),
    /// It is a number (or the text of one) within this limit.
    Within(Bound),
    /// It is a text that the expression is found in.
    Matches(Pattern),
}

impl Condition {
    /// Reads `ok`, `== ok`, `!= down`, `> 5`, `<= 0.5` or `=~ ^v2`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(pattern) = text.strip_prefix("=~") {
            return Pattern::new(pattern.trim()).map(Self::Matches);
        }
        if let Some(word) = text.strip_prefix("==") {
            return Ok(Self::Is(word.trim().to_owned()));
        }
        if let Some(word) = text.strip_prefix("!=") {
            return Ok(Self::IsNot(word.trim().to_owned()));
        }
        if text.starts_with(['<', '>']) {
            return Bound::parse(text).map(Self::Within);
        }
        Ok(Self::Is(text.to_owned()))
    }

    pub(super) fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Is(word) => is(value, word),
            Self::IsNot(word) => !is(value, word),
            Self::Within(bound) => number(value).is_some_and(|number| bound.holds(number)),
            Self::Matches(pattern) => value.as_str().is_some_and(|text| pattern.is_match(text.as_bytes())),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(word) => write!(f, "`{word}`"),
            Self::IsNot(word) => write!(f, "something else than `{word}`"),
            Self::Within(bound) => write!(f, "`{bound}`"),
            Self::Matches(pattern) => write!(f, "a text that matches `{pattern}`"),
        }
    }
}

fn is(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text == word,
        Value::Number(number) => number.to_string() == word || same(number.as_f64(), word),
        Value::Bool(truth) => word == if *truth { "true" } else { "false" },
        Value::Null => word == "null",
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn same(number: Option<f64>, word: &str) -> bool {
    // Two whole numbers beyond 2^53 can be the same only in their words.
    let wanted = word.parse::<f64>().ok().filter(|wanted| wanted.abs() < 9_007_199_254_740_992.0);
    number.is_some() && number == wanted
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_meets_its_condition_or_not() {
        for (condition, value, holds) in [
            ("ok", json!("ok"), true),
            ("== ok", json!("okay"), false),
            ("!= down", json!("up"), true),
            ("!= down", json!("down"), false),
            ("true", json!(true), true),
            ("true", json!("true"), true),
            ("null", json!(null), true),
            ("5", json!(5.0), true),
            ("5.0", json!(5), true),
            ("9007199254740993", json!(9_007_199_254_740_992_u64), false),
            ("9007199254740993", json!(9_007_199_254_740_993_u64), true),
            ("> 5", json!(6), true),
            ("> 5", json!("6"), true),
            ("> 5", json!(true), false),
            ("<= 0.5", json!(0.5), true),
            ("=~ ^v2", json!("v2.1"), true),
            ("=~ ^v2", json!(2), false),
            ("", json!(""), true),
            ("ok", json!(["ok"]), false),
            ("!= ok", json!(["ok"]), true),
        ] {
            assert_eq!(Condition::parse(condition).unwrap().holds(&value), holds, "{condition} {value}");
        }
        for wrong in ["> high", "<", "=~ a("] {
            assert!(Condition::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_text_meets_its_condition_or_not() {
        let (is, contains) = (Text::Is("ok".into()), Text::Contains("ok".into()));
        let matches = Text::Matches(Pattern::new("^ok$").unwrap());
        for (text, holds) in [
            ("ok", [true, true, true]),
            ("ok\n", [false, true, false]),
            ("not o k", [false, false, false]),
            ("", [false, false, false]),
        ] {
            let seen = [&is, &contains, &matches].map(|condition| condition.holds(text.as_bytes()));
            assert_eq!(seen, holds, "{text:?}");
        }
        assert!(Text::Contains(String::new()).holds(b""));
    }
}
