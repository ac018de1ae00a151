//! SIGHUP: a bad file keeps the old set and says so, a good one is taken over.

use super::flags;
use anyhow::{Context, Result, ensure};
use farol_tests::process::Process;
use farol_tests::wait::until;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

struct Scene {
    folder: TempDir,
    process: Process,
    file: PathBuf,
}

impl Scene {
    async fn start(binary: &str, name: &str, text: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(name);
        std::fs::write(&file, text)?;
        let process = start(binary, &file, folder.path()).await?;
        Ok(Self { folder, process, file })
    }

    /// Writes another text and sends the signal.
    fn becomes(&self, text: &str) -> Result<()> {
        std::fs::write(&self.file, text)?;
        self.process.signal(Signal::HUP)
    }

    async fn logs(&self, word: &str) -> Result<()> {
        let logged = || std::future::ready(self.process.log().contains(word));
        until(word, PATIENCE, logged).await.with_context(|| self.process.log())
    }

    /// The names of the components on a page of `/health/detailed`.
    async fn has(&self, key: &str, component: &str) -> bool {
        let page = farol_tests::process::get(self.process.address(key), "/health/detailed").await;
        page.is_ok_and(|(_, body)| body.contains(&format!("\"{component}\"")))
    }
}

async fn start(binary: &str, file: &Path, folder: &Path) -> Result<Process> {
    let file = file.to_string_lossy().into_owned();
    let ports = flags(folder);
    let mut args = vec!["--config", file.as_str()];
    if binary != "farol-agent" {
        args.extend(ports[..6].iter().map(String::as_str));
    }
    Process::start(binary, &args, folder).await
}

const TWO_SERVICES: &str = "services: {shop: {}, payments: {at_least: 2}}\ngroups: {all: [shop, payments]}\n";

