//! A sealed block, opened: the samples of one agent under one layout over some time, read column by column.
//! Decides which bodies are sound; what is written, and how, is `sealer`'s.

use crate::encoding::Encoding;
use crate::envelope::{self, Kind, SealedError, within};
use crate::number::{Cursor, NumberFault};
use crate::sealer::{MAX_CELLS, MAX_SOURCES};

/// A sealed block that has been unpacked. What it takes in memory is bounded whatever the bytes say: 64 MiB for the
/// body, as much again for its times and columns.
///
#[doc = include_str!("../SEALED.md")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The body, in which the columns are read when they are asked for.
    body: Vec<u8>,
    /// What the body's head says, in its order.
    sources: Vec<Source>,
}

/// Series that were measured together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    /// As its agent defined it.
    id: u32,
    /// When it was measured, in order.
    times: Vec<i64>,
    /// How each column is carried, and where it begins in the body.
    columns: Vec<(Encoding, u32)>,
    /// Where the last column ends.
    end: u32,
}

impl Sealed {
    /// Unpacks a block and judges all of it but the columns, which are judged as they are read.
    ///
    /// # Errors
    /// Anything but what a [`Sealer`](crate::Sealer) wrote.
    pub fn open(bytes: &[u8]) -> Result<Self, SealedError> {
        let body = envelope::open(Kind::Samples, bytes)?;
        let mut cursor = Cursor::new(&body);
        let count = bounded(&mut cursor, "sources", MAX_SOURCES)?;
        let mut sources = Vec::with_capacity(count);
        let (mut lengths, mut cells, mut columns) = (Vec::new(), 0_usize, 0_usize);
        for _ in 0..count {
            let source = head(&mut cursor, &mut lengths)?;
            cells += source.times.len().saturating_mul(source.columns.len().max(1));
            columns += source.columns.len();
            if cells.max(columns) > MAX_CELLS {
                return Err(SealedError::TooLarge { what: "samples", most: MAX_CELLS });
            }
            sources.push(source);
        }
        let mut at = body.len() - cursor.left();
        let mut lengths = lengths.into_iter();
        for source in &mut sources {
            for ((_, start), length) in source.columns.iter_mut().zip(&mut lengths) {
                *start = at as u32;
                at = at.saturating_add(length);
            }
            source.end = at as u32;
        }
        if at != body.len() {
            return Err(SealedError::Contradiction { part: "the length of the columns" });
        }
        Ok(Sealed { body, sources })
    }

    /// The sources in it, in the order in which the sealer was given them.
    pub fn source_ids(&self) -> impl Iterator<Item = u32> {
        self.sources.iter().map(|source| source.id)
    }

    /// When a source was measured; None if it is not in the block.
    pub fn ticks(&self, source: u32) -> Option<&[i64]> {
        self.source(source).map(|source| source.times.as_slice())
    }

    /// How the columns of a source are carried; nothing if it is not in the block.
    pub fn encodings(&self, source: u32) -> impl Iterator<Item = Encoding> {
        self.source(source)
            .into_iter()
            .flat_map(|source| source.columns.iter().map(|&(encoding, _)| encoding))
    }

    /// Gives the samples `(t_ms, value)` of one column in the order of its ticks and decodes no other column.
    ///
    /// # Errors
    /// A source or column that is not in the block, or bytes that no sealer wrote; the samples before the fault
    /// have been given by then.
    pub fn samples(&self, source: u32, column: usize, take: impl FnMut(i64, f64)) -> Result<(), SealedError> {
        let source = self.source(source).ok_or(SealedError::NoSuchColumn)?;
        let &(encoding, start) = source.columns.get(column).ok_or(SealedError::NoSuchColumn)?;
        let end = source.columns.get(column + 1).map_or(source.end, |&(_, start)| start);
        let bytes = &self.body[start as usize..end as usize];
        // One loop for each encoding, without a question in it.
        match encoding {
            Encoding::Integer => read(&source.times, bytes, encoding, difference, take),
            Encoding::Decimal(_) => read(&source.times, bytes, encoding, difference, take),
            Encoding::Float => read(&source.times, bytes, encoding, float_bits, take),
        }
    }

