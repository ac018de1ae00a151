//! Kind `command`: a program of the operator's own, as Nagios knows them: its exit code is the status, its first
//! line the message, its performance data figures. How it is run and killed is in `command/child.rs`, what it printed
//! in `command/said.rs` and `command/performance.rs`.

mod child;
mod performance;
mod read;
mod said;
#[cfg(test)]
mod tests;

pub(crate) use read::KIND;

use child::Ended;
use farol_health::{Check, Outcome, Status};
use futures::FutureExt;
use futures::future::BoxFuture;
use said::Said;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

/// What a `command` check runs.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The program, by its path or its name on [`PATH`], and its arguments. No shell reads them.
    pub argv: Vec<String>,
    /// Variables besides the few that every command has; may hold secrets.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub cwd: PathBuf,
}

/// Where programs are looked for, and what commands get as their `PATH`.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Settings {
    /// This program with these arguments, at the root, with nothing in its environment but `PATH` and a locale.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self { argv, env: Vec::new(), cwd: PathBuf::from("/") }
    }
}

/// Variables may be secrets, arguments are visible to the whole machine anyway.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("argv", &self.argv).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// The check.
#[derive(Debug)]
pub struct Command {
    settings: Settings,
}

impl Command {
    /// A check by this program.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        child::keep_files();
        Self { settings }
    }

    fn program(&self) -> &str {
        self.settings.argv.first().map_or("", String::as_str)
    }
}

impl Check for Command {
    fn kind(&self) -> &'static str {
        "command"
    }

    fn target(&self) -> Option<String> {
        Some(format!("`{}`", self.program()))
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        async move {
            match child::run(&self.settings).await {
                Ok(ended) => judge(&ended, self.program()),
                Err(error) => not_run(&error, self.program()),
            }
        }
        .boxed()
    }
}

fn judge(ended: &Ended, program: &str) -> Outcome {
    let said = Said::of(&ended.stdout, &ended.stderr);
    let told = |otherwise: String| if said.message.is_empty() { otherwise } else { said.message.clone() };
    let outcome = match (ended.status.code(), ended.status.signal()) {
        // A good plugin says "OK - …" with moving figures in it; there is nothing to do about it.
        (Some(0), _) => Outcome::new(Status::Healthy, "ok", said.message.clone()),
        (Some(1), _) => {
            Outcome::degraded("command_warning", told(format!("`{program}` warns and says not why")))
        }
        (Some(2), _) => {
            Outcome::unhealthy("command_critical", told(format!("`{program}` fails and says not why")))
        }
        (Some(3), _) => {
            Outcome::unknown("command_unknown", told(format!("`{program}` cannot tell and says not why")))
        }
        (Some(code), _) => {
            let message = format!(
                "`{program}` exited with {code}; a plugin exits with 0, 1, 2 or 3. {}",
                told("It says nothing".to_owned())
            );
            Outcome::unknown("command_exit_code", message)
        }
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            Outcome::unknown(
                "command_killed",
                format!("`{program}` was ended by signal {signal}: see its log"),
            )
        }
    };
    performance::figures(&said.performance).into_iter().fold(outcome, Outcome::with)
}

/// It could not be started, or its end could not be waited for: nothing is known of what it asks.
fn not_run(error: &io::Error, program: &str) -> Outcome {
    let (reason, what) = match error.kind() {
        io::ErrorKind::NotFound => ("command_not_found", "install it, or correct `argv` and `cwd`"),
        io::ErrorKind::PermissionDenied => ("command_not_allowed", "let the agent's user run it"),
        _ => ("command_not_run", "look at the limits of this process and of its user"),
    };
    Outcome::unknown(reason, format!("`{program}` cannot be run ({error}): {what}"))
}
