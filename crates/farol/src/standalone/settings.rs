//! What a standalone is told: `monitor:` and `agent:` of one file, the environment and the flags. Decides what
//! cannot be said to an agent that lives with its monitor; all else is each half's own.

use crate::cli::StandaloneArgs;
use crate::verdict::Error;
use farol_agent::Surroundings;
use farol_config::{Map, Sources};
use std::ffi::OsString;

/// Everything that decides the configuration; read again at each reload.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The flags.
    pub args: StandaloneArgs,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// What the kernel calls this machine.
    pub host_name: Option<String>,
}

/// What both halves are told, and what the process logs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From `logging:`, `LOG_LEVEL` and the like.
    pub logging: farol_logging::Config,
    /// The monitor.
    pub monitor: farol_monitor::Config,
    /// The agent; its monitor's address is known when that is bound.
    pub agent: farol_agent::Config,
    /// Nobody wrote a list of checks: those of this machine are run.
    pub of_machine: bool,
}

/// Reads everything: the settings, and their dump. `service` is that of an agent which runs already.
///
/// # Errors
/// All problems of both halves at once.
pub(super) fn read(inputs: &Inputs, service: Option<String>) -> Result<(Settings, String), Error> {
    let Inputs { args, env, host_name } = inputs;
    let variable = |name: &str| {
        let (_, value) = env.iter().find(|(known, _)| known == name)?;
        value.to_str().map(str::to_owned)
    };
    let surroundings = Surroundings::read(variable, host_name.clone()).with_service(service);
    let mut sources = Sources::new();
    if let Some(file) = &args.config {
        sources = sources.file(file);
    }
    for key in &farol_logging::KEYS {
        sources = sources.variable(key.variable, &format!("logging.{}", key.name));
    }
    for key in farol_logging::OTLP_KEYS.iter().filter(|key| !key.variable.is_empty()) {
        sources = sources.fallback(key.variable, &format!("logging.otlp.{}", key.name));
    }
    let tree = farol_monitor::config::database_variables(sources, "monitor.")
        .env("FAROL_MONITOR", Some("monitor"), env.iter().cloned())
        .env("FAROL_AGENT", Some("agent"), env.iter().cloned())
        .flag("--http", "monitor.listen.http", args.http.clone())
        .flag("--agents", "monitor.listen.agents", args.agents.clone())
        .flag("--health", "monitor.listen.health", args.health.clone())
        .load()?;
    let (logging, (monitor, (agent, of_machine))) =
        tree.read(|m| (farol_monitor::config::logging(m), both(m, &surroundings)))?;
    let logging = logging.of_process("farol", Some(agent.identity.id.clone()));
    let unused = farol_monitor::config::unused_variables(&monitor.store, env);
    let dump = format!("{}{unused}# --data-dir {}\n", tree.dump(), args.data_dir.display());
    Ok((Settings { logging, monitor, agent, of_machine }, dump))
}

/// The monitor, the agent, and whether its checks are this machine's.
fn both(
    m: &mut Map<'_>,
    surroundings: &Surroundings,
) -> (farol_monitor::Config, (farol_agent::Config, bool)) {
    name_a_halfs_file(m);
    let monitor = m.section("monitor", farol_monitor::Config::read);
    let over_tls = monitor.tls.agents.is_some();
    let agent = m.section("agent", |m| {
        let agent = farol_agent::Config::read(m, surroundings);
        if agent.data_dir.is_some() {
            m.problem("data_dir", "is the whole process's here; take it out and use `--data-dir`");
        }
        match (over_tls, &agent.tls) {
            (true, None) => m.problem(
                "tls",
                "is needed because `monitor.tls.agents` is set: write `tls: {ca: …}`, and `cert` and `key` where \
                 the monitor asks for them",
            ),
            (false, Some(_)) => {
                m.problem("tls", "would not count, because `monitor.tls.agents` is not set; take it out");
            }
            _ => {}
        }
        (agent, !m.has("checks"))
    });
    (monitor, agent)
}

/// Says whose file it is where one half's own was given: its keys are all unknown here.
fn name_a_halfs_file(m: &mut Map<'_>) {
    let keys = m.keys();
    if keys.iter().any(|key| key == "monitor" || key == "agent") {
        return;
    }
    let count = |own: &[&str]| keys.iter().filter(|key| own.contains(&key.as_str())).count();
    let (of_agent, of_monitor) = (count(&AGENTS_OWN), count(&MONITORS_OWN));
    if of_agent == of_monitor {
        return;
    }
    let (binary, key) =
        if of_agent > of_monitor { ("farol-agent", "agent") } else { ("farol-monitor", "monitor") };
    keys.iter().for_each(|key| m.ignore(key));
    m.problem_here(format!(
        "this looks like a file of {binary}; put its keys under `{key}:`, or give it to `{binary} --config`"
    ));
}

