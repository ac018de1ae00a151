//! Recorded samples as a text file: one line per series with its name, type and encoding, then one line per row.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// A series of the recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) counter: bool,
}

/// A recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    pub(crate) series: Vec<Series>,
    pub(crate) rows: Vec<Vec<Option<f64>>>,
}

impl Recording {
    /// The recording as text. Values are written so that they read back bit for bit.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::from("# farol recording 1\n");
        for series in &self.series {
            let kind = if series.counter { "counter" } else { "gauge" };
            let labels: Vec<String> = series.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            text.push_str(&format!("S\t{}\t{kind}\t{}\n", series.name, labels.join("\t")));
        }
        for row in &self.rows {
            let values: Vec<String> = row.iter().map(|v| v.map_or("-".into(), |v| format!("{v}"))).collect();
            text.push_str(&format!("R\t{}\n", values.join("\t")));
        }
        text
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut recording = Self::default();
        for (number, line) in text.lines().enumerate() {
            let mut fields = line.split('\t');
            match fields.next() {
                Some("S") => recording.series.push(series(&mut fields)?),
                Some("R") => recording.rows.push(row(fields, recording.series.len())?),
                Some(comment) if comment.starts_with('#') => {}
                _ => bail!("{}:{}: neither a series nor a row", path.display(), number + 1),
            }
        }
        if recording.rows.len() < 2 {
            bail!("{} holds fewer than two rows", path.display());
        }
        Ok(recording)
    }
}

fn series<'a>(fields: &mut impl Iterator<Item = &'a str>) -> anyhow::Result<Series> {
    let name = fields.next().context("a series without a name")?.to_owned();
    let counter = fields.next().context("a series without a type")? == "counter";
    let labels =
        fields.filter_map(|f| f.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
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
