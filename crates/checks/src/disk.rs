//! Kind `disk`: is there room on the file systems of these paths, and may one write there? Percentages as `df`
//! computes them. Files are never written. A look at a path may hang (a network file system): each hangs alone,
//! and a path is not looked at again before the last look came back.

use crate::kind::{Kind, Read};
use crate::room::Room;
use farol_config::Map;
use farol_health::{Check, Dependency, Figure, Outcome, Status, Unit};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use rustix::fs::{Access, StatVfs, StatVfsMountFlags};
use rustix::io::Errno;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const KIND: Kind = Kind { name: "disk", host: true, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let default = Settings::default();
    let paths: Vec<PathBuf> = m.texts("paths").into_iter().map(PathBuf::from).collect();
    if let Some(relative) = paths.iter().find(|path| !path.is_absolute()) {
        m.problem("paths", format!("`{}` does not begin with `/`; write the whole path", relative.display()));
    }
    let settings = Settings {
        paths: if paths.is_empty() { default.paths } else { paths },
        degraded_at: m.percent("degraded_at").within(1.0..=100.0).or(default.degraded_at),
        writable: m.flag("writable").or(default.writable),
    };
    Some(Read::new(format!("{settings:?}"), Disk::new(settings)))
}

/// What a `disk` check asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Any path on each file system.
    pub paths: Vec<PathBuf>,
    /// Degraded from so many per hundred used.
    pub degraded_at: f64,
    /// Whether this process must be able to write there.
    pub writable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { paths: vec!["/".into()], degraded_at: 85.0, writable: false }
    }
}

/// The check.
#[derive(Debug)]
pub struct Disk {
    settings: Settings,
    /// For each path whether a look at it has not come back: then no second one is begun.
    hung: Vec<Arc<AtomicBool>>,
}

impl Disk {
    /// A check of these paths.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let hung = settings.paths.iter().map(|_| Arc::default()).collect();
        Self { settings, hung }
    }

    async fn ask(&self) -> Outcome {
        let writable = self.settings.writable;
        let looks =
            self.settings.paths.iter().zip(&self.hung).map(|(path, hung)| look(path.clone(), writable, hung));
        let views = join_all(looks).await;
        let judged = self.settings.paths.iter().zip(views);
        summary(
            judged.map(|(path, view)| (path.display().to_string(), view)).collect(),
            self.settings.degraded_at,
        )
    }
}

impl Check for Disk {
    fn kind(&self) -> &'static str {
        "disk"
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        self.ask().boxed()
    }
}

/// What was seen of one path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum View {
    Room { bytes: Room, files: Room },
    NotWritable,
    Hung,
    Failed(Errno),
}

/// Looks on a thread of its own: the kernel may keep it waiting.
async fn look(path: PathBuf, writable: bool, hung: &Arc<AtomicBool>) -> View {
    if hung.swap(true, Ordering::AcqRel) {
        return View::Hung;
    }
    let done = Arc::clone(hung);
    let looked = tokio::task::spawn_blocking(move || {
        let view = look_now(&path, writable);
        done.store(false, Ordering::Release);
        view
    });
    // Fails only while the process ends.
    looked.await.unwrap_or(View::Hung)
}

fn look_now(path: &std::path::Path, writable: bool) -> View {
    let stat = match rustix::fs::statvfs(path) {
        Ok(stat) => stat,
        Err(errno) => return View::Failed(errno),
    };
    let read_only = stat.f_flag.contains(StatVfsMountFlags::RDONLY);
    if writable && (read_only || rustix::fs::access(path, Access::WRITE_OK).is_err()) {
        return View::NotWritable;
    }
    View::Room { bytes: bytes_of(&stat), files: files_of(&stat) }
}

/// Room in bytes, as `df` sees it.
pub(crate) fn bytes_of(stat: &StatVfs) -> Room {
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    Room { used: used.saturating_mul(stat.f_frsize), available: stat.f_bavail.saturating_mul(stat.f_frsize) }
}

fn files_of(stat: &StatVfs) -> Room {
    Room { used: stat.f_files.saturating_sub(stat.f_ffree), available: stat.f_favail }
}

/// The worst path gives status, reason and message; every path its figures; the fullest is shown.
fn summary(views: Vec<(String, View)>, degraded_at: f64) -> Outcome {
    let mut worst = Outcome::healthy();
    let mut figures = Vec::new();
    let mut fullest: Option<f64> = None;
    for (path, view) in views {
        let outcome = judge(&path, view, degraded_at);
        if rank(outcome.status) > rank(worst.status) {
            worst = outcome;
        }
        if let View::Room { bytes, files } = view {
            let percent = bytes.used_percent();
            fullest = Some(fullest.unwrap_or(0.0).max(percent));
            let bytes_free = bytes.available as f64;
            figures.push(Figure::gauge("disk_used_percent", percent, Unit::Percent).label("path", &path));
            figures.push(Figure::gauge("disk_free_bytes", bytes_free, Unit::Bytes).label("path", &path));
            let size = bytes.size() as f64;
            figures.push(Figure::gauge("disk_size_bytes", size, Unit::Bytes).label("path", &path));
            if files.size() > 0 {
                let percent = files.used_percent();
                figures.push(
                    Figure::gauge("disk_files_used_percent", percent, Unit::Percent).label("path", path),
                );
            }
        }
    }
    worst.figures = figures;
    match fullest {
        Some(percent) => {
            worst.with(Figure::gauge("disk_fullest_percent", percent, Unit::Percent).shown_as("disk_usage"))
        }
        None => worst,
    }
}

