//! Roll-ups as bytes: shapes that series share, then the figures of each series as columns; `SEALED.md` is the layout.
//! Decides how figures are foretold from one another, so that only what differs is written.

use super::{Rolled, Rollup};
use crate::bucket::Bucket;
use crate::encoding::Encoding;
use crate::envelope::{self, Kind, MAX_BODY, SealedError, within};
use crate::number::{Cursor, NumberFault, write_float_bits, write_long, write_long_difference};
use crate::sealed::bounded;
use crate::sealer::Full;
use std::collections::HashMap;

/// Most buckets of one series.
const MAX_EACH: usize = 1 << 16;
/// Most buckets of all series, and of all shapes together.
const MAX_BUCKETS: usize = 1 << 20;
/// Most series.
const MAX_SERIES: usize = 1 << 20;
/// Its figures are floats, whatever the encoding.
const FLOATS: u8 = 0x40;
/// It is a counter.
const COUNTER: u8 = 0x80;

/// When the samples of a bucket were measured and how many they were: the same for most series of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct When {
    start_ms: i64,
    first_ms: i64,
    last_ms: i64,
    count: u32,
}

/// The figures of a bucket, as words.
type Words = [u64; 6];
const FIRST: usize = 0;
const LAST: usize = 1;
const GROWTH: usize = 2;
const MIN: usize = 3;
const MAX: usize = 4;
const SUM: usize = 5;
/// The figures kept of a counter, and of anything else, in the order in which they are foretold from each other.
const OF_COUNTER: &[usize] = &[LAST, FIRST, GROWTH, MIN, MAX, SUM];
const OF_GAUGE: &[usize] = &[LAST, MIN, MAX, SUM];

fn kept(kind: Rolled) -> &'static [usize] {
    if kind.counter { OF_COUNTER } else { OF_GAUGE }
}

pub(super) fn encode(rollup: &Rollup) -> Result<Vec<u8>, Full> {
    let total: usize = rollup.series.iter().map(Vec::len).sum();
    let most = rollup.series.iter().map(Vec::len).max().unwrap_or(0);
    if total > MAX_BUCKETS || most > MAX_EACH || rollup.series.len() > MAX_SERIES {
        return Err(Full);
    }
    let mut shapes: Vec<Vec<When>> = Vec::new();
    let mut known: HashMap<Vec<When>, u64> = HashMap::new();
    let (mut head, mut columns) = (Vec::new(), Vec::new());
    for (buckets, &kind) in rollup.series.iter().zip(&rollup.kinds) {
        let shape: Vec<When> = buckets.iter().map(when).collect();
        let number = match known.get(&shape) {
            _ if shape.is_empty() => 0,
            Some(&number) => number,
            None => {
                shapes.push(shape.clone());
                known.insert(shape, shapes.len() as u64);
                shapes.len() as u64
            }
        };
        let start = columns.len();
        let form = write_figures(kind, buckets, &mut columns);
        let counter = if kind.counter { COUNTER } else { 0 };
        head.push(kind.encoding.to_byte() | form | counter);
        write_long(number, &mut head);
        write_long((columns.len() - start) as u64, &mut head);
    }
    let mut body = Vec::new();
    write_long(rollup.length_ms.unsigned_abs(), &mut body);
    write_long(shapes.len() as u64, &mut body);
    shapes.iter().for_each(|shape| write_shape(shape, rollup.length_ms, &mut body));
    write_long(rollup.series.len() as u64, &mut body);
    body.append(&mut head);
    body.append(&mut columns);
    if body.len() > MAX_BODY { Err(Full) } else { Ok(envelope::seal(Kind::RollUp, &body)) }
}

fn when(bucket: &Bucket) -> When {
    let &Bucket { start_ms, first_ms, last_ms, count, .. } = bucket;
    When { start_ms, first_ms, last_ms, count }
}

