//! The query of a request, checked against what its route declares: what is not declared, twice there, not UTF-8
//! or not of its kind is refused with what to do. Reads no clock: `now` is an argument.

use super::problem::Problem;
use super::route::{Kind, Param};
use jiff::Timestamp;

/// The checked query of a request; in its extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Vec<(String, String)>);

/// Pages hold so many at most.
pub(crate) const LIMIT_AT_MOST: u64 = 10_000;
/// And so many when nothing is said.
const LIMIT_DEFAULT: u64 = 1_000;

/// How many.
pub(crate) const LIMIT: Param = Param::new(
    "limit",
    Kind::Number(1, LIMIT_AT_MOST),
    "How many items at most: 1 to 10000, 1000 when not given.",
);
/// From where.
pub(crate) const AFTER: Param =
    Param::new("after", Kind::Text, "Only what comes after this: the `next` of the page before.");

impl Asked {
    /// Reads a query as its route declares it.
    pub(crate) fn read(query: Option<&str>, params: &[Param]) -> Result<Self, Problem> {
        let mut asked = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let Some(param) = params.iter().find(|p| p.name == name) else {
                return Err(unknown(&name, params));
            };
            let twice = asked.iter().any(|(known, _)| *known == name);
            if twice && !matches!(param.kind, Kind::Texts) {
                return Err(bad(&name, "is there twice; give it once"));
            }
            check(param, &value)?;
            asked.push((name, value));
        }
        let missing = |param: &&Param| param.required && asked.iter().all(|(name, _)| *name != param.name);
        if let Some(param) = params.iter().find(missing) {
            let detail = format!("`{}` is missing. {}", param.name, param.about);
            return Err(Problem::bad_request("missing_parameter", detail));
        }
        Ok(Self(asked))
    }

    /// A parameter as it was written.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that may be repeated.
    pub(crate) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The page's size.
    pub(crate) fn limit(&self) -> usize {
        let asked = self.text(LIMIT.name).and_then(|text| text.parse().ok()).unwrap_or(LIMIT_DEFAULT);
        usize::try_from(asked).unwrap_or(usize::MAX)
    }

    /// What the page comes after.
    pub(crate) fn after(&self) -> Option<&str> {
        self.text(AFTER.name)
    }

    /// A duration in milliseconds.
    pub(crate) fn duration_ms(&self, name: &str) -> Option<i64> {
        duration_ms(self.text(name)?)
    }

    /// A moment in unix milliseconds.
    pub(crate) fn time_ms(&self, name: &str, now_ms: i64) -> Option<i64> {
        time_ms(self.text(name)?, now_ms)
    }
}

fn bad(name: &str, what: &str) -> Problem {
    Problem::bad_request("bad_parameter", format!("`{}` {what}", shown(name)))
}

/// At most so much of a stranger's text is given back.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

fn unknown(name: &str, params: &[Param]) -> Problem {
    let known: Vec<_> = params.iter().map(|p| format!("`{}`", p.name)).collect();
    let known = if known.is_empty() {
        "there are none here".to_owned()
    } else {
        format!("known are {}", known.join(", "))
    };
    Problem::bad_request("unknown_parameter", format!("`{}` is no parameter here; {known}", shown(name)))
}

/// `+` is a space and `%xx` a byte; the bytes must be UTF-8.
fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_encoding::percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Problem::bad_request(
            "not_utf8",
            format!("`{}` in the query is not UTF-8; write text as UTF-8, percent-encoded", shown(text)),
        )),
    }
}

fn check(param: &Param, value: &str) -> Result<(), Problem> {
    let of = |fits: bool, what: String| {
        if fits { Ok(()) } else { Err(bad(param.name, &format!("is `{}`; {what}", shown(value)))) }
    };
    match param.kind {
        Kind::Text | Kind::Texts => of(!value.is_empty(), "give it a value, or leave it out".into()),
        Kind::Number(least, most) => of(
            value.parse().is_ok_and(|n: u64| (least..=most).contains(&n)),
            format!("write a whole number from {least} to {most}"),
        ),
        Kind::Duration => of(
            duration_ms(value).is_some(),
            "write a duration like `15s`, `500ms`, `5m`, `1h` or `7d`".into(),
        ),
        Kind::Time => of(
            time_ms(value, 0).is_some(),
            "write RFC 3339 (`2026-01-15T10:30:00Z`), `now`, or a time before now like `-15m`".into(),
        ),
        Kind::Word(words) => of(words.contains(&value), format!("write one of {}", words.join(", "))),
    }
}

pub(super) fn duration_ms(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor: i64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(factor)
}

pub(super) fn time_ms(text: &str, now_ms: i64) -> Option<i64> {
    if text == "now" {
        return Some(now_ms);
    }
    if let Some(before) = text.strip_prefix('-') {
        return now_ms.checked_sub(duration_ms(before)?);
    }
    // A `+` that was not percent-encoded has become a space.
    let text = text.replace(' ', "+");
    Some(text.parse::<Timestamp>().ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: [Param; 6] = [
        LIMIT,
        AFTER,
        Param::new("match[]", Kind::Texts, ""),
        Param::new("step", Kind::Duration, ""),
        Param::new("from", Kind::Time, ""),
        Param::new("reduce", Kind::Word(&["avg", "max"]), ""),
    ];

    fn detail(query: &str) -> String {
        format!("{:?}", Asked::read(Some(query), &PARAMS).unwrap_err())
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let asked = Asked::read(
            Some("limit=7&after=a%20b+c%2B&match[]=x&&match%5B%5D=y&step=5m&from=2026-01-15T10:30:00+01:00&reduce=max"),
            &PARAMS,
        )
        .unwrap();
        assert_eq!(asked.limit(), 7);
        assert_eq!(asked.after(), Some("a b c+"));
        assert_eq!(asked.texts("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(asked.duration_ms("step"), Some(300_000));
        let at: Timestamp = "2026-01-15T09:30:00Z".parse().unwrap();
        assert_eq!(asked.time_ms("from", 0), Some(at.as_millisecond()));
        assert_eq!(Asked::read(None, &PARAMS).unwrap().limit(), 1_000);
    }

    #[test]
    fn times_may_be_told_from_now() {
        for (text, expected) in [
            ("now", Some(9_000_000)),
            ("-15m", Some(8_100_000)),
            ("-0s", Some(9_000_000)),
            ("15m", None),
            ("", None),
        ] {
            assert_eq!(time_ms(text, 9_000_000), expected, "{text}");
        }
    }

    #[test]
    fn what_must_be_given_is_asked_for() {
        let params = [Param::required("metric", Kind::Text, "The metric's name.")];
        assert_eq!(Asked::read(Some("metric=x"), &params).unwrap().text("metric"), Some("x"));
        let error = format!("{:?}", Asked::read(None, &params).unwrap_err());
        assert!(error.contains("missing_parameter") && error.contains("The metric's name."), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        let cases = [
            ("limit=0", "from 1 to 10000"),
            ("limit=ten", "from 1 to 10000"),
            ("limit=1&limit=2", "twice"),
            ("step=5", "`15s`"),
            ("step=s", "`15s`"),
            ("step=99999999999999999999s", "`15s`"),
            ("from=yesterday", "RFC 3339"),
            ("reduce=median", "one of avg, max"),
            ("after=", "leave it out"),
            ("colour=red", "known are `limit`, `after`"),
            ("after=%ff", "UTF-8"),
            ("%c3%28=1", "UTF-8"),
        ];
        for (query, expected) in cases {
            assert!(detail(query).contains(expected), "{query}: {}", detail(query));
        }
    }
}
