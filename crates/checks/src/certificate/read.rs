//! The keys of a certificate's lifetime.

use super::Lifetime;
use farol_config::Map;
use std::time::Duration;

/// The longest time a certificate may be asked to have left.
const MAX_LIFETIME: Duration = Duration::from_secs(3_650 * 86_400);

/// Reads the two limits of a certificate's time.
pub(crate) fn lifetime(m: &mut Map<'_>, warn: &str, critical: &str, default: Lifetime) -> Lifetime {
    let mut limit = |key: &str, default: Option<Duration>| {
        let field = m.duration(key).within(Duration::ZERO..=MAX_LIFETIME);
        match default {
            Some(default) => Some(field.or(default)),
            None => field.optional(),
        }
    };
    let warn_below = limit(warn, default.warn_below);
    let critical_below = limit(critical, default.critical_below);
    if let Some((early, late)) = warn_below.zip(critical_below)
        && early < late
    {
        m.problem(critical, format!("is longer than `{warn}`, so nobody would be warned; make it shorter"));
    }
    Lifetime { warn_below, critical_below }
}
