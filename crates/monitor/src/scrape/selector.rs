//! Prometheus' series selectors: `name{label="value", other=~"pattern"}`. Decides which labels match; patterns match
//! the whole value, and an absent label is an empty one.

use regex::{Regex, RegexBuilder};

/// Bytes of a selector.
const BYTES: usize = 4_096;
/// Memory of one compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

/// One selector: all its matchers must hold.
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) matchers: Vec<Matcher>,
}

/// One condition on one label.
#[derive(Debug)]
pub(super) struct Matcher {
    /// The label; `__name__` is the metric's name.
    pub(super) label: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Is(String),
    IsNot(String),
    Matches(Regex),
    MatchesNot(Regex),
}

impl Matcher {
    /// Whether the label's value fulfils it.
    pub(super) fn holds(&self, value: &str) -> bool {
        match &self.test {
            Test::Is(wanted) => value == wanted,
            Test::IsNot(unwanted) => value != unwanted,
            Test::Matches(pattern) => pattern.is_match(value),
            Test::MatchesNot(pattern) => !pattern.is_match(value),
        }
    }
}

/// Why a selector is none: what is wrong, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at}; write for instance `up` or `system_load1{{agent=~\"web-.*\"}}`")]
pub(super) struct SelectorError {
    what: String,
    at: usize,
}

