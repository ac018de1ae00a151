//! Messages out of order, or such as no honest agent sends: each ends its stream with a code and words.

use super::peer::{
    Answer, Kind, Steps, boot, component, define, definition, healthy, hello, hello_of, key_block, report,
    series, source, state, with_block,
};
use super::{Peer, Scene};
use anyhow::{Context, Result, bail, ensure};
use farol_wire::proto;
use std::collections::HashMap;
use tonic::Code;

/// A stream: what it is, what it says, and how it must end.
type Case = (&'static str, Steps, Code, &'static str);

const BAD: Code = Code::InvalidArgument;

/// Plays each case on a stream of its own.
async fn play(cases: Vec<Case>) -> Result<()> {
    let mut scene = Scene::start().await?;
    let before = scene.count("farol_ingest_violations_total").await?;
    let all = cases.len() as u64;
    for (name, steps, code, word) in cases {
        let mut peer = scene.stranger().await?;
        for step in steps {
            peer.say(step).await.context(name)?;
        }
        peer.ends_with(code, word).await.context(name)?;
        scene.nobody_else_noticed().await.context(name)?;
    }
    let counted = scene.count("farol_ingest_violations_total").await? - before;
    ensure!(counted == all, "{all} streams broke the protocol, {counted} were counted");
    scene.is_sound()
}

/// The steps that lead to a live stream, and then these.
fn live(steps: impl IntoIterator<Item = Kind>) -> Steps {
    let opening = [hello("x"), define(), state(0, healthy(1))];
    opening.into_iter().chain(steps).collect()
}

fn opened(step: Kind) -> Steps {
    vec![hello("x"), step]
}

fn said(change: impl FnOnce(&mut proto::Hello)) -> Steps {
    let mut hello = hello_of("x");
    change(&mut hello);
    vec![Kind::Hello(hello)]
}

fn labels(labels: &[(&str, &str)]) -> HashMap<String, String> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_message_out_of_order_ends_the_stream() -> Result<()> {
    let plain = |seq| Kind::Report(report(seq));
    let keyed = |seq| with_block(seq, true, 1, &key_block());
    let not_open: [Kind; 5] = [
        define(),
        state(0, healthy(1)),
        plain(1),
        Kind::Goodbye(proto::Goodbye::default()),
        Kind::Retire(proto::Retire::default()),
    ];
    let mut cases: Vec<Case> =
        not_open.into_iter().map(|first| ("before Hello", vec![first], BAD, "must be Hello")).collect();
    cases.extend([
        ("a second Hello", live([hello("x")]), BAD, "a second Hello"),
        ("a second Hello for another", live([hello("honest")]), BAD, "a second Hello"),
        ("Report before State", vec![hello("x"), define(), keyed(1)], BAD, "before State"),
        ("Backlog before State", vec![hello("x"), define(), backlog(|_| ())], BAD, "before State"),
        ("back", live([keyed(5), plain(4)]), BAD, "4 after 5: numbers must rise"),
        ("the same again", live([keyed(5), plain(5)]), BAD, "5 after 5"),
        ("number zero", live([plain(0)]), BAD, "0 after 0"),
        ("at the end of all numbers", live([keyed(u64::MAX), plain(1)]), BAD, "numbers must rise"),
        ("an old State", live([keyed(5), state(4, healthy(1))]), BAD, "State as of 4 after report 5"),
        ("a State of another", live([state(9, healthy(2))]), BAD, "component 2 is not defined"),
        ("a change of another", live([changed(77)]), BAD, "component 77 is not defined"),
        ("bits beyond the end", live([checked(&[1, 1])]), BAD, "`checked` has 2 bytes"),
        ("a Goodbye of no kind", live([Kind::Goodbye(proto::Goodbye::default())]), BAD, "without a kind"),
        ("lost in the wrong order", live([dropped(9, 8)]), BAD, "first after last"),
        ("lost from zero", live([dropped(0, 8)]), BAD, "first after last"),
    ]);
    play(cases).await
}

