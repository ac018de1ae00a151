//! Too much of everything: what is over the limits is refused, and the monitor's memory stays where it was.

use super::Scene;
use super::peer::{Answer, Kind, Peer, definition, healthy, key_block, report, series, source, state};
use anyhow::{Context, Result, ensure};
use farol_wire::proto;
use tonic::Code;

/// No stranger makes it grow by more.
const GROWTH_MIB: u64 = 100;
/// Nor one whose set changes as often as it may.
const GROWTH_BY_SETS_MIB: u64 = 40;

async fn stays_small(scene: &Scene, before: u64) -> Result<()> {
    grows_less_than(GROWTH_MIB, scene, before)
}

fn grows_less_than(most: u64, scene: &Scene, before: u64) -> Result<()> {
    let after = scene.memory()?;
    ensure!(after < before + most, "the memory grew from {before} to {after} MiB");
    Ok(())
}

/// Says all of it while listening: how many series were refused.
async fn say_all(peer: &mut Peer, all: impl Iterator<Item = Kind>, refusals: usize) -> Result<u64> {
    let mouth = peer.mouth();
    let (mut refused, mut heard) = (0, 0);
    let saying = async {
        for kind in all {
            mouth.say(kind).await?;
        }
        anyhow::Ok(())
    };
    let hearing = async {
        while heard < refusals {
            if let Answer::Refused(message) = peer.hear().await? {
                heard += 1;
                refused += message.series.len() as u64;
            }
        }
        anyhow::Ok(())
    };
    futures::future::try_join(saying, hearing).await?;
    Ok(refused)
}

#[tokio::test]
async fn a_million_series_are_refused_by_their_ids_and_the_first_ten_thousand_live() -> Result<()> {
    const ALL: u32 = 1_000_000;
    const EACH: u32 = 10_000;
    let mut scene = Scene::start().await?;
    let before = scene.memory()?;
    let mut peer = scene.peer("x").await?;
    peer.be_live().await?;
    let message = |from: u32| {
        let series =
            (from..from + EACH).map(|id| proto::Series { source: 2, name: format!("m{id}"), ..series(id) });
        Kind::Define(proto::Define {
            sources: vec![source(2)],
            series: series.collect(),
            ..Default::default()
        })
    };
    let messages = (0..ALL / EACH).map(|n| message(10 + n * EACH));
    let refused = say_all(&mut peer, messages, (ALL / EACH) as usize).await?;
    // Two are there already, of the other source.
    ensure!(refused == u64::from(ALL) - 9_998, "{refused} were refused");
    let counted = scene.count("farol_ingest_definitions_refused_total").await?;
    ensure!(counted == refused, "{counted} were counted");
    peer.seq += 1;
    let block = proto::Block { source: 1, before_ms: 0, data: key_block().into() };
    let key = proto::Report { key: true, blocks: vec![block], ..report(peer.seq) };
    peer.say(Kind::Report(key)).await?;
    peer.lives().await?;
    let agent = scene.monitor.json("/api/v1/agents/x").await?;
    ensure!(agent["series"] == 10_000, "{agent}");
    stays_small(&scene, before).await?;
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}

