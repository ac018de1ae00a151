//! The real binaries as child processes: started on port 0, asked over their ports, ended by signals.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

/// How long a process may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Farol process with a folder of its own. Killed when dropped.
pub struct Process {
    child: Child,
    folder: PathBuf,
    /// What it wrote to its ready file.
    pub ready: Value,
    /// From start to ready.
    pub took: Duration,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; 128 + n when a signal ended it.
    pub code: i32,
    /// How long it took to end.
    pub took: Duration,
    /// All that it logged.
    pub log: String,
}

/// The path of one of the workspace's binaries, built beside this test or this program.
///
/// # Errors
/// When it was not built: `cargo build --workspace --bins` builds all.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    // A test lies one folder below the binaries.
    let folder = here.parent().context("the test runs outside target/")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name);
    if !path.exists() {
        bail!("{} is not built; run `cargo build --workspace --bins` first", path.display());
    }
    Ok(path)
}

/// A command line of a binary, with a quiet environment.
///
/// # Errors
/// When the binary was not built.
pub fn command(name: &str, args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(binary(name)?);
    command
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LOG_FORMAT", "json")
        .env("LOG_LEVEL", "debug");
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

impl Process {
    /// Starts a binary in `folder` (its data directory, ready file and log stand there) and waits until it is
    /// ready.
    ///
    /// # Errors
    /// When it ends before it is ready, or is not ready in time; the error holds its log.
    pub async fn start(name: &str, args: &[&str], folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(name, args, &[], folder).await
    }

    /// The same with these variables in its environment.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(
        name: &str,
        args: &[&str],
        env: &[(&str, &str)],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut command = command(name, args)?;
        command.envs(env.iter().copied());
        Self::launch(command, folder).await
    }

    /// The same with a command of one's own: the binary may run under another program.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn launch(mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let ready_file = folder.join("ready.json");
        if ready_file.exists() {
            std::fs::remove_file(&ready_file)?;
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
        command.arg("--data-dir").arg(folder.join("data")).arg("--ready-file").arg(&ready_file);
        command.stdout(log.try_clone()?).stderr(log);
        let what = command.as_std().get_program().to_string_lossy().into_owned();
        let began = Instant::now();
        let mut child = command.spawn()?;
        let ready = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    bail!("{what} ended before it was ready: {status}");
                }
                if let Ok(text) = std::fs::read_to_string(&ready_file) {
                    return Ok(serde_json::from_str(&text)?);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let ready = match timeout(PATIENCE, ready).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) => bail!("{error}\n{}", read_log(folder)),
            Err(_) => bail!("{what} is not ready after {PATIENCE:?}\n{}", read_log(folder)),
        };
        Ok(Self { child, folder: folder.to_owned(), ready, took: began.elapsed() })
    }

    /// Where it listens, by the key of the ready file: `http`, `agents`, `health`, `agent_http`, `agent_health`.
    #[must_use]
    pub fn address(&self, key: &str) -> SocketAddr {
        self.ready[key].as_str().and_then(|a| a.parse().ok()).expect("the ready file names this listener")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process was not waited for yet")
    }

    /// All that it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        read_log(&self.folder)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?).context("a process id")?;
        rustix::process::kill_process(pid, signal)?;
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(mut self) -> anyhow::Result<Ended> {
        use std::os::unix::process::ExitStatusExt;
        let began = Instant::now();
        let status = timeout(PATIENCE, self.child.wait()).await.context("the process does not end")??;
        let code = status.code().or_else(|| status.signal().map(|n| 128 + n)).unwrap_or(-1);
        Ok(Ended { code, took: began.elapsed(), log: read_log(&self.folder) })
    }

    /// SIGTERM, and its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(self) -> anyhow::Result<Ended> {
        self.signal(Signal::TERM)?;
        self.ended().await
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// GET of a path of its HTTP port: status and body.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        get(self.address("http"), path).await
    }

    /// GET of a path whose answer is JSON, whatever its status.
    ///
    /// # Errors
    /// When it does not answer, or not in JSON.
    pub async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.get(path).await?;
        serde_json::from_str(&body).with_context(|| format!("{path}: {status} {body}"))
    }
}

/// GET of a path: status and body.
///
/// # Errors
/// When nobody answers.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let answer = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()?
        .get(format!("http://{address}{path}"))
        .send()
        .await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

fn read_log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}