fn write_shape(shape: &[When], length_ms: i64, out: &mut Vec<u8>) {
    write_long(shape.len() as u64, out);
    let mut next = 0_i64;
    for when in shape {
        let place = when.start_ms.div_euclid(length_ms);
        write_long_difference(place.wrapping_sub(next), out);
        next = place.wrapping_add(1);
        write_long_difference(when.first_ms.wrapping_sub(when.start_ms), out);
        write_long_difference(when.last_ms.wrapping_sub(when.first_ms), out);
        write_long(u64::from(when.count), out);
    }
}

fn read_shape(cursor: &mut Cursor<'_>, length_ms: i64) -> Result<Vec<When>, SealedError> {
    let part = within("a shape");
    let count = bounded(cursor, "buckets of a series", MAX_EACH)?;
    let mut shape = Vec::with_capacity(count.min(cursor.left()));
    let mut next = 0_i64;
    for _ in 0..count {
        let place = next.wrapping_add(cursor.long_difference().map_err(&part)?);
        let start_ms = place.saturating_mul(length_ms);
        let first_ms = start_ms.wrapping_add(cursor.long_difference().map_err(&part)?);
        let last_ms = first_ms.wrapping_add(cursor.long_difference().map_err(&part)?);
        let count = bounded(cursor, "samples of a bucket", u32::MAX as usize)? as u32;
        let before: Option<&When> = shape.last();
        if count == 0 || last_ms < first_ms || before.is_some_and(|before| before.start_ms >= start_ms) {
            return Err(SealedError::Contradiction { part: "a bucket's time" });
        }
        next = place.wrapping_add(1);
        shape.push(When { start_ms, first_ms, last_ms, count });
    }
    Ok(shape)
}

fn figures(bucket: &Bucket, encoding: Encoding) -> [f64; 6] {
    let &Bucket { first, last, min, max, .. } = bucket;
    [first, last, encoding.settle(bucket.growth), min, max, encoding.settle(bucket.sum)]
}

/// Writes the columns of a series and says in which form.
fn write_figures(kind: Rolled, buckets: &[Bucket], out: &mut Vec<u8>) -> u8 {
    let kept = kept(kind);
    let word = |encoding: Encoding, bucket: &Bucket| -> Option<Words> {
        let figures = figures(bucket, kind.encoding);
        let mut words = [0; 6];
        for &figure in kept {
            words[figure] = encoding.word(figures[figure])?;
        }
        Some(words)
    };
    let narrow: Option<Vec<Words>> = match kind.encoding {
        Encoding::Float => None,
        encoding => buckets.iter().map(|bucket| word(encoding, bucket)).collect(),
    };
    let floats = narrow.is_none();
    let words = narrow.unwrap_or_else(|| {
        buckets.iter().map(|bucket| figures(bucket, kind.encoding).map(f64::to_bits)).collect()
    });
    for &figure in kept {
        let mut still = 0_u64;
        let mut before = None;
        for (words, bucket) in words.iter().zip(buckets) {
            let expected = expected(figure, floats, kind.counter, words, before.as_ref(), bucket.count);
            let differs =
                if floats { expected ^ words[figure] } else { words[figure].wrapping_sub(expected) };
            before = Some(*words);
            if differs == 0 {
                still += 1;
                continue;
            }
            write_still(std::mem::take(&mut still), floats, out);
            write_difference(differs, floats, out);
        }
        write_still(still, floats, out);
    }
    if floats { FLOATS } else { 0 }
}

fn write_difference(differs: u64, floats: bool, out: &mut Vec<u8>) {
    if floats { write_float_bits(differs, out) } else { write_long_difference(differs as i64, out) }
}

fn write_still(times: u64, floats: bool, out: &mut Vec<u8>) {
    let Some(more) = times.checked_sub(1) else { return };
    write_difference(0, floats, out);
    write_long(more, out);
}

