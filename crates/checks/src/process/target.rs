//! Which processes are meant: that of a pid file, those of a name, or those whose command line matches. Decides how
//! each is found, and that a process which has ended and is not reaped runs no more.

use super::seen::{Machine, Seen};
use farol_config::Map;
use farol_health::Outcome;
use regex::Regex;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The kernel cuts names to so many bytes.
const COMM_BYTES: usize = 15;
/// So much of a command line is looked at.
const COMMAND_LINE_BYTES: u64 = 16 << 10;
/// A process that began so much later than its pid file was written is another's.
const STALE_SECONDS: f64 = 5.0;

/// Which processes are meant.
#[derive(Clone, Debug)]
pub enum Target {
    /// The one whose id stands in this file.
    PidFile(PathBuf),
    /// All of this name: the kernel's, or that of the program's file.
    Name(String),
    /// All whose words, joined by spaces, match.
    Pattern(Regex),
}

/// Why processes cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The pid file says what is wrong with itself.
    PidFile(&'static str, String),
    /// `/proc` cannot be read.
    Proc,
}

impl Failed {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::PidFile(reason, message) => Outcome::unhealthy(reason, message),
            Self::Proc => Outcome::unknown("unreadable", "/proc cannot be read: mount it for this process"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PidFile(path) => write!(f, "the process of {}", path.display()),
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Pattern(pattern) => write!(f, "what matches `{pattern}`"),
        }
    }
}

impl Target {
    /// Reads the keys `pid_file`, `name` and `pattern`, of which one is given.
    pub(crate) fn read(m: &mut Map<'_>) -> Option<Self> {
        match Self::read_if_any(m) {
            None if !["pid_file", "name", "pattern"].iter().any(|key| m.has(key)) => {
                m.problem_here("says not which process; write `name: nginx`, `pid_file: …` or `pattern: …`");
                None
            }
            target => target,
        }
    }

    /// The same where none need be given.
    pub(crate) fn read_if_any(m: &mut Map<'_>) -> Option<Self> {
        let given: Vec<_> = ["pid_file", "name", "pattern"].into_iter().filter(|key| m.has(key)).collect();
        let pid_file = m.path("pid_file").optional();
        let name = m.text("name").optional();
        let pattern = m.parsed::<Regex>("pattern", "a regular expression", "^java .*orders").optional();
        if let [first, second, ..] = given[..] {
            m.problem(second, format!("is given as well as `{first}`; keep one of them"));
            return None;
        }
        pid_file.map(Self::PidFile).or(name.map(Self::Name)).or(pattern.map(Self::Pattern))
    }

    /// Those that run now.
    pub(crate) fn find(&self, proc: &Path) -> Result<Vec<Seen>, Failed> {
        let machine = Machine::read(proc).ok_or(Failed::Proc)?;
        if let Self::PidFile(file) = self {
            return Ok(of_file(file, &machine)?.into_iter().collect());
        }
        let entries = std::fs::read_dir(proc).map_err(|_| Failed::Proc)?;
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Ok(pids.filter(|pid| self.is_meant(&machine, *pid)).filter_map(|pid| machine.see(pid)).collect())
    }

    fn is_meant(&self, machine: &Machine<'_>, pid: u32) -> bool {
        match self {
            Self::PidFile(_) => false,
            Self::Name(name) => {
                let comm = std::fs::read_to_string(machine.file(pid, "comm")).unwrap_or_default();
                let comm = comm.strip_suffix('\n').unwrap_or(&comm);
                // Only a name that may have been cut is worth a second look.
                if name.len() <= COMM_BYTES && comm == name {
                    return true;
                }
                let cut = comm.len() >= COMM_BYTES && name.starts_with(comm);
                let first = || command_line(machine, pid).into_iter().next().unwrap_or_default();
                (cut || name.len() <= COMM_BYTES) && first().rsplit('/').next() == Some(name.as_str())
            }
            Self::Pattern(pattern) => {
                let words = command_line(machine, pid);
                // A thread of the kernel has none.
                !words.is_empty() && pattern.is_match(&words.join(" "))
            }
        }
    }
}

/// The words of a command line; none of a thread of the kernel.
fn command_line(machine: &Machine<'_>, pid: u32) -> Vec<String> {
    let Ok(file) = std::fs::File::open(machine.file(pid, "cmdline")) else { return Vec::new() };
    let mut bytes = Vec::new();
    if file.take(COMMAND_LINE_BYTES).read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end_matches('\0');
    if text.is_empty() { Vec::new() } else { text.split('\0').map(str::to_owned).collect() }
}

/// The process of a pid file, unless its number is another's by now.
fn of_file(path: &Path, machine: &Machine<'_>) -> Result<Option<Seen>, Failed> {
    let shown = path.display();
    let failed = |reason, what: String| Err(Failed::PidFile(reason, what));
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_string(&mut text));
    if let Err(error) = read {
        return match error.kind() {
            std::io::ErrorKind::NotFound => {
                failed("no_pid_file", format!("{shown} is not there: start the program, or correct the path"))
            }
            _ => failed(
                "bad_pid_file",
                format!("{shown} cannot be read ({error}): let the agent's user read it"),
            ),
        };
    }
    let Some(pid) = text.split_whitespace().next().and_then(|word| word.parse::<u32>().ok()) else {
        return failed(
            "bad_pid_file",
            format!("{shown} does not begin with a process id: see who writes it"),
        );
    };
    let Some(seen) = machine.see(pid) else { return Ok(None) };
    let written = std::fs::metadata(path).ok().and_then(|file| {
        let since = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(since.as_secs_f64())
    });
    let later = |(started, written): (f64, f64)| started > written + STALE_SECONDS;
    if seen.started_at.zip(written).is_some_and(later) {
        let message =
            format!("{shown} is older than the process of its number: the program ended, start it anew");
        return failed("stale_pid_file", message);
    }
    Ok(Some(seen))
}
