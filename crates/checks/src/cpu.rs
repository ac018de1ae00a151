//! Kind `cpu`: was there processor time left over a while? Inside a cgroup (version 2) with a quota, of that quota
//! and of the machine, whichever is shorter. Never unhealthy: who is busy works.

use crate::cgroup::groups;
use crate::kind::{Kind, Read};
use crate::system::{Ticks, ticks};
use farol_config::Map;
use farol_health::{Check, Dependency, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fs::read_to_string;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

pub(crate) const KIND: Kind = Kind { name: "cpu", host: true, dependency: Dependency::Other, read };

/// Windows; a longer one is a question to the history.
const WINDOWS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// So many looks of a window are kept, however often it is looked.
const KEPT: u32 = 256;

fn read(m: &mut Map<'_>) -> Option<Read> {
    let default = Settings::default();
    let settings = Settings {
        of: m.one_of("of", &[("auto", Of::Auto), ("machine", Of::Machine)]).or(default.of),
        degraded_at: m.percent("degraded_at").within(1.0..=100.0).or(default.degraded_at),
        window: m.duration("window").within(WINDOWS).or(default.window),
    };
    Some(Read::new(format!("{settings:?}"), Cpu::new(settings)))
}

/// Whose processor time is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Of {
    /// The cgroup's where it has a quota, and the machine's.
    #[default]
    Auto,
    /// The machine's, even where this process itself is limited.
    Machine,
}

/// What a `cpu` check asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whose processor time.
    pub of: Of,
    /// Degraded from so many per hundred used.
    pub degraded_at: f64,
    /// Over so long.
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { of: Of::Auto, degraded_at: 85.0, window: Duration::from_secs(60) }
    }
}

/// The check.
#[derive(Debug)]
pub struct Cpu {
    settings: Settings,
    /// Usage is what happened since the oldest look of the window.
    looks: Mutex<Window>,
}

impl Cpu {
    /// The first window begins now.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut looks = Window { length: settings.window, looks: VecDeque::new() };
        looks.since(Look::now(settings.of));
        Self { settings, looks: Mutex::new(looks) }
    }

    fn ask(&self) -> Outcome {
        let now = Look::now(self.settings.of);
        if now.machine.is_none() {
            return Outcome::unknown("unreadable", "/proc/stat cannot be read: mount /proc for this process");
        }
        let used = self.looks.lock().since(now).and_then(|before| now.used_since(before));
        judge(used, &self.settings)
    }
}

impl Check for Cpu {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn target(&self) -> Option<String> {
        Some("the kernel about the processors".to_owned())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        // The kernel answers these files from memory: nothing to wait for.
        async move { self.ask() }.boxed()
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    at: Instant,
    machine: Option<Ticks>,
    group: Option<Group>,
}

/// A cgroup's counter and quota.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Group {
    used_us: u64,
    /// Processors it may use.
    quota: f64,
}

