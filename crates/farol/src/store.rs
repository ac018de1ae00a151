//! Which store a command is about, and `farol store estimate`. Decides how a farol.yaml is told from a monitor.yaml; the
//! arithmetic is in `store/estimate.rs`, how it looks in `store/report.rs`.

mod estimate;
mod report;

use crate::cli::{EstimateArgs, WhichStore};
use crate::terminal::Terminal;
use crate::verdict::Error;
use estimate::Told;
use farol_config::{Map, Sources};
use farol_monitor::config::{self, Store};
use farol_monitor::store::measure;
use std::ffi::OsString;
use std::path::PathBuf;

/// Where a monitor keeps its files when nothing is said.
pub(crate) const DATA_DIR: &str = "farol-data";

/// Says how much disk and memory a fleet takes.
///
/// # Errors
/// A store was named and cannot be read.
pub async fn estimate(
    args: &EstimateArgs,
    env: &[(OsString, OsString)],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let which = &args.which;
    let config = config_of(which, env)?;
    let data_dir = data_dir(which);
    // A file may be there before its store.
    let is_made = match &config.store {
        Store::Sqlite { path, .. } => which.data_dir.is_some() || data_dir.join(path).exists(),
        Store::Postgres(_) => true,
    };
    let measured = if is_made && (which.config.is_some() || which.data_dir.is_some()) {
        let measured = measure::measure(&config.store, &data_dir).await;
        Some(measured.map_err(|error| Error::Failed(format!("{error:#}")))?)
    } else {
        None
    };
    let told = Told { retention: config.keeping.retention, memory_ms: config.history.memory_ms };
    let estimate = estimate::estimate(args, &told, measured.as_ref());
    let text =
        if args.json { report::json(&estimate).to_string() } else { report::table(&estimate, terminal) };
    Ok(terminal.print(&text)?)
}

/// What a file and the environment say of the store, and the directory in which a relative path lies.
pub(crate) fn place(which: &WhichStore, env: &[(OsString, OsString)]) -> Result<(Store, PathBuf), Error> {
    Ok((config_of(which, env)?.store, data_dir(which)))
}

fn data_dir(which: &WhichStore) -> PathBuf {
    which.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR))
}

/// What a file and the environment tell a monitor.
pub(crate) fn config_of(which: &WhichStore, env: &[(OsString, OsString)]) -> Result<config::Config, Error> {
    let both = match &which.config {
        Some(file) => {
            let keys = Sources::new().file(file).load()?.read(|m| {
                let keys = m.keys();
                keys.iter().for_each(|key| m.ignore(key));
                keys
            })?;
            keys.iter().any(|key| key == "monitor" || key == "agent")
        }
        None => false,
    };
    let (at, under) = if both { ("monitor.", Some("monitor")) } else { ("", None) };
    let mut sources = Sources::new();
    if let Some(file) = &which.config {
        sources = sources.file(file);
    }
    let sources = config::database_variables(sources, at).env("FAROL_MONITOR", under, env.iter().cloned());
    let read = |m: &mut Map<'_>| {
        m.ignore("logging");
        if both {
            m.ignore("agent");
            m.section("monitor", config::Config::read)
        } else {
            config::Config::read(m)
        }
    };
    Ok(sources.load()?.read(read)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(yaml: &str, env: &[(&str, &str)]) -> Result<Store, Error> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some.yaml");
        std::fs::write(&file, yaml).unwrap();
        let env: Vec<_> = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        place(&WhichStore { config: Some(file), data_dir: None }, &env).map(|(store, _)| store)
    }

    #[test]
    fn both_kinds_of_file_and_the_environment_say_which_store() {
        for yaml in [
            "store: {sqlite: {path: other.db}}\nlogging: {level: info}\n",
            "monitor: {store: {sqlite: {path: other.db}}}\nagent: {checks: []}\n",
        ] {
            let Store::Sqlite { path, .. } = placed(yaml, &[]).unwrap() else { panic!("{yaml}") };
            assert_eq!(path, PathBuf::from("other.db"));
        }
        for yaml in ["store: {postgres: {}}\n", "monitor: {store: {postgres: {}}}\n"] {
            let env = [("DB_HOST", "db.example"), ("FAROL_MONITOR__STORE__POSTGRES__NAME", "fleet")];
            let Store::Postgres(settings) = placed(yaml, &env).unwrap() else { panic!("{yaml}") };
            assert_eq!(settings.server.place(), "PostgreSQL at db.example:5432, database `fleet`");
        }
        let error = placed("store: {sqlite: {pat: x}}\n", &[]).unwrap_err();
        assert!(error.is_configuration() && error.to_string().contains("pat"), "{error}");
    }
}