/// Keys that only an agent's file has at its root.
const AGENTS_OWN: [&str; 9] =
    ["accept_drain", "checks", "host_root", "labels", "monitors", "name", "ring", "role", "service"];
/// And only a monitor's.
const MONITORS_OWN: [&str; 7] =
    ["access", "agents", "groups", "ready_requires_store", "scrape", "services", "store"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn inputs(file: &str, env: &[(&str, &str)]) -> (Inputs, tempfile::NamedTempFile) {
        let mut config = tempfile::NamedTempFile::new().unwrap();
        config.write_all(file.as_bytes()).unwrap();
        let args = StandaloneArgs { config: Some(config.path().to_owned()), ..StandaloneArgs::default() };
        let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        (Inputs { args, env, host_name: Some("web-1".to_owned()) }, config)
    }

    #[test]
    fn nothing_said_is_this_machine_under_its_name() {
        let inputs = Inputs { host_name: Some("web-1".to_owned()), ..Inputs::default() };
        let (settings, dump) = read(&inputs, None).unwrap();
        assert!(settings.of_machine && settings.agent.checks.is_empty());
        assert_eq!(settings.agent.identity.id, "web-1");
        assert_eq!(settings.agent.listen, farol_agent::Listen::default());
        assert_eq!(settings.monitor.listen.http.port(), 8501);
        assert!(dump.contains("# from default"), "{dump}");
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let file = "monitor: {listen: {http: \"127.0.0.1:1\", agents: \"127.0.0.1:2\", health: \"127.0.0.1:3\"}}\n\
                    agent: {name: from-file, checks: []}";
        let env = [("FAROL_MONITOR__LISTEN__AGENTS", "127.0.0.1:12"), ("FAROL_AGENT__NAME", "from-env")];
        let (mut inputs, _file) = inputs(file, &env);
        inputs.args.http = Some("127.0.0.1:21".to_owned());
        let (settings, dump) = read(&inputs, None).unwrap();
        let listen = &settings.monitor.listen;
        assert_eq!((listen.http.port(), listen.agents.port(), listen.health.port()), (21, 12, 3));
        assert_eq!(settings.agent.identity.id, "from-env");
        assert!(!settings.of_machine, "an empty list is a list");
        for word in ["# from --http", "# from FAROL_AGENT__NAME"] {
            assert!(dump.contains(word), "{word} is not in\n{dump}");
        }
    }

    #[test]
    fn the_mistakes_of_both_halves_come_at_once() {
        let (inputs, _file) = inputs(
            "monitor:\n  listen: {htpp: \"127.0.0.1:1\"}\n  groups: {all: [nobody]}\n\
             agent:\n  monitors: [\"http://m:8502\"]\n  data_dir: /tmp/x\n  tls: {ca: ca.pem}\n\
             \x20 checks:\n    - {name: a, tcp: {address: nowhere}}\nagents: {}\n",
            &[],
        );
        let text = read(&inputs, None).unwrap_err().to_string();
        for word in [
            ":2: monitor.listen.htpp: unknown key `htpp`; did you mean `http`?",
            ":3: monitor.groups:",
            ":5: agent.monitors:",
            ":6: agent.data_dir: ",
            ":7: agent.tls: ",
            ":9: agent.checks[0].tcp.address: ",
            ":10: agents: unknown key `agents`; did you mean `agent`?",
        ] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }

    #[test]
    fn a_file_of_one_half_is_named_as_such_and_not_key_by_key() {
        for (file, words) in [
            ("name: x\nlisten: {}\nchecks: []\n", "a file of farol-agent; put its keys under `agent:`"),
            ("listen: {}\nservices: {}\n", "a file of farol-monitor; put its keys under `monitor:`"),
        ] {
            let (inputs, _file) = inputs(file, &[("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml")]);
            let text = read(&inputs, None).unwrap_err().to_string();
            assert!(text.contains(words) && !text.contains("unknown key"), "{text}");
            assert!(
                text.contains("LOG_LEVEL: logging.level: `loud`")
                    && text.contains("LOG_FORMAT: logging.format: `xml`"),
                "{text}"
            );
            assert_eq!(text.lines().count(), 3, "{text}");
        }
    }

    #[test]
    fn an_agent_whose_monitor_asks_for_tls_needs_to_know_whom_to_trust() {
        let (inputs, _file) = inputs("monitor: {tls: {agents: {cert: a, key: b}}}", &[]);
        let text = read(&inputs, None).unwrap_err().to_string();
        assert!(text.contains("agent.tls: is needed because `monitor.tls.agents` is set"), "{text}");
    }
}
