//! Two that speak for one agent: who is alive keeps the place, who is dead loses it.

use super::Scene;
use super::peer::{Answer, Kind, PATIENCE, Peer, boot, define, healthy, hello_of, state};
use anyhow::{Context, Result, bail, ensure};
use farol_tests::process::Process;
use farol_tests::wait::until;
use farol_wire::proto;
use tonic::Code;

/// Another start of the same agent says Hello.
async fn rival(scene: &Scene, agent: &str) -> Result<Peer> {
    let mut rival = Peer::open(scene.monitor.address("agents")).await?;
    rival.boot = boot(2);
    rival.say(Kind::Hello(proto::Hello { boot: Some(boot(2)), ..hello_of(agent) })).await?;
    Ok(rival)
}

#[tokio::test]
async fn who_is_alive_keeps_its_place_and_the_other_is_told_what_to_do() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut rival = rival(&scene, "honest").await?;
    // The monitor asks the one that is there for a word; any word will do.
    let asked = scene.honest.hear().await?;
    ensure!(matches!(asked, Answer::NeedKeyFrame(_)), "{asked:?}");
    scene.honest.report_is_acked().await?;
    rival.ends_with(Code::AlreadyExists, "give each its own `name`").await?;
    ensure!(scene.count("farol_ingest_identities_refused_total").await? == 1, "it is counted");
    let events = scene.monitor.json("/api/v1/events").await?;
    ensure!(events.to_string().contains("identity_conflict"), "{events}");
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn who_says_nothing_for_two_seconds_loses_its_place() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut dead = scene.peer("x").await?;
    dead.be_live().await?;
    let mut next = rival(&scene, "x").await?;
    next.welcome().await?;
    dead.ends_with(Code::Aborted, "took its place").await?;
    next.be_live().await?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn the_same_start_takes_its_own_place_at_once() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut first = scene.peer("x").await?;
    first.be_live().await?;
    let mut second = scene.peer("x").await?;
    first.ends_with(Code::Aborted, "took its place").await?;
    second.say(define()).await?;
    second.say(state(1, healthy(1))).await?;
    second.seq = 1;
    second.lives().await?;
    scene.nobody_else_noticed().await
}

/// The real agent answers although its next report is far away.
#[tokio::test]
async fn a_real_agent_keeps_its_place() -> Result<()> {
    let mut scene = Scene::start().await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("agent.yaml");
    let monitor = format!("http://{}", scene.monitor.address("agents"));
    let text = format!("name: real\nmonitors: [{monitor:?}]\ninterval: 60s\n");
    std::fs::write(&config, text)?;
    let config = config.to_str().context("a path in UTF-8")?;
    let agent = Process::start("farol-agent", &["--config", config], folder.path()).await?;
    let here = || async {
        let shown = scene.monitor.json("/api/v1/agents/real").await;
        shown.is_ok_and(|agent| agent["presence"] == "here")
    };
    until("the agent's stream", PATIENCE, here).await?;
    let mut rival = rival(&scene, "real").await?;
    rival.ends_with(Code::AlreadyExists, "give each its own `name`").await.with_context(|| agent.log())?;
    let shown = scene.monitor.json("/api/v1/agents/real").await?;
    if shown["presence"] != "here" || shown["connected"] != true {
        bail!("the real agent was disturbed: {shown}");
    }
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn an_agent_that_said_only_hello_leaves_no_trace() -> Result<()> {
    let mut scene = Scene::start().await?;
    for n in 0..50 {
        let peer = scene.peer(&format!("x{n}")).await?;
        ensure!(peer.hang_up().await?.code() == Code::Ok, "an end in order");
    }
    let agents = scene.monitor.json("/api/v1/agents").await?;
    ensure!(agents["items"].as_array().is_some_and(|all| all.len() == 1), "{agents}");
    scene.nobody_else_noticed().await
}
