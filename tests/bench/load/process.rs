//! A process's CPU and memory as the kernel counts them.

use anyhow::Context;

pub(crate) struct Reading {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: f64,
}

pub(crate) fn read(pid: u32) -> anyhow::Result<Reading> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("an unexpected /proc/PID/stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number =
        |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).context("a short /proc/PID/stat");
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as f64;
    Ok(Reading { cpu_seconds: (number(11)? + number(12)?) / ticks, resident_bytes: number(21)? * page })
}
