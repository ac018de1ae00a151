//! The series of things that come and go: disks, interfaces. Decides how many are told and counts the others.

use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// So many devices are remembered, told or not.
const MOST_KNOWN: usize = 1_024;

/// The devices of one kind, each with `N` series.
pub(super) struct Devices<const N: usize> {
    /// In the order in which the kernel named them last, so that the next tick finds each where it expects it.
    known: Vec<Device<N>>,
    /// How many of this tick's devices have been seen; `known` is right up to here.
    seen: usize,
    /// How many of those are told.
    told: usize,
    /// How many this tick are not told because there are too many.
    left_out: u64,
    /// Most told.
    most: usize,
    left_out_series: Arc<Series>,
}

/// One device and its series; `None` when it is not worth telling.
struct Device<const N: usize> {
    name: Box<[u8]>,
    series: Option<[Arc<Series>; N]>,
}

impl<const N: usize> Devices<N> {
    /// At most `most` devices of this kind.
    pub(super) fn new(kind: &'static str, most: usize) -> Self {
        Self {
            known: Vec::new(),
            seen: 0,
            told: 0,
            left_out: 0,
            most,
            left_out_series: Arc::new(left_out_series(kind)),
        }
    }

    /// The next device that the kernel names. `make` is asked once for a device: its series, or `None` when it is
    /// never to be told.
    pub(super) fn next(
        &mut self,
        name: &[u8],
        make: impl FnOnce(&str) -> Option<[Arc<Series>; N]>,
    ) -> Option<&[Arc<Series>; N]> {
        let at = self.seen;
        if self.known.get(at).is_none_or(|device| *device.name != *name) {
            match self.known.iter().skip(at).position(|device| *device.name == *name) {
                Some(further) => self.known.swap(at, at + further),
                None if at < MOST_KNOWN => {
                    let series = make(&String::from_utf8_lossy(name));
                    self.known.insert(at, Device { name: name.into(), series });
                    self.known.truncate(MOST_KNOWN);
                }
                None => {
                    self.left_out += 1;
                    return None;
                }
            }
        }
        self.seen += 1;
        let series = self.known[at].series.as_ref()?;
        if self.told == self.most {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(series)
    }

    /// Ends a tick: forgets what was not named and tells how many were left out.
    pub(super) fn end(&mut self, out: &mut Row) {
        out.push(&self.left_out_series, super::text::float(self.left_out));
        self.known.truncate(self.seen);
        (self.seen, self.told, self.left_out) = (0, 0, 0);
    }
}

/// How many of a kind exist and are not told.
pub(super) fn left_out_series(kind: &'static str) -> Series {
    Series::gauge("farol_agent_devices_left_out", Unit::None).label("kind", kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one tick and returns the devices told, those newly made, and how many were left out.
    fn tick(devices: &mut Devices<1>, names: &[&str]) -> (Vec<String>, Vec<String>, f64) {
        let (mut told, mut made, mut row) = (Vec::new(), Vec::new(), Row::new());
        for name in names {
            let make = |name: &str| {
                made.push(name.to_owned());
                (name != "bad").then(|| [Arc::new(Series::gauge("x", Unit::None).label("device", name))])
            };
            if let Some([series]) = devices.next(name.as_bytes(), make) {
                told.push(series.labels()[0].1.clone());
            }
        }
        devices.end(&mut row);
        (told, made, row.samples()[0].value)
    }

    #[test]
    fn devices_may_come_go_and_change_places() {
        let mut devices = Devices::new("disks", 2);
        let all = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(tick(&mut devices, &["a", "bad", "b"]), (all(&["a", "b"]), all(&["a", "bad", "b"]), 0.0));
        assert_eq!(tick(&mut devices, &["a", "bad", "b"]), (all(&["a", "b"]), all(&[]), 0.0));
        assert_eq!(tick(&mut devices, &["b", "bad", "a"]), (all(&["b", "a"]), all(&[]), 0.0));
        assert_eq!(tick(&mut devices, &["c", "b", "a"]), (all(&["c", "b"]), all(&["c"]), 1.0));
        assert_eq!(tick(&mut devices, &["bad", "a"]), (all(&["a"]), all(&["bad"]), 0.0));
        assert_eq!(tick(&mut devices, &["b"]), (all(&["b"]), all(&["b"]), 0.0));
        assert_eq!(tick(&mut devices, &[]), (all(&[]), all(&[]), 0.0));
    }

    #[test]
    fn a_flood_of_devices_is_counted_and_not_remembered() {
        let mut devices = Devices::new("interfaces", 8);
        let names: Vec<String> = (0..3_000).map(|n| format!("if{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (told, _, left_out) = tick(&mut devices, &names);
        assert_eq!((told.len(), left_out), (8, 2_992.0));
        assert_eq!(devices.known.len(), MOST_KNOWN);
    }
}
