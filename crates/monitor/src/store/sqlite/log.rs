//! The log beside the file (`-wal`), looked through before SQLite does: at the first frame that is not as it was written
//! SQLite takes the log to be at its end, and what was committed after it is gone without a word. Decides what is damage and
//! what is the end that a `kill -9` leaves; layout as in SQLite's "WAL-mode File Format".

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME: usize = 24;
/// The last bit says in which order the checksum reads bytes.
const MAGIC: u32 = 0x377f_0682;

/// Where the log is damaged: what follows was committed, and SQLite would not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// In what it begins with.
    Header,
    /// In this frame, counted from 1.
    Frame(u64),
}

/// Reads the log of this file; no log is no damage. The last frame of all may be one that was being written: that one is
/// never called damaged.
pub(super) fn damage(path: &Path) -> io::Result<Option<Damage>> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    match File::open(name) {
        Ok(file) => look_through(BufReader::with_capacity(1 << 16, file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn look_through(mut log: impl Read) -> io::Result<Option<Damage>> {
    let mut header = [0; HEADER];
    if fill(&mut log, &mut header)? == 0 {
        return Ok(None);
    }
    let big = word(&header, 0) == MAGIC | 1;
    let mut sum = Sum { big, first: 0, second: 0 };
    sum.add(&header[..24]);
    let page = word(&header, 8) as usize;
    let sound = word(&header, 0) & !1 == MAGIC
        && sum.is(&header[24..])
        && page.is_power_of_two()
        && (512..=65_536).contains(&page);
    if !sound {
        return Ok(Some(Damage::Header));
    }
    let salts = &header[16..24];
    let mut frame = vec![0; FRAME + page];
    let (mut number, mut broken) = (0, None);
    while fill(&mut log, &mut frame)? == frame.len() {
        number += 1;
        let ours = frame[8..16] == *salts;
        if broken.is_none() {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME..]);
            if ours && sum.is(&frame[16..24]) {
                continue;
            }
            broken = Some(number);
        } else if ours && word(&frame, 4) != 0 {
            // A commit after it.
            return Ok(broken.map(Damage::Frame));
        }
    }
    Ok(None)
}

/// Reads as much as there is; how much that was.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match log.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// A big-endian number.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// SQLite's checksum, which runs on from frame to frame.
struct Sum {
    big: bool,
    first: u32,
    second: u32,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let read =
            |bytes: [u8; 4]| if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let (mut first, mut second) = (self.first, self.second);
        for pair in bytes.chunks_exact(8) {
            let &[a, b, c, d, e, f, g, h] = pair else { continue };
            first = first.wrapping_add(read([a, b, c, d])).wrapping_add(second);
            second = second.wrapping_add(read([e, f, g, h])).wrapping_add(first);
        }
        (self.first, self.second) = (first, second);
    }

    fn is(&self, written: &[u8]) -> bool {
        (word(written, 0), word(written, 4)) == (self.first, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::{Damage, FRAME, HEADER, Sum, look_through};

    const PAGE: usize = 512;

    /// A log of frames, some of which end a commit; the last two are of the log before.
    fn log(commits: &[bool]) -> Vec<u8> {
        let mut log = [super::MAGIC, 3_007_000, PAGE as u32, 0, 7, 8].map(u32::to_be_bytes).concat();
        let mut sum = Sum { big: false, first: 0, second: 0 };
        sum.add(&log);
        log.extend([sum.first, sum.second].map(u32::to_be_bytes).concat());
        for (number, commit) in commits.iter().enumerate() {
            let start = log.len();
            log.extend([number as u32 + 1, u32::from(*commit), 7, 8].map(u32::to_be_bytes).concat());
            let page = [number as u8; PAGE];
            sum.add(&log[start..start + 8]);
            sum.add(&page);
            log.extend([sum.first, sum.second].map(u32::to_be_bytes).concat());
            log.extend(page);
        }
        for _ in 0..2 {
            log.extend([1, 1, 6, 9, 0, 0].map(u32::to_be_bytes).concat());
            log.extend([0; PAGE]);
        }
        log
    }

    #[test]
    fn a_flipped_bit_before_a_commit_is_damage_wherever_it_is() {
        let good = log(&[false, true, true, false]);
        assert_eq!(look_through(&good[..]).unwrap(), None);
        assert_eq!(look_through(&[][..]).unwrap(), None);
        let at = |frame: usize| HEADER + (frame - 1) * (FRAME + PAGE);
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 0x10;
            let expected = match byte {
                _ if byte < HEADER => Some(Damage::Header),
                _ if byte < at(2) => Some(Damage::Frame(1)),
                _ if byte < at(3) => Some(Damage::Frame(2)),
                // The last commit, and what comes after it: that may be how the process ended.
                _ => None,
            };
            assert_eq!(look_through(&bad[..]).unwrap(), expected, "byte {byte}");
        }
    }

    #[test]
    fn a_log_that_ends_in_the_middle_is_how_a_kill_leaves_it() {
        let good = log(&[true, true, true]);
        for length in HEADER..good.len() {
            assert_eq!(look_through(&good[..length]).unwrap(), None, "{length} bytes");
        }
        assert_eq!(look_through(&good[..20]).unwrap(), Some(Damage::Header));
    }
}
