//! What a plugin printed, taken apart: its first line, and its performance data. Pure. What the data mean is decided
//! in `performance.rs`.

/// Bytes of a message.
const MESSAGE_BYTES: usize = 512;

/// What a plugin said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Its first line without the performance data, of its errors when it printed nothing.
    pub(super) message: String,
    /// All performance data.
    pub(super) performance: String,
}

impl Said {
    pub(super) fn of(stdout: &[u8], stderr: &[u8]) -> Self {
        let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
        let (first, rest) = stdout.split_once('\n').unwrap_or((&stdout, ""));
        let (text, data) = first.split_once('|').unwrap_or((first, ""));
        // Long text follows; from the next bar on all lines are data.
        let more = rest.split_once('|').map_or("", |(_, more)| more);
        let message = clean(text);
        let message = if message.is_empty() {
            stderr.lines().map(clean).find(|line| !line.is_empty()).unwrap_or_default()
        } else {
            message
        };
        Self { message, performance: format!("{data} {more}") }
    }
}

/// One line that can be printed anywhere: no escape sequences, no control characters, not too long.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            c if c.is_control() || is_invisible(c) => cleaned.push(' '),
            c => cleaned.push(c),
        }
        if cleaned.len() > MESSAGE_BYTES {
            let mut end = MESSAGE_BYTES - '…'.len_utf8();
            while !cleaned.is_char_boundary(end) {
                end -= 1;
            }
            cleaned.truncate(end);
            cleaned.push('…');
            break;
        }
    }
    cleaned.trim().to_owned()
}

/// Line and paragraph separators, and what turns the direction of text around.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `ESC [ … letter`; of any other sequence only the next character belongs to it.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    if characters.next() == Some('[') {
        characters.find(|c| ('\u{40}'..='\u{7e}').contains(c));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_output_comes_apart_as_the_guidelines_say() {
        for (out, err, message, data) in [
            ("OK - all well\n", "", "OK - all well", ""),
            ("OK|a=1 b=2\n", "", "OK", "a=1 b=2"),
            ("OK | a=1\nlong text\nmore | b=2\nc=3\n", "", "OK", "a=1 b=2 c=3"),
            ("OK\nlong | b=2", "", "OK", "b=2"),
            ("", "cannot open x\nline 2\n", "cannot open x", ""),
            ("\nsecond", "\n \nreason\n", "reason", ""),
            ("", "", "", ""),
        ] {
            let said = Said::of(out.as_bytes(), err.as_bytes());
            let words: Vec<_> = said.performance.split_whitespace().collect();
            assert_eq!((said.message.as_str(), words.join(" ").as_str()), (message, data), "{out:?}");
        }
    }

    #[test]
    fn nothing_that_is_printed_can_forge_a_line_or_paint_a_terminal() {
        for (text, expected) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\rb\0c\u{7}d\u{9b}e", "a b c d e"),
            ("\u{1b}]0;title\u{7}x", "0;title x"),
            ("a\u{202e}b\u{2028}c", "a b c"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("  spaced  ", "spaced"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
        assert_eq!(Said::of(b"\xff\xfe ok", b"").message, "\u{fffd}\u{fffd} ok");
    }

    #[test]
    fn a_long_line_is_cut_at_a_characters_end() {
        for text in ["x".repeat(10_000), "ü".repeat(10_000), "€".repeat(10_000)] {
            let cut = clean(&text);
            assert!(cut.len() <= MESSAGE_BYTES && cut.len() > MESSAGE_BYTES - 8 && cut.ends_with('…'));
        }
        assert_eq!(clean(&"x".repeat(MESSAGE_BYTES)).len(), MESSAGE_BYTES);
    }
}
