//! A real Redis of our own on a free port of 127.0.0.1, with its files in a temporary directory.

use crate::server::{Running, free_port};
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a start may take.
const READY: Duration = Duration::from_secs(20);

/// A server. Stopped and removed when dropped.
pub struct Redis {
    /// Declared first, so that the server ends before its directory goes.
    running: Option<Running>,
    dir: TempDir,
    port: u16,
    /// Command-line settings, `--maxmemory 10mb` as two words.
    settings: Vec<String>,
}

impl Redis {
    /// A running server that saves nothing.
    ///
    /// # Errors
    /// Redis is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// A running server with these settings, word by word.
    ///
    /// # Errors
    /// Redis is not installed or does not start.
    pub async fn start_with(settings: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("farol-redis-").tempdir()?;
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut redis = Self { running: None, dir, port: 0, settings };
        for _ in 0..5 {
            redis.port = free_port()?;
            redis.spawn()?;
            if redis.becomes_ready().await? {
                return Ok(redis);
            }
        }
        bail!("no Redis started in five attempts")
    }

    fn spawn(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.dir.path().join("log"))?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--dir"])
            .arg(self.dir.path())
            .args(&self.settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("redis-server is not installed")?;
        self.running = Some(Running::new(child, Signal::KILL));
        Ok(())
    }

    /// Waits until it answers anything (`true`) or has ended (`false`).
    async fn becomes_ready(&mut self) -> Result<bool> {
        let port = self.port;
        let mut ended = false;
        let running = self.running.as_mut().context("it was not started")?;
        until("Redis's readiness", READY, || {
            ended = running.has_ended();
            async move { ended || say(port, "PING").await.is_ok() }
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
        ensure!(self.running.is_none(), "it runs already");
        for _ in 0..100 {
            self.spawn()?;
            if self.becomes_ready().await? {
                return Ok(());
            }
        }
        bail!("Redis does not start again")
    }

    /// Starts it again with further settings, in force from now on.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again_with(&mut self, settings: &[&str]) -> Result<()> {
        self.settings.extend(settings.iter().map(|s| (*s).to_owned()));
        self.start_again().await
    }

    /// An orderly end.
    ///
    /// # Errors
    /// It does not end within 20 s.
    pub async fn stop(&mut self) -> Result<()> {
        self.end(Signal::TERM).await
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

    /// It stands still, as on a machine that hangs, or goes on again.
    ///
    /// # Errors
    /// It does not run.
    pub fn hang(&self, still: bool) -> Result<()> {
        self.running.as_ref().context("it does not run")?.hang(still)
    }

    async fn end(&mut self, signal: Signal) -> Result<()> {
        self.running.take().context("it does not run")?.end(signal).await
    }

    /// Sends one command, a line, and gives the first part of the answer.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn say(&self, command: &str) -> Result<String> {
        say(self.port, command).await
    }

    /// A URL; `login` is empty, `:password@` or `user:password@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    /// A path inside its directory, where it saves its data.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its port on 127.0.0.1, the same after each restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn say(port: u16, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await?;
    ensure!(read > 0, "Redis closed the connection");
    answer.truncate(read);
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}
