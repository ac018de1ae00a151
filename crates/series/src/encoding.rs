//! Which encoding carries a value bit for bit, and how wide it must be.
//! Decides nothing about bytes: deltas are written by `number`, rows by `columns`.

/// Largest magnitude of an integer: every whole number up to it is a double of its own.
const INTEGER_LIMIT: u64 = 1 << 53;
/// Largest magnitude of a scaled decimal. Below 2^51 the double nearest to `n / 10^d` belongs to one `n`
/// only, and rounding `value * 10^d` finds it: the two errors together stay under one half.
const DECIMAL_LIMIT: u64 = (1 << 51) - 1;
/// Powers of ten by number of digits; all exact as doubles.
const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// How one series is carried. Ordered from narrow to wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// Whole numbers up to ±2^53, as differences.
    Integer,
    /// Numbers with at most so many (1 to 9) digits after the point, as differences of `value * 10^digits`.
    /// Any other number of digits holds no value.
    Decimal(u8),
    /// Any 64 bits, as the bits that differ.
    Float,
}

/// An encoding this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown encoding (kind {kind}, {digits} digits): leave the series out and tell the peer")]
pub struct UnknownEncoding {
    /// The kind as it came.
    pub kind: u32,
    /// The digits as they came.
    pub digits: u32,
}

impl Encoding {
    /// The narrowest encoding that carries this value bit for bit.
    pub fn fitting(value: f64) -> Encoding {
        Encoding::Integer.widen(value)
    }

    /// Does the value come back with the same bits? −0, NaN, ±Inf and whole numbers beyond 2^53 need
    /// [`Encoding::Float`], which holds everything.
    pub fn holds(self, value: f64) -> bool {
        self.word(value).is_some()
    }

    /// The narrowest encoding, no narrower than this one, that holds the value.
    ///
    /// It has all the digits this one had, at a smaller range; a value that is too large for the new digits
    /// asks for the next widening, so a series is widened ten times at most.
    #[must_use]
    pub fn widen(self, value: f64) -> Encoding {
        if self.holds(value) {
            return self;
        }
        let digits = match self {
            Encoding::Integer => 1,
            Encoding::Decimal(digits) => digits.saturating_add(1),
            Encoding::Float => return Encoding::Float,
        };
        let decimal = (digits..=9).map(Encoding::Decimal).find(|wider| wider.holds(value));
        decimal.unwrap_or(Encoding::Float)
    }

    /// Kind and digits as the wire has them.
    pub fn to_wire(self) -> (u32, u32) {
        match self {
            Encoding::Integer => (1, 0),
            Encoding::Decimal(digits) => (2, u32::from(digits)),
            Encoding::Float => (3, 0),
        }
    }

    /// Reads what [`Encoding::to_wire`] gives; anything else is refused.
    pub fn from_wire(kind: u32, digits: u32) -> Result<Encoding, UnknownEncoding> {
        match (kind, digits) {
            (1, 0) => Ok(Encoding::Integer),
            (2, 1..=9) => Ok(Encoding::Decimal(digits as u8)),
            (3, 0) => Ok(Encoding::Float),
            _ => Err(UnknownEncoding { kind, digits }),
        }
    }

    /// Reads what [`Encoding::to_byte`] gives.
    pub(crate) fn from_byte(byte: u8) -> Option<Encoding> {
        match byte {
            0 => Some(Encoding::Integer),
            1..=9 => Some(Encoding::Decimal(byte)),
            10 => Some(Encoding::Float),
            _ => None,
        }
    }

    /// Itself in one byte: 0 integer, 1 to 9 the digits of a decimal, 10 float.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Encoding::Integer => 0,
            Encoding::Decimal(digits) => digits,
            Encoding::Float => 10,
        }
    }

    /// A number that came of adding values which this encoding holds, without what the adding lost: the
    /// decimal it should be, if there is one within the error of a few additions.
    pub(crate) fn settle(self, number: f64) -> f64 {
        let Encoding::Decimal(digits) = self else { return number };
        let scale = POWERS.get(usize::from(digits)).copied().unwrap_or(1.0);
        let scaled = number * scale;
        let whole = (scaled + 0.5_f64.copysign(scaled)) as i64;
        let settled = whole as f64 / scale;
        let near = (settled - number).abs() <= number.abs() * 1e-14;
        if near && whole.unsigned_abs() <= DECIMAL_LIMIT { settled } else { number }
    }

    /// The word that stands for a value: the scaled whole number, or the bits. None if it is not held.
    #[inline]
    pub(crate) fn word(self, value: f64) -> Option<u64> {
        let (number, back, limit) = match self {
            Encoding::Integer => {
                let number = value as i64;
                (number, number as f64, INTEGER_LIMIT)
            }
            Encoding::Decimal(digits) => {
                let scale = *POWERS.get(usize::from(digits)).filter(|_| digits > 0)?;
                let scaled = value * scale;
                let number = (scaled + 0.5_f64.copysign(scaled)) as i64;
                (number, number as f64 / scale, DECIMAL_LIMIT)
            }
            Encoding::Float => return Some(value.to_bits()),
        };
        (back.to_bits() == value.to_bits() && number.unsigned_abs() <= limit).then_some(number as u64)
    }

    /// The value a word stands for.
    #[inline]
    pub(crate) fn value(self, word: u64) -> f64 {
        match self {
            Encoding::Integer => word as i64 as f64,
            Encoding::Decimal(digits) => {
                word as i64 as f64 / POWERS.get(usize::from(digits)).copied().unwrap_or(1.0)
            }
            Encoding::Float => f64::from_bits(word),
        }
    }

    /// May a peer bring a series to this word?
    #[inline]
    pub(crate) fn allows(self, word: u64) -> bool {
        match self {
            Encoding::Integer => (word as i64).unsigned_abs() <= INTEGER_LIMIT,
            Encoding::Decimal(_) => (word as i64).unsigned_abs() <= DECIMAL_LIMIT,
            Encoding::Float => true,
        }
    }
}

#[cfg(test)]
mod tests;
