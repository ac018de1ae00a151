//! The command line of `farol-monitor`, and where its configuration comes from. Decides no value.

use crate::config;
use clap::Parser;
use farol_config::Sources;
use std::ffi::OsString;
use std::path::PathBuf;

/// Keeps the live health of the whole fleet and answers probes, scrapes and questions.
///
/// SIGTERM or Ctrl-C ends it in order, SIGHUP reads the configuration again.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "farol-monitor", version, about, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Arguments {
    /// Read this file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep here what must last
    #[arg(long, value_name = "DIR", default_value = "farol-data")]
    pub data_dir: PathBuf,
    /// Write the addresses here, as JSON, when all are open
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Listen here for probes, scrapes and questions [default: 127.0.0.1:8501]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Listen here for agents [default: 127.0.0.1:8502]
    #[arg(long, value_name = "ADDR")]
    pub agents: Option<String>,
    /// Listen here for gRPC health in plain text [default: 127.0.0.1:8503]
    #[arg(long, value_name = "ADDR")]
    pub health: Option<String>,
    /// Say what is wrong with the configuration, and end
    #[arg(long)]
    pub check_config: bool,
    /// Print every value and where it comes from, and end
    #[arg(long)]
    pub dump_config: bool,
}

const AFTER_HELP: &str = "\
Examples:
  farol-monitor                                              everything on loopback, data in ./farol-data
  farol-monitor --config /etc/farol/monitor.yaml --data-dir /var/lib/farol
  farol-monitor --config monitor.yaml --check-config         every mistake at once, with file and line
  FAROL_MONITOR__LISTEN__HTTP=127.0.0.1:9501 farol-monitor   the environment wins over the file

Environment: FAROL_MONITOR__<KEY>__<KEY>, LOG_LEVEL (debug, info, …), LOG_FORMAT (structured|json|text|gelf);
where `store.postgres` is written: DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD or DB_PASSWORD_FILE, DB_TIMEOUT,
DB_MAX_RETRIES, DB_RETRY_DELAY

Exit codes: 0 stopped as asked, 1 a port, directory or store cannot be had, 64 wrong usage or configuration,
75 a task or a cleanup failed or was cut, 128 + n ended at once by a second signal n";

impl Arguments {
    /// The configuration's sources: flags win over the environment, that over the file.
    pub fn sources(&self, env: &[(OsString, OsString)]) -> Sources {
        let mut sources = Sources::new();
        if let Some(file) = &self.config {
            sources = sources.file(file);
        }
        for key in &farol_logging::KEYS {
            sources = sources.variable(key.variable, &format!("logging.{}", key.name));
        }
        for key in farol_logging::OTLP_KEYS.iter().filter(|key| !key.variable.is_empty()) {
            sources = sources.fallback(key.variable, &format!("logging.otlp.{}", key.name));
        }
        config::database_variables(sources, "")
            .env("FAROL_MONITOR", None, env.iter().cloned())
            .flag("--http", "listen.http", self.http.clone())
            .flag("--agents", "listen.agents", self.agents.clone())
            .flag("--health", "listen.health", self.health.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_flags_win() {
        Arguments::command().debug_assert();
        let arguments = Arguments { http: Some("127.0.0.1:1".into()), ..Arguments::default() };
        let env = [("FAROL_MONITOR__LISTEN__HTTP".into(), "127.0.0.1:2".into())];
        let config = arguments.sources(&env).load().unwrap().read(crate::Config::read).unwrap();
        assert_eq!(config.listen.http.port(), 1);
    }
}
