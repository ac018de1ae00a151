//! A reader of both formats that forgives nothing: what passes here, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

/// One sample: its name and labels, and its value.
pub(super) type Sample = (String, BTreeMap<String, String>, f64);

/// A page as it was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Type by family.
    pub(super) types: BTreeMap<String, String>,
    pub(super) samples: Vec<Sample>,
}

impl Read {
    /// The value of the one sample with this name and, among others, these labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            sample.0 == name
                && labels.iter().all(|(key, value)| sample.1.get(*key).is_some_and(|v| v == value))
        };
        let found: Vec<_> = self.samples.iter().filter(has).collect();
        assert!(found.len() <= 1, "{name} {labels:?} is there {} times", found.len());
        found.first().map(|sample| sample.2)
    }
}

/// Reads a page, or says what is wrong with it.
pub(super) fn read(page: &str, open_metrics: bool) -> Result<Read, String> {
    let mut read = Read::default();
    let mut seen = BTreeSet::new();
    let mut helped: Option<String> = None;
    let mut family: Option<String> = None;
    let body =
        if open_metrics { page.strip_suffix("# EOF\n").ok_or("does not end with # EOF")? } else { page };
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in body.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or_else(|| format!("no help: {line}"))?;
            if help.is_empty() || helped.is_some() {
                return Err(format!("a HELP without its TYPE before, or an empty one: {line}"));
            }
            helped = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, word) = rest.split_once(' ').ok_or_else(|| format!("no type: {line}"))?;
            if helped.take().as_deref() != Some(name) {
                return Err(format!("TYPE without its HELP: {line}"));
            }
            let known =
                matches!(word, "gauge" | "counter" | "histogram") || (open_metrics && word == "unknown");
            if !known {
                return Err(format!("an unknown type: {line}"));
            }
            if read.types.insert(name.to_owned(), word.to_owned()).is_some() {
                return Err(format!("a family twice: {line}"));
            }
            family = Some(name.to_owned());
        } else {
            let sample = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
            let family = family.as_deref().ok_or_else(|| format!("a sample before any family: {line}"))?;
            let kind = read.types[family].as_str();
            let ending = sample.0.strip_prefix(family);
            let fits = match kind {
                "histogram" => match ending {
                    Some("_bucket") => sample.1.contains_key("le"),
                    ending => matches!(ending, Some("_sum" | "_count")),
                },
                "counter" if open_metrics => ending == Some("_total"),
                _ => ending == Some(""),
            };
            if !fits {
                return Err(format!("a sample of another family than {family}: {line}"));
            }
            if !seen.insert((sample.0.clone(), sample.1.clone())) {
                return Err(format!("a sample twice: {line}"));
            }
            read.samples.push(sample);
        }
    }
    Ok(read)
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(legal) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (key, after) = inside.split_once("=\"")?;
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return None;
            }
            let (value, after) = quoted(after)?;
            if labels.insert(key.to_owned(), value).is_some() {
                return None;
            }
            match after.strip_prefix(',') {
                Some(more) => inside = more,
                None => {
                    rest = after.strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    let number = match value {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ if value.starts_with(|c: char| c.is_ascii_digit() || c == '-') => value.parse().ok()?,
        _ => return None,
    };
    Some((name.to_owned(), labels, number))
}

/// What stands up to the closing quotation mark, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match signs.next()?.1 {
                'n' => '\n',
                sign @ ('\\' | '"') => sign,
                _ => return None,
            }),
            _ => value.push(sign),
        }
    }
    None
}
