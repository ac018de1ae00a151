//! The keys under `command:`.

use super::{Command, Settings};
use crate::kind::{Kind, Read};
use farol_config::Map;
use farol_health::Dependency;
use std::path::PathBuf;

pub(crate) const KIND: Kind = Kind { name: "command", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let argv = argv(m);
    let mut text = format!("{argv:?}");
    let mut env = Vec::new();
    for (name, value) in m.secret_pairs("env") {
        if name.is_empty() || name.contains(['=', '\0']) || value.expose().contains('\0') {
            m.problem("env", "has a name with `=`, an empty one, or a NUL character; rename it");
        }
        text.push_str(&format!("\n{name}={}", value.expose()));
        env.push((name.into(), value.expose().into()));
    }
    let cwd = m.path("cwd").or(PathBuf::from("/"));
    if !cwd.is_absolute() {
        m.problem("cwd", "is not a whole path; begin it with `/`");
    }
    text.push_str(&format!("\n{}", cwd.display()));
    Some(Read::new(text, Command::new(Settings { argv: argv?, env, cwd })))
}

fn argv(m: &mut Map<'_>) -> Option<Vec<String>> {
    let argv = m.texts("argv");
    let program = argv.first().map(String::as_str).unwrap_or_default();
    if program.is_empty() {
        m.problem("argv", "names no program; write `argv: [/usr/lib/nagios/plugins/check_load, -w, \"5\"]`");
    } else if program.contains('/') && !program.starts_with('/') {
        m.problem("argv", "names its program by half a path; begin it with `/`, or give its bare name");
    } else if argv.iter().any(|word| word.contains('\0')) {
        m.problem("argv", "holds a NUL character; remove it");
    } else if argv.len() == 1 && program.contains(' ') {
        m.problem(
            "argv",
            "is one word with spaces, and no shell splits it; make each word an item of its own",
        );
    } else {
        return Some(argv);
    }
    None
}