fn judge(path: &str, view: View, degraded_at: f64) -> Outcome {
    match view {
        View::Room { bytes, files } => match (bytes.judge(degraded_at), files_status(files, degraded_at)) {
            (Status::Unhealthy, _) => {
                Outcome::unhealthy("disk_full", format!("{path} has next to no space left: free some now"))
            }
            (_, Status::Unhealthy) => Outcome::unhealthy(
                "files_exhausted",
                format!("{path} can hold no more files: remove some now"),
            ),
            (Status::Degraded, _) => Outcome::degraded(
                "disk_filling",
                format!("{path} is at least {degraded_at} % full: free space"),
            ),
            (_, Status::Degraded) => {
                let message =
                    format!("{path} holds at least {degraded_at} % of the files it can hold: remove some");
                Outcome::degraded("files_filling", message)
            }
            _ => Outcome::healthy(),
        },
        View::NotWritable => {
            let message = format!("{path} cannot be written to: look at its mount and its permissions");
            Outcome::unhealthy("not_writable", message)
        }
        View::Hung => {
            let message =
                format!("the file system of {path} has not answered an earlier look: look at its mount");
            Outcome::unhealthy("path_hung", message)
        }
        View::Failed(Errno::NOENT) => Outcome::unhealthy(
            "path_missing",
            format!("{path} does not exist: mount it, or correct the path"),
        ),
        View::Failed(Errno::ACCESS) => Outcome::unhealthy(
            "permission_denied",
            format!("this user may not reach {path}: change its permissions"),
        ),
        View::Failed(errno) => Outcome::unhealthy("io_error", format!("{path} cannot be looked at: {errno}")),
    }
}

/// As for bytes, but there is no floor in files other than 1 %.
fn files_status(files: Room, degraded_at: f64) -> Status {
    match files.used_percent() {
        percent if percent > 99.0 => Status::Unhealthy,
        percent if percent >= degraded_at => Status::Degraded,
        _ => Status::Healthy,
    }
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Healthy => 0,
        Status::Degraded => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn room(used: u64, available: u64) -> View {
        View::Room { bytes: Room { used, available }, files: Room { used: 10, available: 90 } }
    }

    #[test]
    fn the_worst_path_speaks_and_the_fullest_is_shown() {
        let views = vec![
            ("/".to_owned(), room(90 * GIB, 10 * GIB)),
            ("/data".to_owned(), View::Failed(Errno::NOENT)),
            ("/var".to_owned(), room(10 * GIB, 90 * GIB)),
        ];
        let outcome = summary(views, 85.0);
        assert_eq!((outcome.status, outcome.reason.as_ref()), (Status::Unhealthy, "path_missing"));
        assert!(outcome.message.contains("/data"));
        let shown: Vec<_> = outcome.figures.iter().filter(|f| f.shown_as == Some("disk_usage")).collect();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].value, 90.0);
        let series = outcome.figures.iter().filter(|f| f.name == "disk_used_percent");
        assert_eq!(series.map(|f| f.labels[0].1.as_str()).collect::<Vec<_>>(), ["/", "/var"]);
    }

    #[test]
    fn each_view_has_its_reason() {
        let few_files = View::Room {
            bytes: Room { used: GIB, available: 99 * GIB },
            files: Room { used: 999, available: 1 },
        };
        let table = [
            (room(10 * GIB, 90 * GIB), Status::Healthy, "ok"),
            (room(90 * GIB, 10 * GIB), Status::Degraded, "disk_filling"),
            (room(100 * GIB, 1000), Status::Unhealthy, "disk_full"),
            (few_files, Status::Unhealthy, "files_exhausted"),
            (View::NotWritable, Status::Unhealthy, "not_writable"),
            (View::Hung, Status::Unhealthy, "path_hung"),
            (View::Failed(Errno::ACCESS), Status::Unhealthy, "permission_denied"),
            (View::Failed(Errno::IO), Status::Unhealthy, "io_error"),
        ];
        for (view, status, reason) in table {
            let outcome = judge("/", view, 85.0);
            assert_eq!((outcome.status, outcome.reason.as_ref()), (status, reason), "{view:?}");
        }
    }

    #[tokio::test]
    async fn this_machines_root_has_real_figures_and_a_missing_path_none() {
        let outcome = Disk::new(Settings::default()).run().await;
        let size = outcome.figures.iter().find(|f| f.name == "disk_size_bytes").unwrap();
        assert!(size.value > 0.0);
        let missing = Settings { paths: vec!["/no/such/path".into()], ..Settings::default() };
        let outcome = Disk::new(missing).run().await;
        assert_eq!(outcome.reason, "path_missing");
        assert!(outcome.figures.is_empty());
    }

    #[tokio::test]
    async fn a_path_whose_last_look_hangs_is_not_looked_at_again() {
        let disk = Disk::new(Settings::default());
        disk.hung[0].store(true, Ordering::Release);
        assert_eq!(disk.run().await.reason, "path_hung");
        disk.hung[0].store(false, Ordering::Release);
        assert_ne!(disk.run().await.reason, "path_hung");
        assert_ne!(disk.run().await.reason, "path_hung", "the look before came back");
    }
}
