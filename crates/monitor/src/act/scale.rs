//! How many replicas there should be. Pure: never out of the bounds, and never against the direction that is meant.

use super::guard::{Limit, Refusal};
use std::fmt;
use std::str::FromStr;

/// By how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many more, or fewer.
    Replicas(i32),
    /// So many per cent of what there is, at least one.
    Percent(i32),
}

/// How few and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least.
    pub min: u32,
    /// At most.
    pub max: u32,
}

impl FromStr for Amount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, make): (_, fn(i32) -> Self) = match text.strip_suffix('%') {
            Some(number) => (number, Self::Percent),
            None => (text, Self::Replicas),
        };
        if !number.starts_with(['+', '-']) {
            return Err("it has no sign");
        }
        let number: i32 = number.parse().map_err(|_| "it is no whole number")?;
        if number == 0 || !(-10_000..=10_000).contains(&number) {
            return Err("it is 0, or further than 10000 from it");
        }
        Ok(make(number))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicas(number) => write!(f, "{number:+}"),
            Self::Percent(number) => write!(f, "{number:+}%"),
        }
    }
}

/// How many there should be, when there are `replicas`.
///
/// # Errors
/// There may be no more, or no fewer; or there are none at all, which is someone's will.
pub fn target(replicas: u32, by: Amount, bounds: Bounds) -> Result<u32, Refusal> {
    if replicas == 0 {
        return Err(Refusal::SwitchedOff);
    }
    let now = i64::from(replicas);
    let change = match by {
        Amount::Replicas(number) => i64::from(number),
        Amount::Percent(share) => {
            let hundredths = now * i64::from(share.abs());
            i64::from(share.signum()) * ((hundredths + 99) / 100)
        }
    };
    let wanted = (now + change).clamp(i64::from(bounds.min), i64::from(bounds.max));
    // Outside the bounds already, the clamp may lead the other way: more than `max` is not made fewer by "+2".
    if change > 0 && wanted <= now {
        return Err(Refusal::AtLimit { replicas, limit: Limit::Max(bounds.max) });
    }
    if change < 0 && wanted >= now {
        return Err(Refusal::AtLimit { replicas, limit: Limit::Min(bounds.min) });
    }
    u32::try_from(wanted).map_err(|_| Refusal::AtLimit { replicas, limit: Limit::Max(bounds.max) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    #[test]
    fn it_never_leaves_the_bounds_and_never_goes_the_other_way() {
        let max = |replicas| Err(Refusal::AtLimit { replicas, limit: Limit::Max(10) });
        let min = |replicas| Err(Refusal::AtLimit { replicas, limit: Limit::Min(2) });
        for (replicas, by, expected) in [
            (3, "+2", Ok(5)),
            (9, "+2", Ok(10)),
            (10, "+2", max(10)),
            (15, "+2", max(15)),
            (1, "+2", Ok(3)),
            (3, "-2", Ok(2)),
            (2, "-1", min(2)),
            (1, "-1", min(1)),
            (15, "-1", Ok(10)),
            (3, "+50%", Ok(5)),
            (4, "+1%", Ok(5)),
            (4, "-50%", Ok(2)),
            (3, "-1%", Ok(2)),
            (4, "+10000%", Ok(10)),
            (0, "+2", Err(Refusal::SwitchedOff)),
            (u32::MAX, "+100%", max(u32::MAX)),
        ] {
            assert_eq!(target(replicas, amount(by), Bounds { min: 2, max: 10 }), expected, "{replicas} {by}");
        }
    }

    #[test]
    fn an_amount_has_a_sign_and_reads_as_it_is_written() {
        for text in ["+2", "-1", "+50%", "-25%"] {
            assert_eq!(amount(text).to_string(), text);
        }
        for text in ["2", "+0", "+", "50%", "+1.5", "+99999", "++2", "+2 %", "-0%"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_there_is_the_target_is_within_and_in_the_direction(
            replicas in any::<u32>(), number in 1i32..10_000, percent: bool, down: bool,
            min in 1u32..50, more in 0u32..100,
        ) {
            let bounds = Bounds { min, max: min + more };
            let number = if down { -number } else { number };
            let by = if percent { Amount::Percent(number) } else { Amount::Replicas(number) };
            if let Ok(wanted) = target(replicas, by, bounds) {
                prop_assert!((bounds.min..=bounds.max).contains(&wanted));
                prop_assert_eq!(wanted < replicas, down);
                prop_assert_ne!(wanted, replicas);
            }
        }
    }
}
