//! What the operator reads of connections that were refused, or cut before their first request: security events with
//! the field names that all of Farol's have. Anyone can cause them, so each kind is told once in a while, and how many
//! there were since; every one is counted in `stats`.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Closed, Refused};

/// One kind is told so often.
const EVERY: Duration = Duration::from_secs(10);

/// What may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The cap on all connections was reached.
    Full,
    /// The cap on one address was reached.
    TooMany,
    /// The TLS handshake failed.
    TlsFailed,
    /// The client's certificate does not say who it is.
    NoIdentity,
    /// The handshake, or the first bytes, did not come in time.
    HandshakeTooSlow,
    /// A request's head did not come in time.
    HeaderTooSlow,
}

impl Alarm {
    const COUNT: usize = 6;

    pub(super) fn of_refused(reason: Refused) -> Option<Self> {
        match reason {
            Refused::Connections => Some(Self::Full),
            Refused::PerAddress => Some(Self::TooMany),
            Refused::Resources | Refused::Gone => None,
        }
    }

    pub(super) fn of_closed(why: Closed) -> Option<Self> {
        match why {
            Closed::Tls => Some(Self::TlsFailed),
            Closed::Identity => Some(Self::NoIdentity),
            Closed::Handshake => Some(Self::HandshakeTooSlow),
            Closed::Header => Some(Self::HeaderTooSlow),
            Closed::Finished
            | Closed::Idle
            | Closed::Stalled
            | Closed::Unresponsive
            | Closed::Broken
            | Closed::Drained
            | Closed::Cut
            | Closed::Panicked => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Full => "connections_full",
            Self::TooMany => "too_many_connections",
            Self::TlsFailed => "tls_failed",
            Self::NoIdentity => "certificate_without_identity",
            Self::HandshakeTooSlow => "handshake_too_slow",
            Self::HeaderTooSlow => "header_too_slow",
        }
    }
}

/// Of one listener.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    /// By [`Alarm`]: when it was last told, and how many there were since.
    told: [Option<(Instant, u64)>; Alarm::COUNT],
}

impl Alarms {
    /// Tells of one, or counts it.
    pub(super) fn raise(&mut self, alarm: Alarm, listener: &str, peer: SocketAddr, why: &dyn Display) {
        let Some(before) = self.due(alarm, Instant::now()) else {
            tracing::debug!(listener, %peer, reason = alarm.name(), "connection refused");
            return;
        };
        let more =
            if before > 0 { format!("; {before} more since the last such event") } else { String::new() };
        // The names are those of the log's security events.
        tracing::warn!(
            target: "security",
            { event.kind = "security", event.name = alarm.name(), outcome = "refused", peer.address = %peer.ip(), subject = listener, detail = %format_args!("{why}{more}") },
            "security event"
        );
    }

    /// Whether it is told now: with how many there were since it was told before.
    fn due(&mut self, alarm: Alarm, now: Instant) -> Option<u64> {
        let told = &mut self.told[alarm as usize];
        match told {
            Some((at, since)) if now.saturating_duration_since(*at) < EVERY => {
                *since = since.saturating_add(1);
                None
            }
            _ => Some(told.replace((now, 0)).map_or(0, |(_, since)| since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Alarm; Alarm::COUNT] = [
        Alarm::Full,
        Alarm::TooMany,
        Alarm::TlsFailed,
        Alarm::NoIdentity,
        Alarm::HandshakeTooSlow,
        Alarm::HeaderTooSlow,
    ];

    #[test]
    fn a_flood_is_one_event_of_each_kind_in_ten_seconds_and_the_rest_a_count() {
        let start = Instant::now();
        let mut alarms = Alarms::default();
        for (place, alarm) in ALL.into_iter().enumerate() {
            assert_eq!(alarm as usize, place);
            assert_eq!(alarms.due(alarm, start), Some(0));
        }
        for n in 1..1_000 {
            assert_eq!(alarms.due(Alarm::TooMany, start + Duration::from_millis(n)), None);
        }
        assert_eq!(alarms.due(Alarm::TooMany, start + EVERY), Some(999));
        assert_eq!(alarms.due(Alarm::Full, start + EVERY), Some(0), "another kind has its own count");
        assert_eq!(alarms.due(Alarm::TooMany, start + EVERY * 2), Some(0));
    }

    #[test]
    fn what_nobody_did_on_purpose_is_no_alarm() {
        let closed = Closed::ALL.into_iter().filter_map(Alarm::of_closed);
        let refused = Refused::ALL.into_iter().filter_map(Alarm::of_refused);
        let names: Vec<_> = refused.chain(closed).map(Alarm::name).collect();
        assert_eq!(
            names,
            [
                "connections_full",
                "too_many_connections",
                "handshake_too_slow",
                "tls_failed",
                "certificate_without_identity",
                "header_too_slow"
            ]
        );
    }
}
