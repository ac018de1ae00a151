//! Open file descriptors of the whole machine, from `/proc/sys/fs/file-nr`.

use super::text::{Text, float, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// Counts open file descriptors.
pub(super) struct FileDescriptors {
    file_nr: Text,
    open: Arc<Series>,
    max: Arc<Series>,
}

impl FileDescriptors {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            file_nr: Text::new(config.proc.join("sys/fs/file-nr")),
            open: Arc::new(Series::gauge("system_open_file_descriptors", Unit::None)),
            max: Arc::new(Series::gauge("system_file_descriptors_max", Unit::None)),
        }
    }
}

impl Collect for FileDescriptors {
    fn collect(&mut self, out: &mut Row) {
        let Some(text) = self.file_nr.read() else { return };
        let (open, max) = parse(text);
        out.push_some(&self.open, open.map(float));
        out.push_some(&self.max, max.map(float));
    }
}

/// `allocated unused max`: open is what is allocated and in use.
fn parse(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let mut words = words(text.trim_ascii()).map(whole);
    let mut next = || words.next().flatten();
    let (allocated, unused, max) = (next(), next(), next());
    (allocated.zip(unused).map(|(allocated, unused)| allocated.saturating_sub(unused)), max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_descriptors_are_those_in_use() {
        type Expected = (Option<u64>, Option<u64>);
        let cases: [(&[u8], Expected); 4] = [
            (b"538\t0\t2465966\n", (Some(538), Some(2_465_966))),
            (b"538\t38\t9223372036854775807\n", (Some(500), Some(9_223_372_036_854_775_807))),
            (b"538\n", (None, None)),
            (b"", (None, None)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }
}
