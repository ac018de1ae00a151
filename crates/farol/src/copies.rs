//! `farol backup` and `farol restore`: what is said while they work and when they are done. How a store is copied is the
//! monitor's.

use crate::cli::CopyArgs;
use crate::store::place;
use crate::terminal::{Terminal, one_line};
use crate::verdict::Error;
use farol_monitor::store::copy::{self, Copied, Progress};
use rustix::termios::isatty;
use std::ffi::OsString;
use std::io::{self, Write};

/// Copies the store into a file.
///
/// # Errors
/// It could not be copied.
pub async fn backup(
    args: &CopyArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let (store, data_dir) = place(&args.which, env)?;
    let mut line = Line::new("copied");
    let copied = copy::backup(&store, &data_dir, &args.file, args.force, &mut |p| line.show(p)).await;
    line.clear();
    let copied = copied.map_err(failed)?;
    let file = one_line(&args.file.display().to_string());
    terminal.print(&format!("{file}: {}, the store {}", size(copied.bytes), copied.store_id))?;
    Ok(())
}

/// Puts a copy in the store's place.
///
/// # Errors
/// It could not be put there.
pub async fn restore(
    args: &CopyArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let (store, data_dir) = place(&args.which, env)?;
    let mut line = Line::new("restored");
    let copied = copy::restore(&store, &data_dir, &args.file, args.force, &mut |p| line.show(p)).await;
    line.clear();
    let Copied { store_id, aside, .. } = copied.map_err(failed)?;
    let aside = aside.map_or_else(String::new, |aside| format!("; the old one is {}", one_line(&aside)));
    terminal.print(&format!("the store {store_id} is in its place{aside}"))?;
    Ok(())
}

fn failed(error: anyhow::Error) -> Error {
    Error::Failed(format!("{error:#}"))
}

/// How far it is, on a terminal alone.
struct Line {
    /// What is done with the bytes.
    done: &'static str,
    /// Standard error is looked at.
    looked_at: bool,
    /// The last that was shown: only what changes is written.
    shown: String,
}

impl Line {
    fn new(done: &'static str) -> Self {
        Self { done, looked_at: isatty(io::stderr()), shown: String::new() }
    }

    fn show(&mut self, progress: Progress) {
        let text = words(self.done, progress);
        if self.looked_at && text != self.shown {
            write(&format!("\r\u{1b}[K{text}"));
            self.shown = text;
        }
    }

    fn clear(&self) {
        if !self.shown.is_empty() {
            write("\r\u{1b}[K");
        }
    }
}

/// Nobody is left to tell when that fails.
fn write(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

fn words(done: &str, Progress { bytes, of }: Progress) -> String {
    match of.filter(|of| *of > 0) {
        Some(of) => {
            let share = bytes.saturating_mul(100) / of;
            format!("{} of about {} {done}, {} %", size(bytes), size(of), share.min(99))
        }
        None => format!("{} {done}", size(bytes)),
    }
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let bytes = bytes as f64;
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes / unit < 9.95 => format!("{:.1} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.0} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_far_it_is_as_far_as_that_is_known() {
        let of = |bytes, of| words("copied", Progress { bytes, of });
        assert_eq!(of(1_500_000, Some(3_000_000)), "1.5 MB of about 3.0 MB copied, 50 %");
        assert_eq!(of(4, Some(3)), "4 bytes of about 3 bytes copied, 99 %");
        assert_eq!(of(123_456, None), "123 kB copied");
        assert_eq!(of(9_960, Some(0)), "10 kB copied");
    }
}
