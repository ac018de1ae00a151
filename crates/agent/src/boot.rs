//! The number of this start: each is greater than the one before, also when the wall clock went back. Decides nothing
//! about what it is used for.

use farol_shutdown::DataDir;
use farol_wire::Boot;
use std::hash::{BuildHasher, RandomState};
use std::io;

/// The file in the data directory that holds the last number.
const FILE: &str = "agent.boot";

/// The boot of this start, saved before it is used. Without a data directory the wall clock alone gives the number:
/// after it went back the nonce still tells two starts apart.
///
/// # Errors
/// The number cannot be saved.
pub(crate) fn next(dir: Option<&DataDir>, wall_ms: u64) -> io::Result<Boot> {
    let nonce = random();
    let Some(dir) = dir else { return Ok(Boot { number: wall_ms.max(1), nonce }) };
    let number = after(dir.read(FILE)?.as_deref(), wall_ms);
    dir.write(FILE, &format!("{number}\n"))?;
    Ok(Boot { number, nonce })
}

/// max(saved + 1, wall clock).
fn after(saved: Option<&str>, wall_ms: u64) -> u64 {
    let saved = saved.and_then(|text| {
        let number = text.trim().parse::<u64>().ok();
        if number.is_none() {
            tracing::warn!(
                file = FILE,
                "the saved boot number cannot be read; the wall clock gives a new one"
            );
        }
        number
    });
    saved.unwrap_or(0).saturating_add(1).max(wall_ms)
}

/// What tells this start of the machine from others, whose boot clocks began at another time; empty where it is not known.
pub(crate) fn of_machine() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// A number nobody can foresee, from the keys the system gives to each hash table.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_whatever_the_clock_does() {
        for (saved, wall_ms, expected) in [
            (None, 1_000, 1_000),
            (Some("999\n"), 1_000, 1_000),
            (Some("1000\n"), 1_000, 1_001),
            (Some("5000"), 1_000, 5_001),
            (Some("not a number"), 1_000, 1_000),
            (Some("18446744073709551615"), 1_000, u64::MAX),
        ] {
            assert_eq!(after(saved, wall_ms), expected, "{saved:?}");
        }
    }

    #[test]
    fn each_start_saves_its_number_and_has_a_nonce_of_its_own() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path(), "a test").unwrap();
        let first = next(Some(&dir), 100).unwrap();
        let second = next(Some(&dir), 50).unwrap();
        assert_eq!((first.number, second.number), (100, 101));
        assert_ne!(first.nonce, second.nonce);
        assert_eq!(next(None, 7).unwrap().number, 7);
    }
}
