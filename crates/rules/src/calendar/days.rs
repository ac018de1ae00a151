//! Days that come again: all of them, days of the week, or days of the month.

use super::CalendarError;
use jiff::civil::{Date, Weekday};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const WEEK: [(&str, &str, Weekday); 7] = [
    ("mon", "monday", Weekday::Monday),
    ("tue", "tuesday", Weekday::Tuesday),
    ("wed", "wednesday", Weekday::Wednesday),
    ("thu", "thursday", Weekday::Thursday),
    ("fri", "friday", Weekday::Friday),
    ("sat", "saturday", Weekday::Saturday),
    ("sun", "sunday", Weekday::Sunday),
];

/// On which days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// Each day.
    Daily,
    /// These days of the week, in its order: 0 is Monday, 6 is Sunday. Made by [`FromStr`].
    Week(Vec<u8>),
    /// These days of the month: 1 to 31, and -1 for the last. A month without such a day is left out.
    Month(Vec<i8>),
}

/// One of them.
enum Day {
    Each,
    OfWeek(u8),
    OfMonth(i8),
}

impl Days {
    /// Whether a date is one of them.
    #[must_use]
    pub fn hold(&self, date: Date) -> bool {
        match self {
            Self::Daily => true,
            Self::Week(days) => {
                let day = date.weekday();
                days.iter().any(|at| WEEK.get(usize::from(*at)).is_some_and(|(_, _, known)| *known == day))
            }
            Self::Month(days) => {
                days.iter().any(|day| *day == date.day() || *day == -1 && date.day() == date.days_in_month())
            }
        }
    }

    fn gather(days: impl Iterator<Item = Result<Day, CalendarError>>) -> Result<Self, CalendarError> {
        let (mut each, mut week, mut month) = (false, Vec::new(), Vec::new());
        for day in days {
            match day? {
                Day::Each => each = true,
                Day::OfWeek(day) => week.push(day),
                Day::OfMonth(day) => month.push(day),
            }
        }
        week.sort_unstable();
        week.dedup();
        // The last one behind all others.
        month.sort_unstable_by_key(|day| (*day < 0, *day));
        month.dedup();
        match (each, week.is_empty(), month.is_empty()) {
            (true, true, true) => Ok(Self::Daily),
            (false, false, true) => Ok(Self::Week(week)),
            (false, true, false) => Ok(Self::Month(month)),
            (false, true, true) => Err(CalendarError::NoDay),
            _ => Err(CalendarError::MixedDays),
        }
    }

    /// Each as it is written.
    fn words(&self) -> Vec<String> {
        match self {
            Self::Daily => vec!["daily".to_owned()],
            Self::Week(days) => {
                days.iter().filter_map(|at| WEEK.get(usize::from(*at))).map(|day| day.0.to_owned()).collect()
            }
            Self::Month(days) => days.iter().map(i8::to_string).collect(),
        }
    }
}

fn day(text: &str) -> Result<Day, CalendarError> {
    let wrong = || CalendarError::Day(text.chars().take(64).collect());
    let word = text.to_ascii_lowercase();
    if word == "daily" {
        return Ok(Day::Each);
    }
    let weekday = WEEK.iter().zip(0_u8..).find(|((short, long, _), _)| word == *short || word == *long);
    if let Some((_, at)) = weekday {
        return Ok(Day::OfWeek(at));
    }
    let number = word.parse::<i8>().ok().filter(|n| (1..=31).contains(n) || *n == -1);
    number.map(Day::OfMonth).ok_or_else(wrong)
}

impl FromStr for Days {
    type Err = CalendarError;

    /// Reads `daily`, `mon, fri` or `1, 15, -1`.
    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        Self::gather(words.map(day))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(", "))
    }
}

impl Serialize for Days {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Days {
    /// A text, or a list of names or numbers.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DaysVisitor)
    }
}

struct DaysVisitor;

impl<'de> Visitor<'de> for DaysVisitor {
    type Value = Days;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`daily`, or a list of days of the week or of the month")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Days, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Days, A::Error> {
        let mut words = Vec::new();
        while let Some(entry) = list.next_element::<Entry>()? {
            words.push(match entry {
                Entry::Number(number) => number.to_string(),
                Entry::Word(word) => word,
            });
        }
        Days::gather(words.iter().map(|word| day(word))).map_err(serde::de::Error::custom)
    }
}

/// One entry of a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Number(i64),
    Word(String),
}
