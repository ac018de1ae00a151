//! How far each boot is committed, as one small blob: version (1), number of boots, each with its key (delta), last
//! seq, last row, row of its last key report + 1 (0: none), newest time (signed); number of layouts, each with its
//! key (delta) and the last row that used it; CRC-32. Decides only the bytes.

use super::LayoutKey;
use super::row::Damaged;
use super::row::varint::{Cursor, put, put_signed};

const VERSION: u8 = 1;

/// How far a boot is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last committed number.
    pub(crate) seq: u64,
    /// The journal row that holds it.
    pub(crate) row: i64,
    /// The journal row with the last key report: decoding what comes next begins there.
    pub(crate) key_row: Option<i64>,
    /// The newest report's time.
    pub(crate) last_ms: i64,
}

/// All marks, in the order of their keys, and the last journal row that used each layout.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Marks {
    pub(crate) boots: Vec<(u32, Mark)>,
    pub(crate) layouts: Vec<(LayoutKey, i64)>,
}

impl Marks {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(self.boots.len() as u64, &mut out);
        let mut before = 0;
        for (key, mark) in &self.boots {
            put(u64::from(key.wrapping_sub(before)), &mut out);
            put(mark.seq, &mut out);
            put(mark.row as u64, &mut out);
            put(mark.key_row.map_or(0, |row| row as u64 + 1), &mut out);
            put_signed(mark.last_ms, &mut out);
            before = *key;
        }
        put(self.layouts.len() as u64, &mut out);
        before = 0;
        for (key, row) in &self.layouts {
            put(u64::from(key.0.wrapping_sub(before)), &mut out);
            put(*row as u64, &mut out);
            before = key.0;
        }
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(Damaged("it is too short"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(Damaged("its checksum is wrong"));
        }
        let mut cursor = Cursor::new(body);
        if cursor.byte()? != VERSION {
            return Err(Damaged("its version is not known to this program"));
        }
        let mut marks = Self::default();
        let mut key = 0u32;
        for _ in 0..cursor.number()? {
            key = key.wrapping_add(cursor.small()?);
            let seq = cursor.number()?;
            let row = cursor.small()?;
            let key_row = cursor.small::<i64>()?.checked_sub(1).filter(|row| *row >= 0);
            marks.boots.push((key, Mark { seq, row, key_row, last_ms: cursor.signed()? }));
        }
        key = 0;
        for _ in 0..cursor.number()? {
            key = key.wrapping_add(cursor.small()?);
            marks.layouts.push((LayoutKey(key), cursor.small()?));
        }
        if cursor.is_at_end() { Ok(marks) } else { Err(Damaged("it has bytes left over")) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, Marks};
    use crate::store::LayoutKey;

    fn sample() -> Marks {
        let mark = |seq, row, key_row, last_ms| Mark { seq, row, key_row, last_ms };
        Marks {
            boots: vec![
                (3, mark(1, 1, Some(1), 1_760_000_000_000)),
                (4, mark(u64::MAX, i64::MAX, None, -5)),
                (u32::MAX, mark(7, 900, Some(0), 0)),
            ],
            layouts: vec![(LayoutKey(1), 5), (LayoutKey(u32::MAX), i64::MAX)],
        }
    }

    #[test]
    fn marks_come_back_as_they_were() {
        for marks in [sample(), Marks::default()] {
            assert_eq!(Marks::read(&marks.write()).unwrap(), marks);
        }
    }

    #[test]
    fn any_flipped_bit_or_cut_is_found() {
        let bytes = sample().write();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(Marks::read(&bad).is_err(), "byte {at}");
            assert!(Marks::read(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
