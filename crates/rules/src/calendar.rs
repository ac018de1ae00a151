//! When a window stands in a calendar: once, or again and again in the local time of a zone. Decides what the clock says
//! there; not what the window does.

mod days;
mod zone;

pub use days::Days;
pub use zone::Zone;

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// A recurring window lasts so long at most.
const LASTS_AT_MOST_MS: u64 = 31 * DAY_MS;
/// So many days ahead there surely is one that is meant: no two months in a row lack a day of 30 or 31.
const DAYS_AHEAD: u32 = 70;
/// Times are shown to people, and here the calendar ends.
const LAST_MS: i64 = 253_402_207_200_000 - 1;

/// When something is in force: from the first moment, up to and without the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Once.
    Once {
        /// From then, Unix milliseconds.
        from_ms: i64,
        /// Until then.
        to_ms: i64,
    },
    /// Again and again.
    Recurring(Recurring),
}

/// On certain days, from a time of day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurring {
    /// Whose days and clocks.
    pub zone: Zone,
    /// On which days it begins.
    pub days: Days,
    /// When it begins. Where that time is left out by a jump of the clocks it begins at the jump; where it comes twice,
    /// the first time.
    pub at: TimeOfDay,
    /// For so long of real time, however the clocks are set meanwhile.
    pub lasts_ms: u64,
}

/// A time of day, to the minute: `22:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TimeOfDay(Time);

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first millisecond of it.
    pub from_ms: i64,
    /// The first one after it.
    pub to_ms: i64,
}

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// No such zone.
    #[error("`{0}` is not a time zone; write for instance `Europe/Berlin` or `UTC`")]
    Zone(String),
    /// No such day.
    #[error(
        "`{0}` is not a day; write `daily`, days of the week (`mon, fri`), or days of the month (`1, 15`; `-1` is the last)"
    )]
    Day(String),
    /// Weekdays and days of the month.
    #[error("days of the week and days of the month do not go together; make two windows")]
    MixedDays,
    /// No day at all.
    #[error("no day is named; write `daily`, days of the week or days of the month")]
    NoDay,
    /// No such time.
    #[error("`{0}` is not a time of day; write for instance `22:00`")]
    Time(String),
    /// Too short or too long.
    #[error(
        "it lasts {0} ms; a recurring window lasts from one minute to 31 days, and a daily one less than 24 hours"
    )]
    Lasts(u64),
    /// It ends before it starts.
    #[error("it ends before it starts; `to` must be later than `from`")]
    Backwards,
    /// A time that no calendar shows.
    #[error("it lies before the year 1970 or after 9999; give one in between")]
    OutOfRange(i64),
}

impl Span {
    /// Whether a moment lies in it.
    #[must_use]
    pub const fn holds(self, now_ms: i64) -> bool {
        self.from_ms <= now_ms && now_ms < self.to_ms
    }
}

impl Schedule {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// It ends before it starts, lasts too long or too short, or lies outside the calendar.
    pub fn check(&self) -> Result<(), CalendarError> {
        match self {
            Self::Once { from_ms, to_ms } => {
                in_range(*from_ms)?;
                in_range(*to_ms)?;
                if from_ms < to_ms { Ok(()) } else { Err(CalendarError::Backwards) }
            }
            Self::Recurring(recurring) => recurring.check(),
        }
    }

    /// The time in force that holds this moment; of several, the one that began last.
    #[must_use]
    pub fn active(&self, now_ms: i64) -> Option<Span> {
        match self {
            Self::Once { from_ms, to_ms } => {
                Some(Span { from_ms: *from_ms, to_ms: *to_ms }).filter(|span| span.holds(now_ms))
            }
            Self::Recurring(recurring) => recurring.active(now_ms),
        }
    }

    /// The first time in force that begins after this moment.
    #[must_use]
    pub fn next(&self, after_ms: i64) -> Option<Span> {
        match self {
            Self::Once { from_ms, to_ms } => {
                Some(Span { from_ms: *from_ms, to_ms: *to_ms }).filter(|span| span.from_ms > after_ms)
            }
            Self::Recurring(recurring) => recurring.next(after_ms),
        }
    }
}

impl Recurring {
    fn check(&self) -> Result<(), CalendarError> {
        let most = if self.days == Days::Daily { DAY_MS - 1 } else { LASTS_AT_MOST_MS };
        if (MINUTE_MS..=most).contains(&self.lasts_ms) {
            Ok(())
        } else {
            Err(CalendarError::Lasts(self.lasts_ms))
        }
    }

    fn active(&self, now_ms: i64) -> Option<Span> {
        // A day more on both sides, for clocks that jump.
        let days_back = self.lasts_ms.min(LASTS_AT_MOST_MS) / DAY_MS + 3;
        let latest = self.date_of(now_ms)?.checked_add(1.day()).ok()?;
        let back = std::iter::successors(Some(latest), |date| date.yesterday().ok());
        let days = back.take(usize::try_from(days_back).ok()?);
        days.filter_map(|date| self.on(date)).find(|span| span.holds(now_ms))
    }

    fn next(&self, after_ms: i64) -> Option<Span> {
        let first = self.date_of(after_ms)?.yesterday().ok()?;
        let ahead = std::iter::successors(Some(first), |date| date.tomorrow().ok());
        let days = ahead.take(DAYS_AHEAD as usize);
        days.filter_map(|date| self.on(date)).find(|span| span.from_ms > after_ms)
    }

    fn date_of(&self, now_ms: i64) -> Option<Date> {
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        Some(self.zone.time_zone().to_datetime(now).date())
    }

    /// What begins on this day.
    fn on(&self, date: Date) -> Option<Span> {
        if !self.days.hold(date) {
            return None;
        }
        let from_ms = self.zone.first_moment(date.to_datetime(self.at.0))?.as_millisecond();
        let to_ms =
            from_ms.checked_add_unsigned(self.lasts_ms.min(LASTS_AT_MOST_MS)).filter(|to| *to <= LAST_MS)?;
        Some(Span { from_ms, to_ms })
    }
}

/// Whether a calendar shows this time.
pub(crate) fn in_range(ms: i64) -> Result<(), CalendarError> {
    if (0..=LAST_MS).contains(&ms) { Ok(()) } else { Err(CalendarError::OutOfRange(ms)) }
}

impl FromStr for TimeOfDay {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let number = |digits: &str| {
            let digits = Some(digits).filter(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<i8>().ok()
        };
        let time = text.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute) = (number(hour)?, number(minute)?);
            Time::new(hour, minute, 0, 0).ok()
        });
        time.map(Self).ok_or_else(|| CalendarError::Time(text.chars().take(64).collect()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = CalendarError;

    fn try_from(text: String) -> Result<Self, CalendarError> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests;