impl Look {
    fn now(of: Of) -> Self {
        let group = match of {
            Of::Auto => group(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup")),
            Of::Machine => None,
        };
        Self { at: Instant::now(), machine: ticks(), group }
    }

    /// Used per hundred since `before` of what is shorter, and what that is. Nothing when no time has passed.
    fn used_since(self, before: Self) -> Option<(f64, &'static str)> {
        let machine = self.machine.zip(before.machine).and_then(|(now, before)| now.usage_since(before));
        let group = self.group.zip(before.group).and_then(|(now, then)| {
            let used_us = now.used_us.checked_sub(then.used_us)? as f64;
            let time_us = self.at.saturating_duration_since(before.at).as_micros() as f64;
            (time_us > 0.0).then(|| (used_us / (time_us * now.quota) * 100.0).min(100.0))
        });
        let of = |used: Option<f64>, of| used.map(|used| (used, of));
        of(machine, "machine").into_iter().chain(of(group, "cgroup")).max_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// The smallest quota of our group and those above it.
fn group(mount: &Path, membership: &Path) -> Option<Group> {
    let of = |directory: &Path| {
        let max = read_to_string(directory.join("cpu.max")).ok()?;
        let (quota, period) = max.trim().split_once(' ')?;
        let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
        let stat = read_to_string(directory.join("cpu.stat")).ok()?;
        let used_us = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()?;
        (quota > 0.0 && period > 0.0).then_some(Group { used_us, quota: quota / period })
    };
    let groups = groups(mount, membership);
    groups.iter().filter_map(|directory| of(directory)).min_by(|a, b| a.quota.total_cmp(&b.quota))
}

/// The looks of a window, oldest first; about [`KEPT`] of them at most.
#[derive(Debug)]
struct Window {
    length: Duration,
    looks: VecDeque<Look>,
}

impl Window {
    /// The look with which the window began, or the first of all.
    fn since(&mut self, now: Look) -> Option<Look> {
        let age = |look: &Look| now.at.saturating_duration_since(look.at);
        while self.looks.get(1).is_some_and(|second| age(second) >= self.length) {
            self.looks.pop_front();
        }
        if self.looks.back().is_none_or(|last| age(last) >= self.length / KEPT) {
            self.looks.push_back(now);
        }
        self.looks.front().copied().filter(|first| first.at < now.at)
    }
}

fn judge(used: Option<(f64, &'static str)>, settings: &Settings) -> Outcome {
    let Settings { degraded_at, window, .. } = settings;
    let Some((used, of)) = used else { return Outcome::healthy() };
    let outcome = if used >= *degraded_at {
        let message = format!(
            "at least {degraded_at} % of the {of}'s processor time was used over {window:?}: find what works so \
             hard, or give it more"
        );
        Outcome::degraded("cpu_busy", message)
    } else {
        Outcome::healthy()
    };
    outcome
        .with(Figure::gauge("cpu_used_percent", used, Unit::Percent).shown_as("cpu_usage"))
        .with_fact("of", of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::Status;
    use std::fs;

    fn look(start: Instant, ms: u64, used_us: u64) -> Look {
        let group = Some(Group { used_us, quota: 2.0 });
        Look { at: start + Duration::from_millis(ms), machine: None, group }
    }

    #[test]
    fn usage_is_of_the_quota_and_over_the_window() {
        let start = Instant::now();
        let mut window = Window { length: Duration::from_secs(10), looks: VecDeque::new() };
        assert_eq!(window.since(look(start, 0, 0)), None, "no time has passed");
        let mut used = Vec::new();
        // Idle for 10 s, then both processors for 20 s.
        for second in 1..=30 {
            let now = look(start, second * 1_000, second.saturating_sub(10) * 2_000_000);
            let before = window.since(now).unwrap();
            used.push(now.used_since(before).unwrap().0.round() as u64);
        }
        assert_eq!((used[9], used[14], used[19], used[29]), (0, 50, 100, 100), "{used:?}");
        assert!(window.looks.len() <= 12);
    }

    #[test]
    fn however_often_it_is_looked_little_is_kept() {
        let start = Instant::now();
        let mut window = Window { length: Duration::from_secs(3_600), looks: VecDeque::new() };
        for tenth in 0..100_000 {
            window.since(look(start, tenth * 100, 0));
        }
        assert!(window.looks.len() <= KEPT as usize + 2, "{}", window.looks.len());
    }

    #[test]
    fn the_smallest_quota_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().join("cgroup");
        let own = mount.join("pod/app");
        fs::create_dir_all(&own).unwrap();
        let write = |directory: &Path, max: &str, used: u64| {
            fs::write(directory.join("cpu.max"), max).unwrap();
            fs::write(directory.join("cpu.stat"), format!("usage_usec {used}\nuser_usec 1\n")).unwrap();
        };
        let membership = dir.path().join("membership");
        fs::write(&membership, "0::/pod/app\n").unwrap();
        write(&own, "max 100000\n", 5);
        assert_eq!(group(&mount, &membership), None);
        write(&own, "200000 100000\n", 5);
        write(&mount.join("pod"), "50000 100000\n", 7);
        assert_eq!(group(&mount, &membership), Some(Group { used_us: 7, quota: 0.5 }));
    }

    #[test]
    fn busy_is_degraded_and_never_worse() {
        let settings = Settings::default();
        for (used, status, reason) in [
            (Some((84.9, "machine")), Status::Healthy, "ok"),
            (Some((85.0, "machine")), Status::Degraded, "cpu_busy"),
            (Some((100.0, "cgroup")), Status::Degraded, "cpu_busy"),
            (None, Status::Healthy, "ok"),
        ] {
            let outcome = judge(used, &settings);
            assert_eq!((outcome.status, outcome.reason.as_ref()), (status, reason), "{used:?}");
        }
    }

    #[tokio::test]
    async fn this_machine_has_a_real_figure() {
        let check = Cpu::new(Settings::default());
        let end = Instant::now() + Duration::from_secs(10);
        let used = loop {
            let outcome = check.run().await;
            if let Some(figure) = outcome.figures.first() {
                break figure.value;
            }
            assert!(Instant::now() < end, "no tick of the kernel within ten seconds");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!((0.0..=100.0).contains(&used), "{used}");
    }
}
