//! `farol status`: the fleet as its monitor sees it, once or as it changes. Decides when something is printed;
//! what is asked is in `status/monitor.rs`, what it means in `status/picture.rs`, how it looks in
//! `status/report.rs`.

mod monitor;
mod picture;
mod report;

use crate::cli::StatusArgs;
use crate::terminal::{Terminal, complain};
use crate::verdict::{Error, Verdict};
use farol_health::aggregate::Aggregate;
use jiff::Timestamp;
use monitor::{Monitor, Much};
use picture::Picture;
use std::time::Duration;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Asks the monitor, prints what it sees, and gives what its services make together. Watching ends with its
/// reader.
///
/// # Errors
/// When no monitor answers, or the result cannot be printed. While watching, a monitor that does not answer is
/// told and waited for.
pub async fn run(args: &StatusArgs, terminal: &mut Terminal) -> Verdict {
    let monitor = Monitor::at(&args.url, args.timeout)?;
    let much = if args.json { Much::All } else { Much::Page };
    if args.watch {
        return watch(&monitor, much, terminal).await;
    }
    let picture = monitor.picture(much).await?;
    terminal.print(&text(&picture, much, terminal, Timestamp::now()))?;
    Ok(picture.status())
}

fn text(picture: &Picture, much: Much, terminal: &Terminal, now: Timestamp) -> String {
    match much {
        Much::All => report::json(picture, now).to_string(),
        Much::Page => report::table(picture, now, terminal),
    }
}

async fn watch(monitor: &Monitor, much: Much, terminal: &mut Terminal) -> Verdict {
    // A first look that fails is a wrong address more often than a monitor that restarts.
    let mut looked = Ok(monitor.picture(much).await?);
    let mut shown: Option<Result<Picture, String>> = None;
    loop {
        let changed = match (&looked, &shown) {
            (Ok(new), Some(Ok(old))) => !new.says_the_same_as(old),
            (Err(new), Some(Err(old))) => new != old,
            _ => true,
        };
        // On a screen the ages go on; elsewhere only news is news.
        if changed || terminal.is_interactive() {
            show(&looked, much, terminal)?;
        }
        if terminal.is_closed() {
            return Ok(looked.map_or(Aggregate::Status(farol_health::Status::Unknown), |p| p.status()));
        }
        shown = Some(looked);
        tokio::time::sleep(EVERY).await;
        looked = monitor.picture(much).await.map_err(|error: Error| error.to_string());
    }
}

fn show(looked: &Result<Picture, String>, much: Much, terminal: &mut Terminal) -> Result<(), Error> {
    terminal.clear()?;
    match looked {
        Ok(picture) => {
            let now = Timestamp::now();
            let mut text = text(picture, much, terminal, now);
            if much == Much::Page {
                text = format!("{text}\n\n{now:.0}, every {} s; Ctrl-C ends\n", EVERY.as_secs());
            }
            terminal.print(&text)?;
        }
        Err(error) => complain(&format!("{error}; trying again")),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
