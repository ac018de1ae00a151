//! A monitor to which things are done: a real process over a real store, on an address of its own, started again and
//! again with the same data. Knows how to start it under other programs and how to read what it left.

use crate::oracle::{Books, Left, at_rest};
use crate::postgres::{PASSWORD, Postgres, SUPERUSER};
use crate::process::{self, Ended, Process};
use crate::stack::Addresses;
use crate::wait;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// A monitor that was killed is gone so soon.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// Where the victim keeps what lasts.
pub enum Ground {
    /// In its data directory.
    Sqlite,
    /// In a PostgreSQL of its own.
    Postgres(Box<Postgres>),
}

/// How it is started.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// Arguments of the monitor with a saboteur in its store; without any the real binary is started.
    pub sabotage: Vec<String>,
    /// A program under which it runs, with its arguments.
    pub under: Vec<String>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
}

impl Means {
    /// Killed by the kernel at the `time`-th call of `call`, on this file only if there is one.
    #[must_use]
    pub fn killed_in(call: &str, time: u64, file: Option<&Path>) -> Self {
        let inject = format!("inject={call}:signal=SIGKILL:when={time}");
        let mut under: Vec<String> = ["strace", "-f", "-qq", "-o", "/dev/null"].map(str::to_owned).into();
        // Not with `--seccomp-bpf`: its stops let no signal in.
        if let Some(file) = file {
            under.extend(["-P".to_owned(), file.display().to_string()]);
        }
        under.extend(["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), inject, "--".to_owned()]);
        // It must not outlive who watches it.
        under.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(str::to_owned));
        Self { under, ..Self::default() }
    }

    /// With a saboteur: `--crash`, `--slow`.
    #[must_use]
    pub fn sabotaged(arguments: &[&str]) -> Self {
        Self { sabotage: arguments.iter().map(|text| (*text).to_owned()).collect(), ..Self::default() }
    }
}

/// The monitor.
pub struct Victim {
    /// Declared first, so that the process ends before its folder goes.
    process: Option<Process>,
    /// Where it listens: the same after each start.
    at: Addresses,
    /// Its store.
    pub ground: Ground,
    folder: TempDir,
    /// What it told of itself before it was ended.
    duplicates: u64,
}

/// Whether no process holds this lock file.
fn is_free(lock: &Path) -> bool {
    !matches!(File::open(lock).map(|file| file.try_lock()), Ok(Err(TryLockError::WouldBlock)))
}

/// An address that nobody else uses: a port that is free while it is down stays free.
fn own_address() -> Ipv4Addr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let n = GIVEN.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    Ipv4Addr::new(127, 16 + (n % 200) as u8, (pid >> 8) as u8, (pid % 254) as u8 + 1)
}

impl Victim {
    /// A monitor that was never started, with further lines of configuration.
    ///
    /// # Errors
    /// There is no room for its folder.
    pub fn new(ground: Ground, further: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("farol-victim-").tempdir()?;
        let any = SocketAddr::new(IpAddr::V4(own_address()), 0);
        let store = match &ground {
            Ground::Sqlite if further.contains("store:") => String::new(),
            Ground::Sqlite => "store: {keep: [oracle_]}\n".to_owned(),
            Ground::Postgres(server) => format!(
                "store: {{keep: [oracle_], postgres: {{port: {}, name: postgres, user: {SUPERUSER}, password: {PASSWORD}, \
                 timeout: 5s, retry_delay: 50ms, max_retries: 400}}}}\n",
                server.port()
            ),
        };
        let services = "services: {oracle: {}}\nagents: {interval: {min: 1s}}\n";
        std::fs::write(folder.path().join("monitor.yaml"), format!("{store}{services}{further}"))?;
        let at = Addresses { http: any, agents: any, health: any };
        Ok(Self { process: None, at, ground, folder, duplicates: 0 })
    }

