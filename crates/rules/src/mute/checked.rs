//! The texts, matchers and times that people give: what is taken, and how matchers are written down.

use super::MuteError;
use crate::calendar::in_range;
use crate::{Matcher, Pattern};
use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize as _, Serialize as _};
use std::collections::BTreeMap;

const AUTHOR_CHARS: usize = 256;
const REASON_CHARS: usize = 1_000;
const NAME_CHARS: usize = 128;
const LABEL_CHARS: usize = 128;
const PATTERN_CHARS: usize = 1_000;
const MATCHERS_AT_MOST: usize = 32;

pub(super) fn signed(author: &str, reason: &str) -> Result<(), MuteError> {
    self::author(author)?;
    // A reason may have lines.
    text("reason", reason, REASON_CHARS, |c| c.is_control() && c != '\n')
}

/// Whether a name may stand for who says something.
///
/// # Errors
/// It is empty, too long or cannot be shown.
pub fn author(author: &str) -> Result<(), MuteError> {
    text("author", author, AUTHOR_CHARS, |c| c.is_control())
}

pub(super) fn name(name: &str) -> Result<(), MuteError> {
    text("name", name, NAME_CHARS, |c| c.is_control())
}

fn text(field: &'static str, text: &str, most: usize, bad: impl Fn(char) -> bool) -> Result<(), MuteError> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        Err(MuteError::Missing(field))
    } else if chars > most {
        Err(MuteError::TooLong { field, chars, most })
    } else if text.chars().any(bad) {
        Err(MuteError::Unshowable(field))
    } else {
        Ok(())
    }
}

/// What an alert may be called: an expression that fits one of these is taken for one that fits them all.
const STAND_INS: [&str; 3] = ["", "qzj", "q_z_j"];

/// Whether it names something by what it is. Every alert has a name and a severity, so that these do it only where the
/// name is told.
fn is_telling(matcher: &Matcher) -> bool {
    match (&*matcher.label, &matcher.pattern) {
        ("severity", _) | (_, Pattern::IsNot(_) | Pattern::NotLike(_)) => false,
        ("alertname", Pattern::Like(expression)) => STAND_INS.iter().all(|name| !expression.is_match(name)),
        _ => true,
    }
}

/// At least one must be telling, so that nothing mutes everything by mistake.
pub(super) fn matchers(matchers: &[Matcher]) -> Result<(), MuteError> {
    if matchers.len() > MATCHERS_AT_MOST {
        return Err(MuteError::TooManyMatchers(matchers.len()));
    }
    for matcher in matchers {
        text("label", &matcher.label, LABEL_CHARS, char::is_control)?;
        let chars = matcher.pattern.to_string().chars().count();
        if chars > PATTERN_CHARS {
            return Err(MuteError::TooLong { field: "pattern", chars, most: PATTERN_CHARS });
        }
    }
    if matchers.iter().any(is_telling) { Ok(()) } else { Err(MuteError::MatchesAll) }
}

pub(super) fn times(times: &[i64]) -> Result<(), MuteError> {
    times.iter().try_for_each(|ms| in_range(*ms)).map_err(MuteError::Time)
}

/// Reads matchers as people write them: `{label: pattern}`.
///
/// # Errors
/// A pattern is none, or there are too many.
pub fn read(texts: &BTreeMap<String, String>) -> Result<Vec<Matcher>, MuteError> {
    if texts.len() > MATCHERS_AT_MOST {
        return Err(MuteError::TooManyMatchers(texts.len()));
    }
    let one = |(label, pattern): (&String, &String)| {
        let pattern = Pattern::parse(pattern);
        let pattern = pattern.map_err(|source| MuteError::Pattern { label: label.clone(), source })?;
        Ok(Matcher { label: label.as_str().into(), pattern })
    };
    texts.iter().map(one).collect()
}

pub(super) fn serialize<S: Serializer>(matchers: &[Matcher], serializer: S) -> Result<S::Ok, S::Error> {
    let texts: BTreeMap<&str, String> =
        matchers.iter().map(|matcher| (&*matcher.label, matcher.pattern.to_string())).collect();
    texts.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Matcher>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    read(&texts).map_err(|error| match &error {
        MuteError::Pattern { source, .. } => D::Error::custom(format_args!("{error}: {source}")),
        _ => D::Error::custom(error),
    })
}
