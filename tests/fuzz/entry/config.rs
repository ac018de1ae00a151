//! What the fuzz target and the ordinary test both do with a configuration: the file and the variables go through each
//! reader. Decides what must hold of every text; where the texts come from is the callers' matter.

use farol_agent::Surroundings;
use farol_config::{Map, Problems, Sources};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Lines after this one are variables of the environment.
const ENVIRONMENT: &[u8] = b"\n--- environment\n";
/// A prefix of every reader, so that the variables land somewhere.
const PREFIX: &str = "FAROL_X";

/// What became of it, so that a caller can see that both ways were taken.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// Readers that took it.
    pub(crate) taken: usize,
    /// Readers that told problems.
    pub(crate) refused: usize,
}

/// Each reader takes it or tells what is wrong; never anything else.
pub(crate) fn exercise(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let at = bytes.windows(ENVIRONMENT.len()).position(|window| window == ENVIRONMENT);
    let (text, rest) = bytes.split_at(at.unwrap_or(bytes.len()));
    let vars = variables(rest.get(ENVIRONMENT.len()..).unwrap_or_default());
    read(text, &vars, &mut seen, |m| {
        farol_monitor::config::logging(m);
        farol_agent::Config::read_alone(m, &surroundings(&vars)).needs_restart_of_itself()
    });
    read(text, &vars, &mut seen, |m| {
        farol_monitor::config::logging(m);
        farol_monitor::Config::read(m).needs_restart_of_itself()
    });
    read(text, &vars, &mut seen, |m| {
        farol_monitor::config::logging(m);
        let monitor = m.section("monitor", farol_monitor::Config::read);
        let agent = m.section("agent", |m| farol_agent::Config::read(m, &surroundings(&vars)));
        monitor.needs_restart_of_itself() || agent.needs_restart_of_itself()
    });
    seen
}

fn surroundings(vars: &[(OsString, OsString)]) -> Surroundings {
    let variable = |name: &str| {
        let (_, value) = vars.iter().find(|(known, _)| known == name)?;
        value.to_str().map(str::to_owned)
    };
    Surroundings::read(variable, Some("web-1".to_owned()))
}

/// `NAME=VALUE` a line. What the kernel would not pass on is left out.
fn variables(bytes: &[u8]) -> Vec<(OsString, OsString)> {
    let pairs = bytes.split(|byte| *byte == b'\n').take(20).filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        let os = |part: &[u8]| OsString::from_vec(part.iter().copied().filter(|b| *b != 0).collect());
        Some((os(&line[..at]), os(&line[at + 1..])))
    });
    pairs.collect()
}

fn read(
    bytes: &[u8],
    vars: &[(OsString, OsString)],
    seen: &mut Seen,
    reader: impl FnOnce(&mut Map<'_>) -> bool,
) {
    let sources = Sources::new();
    // What is not UTF-8 can only come by a file.
    let mut file = None;
    let sources = match std::str::from_utf8(bytes) {
        Ok(text) => sources.text("fuzz.yaml", text),
        Err(_) => {
            let path = file.insert(written(bytes)).path();
            sources.file(path)
        }
    };
    let sources = sources
        .env(PREFIX, None, vars.iter().cloned())
        .alias("DB_HOST", "store.postgres.host")
        .variable("LOG_LEVEL", "logging.level")
        .flag("--flag", "listen.http", vars.first().and_then(|(_, value)| value.to_str().map(str::to_owned)));
    let tree = match sources.load() {
        Ok(tree) => tree,
        Err(problems) => return refused(&problems, seen),
    };
    match tree.read(reader) {
        Ok(needs_restart) => {
            assert!(!needs_restart, "a configuration differs from itself");
            seen.taken += 1;
        }
        Err(problems) => refused(&problems, seen),
    }
    let dump = tree.dump();
    assert_eq!(dump, tree.dump(), "a dump is the same each time");
    let control = dump.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "a control character is in the dump: {dump:?}");
}

fn refused(problems: &Problems, seen: &mut Seen) {
    seen.refused += 1;
    let text = problems.to_string();
    assert!(!text.trim().is_empty(), "refused without a word");
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "a control character is in a problem: {text:?}");
}

fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), bytes).expect("a temporary file can be written");
    file
}

/// A configuration needs no restart to become itself.
trait Itself {
    fn needs_restart_of_itself(&self) -> bool;
}

impl Itself for farol_agent::Config {
    fn needs_restart_of_itself(&self) -> bool {
        !self.needs_restart(self).is_empty()
    }
}

impl Itself for farol_monitor::Config {
    fn needs_restart_of_itself(&self) -> bool {
        !self.needs_restart(self).is_empty()
    }
}
