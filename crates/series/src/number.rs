//! How one delta is written and read: zigzag varints, and float bits trimmed at both ends.
//! Each number has one form only; a longer one is a fault. Knows nothing of series.

/// The bit of each byte that says whether another follows.
const MORE: u64 = 0x8080_8080_8080_8080;

/// What is wrong with a number in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberFault {
    /// The block ends before the number does.
    #[error("is cut short")]
    Truncated,
    /// A varint that does not end within 8 bytes.
    #[error("is longer than the 8 bytes a varint may have")]
    TooLong,
    /// There is a shorter way to write the same number.
    #[error("is not in its shortest form")]
    NotShortest,
}

/// Reads numbers from the front of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    /// What has not been read yet.
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// A number of at most 56 bits.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, NumberFault> {
        let window = window(self.rest);
        let ends = !window & MORE;
        if ends == 0 {
            return Err(NumberFault::TooLong);
        }
        let length = (ends.trailing_zeros() / 8 + 1) as usize;
        let rest = self.rest.get(length..).ok_or(NumberFault::Truncated)?;
        // Everything up to and with the first byte that ends a number.
        let bytes = window & (ends ^ (ends - 1));
        if length > 1 && bytes >> (8 * (length - 1)) == 0 {
            return Err(NumberFault::NotShortest);
        }
        self.rest = rest;
        Ok(join_sevens(bytes & !MORE))
    }

    /// A signed difference of at most 56 bits.
    #[inline]
    pub(crate) fn difference(&mut self) -> Result<i64, NumberFault> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Steps over so many varints, whatever they say.
    #[inline]
    pub(crate) fn skip(&mut self, mut count: usize) -> Result<(), NumberFault> {
        while count > 0 {
            let mut ends = !window(self.rest) & MORE;
            let here = ends.count_ones() as usize;
            let length = if here < count {
                count -= here;
                8
            } else {
                (1..count).for_each(|_| ends &= ends - 1);
                count = 0;
                (ends.trailing_zeros() / 8 + 1) as usize
            };
            self.rest = self.rest.get(length..).ok_or(NumberFault::Truncated)?;
        }
        Ok(())
    }

    /// A number of at most 64 bits.
    #[inline]
    pub(crate) fn long(&mut self) -> Result<u64, NumberFault> {
        let mut number = 0;
        for (place, &byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                return Err(NumberFault::TooLong);
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[place + 1..];
                return if byte == 0 && place > 0 { Err(NumberFault::NotShortest) } else { Ok(number) };
            }
        }
        Err(if self.rest.len() < 10 { NumberFault::Truncated } else { NumberFault::TooLong })
    }

    /// A signed difference of at most 64 bits.
    #[inline]
    pub(crate) fn long_difference(&mut self) -> Result<i64, NumberFault> {
        let number = self.long()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// So many bytes as they are.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], NumberFault> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(NumberFault::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The bits in which two floats differ.
    #[inline]
    pub(crate) fn float_bits(&mut self) -> Result<u64, NumberFault> {
        let (&header, payload) = self.rest.split_first().ok_or(NumberFault::Truncated)?;
        let length = usize::from(header & 7) + 1;
        let trimmed = window(payload) & (u64::MAX >> (64 - 8 * length));
        self.rest = payload.get(length..).ok_or(NumberFault::Truncated)?;
        let bits = trimmed << (2 * (header >> 3));
        if trim(bits) != (header, trimmed) {
            return Err(NumberFault::NotShortest);
        }
        Ok(bits)
    }
}

/// The first 8 bytes as a little-endian number, zeros where there are fewer.
#[inline]
pub(crate) fn window(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)),
    }
}

/// Header byte and payload of a float's changed bits; see the layout.
#[inline]
fn trim(bits: u64) -> (u8, u64) {
    // For 0 this gives 64 & 62 = 0.
    let shift = bits.trailing_zeros() & 62;
    let trimmed = bits >> shift;
    let length = (64 - (trimmed | 1).leading_zeros()).div_ceil(8);
    ((shift << 2 | (length - 1)) as u8, trimmed)
}

