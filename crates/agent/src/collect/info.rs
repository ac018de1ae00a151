//! What this machine is, as one series of value 1 whose labels say it. Read once: it does not change while the
//! machine runs.

use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::path::Path;
use std::sync::Arc;
use sysinfo::System;

/// Tells the operating system, its version, the kernel and the architecture.
#[derive(Debug)]
pub(super) struct Info(Option<Arc<Series>>);

impl Info {
    /// An agent that looks at another root than its own does not know these of it.
    pub(super) fn new(config: &Config) -> Self {
        let own = config.proc == Path::new("/proc");
        Self(own.then(|| {
            let labels = [
                ("os", System::name().ok()),
                ("os_version", System::os_version().ok()),
                ("kernel", System::kernel_version().ok()),
                ("architecture", Some(System::cpu_arch())),
            ];
            let series = Series::gauge("system_info", Unit::None);
            Arc::new(labels.into_iter().fold(series, |series, (name, value)| match value {
                Some(value) if !value.is_empty() => series.label(name, value),
                _ => series,
            }))
        }))
    }
}

impl Collect for Info {
    fn collect(&mut self, out: &mut Row) {
        if let Some(series) = &self.0 {
            out.push(series, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_this_machines_kernel_and_nothing_of_another_root() {
        let mut row = Row::new();
        Info::new(&Config::default()).collect(&mut row);
        let [sample] = row.samples() else { panic!("one series") };
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert!(
            sample.series.labels().iter().any(|(k, v)| k == "kernel" && v == kernel.trim()),
            "{sample:?}"
        );
        row.clear();
        Info::new(&Config::of_host("/host")).collect(&mut row);
        assert!(row.samples().is_empty());
    }
}
