//! What stands round every sealed body: what it is, its length, compression and checksum; `SEALED.md` is the layout.
//! Decides that nothing is unpacked before its checksum and its size are judged; knows no body from inside.

use crate::number::{Cursor, NumberFault, write_long};
use std::cell::RefCell;
use zstd::bulk::Decompressor;

/// Largest body in bytes; what [`open`] allocates stays below it.
pub(crate) const MAX_BODY: usize = 64 << 20;
/// The only version so far.
const VERSION: u8 = 1;
/// zstd's: higher levels gain nothing on deltas and cost more.
const LEVEL: i32 = 1;
/// Bytes of the checksum at the end.
const CHECKSUM: usize = 4;
/// Bytes of kind, version, length and checksum, without which there is nothing.
const LEAST: usize = 7;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Samples.
    Samples = b'S' as isize,
    /// Roll-ups.
    RollUp = b'R' as isize,
}

/// Why sealed bytes cannot be read. They were damaged, cut, or made by another program: what they held is lost
/// unless there is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// Shorter than the least there is.
    #[error("cut short: {length} bytes cannot be sealed data")]
    Short {
        /// Bytes that came.
        length: usize,
    },
    /// Not what was asked for, or of a later version of the program.
    #[error(
        "this is not sealed data of a kind and version known here (it begins {kind:#04x} {version:#04x})"
    )]
    Unknown {
        /// The first byte.
        kind: u8,
        /// The second byte.
        version: u8,
    },
    /// The checksum is another.
    #[error("damaged: its checksum is {found:08x}, and {written:08x} is written in it")]
    Checksum {
        /// Of the bytes as they are.
        found: u32,
        /// In the bytes.
        written: u32,
    },
    /// It would take too much memory.
    #[error("{what} are more than the {most} that one sealed body may hold")]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// The checksum is right, yet the compressed part is not.
    #[error("what was compressed cannot be unpacked to the {length} bytes it should have")]
    Unpack {
        /// Bytes it should have.
        length: usize,
    },
    /// A number that cannot be read.
    #[error("a number in {part} {fault}")]
    Number {
        /// Where it is.
        part: &'static str,
        /// What is wrong.
        fault: NumberFault,
    },
    /// Numbers that contradict each other.
    #[error("{part} does not fit the rest")]
    Contradiction {
        /// What contradicts.
        part: &'static str,
    },
    /// Asked for what is not in it.
    #[error("there is no such source or column in it")]
    NoSuchColumn,
}

/// Names where a number was that cannot be read.
pub(crate) fn within(part: &'static str) -> impl Fn(NumberFault) -> SealedError {
    move |fault| SealedError::Number { part, fault }
}

/// Wraps a body of at most [`MAX_BODY`] bytes.
pub(crate) fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    debug_assert!(body.len() <= MAX_BODY, "{} bytes", body.len());
    let packed = zstd::bulk::compress(body, LEVEL).expect("the output has the room that zstd says it needs");
    let mut bytes = Vec::with_capacity(packed.len() + 12);
    bytes.extend([kind as u8, VERSION]);
    write_long(body.len() as u64, &mut bytes);
    bytes.extend(packed);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Gives the body, after everything that can be judged without it.
pub(crate) fn open(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, SealedError> {
    let short = SealedError::Short { length: bytes.len() };
    let (&[first, version], _) = bytes.split_first_chunk::<2>().ok_or(short)?;
    if bytes.len() < LEAST {
        return Err(short);
    }
    if (first, version) != (kind as u8, VERSION) {
        return Err(SealedError::Unknown { kind: first, version });
    }
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(short)?;
    let (found, written) = (crc32fast::hash(content), u32::from_le_bytes(*checksum));
    if found != written {
        return Err(SealedError::Checksum { found, written });
    }
    let mut cursor = Cursor::new(content.get(2..).ok_or(short)?);
    let length = cursor.long().map_err(within("the length"))?;
    let too_large = SealedError::TooLarge { what: "bytes", most: MAX_BODY };
    let length = usize::try_from(length).ok().filter(|&length| length <= MAX_BODY).ok_or(too_large)?;
    let packed = cursor.bytes(cursor.left()).map_err(within("the body"))?;
    let body = unpack(packed, length).map_err(|_| SealedError::Unpack { length })?;
    if body.len() == length { Ok(body) } else { Err(SealedError::Unpack { length }) }
}

/// A question opens hundreds of small bodies: making the decompressor costs as much as one of them.
fn unpack(packed: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static MADE: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    MADE.with_borrow_mut(|made| match made {
        Some(made) => made.decompress(packed, length),
        None => made.insert(Decompressor::new()?).decompress(packed, length),
    })
}