impl Selector {
    /// Reads a selector.
    pub(super) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut reader = Reader { text, at: 0 };
        if text.len() > BYTES {
            return Err(reader.error(format!("more than {BYTES} bytes")));
        }
        let mut matchers = Vec::new();
        reader.skip_space();
        let name = reader.word(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(SelectorError { what: "a name that begins with a digit".to_owned(), at: 1 });
        }
        if !name.is_empty() {
            matchers.push(Matcher { label: "__name__".to_owned(), test: Test::Is(name.to_owned()) });
        }
        reader.skip_space();
        if reader.take("{") {
            reader.matchers(&mut matchers)?;
        }
        reader.skip_space();
        if reader.at < text.len() {
            return Err(reader.error("something that belongs to no selector"));
        }
        if matchers.iter().all(|matcher| matcher.holds("")) {
            return Err(reader.error("nothing that narrows the choice"));
        }
        Ok(Self { matchers })
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, what: impl Into<String>) -> SelectorError {
        let at = self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1;
        SelectorError { what: what.into(), at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, sign: &str) -> bool {
        let is = self.rest().starts_with(sign);
        self.at += if is { sign.len() } else { 0 };
        is
    }

    fn word(&mut self, legal: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| legal(*byte)).count();
        self.at += length;
        &rest[..length]
    }

    /// Everything after `{`, the closing brace included.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
        loop {
            self.skip_space();
            if self.take("}") {
                return Ok(());
            }
            matchers.push(self.matcher()?);
            self.skip_space();
            if !self.take(",") && !self.rest().starts_with('}') {
                return Err(self.error("neither `,` nor `}`"));
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let label = self.word(|b| b.is_ascii_alphanumeric() || b == b'_').to_owned();
        if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.error("no label's name"));
        }
        self.skip_space();
        // The longer operators first.
        let operators = ["=~", "!~", "!=", "="];
        let Some(operator) = operators.into_iter().find(|sign| self.take(sign)) else {
            return Err(self.error("none of `=`, `!=`, `=~` and `!~`"));
        };
        self.skip_space();
        let begins = self.at;
        let value = self.string()?;
        let pattern =
            |value: &str| whole(value).map_err(|why| Reader { text: self.text, at: begins }.error(why));
        let test = match operator {
            "=" => Test::Is(value),
            "!=" => Test::IsNot(value),
            "=~" => Test::Matches(pattern(&value)?),
            _ => Test::MatchesNot(pattern(&value)?),
        };
        Ok(Matcher { label, test })
    }

    fn string(&mut self) -> Result<String, SelectorError> {
        let Some(quote) = ['"', '\'', '`'].into_iter().find(|quote| self.rest().starts_with(*quote)) else {
            return Err(self.error("no text in quotation marks"));
        };
        self.at += 1;
        let mut value = String::new();
        let mut signs = self.rest().char_indices();
        while let Some((at, sign)) = signs.next() {
            match sign {
                _ if sign == quote => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' if quote != '`' => {
                    let escaped = signs.next().and_then(|(_, sign)| unescaped(sign, quote));
                    let Some(sign) = escaped else {
                        self.at += at;
                        return Err(self.error("an unknown escape"));
                    };
                    value.push(sign);
                }
                _ => value.push(sign),
            }
        }
        Err(self.error("a text without an end"))
    }
}

fn unescaped(sign: char, quote: char) -> Option<char> {
    match sign {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '\\' => Some('\\'),
        _ if sign == quote => Some(quote),
        _ => None,
    }
}

/// A pattern for the whole value. It must be one by itself, so that it cannot close the group around it.
fn whole(pattern: &str) -> Result<Regex, String> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
    let said = |error: regex::Error| match error {
        regex::Error::CompiledTooBig(_) => "a pattern that is too large".to_owned(),
        _ => "a pattern that is no regular expression".to_owned(),
    };
    build(pattern).map_err(said)?;
    build(&format!("^(?s:{pattern})$")).map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let value =
            |name: &str| labels.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        Selector::parse(selector).unwrap().matchers.iter().all(|m| m.holds(value(&m.label)))
    }

    #[test]
    fn selectors_select() {
        let labels = [("__name__", "up"), ("agent", "web-1"), ("path", "a\"b\\c\nd")];
        let cases = [
            ("up", true),
            (" up { } ", true),
            ("down", false),
            ("{__name__=\"up\"}", true),
            ("{__name__=~\"u.\"}", true),
            ("{__name__=~\"u\"}", false),
            ("up{agent=\"web-1\",}", true),
            ("up{agent='web-1'}", true),
            ("up{agent=`web-1`}", true),
            ("up{agent!=\"web-1\"}", false),
            ("up{agent=~\"web-.*|db-.*\"}", true),
            ("up{agent=~\"eb|web\"}", false),
            ("up{agent!~\"db-.*\"}", true),
            ("up{absent=\"\"}", true),
            ("up{absent!=\"\"}", false),
            ("up{absent=~\".*\"}", true),
            ("up{path=\"a\\\"b\\\\c\\nd\"}", true),
            ("up{path=~\"a.*d\"}", true),
            ("up{agent = \"web-1\" , path != 'x' }", true),
        ];
        for (selector, expected) in cases {
            assert_eq!(matches(selector, &labels), expected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_told_with_its_place() {
        let cases = [
            ("", "narrows"),
            ("{}", "narrows"),
            ("{agent=~\".*\"}", "narrows"),
            ("{agent=\"\"}", "narrows"),
            ("1up", "digit"),
            ("up{", "no label's name"),
            ("up{agent", "none of"),
            ("up{agent==\"x\"}", "quotation"),
            ("up{agent=x}", "quotation"),
            ("up{agent=\"x}", "without an end"),
            ("up{agent=\"\\q\"}", "escape"),
            ("up{agent=\"x\" path=\"y\"}", "neither"),
            ("up{agent=\"x\"} or down", "belongs to no selector"),
            ("up{agent=~\"a)|(b\"}", "regular expression"),
            ("up{agent=~\"(\"}", "regular expression"),
            ("up{agent=~\"(((a{1,999}){1,999}){1,999})\"}", "too large"),
            ("über", "belongs to no selector"),
        ];
        for (selector, expected) in cases {
            let error = Selector::parse(selector).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("at character"), "{selector}: {error}");
        }
        assert!(Selector::parse(&"x".repeat(BYTES + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_brings_the_reader_down(text in "\\PC{0,40}|[a-z{}=~!\"'`\\\\, ]{0,40}") {
            let _told = Selector::parse(&text).map(|_| ());
        }
    }
}
