//! Text of others on its way to people: what cannot be seen becomes visible, what is too long is cut. How a format
//! escapes is each receiver's business.

use std::borrow::Cow;

/// Line ends stay line ends.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    visible(text, true)
}

/// Line ends become visible too: the text stays one line, whatever it holds.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    visible(text, false)
}

fn visible(text: &str, breaks: bool) -> Cow<'_, str> {
    let plain = |c: char| (breaks && c == '\n') || !is_hidden(c);
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if plain(c) => shown.push(c),
            // Unicode has a picture of each of these: `␍` for a carriage return.
            '\0'..='\x1f' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\x7f' => shown.push('\u{2421}'),
            c => shown.push_str(&format!("[U+{:04X}]", u32::from(c))),
        }
    }
    Cow::Owned(shown)
}

/// Controls, and what turns the direction of a line, breaks it or has no width.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most so many characters; a cut is marked with `…`.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most || text.chars().count() <= most {
        return Cow::Borrowed(text);
    }
    let mut shown: String = text.chars().take(most.saturating_sub(1)).collect();
    shown.push('…');
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_becomes_visible_and_all_else_stays_as_it_is() {
        for (text, one_line, many) in [
            ("cpu 92 % on pod-ä ✓", "cpu 92 % on pod-ä ✓", "cpu 92 % on pod-ä ✓"),
            ("a\r\nBcc: b", "a␍␊Bcc: b", "a␍\nBcc: b"),
            ("\x1b[31mred\x07\0\x7f", "␛[31mred␇␀␡", "␛[31mred␇␀␡"),
            ("\u{202e}gpj.exe\u{2028}", "[U+202E]gpj.exe[U+2028]", "[U+202E]gpj.exe[U+2028]"),
            ("\u{9b}x\u{85}", "[U+009B]x[U+0085]", "[U+009B]x[U+0085]"),
            ("{{ 7*7 }} ${HOME} <script>", "{{ 7*7 }} ${HOME} <script>", "{{ 7*7 }} ${HOME} <script>"),
        ] {
            assert_eq!(line(text), one_line);
            assert_eq!(lines(text), many);
        }
    }

    #[test]
    fn a_cut_is_marked_and_never_splits_a_character() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
