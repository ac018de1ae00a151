//! The collectors on the machine that runs the tests.

use super::{Collectors, Config};
use crate::catalog::{Catalog, Limits, Row, Series};
use farol_health::Kind;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A second reading, once the machine's clock has moved on.
fn second_reading() -> (Row, Row) {
    let mut collectors = Collectors::new(&Config::default());
    let (mut first, mut row) = (Row::new(), Row::new());
    collectors.collect(&mut first);
    let deadline = farol_health::clock::boot_ms() + 10_000;
    while value(&row, "system_cpu_usage_percent").is_none() {
        assert!(farol_health::clock::boot_ms() < deadline, "no usage of processors within 10 s");
        collectors.collect(&mut row);
    }
    (first, row)
}

fn value(row: &Row, name: &str) -> Option<f64> {
    row.samples().iter().find(|sample| sample.series.name() == name).map(|sample| sample.value)
}

fn labelled(row: &Row, name: &str, label: &str, wanted: &str) -> Option<f64> {
    let is_it = |series: &Series| {
        series.name() == name && series.labels().iter().any(|(key, value)| key == label && value == wanted)
    };
    row.samples().iter().find(|sample| is_it(&sample.series)).map(|sample| sample.value)
}

fn close(ours: f64, theirs: f64, share: f64) -> bool {
    (ours - theirs).abs() <= theirs.abs().max(1.0) * share
}

#[test]
fn this_machine_has_all_the_ordinary_series_each_once_and_well_named() {
    let (_, row) = second_reading();
    for name in [
        "system_cpu_usage_percent",
        "system_cpu_seconds_total",
        "system_cpus",
        "system_load1",
        "system_load15",
        "system_threads",
        "system_memory_total_bytes",
        "system_memory_available_bytes",
        "system_memory_used_bytes",
        "system_memory_usage_percent",
        "system_swap_total_bytes",
        "system_disk_total_bytes",
        "system_disk_usage_percent",
        "system_processes",
        "system_processes_running",
        "system_open_file_descriptors",
        "system_file_descriptors_max",
        "system_context_switches_total",
        "system_boot_time_seconds",
        "farol_agent_resident_bytes",
        "farol_agent_cpu_seconds_total",
        "farol_agent_open_file_descriptors",
        "system_tcp_connections",
    ] {
        assert!(value(&row, name).is_some(), "{name} is absent");
    }
    let mut seen = BTreeSet::new();
    for sample in row.samples() {
        let series = &sample.series;
        assert!(series.is_valid(), "{series:?}");
        assert!(seen.insert((series.name().to_owned(), series.labels().to_vec())), "twice: {series:?}");
        assert!(sample.value.is_finite() && sample.value >= 0.0, "{series:?} {}", sample.value);
        assert_eq!(series.kind() == Kind::Counter, series.name().ends_with("_total"), "{series:?}");
        if series.name().ends_with("_percent") {
            assert!(sample.value <= 100.0, "{series:?} {}", sample.value);
        }
    }
    assert!((50..300).contains(&seen.len()), "{} series", seen.len());
}

#[test]
fn counters_do_not_go_back_and_no_series_changes_its_encoding() {
    let mut catalog = Catalog::new(Limits::default());
    let source = catalog.add_source(super::SOURCE, 10_000).unwrap();
    let (first, second) = second_reading();
    catalog.row(source, first.samples()).unwrap();
    let before = catalog.source(source).unwrap().encodings();
    for sample in first.samples().iter().filter(|sample| sample.series.kind() == Kind::Counter) {
        let later = second.samples().iter().find(|later| *later.series == *sample.series).unwrap();
        // Waiting for disks is the one counter that the kernel says may go back.
        let waiting = sample.series.labels().iter().any(|(_, value)| value == "iowait");
        assert!(waiting || later.value >= sample.value, "{:?}", sample.series);
    }
    catalog.row(source, second.samples()).unwrap();
    let after = catalog.source(source).unwrap().encodings();
    assert_eq!(after[..before.len()], before);
    assert!(after.iter().all(|encoding| *encoding != farol_series::Encoding::Float) || huge_limit(&second));
}

/// Where the kernel has no limit of file descriptors it gives one that only a float holds.
fn huge_limit(row: &Row) -> bool {
    value(row, "system_file_descriptors_max").is_some_and(|max| max > 1e15)
}

