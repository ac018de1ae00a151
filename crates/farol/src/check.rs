//! `farol check`: runs checks once and says what they found. Decides which checks run; what their results mean
//! is `farol-health`'s, how they look is in `check/report.rs`.

mod chosen;
mod report;

use crate::cli::CheckArgs;
use crate::terminal::Terminal;
use crate::verdict::{Error, Verdict};
use farol_health::aggregate::{self, Part};
use farol_health::{ComponentView, Registration, run_once};
use std::sync::Arc;
use std::time::Duration;

/// Runs the checks once, prints what they found, and gives what they make together.
///
/// # Errors
/// When the file is wrong, holds no such check, or the result cannot be printed. A check that fails is no
/// error.
pub async fn run(args: &CheckArgs, terminal: &mut Terminal) -> Verdict {
    let checks = chosen::checks(args).await?;
    let checks = within(named(checks, &args.names)?, args.timeout);
    let views = run_once(checks).await.map_err(|error| Error::Usage(error.to_string()))?;
    let status = together(&views);
    let text = if args.json {
        report::json(status, &views, jiff::Timestamp::now()).to_string()
    } else {
        report::table(status, &views, terminal)
    };
    terminal.print(&text)?;
    Ok(status)
}

/// The checks of these names; all where none is given.
fn named(checks: Vec<Registration>, names: &[String]) -> Result<Vec<Registration>, Error> {
    let missing = names.iter().find(|name| !checks.iter().any(|check| check.spec.name == **name));
    if let Some(name) = missing {
        let known: Vec<_> = checks.iter().map(|check| check.spec.name.as_str()).collect();
        return Err(Error::Usage(format!("there is no check `{name}`; there are: {}", known.join(", "))));
    }
    let told = |check: &&Registration| check.spec.told && names.contains(&check.spec.name);
    if let Some(check) = checks.iter().find(told) {
        return Err(Error::Usage(format!(
            "`{}` is told by an application, so it cannot be asked; ask a running agent",
            check.spec.name
        )));
    }
    let wanted = |check: &Registration| names.is_empty() || names.contains(&check.spec.name);
    Ok(checks.into_iter().filter(wanted).collect())
}

fn within(mut checks: Vec<Registration>, timeout: Option<Duration>) -> Vec<Registration> {
    if let Some(timeout) = timeout {
        for check in &mut checks {
            check.spec.deadline = timeout;
        }
    }
    checks
}

/// The instance rule over what was found.
fn together(views: &[Arc<ComponentView>]) -> aggregate::Aggregate {
    aggregate::instance(views.iter().map(|view| Part {
        status: view.hard,
        required: view.required,
        drained: false,
    }))
}

#[cfg(test)]
mod tests;
