//! The life signs of one connection, and which deadline they put it under. Pure: times come as arguments.

use std::time::Duration;

use tokio::time::Instant;

use super::http2_frames::Frames;
use super::{Closed, Limits};

/// What a connection has done, as far as deadlines care.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// When it was accepted.
    accepted: Instant,
    /// Requests being served now.
    serving: usize,
    /// A request's head has been complete at least once.
    served: bool,
    /// When the last request ended (or the connection began), to see idleness.
    rested: Instant,
    /// When the head that is being read began.
    head_began: Option<Instant>,
    /// Since when the peer takes nothing of what is written.
    write_blocked: Option<Instant>,
    /// The frames seen, on HTTP/2.
    frames: Option<Frames>,
}

impl Pulse {
    /// An HTTP/1 connection whose first byte is there.
    pub(crate) fn http1(accepted: Instant, now: Instant) -> Pulse {
        Pulse {
            accepted,
            serving: 0,
            served: false,
            rested: now,
            head_began: Some(now),
            write_blocked: None,
            frames: None,
        }
    }

    /// An HTTP/2 connection whose preface is there.
    pub(crate) fn http2(accepted: Instant, now: Instant) -> Pulse {
        Pulse { head_began: None, frames: Some(Frames::default()), ..Pulse::http1(accepted, now) }
    }

    /// The clock is asked only when a head begins.
    pub(crate) fn read(&mut self, bytes: &[u8], now: impl FnOnce() -> Instant) {
        match &mut self.frames {
            Some(frames) => {
                frames.feed(bytes);
                self.head_began = frames.block_open().then(|| self.head_began.unwrap_or_else(now));
            }
            None if self.serving == 0 => {
                self.head_began.get_or_insert_with(now);
            }
            None => {}
        }
    }

    pub(crate) fn wrote(&mut self) {
        self.write_blocked = None;
    }

    pub(crate) fn write_pending(&mut self, now: Instant) {
        self.write_blocked.get_or_insert(now);
    }

    pub(crate) fn request_began(&mut self) {
        self.served = true;
        self.serving += 1;
        if self.frames.is_none() {
            self.head_began = None;
        }
    }

    pub(crate) fn request_ended(&mut self, now: Instant) {
        self.serving = self.serving.saturating_sub(1);
        self.rested = now;
    }

    /// When this connection must be closed if nothing more happens, and why.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<(Instant, Closed)> {
        let stalled = self.write_blocked.map(|since| (since + limits.stalled, Closed::Stalled));
        let head = self.head_began.map(|since| (since + limits.header, Closed::Header));
        let rest = match &self.frames {
            None if self.serving == 0 && self.head_began.is_none() => {
                Some((self.rested + limits.idle, Closed::Idle))
            }
            // A peer that asks nothing and acknowledges nothing. Later on its keep-alive pings tell.
            Some(frames) if !self.served && !frames.answered() => {
                let patience: Duration = limits.handshake + limits.header;
                Some((self.accepted + patience, Closed::Unresponsive))
            }
            _ => None,
        };
        [stalled, head, rest].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS_ACK: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    const HEADERS_WITHOUT_END: [u8; 10] = [0, 0, 1, 1, 0, 0, 0, 0, 1, 7];
    const CONTINUATION_WITH_END: [u8; 9] = [0, 0, 0, 9, 4, 0, 0, 0, 1];

    fn after(start: Instant, pulse: &Pulse) -> Option<(u64, Closed)> {
        pulse.deadline(&Limits::default()).map(|(at, why)| ((at - start).as_secs(), why))
    }

    #[test]
    fn an_http1_connection_is_held_to_its_head_then_to_idleness() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::http1(start, at(1));
        assert_eq!(after(start, &pulse), Some((6, Closed::Header)));
        pulse.read(b"more of the head", || at(3));
        assert_eq!(after(start, &pulse), Some((6, Closed::Header)), "more bytes buy no time");
        pulse.request_began();
        assert_eq!(after(start, &pulse), None, "a request may take its time");
        pulse.read(b"its body", || at(20));
        assert_eq!(after(start, &pulse), None);
        pulse.request_ended(at(30));
        assert_eq!(after(start, &pulse), Some((105, Closed::Idle)));
        pulse.read(b"G", || at(40));
        assert_eq!(after(start, &pulse), Some((45, Closed::Header)));
    }

    #[test]
    fn an_http2_connection_must_answer_or_ask_and_finish_its_header_blocks() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::http2(start, at(1));
        assert_eq!(after(start, &pulse), Some((10, Closed::Unresponsive)));
        pulse.read(&SETTINGS_ACK, || at(2));
        assert_eq!(after(start, &pulse), None, "it answers; pings watch over it from here");
        pulse.read(&HEADERS_WITHOUT_END, || at(50));
        pulse.read(&CONTINUATION_WITH_END[..4], || at(53));
        assert_eq!(after(start, &pulse), Some((55, Closed::Header)));
        pulse.read(&CONTINUATION_WITH_END[4..], || at(54));
        assert_eq!(after(start, &pulse), None);
    }

    #[test]
    fn a_peer_that_reads_nothing_is_stalled_until_it_reads() {
        let start = Instant::now();
        let mut pulse = Pulse::http1(start, start);
        pulse.request_began();
        pulse.write_pending(start);
        pulse.write_pending(start + Duration::from_secs(9));
        assert_eq!(after(start, &pulse), Some((30, Closed::Stalled)));
        pulse.wrote();
        assert_eq!(after(start, &pulse), None);
    }
}
