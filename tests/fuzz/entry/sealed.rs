//! What the fuzz target and the ordinary test both do with bytes that may be a sealed block or a roll-up. Decides what must
//! hold of them; where they come from is the callers' matter.

use farol_series::{Rollup, Sealed, SealedRollup};

/// What became of it, so that a caller can see that both ways were taken.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// Taken, with all that is in it.
    pub(crate) taken: usize,
    /// Refused at once.
    pub(crate) refused: usize,
    /// Taken, but not all that is in it.
    pub(crate) in_part: usize,
}

/// The first byte says what the rest is: a block or a roll-up as it is, or the body of one, which gets a right envelope.
pub(crate) fn exercise(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let [what, rest @ ..] = bytes else { return seen };
    match what % 4 {
        0 => block(rest, &mut seen),
        1 => roll_up(rest, &mut seen),
        2 => block(&enveloped(b'S', rest), &mut seen),
        _ => roll_up(&enveloped(b'R', rest), &mut seen),
    }
    seen
}

/// A body in an envelope that is right: stored in one uncompressed frame, with its checksum.
pub(crate) fn enveloped(kind: u8, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(100_000)];
    let length = body.len() as u32;
    let mut bytes = vec![kind, 1];
    let mut left = length;
    while left > 0x7f {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes.extend([0x28, 0xb5, 0x2f, 0xfd, 0xa0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(&(length << 3 | 1).to_le_bytes()[..3]);
    bytes.extend(body);
    bytes.extend(checksum(&bytes).to_le_bytes());
    bytes
}

/// CRC-32, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| sum >> 1 ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), step))
}

/// A block gives each column in the order of its ticks, or an error.
fn block(bytes: &[u8], seen: &mut Seen) {
    let sealed = match Sealed::open(bytes) {
        Ok(sealed) => sealed,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            seen.refused += 1;
            return;
        }
    };
    let mut whole = true;
    for source in sealed.source_ids().collect::<Vec<_>>() {
        let ticks = sealed.ticks(source).expect("it is one of its sources");
        for column in 0..sealed.encodings(source).count() {
            let mut left = ticks.iter();
            let read = sealed.samples(source, column, |t, _| {
                assert!(left.any(|tick| *tick == t), "a sample at no tick");
            });
            whole &= read.is_ok();
        }
    }
    if whole { seen.taken += 1 } else { seen.in_part += 1 }
}

/// A roll-up gives each series' buckets in order of time, or an error; one that is sound as a whole can be written again.
fn roll_up(bytes: &[u8], seen: &mut Seen) {
    let sealed = match SealedRollup::open(bytes) {
        Ok(sealed) => sealed,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(Rollup::decode(bytes), Err(error));
            seen.refused += 1;
            return;
        }
    };
    for series in 0..sealed.kinds().len() {
        if let Ok(buckets) = sealed.buckets(series) {
            assert!(buckets.windows(2).all(|pair| pair[0].start_ms < pair[1].start_ms), "out of order");
        }
    }
    let Ok(rollup) = Rollup::decode(bytes) else {
        seen.in_part += 1;
        return;
    };
    seen.taken += 1;
    let again = Rollup::decode(&rollup.encode().expect("no larger than it was")).expect("our own");
    for series in 0..rollup.kinds().len() {
        let times = |rollup: &Rollup| -> Vec<_> {
            rollup.buckets(series).iter().map(|b| (b.start_ms, b.first_ms, b.last_ms, b.count)).collect()
        };
        assert_eq!(times(&again), times(&rollup));
    }
}
