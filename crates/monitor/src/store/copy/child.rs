//! A program of the database's makers, run to its end. Decides what is said when it is missing or fails; knows no
//! password but to hand it over in the environment.

use super::EVERY;
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};
use std::thread;

/// So much of its words is shown.
const WORDS: u64 = 4_096;

/// A program to be run.
pub(crate) struct Child {
    command: Command,
    name: &'static str,
}

impl Child {
    /// `name` is looked for where all programs are.
    pub(crate) fn new(name: &'static str, env: &[(&'static str, OsString)]) -> Self {
        let mut command = Command::new(name);
        command.envs(env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { command, name }
    }

    /// With these arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    /// Waits for its end. It is ended when nobody waits any more.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let name = self.name;
        let mut child = match self.command.spawn() {
            Ok(child) => Ended(child),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{name} is not installed here; install PostgreSQL's client programs (Debian: postgresql-client), no older \
                 than the server"
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot run {name}")),
        };
        let stderr = child.0.stderr.take();
        let words = thread::spawn(move || {
            let mut words = Vec::new();
            let Some(mut stderr) = stderr else { return words };
            // The rest is read too: it must not wait for a reader.
            let read = stderr.by_ref().take(WORDS).read_to_end(&mut words);
            drop(read.and_then(|_| std::io::copy(&mut stderr, &mut std::io::sink())));
            words
        });
        let status = loop {
            match child.0.try_wait().with_context(|| format!("waiting for {name}"))? {
                Some(status) => break status,
                None => tokio::time::sleep(EVERY / 10).await,
            }
        };
        let words = words.join().unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&words);
        let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        bail!("{name} failed ({status}): {}", lines.join("; "))
    }
}

/// A process that does not outlive who waits for it.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Fails when it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::Child;

    async fn failure(name: &'static str, args: &[&str]) -> String {
        Child::new(name, &[("WORD", "secret".into())]).args(args).run().await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_program_that_is_missing_or_fails_is_told_with_its_words() {
        let missing = failure("farol-no-such-program", &[]).await;
        assert!(missing.contains("not installed") && missing.contains("postgresql-client"), "{missing}");
        let failed = failure("sh", &["-c", "echo one >&2; echo two >&2; exit 3"]).await;
        assert!(failed.contains("exit status: 3") && failed.ends_with("one; two"), "{failed}");
        // More than the pipe holds.
        let much = failure("sh", &["-c", "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1"]).await;
        assert!(much.len() < 5_000, "{}", much.len());
        Child::new("sh", &[("WORD", "secret".into())])
            .args(["-c", "test \"$WORD\" = secret"])
            .run()
            .await
            .unwrap();
    }
}
