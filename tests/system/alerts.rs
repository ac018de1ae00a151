//! Alerting with real processes: from what a check sees to what a receiver is told, through crashes, restarts, reloads and
//! receivers and stores that fail. What rules, groups and ledger decide is tested where they are; here it is whether the
//! right words come out at the end.

#![allow(clippy::unwrap_used, reason = "what breaks fails its test")]

mod agents;
mod clock;
mod crash_points;
mod harmless;
mod peers;
mod reload;
mod troubles;
mod unrecorded;
mod whole;

use farol_health::Status;
use farol_tests::hook::{Hook, Told};
use farol_tests::stack::Stack;
use farol_tests::tellers::Tellers;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Whatever must be told is told within this.
const SOON: Duration = Duration::from_secs(15);
/// The path of the receiver that is always there.
const HOOK: &str = "/hook";
/// How long nothing must be told, so that it would have been: more than a group's interval.
const QUIET: Duration = Duration::from_millis(1_600);

/// A component that is unhealthy is an alert at once.
const DOWN: &str = "rules: [{name: part_down, component: part, flap: {changes: 0}}]\n";

/// A monitor whose alerts go to a hook.
struct Scene {
    stack: Stack,
    hook: Hook,
    folder: TempDir,
}

impl Scene {
    /// With these rules in a file, and further lines of configuration.
    async fn begin(rules: &str, further: &str) -> Self {
        let hook = Hook::start().await.unwrap();
        let receivers = format!("receivers: {{hook: {}}}\n", webhook(&hook, HOOK));
        let route = format!("route: {{receiver: hook, {WAITS}}}\n");
        Self::with(hook, rules, &format!("{receivers}{route}{further}")).await
    }

    /// The same with receivers and routes of one's own.
    async fn with(hook: Hook, rules: &str, further: &str) -> Self {
        Self::under(hook, rules, further, Vec::new()).await
    }

    /// The same with these variables in the monitor's environment.
    async fn under(hook: Hook, rules: &str, further: &str, env: Vec<(String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.yaml");
        std::fs::write(&file, rules).unwrap();
        let config = format!("rules: [\"{}\"]\negress: {{private: true}}\n{further}", file.display());
        Self { stack: Stack::start_with(&config, env).await.unwrap(), hook, folder }
    }

    /// The file with the rules.
    fn rules(&self) -> PathBuf {
        self.folder.path().join("rules.yaml")
    }

    fn fleet(&self, count: usize) -> Tellers {
        Tellers::begin(count, self.stack.addresses().agents)
    }

    /// Waits until exactly this was taken, in this order.
    async fn hears(&self, words: &[&str]) -> Vec<Told> {
        self.hook
            .until(&format!("{words:?}"), HOOK, SOON, |told| all(&once(told)) == words)
            .await
            .map(|told| once(&told))
            .unwrap()
    }

    /// Nothing more is told for a while.
    async fn hears_no_more(&self) {
        let count = || once(&self.hook.told(HOOK)).len();
        let before = count();
        let quiet = async || count() == before;
        let held = farol_tests::wait::holds("nothing more is told", QUIET, quiet).await;
        held.unwrap_or_else(|error| panic!("{error}: {:?}", all(&self.hook.told(HOOK))));
    }
}

/// Waits that a test can wait for.
const WAITS: &str =
    "group_by: [alertname, service, agent], group_wait: 0s, group_interval: 1s, repeat_interval: 1d";

fn webhook(hook: &Hook, path: &str) -> String {
    format!("{{webhook: {{url: \"{}\", secret: whsec}}}}", hook.url(path))
}

/// Without the copies that a crash may leave of a notice.
fn once(told: &[Told]) -> Vec<Told> {
    let mut known = HashSet::new();
    told.iter().filter(|told| known.insert(told.id().to_owned())).cloned().collect()
}

/// Each word in its order.
fn all(told: &[Told]) -> Vec<String> {
    told.iter().flat_map(Told::words).collect()
}

const BAD: Status = Status::Unhealthy;
const WELL: Status = Status::Healthy;
