//! How often an address may show a wrong token: ten times a minute, then it waits. Pure but for its lock.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// What is counted together.
const WINDOW: Duration = Duration::from_secs(60);
const WRONG: u32 = 10;
/// So many addresses are told apart; those for which there is no room share one count.
const ADDRESSES: usize = 4_096;

/// Wrong tokens by address.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    /// Since when, and how many. `None` stands for all addresses without room of their own.
    windows: Mutex<HashMap<Option<IpAddr>, (Instant, u32)>>,
}

impl Guesses {
    /// How long this address has to wait, where it does.
    pub(crate) fn wait(&self, address: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let windows = self.windows.lock();
        let (began, wrong) = windows.get(&address).or_else(|| {
            // An address without room of its own.
            windows.get(&None).filter(|_| windows.len() > ADDRESSES)
        })?;
        let left = WINDOW.checked_sub(now.duration_since(*began)).filter(|left| !left.is_zero())?;
        (*wrong >= WRONG).then_some(left)
    }

    /// Counts one.
    pub(crate) fn wrong(&self, address: Option<IpAddr>, now: Instant) {
        let mut windows = self.windows.lock();
        let over = |began: Instant| now.duration_since(began) >= WINDOW;
        if windows.len() >= ADDRESSES && !windows.contains_key(&address) {
            windows.retain(|_, (began, _)| !over(*began));
        }
        let own = windows.len() < ADDRESSES || windows.contains_key(&address);
        let (began, wrong) = windows.entry(address.filter(|_| own)).or_insert((now, 0));
        if over(*began) {
            (*began, *wrong) = (now, 0);
        }
        *wrong = wrong.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, Guesses, WINDOW};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;
    use tokio::time::Instant;

    fn address(number: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn after_ten_wrong_ones_in_a_minute_an_address_waits_and_no_other() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..10 {
            assert_eq!(guesses.wait(address(1), now), None, "{n}");
            guesses.wrong(address(1), now);
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(guesses.wait(address(1), later), Some(Duration::from_secs(40)));
        assert_eq!(guesses.wait(address(2), later), None);
        assert_eq!(guesses.wait(address(1), now + WINDOW), None);
        guesses.wrong(address(1), now + WINDOW);
        assert_eq!(guesses.wait(address(1), now + WINDOW), None, "counted anew");
    }

    #[test]
    fn however_many_addresses_guess_memory_is_bounded_and_they_wait() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for number in 0..10_000 {
            guesses.wrong(address(number), now);
        }
        assert!(guesses.windows.lock().len() <= ADDRESSES + 1);
        assert!(guesses.wait(address(20_000), now).is_some(), "strangers share one count");
        guesses.wrong(address(20_000), now + WINDOW);
        assert!(guesses.windows.lock().len() <= 2, "what is over makes room");
    }
}