/// Eight groups of 7 bits, one a byte, pushed together.
#[inline]
fn join_sevens(bytes: u64) -> u64 {
    let pairs = (bytes & 0x007f_007f_007f_007f) | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// The other way round.
#[inline]
fn split_sevens(number: u64) -> u64 {
    let fours = (number & 0x0fff_ffff) | (number & 0x00ff_ffff_f000_0000) << 4;
    let pairs = (fours & 0x0000_3fff_0000_3fff) | (fours & 0x0fff_c000_0fff_c000) << 2;
    (pairs & 0x007f_007f_007f_007f) | (pairs & 0x3f80_3f80_3f80_3f80) << 1
}

/// Writes a number below 2^56.
#[inline]
pub(crate) fn write_varint(number: u64, out: &mut Vec<u8>) {
    debug_assert!(number >> 56 == 0, "varints carry 56 bits");
    let length = (64 - (number | 1).leading_zeros()).div_ceil(7);
    let more = MORE & !(u64::MAX << (8 * (length - 1)));
    write_prefix(split_sevens(number) | more, length as usize, out);
}

/// Writes a signed difference of two allowed words.
#[inline]
pub(crate) fn write_difference(difference: i64, out: &mut Vec<u8>) {
    write_varint((difference << 1 ^ difference >> 63) as u64, out);
}

/// Writes any number.
pub(crate) fn write_long(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes any signed difference.
pub(crate) fn write_long_difference(difference: i64, out: &mut Vec<u8>) {
    write_long((difference << 1 ^ difference >> 63) as u64, out);
}

/// Writes the bits in which two floats differ.
#[inline]
pub(crate) fn write_float_bits(bits: u64, out: &mut Vec<u8>) {
    let (header, trimmed) = trim(bits);
    out.push(header);
    write_prefix(trimmed, usize::from(header & 7) + 1, out);
}

/// The lowest bytes of a number. All eight are copied and the rest cut off: no branch on the length.
#[inline]
fn write_prefix(number: u64, length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length;
    out.extend_from_slice(&number.to_le_bytes());
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::{
        Cursor, NumberFault, write_difference, write_float_bits, write_long_difference, write_varint,
    };
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn varints_have_their_textbook_bytes() {
        let cases: [(u64, &[u8]); 6] = [
            (0, &[0]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (1 << 49, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]),
            ((1 << 56) - 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ];
        for (number, bytes) in cases {
            let mut out = Vec::new();
            write_varint(number, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(Cursor::new(bytes).varint(), Ok(number));
        }
    }

    #[test]
    fn faulty_varints_are_named() {
        let cases: [(&[u8], NumberFault); 6] = [
            (&[], NumberFault::Truncated),
            (&[0x80], NumberFault::Truncated),
            (&[0xff; 7], NumberFault::Truncated),
            (&[0xff; 8], NumberFault::TooLong),
            (&[0x80, 0], NumberFault::NotShortest),
            (&[0xff, 0x80, 0, 9, 9, 9, 9, 9, 9], NumberFault::NotShortest),
        ];
        for (bytes, fault) in cases {
            assert_eq!(Cursor::new(bytes).varint(), Err(fault), "{bytes:x?}");
        }
    }

    #[test]
    fn faulty_long_numbers_are_named() {
        let cases: [(&[u8], NumberFault); 6] = [
            (&[], NumberFault::Truncated),
            (&[0xff; 9], NumberFault::Truncated),
            (&[0xff; 10], NumberFault::TooLong),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], NumberFault::TooLong),
            (&[0x80, 0], NumberFault::NotShortest),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], NumberFault::NotShortest),
        ];
        for (bytes, fault) in cases {
            assert_eq!(Cursor::new(bytes).long(), Err(fault), "{bytes:x?}");
        }
    }

    #[test]
    fn faulty_float_bits_are_named() {
        let cases: [(&[u8], NumberFault); 7] = [
            (&[], NumberFault::Truncated),
            (&[0], NumberFault::Truncated),
            (&[7, 1, 2, 3, 4, 5, 6, 7], NumberFault::Truncated),
            (&[1, 1, 0], NumberFault::NotShortest),
            (&[8, 0], NumberFault::NotShortest),
            (&[0, 4], NumberFault::NotShortest),
            (&[0xf8, 0xff], NumberFault::NotShortest),
        ];
        for (bytes, fault) in cases {
            assert_eq!(Cursor::new(bytes).float_bits(), Err(fault), "{bytes:x?}");
        }
    }

    #[test]
    fn varints_are_stepped_over() {
        for count in 0..40_usize {
            let mut out = Vec::new();
            (0..count).for_each(|n| write_varint(1 << (n * 13 % 55), &mut out));
            out.push(77);
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.skip(count), Ok(()));
            assert_eq!((cursor.left(), cursor.varint()), (1, Ok(77)), "{count}");
            assert_eq!(Cursor::new(&out).skip(count + 2), Err(NumberFault::Truncated));
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<i64>(), shift in 0_u32..64, trailing in any::<[u8; 3]>()) {
            let mut out = Vec::new();
            let difference = number >> shift.max(9);
            write_difference(difference, &mut out);
            write_long_difference(number >> shift, &mut out);
            write_float_bits(number as u64 >> shift, &mut out);
            write_float_bits((number as u64) << shift, &mut out);
            out.extend(trailing);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.difference(), Ok(difference));
            prop_assert_eq!(cursor.long_difference(), Ok(number >> shift));
            prop_assert_eq!(cursor.float_bits(), Ok(number as u64 >> shift));
            prop_assert_eq!(cursor.float_bits(), Ok((number as u64) << shift));
            prop_assert_eq!(cursor.left(), 3);
        }
    }
}
