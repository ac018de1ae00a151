//! Which checks `farol check` runs: those of a file's agent, else those of this machine. A `farol.yaml` is told
//! from an `agent.yaml` by its keys.

use crate::cli::CheckArgs;
use crate::machine;
use crate::verdict::Error;
use farol_config::{Map, Sources};
use farol_health::Registration;
use std::ffi::OsString;

/// The environment, as `main` read it.
pub(crate) type Env = Vec<(OsString, OsString)>;

/// The service of checks that name none.
const SERVICE: &str = "host";

/// What a file says.
enum Said {
    /// These.
    Checks(Vec<Registration>),
    /// A standalone's file without a list: the machine's.
    Nothing,
}

pub(super) async fn checks(args: &CheckArgs, env: Env) -> Result<Vec<Registration>, Error> {
    let Some(file) = &args.config else { return Ok(machine::checks(SERVICE, &[]).await) };
    let tree = Sources::new().file(file).env("FAROL_AGENT", Some("agent"), env).load()?;
    match tree.read(said)? {
        Said::Checks(checks) if checks.is_empty() => {
            Err(Error::Usage(format!("{} names no checks; write some under `checks:`", file.display())))
        }
        Said::Checks(checks) => Ok(checks),
        Said::Nothing => Ok(machine::checks(SERVICE, &[]).await),
    }
}

fn said(m: &mut Map<'_>) -> Said {
    if !m.has("agent") && !m.has("monitor") {
        return Said::Checks(agent(m));
    }
    m.ignore("monitor");
    m.section("agent", |m| if m.has("checks") { Said::Checks(agent(m)) } else { Said::Nothing })
}

fn agent(m: &mut Map<'_>) -> Vec<Registration> {
    for key in m.keys() {
        m.ignore(&key);
    }
    let service = m.name("service").or(SERVICE);
    farol_checks::registrations(m, &service)
}
