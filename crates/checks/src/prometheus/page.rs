//! Reads a page of metrics, in Prometheus' text format or OpenMetrics, as it comes, and keeps only the series that
//! are meant. Lines of other metrics are only looked at as far as telling a page from something else needs. Pure.

use super::labels::{braces, name};
use super::selector::Selector;
use crate::failure::Failure;

/// A longer line is no metric.
const MAX_LINE: usize = 64 << 10;
/// No more of a page is read.
const MAX_PAGE: usize = 64 << 20;
/// So many series may be meant.
const MAX_SERIES: usize = 1_000;
/// So much of a series' text is kept, for a message.
const MAX_SHOWN: usize = 200;

/// A series that is meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// Name and labels as the page writes them.
    pub(super) text: String,
    pub(super) value: f64,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A line that is none.
    NotMetrics,
    /// It goes on and on.
    TooLarge,
    /// The selector means too many.
    TooMany,
}

impl Fault {
    pub(super) fn failure(self, target: &str) -> Failure {
        let (reason, what) = match self {
            Self::NotMetrics => {
                ("not_prometheus", "does not answer with metrics that Prometheus reads: correct the URL")
            }
            Self::TooLarge => ("page_too_large", "answers with more than 64 MiB: ask it for fewer metrics"),
            Self::TooMany => {
                ("too_many_series", "has more than 1000 such series: name more labels in `metric`")
            }
        };
        Failure::theirs(reason, format!("{target} {what}"))
    }
}

/// A page that is being read.
pub(super) struct Page<'s> {
    selector: &'s Selector,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// All that came so far, in bytes.
    read: usize,
    found: Vec<Series>,
}

impl<'s> Page<'s> {
    pub(super) fn new(selector: &'s Selector) -> Self {
        Self { selector, begun: Vec::new(), read: 0, found: Vec::new() }
    }

    /// Takes the next part.
    pub(super) fn feed(&mut self, mut part: &[u8]) -> Result<(), Fault> {
        self.read = self.read.saturating_add(part.len());
        if self.read > MAX_PAGE {
            return Err(Fault::TooLarge);
        }
        while let Some(end) = memchr::memchr(b'\n', part) {
            let (line, rest) = part.split_at(end);
            part = &rest[1..];
            if self.begun.is_empty() {
                self.line(line)?;
            } else {
                self.begun.extend_from_slice(line);
                let line = std::mem::take(&mut self.begun);
                self.line(&line)?;
            }
        }
        self.begun.extend_from_slice(part);
        if self.begun.len() > MAX_LINE { Err(Fault::NotMetrics) } else { Ok(()) }
    }

    /// The series that are meant.
    pub(super) fn finish(mut self) -> Result<Vec<Series>, Fault> {
        let line = std::mem::take(&mut self.begun);
        self.line(&line)?;
        Ok(self.found)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let line = std::str::from_utf8(line).map_err(|_| Fault::NotMetrics)?.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (metric, rest) = name(line);
        let labelled = rest.trim_start().strip_prefix('{');
        if !metric.is_empty() && metric != self.selector.name() {
            // A word with a number behind it, or one with labels.
            return if labelled.is_some() { Ok(()) } else { value(rest).map(drop) };
        }
        let Some(inside) = labelled else {
            let series = Series { text: metric.to_owned(), value: value(rest)? };
            return if metric.is_empty() { Err(Fault::NotMetrics) } else { self.keep(&[], series) };
        };
        let read = braces(inside).ok_or(Fault::NotMetrics)?;
        let quoted = read.name.as_deref();
        if metric.is_empty() && quoted.is_none() {
            return Err(Fault::NotMetrics);
        }
        let value = value(read.rest)?;
        if metric.is_empty() && quoted != Some(self.selector.name()) {
            return Ok(());
        }
        let text = line[..line.len() - read.rest.len()].chars().filter(|c| !c.is_control());
        self.keep(&read.labels, Series { text: text.take(MAX_SHOWN).collect(), value })
    }

    fn keep(&mut self, labels: &[super::labels::Label<'_>], series: Series) -> Result<(), Fault> {
        if !self.selector.means(labels) {
            return Ok(());
        }
        if self.found.len() >= MAX_SERIES {
            return Err(Fault::TooMany);
        }
        self.found.push(series);
        Ok(())
    }
}

/// The number behind a name and its labels; time and exemplar may follow.
fn value(text: &str) -> Result<f64, Fault> {
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    word.parse().map_err(|_| Fault::NotMetrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP depth How deep.\n# TYPE depth gauge\n\
        depth{queue=\"mail\",host=\"a\"} 5 1700000000000\n\
        depth{queue=\"print\"} +Inf\n\
        depth_total 7\n  other{x=\"}\"} 1\n\
        {\"depth\",queue=\"utf8\"} 9\n{\"else\"} 1\n\
        depth 3 # {trace_id=\"x\"} 1 2\n# EOF";

    fn read(text: &str, selector: &str, step: usize) -> Result<Vec<(String, f64)>, Fault> {
        let selector = Selector::parse(selector).unwrap();
        let mut page = Page::new(&selector);
        text.as_bytes().chunks(step).try_for_each(|part| page.feed(part))?;
        Ok(page.finish()?.into_iter().map(|series| (series.text, series.value)).collect())
    }

    #[test]
    fn the_series_that_are_meant_are_found_however_the_page_is_cut() {
        for step in [1, 2, 7, 64, 10_000] {
            let all = read(PAGE, "depth", step).unwrap();
            let values: Vec<f64> = all.iter().map(|(_, value)| *value).collect();
            assert_eq!(values, [5.0, f64::INFINITY, 9.0, 3.0], "{step}");
            assert_eq!(all[0].0, "depth{queue=\"mail\",host=\"a\"}");
            assert_eq!(read(PAGE, "depth{queue=\"mail\"}", step).unwrap().len(), 1);
            assert_eq!(read(PAGE, "depth{queue=\"\"}", step).unwrap(), [("depth".to_owned(), 3.0)]);
        }
        assert_eq!(read(PAGE, "gone", 64), Ok(vec![]));
        assert_eq!(read("", "gone", 64), Ok(vec![]));
        assert!(read("depth NaN", "depth", 64).unwrap()[0].1.is_nan());
    }

    #[test]
    fn what_is_no_page_of_metrics_is_told() {
        let (long, lines) = ("x".repeat(MAX_LINE + 1), "depth 1\n".repeat(MAX_SERIES + 1));
        for (text, fault) in [
            ("<html>", Fault::NotMetrics),
            ("{\"status\":\"ok\"}", Fault::NotMetrics),
            ("{}", Fault::NotMetrics),
            ("ok", Fault::NotMetrics),
            ("all is well", Fault::NotMetrics),
            ("depth", Fault::NotMetrics),
            ("depth{a=\"b\"", Fault::NotMetrics),
            ("depth{a=\"b\"} high", Fault::NotMetrics),
            (" 5", Fault::NotMetrics),
            (&long, Fault::NotMetrics),
            (&lines, Fault::TooMany),
        ] {
            assert_eq!(read(text, "depth", 4096), Err(fault), "{text:.30}");
        }
        let selector = Selector::parse("depth").unwrap();
        let mut page = Page::new(&selector);
        assert_eq!(page.feed(&[0xff, b'\n']), Err(Fault::NotMetrics));
        let mut page = Page::new(&selector);
        assert_eq!(page.feed(&vec![b'#'; MAX_PAGE + 1]), Err(Fault::TooLarge));
    }
}
