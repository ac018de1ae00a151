//! Which checks `farol check` runs: those of a file's agent, else those of this machine. A `farol.yaml` is told
//! from an `agent.yaml` by its keys.

use crate::cli::CheckArgs;
use crate::machine;
use crate::verdict::Error;
use farol_agent::{Config, Surroundings};
use farol_config::{Map, Sources};
use farol_health::Registration;

/// The service of checks that name none.
const SERVICE: &str = "host";

/// What a file says.
enum Said {
    /// These.
    Checks(Vec<Registration>),
    /// A standalone's file without a list: the machine's.
    Nothing,
}

pub(super) async fn checks(args: &CheckArgs) -> Result<Vec<Registration>, Error> {
    let Some(file) = &args.config else { return Ok(machine::checks(SERVICE, &[]).await) };
    let tree = Sources::new().file(file).load()?;
    match tree.read(|m| said(m, &anybody()))? {
        Said::Checks(checks) if checks.is_empty() => {
            Err(Error::Usage(format!("{} names no checks; write some under `checks:`", file.display())))
        }
        Said::Checks(checks) => Ok(checks),
        Said::Nothing => Ok(machine::checks(SERVICE, &[]).await),
    }
}

fn said(m: &mut Map<'_>, surroundings: &Surroundings) -> Said {
    if !m.has("agent") && !m.has("monitor") {
        m.ignore("logging");
        return Said::Checks(Config::read_alone(m, surroundings).checks);
    }
    m.ignore("monitor");
    m.ignore("logging");
    m.section("agent", |m| {
        let checks = Config::read(m, surroundings).checks;
        if m.has("checks") { Said::Checks(checks) } else { Said::Nothing }
    })
}

/// A check needs neither an agent's name (where the file gives none, any will do) nor its certificates.
fn anybody() -> Surroundings {
    let name = || Some("check".to_owned());
    Surroundings {
        pod_name: name(),
        pod_namespace: name(),
        node_name: name(),
        host_name: name(),
        elsewhere: true,
        service: None,
    }
}
