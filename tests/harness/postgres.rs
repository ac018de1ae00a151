//! A real PostgreSQL of our own: a fresh cluster in a temporary directory, on a free port of 127.0.0.1 and on a
//! Unix socket. Over TCP everybody needs a password, over the socket nobody.

use crate::server::{Running, free_port};
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{Gid, Uid, chown};
use rustix::process::Signal;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The superuser's name and password, and the first database.
pub const SUPERUSER: &str = "postgres";
/// Its password over TCP.
pub const PASSWORD: &str = "correct-horse";
/// How long a start may take.
const READY: Duration = Duration::from_secs(30);

/// A cluster. Stopped and removed when dropped.
pub struct Postgres {
    /// Declared first, so that the server ends before its directory goes.
    running: Option<Running>,
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
}

impl Postgres {
    /// A running cluster with defaults.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// A running cluster with these settings (`max_connections=5`).
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub async fn start_with(settings: &[&str]) -> Result<Self> {
        let postgres = Self::create(settings)?;
        postgres.launch().await
    }

    /// A running standby that streams from this one, with these settings.
    ///
    /// # Errors
    /// It does not start.
    pub async fn standby(&self, settings: &[&str]) -> Result<Self> {
        let standby = Self::empty(settings)?;
        let made = server_command("pg_basebackup")?
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .args(["--username", SUPERUSER, "--port", &self.port.to_string(), "--host"])
            .arg(self.dir.path())
            .arg("--pgdata")
            .arg(standby.path("data"))
            .output()?;
        succeeded(&made).context("pg_basebackup")?;
        standby.launch().await
    }

    async fn launch(mut self) -> Result<Self> {
        for _ in 0..5 {
            self.port = free_port()?;
            self.spawn()?;
            if self.becomes_ready().await? {
                return Ok(self);
            }
        }
        bail!("no PostgreSQL started in five attempts: {}", self.log())
    }

    /// A directory of the server's own, with nothing in it.
    fn empty(settings: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("farol-pg-").tempdir()?;
        if let Some((uid, gid)) = server_user()? {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        Ok(Self { running: None, dir, port: 0, settings })
    }

    fn create(settings: &[&str]) -> Result<Self> {
        let postgres = Self::empty(settings)?;
        fs::write(postgres.path("password"), PASSWORD)?;
        if let Some((uid, gid)) = server_user()? {
            chown(postgres.path("password"), Some(uid), Some(gid))?;
        }
        let made = server_command("initdb")?
            .arg("--pgdata")
            .arg(postgres.path("data"))
            .arg("--pwfile")
            .arg(postgres.path("password"))
            .args(["--username", SUPERUSER, "--auth-local", "trust", "--auth-host", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"])
            .output()?;
        succeeded(&made).context("initdb")?;
        Ok(postgres)
    }

    fn spawn(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.path("log"))?;
        let mut command = server_command("postgres")?;
        command.arg("-D").arg(self.path("data")).arg("-p").arg(self.port.to_string());
        let socket = format!("unix_socket_directories={}", self.dir.path().display());
        let own = ["listen_addresses=127.0.0.1", &socket, "fsync=off", "shared_buffers=16MB"];
        for setting in own.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        // QUIT ends the backends, too; KILL would leave them behind for a moment.
        self.running = Some(Running::new(child, Signal::QUIT));
        Ok(())
    }

    /// Waits until it is ready (`true`) or has ended (`false`).
    async fn becomes_ready(&mut self) -> Result<bool> {
        let ready = || pg_isready(self.port);
        let mut ended = false;
        let running = self.running.as_mut().context("it was not started")?;
        until("PostgreSQL's readiness", READY, || {
            ended = running.has_ended();
            std::future::ready(ended || ready())
        })
        .await?;
        // Whoever answers at the port, it is not ours when ours has ended.
        if running.has_ended() {
            self.running = None;
        }
        Ok(self.running.is_some())
    }

    /// Starts it again on its port.
    ///
    /// # Errors
    /// It does not start within half a minute.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "it runs already");
        // After a kill -9 the last backends hold its memory a moment longer, and somebody may use the port.
        for _ in 0..100 {
            self.spawn()?;
            if self.becomes_ready().await? {
                return Ok(());
            }
        }
        bail!("PostgreSQL does not start again: {}", self.log())
    }

    /// Starts it again without waiting for anything.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn begin_start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "it runs already");
        self.spawn()
    }

