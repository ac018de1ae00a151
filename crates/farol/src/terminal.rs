//! Where the command speaks: the one type through which it prints. Decides what a closed pipe means (nobody
//! reads any more, which is no failure), whether there is colour, and how wide a line may be.

#[cfg(test)]
pub(crate) mod printed;

use rustix::termios::{isatty, tcgetwinsize};
use std::io::{self, ErrorKind, Write};

/// Standard output, or what stands in for it.
pub struct Terminal {
    /// Where the words go.
    out: Box<dyn Write + Send>,
    /// Somebody looks at it: friendly lines, redrawing.
    interactive: bool,
    /// Status words are coloured.
    colour: bool,
    /// The columns of a line; `None` where lines may be of any length.
    width: Option<u16>,
    /// The reader went away: nothing is written any more.
    closed: bool,
}

impl Terminal {
    /// Standard output. Colour needs a terminal and the user's consent.
    #[must_use]
    pub fn stdout(colour: bool) -> Self {
        let out = io::stdout();
        let interactive = isatty(&out);
        let width = if interactive { tcgetwinsize(&out).ok().map(|size| size.ws_col) } else { None };
        Self {
            out: Box::new(out),
            interactive,
            colour: colour && interactive,
            width: width.filter(|columns| *columns > 0),
            closed: false,
        }
    }

    /// Anything else that takes bytes; as little a terminal as a file is.
    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), interactive: false, colour: false, width: None, closed: false }
    }

    /// Somebody looks at it.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Status words are coloured.
    #[must_use]
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// The columns of a line, where there is a limit.
    #[must_use]
    pub fn width(&self) -> Option<u16> {
        self.width
    }

    /// The reader went away.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Prints a text and ends its line.
    ///
    /// # Errors
    /// What the system said, but for a closed pipe: that is a reader who has seen enough.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.write(&format!("{}\n", text.trim_end_matches('\n')))
    }

    /// Empties the screen, where there is one.
    ///
    /// # Errors
    /// As for [`print`](Self::print).
    pub fn clear(&mut self) -> io::Result<()> {
        if self.interactive { self.write("\u{1b}[H\u{1b}[2J\u{1b}[3J") } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}

/// Whether a terminal that standard output once was has hung up: its window is closed, its connection lost.
#[must_use]
pub fn has_hung_up() -> bool {
    !isatty(io::stdout())
}

/// Says on standard error why the command failed, each line as the command's. Nobody is left to tell when that
/// fails.
pub fn complain(text: &str) {
    let lines: String = text.lines().map(|line| format!("farol: {line}\n")).collect();
    drop(io::stderr().write_all(lines.as_bytes()));
}

/// Text that others wrote, on one line and without anything that moves the cursor or turns the writing round.
#[must_use]
pub fn one_line(text: &str) -> String {
    let unsafe_here = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if unsafe_here(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader has gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A file on a full disk.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_gone_is_no_failure_and_is_remembered() {
        let mut terminal = Terminal::plain(Gone);
        assert!(!terminal.is_closed());
        terminal.print("a").unwrap();
        terminal.print("b").unwrap();
        assert!(terminal.is_closed());
    }

    #[test]
    fn a_full_disk_is_a_failure() {
        assert_eq!(Terminal::plain(Full).print("a").unwrap_err().kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn what_others_wrote_can_neither_break_a_line_nor_colour_it() {
        assert_eq!(one_line("a\r\nb\u{1b}[31mc\u{202e}d é"), "a  b [31mc d é");
    }
}
