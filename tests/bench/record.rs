//! Records this machine's samples with the agent's own collectors.

use crate::rows::{Recording, Series};
use farol_agent::catalog::Row;
use farol_agent::collect::{Collectors, Config};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// Writes `rows` rows to `file`, one every `every`.
pub(crate) fn record(file: &Path, rows: usize, every: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut collectors = Collectors::new(&Config::default());
    let mut recording = Recording::default();
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut row = Row::new();
    collectors.collect(&mut row);
    for _ in 0..rows {
        runtime.block_on(async { tokio::time::sleep(every).await });
        collectors.collect(&mut row);
        let mut values: Vec<Option<f64>> = vec![None; recording.series.len()];
        for sample in row.samples() {
            let series = &sample.series;
            let labels: Vec<(String, String)> =
                series.labels().iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let at = *index.entry(format!("{} {labels:?}", series.name())).or_insert_with(|| {
                recording.series.push(Series {
                    name: series.name().to_owned(),
                    labels: labels.into_iter().collect(),
                    counter: series.kind() == farol_health::Kind::Counter,
                });
                recording.series.len() - 1
            });
            values.resize(recording.series.len(), None);
            values[at] = Some(sample.value);
        }
        recording.rows.push(values);
    }
    let width = recording.series.len();
    recording.rows.iter_mut().for_each(|row| row.resize(width, None));
    std::fs::write(file, recording.to_text())?;
    Ok(())
}