    /// Whether it was started, and not stopped or killed since.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Sets this from the next start on.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// A fast shutdown: sessions are ended, data is saved.
    ///
    /// # Errors
    /// It does not end within 20 s.
    pub async fn stop(&mut self) -> Result<()> {
        self.end(Signal::INT).await
    }

    /// `kill -9`: a crash.
    ///
    /// # Errors
    /// It does not end within 20 s.
    pub async fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL).await
    }

    /// Stops and starts it on the same port.
    ///
    /// # Errors
    /// As [`stop`](Self::stop) and [`start_again`](Self::start_again).
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start_again().await
    }

    /// Begins a smart shutdown: open sessions go on, new ones are refused.
    ///
    /// # Errors
    /// It does not run.
    pub fn begin_stop(&self) -> Result<()> {
        self.running.as_ref().context("it does not run")?.signal(Signal::TERM)
    }

    /// All its processes stand still, as on a machine that hangs, or go on again.
    ///
    /// # Errors
    /// It does not run.
    pub fn hang(&self, still: bool) -> Result<()> {
        self.running.as_ref().context("it does not run")?.hang(still)
    }

    async fn end(&mut self, signal: Signal) -> Result<()> {
        self.running.take().context("it does not run")?.end(signal).await
    }

    /// Runs SQL as the superuser and gives what it prints.
    ///
    /// # Errors
    /// The SQL fails.
    pub fn sql(&self, text: &str) -> Result<String> {
        self.sql_in("postgres", text)
    }

    /// The same in another database.
    ///
    /// # Errors
    /// The SQL fails.
    pub fn sql_in(&self, database: &str, text: &str) -> Result<String> {
        let printed = program("psql")?
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"])
            .args(["--username", SUPERUSER, "--dbname", database, "--command", text])
            .arg("--host")
            .arg(self.dir.path())
            .args(["--port", &self.port.to_string()])
            .output()?;
        succeeded(&printed).with_context(|| format!("psql: {text}"))?;
        Ok(String::from_utf8_lossy(&printed.stdout).trim().to_owned())
    }

    /// A URL over TCP.
    #[must_use]
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The superuser's URL over TCP.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        self.url(SUPERUSER, PASSWORD, "postgres")
    }

    /// A URL over the Unix socket, where nobody needs a password.
    #[must_use]
    pub fn socket_url(&self, user: &str) -> String {
        format!("postgres:///postgres?host={}&port={}&user={user}", self.dir.path().display(), self.port)
    }

    /// Its TCP port on 127.0.0.1, the same after each restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A path inside its directory; the cluster itself is in `data`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that the server may read, and only it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if let Some((uid, gid)) = server_user()? {
            chown(&path, Some(uid), Some(gid))?;
        }
        Ok(path)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

fn pg_isready(port: u16) -> bool {
    let Ok(mut command) = program("pg_isready") else { return false };
    command.args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string()]);
    command.status().is_ok_and(|status| status.success())
}

/// A program of PostgreSQL that refuses to run as root.
fn server_command(name: &str) -> Result<Command> {
    let program = program(name)?;
    let Some((uid, gid)) = server_user()? else { return Ok(program) };
    // setpriv becomes the program: signals reach the postmaster itself.
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", uid.as_raw())).arg(format!("--regid={}", gid.as_raw()));
    command.args(["--clear-groups", "--inh-caps=-all"]).arg(program.get_program());
    command.current_dir("/");
    Ok(command)
}

fn program(name: &str) -> Result<Command> {
    let mut command = Command::new(directory()?.join(name));
    command.current_dir("/");
    Ok(command)
}

/// The newest PostgreSQL that Debian's packages installed.
fn directory() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let with_server = |path: &PathBuf| path.join("bin/postgres").exists();
    let newest =
        versions.filter_map(|entry| Some(entry.ok()?.path())).filter(with_server).max_by_key(|path| {
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
        });
    Ok(newest.context("no PostgreSQL server is installed")?.join("bin"))
}

/// Whom the server must run as: `postgres` when we are root, ourselves otherwise.
fn server_user() -> Result<Option<(Uid, Gid)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string(Path::new("/etc/passwd"))?;
    let line = users.lines().find(|line| line.starts_with("postgres:")).context("no user `postgres`")?;
    let mut numbers = line.split(':').skip(2).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid)))),
        _ => bail!("/etc/passwd cannot be read: {line}"),
    }
}

fn succeeded(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
