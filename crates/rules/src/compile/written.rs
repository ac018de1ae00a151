//! A condition out of the words that people write.

use crate::{Condition, Operator};
use std::str::FromStr;

/// A text that is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It does not begin with an operator.
    #[error("it begins with none of > >= < <= == !=")]
    Operator,
    /// What follows is no number.
    #[error("`{0}` is no number")]
    Number(String),
}

impl FromStr for Condition {
    type Err = ConditionError;

    /// Reads an operator and a number, `> 75` or `<=0.5`. A per cent sign may follow the number: it changes nothing.
    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let text = text.trim();
        // The longer ones first: `>=` begins with `>`.
        let operators = [
            Operator::AtLeast,
            Operator::AtMost,
            Operator::Equal,
            Operator::NotEqual,
            Operator::Above,
            Operator::Below,
        ];
        let found = operators.into_iter().find_map(|o| Some((o, text.strip_prefix(o.as_str())?.trim())));
        let (operator, rest) = found.ok_or(ConditionError::Operator)?;
        let number = rest.strip_suffix('%').map_or(rest, str::trim_end);
        let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        let parsed = number.parse::<f64>().ok().filter(|number| is_plain && number.is_finite());
        let number = parsed.ok_or_else(|| ConditionError::Number(rest.to_owned()))?;
        Ok(Self { operator, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_as_people_write_them() {
        for (text, shown) in [
            ("> 75", "> 75"),
            (">=0.5", ">= 0.5"),
            (" <=  -3 ", "<= -3"),
            ("== 1e3", "== 1000"),
            ("> 85 %", "> 85"),
        ] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!(condition.to_string(), shown);
            assert_eq!(condition.to_string().parse(), Ok(condition));
        }
        for text in
            ["75", "", ">", "> inf", "> NaN", "=> 3", "= 3", "> 5 s", "> 1e999", "> 5 6", "> infinity"]
        {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
