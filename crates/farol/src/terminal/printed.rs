//! What a command printed, for tests.

use super::Terminal;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Stands in for standard output and keeps what is written.
#[derive(Clone, Default)]
pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    /// A terminal that writes here.
    pub(crate) fn terminal(&self) -> Terminal {
        Terminal::plain(self.clone())
    }

    /// All that was written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