#[tokio::test]
async fn series_with_huge_labels_are_refused_before_they_fill_the_memory() -> Result<()> {
    const ALL: u32 = 5_000;
    const EACH: u32 = 25;
    let mut scene = Scene::start().await?;
    let before = scene.memory()?;
    let mut peer = scene.peer("x").await?;
    peer.say(Kind::Define(definition())).await?;
    let labels = || (0..32).map(|n| (format!("label_{n}"), "x".repeat(1_024))).collect();
    let message = |from: u32| {
        let series = (from..from + EACH).map(|id| proto::Series { labels: labels(), ..series(id) });
        Kind::Define(proto::Define { series: series.collect(), ..Default::default() })
    };
    // Fewer than 400 of them fit.
    let refusals = ((ALL - 400) / EACH) as usize;
    let messages = (0..ALL / EACH).map(|n| message(10 + n * EACH));
    let refused = say_all(&mut peer, messages, refusals).await?;
    ensure!(refused > u64::from(ALL - 800), "{refused} were refused");
    stays_small(&scene, before).await?;
    peer.say(state(0, healthy(1))).await?;
    peer.lives().await?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn a_set_that_changes_all_the_time_does_not_fill_the_memory() -> Result<()> {
    let mut scene = Scene::start().await?;
    let before = scene.memory()?;
    // Of three agents, because one alone may not do it so often.
    for (agent, name) in (0..).zip(["x", "y", "z"]) {
        let mut peer = scene.peer(name).await?;
        peer.be_live().await?;
        for n in 0..40u32 {
            let id = 1_000 + (agent * 40 + n) * 2_000;
            let labelled = |id| proto::Series { labels: [("a".into(), "b".into())].into(), ..series(id) };
            let series = (id..id + 2_000).map(labelled).collect();
            peer.say(Kind::Define(proto::Define { series, ..Default::default() })).await?;
            // What waits for its commit has a bound of its own.
            peer.lives().await?;
            let retire = proto::Retire { series: (id..id + 2_000).collect(), ..Default::default() };
            peer.say(Kind::Retire(retire)).await?;
        }
    }
    grows_less_than(GROWTH_BY_SETS_MIB, &scene, before)?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn who_changes_its_set_too_often_is_told_and_cut() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut peer = scene.peer("x").await?;
    peer.be_live().await?;
    for id in 10..300 {
        peer.say(Kind::Define(proto::Define { series: vec![series(id)], ..Default::default() })).await?;
        peer.seq += 1;
        peer.say(Kind::Report(proto::Report { key: true, ..report(peer.seq) })).await?;
    }
    peer.ends_with(Code::ResourceExhausted, "30 times a minute").await?;
    ensure!(scene.count("farol_ingest_violations_total").await? == 1, "it is counted");
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn who_says_too_much_is_told_and_cut() -> Result<()> {
    let mut scene = Scene::start().await?;
    let before = scene.memory()?;
    let mut peer = scene.peer("x").await?;
    peer.be_live().await?;
    for seq in 2..10_000 {
        peer.say(Kind::Report(report(seq))).await?;
    }
    peer.ends_with(Code::ResourceExhausted, "at most 200 a second").await?;
    ensure!(scene.count("farol_ingest_violations_total").await? == 1, "it is counted");
    stays_small(&scene, before).await?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn a_message_of_five_megabytes_ends_the_stream_with_the_limit_in_its_words() -> Result<()> {
    let mut scene = Scene::start().await?;
    let before = scene.memory()?;
    let mut peer = scene.peer("x").await?;
    peer.be_live().await?;
    let padding = vec![0; 5 << 20];
    peer.say(Kind::Report(proto::Report { padding, ..report(2) })).await?;
    peer.ends_with(Code::InvalidArgument, "1048576 bytes").await?;
    stays_small(&scene, before).await?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn an_agent_that_never_listens_does_not_fill_the_memory() -> Result<()> {
    let mut scene = Scene::start().await?;
    let before = scene.memory()?;
    let peer = scene.peer("x").await?;
    let bad = |n: u32| {
        let series = (0..5_000).map(|id| proto::Series { encoding: 99, ..series(10 + n * 5_000 + id) });
        Kind::Define(proto::Define { series: series.collect(), ..Default::default() })
    };
    // The answers nobody takes fill the connection; then it takes no more messages, and that is where it ends.
    let full = async {
        for n in 0..1_000 {
            peer.say(bad(n)).await?;
        }
        anyhow::Ok(())
    };
    let stuck = tokio::time::timeout(std::time::Duration::from_secs(5), full).await;
    ensure!(stuck.is_err(), "the monitor goes on taking what it cannot answer");
    stays_small(&scene, before).await.context("while nobody listens")?;
    scene.nobody_else_noticed().await
}
