//! What network interfaces carry, from `/proc/net/dev`. Decides which are told: not the loopback, and not the
//! many that container engines make, one or two for each container.

use super::devices::Devices;
use super::text::{Text, float, lines, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// Interfaces of these names come in numbers and say nothing that their bridge or their host does not.
const NOT_TOLD: [&[u8]; 9] =
    [b"veth", b"cali", b"lxc", b"tap", b"ifb", b"dummy", b"nodelocaldns", b"vnet", b"gpd"];

/// Series of one interface.
const SERIES: usize = 8;
/// The columns told, in the order of [`series_of`].
const COLUMNS: [usize; SERIES] = [0, 1, 2, 3, 8, 9, 10, 11];

/// Measures bytes, packets, errors and drops of each interface.
pub(super) struct Network {
    dev: Text,
    interfaces: Devices<SERIES>,
}

impl Network {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            dev: Text::of_records(config.proc.join(config.view).join("net/dev")),
            interfaces: Devices::new("interfaces", config.most_interfaces),
        }
    }
}

impl Collect for Network {
    fn collect(&mut self, out: &mut Row) {
        let Some(text) = self.dev.read() else { return };
        for (name, values) in lines(text).filter_map(parse) {
            let Some(series) = self.interfaces.next(name, |name| Some(series_of(name))) else { continue };
            for (series, value) in series.iter().zip(values) {
                out.push_some(series, value.map(float));
            }
        }
        self.interfaces.end(out);
    }
}

fn series_of(interface: &str) -> [Arc<Series>; SERIES] {
    [
        ("system_network_receive_bytes_total", Unit::Bytes),
        ("system_network_receive_packets_total", Unit::None),
        ("system_network_receive_errors_total", Unit::None),
        ("system_network_receive_dropped_total", Unit::None),
        ("system_network_transmit_bytes_total", Unit::Bytes),
        ("system_network_transmit_packets_total", Unit::None),
        ("system_network_transmit_errors_total", Unit::None),
        ("system_network_transmit_dropped_total", Unit::None),
    ]
    .map(|(name, unit)| Arc::new(Series::counter(name, unit).label("interface", interface)))
}

/// The name and the columns of a line; `None` for a heading and for what is not told.
fn parse(line: &[u8]) -> Option<(&[u8], [Option<u64>; SERIES])> {
    let colon = line.iter().rposition(|byte| *byte == b':')?;
    let name = line[..colon].trim_ascii();
    if name.is_empty() || name == b"lo" || NOT_TOLD.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let mut values = [None; SERIES];
    let mut at = 0;
    for (index, word) in words(&line[colon + 1..]).enumerate() {
        if at < SERIES && COLUMNS[at] == index {
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
    fn interfaces_are_read_and_those_of_containers_are_not_told() {
        type Line = Option<(&'static str, [Option<u64>; SERIES])>;
        let cases: [(&[u8], Line); 8] = [
            (b"Inter-|   Receive                      |  Transmit", None),
            (b" face |bytes    packets errs drop fifo frame compressed multicast|bytes", None),
            (b"    lo:    3193      29    0    0    0     0          0         0     3193      29", None),
            (b"  vethab12: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", None),
            (b"cali0123: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", None),
            (
                b"  eth0: 201751659   11280    1    2    0     0          0         0   823037    9954    3    4    0     0       0          0",
                Some(("eth0", [201_751_659, 11_280, 1, 2, 823_037, 9_954, 3, 4].map(Some))),
            ),
            (
                b"enp3s0:4294967296 7 0 0",
                Some(("enp3s0", [Some(4_294_967_296), Some(7), Some(0), Some(0), None, None, None, None])),
            ),
            (b":", None),
        ];
        for (line, expected) in cases {
            let parsed = parse(line).map(|(name, values)| (std::str::from_utf8(name).unwrap(), values));
            assert_eq!(parsed, expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_flood_of_interfaces_is_bounded_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("self/net")).unwrap();
        let text: String =
            (0..100).map(|n| format!("vlan{n}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")).collect();
        std::fs::write(folder.path().join("self/net/dev"), text).unwrap();
        let config = Config { proc: folder.path().into(), ..Config::default() };
        let mut row = Row::new();
        Network::new(&config).collect(&mut row);
        assert_eq!(row.samples().len(), 32 * SERIES + 1);
        assert_eq!(row.samples().last().map(|s| s.value), Some(68.0));
    }
}
