//! `farol completions`: the completions of a shell, from the definition of the command line.

use crate::cli::Cli;
use crate::terminal::Terminal;
use crate::verdict::Error;
use clap::{CommandFactory, ValueEnum};

/// The shells that are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish.
    Fish,
}

/// Prints the completions of `shell`.
///
/// # Errors
/// When they cannot be printed.
pub fn run(shell: Shell, terminal: &mut Terminal) -> Result<(), Error> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "farol", &mut script);
    Ok(terminal.print(&String::from_utf8_lossy(&script))?)
}
