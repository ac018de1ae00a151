//! The kernel's text files: kept open, read again from the start each time, and taken apart without allocating.
//! Does not know what any file means.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A file longer than this is cut; what stands behind is not seen.
const LONGEST: usize = 1 << 20;

/// A file that is read at every tick.
#[derive(Debug)]
pub(super) struct Text {
    /// Where it is.
    path: PathBuf,
    /// Open from the first read on: opening costs more than reading.
    file: Option<File>,
    /// What was read last; kept for its room.
    buffer: Vec<u8>,
    /// Whether many machines do without this file, so that its absence is no news.
    optional: bool,
    /// Whether the kernel writes it record by record, so that a read may end before the file does.
    records: bool,
    /// Whether its absence has been logged.
    told: bool,
}

impl Text {
    /// A file that every Linux has and that the kernel gives in one piece.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            file: None,
            buffer: Vec::new(),
            optional: false,
            records: false,
            told: false,
        }
    }

    /// A file that some kernels or machines do not have.
    pub(super) fn optional(path: impl Into<PathBuf>) -> Self {
        Self { optional: true, ..Self::new(path) }
    }

    /// A file that the kernel writes record by record: one line for each of something.
    pub(super) fn of_records(path: impl Into<PathBuf>) -> Self {
        Self { records: true, ..Self::new(path) }
    }

    /// The file as it is now. `None` when it cannot be read, which is logged once.
    pub(super) fn read(&mut self) -> Option<&[u8]> {
        match self.fill() {
            Ok(filled) => Some(&self.buffer[..filled]),
            Err(error) => {
                self.file = None;
                self.tell(&error);
                None
            }
        }
    }

    /// The open file, once it has been read.
    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                if filled >= LONGEST {
                    return Ok(filled);
                }
                self.buffer.resize((filled * 2).clamp(4_096, LONGEST), 0);
            }
            match file.read_at(&mut self.buffer[filled..], filled as u64) {
                Ok(0) => return Ok(filled),
                // One piece that leaves room is all there is: spares the read that would say so.
                Ok(n) if !self.records && filled + n < self.buffer.len() => return Ok(filled + n),
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&mut self, error: &std::io::Error) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let path = self.path.display();
        if self.optional {
            tracing::debug!(%path, %error, "a file of the kernel is not there; its series are left out");
        } else {
            tracing::warn!(%path, %error, "a file of the kernel cannot be read; its series are left out");
        }
    }
}

/// The lines of a text, without their ends. Empty ones are left out.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ' || *byte == b'\t').filter(|word| !word.is_empty())
}

/// A whole number in decimal digits. `None` for anything else and for what does not fit.
pub(super) fn whole(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A number with at most two digits after the point, in hundredths.
pub(super) fn hundredths(word: &[u8]) -> Option<u64> {
    let mut parts = word.splitn(2, |byte| *byte == b'.');
    let units = whole(parts.next()?)?.checked_mul(100)?;
    let rest = match parts.next() {
        None => 0,
        Some(rest) if rest.len() == 1 => whole(rest)? * 10,
        Some(rest) if rest.len() == 2 => whole(rest)?,
        Some(_) => return None,
    };
    units.checked_add(rest)
}

/// A count as a sample. Above 2⁵³ the nearest number that a float holds.
#[allow(clippy::cast_precision_loss, reason = "samples are floats; counters beyond 2^53 are rounded")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// `part` of `whole` per hundred, to two digits after the point. `None` when there is nothing to be part of.
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (float(part) / float(whole) * 10_000.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn whole_numbers_are_read_and_all_else_is_none() {
        let cases: [(&[u8], Option<u64>); 8] = [
            (b"0", Some(0)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b"-1", None),
            (b"12kB", None),
            (b"1.5", None),
            (b"max", None),
        ];
        for (word, expected) in cases {
            assert_eq!(whole(word), expected, "{}", String::from_utf8_lossy(word));
        }
    }

    #[test]
    fn hundredths_take_no_more_than_two_digits_after_the_point() {
        let cases: [(&[u8], Option<u64>); 7] = [
            (b"0.87", Some(87)),
            (b"12", Some(1_200)),
            (b"3.5", Some(350)),
            (b"3.555", None),
            (b".5", None),
            (b"1.x", None),
            (b"184467440737095516.16", None),
        ];
        for (word, expected) in cases {
            assert_eq!(hundredths(word), expected, "{}", String::from_utf8_lossy(word));
        }
    }

    #[test]
    fn percent_of_nothing_is_absent() {
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(1, 3), Some(33.33));
        assert_eq!(percent(3, 3), Some(100.0));
    }

    #[test]
    fn a_file_is_read_anew_each_time_and_may_come_late_or_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat");
        let mut text = Text::new(&path);
        assert_eq!(text.read(), None);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one").unwrap();
        assert_eq!(text.read(), Some(b"one".as_slice()));
        file.set_len(0).unwrap();
        file.write_all_at(&[b'x'; 10_000], 0).unwrap();
        assert_eq!(text.read().map(<[u8]>::len), Some(10_000));
    }

    #[test]
    fn a_file_without_end_is_cut() {
        let mut text = Text::new("/dev/zero");
        assert_eq!(text.read().map(<[u8]>::len), Some(LONGEST));
    }
}