#[tokio::test]
async fn a_hello_that_is_not_one_ends_the_stream() -> Result<()> {
    let long = "x".repeat(129);
    let version = Code::FailedPrecondition;
    let mut cases: Vec<Case> = vec![
        ("a newer protocol", said(|h| (h.protocol_min, h.protocol_max) = (7, 9)), version, "7 to 9; upgrade"),
        ("an older one", said(|h| (h.protocol_min, h.protocol_max) = (0, 0)), version, "0 to 0; upgrade"),
        ("none at all", said(|h| (h.protocol_min, h.protocol_max) = (9, 1)), version, "upgrade"),
        ("no role", said(|h| h.role = 0), BAD, "no role"),
        ("a role to come", said(|h| h.role = 99), BAD, "no role"),
        ("no boot", said(|h| h.boot = None), BAD, "no boot"),
        ("many boots", said(|h| h.spooled = vec![boot(2); 65]), BAD, "64 spooled boots"),
        ("a scope", said(|h| h.scope = "a/b".into()), BAD, "is not a scope"),
        ("a version", said(|h| h.version = "9".repeat(129)), BAD, "128 bytes"),
        ("a label's name", said(|h| h.labels = labels(&[("a-b", "c")])), BAD, "not a label name"),
        ("a reserved label", said(|h| h.labels = labels(&[("__name__", "c")])), BAD, "not a label name"),
        ("a label's value", said(|h| h.labels = labels(&[("a", &"x".repeat(1025))])), BAD, "1024"),
        ("many labels", said(|h| h.labels = many_labels()), BAD, "at most 32"),
    ];
    for id in ["", "a b", "a\nb", "../../etc", "a\0", "\u{202e}gnp", "é", &long] {
        cases.push(("an id", said(|h| h.agent = id.into()), BAD, "is not an agent id"));
    }
    play(cases).await
}

#[tokio::test]
async fn a_block_that_cannot_be_read_ends_the_stream() -> Result<()> {
    let good = key_block();
    let cut = &good[..good.len() - 1];
    let longer = [&good[..], &[1, 2, 3]].concat();
    let endless = [&[0b11][..], &[0xff; 40]].concat();
    let cases: Vec<Case> = vec![
        ("an unknown source", live([with_block(1, true, 9, &good)]), BAD, "source 9, which is not defined"),
        ("truncated", live([with_block(1, true, 1, cut)]), BAD, "source 1 cannot be decoded"),
        ("longer", live([with_block(1, true, 1, &longer)]), BAD, "source 1 cannot be decoded"),
        ("beyond the end", live([with_block(1, true, 1, &[0xff; 9])]), BAD, "beyond the 2 that are defined"),
        ("an endless number", live([with_block(1, true, 1, &endless)]), BAD, "source 1 cannot be decoded"),
        ("gone twice", live([with_block(1, true, 1, &[0, 1, 0])]), BAD, "absent"),
        ("a megabyte", live([with_block(1, true, 1, &[0; 1_000_000])]), BAD, "source 1 cannot be decoded"),
        ("source zero", opened(sources(source(0))), BAD, "source 0"),
        ("a huge source", opened(sources(source(u32::MAX))), BAD, "source 4294967295"),
        ("a source's name", opened(sources(named("a b"))), BAD, "has the name"),
        ("a source without", opened(sources(named(""))), BAD, "has the name"),
        ("a source renamed", live([sources(named("other"))]), BAD, "another source is a new id"),
        ("a source reused", live([retire_source(1), sources(source(1))]), BAD, "was retired"),
    ];
    play(cases).await
}

#[tokio::test]
async fn a_backlog_that_cannot_be_kept_ends_the_stream() -> Result<()> {
    let cases: Vec<Case> = vec![
        ("no boot", live([backlog(|s| s.boot = None)]), BAD, "without a boot"),
        ("not named", live([backlog(|s| s.boot = Some(boot(7)))]), BAD, "Hello did not name"),
        ("no reports and no set", live([backlog(|s| *s = no_reports(s))]), BAD, "without reports"),
        ("no key frame", live([backlog(|s| s.reports[0].key = false)]), BAD, "begin with a key frame"),
        ("two key frames", live([backlog(|s| s.reports[1].key = true)]), BAD, "second key frame"),
        ("a hole", live([backlog(|s| s.reports[1].seq += 1)]), BAD, "with a hole"),
        ("back", live([backlog(|s| s.reports[1].seq = 1)]), BAD, "with a hole"),
        ("number zero", live([backlog(|s| s.reports[0].seq = 0)]), BAD, "number 0"),
        ("past the last number", live([backlog(past_the_end)]), BAD, "with a hole"),
        ("no definitions", live([backlog(|s| s.define = None)]), BAD, "source 1, which is not defined"),
        ("undecodable", live([backlog(|s| s.reports[0].blocks[0].data = vec![9; 9].into())]), BAD, "decoded"),
    ];
    play(cases).await
}

