//! Numbers and times at the edge of what a message can hold: taken without harm, shown on every page, and still so
//! after a restart.

use super::peer::{Kind, Peer, boot, component, definition, healthy, hello_of, report, series, state};
use super::{Scene, monitor, of_agent};
use anyhow::{Context, Result, ensure};
use farol_series::{Columns, Encoding};
use farol_tests::process::Process;
use farol_wire::proto;

/// Every page that shows what an agent said.
const PAGES: [&str; 12] = [
    "/api/v1/fleet",
    "/api/v1/agents",
    "/api/v1/services",
    "/api/v1/components",
    "/api/v1/events",
    "/api/v1/uptime",
    "/api/v1/uptime?from=1970-01-01T00:00:00Z",
    "/api/v1/history?metric=metric_1",
    "/api/services",
    "/health/services/shop/detailed",
    "/metrics",
    "/metrics/fleet",
];

async fn every_page_answers(monitor: &Process) -> Result<()> {
    for page in PAGES {
        let (status, body) = monitor.get(page).await.context(page)?;
        ensure!(status == 200 || status == 503, "{page}: {status} {body}");
        if !page.starts_with("/metrics") {
            serde_json::from_str::<serde_json::Value>(&body).with_context(|| format!("{page}: {body}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn times_at_the_edge_move_nothing() -> Result<()> {
    const EDGES: [u64; 6] = [0, 1, u64::MAX, i64::MAX as u64, i64::MAX as u64 + 1, 1 << 53];
    let mut scene = Scene::start().await?;
    for (n, edge) in EDGES.into_iter().enumerate() {
        for (m, clock) in EDGES.into_iter().enumerate() {
            let name = format!("edge-{n}-{m}");
            let mut peer = scene.stranger().await?;
            let hello = proto::Hello {
                clock_ms: clock,
                wall_ms: edge,
                boot: Some(boot(edge)),
                interval_ms: if n % 2 == 0 { 0 } else { u32::MAX },
                ..hello_of(&name)
            };
            peer.say(Kind::Hello(hello)).await?;
            let welcome = peer.welcome().await.context(name.clone())?;
            ensure!((1_000..=300_000).contains(&welcome.interval_ms), "{welcome:?}");
            peer.say(Kind::Define(definition())).await?;
            peer.say(state(0, proto::ComponentStatus { checked_ms: edge, ..healthy(1) })).await?;
            let mut first = peer.next_report();
            (first.at_ms, first.blocks[0].before_ms) = (edge, clock);
            first.changed = vec![proto::ComponentStatus { checked_ms: clock, ..healthy(1) }];
            peer.say(Kind::Report(first)).await?;
            peer.lives().await.context(name)?;
        }
    }
    every_page_answers(&scene.monitor).await?;
    scene.nobody_else_noticed().await?;
    and_after_a_restart(scene).await
}

#[tokio::test]
async fn numbers_at_the_edge_are_taken() -> Result<()> {
    let mut scene = Scene::start().await?;
    // The last number there is, and a State of after it.
    let mut last = scene.peer("last").await?;
    last.be_live().await?;
    last.seq = u64::MAX - 1;
    last.lives().await?;
    // A boot of the highest number, whose reports come as backlog up to the last one.
    let mut past = Peer::open(scene.monitor.address("agents")).await?;
    let high = proto::Boot { number: u64::MAX, nonce: u64::MAX };
    past.say(Kind::Hello(proto::Hello { spooled: vec![high, boot(1)], ..hello_of("past") })).await?;
    past.welcome().await?;
    past.say(Kind::Define(definition())).await?;
    past.say(state(0, healthy(1))).await?;
    for wall_offset_ms in [i64::MIN, -1, 0, i64::MAX] {
        let mut columns = Columns::new(vec![Encoding::Integer, Encoding::Float]);
        let mut data = Vec::new();
        columns.encode(&[Some(-9.0e15), Some(f64::NAN)], &mut data)?;
        let block = proto::Block { source: 1, before_ms: u64::MAX, data: data.into() };
        let changed = vec![proto::ComponentStatus { checked_ms: u64::MAX, ..healthy(1) }];
        let key =
            proto::Report { key: true, blocks: vec![block], changed, at_ms: u64::MAX, ..report(u64::MAX) };
        let segment = proto::Segment {
            boot: Some(high),
            define: Some(definition()),
            reports: vec![key],
            wall_offset_ms,
        };
        past.say(Kind::Backlog(proto::Backlog { segments: vec![segment] })).await?;
    }
    past.lives().await?;
    every_page_answers(&scene.monitor).await?;
    scene.nobody_else_noticed().await?;
    and_after_a_restart(scene).await
}

#[tokio::test]
async fn values_that_are_no_plain_numbers_are_shown_as_prometheus_writes_them() -> Result<()> {
    let mut scene = Scene::start().await?;
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 2.0, f64::MAX];
    let mut peer = scene.peer("x").await?;
    let ids = 1..=6u32;
    let defined = ids.map(|id| proto::Series { encoding: 3, ..series(id) }).collect();
    peer.say(Kind::Define(proto::Define { series: defined, ..definition() })).await?;
    peer.say(state(0, healthy(1))).await?;
    let mut columns = Columns::new(vec![Encoding::Float; 6]);
    let mut data = Vec::new();
    columns.encode(&values.map(Some), &mut data)?;
    peer.seq = 1;
    peer.say(super::peer::with_block(1, true, 1, &data)).await?;
    peer.lives().await?;
    let (_, page) = scene.monitor.get("/metrics/fleet?match[]=%7Bagent%3D%22x%22%7D").await?;
    let shown = |id: usize| {
        let line = page.lines().find(|line| line.starts_with(&format!("metric_{id}{{")));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned())
    };
    for (at, expected) in [(1, "NaN"), (2, "+Inf"), (3, "-Inf")] {
        ensure!(shown(at).as_deref() == Some(expected), "metric_{at}: {page}");
    }
    for (at, expected) in values.iter().enumerate().skip(3) {
        let value: f64 = shown(at + 1).context("it is shown")?.parse()?;
        ensure!(value.to_bits() == expected.to_bits(), "{value} is not {expected}");
    }
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn texts_of_a_stranger_are_shown_as_text() -> Result<()> {
    let mut scene = Scene::start().await?;
    let nasty = "\u{1b}[2J\"}\n# HELP x\nfarol_up 1\r\n{\"a\":\0} \u{202e} <script>alert(1)</script>";
    let mut peer = scene.peer("x").await?;
    let mut set = definition();
    set.series[0].labels.insert("note".into(), nasty.into());
    set.series[0].unit = nasty.chars().take(16).collect();
    set.components[0].labels.insert("note".into(), nasty.into());
    set.components.push(component(2, "talker"));
    peer.say(Kind::Define(set)).await?;
    let huge = format!("{nasty}{}", "é".repeat(5_000));
    let said = proto::ComponentStatus { reason: nasty.into(), message: huge, hard: 4, ..healthy(2) };
    let both = vec![healthy(1), said];
    peer.say(Kind::State(proto::State { as_of: 0, components: both })).await?;
    peer.report_is_acked().await?;
    let list = scene.monitor.json("/api/v1/components").await?;
    let shown =
        of_agent(&list, "x").into_iter().find(|c| c["component"] == "talker").context("the talker")?;
    ensure!(shown["reason"] == "other", "a reason that is no code: {shown}");
    let message = shown["message"].as_str().context("a message")?;
    ensure!(message.starts_with(nasty) && message.len() <= 1_024, "cut at a character's end: {message:?}");
    every_page_answers(&scene.monitor).await?;
    let (_, page) = scene.monitor.get("/metrics/fleet").await?;
    ensure!(!page.lines().any(|line| line.starts_with("farol_up") || line == "# HELP x"), "forged: {page}");
    let log = scene.monitor.log();
    ensure!(!log.contains('\u{1b}') && !log.contains('\0'), "control characters in the log");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line)
            .with_context(|| format!("a forged record: {line}"))?;
    }
    scene.nobody_else_noticed().await
}

/// What was stored can be read by the next process, and served.
async fn and_after_a_restart(scene: Scene) -> Result<()> {
    scene.is_sound()?;
    let Scene { monitor: old, folder, .. } = scene;
    old.kill().await?;
    let next = monitor(&folder, "").await?;
    every_page_answers(&next).await?;
    let mut honest = Peer::open(next.address("agents")).await?;
    honest.say(Kind::Hello(proto::Hello { boot: Some(boot(2)), ..hello_of("honest") })).await?;
    honest.welcome().await?;
    honest.be_live().await?;
    let mut scene = Scene { monitor: next, honest, folder };
    scene.nobody_else_noticed().await?;
    scene.is_sound()
}
