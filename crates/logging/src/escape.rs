//! How a value is written so that it can neither end a line, move a terminal's cursor, nor forge a record.
//! It does not judge values: it only spells them.

use std::fmt::Write as _;

/// Characters that some reader takes for a line's end, a terminal's command or a change of direction.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_plain_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// A JSON string with its quotes: lossless, and always within one line.
pub(crate) fn json(out: &mut String, text: &str) {
    out.push('"');
    if is_plain_ascii(text) {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                // Each dangerous character lies in the basic plane, so one \u is enough.
                c if is_dangerous(c) => put(out, format_args!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
        }
    }
    out.push('"');
}

/// The text of a message for a human: as it is, with dangerous characters spelled out.
pub(crate) fn text(out: &mut String, text: &str) {
    if is_plain_ascii(text) {
        return out.push_str(text);
    }
    for c in text.chars() {
        visible(out, c);
    }
}

/// The value of `key=value` for a human: quoted when it would otherwise not be seen as one word.
pub(crate) fn word(out: &mut String, text: &str) {
    let bare = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !is_dangerous(c) && !matches!(c, '"' | '\\' | '='));
    if bare {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        visible(out, c);
    }
    out.push('"');
}

fn visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_dangerous(c) => put(out, format_args!("\\u{{{:x}}}", u32::from(c))),
        c => out.push(c),
    }
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_form_spells_what_is_dangerous() {
        for (given, json, text, word) in [
            ("plain", r#""plain""#, "plain", "plain"),
            ("", r#""""#, "", r#""""#),
            ("two words", r#""two words""#, "two words", r#""two words""#),
            ("a=b", r#""a=b""#, "a=b", r#""a=b""#),
            ("line\r\nnext", r#""line\r\nnext""#, r"line\r\nnext", r#""line\r\nnext""#),
            ("\u{1b}[31mred", r#""\u001b[31mred""#, r"\u{1b}[31mred", r#""\u{1b}[31mred""#),
            ("nul\0", r#""nul\u0000""#, r"nul\u{0}", r#""nul\u{0}""#),
            ("c1\u{9b}", r#""c1\u009b""#, r"c1\u{9b}", r#""c1\u{9b}""#),
            ("ls\u{2028}", r#""ls\u2028""#, r"ls\u{2028}", r#""ls\u{2028}""#),
            ("bidi\u{202e}", r#""bidi\u202e""#, r"bidi\u{202e}", r#""bidi\u{202e}""#),
            (r#"q"\"#, r#""q\"\\""#, r#"q"\"#, r#""q\"\\""#),
            ("über", r#""über""#, "über", "über"),
        ] {
            for (name, form, expected) in [
                ("json", super::json as fn(&mut String, &str), json),
                ("text", super::text, text),
                ("word", super::word, word),
            ] {
                let mut out = String::new();
                form(&mut out, given);
                assert_eq!(out, expected, "{name} of {given:?}");
            }
        }
    }
}