#[test]
fn figures_agree_with_sysinfo() {
    let (_, row) = second_reading();
    let mut theirs = sysinfo::System::new().unwrap();
    theirs.refresh_memory();
    let float = |n: u64| super::text::float(n);
    let total = float(theirs.total_memory());
    let ours = |name| value(&row, name).unwrap();
    assert!(close(ours("system_memory_total_bytes"), total, 0.0));
    assert!(close(ours("system_memory_available_bytes"), float(theirs.available_memory()), 0.25));
    assert!(close(
        ours("system_memory_usage_percent"),
        ours("system_memory_used_bytes") / total * 100.0,
        0.01
    ));
    assert!(close(ours("system_swap_total_bytes"), float(theirs.total_swap()), 0.0));
    assert!(close(ours("system_boot_time_seconds"), float(sysinfo::System::boot_time().unwrap()), 1e-8));
    let load = sysinfo::System::load_average().unwrap();
    assert!(close(ours("system_load15"), load.fifteen, 0.2), "{} {}", ours("system_load15"), load.fifteen);
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!(ours("system_cpus") >= float(processors as u64));
}

#[test]
fn the_root_file_system_agrees_with_sysinfo() {
    let (_, row) = second_reading();
    let disks = sysinfo::Disks::new_with_refreshed_list().unwrap();
    let root = disks.iter().find(|disk| disk.mount_point() == "/");
    let Some(root) = root else { return };
    let float = |n: u64| super::text::float(n);
    let ours = |name| labelled(&row, name, "mount", "/").unwrap();
    assert!(close(ours("system_disk_total_bytes"), float(root.total_space()), 0.0));
    assert!(close(ours("system_disk_available_bytes"), float(root.available_space()), 0.2));
}

#[test]
fn interfaces_agree_with_sysinfo() {
    let (_, row) = second_reading();
    let networks = sysinfo::Networks::new_with_refreshed_list().unwrap();
    for (name, theirs) in networks.iter() {
        let name = name.to_string_lossy();
        let ours = labelled(&row, "system_network_receive_bytes_total", "interface", &name);
        if let Some(ours) = ours {
            assert!(ours <= super::text::float(theirs.total_received()), "{name}");
        }
    }
}

#[test]
fn processes_agree_with_a_listing() {
    let (_, row) = second_reading();
    let listed = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let listed = listed.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let listed = super::text::float(listed.count() as u64);
    assert!(close(value(&row, "system_processes").unwrap(), listed, 0.5), "{listed}");
}

#[test]
fn the_agent_sees_its_own_descriptors_and_memory() {
    let (_, row) = second_reading();
    let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let (_, more) = second_reading();
    let count = |row: &Row| value(row, "farol_agent_open_file_descriptors").unwrap();
    assert!(
        count(&more) >= 50.0 && count(&row) > 0.0,
        "{} files: {} {}",
        files.len(),
        count(&row),
        count(&more)
    );
    let resident = value(&row, "farol_agent_resident_bytes").unwrap();
    assert!((1e6..1e10).contains(&resident), "{resident}");
}

#[test]
fn where_nothing_can_be_read_nothing_is_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let config = Config { proc: nowhere.clone(), sys: nowhere.clone(), root: nowhere, ..Config::default() };
    let mut collectors = Collectors::new(&config);
    let mut row = Row::new();
    for _ in 0..2 {
        collectors.collect(&mut row);
        let told: Vec<_> = row.samples().iter().map(|sample| sample.series.name()).collect();
        assert!(told.iter().all(|name| name.starts_with("farol_agent_")), "{told:?}");
    }
}

#[test]
fn an_unchanged_machine_gives_the_same_series_in_the_same_places() {
    let (mut collectors, mut row) = (Collectors::new(&Config::default()), Row::new());
    collectors.collect(&mut row);
    let first: Vec<Arc<Series>> = row.samples().iter().map(|sample| Arc::clone(&sample.series)).collect();
    let deadline = farol_health::clock::boot_ms() + Duration::from_secs(10).as_millis() as u64;
    loop {
        collectors.collect(&mut row);
        let usage = row.samples().iter().position(|s| s.series.name() == "system_cpu_usage_percent");
        let Some(usage) = usage else {
            assert!(farol_health::clock::boot_ms() < deadline, "no usage of processors within 10 s");
            continue;
        };
        let again: Vec<_> = row.samples().iter().map(|s| &s.series).collect();
        // Usage needs a second reading; all else stands where it stood.
        assert!(first[..usage].iter().zip(&again[..usage]).all(|(a, b)| Arc::ptr_eq(a, b)));
        assert!(first[usage..].iter().zip(&again[usage + 1..]).all(|(a, b)| Arc::ptr_eq(a, b)));
        return;
    }
}