    fn source(&self, id: u32) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == id)
    }
}

/// Reads what the body says of one source. The lengths of its columns go to `lengths`.
fn head(cursor: &mut Cursor<'_>, lengths: &mut Vec<usize>) -> Result<Source, SealedError> {
    let part = within("the head of a source");
    let id = cursor.long().map_err(&part)?;
    let id = u32::try_from(id).map_err(|_| SealedError::Contradiction { part: "the id of a source" })?;
    let ticks = bounded(cursor, "ticks", MAX_CELLS)?;
    let count = bounded(cursor, "columns", MAX_CELLS)?;
    let encodings = cursor.bytes(count).map_err(&part)?.iter().map(|&byte| Encoding::from_byte(byte));
    let columns = encodings.map(|encoding| encoding.map(|encoding| (encoding, 0)));
    let columns =
        columns.collect::<Option<Vec<_>>>().ok_or(SealedError::Contradiction { part: "an encoding" })?;
    let times = times(cursor, ticks).map_err(within("the times"))?;
    for _ in 0..count {
        lengths.push(bounded(cursor, "bytes of a column", envelope::MAX_BODY)?);
    }
    Ok(Source { id, times, columns, end: 0 })
}

/// A number that may not be larger than `most`.
pub(crate) fn bounded(
    cursor: &mut Cursor<'_>,
    what: &'static str,
    most: usize,
) -> Result<usize, SealedError> {
    let number = cursor.long().map_err(within(what))?;
    let number = usize::try_from(number).ok().filter(|&number| number <= most);
    number.ok_or(SealedError::TooLarge { what, most })
}

/// Times as differences of differences. Each takes a byte at least, so there are no more than the body can hold.
fn times(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<i64>, NumberFault> {
    if count > cursor.left() {
        return Err(NumberFault::Truncated);
    }
    let (mut time, mut step) = (0_i64, 0_i64);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        step = step.wrapping_add(cursor.long_difference()?);
        time = time.wrapping_add(step);
        times.push(time);
    }
    Ok(times)
}

/// The word after a number's difference.
#[inline]
fn difference(cursor: &mut Cursor<'_>, word: u64) -> Result<u64, NumberFault> {
    cursor.difference().map(|more| word.wrapping_add(more as u64))
}

/// The word after a float's changed bits.
#[inline]
fn float_bits(cursor: &mut Cursor<'_>, word: u64) -> Result<u64, NumberFault> {
    cursor.float_bits().map(|bits| word ^ bits)
}

/// Reads one column.
#[inline]
fn read(
    times: &[i64],
    bytes: &[u8],
    encoding: Encoding,
    next: impl Fn(&mut Cursor<'_>, u64) -> Result<u64, NumberFault>,
    mut take: impl FnMut(i64, f64),
) -> Result<(), SealedError> {
    let part = within("a column");
    let mut cursor = Cursor::new(bytes);
    let mut runs = cursor;
    let count = bounded(&mut runs, "runs of presence", MAX_CELLS)?;
    cursor = runs;
    for _ in 0..count {
        cursor.varint().map_err(&part)?;
    }
    let (mut word, mut value, mut still) = (0_u64, encoding.value(0), 0_u64);
    let mut left = times;
    for place in 0..count.max(1) {
        let run = if count == 0 { left.len() as u64 } else { runs.varint().map_err(&part)? };
        let run = usize::try_from(run).ok().and_then(|run| left.split_at_checked(run));
        let (run, rest) = run.ok_or(SealedError::Contradiction { part: "a run of presence" })?;
        left = rest;
        if count > 0 && place % 2 == 0 {
            continue;
        }
        for &t in run {
            if still > 0 {
                still -= 1;
            } else {
                let before = word;
                word = next(&mut cursor, before).map_err(&part)?;
                if before == word {
                    still = cursor.varint().map_err(&part)?;
                } else if !encoding.allows(word) {
                    return Err(SealedError::Contradiction { part: "a value out of its encoding's range" });
                }
                value = encoding.value(word);
            }
            take(t, value);
        }
    }
    if still > 0 || cursor.left() > 0 || !left.is_empty() {
        return Err(SealedError::Contradiction { part: "the end of a column" });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
