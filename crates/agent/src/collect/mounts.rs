//! How full file systems are. Decides which are real and told once each: those on disks of this machine, by the
//! device and not by how often they are mounted; an overlay only as a container's `/`. Network file systems are
//! left alone: asking one whose server is gone may block for ever.

use super::devices::left_out_series;
use super::text::{Text, float, percent};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use parse::{Mount, parse};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod parse;

/// The list of mounts is read when the kernel says that it changed, and in any case every so many ticks.
const READ_AGAIN: u32 = 60;

/// Measures space and files of each file system.
pub(super) struct Mounts {
    mountinfo: Text,
    /// Where the mount points are reached.
    root: PathBuf,
    /// Most told.
    most: usize,
    told: Vec<Told>,
    /// How many real file systems there are besides.
    left_out: usize,
    left_out_series: Arc<Series>,
    /// Ticks until the list is read whatever the kernel says.
    until_read: u32,
}

/// A file system that is told.
struct Told {
    mount: Mount,
    path: CString,
    /// Total, available, usage, files in all, files free.
    series: [Arc<Series>; 5],
    /// Whether a failure to ask it has been logged.
    failed: bool,
}

impl Mounts {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            mountinfo: Text::of_records(config.proc.join(config.view).join("mountinfo")),
            root: config.root.clone(),
            most: config.most_mounts,
            told: Vec::new(),
            left_out: 0,
            left_out_series: Arc::new(left_out_series("mounts")),
            until_read: 0,
        }
    }

    /// Reads the list of mounts if it may have changed. `false` when it cannot be read.
    fn refresh(&mut self) -> bool {
        if self.until_read > 0 && !self.has_changed() {
            self.until_read -= 1;
            return true;
        }
        let root = &self.root;
        let Some(text) = self.mountinfo.read() else {
            self.told.clear();
            self.until_read = 0;
            return false;
        };
        let mut mounts = parse(text, |mount| on_disk(root, &mount.point).is_dir());
        self.left_out = mounts.len().saturating_sub(self.most);
        mounts.truncate(self.most);
        let mut before = std::mem::take(&mut self.told);
        for mount in mounts {
            match before.iter().position(|told| told.mount == mount) {
                Some(at) => self.told.push(before.swap_remove(at)),
                None => self.told.extend(Told::new(mount, root)),
            }
        }
        self.until_read = READ_AGAIN;
        true
    }

    /// The kernel marks the open file when a mount has come, gone or changed since it was opened or last asked. It
    /// is asked before the list is read, so nothing is missed in between.
    fn has_changed(&self) -> bool {
        let Some(file) = self.mountinfo.file() else { return true };
        let mut waiting = [PollFd::new(file, PollFlags::PRI)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut waiting, Some(&now)).map_or(true, |ready| ready > 0)
    }
}

impl Collect for Mounts {
    fn collect(&mut self, out: &mut Row) {
        if !self.refresh() {
            return;
        }
        for told in &mut self.told {
            told.collect(out);
        }
        out.push(&self.left_out_series, float(self.left_out as u64));
    }
}

/// Where a mount point is reached from here.
fn on_disk(root: &Path, point: &Path) -> PathBuf {
    root.join(point.strip_prefix("/").unwrap_or(point))
}

impl Told {
    /// `None` for a path with a NUL in it, which the kernel never gives.
    fn new(mount: Mount, root: &Path) -> Option<Self> {
        let path = CString::new(on_disk(root, &mount.point).as_os_str().as_bytes()).ok()?;
        let point = mount.point.to_string_lossy().into_owned();
        let series = [
            Series::gauge("system_disk_total_bytes", Unit::Bytes),
            Series::gauge("system_disk_available_bytes", Unit::Bytes),
            Series::gauge("system_disk_usage_percent", Unit::Percent).digits(2),
            Series::gauge("system_disk_files", Unit::None),
            Series::gauge("system_disk_files_free", Unit::None),
        ]
        .map(|series| Arc::new(series.label("mount", point.as_str()).label("device", mount.device.as_str())));
        Some(Self { mount, path, series, failed: false })
    }

    fn collect(&mut self, out: &mut Row) {
        let stat = match rustix::fs::statvfs(self.path.as_c_str()) {
            Ok(stat) if stat.f_blocks > 0 => stat,
            Ok(_) => return,
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    let mount = self.mount.point.display();
                    tracing::warn!(%mount, %error, "a file system cannot be asked how full it is; its series are left out");
                }
                return;
            }
        };
        let [total, available, usage, files, files_free] = &self.series;
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        out.push(total, float(stat.f_blocks.saturating_mul(stat.f_frsize)));
        out.push(available, float(stat.f_bavail.saturating_mul(stat.f_frsize)));
        // As `df` does: of what a user can have, so without what is reserved for root.
        out.push_some(usage, percent(used, used.saturating_add(stat.f_bavail)));
        if stat.f_files > 0 {
            out.push(files, float(stat.f_files));
            out.push(files_free, float(stat.f_ffree));
        }
    }
}
