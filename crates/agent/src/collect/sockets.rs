//! Sockets and how TCP fares, from `/proc/net/snmp` and `/proc/net/sockstat`.

use super::text::{Text, float, lines, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// Columns of `/proc/net/snmp`: protocol, name there, our series. The first goes up and down, the others only up.
const SNMP: [(&[u8], &[u8], &str); 11] = [
    (b"Tcp:", b"CurrEstab", "system_tcp_connections"),
    (b"Tcp:", b"ActiveOpens", "system_tcp_connections_opened_total"),
    (b"Tcp:", b"PassiveOpens", "system_tcp_connections_accepted_total"),
    (b"Tcp:", b"AttemptFails", "system_tcp_attempts_failed_total"),
    (b"Tcp:", b"EstabResets", "system_tcp_connections_reset_total"),
    (b"Tcp:", b"InSegs", "system_tcp_segments_received_total"),
    (b"Tcp:", b"OutSegs", "system_tcp_segments_sent_total"),
    (b"Tcp:", b"RetransSegs", "system_tcp_segments_retransmitted_total"),
    (b"Tcp:", b"InErrs", "system_tcp_receive_errors_total"),
    (b"Udp:", b"InErrors", "system_udp_receive_errors_total"),
    (b"Udp:", b"RcvbufErrors", "system_udp_receive_buffer_errors_total"),
];

/// Pairs of `/proc/net/sockstat`: line, name there, our series.
const SOCKSTAT: [(&[u8], &[u8], &str); 3] = [
    (b"sockets:", b"used", "system_sockets"),
    (b"TCP:", b"tw", "system_tcp_connections_time_wait"),
    (b"TCP:", b"orphan", "system_tcp_connections_orphaned"),
];

/// Measures sockets of the network seen.
pub(super) struct Sockets {
    snmp: Text,
    sockstat: Text,
    snmp_series: [Arc<Series>; SNMP.len()],
    sockstat_series: [Arc<Series>; SOCKSTAT.len()],
}

impl Sockets {
    pub(super) fn new(config: &Config) -> Self {
        let net = config.proc.join(config.view).join("net");
        let series = |name: &'static str| {
            let counter = name.ends_with("_total");
            Arc::new(if counter {
                Series::counter(name, Unit::None)
            } else {
                Series::gauge(name, Unit::None)
            })
        };
        Self {
            snmp: Text::new(net.join("snmp")),
            sockstat: Text::new(net.join("sockstat")),
            snmp_series: SNMP.map(|(_, _, name)| series(name)),
            sockstat_series: SOCKSTAT.map(|(_, _, name)| series(name)),
        }
    }
}

impl Collect for Sockets {
    fn collect(&mut self, out: &mut Row) {
        if let Some(text) = self.snmp.read() {
            for (series, value) in self.snmp_series.iter().zip(snmp(text)) {
                out.push_some(series, value.map(float));
            }
        }
        if let Some(text) = self.sockstat.read() {
            for (series, value) in self.sockstat_series.iter().zip(sockstat(text)) {
                out.push_some(series, value.map(float));
            }
        }
    }
}

/// A line of names, then a line of values, both begin with the protocol.
fn snmp(text: &[u8]) -> [Option<u64>; SNMP.len()] {
    let mut values = [None; SNMP.len()];
    let mut lines = lines(text);
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let mut pairs = words(names).zip(words(numbers));
        let Some((protocol, same)) = pairs.next() else { continue };
        if protocol != same || !SNMP.iter().any(|(wanted, _, _)| *wanted == protocol) {
            continue;
        }
        for (name, number) in pairs {
            let at = SNMP.iter().position(|(line, wanted, _)| *line == protocol && *wanted == name);
            if let Some(at) = at {
                values[at] = whole(number);
            }
        }
    }
    values
}

/// A word, then pairs of name and value.
fn sockstat(text: &[u8]) -> [Option<u64>; SOCKSTAT.len()] {
    let mut values = [None; SOCKSTAT.len()];
    for line in lines(text) {
        let mut words = words(line);
        let Some(head) = words.next() else { continue };
        while let (Some(name), Some(number)) = (words.next(), words.next()) {
            if let Some(at) = SOCKSTAT.iter().position(|(line, wanted, _)| *line == head && *wanted == name) {
                values[at] = whole(number);
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_snmp_are_found_by_their_names() {
        let text = b"Ip: Forwarding DefaultTTL\nIp: 2 64\n\
            Tcp: RtoAlgorithm MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs\n\
            Tcp: 1 -1 21 2 3 9 1 70 80 4 5\n\
            Udp: InDatagrams InErrors RcvbufErrors\nUdp: 33 7 6\nUdpLite: InDatagrams InErrors\nUdpLite: 1 8\n";
        assert_eq!(snmp(text), [1, 21, 2, 3, 9, 70, 80, 4, 5, 7, 6].map(Some));
        assert_eq!(snmp(b"Tcp: CurrEstab\nUdp: 4\nTcp: CurrEstab\n"), [None; SNMP.len()]);
        assert_eq!(snmp(b""), [None; SNMP.len()]);
    }

    #[test]
    fn pairs_of_sockstat_are_found_by_their_names() {
        let text = b"sockets: used 16\nTCP: inuse 1 orphan 2 tw 3 alloc 1 mem 425\nUDP: inuse 0 mem 0\n";
        assert_eq!(sockstat(text), [16, 3, 2].map(Some));
        assert_eq!(sockstat(b"TCP: tw\nsockets: used many\n"), [None; 3]);
    }
}
