//! A time zone by its name in the IANA database. The machine's own data comes first, since it is kept up to date; what it
//! lacks comes with the program.

use super::CalendarError;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// No zone has a longer name.
const NAME_CHARS: usize = 64;

/// A time zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Zone {
    /// As the database writes it.
    name: Arc<str>,
    /// What its clocks show.
    time_zone: TimeZone,
}

impl Zone {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// When clocks there first show this, or jump over it.
    pub(super) fn first_moment(&self, shown: DateTime) -> Option<Timestamp> {
        let found = self.time_zone.to_ambiguous_timestamp(shown);
        let AmbiguousOffset::Gap { after, .. } = found.offset() else {
            return found.earlier().ok();
        };
        let (before_it, after_it) = (found.earlier().ok()?, found.later().ok()?);
        let jumps = self.time_zone.following(before_it).map(|jump| (jump.timestamp(), jump.offset()));
        let mut jumps = jumps.take_while(|(at, _)| *at <= after_it);
        Some(jumps.find(|(_, offset)| *offset == after).map_or(after_it, |(at, _)| at))
    }
}

/// Looks in the machine's data and then in the program's.
fn look_up(name: &str) -> Option<TimeZone> {
    jiff::tz::db().get(name).or_else(|_| TimeZoneDatabase::bundled().get(name)).ok()
}

impl FromStr for Zone {
    type Err = CalendarError;

    fn from_str(name: &str) -> Result<Self, CalendarError> {
        let wrong = || CalendarError::Zone(name.chars().take(NAME_CHARS).collect());
        if name.len() > NAME_CHARS {
            return Err(wrong());
        }
        let time_zone = look_up(name).filter(|zone| !zone.is_unknown()).ok_or_else(wrong)?;
        let name = time_zone.iana_name().ok_or_else(wrong)?.into();
        Ok(Self { name, time_zone })
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl TryFrom<String> for Zone {
    type Error = CalendarError;

    fn try_from(name: String) -> Result<Self, CalendarError> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_known_by_its_name_in_the_database_only() {
        for (text, name) in [("europe/berlin", "Europe/Berlin"), ("UTC", "UTC"), ("utc", "UTC")] {
            assert_eq!(text.parse::<Zone>().unwrap().name(), name);
        }
        let long = "Europe/Berlin".repeat(9);
        for wrong in ["", "Berlin", "Etc/Unknown", "../etc/passwd", "+02:00", "Europe/Berlin ", "\0", &long] {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_machine_without_time_zone_data_knows_the_zones_all_the_same() {
        for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"] {
            assert!(TimeZoneDatabase::bundled().get(name).is_ok(), "{name}");
        }
    }
}