/// What a figure would be if nothing happened: from the figures that are written before it, and the bucket before.
#[inline]
fn expected(
    figure: usize,
    floats: bool,
    counter: bool,
    words: &Words,
    before: Option<&Words>,
    count: u32,
) -> u64 {
    let last_before = before.map_or(0, |before| before[LAST]);
    match figure {
        FIRST | LAST => last_before,
        GROWTH if floats => before.map_or(0, |before| before[GROWTH]),
        GROWTH => words[LAST].wrapping_sub(words[FIRST]),
        MIN if counter => words[FIRST],
        MIN | MAX => words[LAST],
        _ if floats => before.map_or(0, |before| before[SUM]),
        _ => {
            let low = if counter { words[FIRST] } else { words[MIN] };
            let high = if counter { words[LAST] } else { words[MAX] };
            let middle = (low as i64).wrapping_add(high as i64) >> 1;
            (middle as u64).wrapping_mul(u64::from(count))
        }
    }
}

/// A roll-up that has been unpacked, whose series are read when they are asked for. What it takes in memory is bounded
/// whatever the bytes say: 64 MiB for the body, and about as much for its shapes and series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRollup {
    /// The body, in which the figures are.
    body: Vec<u8>,
    /// How long a bucket is.
    length_ms: i64,
    /// When the buckets of the series are.
    shapes: Vec<Vec<When>>,
    /// What is known of each series.
    kinds: Vec<Rolled>,
    /// Form, shape (from 1; 0 for no buckets) and start in the body of each series.
    places: Vec<(u8, u32, u32)>,
}

impl SealedRollup {
    /// Unpacks a roll-up and judges all of it but the figures, which are judged as they are read.
    ///
    /// # Errors
    /// Anything but what [`Rollup::encode`] wrote.
    pub fn open(bytes: &[u8]) -> Result<Self, SealedError> {
        let body = envelope::open(Kind::RollUp, bytes)?;
        let mut cursor = Cursor::new(&body);
        let length = cursor.long().map_err(within("the length of buckets"))?;
        let length_ms = i64::try_from(length).ok().filter(|&length| length > 0);
        let length_ms = length_ms.ok_or(SealedError::Contradiction { part: "the length of buckets" })?;
        let shapes = read_shapes(&mut cursor, length_ms)?;
        let count = bounded(&mut cursor, "series", MAX_SERIES)?;
        let (mut kinds, mut places, mut end, mut total) = (Vec::new(), Vec::new(), 0_usize, 0_usize);
        for _ in 0..count {
            let (kind, form) = read_kind(&mut cursor)?;
            let shape = bounded(&mut cursor, "shapes", shapes.len())?;
            kinds.push(kind);
            places.push((form, shape as u32, end as u32));
            end = end.saturating_add(bounded(&mut cursor, "bytes of a series", MAX_BODY)?);
            total += shape.checked_sub(1).map_or(0, |at| shapes[at].len());
        }
        if total > MAX_BUCKETS {
            return Err(SealedError::TooLarge { what: "buckets", most: MAX_BUCKETS });
        }
        if end != cursor.left() {
            return Err(SealedError::Contradiction { part: "the length of the series" });
        }
        let start = (body.len() - end) as u32;
        places.iter_mut().for_each(|place| place.2 += start);
        Ok(SealedRollup { body, length_ms, shapes, kinds, places })
    }

    /// How long a bucket is.
    pub fn length_ms(&self) -> i64 {
        self.length_ms
    }

    /// What is known of each series.
    pub fn kinds(&self) -> &[Rolled] {
        &self.kinds
    }

