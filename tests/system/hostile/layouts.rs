//! Sets of definitions that agents share: one agent's mistakes cost nobody else's history, and sets that come and go
//! cost nobody's memory.

use super::Scene;
use super::peer::{Kind, definition, healthy, state, with_block};
use anyhow::{Context, Result, ensure};
use farol_wire::proto;
use tonic::Code;

/// The set of all others with another unit: its blocks are the same.
fn other_set(unit: &str) -> Kind {
    let mut define = definition();
    define.series.iter_mut().for_each(|series| series.unit = unit.to_owned());
    Kind::Define(define)
}

/// How many samples of `metric_1` of this agent the last hour holds.
async fn samples_of(scene: &Scene, agent: &str) -> Result<u64> {
    let path = format!("/api/v1/history?metric=metric_1&agent={agent}&reduce=count");
    let body = scene.monitor.json(&path).await?;
    let items = body["items"].as_array().with_context(|| format!("no list: {body}"))?;
    let values = items.iter().filter_map(|item| item["values"].as_array()).flatten();
    Ok(values.filter_map(serde_json::Value::as_f64).sum::<f64>() as u64)
}

#[tokio::test]
async fn a_set_whose_first_report_is_refused_costs_nobody_else_their_history() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut bad = scene.peer("bad").await?;
    bad.say(other_set("apples")).await?;
    bad.say(state(0, healthy(1))).await?;
    bad.say(with_block(1, true, 1, &[0xff; 3])).await?;
    bad.ends_with(Code::InvalidArgument, "source 1").await?;
    let mut good = scene.peer("good").await?;
    good.say(other_set("apples")).await?;
    good.say(state(0, healthy(1))).await?;
    for _ in 0..3 {
        good.report_is_acked().await?;
    }
    ensure!(samples_of(&scene, "honest").await? == 1, "the question is right");
    let samples = samples_of(&scene, "good").await?;
    ensure!(samples == 3, "{samples} of 3 reports that were acknowledged");
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}

#[tokio::test]
async fn a_backlog_that_is_refused_costs_nobody_else_their_history() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut bad = scene.peer("bad").await?;
    bad.be_live().await?;
    let Kind::Define(define) = other_set("pears") else { unreachable!("it defines") };
    let Kind::Report(report) = with_block(1, true, 1, &[0xff; 3]) else { unreachable!("it reports") };
    let boot = Some(bad.boot);
    let segment = proto::Segment { boot, define: Some(define), reports: vec![report], wall_offset_ms: 0 };
    bad.say(Kind::Backlog(proto::Backlog { segments: vec![segment] })).await?;
    bad.ends_with(Code::InvalidArgument, "source 1").await?;
    let mut good = scene.peer("good").await?;
    good.say(other_set("pears")).await?;
    good.say(state(0, healthy(1))).await?;
    good.report_is_acked().await?;
    ensure!(samples_of(&scene, "good").await? == 1, "what was acknowledged is there");
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}
