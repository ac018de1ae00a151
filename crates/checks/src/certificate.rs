//! What a server's certificate says of itself, and how many days it has left. Pure: `now` is an argument.

mod read;

use farol_health::{Figure, Outcome, Status, Unit};
use jiff::Timestamp;
pub(crate) use read::lifetime;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// No more of a name than this is shown.
const MAX_NAME: usize = 256;
const SECONDS_A_DAY: i64 = 86_400;

/// The part of a certificate that people look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// The last second in which it is valid, unix time.
    pub(crate) not_after: i64,
}

impl Facts {
    /// `None` when it cannot be read.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let short = |name: String| name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        Some(Self {
            subject: short(read.subject().to_string()),
            issuer: short(read.issuer().to_string()),
            not_after: read.validity().not_after.timestamp(),
        })
    }

    /// It has signed itself, as far as the names tell.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

/// Whole days until `expires`; negative after it.
pub(crate) fn days_left(expires: i64, now: Timestamp) -> i64 {
    expires.saturating_sub(now.as_second()).div_euclid(SECONDS_A_DAY)
}

/// The figure of the days left.
#[expect(clippy::cast_precision_loss, reason = "no certificate lives for 2^53 days")]
pub(crate) fn figure(expires: i64, now: Timestamp) -> Figure {
    let days = days_left(expires, now) as f64;
    Figure::gauge("tls_certificate_days_left", days, Unit::None).shown_as("days_left")
}

/// How much time a certificate should have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Less than this is degraded.
    pub warn_below: Option<Duration>,
    /// Less than this is unhealthy.
    pub critical_below: Option<Duration>,
}

impl Lifetime {
    /// What is wrong with the time that is left, if anything.
    pub(crate) fn judge(&self, expires: i64, now: Timestamp, target: &str) -> Option<Outcome> {
        let left = expires.saturating_sub(now.as_second());
        let below = |limit: Option<Duration>| {
            limit.filter(|limit| left < i64::try_from(limit.as_secs()).unwrap_or(i64::MAX))
        };
        let (status, limit) = match (below(self.critical_below), below(self.warn_below)) {
            (Some(limit), _) => (Status::Unhealthy, limit),
            (None, Some(limit)) => (Status::Degraded, limit),
            (None, None) => return None,
        };
        let message = format!("the certificate of {target} expires in less than {}: renew it", span(limit));
        Some(Outcome::new(status, "certificate_expires_soon", message))
    }
}

fn span(limit: Duration) -> String {
    match limit.as_secs() {
        seconds if seconds % 86_400 == 0 => format!("{} days", seconds / 86_400),
        _ => format!("{limit:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_go_below_nothing() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (left, days) in [(86_400 * 21, 21), (86_399, 0), (0, 0), (-1, -1), (-86_401, -2)] {
            assert_eq!(days_left(1_000_000 + left, now), days, "{left}");
        }
    }

    #[test]
    fn the_limits_are_told_in_words_that_do_not_move() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let limits = Lifetime { warn_below: days(21), critical_below: days(7) };
        let judge = |left: i64| limits.judge(1_000_000 + left * 86_400, now, "api:443");
        assert_eq!(judge(21), None);
        let warned = judge(20).unwrap();
        assert_eq!((warned.status, warned.reason.as_ref()), (Status::Degraded, "certificate_expires_soon"));
        assert_eq!(warned.message, judge(8).unwrap().message);
        assert!(warned.message.contains("21 days"), "{}", warned.message);
        assert_eq!(judge(6).unwrap().status, Status::Unhealthy);
        assert_eq!(judge(-6).unwrap().status, Status::Unhealthy);
        assert_eq!(Lifetime::default().judge(0, now, "api:443"), None);
    }

    #[test]
    fn a_certificate_tells_its_names_and_its_end() {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let facts = Facts::of(made.cert.der()).unwrap();
        assert!(facts.is_self_signed() && facts.subject.contains("rcgen"), "{facts:?}");
        assert!(facts.not_after > 4_000_000_000, "{facts:?}");
        assert_eq!(Facts::of(b"no certificate"), None);
    }
}
