//! Makes sealed blocks: rows as they came are turned into columns of deltas.
//! Decides the bytes of a body and how much one block takes; when a block is sealed is the caller's matter.

use crate::columns::Columns;
use crate::encoding::Encoding;
use crate::envelope::{self, Kind};
use crate::number::{write_difference, write_float_bits, write_long, write_long_difference, write_varint};

/// Most samples in one block, absent ones included; a tick of a source without series counts as one.
pub(crate) const MAX_CELLS: usize = 1 << 21;
/// Most sources in one block.
pub(crate) const MAX_SOURCES: usize = 1 << 16;

/// Builds a sealed block: the samples of one agent under one layout over some time. It keeps 8 bytes a sample until
/// then, and takes two million.
#[derive(Debug, Clone)]
pub struct Sealer {
    /// The sources in the order in which they were given.
    sources: Vec<Rows>,
    /// Samples so far, which are bounded.
    cells: usize,
}

/// The block takes no more: finish it, and begin another with this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed block holds {MAX_CELLS} samples at most: finish it and begin another")]
pub struct Full;

/// One source's rows, one after the other.
#[derive(Debug, Clone)]
struct Rows {
    /// As its agent defined it.
    id: u32,
    /// How each series is carried.
    encodings: Box<[Encoding]>,
    /// When each row was measured.
    times: Vec<i64>,
    /// The words of each row.
    words: Vec<u64>,
    /// The presence of each row, in whole words.
    present: Vec<u64>,
}

impl Sealer {
    /// A block without ticks. A source whose id another had before is never found again.
    pub fn new(sources: &[(u32, &[Encoding])]) -> Self {
        let rows = |&(id, encodings): &(u32, &[Encoding])| Rows {
            id,
            encodings: encodings.into(),
            times: Vec::new(),
            words: Vec::new(),
            present: Vec::new(),
        };
        Sealer { sources: sources.iter().map(rows).collect(), cells: 0 }
    }

    /// Takes the row of the source at this position, as it stands after a block was applied. Rows come in the
    /// order in which they are to be read again.
    ///
    /// # Errors
    /// The block is full. It is as it was.
    ///
    /// # Panics
    /// If there is no such source, or if the columns have another number of series than it.
    pub fn tick(&mut self, source: usize, at_ms: i64, columns: &Columns) -> Result<(), Full> {
        let sources = self.sources.len();
        let rows = &mut self.sources[source];
        assert_eq!(columns.len(), rows.encodings.len(), "a row has one entry for each series");
        debug_assert_eq!(columns.encodings(), &*rows.encodings, "a row is carried as its source says");
        let cells = self.cells.saturating_add(columns.len().max(1));
        if cells > MAX_CELLS || sources > MAX_SOURCES {
            return Err(Full);
        }
        self.cells = cells;
        rows.times.push(at_ms);
        rows.words.extend_from_slice(columns.words());
        rows.present.extend_from_slice(columns.presence());
        Ok(())
    }

    /// Samples so far, absent ones included.
    pub fn len(&self) -> usize {
        self.cells
    }

    /// Has there been no tick?
    pub fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// The block.
    pub fn finish(self) -> Vec<u8> {
        let mut body = Vec::with_capacity(64 + self.cells / 8);
        let mut columns = Vec::with_capacity(64 + self.cells * 2);
        write_long(self.sources.len() as u64, &mut body);
        for rows in &self.sources {
            rows.write(&mut body, &mut columns);
        }
        body.append(&mut columns);
        envelope::seal(Kind::Samples, &body)
    }
}

impl Rows {
    /// Writes what is said of the source to `head`, and its columns, one after the other, to `out`.
    fn write(&self, head: &mut Vec<u8>, out: &mut Vec<u8>) {
        write_long(u64::from(self.id), head);
        write_long(self.times.len() as u64, head);
        write_long(self.encodings.len() as u64, head);
        head.extend(self.encodings.iter().map(|encoding| encoding.to_byte()));
        write_times(&self.times, head);
        let everywhere = self.everywhere();
        for (index, &encoding) in self.encodings.iter().enumerate() {
            let start = out.len();
            let always = everywhere[index / 64] >> (index % 64) & 1 == 1;
            self.write_presence(index, always, out);
            let words = self.words.iter().skip(index).step_by(self.encodings.len());
            if always {
                write_words(encoding, words.copied(), out);
            } else {
                let words = words.zip(self.presence(index)).filter(|(_, present)| *present);
                write_words(encoding, words.map(|(&word, _)| word), out);
            }
            write_long((out.len() - start) as u64, head);
        }
    }

    /// Which series are present in every row, one bit each.
    fn everywhere(&self) -> Vec<u64> {
        let width = self.encodings.len().div_ceil(64);
        let mut everywhere = vec![u64::MAX; width];
        for row in self.present.chunks(width.max(1)) {
            everywhere.iter_mut().zip(row).for_each(|(all, bits)| *all &= bits);
        }
        everywhere
    }

    /// Is a series present, row by row?
    fn presence(&self, index: usize) -> impl Iterator<Item = bool> {
        let words = self.present.iter().skip(index / 64).step_by(self.encodings.len().div_ceil(64).max(1));
        words.map(move |bits| bits >> (index % 64) & 1 == 1)
    }

    /// Writes the lengths of the runs in which a series is absent and present by turns; nothing but a count of
    /// zero if it is always present.
    fn write_presence(&self, index: usize, always: bool, out: &mut Vec<u8>) {
        if always {
            return write_long(0, out);
        }
        let (mut runs, mut now) = (vec![0_u64], false);
        for present in self.presence(index) {
            if present != now {
                runs.push(0);
                now = present;
            }
            if let Some(run) = runs.last_mut() {
                *run += 1;
            }
        }
        write_long(runs.len() as u64, out);
        runs.into_iter().for_each(|run| write_varint(run, out));
    }
}

/// Writes times as differences of differences, which are zero while the clock of the source keeps step.
fn write_times(times: &[i64], out: &mut Vec<u8>) {
    let (mut before, mut step) = (0_i64, 0_i64);
    for &time in times {
        let now = time.wrapping_sub(before);
        write_long_difference(now.wrapping_sub(step), out);
        (before, step) = (time, now);
    }
}

/// Writes words as differences; one of zero is followed by how many more there are of it.
fn write_words(encoding: Encoding, words: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    let (mut before, mut still) = (0_u64, 0_u64);
    for word in words {
        if word == before {
            still += 1;
            continue;
        }
        write_still(encoding, std::mem::take(&mut still), out);
        match encoding {
            Encoding::Float => write_float_bits(before ^ word, out),
            _ => write_difference(word.wrapping_sub(before) as i64, out),
        }
        before = word;
    }
    write_still(encoding, still, out);
}

/// Writes that a word stood unchanged so many times.
fn write_still(encoding: Encoding, times: u64, out: &mut Vec<u8>) {
    let Some(more) = times.checked_sub(1) else { return };
    match encoding {
        Encoding::Float => write_float_bits(0, out),
        _ => write_difference(0, out),
    }
    write_varint(more, out);
}
