//! Kind `file_descriptors`: are there any left, on this machine or for a program? Which program is meant is decided as
//! for `process`.

use crate::kind::{Kind, Read};
use crate::process::{Seen, Target, still_looking};
use crate::room::Room;
use farol_config::Map;
use farol_health::{Check, Dependency, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

pub(crate) const KIND: Kind =
    Kind { name: "file_descriptors", host: true, dependency: Dependency::Other, read };

/// Unhealthy from so many per hundred used.
const UNHEALTHY_AT: f64 = 99.0;

fn read(m: &mut Map<'_>) -> Option<Read> {
    let target = Target::read_if_any(m);
    let degraded_at = m.percent("degraded_at").within(1.0..=100.0).or(85.0);
    let settings = Settings { target, degraded_at };
    Some(Read::new(format!("{settings:?}"), FileDescriptors::new(settings)))
}

/// What a `file_descriptors` check asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of each of these processes against its own limit; without any, of the machine.
    pub target: Option<Target>,
    /// Degraded from so many per hundred used.
    pub degraded_at: f64,
}

/// The check.
#[derive(Debug)]
pub struct FileDescriptors {
    settings: Arc<Settings>,
    /// Held while somebody looks: then no second look is begun.
    looking: Arc<Mutex<()>>,
}

impl FileDescriptors {
    /// A check of this machine or these processes.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), looking: Arc::default() }
    }
}

impl Check for FileDescriptors {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn target(&self) -> Option<String> {
        Some(match &self.settings.target {
            Some(target) => format!("the kernel about the files of {target}"),
            None => "the kernel about the files of this machine".to_owned(),
        })
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        let (settings, looking) = (Arc::clone(&self.settings), Arc::clone(&self.looking));
        async move {
            let looked = tokio::task::spawn_blocking(move || {
                let Some(_only) = looking.try_lock() else { return still_looking() };
                ask(&settings, Path::new("/proc"))
            });
            // Fails only while the process ends.
            looked.await.unwrap_or_else(|_| still_looking())
        }
        .boxed()
    }
}

fn ask(settings: &Settings, proc: &Path) -> Outcome {
    let Some(target) = &settings.target else {
        let text = std::fs::read_to_string(proc.join("sys/fs/file-nr")).unwrap_or_default();
        return match of_machine(&text) {
            Some(room) => judge(room, settings.degraded_at, "this machine"),
            None => Outcome::unknown(
                "unreadable",
                "/proc/sys/fs/file-nr cannot be read: mount /proc for this process",
            ),
        };
    };
    let seen = match target.find(proc) {
        Ok(seen) => seen,
        Err(failed) => return failed.outcome(),
    };
    if seen.is_empty() {
        return Outcome::unhealthy("not_running", format!("{target} does not run: start it"));
    }
    match fullest(&seen) {
        Some(room) => judge(room, settings.degraded_at, &target.to_string()),
        None => {
            let message =
                format!("{target} may not be looked into: run the agent as its user or with CAP_SYS_PTRACE");
            Outcome::unknown("not_allowed", message)
        }
    }
}

/// `allocated unused max`: open is what is allocated and in use.
fn of_machine(file_nr: &str) -> Option<Room> {
    let mut words = file_nr.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
    let mut next = || words.next().flatten();
    let (allocated, unused, max) = (next()?, next()?, next()?);
    let used = allocated.saturating_sub(unused);
    Some(Room { used, available: max.saturating_sub(used) })
}

/// The process that is nearest to its limit.
fn fullest(seen: &[Seen]) -> Option<Room> {
    let room = |process: &Seen| {
        let (used, max) = process.open_fds.zip(process.max_fds)?;
        Some(Room { used, available: max.saturating_sub(used) })
    };
    let nearest = |a: &Room, b: &Room| a.used_percent().total_cmp(&b.used_percent());
    seen.iter().filter_map(room).max_by(nearest)
}

fn judge(room: Room, degraded_at: f64, whose: &str) -> Outcome {
    let used = room.used_percent();
    let outcome = if used >= UNHEALTHY_AT {
        let message = format!(
            "{whose} has next to no file descriptors left: find what keeps them open, or raise the limit"
        );
        Outcome::unhealthy("file_descriptors_exhausted", message)
    } else if used >= degraded_at {
        let message = format!(
            "{whose} uses at least {degraded_at} % of its file descriptors: find what keeps them open, or raise the limit"
        );
        Outcome::degraded("file_descriptors_filling", message)
    } else {
        Outcome::healthy()
    };
    outcome
        .with(Figure::gauge("file_descriptors_used_percent", used, Unit::Percent).shown_as("usage"))
        .with(Figure::gauge("file_descriptors_open", room.used as f64, Unit::None))
        .with(Figure::gauge("file_descriptors_max", room.size() as f64, Unit::None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::Status;

    #[test]
    fn what_is_open_is_held_against_the_limit() {
        for (used, available, status, reason) in [
            (84, 16, Status::Healthy, "ok"),
            (85, 15, Status::Degraded, "file_descriptors_filling"),
            (98, 2, Status::Degraded, "file_descriptors_filling"),
            (99, 1, Status::Unhealthy, "file_descriptors_exhausted"),
            (100, 0, Status::Unhealthy, "file_descriptors_exhausted"),
        ] {
            let outcome = judge(Room { used, available }, 85.0, "it");
            assert_eq!((outcome.status, outcome.reason.as_ref()), (status, reason), "{used}");
        }
        assert_eq!(of_machine("538\t38\t1000\n"), Some(Room { used: 500, available: 500 }));
        assert_eq!(of_machine("2000 0 1000"), Some(Room { used: 2_000, available: 0 }));
        for broken in ["", "1 2", "a b c"] {
            assert_eq!(of_machine(broken), None, "{broken}");
        }
    }

    #[tokio::test]
    async fn this_machine_and_this_process_have_real_figures() {
        let ask = async |target| FileDescriptors::new(Settings { target, degraded_at: 100.0 }).run().await;
        let open = |outcome: &Outcome| {
            outcome
                .figures
                .iter()
                .find(|figure| figure.name == "file_descriptors_open")
                .map(|figure| figure.value)
        };
        let machine = ask(None).await;
        assert!(open(&machine).is_some_and(|open| open > 0.0), "{machine:?}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), std::process::id().to_string()).unwrap();
        let own = || ask(Some(Target::PidFile(file.path().to_owned())));
        let before = open(&own().await).unwrap();
        let _held: Vec<_> = (0..200).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let after = open(&own().await).unwrap();
        assert!(after >= before + 150.0, "{before} {after}");
        let nobody = ask(Some(Target::Name("no-such-program".to_owned()))).await;
        assert_eq!((nobody.status, nobody.reason.as_ref()), (Status::Unhealthy, "not_running"));
    }
}
