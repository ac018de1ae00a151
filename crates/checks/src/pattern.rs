//! Conditions on a text or a number as a configuration writes them: a regular expression, `> 80`, `!= down`. Pure.

use regex::bytes::{Regex, RegexBuilder};
use std::cmp::Ordering;
use std::fmt;

/// A compiled expression takes at most this much memory.
const MAX_REGEX: usize = 1 << 20;

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Finds the expression anywhere.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text).size_limit(MAX_REGEX).build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("`{text}` is too large an expression; write a smaller one")
            }
            // The message draws the place in several lines; the last says what is wrong.
            other => {
                let words = other.to_string();
                let last = words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("`{text}` is not a regular expression: {last}")
            }
        })
    }

    /// The expression must match the whole text, as in Prometheus.
    pub(crate) fn whole(text: &str) -> Result<Self, String> {
        // Alone first: `a)(b` must not become right by what is put round it.
        Self::new(text)?;
        Self::new(&format!("^(?s:{text})$"))
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A limit for a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// How the number is compared.
    relation: Relation,
    /// With what.
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    More,
}

/// Longer words first: `<` begins `<=`.
const RELATIONS: [(&str, Relation); 6] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("!=", Relation::Unequal),
    ("<", Relation::Less),
    (">", Relation::More),
];

impl Bound {
    /// Reads `> 80`.
    ///
    /// # Errors
    /// Says what a right one looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text)
            .ok_or_else(|| format!("`{text}` is not a limit; write for instance `> 80` or `<= 0.5`"))
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let (relation, rest) = RELATIONS
            .iter()
            .find_map(|(word, relation)| Some((*relation, text.trim().strip_prefix(word)?)))?;
        let limit = rest.trim().parse().ok().filter(|limit: &f64| !limit.is_nan())?;
        Some(Self { relation, limit })
    }

    /// Whether the number keeps the relation; NaN keeps none.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        let Some(order) = value.partial_cmp(&self.limit) else { return false };
        match self.relation {
            Relation::Less => order == Ordering::Less,
            Relation::AtMost => order != Ordering::Greater,
            Relation::Equal => order == Ordering::Equal,
            Relation::Unequal => order != Ordering::Equal,
            Relation::AtLeast => order != Ordering::Less,
            Relation::More => order == Ordering::Greater,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word =
            RELATIONS.iter().find(|(_, relation)| *relation == self.relation).map_or("", |(word, _)| word);
        write!(f, "{word} {}", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_read_and_kept_to() {
        for (text, holds, holds_not) in [
            ("> 80", 80.5, 80.0),
            (">=80", 80.0, 79.9),
            (" < 1e3 ", 999.0, 1000.0),
            ("<= -0.5", -0.5, 0.0),
            ("== 1", 1.0, 1.1),
            ("!= 1", 2.0, 1.0),
            ("> 5", f64::INFINITY, f64::NAN),
            ("!= 5", 6.0, f64::NAN),
        ] {
            let bound = Bound::parse(text).unwrap();
            assert!(bound.holds(holds) && !bound.holds(holds_not), "{text}");
            assert_eq!(Bound::parse(&bound.to_string()), Ok(bound));
        }
        for text in ["80", ">", "> NaN", "=> 5", "> 80%", "", "=~ x"] {
            assert!(Bound::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_whole_pattern_matches_the_whole_text_only() {
        let whole = Pattern::whole("a|bc").unwrap();
        for (text, matches) in [("a", true), ("bc", true), ("abc", false), ("ab", false), ("", false)] {
            assert_eq!(whole.is_match(text.as_bytes()), matches, "{text}");
        }
        assert!(Pattern::new("b").unwrap().is_match(b"abc"));
    }

    #[test]
    fn a_wrong_or_huge_expression_is_refused_in_one_line() {
        for (text, expected) in
            [("a(", "unclosed group"), ("a)(b", "unopened group"), ("x{1000}{1000}", "too large")]
        {
            let message = Pattern::whole(text).err().unwrap();
            assert!(message.contains(expected) && !message.contains('\n'), "{message}");
        }
    }
}
