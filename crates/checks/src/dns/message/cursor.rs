//! Goes through the bytes of a message. Every step says `None` rather than read beyond the end.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest name on the wire.
const MAX_NAME: usize = 255;

/// A place in a message.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'m> {
    /// The whole message: names point into it.
    message: &'m [u8],
    at: usize,
    /// Nothing behind this is read.
    end: usize,
}

impl<'m> Cursor<'m> {
    pub(super) fn new(message: &'m [u8]) -> Self {
        Self { message, at: 0, end: message.len() }
    }

    fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(*self.take(1)?.first()?)
    }

    /// Two bytes.
    pub(super) fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A part with its length before it.
    pub(super) fn part(&mut self) -> Option<Cursor<'m>> {
        let length = self.number()?;
        let start = self.at;
        self.take(usize::from(length))?;
        Some(Cursor { message: self.message, at: start, end: self.at })
    }

    /// A name in lower case without its last dot. Pointers must lead backwards, so each ends.
    pub(super) fn name(&mut self) -> Option<String> {
        let (mut name, mut length) = (String::new(), 0);
        let mut here = self.clone();
        let mut jumped = false;
        loop {
            let start = here.at;
            let first = here.byte()?;
            if first & 0b1100_0000 == 0b1100_0000 {
                let low = here.byte()?;
                if !jumped {
                    self.at = here.at;
                    jumped = true;
                }
                let to = usize::from(u16::from_be_bytes([first & 0b0011_1111, low]));
                if to >= start {
                    return None;
                }
                // What a pointer leads to ends before the pointer, so that two can't lead to each other.
                here = Cursor { message: self.message, at: to, end: start };
                continue;
            }
            if first & 0b1100_0000 != 0 {
                return None;
            }
            if first == 0 {
                break;
            }
            let label = here.take(usize::from(first))?;
            length += label.len() + 1;
            if length > MAX_NAME {
                return None;
            }
            if !name.is_empty() {
                name.push('.');
            }
            label.iter().for_each(|byte| push(&mut name, *byte));
        }
        if !jumped {
            self.at = here.at;
        }
        Some(if name.is_empty() { ".".to_owned() } else { name })
    }

    /// The normal form of the record that fills this part; `Some(None)` for types nobody asks for.
    pub(super) fn record(&mut self, kind: u16) -> Option<Option<String>> {
        let text = match kind {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(self.rest()?).ok()?).to_string(),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(self.rest()?).ok()?).to_string(),
            2 | 5 => self.name()?,
            15 => format!("{} {}", self.number()?, self.name()?),
            33 => format!("{} {} {} {}", self.number()?, self.number()?, self.number()?, self.name()?),
            16 => {
                let mut text = Vec::new();
                while self.at < self.end {
                    let length = self.byte()?;
                    text.extend_from_slice(self.take(usize::from(length))?);
                }
                String::from_utf8_lossy(&text).into_owned()
            }
            _ => return Some(None),
        };
        Some(Some(text))
    }

    fn rest(&mut self) -> Option<&'m [u8]> {
        self.take(self.end - self.at)
    }
}

/// One byte of a label as zone files write it.
fn push(name: &mut String, byte: u8) {
    match byte {
        b'.' | b'\\' => name.extend(['\\', char::from(byte)]),
        33..=126 => name.push(char::from(byte.to_ascii_lowercase())),
        // Writing to a string cannot fail.
        other => drop(write!(name, "\\{other:03}")),
    }
}