    /// Its folder: configuration, log, and `data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its SQLite file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.data_dir().join("farol.db")
    }

    /// Where it listens, once it was started.
    #[must_use]
    pub fn at(&self) -> Addresses {
        self.at
    }

    /// The running process.
    ///
    /// # Errors
    /// It does not run.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the monitor does not run")
    }

    fn command(&self, means: &Means) -> Result<Command> {
        let config = self.folder.path().join("monitor.yaml").display().to_string();
        let at = [self.at.http, self.at.agents, self.at.health].map(|at| at.to_string());
        let mut line: Vec<String> = means.under.clone();
        match means.sabotage.is_empty() {
            true => line.push(process::binary("farol-monitor")?.display().to_string()),
            false => {
                line.extend([process::binary("farol-torture")?.display().to_string(), "monitor".to_owned()]);
                line.extend(means.sabotage.iter().cloned());
            }
        }
        let options = ["--config", &config, "--http", &at[0], "--agents", &at[1], "--health", &at[2]];
        line.extend(options.map(str::to_owned));
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_clear().env("PATH", "/usr/bin:/bin").kill_on_drop(true);
        command.env("LOG_FORMAT", "json").env("LOG_LEVEL", "info").envs(means.env.iter().cloned());
        command.stdin(std::process::Stdio::null());
        Ok(command)
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(&mut self, means: &Means) -> Result<()> {
        ensure!(self.process.is_none(), "the monitor runs already");
        // A kill of who watches it ends it a moment later.
        let lock = self.data_dir().join("lock");
        wait::until("the end of the monitor before", ENDED_WITHIN, async || is_free(&lock)).await?;
        let process = Process::launch(self.command(means)?, self.folder.path()).await?;
        self.at = Addresses::of(&process);
        self.process = Some(process);
        Ok(())
    }

    /// Starts it so that it ends before it is ready. False when it was ready first; then it runs.
    ///
    /// # Errors
    /// It neither ends nor is ready.
    pub async fn start_to_end(&mut self, means: &Means) -> Result<bool> {
        match self.start(means).await {
            Ok(()) => Ok(false),
            Err(error) if error.to_string().contains("ended before it was ready") => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&mut self) -> Result<()> {
        self.count_duplicates().await;
        self.process.take().context("the monitor does not run")?.kill().await
    }

    /// SIGTERM, and its end.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub async fn stop(&mut self) -> Result<Ended> {
        self.count_duplicates().await;
        self.process.take().context("the monitor does not run")?.stop().await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub async fn ends(&mut self) -> Result<Ended> {
        self.process.take().context("the monitor does not run")?.ended().await
    }

    /// All its threads stand still, or go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn hang(&self, still: bool) -> Result<()> {
        self.process()?.signal(if still { Signal::STOP } else { Signal::CONT })
    }

    /// A figure of its `/metrics`, by name and labels as they are written there; `None` while nobody answers.
    pub async fn metric(&self, line: &str) -> Option<f64> {
        let (_, page) = process::get(self.at.http, "/metrics").await.ok()?;
        page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '))?.parse().ok()
    }

    async fn count_duplicates(&mut self) {
        let look = self.metric("farol_ingest_duplicates_total");
        let found = tokio::time::timeout(Duration::from_millis(500), look).await;
        self.duplicates += found.ok().flatten().unwrap_or(0.0) as u64;
    }

    /// Reports that came again and were known, as far as it could tell before each end.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Everything that its store holds of what these books say; it must not run.
    ///
    /// # Errors
    /// It runs, or the store cannot be read.
    pub async fn found(&self, books: &Books) -> Result<Left> {
        ensure!(self.process.is_none(), "the monitor still runs");
        at_rest(&self.folder.path().join("monitor.yaml"), &self.data_dir(), books).await
    }

    /// Its database.
    ///
    /// # Errors
    /// It keeps its data in a file.
    pub fn server(&mut self) -> Result<&mut Postgres> {
        match &mut self.ground {
            Ground::Postgres(server) => Ok(server),
            Ground::Sqlite => bail!("there is no server: the store is SQLite"),
        }
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Keeps the folder for who looks into it, and tells where.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        let Self { process, folder, .. } = self;
        drop(process);
        folder.keep()
    }
}