#[tokio::test]
async fn a_message_without_content_ends_the_stream() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut peer = scene.peer("x").await?;
    peer.say_nothing().await?;
    peer.ends_with(BAD, "without content").await?;
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn a_stream_that_never_says_hello_ends_at_its_deadline() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut silent = scene.stranger().await?;
    silent.ends_with(Code::DeadlineExceeded, "Hello").await?;
    ensure!(scene.count("farol_ingest_violations_total").await? == 1, "it is counted");
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn an_agent_that_hangs_up_in_mid_stream_is_no_error() -> Result<()> {
    let mut scene = Scene::start().await?;
    for steps in [Vec::new(), vec![hello("x")], live([])] {
        let peer: Peer = scene.stranger().await?;
        for step in steps {
            peer.say(step).await?;
        }
        let status = peer.hang_up().await?;
        ensure!(status.code() == Code::Ok, "{status:?}");
    }
    ensure!(scene.count("farol_ingest_violations_total").await? == 0, "nobody broke the protocol");
    scene.nobody_else_noticed().await
}

#[tokio::test]
async fn the_backlog_of_an_earlier_start_is_acknowledged_as_such() -> Result<()> {
    let mut scene = Scene::start().await?;
    let mut peer = scene.stranger().await?;
    let both = vec![boot(1), boot(2)];
    peer.say(Kind::Hello(proto::Hello { boot: Some(boot(2)), spooled: both, ..hello_of("x") })).await?;
    peer.welcome().await?;
    peer.say(define()).await?;
    peer.say(state(0, healthy(1))).await?;
    peer.say(backlog(|segment| segment.reports[1].ack_now = true)).await?;
    let ack = peer.hear().await?;
    let Answer::Ack(ack) = ack else { bail!("{ack:?} in place of an Ack") };
    ensure!((ack.boot, ack.seq) == (Some(boot(1)), 2), "{ack:?}");
    peer.report_is_acked().await?;
    // What is not asked for comes at the stream's end.
    let third = |segment: &mut proto::Segment| {
        segment.reports.truncate(1);
        segment.reports[0].seq = 3;
    };
    peer.say(backlog(third)).await?;
    let acks = peer.last_acks().await?;
    ensure!(acks.contains(&proto::Ack { boot: Some(boot(1)), seq: 3 }), "{acks:?}");
    scene.nobody_else_noticed().await
}

/// A segment of two good reports, then spoilt.
fn backlog(spoil: impl FnOnce(&mut proto::Segment)) -> Kind {
    let block = proto::Block { source: 1, before_ms: 0, data: key_block().into() };
    let first = proto::Report { key: true, blocks: vec![block], ..report(1) };
    let mut segment = proto::Segment {
        boot: Some(boot(1)),
        define: Some(definition()),
        reports: vec![first, report(2)],
        wall_offset_ms: 0,
    };
    spoil(&mut segment);
    Kind::Backlog(proto::Backlog { segments: vec![segment] })
}

/// Nor the part of a set.
fn no_reports(segment: &proto::Segment) -> proto::Segment {
    proto::Segment { boot: segment.boot, ..Default::default() }
}

/// From the last number there is on to the first.
fn past_the_end(segment: &mut proto::Segment) {
    segment.reports[0].seq = u64::MAX;
    segment.reports[1].seq = 0;
}

fn changed(id: u32) -> Kind {
    Kind::Report(proto::Report { changed: vec![healthy(id)], ..report(1) })
}

fn checked(bits: &[u8]) -> Kind {
    Kind::Report(proto::Report { checked: bits.to_vec(), ..report(1) })
}

fn dropped(first: u64, last: u64) -> Kind {
    Kind::Dropped(proto::Dropped { boot: Some(boot(1)), first, last })
}

fn sources(source: proto::Source) -> Kind {
    // What stands beside it does not save it.
    let define =
        proto::Define { sources: vec![source], series: vec![series(9)], components: vec![component(9, "c")] };
    Kind::Define(define)
}

fn named(name: &str) -> proto::Source {
    proto::Source { name: name.into(), ..source(1) }
}

fn retire_source(id: u32) -> Kind {
    Kind::Retire(proto::Retire { sources: vec![id], ..proto::Retire::default() })
}

fn many_labels() -> HashMap<String, String> {
    (0..33).map(|n| (format!("l{n}"), String::new())).collect()
}
