//! Definitions that are not taken: refused by their ids, with a reason, and the stream lives.

use super::Scene;
use super::peer::{
    Kind, Peer, component, definition, healthy, key_block, report, series, source, state, with_block,
};
use anyhow::{Context, Result, ensure};
use farol_wire::proto;

fn one_series(entry: proto::Series) -> Kind {
    Kind::Define(proto::Define { series: vec![entry], ..proto::Define::default() })
}

fn one_component(entry: proto::Component) -> Kind {
    Kind::Define(proto::Define { components: vec![entry], ..proto::Define::default() })
}

fn label(name: &str, value: &str) -> std::collections::HashMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

fn bad_series() -> Vec<(&'static str, proto::Series, &'static str)> {
    let new = || series(50);
    vec![
        ("an unknown encoding", proto::Series { encoding: 99, ..new() }, "unknown encoding 99"),
        ("no encoding", proto::Series { encoding: 0, ..new() }, "unknown encoding 0"),
        ("too many digits", proto::Series { encoding: 2, digits: 200, ..new() }, "200 digits"),
        ("an unknown type", proto::Series { r#type: 7, ..new() }, "unknown series type 7"),
        ("no name", proto::Series { name: String::new(), ..new() }, "not a metric name"),
        ("a digit first", proto::Series { name: "1a".into(), ..new() }, "not a metric name"),
        ("an injected line", proto::Series { name: "a 1\nb".into(), ..new() }, "not a metric name"),
        ("a huge name", proto::Series { name: "a".repeat(100_000), ..new() }, "not a metric name"),
        ("a label's name", proto::Series { labels: label("a=\"b\"", "c"), ..new() }, "not a label name"),
        ("a reserved label", proto::Series { labels: label("__x", "c"), ..new() }, "not a label name"),
        ("a huge value", proto::Series { labels: label("a", &"x".repeat(100_000)), ..new() }, "1024"),
        ("a huge unit", proto::Series { unit: "x".repeat(65), ..new() }, "64 bytes"),
        ("nobody's", proto::Series { source: 9, ..new() }, "source 9 is not defined"),
        ("number zero", proto::Series { id: 0, ..new() }, "is not in 1 to"),
        ("a huge number", proto::Series { id: u32::MAX, ..new() }, "is not in 1 to"),
        ("another type", proto::Series { r#type: 2, ..series(1) }, "a changed series is a new id"),
        ("another name", proto::Series { name: "n".into(), ..series(1) }, "a changed series is a new id"),
        ("other labels", proto::Series { labels: label("a", "b"), ..series(1) }, "a changed series"),
    ]
}

#[tokio::test]
async fn a_bad_series_is_refused_by_its_id_and_the_stream_lives() -> Result<()> {
    let mut scene = Scene::start().await?;
    for (n, (name, entry, word)) in bad_series().into_iter().enumerate() {
        let mut peer = scene.peer(&format!("x{n}")).await?;
        peer.be_live().await.context(name)?;
        let id = entry.id;
        peer.say(one_series(entry)).await?;
        let refused = peer.refused().await.context(name)?;
        ensure!(refused.series == [id] && refused.reason.contains(word), "{name}: {refused:?}");
        peer.lives().await.context(name)?;
    }
    let counted = scene.count("farol_ingest_definitions_refused_total").await?;
    ensure!(counted == bad_series().len() as u64, "{counted} were counted");
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}

#[tokio::test]
async fn a_bad_component_is_refused_by_its_id_and_the_stream_lives() -> Result<()> {
    let mut scene = Scene::start().await?;
    let new = || component(50, "new");
    let cases = [
        ("no name", proto::Component { name: String::new(), ..new() }, "not a name"),
        ("a path", proto::Component { name: "../x".into(), ..new() }, "not a name"),
        ("a service", proto::Component { service: "a b".into(), ..new() }, "not a name"),
        ("a huge name", proto::Component { name: "x".repeat(100_000), ..new() }, "not a name"),
        ("no ttl", proto::Component { ttl_ms: 0, ..new() }, "no ttl"),
        ("a huge kind", proto::Component { kind: "x".repeat(65), ..new() }, "64 bytes"),
        ("a label", proto::Component { labels: label("a-b", ""), ..new() }, "not a label name"),
        ("number zero", proto::Component { id: 0, ..new() }, "is not in 1 to"),
        ("another component", component(1, "other"), "shop/database already"),
    ];
    for (n, (name, entry, word)) in cases.into_iter().enumerate() {
        let mut peer = scene.peer(&format!("x{n}")).await?;
        peer.be_live().await.context(name)?;
        let id = entry.id;
        peer.say(one_component(entry)).await?;
        let refused = peer.refused().await.context(name)?;
        ensure!(refused.components == [id] && refused.reason.contains(word), "{name}: {refused:?}");
        // The agent may not have heard of it yet.
        peer.seq += 1;
        let changed = vec![healthy(id)];
        peer.say(Kind::Report(proto::Report { changed, checked: vec![3], ..report(peer.seq) })).await?;
        peer.lives().await.context(name)?;
    }
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn an_id_that_was_retired_is_not_taken_again() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut peer = scene.peer("x").await?;
    peer.be_live().await?;
    peer.say(Kind::Retire(proto::Retire { series: vec![1], components: vec![1], sources: vec![] })).await?;
    peer.say(one_series(series(1))).await?;
    let refused = peer.refused().await?;
    ensure!(refused.series == [1] && refused.reason.contains("retired"), "{refused:?}");
    peer.say(one_component(component(1, "database"))).await?;
    let refused = peer.refused().await?;
    ensure!(refused.components == [1] && refused.reason.contains("retired"), "{refused:?}");
    peer.lives().await?;
    scene.nobody_else_noticed().await
}

/// A newer agent sends at once what an older monitor cannot decode; only that is lost.
#[tokio::test]
async fn the_blocks_of_a_source_with_a_refused_series_wait_and_other_sources_go_on() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut peer = scene.peer("newer").await?;
    let mut set = definition();
    set.sources.push(source(2));
    set.series.push(proto::Series { source: 2, name: "of_two".into(), ..series(3) });
    set.series.push(proto::Series { source: 2, encoding: 99, ..series(4) });
    peer.say(Kind::Define(set)).await?;
    peer.say(state(0, healthy(1))).await?;
    let blocks = [(1, key_block()), (2, vec![0xff; 30])];
    let blocks = blocks.map(|(source, data)| proto::Block { source, before_ms: 0, data: data.into() });
    peer.seq = 1;
    peer.say(Kind::Report(proto::Report { key: true, blocks: blocks.to_vec(), ..report(1) })).await?;
    let refused = peer.refused().await?;
    ensure!(refused.series == [4], "{refused:?}");
    peer.lives().await?;
    let page = scene.monitor.get("/metrics/fleet").await?.1;
    let shown = |line: &&str| line.starts_with("metric_1{") && line.contains("agent=\"newer\"");
    ensure!(page.lines().any(|line| shown(&line)), "the first source's values are shown: {page}");
    ensure!(!page.contains("of_two"), "nobody can tell the second one's: {page}");
    takes_in_what_is_left(&mut peer).await?;
    let page = scene.monitor.get("/metrics/fleet").await?.1;
    ensure!(page.lines().any(|line| line.starts_with("of_two{") && line.ends_with(" 5")), "{page}");
    scene.nobody_else_noticed().await
}

async fn takes_in_what_is_left(peer: &mut Peer) -> Result<()> {
    peer.say(Kind::Retire(proto::Retire { series: vec![4], ..proto::Retire::default() })).await?;
    let mut data = Vec::new();
    let mut columns = farol_series::Columns::new(vec![farol_series::Encoding::Integer]);
    columns.encode(&[Some(5.0)], &mut data)?;
    peer.seq += 1;
    peer.say(with_block(peer.seq, true, 2, &data)).await?;
    peer.lives().await
}