    /// The buckets of one series, in order of time; decodes no other.
    ///
    /// # Errors
    /// There is no such series, or the bytes are not what [`Rollup::encode`] wrote.
    pub fn buckets(&self, series: usize) -> Result<Vec<Bucket>, SealedError> {
        let &(form, shape, start) = self.places.get(series).ok_or(SealedError::NoSuchColumn)?;
        let kind = self.kinds[series];
        let end = self.places.get(series + 1).map_or(self.body.len(), |&(_, _, start)| start as usize);
        let shape = (shape as usize).checked_sub(1).map_or(&[] as &[When], |at| &self.shapes[at]);
        let floats = form & FLOATS != 0;
        let mut cursor = Cursor::new(&self.body[start as usize..end]);
        let mut rows: Vec<Words> = vec![[0; 6]; shape.len()];
        for &figure in kept(kind) {
            read_figure(&mut cursor, figure, floats, kind.counter, shape, &mut rows)?;
        }
        if cursor.left() > 0 {
            return Err(SealedError::Contradiction { part: "the end of a series" });
        }
        let encoding = if floats { Encoding::Float } else { kind.encoding };
        if !rows.iter().flatten().all(|&word| encoding.allows(word)) {
            return Err(SealedError::Contradiction { part: "a figure out of its encoding's range" });
        }
        Ok(shape.iter().zip(rows).map(|(when, words)| bucket(when, kind, encoding, words)).collect())
    }
}

fn read_shapes(cursor: &mut Cursor<'_>, length_ms: i64) -> Result<Vec<Vec<When>>, SealedError> {
    let count = bounded(cursor, "shapes", MAX_SERIES)?;
    let (mut shapes, mut total) = (Vec::new(), 0);
    for _ in 0..count {
        let shape = read_shape(cursor, length_ms)?;
        total += shape.len();
        if total > MAX_BUCKETS {
            return Err(SealedError::TooLarge { what: "buckets of shapes", most: MAX_BUCKETS });
        }
        shapes.push(shape);
    }
    Ok(shapes)
}

fn read_kind(cursor: &mut Cursor<'_>) -> Result<(Rolled, u8), SealedError> {
    let byte = cursor.bytes(1).map_err(within("a series"))?[0];
    let encoding = Encoding::from_byte(byte & !(FLOATS | COUNTER));
    let encoding = encoding.ok_or(SealedError::Contradiction { part: "an encoding" })?;
    if encoding == Encoding::Float && byte & FLOATS == 0 {
        return Err(SealedError::Contradiction { part: "the form of a series" });
    }
    Ok((Rolled { encoding, counter: byte & COUNTER != 0 }, byte & FLOATS))
}

fn read_figure(
    cursor: &mut Cursor<'_>,
    figure: usize,
    floats: bool,
    counter: bool,
    shape: &[When],
    rows: &mut [Words],
) -> Result<(), SealedError> {
    let part = within("a figure");
    let next = |cursor: &mut Cursor<'_>| -> Result<u64, NumberFault> {
        if floats { cursor.float_bits() } else { cursor.long_difference().map(|more| more as u64) }
    };
    let (mut still, mut before) = (0_u64, None);
    for (row, when) in rows.iter_mut().zip(shape) {
        let expected = expected(figure, floats, counter, row, before.as_ref(), when.count);
        let mut differs = 0;
        if still > 0 {
            still -= 1;
        } else {
            differs = next(cursor).map_err(&part)?;
            if differs == 0 {
                still = cursor.long().map_err(&part)?;
            }
        }
        row[figure] = if floats { expected ^ differs } else { expected.wrapping_add(differs) };
        before = Some(*row);
    }
    if still > 0 { Err(SealedError::Contradiction { part: "a run of figures" }) } else { Ok(()) }
}

fn bucket(when: &When, kind: Rolled, encoding: Encoding, words: Words) -> Bucket {
    let [first, last, growth, min, max, sum] = words.map(|word| encoding.value(word));
    let &When { start_ms, first_ms, last_ms, count } = when;
    let (first, growth) = if kind.counter { (first, growth) } else { (f64::NAN, f64::NAN) };
    Bucket { start_ms, first_ms, last_ms, count, min, max, sum, first, last, growth }
}
