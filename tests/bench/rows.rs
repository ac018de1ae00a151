//! Recorded samples as a text file: one line per series with its name, type and labels, then one line per row.
//! Values are written so that they read back bit for bit.

use anyhow::{Context, bail};
use farol_series::Encoding;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// A series of the recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) counter: bool,
}

/// A recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recording {
    pub(crate) series: Vec<Series>,
    /// One value for each series; None where it was absent.
    pub(crate) rows: Vec<Vec<Option<f64>>>,
}

impl Recording {
    /// The recording as text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::from("# farol recording 1\n");
        for series in &self.series {
            text.push_str("S\t");
            text.push_str(&series.name);
            text.push_str(if series.counter { "\tcounter" } else { "\tgauge" });
            for (key, value) in &series.labels {
                write!(text, "\t{key}={value}").expect("writing to a string cannot fail");
            }
            text.push('\n');
        }
        for row in &self.rows {
            text.push('R');
            for value in row {
                match value {
                    Some(value) => write!(text, "\t{value}").expect("writing to a string cannot fail"),
                    None => text.push_str("\t-"),
                }
            }
            text.push('\n');
        }
        text
    }

    /// Reads a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::from_text(&text).with_context(|| path.display().to_string())
    }

    fn from_text(text: &str) -> anyhow::Result<Self> {
        let mut recording = Self::default();
        for (number, line) in text.lines().enumerate() {
            recording.line(line).with_context(|| format!("line {}", number + 1))?;
        }
        if recording.rows.len() < 2 {
            bail!("holds fewer than two rows");
        }
        Ok(recording)
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let mut fields = line.split('\t');
        match fields.next() {
            Some("S") if !self.rows.is_empty() => bail!("a series after the first row"),
            Some("S") => self.series.push(series(&mut fields)?),
            Some("R") => self.rows.push(row(fields, self.series.len())?),
            Some(comment) if comment.starts_with('#') => {}
            _ => bail!("neither a series nor a row"),
        }
        Ok(())
    }

    /// The narrowest encoding of each series that holds all its values, as an agent has after its first minutes.
    pub(crate) fn encodings(&self) -> Vec<Encoding> {
        let of = |i: usize| {
            let values = self.rows.iter().filter_map(|row| row[i]);
            values.fold(Encoding::Integer, |encoding, value| encoding.widen(value))
        };
        (0..self.series.len()).map(of).collect()
    }
}

fn series<'a>(fields: &mut impl Iterator<Item = &'a str>) -> anyhow::Result<Series> {
    let name = fields.next().filter(|name| !name.is_empty()).context("a series without a name")?.to_owned();
    let counter = match fields.next() {
        Some("counter") => true,
        Some("gauge") => false,
        _ => bail!("`{name}` is neither a counter nor a gauge"),
    };
    let mut labels = BTreeMap::new();
    for field in fields.filter(|field| !field.is_empty()) {
        let (key, value) = field.split_once('=').with_context(|| format!("`{field}` is not a label"))?;
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(Series { name, labels, counter })
}

fn row<'a>(fields: impl Iterator<Item = &'a str>, width: usize) -> anyhow::Result<Vec<Option<f64>>> {
    let values: Vec<Option<f64>> = fields
        .map(|f| if f == "-" { Ok(None) } else { f.parse().map(Some) })
        .collect::<Result<_, _>>()
        .context("a value that is no number")?;
    if values.len() != width {
        bail!("a row of {} values for {width} series", values.len());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let series = |name: &str, counter, labels: &[(&str, &str)]| Series {
            name: name.to_owned(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            counter,
        };
        Recording {
            series: vec![
                series("cpu_seconds_total", true, &[("mode", "user")]),
                series("load1", false, &[]),
                series("gone", false, &[("a", "b=c"), ("d", "")]),
            ],
            rows: vec![
                vec![Some(12.34), Some(-0.0), None],
                vec![Some(12.5), Some(0.1 + 0.2), None],
                vec![Some(9e15), Some(f64::INFINITY), Some(7.0)],
            ],
        }
    }

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        let before = recording();
        let after = Recording::from_text(&before.to_text()).unwrap();
        assert_eq!(before.series, after.series);
        let bits =
            |r: &Recording| -> Vec<_> { r.rows.concat().iter().map(|v| v.map(f64::to_bits)).collect() };
        assert_eq!(bits(&before), bits(&after));
    }

    #[test]
    fn the_encodings_hold_every_value() {
        let recording = recording();
        for (i, encoding) in recording.encodings().into_iter().enumerate() {
            let values = recording.rows.iter().filter_map(|row| row[i]);
            values.for_each(|value| assert!(encoding.holds(value), "{encoding:?} {value}"));
        }
        assert_eq!(recording.encodings()[2], Encoding::Integer);
    }

    #[test]
    fn a_damaged_file_is_told_with_its_line() {
        let (s, r) = ("S\ta\tgauge\n", "R\t1\nR\t2\n");
        for (text, words) in [
            (format!("{s}R\t1\n"), "two rows"),
            (format!("{s}{r}R\t1\t2\n"), "line 4"),
            (format!("{s}{r}R\tx\n"), "line 4"),
            (format!("{s}{r}{s}"), "line 4"),
            (format!("what\n{s}{r}"), "line 1"),
            (format!("S\ta\thistogram\n{r}"), "line 1"),
            (format!("S\ta\tgauge\tx\n{r}"), "line 1"),
        ] {
            let error = format!("{:#}", Recording::from_text(&text).unwrap_err());
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
