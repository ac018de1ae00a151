//! Records this machine's samples with the agent's own collectors. What names this machine is left out: mount
//! points, devices and versions become `mount-1`, `device-1` and so on.

use crate::rows::{Recording, Series};
use farol_agent::catalog::Row;
use farol_agent::collect::{Collectors, Config};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

/// Labels whose values are of this machine only.
const OWN: [&str; 6] = ["mount", "mountpoint", "device", "interface", "kernel", "os_version"];

/// Writes `rows` rows to `file`, one every `every`.
pub(crate) fn record(file: &Path, rows: usize, every: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut collectors = Collectors::new(&Config::default());
    let mut recorder = Recorder::default();
    let mut row = Row::new();
    collectors.collect(&mut row);
    let mut ticks = runtime.block_on(async { tokio::time::interval(every) });
    runtime.block_on(ticks.tick());
    for _ in 0..rows {
        runtime.block_on(ticks.tick());
        collectors.collect(&mut row);
        recorder.begin();
        for sample in row.samples() {
            let labels = sample.series.labels().iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let counter = sample.series.kind() == farol_health::Kind::Counter;
            recorder.add(sample.series.name(), labels, counter, sample.value);
        }
    }
    std::fs::write(file, recorder.finish().to_text())?;
    Ok(())
}

/// Gathers rows whose series come and go.
#[derive(Default)]
struct Recorder {
    recording: Recording,
    /// Where each series stands.
    index: HashMap<(String, BTreeMap<String, String>), usize>,
    /// What stands for each value of a label in [`OWN`].
    stands_for: HashMap<(String, String), String>,
}

impl Recorder {
    fn begin(&mut self) {
        self.recording.rows.push(vec![None; self.recording.series.len()]);
    }

    fn add(&mut self, name: &str, labels: BTreeMap<String, String>, counter: bool, value: f64) {
        let labels: BTreeMap<_, _> = labels.into_iter().map(|(k, v)| self.anonymous(k, v)).collect();
        let at = match self.index.get(&(name.to_owned(), labels.clone())) {
            Some(at) => *at,
            None => {
                let at = self.recording.series.len();
                self.index.insert((name.to_owned(), labels.clone()), at);
                self.recording.series.push(Series { name: name.to_owned(), labels, counter });
                at
            }
        };
        if let Some(row) = self.recording.rows.last_mut() {
            row.resize(self.recording.series.len(), None);
            row[at] = Some(value);
        }
    }

    fn anonymous(&mut self, key: String, value: String) -> (String, String) {
        if !OWN.contains(&key.as_str()) {
            return (key, value);
        }
        let count = self.stands_for.keys().filter(|(other, _)| *other == key).count();
        let stands = self.stands_for.entry((key.clone(), value));
        let value = stands.or_insert_with(|| format!("{key}-{}", count + 1)).clone();
        (key, value)
    }

    fn finish(mut self) -> Recording {
        let width = self.recording.series.len();
        self.recording.rows.iter_mut().for_each(|row| row.resize(width, None));
        self.recording
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn series_that_come_and_go_are_absent_in_between_and_nothing_names_the_machine() {
        let mut recorder = Recorder::default();
        for row in 0..3 {
            recorder.begin();
            recorder.add("load1", labels(&[]), false, f64::from(row));
            if row > 0 {
                recorder.add("free", labels(&[("mount", "/srv/ana"), ("mode", "rw")]), false, 7.0);
            }
        }
        let recording = recorder.finish();
        assert_eq!(recording.series[1].labels, labels(&[("mount", "mount-1"), ("mode", "rw")]));
        let rows = [[Some(0.0), None], [Some(1.0), Some(7.0)], [Some(2.0), Some(7.0)]];
        assert_eq!(recording.rows, rows.map(|row| row.to_vec()));
        assert!(!recording.to_text().contains("ana"));
    }
}
