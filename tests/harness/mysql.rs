//! A real MariaDB of our own: a fresh data directory in a temporary one, on a free port of 127.0.0.1 and on a Unix
//! socket, where root needs no password.

use crate::server::{Running, free_port};
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take.
const READY: Duration = Duration::from_secs(30);
/// Small and forgetful: nothing here must outlive the machine.
const SMALL: [&str; 4] = [
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=8M",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-name-resolve",
];

/// A server. Stopped and removed when dropped.
pub struct Mysql {
    /// Declared first, so that the server ends before its directory goes.
    running: Option<Running>,
    dir: TempDir,
    port: u16,
    /// Command-line settings (`--read-only`).
    settings: Vec<String>,
}

impl Mysql {
    /// A running server with defaults.
    ///
    /// # Errors
    /// MariaDB is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// A running server with these settings.
    ///
    /// # Errors
    /// MariaDB is not installed or does not start.
    pub async fn start_with(settings: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("farol-my-").tempdir()?;
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut mysql = Self { running: None, dir, port: 0, settings };
        let mut command = Command::new("mariadb-install-db");
        command.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        let made = mysql.directories(&mut command).args(&SMALL[..2]).output();
        succeeded(&made.context("MariaDB is not installed")?).context("mariadb-install-db")?;
        for _ in 0..5 {
            mysql.port = free_port()?;
            mysql.spawn()?;
            if mysql.becomes_ready().await? {
                return Ok(mysql);
            }
        }
        bail!("no MariaDB started in five attempts: {}", mysql.log())
    }

    /// Where its files are, and as whom it runs: as ourselves, which it wants to be told when that is root.
    fn directories<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        // A server that starts clears away everybody's files in its directory for temporary ones.
        command.arg(format!("--tmpdir={}", self.dir.path().display()));
        command.arg(format!("--datadir={}", self.path("data").display()))
    }

    fn spawn(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.path("log"))?;
        let mut command = Command::new("mariadbd");
        self.directories(command.arg("--no-defaults"));
        command.args(["--bind-address=127.0.0.1", &format!("--port={}", self.port)]);
        command.arg(format!("--socket={}", self.path("socket").display()));
        command.arg(format!("--pid-file={}", self.path("pid").display()));
        command.args(SMALL).args(&self.settings).env("PATH", SEARCHED);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.running = Some(Running::new(child, Signal::KILL));
        Ok(())
    }

    /// Waits until it is ready (`true`) or has ended (`false`).
    async fn becomes_ready(&mut self) -> Result<bool> {
        let socket = self.path("socket");
        let mut ended = false;
        let running = self.running.as_mut().context("it was not started")?;
        until("MariaDB's readiness", READY, || {
            ended = running.has_ended();
            std::future::ready(ended || ask(&socket, "SELECT 1").is_ok())
        })
        .await?;
        if running.has_ended() {
            self.running = None;
        }
        Ok(self.running.is_some())
    }

    /// Starts it again on its port.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self) -> Result<()> {
        self.begin_start()?;
        ensure!(self.becomes_ready().await?, "MariaDB does not start again: {}", self.log());
        Ok(())
    }

    /// Starts it again without waiting for anything.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn begin_start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "it runs already");
        self.spawn()
    }

    /// Sets this from the next start on.
    pub fn set(&mut self, setting: impl Into<String>) {
        self.settings.push(setting.into());
    }

    /// An orderly end.
    ///
    /// # Errors
    /// It does not end within 20 s.
    pub async fn stop(&mut self) -> Result<()> {
        self.running.take().context("it does not run")?.end(Signal::TERM).await
    }

    /// `kill -9`: a crash.
    ///
    /// # Errors
    /// It does not end within 20 s.
    pub async fn kill(&mut self) -> Result<()> {
        self.running.take().context("it does not run")?.end(Signal::KILL).await
    }

    /// It stands still, as on a machine that hangs, or goes on again.
    ///
    /// # Errors
    /// It does not run.
    pub fn hang(&self, still: bool) -> Result<()> {
        self.running.as_ref().context("it does not run")?.hang(still)
    }

    /// Runs SQL as root and gives what it prints, columns parted by tabs.
    ///
    /// # Errors
    /// The SQL fails.
    pub fn sql(&self, text: &str) -> Result<String> {
        ask(&self.path("socket"), text)
    }

    /// A URL over TCP; `login` is `user` or `user:password`.
    #[must_use]
    pub fn url(&self, login: &str, database: &str) -> String {
        format!("mysql://{login}@127.0.0.1:{}/{database}", self.port)
    }

    /// Root's URL over the Unix socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!("mysql://root@localhost/?socket={}", self.path("socket").display())
    }

    /// Its TCP port on 127.0.0.1, the same after each restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A path inside its directory; its data are in `data`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// Debian puts servers where not every user looks.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn ask(socket: &Path, text: &str) -> Result<String> {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]);
    command.arg(format!("--socket={}", socket.display()));
    let printed = command.args(["--execute", text]).output().context("mariadb is not installed")?;
    succeeded(&printed).with_context(|| format!("mariadb: {text}"))?;
    Ok(String::from_utf8_lossy(&printed.stdout).trim().to_owned())
}

fn succeeded(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
