//! One value on its way out of the tree. Decides what a missing or wrong value becomes; how a text is
//! understood is decided by the getter that made the field.

use super::Map;
use super::scalars::FAR_OUTSIDE;
use crate::node::join;
use crate::problem::{Origin, Problem, quoted};
use crate::taken::Taken;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A value that a getter of [`Map`] found, or not. Ends with [`or`](Self::or), [`required`](Self::required) or
/// [`optional`](Self::optional).
#[must_use = "end with .or(…), .required() or .optional()"]
pub struct Field<'m, 't, T> {
    pub(super) map: &'m mut Map<'t>,
    pub(super) key: String,
    pub(super) found: Found<T>,
    /// How a good value is written, for messages.
    pub(super) example: String,
    /// Goes on in the place of a required value that is missing or wrong.
    pub(super) stand_in: T,
    /// A value's text for dump and messages; of a secret `***`.
    pub(super) show: Box<dyn Fn(&T) -> String + 'm>,
    /// Quote it in the dump where another reader would see a number.
    pub(super) is_text: bool,
}

/// What stands under a key.
pub(super) enum Found<T> {
    Missing,
    /// Its problem is recorded already.
    Wrong,
    Value {
        value: T,
        origin: Origin,
        /// What the dump prints: the key (`password_file` instead of `password`) and the text.
        dumped: (String, String),
    },
}

impl<T> Field<'_, '_, T> {
    /// The value, or a default.
    pub fn or(self, default: impl DefaultFor<T>) -> T {
        let default = default.into_default();
        match self.found {
            Found::Value { value, origin, dumped: (key, text) } => {
                self.map.record(&key, Taken::Value { text, is_text: self.is_text, origin });
                value
            }
            Found::Missing => {
                let text = (self.show)(&default);
                let taken = Taken::Value { text, is_text: self.is_text, origin: Origin::Default };
                self.map.record(&self.key, taken);
                default
            }
            Found::Wrong => default,
        }
    }

    /// The value; where it is missing a problem is recorded and a stand-in goes on.
    pub fn required(self) -> T {
        if matches!(self.found, Found::Missing) {
            let message = format!("is required; write for instance `{}: {}`", self.key, self.example);
            let path = join(&self.map.path, &self.key);
            self.map.problems.push(Problem::new(&self.map.origin, &path, message));
        }
        match self.found {
            Found::Value { value, origin, dumped: (key, text) } => {
                self.map.record(&key, Taken::Value { text, is_text: self.is_text, origin });
                value
            }
            Found::Missing | Found::Wrong => self.stand_in,
        }
    }

    /// The value, if it is set and good.
    pub fn optional(self) -> Option<T> {
        let Found::Value { value, origin, dumped: (key, text) } = self.found else { return None };
        self.map.record(&key, Taken::Value { text, is_text: self.is_text, origin });
        Some(value)
    }

    /// Demands more of a value; the error says what is wrong and what to do, without the value.
    pub fn check(mut self, test: impl FnOnce(&T) -> Result<(), String>) -> Self {
        if let Found::Value { value, origin, dumped: (key, _) } = &self.found
            && let Err(message) = test(value)
        {
            let path = join(&self.map.path, key);
            self.map.problems.push(Problem::new(origin, &path, message));
            self.found = Found::Wrong;
        }
        self
    }

    /// How a good value is written, for messages.
    pub fn example(mut self, example: &str) -> Self {
        example.clone_into(&mut self.example);
        self
    }
}

impl<T: PartialOrd> Field<'_, '_, T> {
    /// Demands a value in a range.
    pub fn within(mut self, range: RangeInclusive<T>) -> Self {
        let outside = match &self.found {
            Found::Value { value, .. } => !range.contains(value),
            Found::Missing | Found::Wrong => false,
        };
        let (low, high) = ((self.show)(range.start()), (self.show)(range.end()));
        self.stand_in = range.into_inner().0;
        if let Some(problem) = self.map.problems.last_mut()
            && matches!(self.found, Found::Wrong)
            && problem.key == join(&self.map.path, &self.key)
            && problem.message.ends_with(FAR_OUTSIDE)
        {
            problem.message.push_str(&format!("; write a value from `{low}` to `{high}`"));
        }
        if !outside {
            return self;
        }
        let text = match &self.found {
            Found::Value { dumped: (_, text), .. } => quoted(text),
            Found::Missing | Found::Wrong => String::new(),
        };
        self.check(|_| Err(format!("{text} is out of range; write a value from `{low}` to `{high}`")))
    }
}

/// What [`Field::or`] takes as a default: the type itself, and text for what is text.
pub trait DefaultFor<T> {
    /// The default itself.
    fn into_default(self) -> T;
}

impl<T> DefaultFor<T> for T {
    fn into_default(self) -> T {
        self
    }
}

impl DefaultFor<String> for &str {
    fn into_default(self) -> String {
        self.to_owned()
    }
}

impl DefaultFor<PathBuf> for &str {
    fn into_default(self) -> PathBuf {
        PathBuf::from(self)
    }
}
