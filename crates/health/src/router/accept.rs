//! Which of the two JSON forms a caller wants, by its `Accept` header. A caller that wants neither gets plain
//! JSON: a probe is never refused for its taste.

use axum::http::{HeaderMap, header};

const PLAIN: &str = "application/json";
const HEALTH: &str = "application/health+json";

/// True when `application/health+json` is named, and liked at least as well as plain JSON.
pub(super) fn prefers_health_json(headers: &HeaderMap) -> bool {
    let mut named = None;
    let mut plain = Liking::default();
    for range in
        headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','))
    {
        let Some((range, quality)) = parse(range) else { continue };
        if range.eq_ignore_ascii_case(HEALTH) {
            named = named.max(Some(quality));
        }
        plain.note(range, quality);
    }
    named.is_some_and(|quality| quality > 0 && quality >= plain.thousandths())
}

/// How well plain JSON is liked: the most specific range that covers it counts.
#[derive(Default)]
struct Liking {
    exact: Option<u16>,
    application: Option<u16>,
    anything: Option<u16>,
}

impl Liking {
    fn note(&mut self, range: &str, quality: u16) {
        let place = if range.eq_ignore_ascii_case(PLAIN) {
            &mut self.exact
        } else if range.eq_ignore_ascii_case("application/*") {
            &mut self.application
        } else if range == "*/*" {
            &mut self.anything
        } else {
            return;
        };
        *place = (*place).max(Some(quality));
    }

    fn thousandths(&self) -> u16 {
        self.exact.or(self.application).or(self.anything).unwrap_or(0)
    }
}

/// A media range and its quality in thousandths; a range with a malformed quality is passed over.
fn parse(range: &str) -> Option<(&str, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut quality = 1_000;
    for part in parts {
        if let Some((key, value)) = part.split_once('=')
            && key.trim().eq_ignore_ascii_case("q")
        {
            quality = thousandths(value.trim())?;
        }
    }
    Some((name, quality))
}

/// `0`, `1`, `0.5`, `1.000`: at most three digits after the point and never over one.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_json_goes_to_who_names_it_and_likes_it_no_less_than_json() {
        let cases: [(&[&str], bool); 20] = [
            (&[], false),
            (&["*/*"], false),
            (&["application/*"], false),
            (&["text/html"], false),
            (&["application/json"], false),
            (&["application/health+json"], true),
            (&["Application/Health+JSON; charset=utf-8"], true),
            (&["application/health+json, application/json"], true),
            (&["application/json, application/health+json"], true),
            (&["application/json", "application/health+json"], true),
            (&["application/health+json;q=0.5, application/json"], false),
            (&["application/health+json, application/json;q=0.9"], true),
            (&["application/health+json ; q=0.2 , */*;q=0.1"], true),
            (&["application/health+json;q=0.2, */*"], false),
            (&["application/health+json;q=0"], false),
            (&["application/health+json;q=0.000"], false),
            (&["application/health+json;q=NaN"], false),
            (&["application/health+json;q=7"], false),
            (&["application/health+json;q=0.5, application/json;q=junk"], true),
            (&[",,;;q=1, application/health+json;q=0.1, application/*;q=0.05, */*"], true),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::ACCEPT, line.parse().unwrap());
            }
            assert_eq!(prefers_health_json(&headers), expected, "{lines:?}");
        }
    }
}
