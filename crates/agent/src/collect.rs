//! The figures of this machine, read from the kernel at every tick. Decides which figures there are and what they
//! are called; not when they are read, nor what becomes of them.
//!
//! What may change is read by hand from `/proc`, `/sys/fs/cgroup` and `statvfs`: files stay open, nothing is
//! allocated in a tick that is like the one before. What cannot be read is absent, never 0.

mod container;
mod cpu;
mod devices;
mod disk;
mod file_descriptors;
mod info;
mod load;
mod memory;
mod mounts;
mod network;
mod own;
mod pressure;
mod process;
mod sockets;
#[cfg(test)]
mod tests;
mod text;

use crate::catalog::Row;
use std::path::PathBuf;

/// The name of the source under which all of this machine's series stand.
pub const SOURCE: &str = "system";

/// Where to look and how much to tell.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where procfs is mounted.
    pub proc: PathBuf,
    /// Where sysfs is mounted.
    pub sys: PathBuf,
    /// Under which folder the mount points of [`Config::view`] are reached.
    pub root: PathBuf,
    /// Whose mounts and network are told: the folder below `proc`.
    pub view: &'static str,
    /// Whether each processor is told besides their sum.
    pub per_core: bool,
    /// Most file systems told.
    pub most_mounts: usize,
    /// Most disks told.
    pub most_disks: usize,
    /// Most network interfaces told.
    pub most_interfaces: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            root: "/".into(),
            view: "self",
            per_core: false,
            most_mounts: 16,
            most_disks: 32,
            most_interfaces: 32,
        }
    }
}

impl Config {
    /// For an agent in a container that sees its host under `root` (a DaemonSet with the host's `/` mounted).
    #[must_use]
    pub fn of_host(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { proc: root.join("proc"), sys: root.join("sys"), root, view: "1", ..Self::default() }
    }
}

/// Something that measures a part of this machine. Keeps open files and buffers between ticks.
trait Collect: Send {
    /// Measures once. The order of the samples is the same in every tick as long as the machine is.
    fn collect(&mut self, out: &mut Row);
}

/// All that is measured of this machine.
pub struct Collectors {
    /// In the order in which their samples stand in a row.
    parts: Vec<Box<dyn Collect>>,
}

impl Collectors {
    /// Reads nothing but what cannot change while the machine runs.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            parts: vec![
                Box::new(info::Info::new(config)),
                Box::new(cpu::Cpu::new(config)),
                Box::new(load::Load::new(config)),
                Box::new(pressure::Pressure::new(config)),
                Box::new(memory::Memory::new(config)),
                Box::new(process::Processes::new(config)),
                Box::new(file_descriptors::FileDescriptors::new(config)),
                Box::new(own::Own::new()),
                Box::new(sockets::Sockets::new(config)),
                Box::new(container::Container::new(config)),
                Box::new(network::Network::new(config)),
                Box::new(disk::Disk::new(config)),
                Box::new(mounts::Mounts::new(config)),
            ],
        }
    }

    /// Measures once, into `out`, which is cleared first. Blocks for some 100 µs; a file system whose device hangs
    /// blocks as long as its device does.
    pub fn collect(&mut self, out: &mut Row) {
        out.clear();
        for part in &mut self.parts {
            part.collect(out);
        }
    }
}

impl std::fmt::Debug for Collectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collectors").field("parts", &self.parts.len()).finish()
    }
}
