//! What disks do, from `/proc/diskstats`. Decides which devices are disks: no loop and memory devices, and no
//! partitions, whose work is in their disk's. How full they are is told by `mounts`.

use super::devices::Devices;
use super::text::{Text, float, lines, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::path::PathBuf;
use std::sync::Arc;

/// The size of a sector in `/proc/diskstats`, whatever the disk says.
const SECTOR: u64 = 512;
/// Devices of these names are never disks.
const NO_DISKS: [&[u8]; 6] = [b"loop", b"ram", b"zram", b"fd", b"sr", b"nbd"];

/// Series of one disk.
const SERIES: usize = 8;

/// How a column of `/proc/diskstats` becomes a value.
#[derive(Clone, Copy)]
enum Column {
    Count,
    Sectors,
    Milliseconds,
}

/// The columns told, counted from the one behind the name, in the order of [`series_of`].
const COLUMNS: [(usize, Column); SERIES] = [
    (0, Column::Count),
    (2, Column::Sectors),
    (3, Column::Milliseconds),
    (4, Column::Count),
    (6, Column::Sectors),
    (7, Column::Milliseconds),
    (8, Column::Count),
    (9, Column::Milliseconds),
];

/// Measures reads, writes and busy time of each disk.
pub(super) struct Disk {
    diskstats: Text,
    /// Where the kernel says what a block device is.
    blocks: PathBuf,
    devices: Devices<SERIES>,
}

impl Disk {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            diskstats: Text::of_records(config.proc.join("diskstats")),
            blocks: config.sys.join("class/block"),
            devices: Devices::new("disks", config.most_disks),
        }
    }
}

impl Collect for Disk {
    fn collect(&mut self, out: &mut Row) {
        let Some(text) = self.diskstats.read() else { return };
        for (name, values) in lines(text).filter_map(parse) {
            let make =
                |name: &str| (!self.blocks.join(name).join("partition").exists()).then(|| series_of(name));
            let Some(series) = self.devices.next(name, make) else { continue };
            for ((series, value), (_, column)) in series.iter().zip(values).zip(COLUMNS) {
                out.push_some(series, value.map(|value| value_of(value, column)));
            }
        }
        self.devices.end(out);
    }
}

fn series_of(device: &str) -> [Arc<Series>; SERIES] {
    let seconds = |name| Series::counter(name, Unit::Seconds).digits(3);
    [
        Series::counter("system_disk_reads_total", Unit::None),
        Series::counter("system_disk_read_bytes_total", Unit::Bytes),
        seconds("system_disk_read_seconds_total"),
        Series::counter("system_disk_writes_total", Unit::None),
        Series::counter("system_disk_written_bytes_total", Unit::Bytes),
        seconds("system_disk_write_seconds_total"),
        Series::gauge("system_disk_operations_in_progress", Unit::None),
        seconds("system_disk_busy_seconds_total"),
    ]
    .map(|series| Arc::new(series.label("device", device)))
}

fn value_of(raw: u64, column: Column) -> f64 {
    match column {
        Column::Count => float(raw),
        Column::Sectors => float(raw.saturating_mul(SECTOR)),
        Column::Milliseconds => float(raw) / 1_000.0,
    }
}

/// The name and the columns of a line; `None` for what is no disk.
fn parse(line: &[u8]) -> Option<(&[u8], [Option<u64>; SERIES])> {
    let mut words = words(line).skip(2);
    let name = words.next()?;
    if NO_DISKS.iter().any(|kind| {
        name.strip_prefix(*kind).is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
    }) {
        return None;
    }
    let mut values = [None; SERIES];
    let mut at = 0;
    for (index, word) in words.enumerate() {
        if at < SERIES && COLUMNS[at].0 == index {
            values[at] = whole(word);
            at += 1;
        }
    }
    Some((name, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read_and_loops_and_ram_are_not_disks() {
        type Line = Option<(&'static str, [Option<u64>; SERIES])>;
        let cases: [(&[u8], Line); 6] = [
            (
                b" 254       0 vda 35306 8007 6495898 19577 15176 62626 26419016 202212 2 14416 223143 6249 86 703096",
                Some(("vda", [35_306, 6_495_898, 19_577, 15_176, 26_419_016, 202_212, 2, 14_416].map(Some))),
            ),
            (b"   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0", None),
            (b" 253       0 zram0 0 0 0 0 0 0 0 0 0 0 0", None),
            (b"   1       0 ram12 0 0 0 0 0 0 0 0 0 0 0", None),
            (
                b" 259 1 nvme0n1 1 2 3 4",
                Some(("nvme0n1", [Some(1), Some(3), Some(4), None, None, None, None, None])),
            ),
            (b"garbage", None),
        ];
        for (line, expected) in cases {
            let parsed = parse(line);
            let parsed = parsed.map(|(name, values)| (std::str::from_utf8(name).unwrap(), values));
            assert_eq!(parsed, expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn partitions_are_left_to_their_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("diskstats"),
            "8 0 sda 10 0 4 7 0 0 0 0 0 9 9\n8 1 sda1 10 0 4 7 0 0 0 0 0 9 9\n",
        )
        .unwrap();
        let partition = folder.path().join("class/block/sda1");
        std::fs::create_dir_all(&partition).unwrap();
        std::fs::write(partition.join("partition"), "1\n").unwrap();
        let config = Config { proc: folder.path().into(), sys: folder.path().into(), ..Config::default() };
        let mut row = Row::new();
        Disk::new(&config).collect(&mut row);
        let told: Vec<_> = row.samples().iter().map(|s| (s.series.labels()[0].1.as_str(), s.value)).collect();
        let expected = [10.0, 2_048.0, 0.007, 0.0, 0.0, 0.0, 0.0, 0.009].map(|value| ("sda", value));
        assert_eq!(told[..SERIES], expected);
        assert_eq!(told[SERIES..], [("disks", 0.0)]);
    }
}