#[tokio::test]
async fn a_monitor_keeps_its_set_over_a_bad_file_and_takes_a_good_one() -> Result<()> {
    let scene = Scene::start("farol-monitor", "monitor.yaml", TWO_SERVICES).await?;
    let services =
        || async { scene.process.json("/api/v1/services").await.map(|list| list["items"].to_string()) };
    let before = services().await?;
    ensure!(before.contains("shop") && before.contains("payments"), "{before}");
    scene.becomes("services: {shop: {at_least: many}}\nwhatever: 1\n")?;
    // Each problem is told, with its line.
    scene.logs("monitor.yaml:1: services.shop.at_least").await?;
    scene.logs("monitor.yaml:2: whatever").await?;
    scene.logs("the configuration is refused; the old one stays").await?;
    let log = scene.process.log();
    ensure!(log.matches("the old one stays").count() == 1 && !log.contains("read again"), "{log}");
    ensure!(services().await? == before, "the old set stays");
    let events = scene.process.json("/api/v1/events").await?.to_string();
    ensure!(events.contains("refused") && events.contains("services.shop.at_least"), "{events}");
    let metrics = scene.process.get("/metrics").await?.1;
    ensure!(metrics.contains("farol_config_last_reload_successful 0"), "{metrics}");
    scene.becomes("services: {shop: {}}\n")?;
    let gone = || async { services().await.is_ok_and(|now| !now.contains("payments")) };
    until("the service's end", PATIENCE, gone).await?;
    let metrics = scene.process.get("/metrics").await?.1;
    ensure!(metrics.contains("farol_config_last_reload_successful 1"), "{metrics}");
    let log = scene.process.log();
    ensure!(log.matches("the configuration was read again").count() == 1, "{log}");
    let ended = scene.process.stop().await?;
    ensure!(ended.code == 0, "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_needs_a_restart_is_named() -> Result<()> {
    let scene = Scene::start("farol-monitor", "monitor.yaml", TWO_SERVICES).await?;
    scene.becomes("store: {sqlite: {path: other.db}}\nservices: {shop: {}}\n")?;
    scene.logs("take effect at the next start").await?;
    scene.logs("store").await?;
    ensure!(!scene.folder.path().join("data/other.db").exists(), "the store stays where it is");
    let (status, _) = scene.process.get("/health/live").await?;
    ensure!(status == 200, "it lives on");
    Ok(())
}

#[tokio::test]
async fn an_operator_is_told_what_is_wrong_with_the_file() -> Result<()> {
    let scene = Scene::start("farol-monitor", "monitor.yaml", TWO_SERVICES).await?;
    let token = std::fs::read_to_string(scene.folder.path().join("data/operator.token"))?;
    let url = format!("http://{}/api/v1/reload", scene.process.address("http"));
    let client = reqwest::Client::new();
    let ask = || client.post(&url).bearer_auth(token.trim()).send();
    let sound = ask().await?;
    ensure!(sound.status() == 200, "{}", sound.text().await?);
    std::fs::write(&scene.file, "details: maybe\n")?;
    let refused = ask().await?;
    let (status, body) = (refused.status(), refused.text().await?);
    ensure!(status == 422 && body.contains("monitor.yaml:1: details"), "{status} {body}");
    Ok(())
}

fn agent_with(checks: &[&str]) -> String {
    let mut text = "name: x\nlisten: {http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}\nchecks:\n".to_owned();
    for name in checks {
        text.push_str(&format!("  - {{name: {name}, service: shop, disk: {{paths: [/]}}, interval: 1s}}\n"));
    }
    text
}

#[tokio::test]
async fn an_agent_keeps_its_checks_over_a_bad_file_and_drops_one_that_is_gone() -> Result<()> {
    let scene = Scene::start("farol-agent", "agent.yaml", &agent_with(&["first", "second"])).await?;
    let has = async |name: &str| scene.has("agent_http", name).await;
    ensure!(has("first").await && has("second").await, "both are there");
    scene.becomes("name: x\nchecks: [{name: third, carrier_pigeon: {}}]\nwhatever: 1\n")?;
    scene.logs("agent.yaml:2: checks[0].carrier_pigeon").await?;
    scene.logs("agent.yaml:3: whatever").await?;
    ensure!(has("first").await && has("second").await, "the old set stays");
    scene.becomes(&agent_with(&["first", "third"]))?;
    until("the new set", PATIENCE, || async { has("third").await && !has("second").await }).await?;
    ensure!(has("first").await, "what is unchanged stays");
    let ended = scene.process.stop().await?;
    ensure!(ended.code == 0, "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_check_that_is_removed_is_gone_from_the_monitor_too() -> Result<()> {
    let both = |checks: &[&str]| format!("agent:\n{}", agent_lines(checks));
    let scene = Scene::start("farol", "farol.yaml", &both(&["first", "second"])).await?;
    let components = || async {
        let list = scene.process.json("/api/v1/components").await;
        list.map(|list| list["items"].to_string()).unwrap_or_default()
    };
    until("both components", PATIENCE, || async {
        let now = components().await;
        now.contains("\"first\"") && now.contains("\"second\"")
    })
    .await?;
    scene.becomes("agent: {checks: 5}\nmonitor: {services: 7}\n")?;
    scene.logs("farol.yaml:1: agent.checks").await?;
    scene.logs("farol.yaml:2: monitor.services").await?;
    ensure!(components().await.contains("\"second\""), "the old set stays");
    scene.becomes(&both(&["first"]))?;
    until("the second one's end", PATIENCE, || async {
        let now = components().await;
        now.contains("\"first\"") && !now.contains("\"second\"")
    })
    .await
}

fn agent_lines(checks: &[&str]) -> String {
    let checks: String = checks
        .iter()
        .map(|name| format!("    - {{name: {name}, service: shop, disk: {{paths: [/]}}, interval: 1s}}\n"))
        .collect();
    format!("  name: x\n  checks:\n{checks}")
}
