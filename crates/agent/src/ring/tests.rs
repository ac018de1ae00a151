//! What is held, shed and lost, against a model of every single report.

mod disk;

use super::*;
use bytes::Bytes;
use farol_wire::Limits;
use farol_wire::proto::{Block, Define, Series};
use proptest::prelude::*;
use std::collections::BTreeSet;

const BOOT: Boot = Boot { number: 7, nonce: 9 };

fn layout(series: u32) -> Arc<Layout> {
    let of = |id| Series { id, source: 1, name: format!("s{id}"), ..Default::default() };
    Arc::new(Layout::new(&Define { series: (1..=series).map(of).collect(), ..Default::default() }))
}

fn report(bytes: usize, key: bool) -> Report {
    let data = Bytes::from(vec![7; bytes]);
    Report { at_ms: 1, key, blocks: vec![Block { source: 1, before_ms: 0, data }], ..Default::default() }
}

fn push(ring: &mut Ring, bytes: usize, shared: &Arc<Layout>) -> u64 {
    let begin = ring.must_begin();
    if begin {
        ring.begin(Arc::clone(shared), 0, Vec::new());
    }
    ring.push(report(bytes, begin))
}

fn chunk(ring: &mut Ring, cursor: u64, budget: usize) -> Option<Chunk> {
    match ring.backlog(cursor, budget) {
        Piece::Chunk(chunk) => Some(chunk),
        Piece::Wait(_) => panic!("nothing is on disk"),
        Piece::Nothing => None,
    }
}

fn take_lost(ring: &mut Ring) -> Vec<Span> {
    ring.take_lost()
        .into_iter()
        .map(|(boot, span)| {
            assert_eq!(boot, BOOT);
            span
        })
        .collect()
}

fn held(ring: &Ring) -> BTreeSet<u64> {
    ring.segments.iter().flat_map(|s| s.first..=s.last()).collect()
}

#[test]
fn a_segment_ends_after_64_reports_and_only_its_first_is_a_key_frame() {
    let (mut ring, shared) = (Ring::new(BOOT, 8 << 20), layout(3));
    for _ in 0..130 {
        push(&mut ring, 10, &shared);
    }
    let chunk = chunk(&mut ring, 0, 1 << 20).unwrap();
    let sizes: Vec<_> = chunk.segments.iter().map(|s| s.reports.len()).collect();
    assert_eq!(sizes, [64, 64, 2]);
    for segment in &chunk.segments {
        let keys: Vec<_> = segment.reports.iter().map(|r| r.key).collect();
        assert!(keys[0] && keys[1..].iter().all(|key| !key));
        assert!(segment.reports.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
        assert_eq!(segment.define.as_ref().map(|d| d.series.len()), Some(3));
        assert_eq!(segment.boot.map(Boot::from), Some(BOOT));
    }
    assert_eq!(chunk.last, 130);
    assert!(ring.must_begin(), "what was sent as history does not grow");
    assert_eq!(ring.backlog(130, 1 << 20), Piece::Nothing);
}

#[test]
fn an_acknowledgement_frees_whole_segments_and_counts_single_reports() {
    let (mut ring, shared) = (Ring::new(BOOT, 8 << 20), layout(1));
    for _ in 0..100 {
        push(&mut ring, 10, &shared);
    }
    ring.acknowledge(63);
    assert_eq!((ring.segments.len(), ring.unacked()), (2, 37));
    ring.acknowledge(70);
    assert_eq!((ring.segments.len(), ring.unacked()), (1, 30));
    ring.acknowledge(5);
    assert_eq!(ring.acked(), 70, "it never goes back");
    ring.acknowledge(u64::MAX);
    assert_eq!((ring.acked(), ring.unacked()), (100, 0), "no more than was given out");
    let chunk = chunk(&mut ring, 70, 1 << 20).unwrap();
    assert_eq!(chunk.segments[0].reports[0].seq, 65, "a segment is sent from its key frame on");
}

#[test]
fn what_was_sent_and_shed_is_lost_only_when_the_next_monitor_does_not_know_it() {
    let shared = layout(1);
    for (mark, lost) in [(0, Some((1, 64))), (40, Some((41, 64))), (64, None), (500, None)] {
        let mut ring = Ring::new(BOOT, 20_000);
        let mut cursor = 0;
        while ring.fate.doubtful.is_empty() {
            push(&mut ring, 100, &shared);
            while let Next::Report(_, report) = ring.next(cursor) {
                cursor = report.seq;
            }
        }
        assert_eq!((take_lost(&mut ring), ring.lost_total()), (Vec::new(), 0));
        let doubtful = ring.fate.doubtful[0];
        ring.resume(mark, &[]);
        let lost = lost.map(|(first, _)| Span { first, last: doubtful.last }).filter(|s| s.first <= s.last);
        assert_eq!(take_lost(&mut ring), lost.into_iter().collect::<Vec<_>>(), "mark {mark}");
        assert_eq!(ring.lost_total(), lost.map_or(0, Span::len));
        assert!(take_lost(&mut ring).is_empty(), "announced once");
    }
}

#[test]
fn what_was_lost_is_announced_on_each_stream_until_a_later_report_is_acknowledged() {
    let (mut ring, shared) = (Ring::new(BOOT, 20_000), layout(1));
    while ring.lost_total() == 0 {
        push(&mut ring, 100, &shared);
    }
    let lost = [Span { first: 1, last: ring.lost_total() }];
    let before = ring.last();
    for _ in 0..2 {
        ring.resume(0, &[]);
        assert_eq!(take_lost(&mut ring), lost, "the stream before may have broken too early");
        assert_eq!(take_lost(&mut ring), [], "once on each");
        ring.acknowledge(before - 2);
    }
    // Made before it was announced: it may have come first.
    ring.acknowledge(before);
    ring.resume(before, &[]);
    assert_eq!(take_lost(&mut ring), lost);
    let after = push(&mut ring, 100, &shared);
    ring.acknowledge(after);
    ring.resume(after, &[]);
    assert_eq!((take_lost(&mut ring), ring.lost_total()), (Vec::new(), lost[0].len()));
}

#[test]
fn a_stream_that_is_too_slow_is_told_that_its_next_report_is_gone() {
    let (mut ring, shared) = (Ring::new(BOOT, 20_000), layout(1));
    push(&mut ring, 100, &shared);
    assert!(matches!(ring.next(0), Next::Report(..)));
    while ring.segments.front().is_some_and(|s| s.first <= 2) {
        push(&mut ring, 100, &shared);
    }
    assert!(matches!(ring.next(1), Next::Gone));
    assert!(matches!(ring.next(ring.last()), Next::Nothing));
}

#[test]
fn segments_a_monitor_would_refuse_are_shed_and_announced() {
    let mut ring = Ring::new(BOOT, 8 << 20);
    for series in [5, 50, 5] {
        ring.begin(layout(series), 0, Vec::new());
        for n in 0..10 {
            ring.push(report(10, n == 0));
        }
    }
    let limits = Limits { max_series: 20, ..Limits::default() };
    assert_eq!(ring.shed_unfit(&limits), 1);
    assert_eq!(take_lost(&mut ring), [Span { first: 11, last: 20 }]);
    let chunk = chunk(&mut ring, 0, 1 << 20).unwrap();
    assert_eq!(chunk.segments.iter().map(|s| s.reports[0].seq).collect::<Vec<_>>(), [1, 21]);
    ring.shed_where(|_| true);
    assert!(ring.must_begin());
    assert_eq!((ring.bytes(), ring.lost_total()), (0, 10), "the others were sent on this stream");
    ring.resume(5, &[]);
    assert_eq!(take_lost(&mut ring), [Span { first: 6, last: 30 }], "with what the stream before announced");
}

#[test]
fn a_segment_longer_than_a_message_is_dropped_and_the_rest_goes_on() {
    let mut ring = Ring::new(BOOT, 8 << 20);
    for bytes in [10, 40_000, 10] {
        ring.begin(layout(1), 0, Vec::new());
        ring.push(report(bytes, true));
    }
    let chunk = chunk(&mut ring, 0, 20_000).unwrap();
    assert_eq!(chunk.segments.iter().map(|s| s.reports[0].seq).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(take_lost(&mut ring), [Span { first: 2, last: 2 }]);
}

#[derive(Clone, Debug)]
enum Op {
    Push(usize),
    OtherSet,
    Next(usize),
    Backlog(usize),
    Ack(u64),
    Resume(u64),
    Announce,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..3_000usize).prop_map(Op::Push),
        1 => Just(Op::OtherSet),
        4 => (1..20usize).prop_map(Op::Next),
        2 => (200..20_000usize).prop_map(Op::Backlog),
        2 => (0..40u64).prop_map(Op::Ack),
        1 => (0..60u64).prop_map(Op::Resume),
        1 => Just(Op::Announce),
    ]
}

proptest! {
    #[test]
    fn every_report_is_held_or_committed_or_in_doubt_or_lost_and_never_two_of_these(
        ops in prop::collection::vec(any_op(), 1..200),
    ) {
        let mut ring = Ring::new(BOOT, 16_000);
        let mut shared = layout(3);
        let mut cursor = 0;
        let mut lost: BTreeSet<u64> = BTreeSet::new();
        for op in ops {
            match op {
                Op::Push(bytes) => {
                    let before = ring.last();
                    prop_assert_eq!(push(&mut ring, bytes, &shared), before + 1);
                }
                Op::OtherSet => {
                    shared = layout(3 + ring.last() as u32 % 5);
                    ring.begin(Arc::clone(&shared), 0, Vec::new());
                    ring.push(report(5, true));
                }
                Op::Next(n) => for _ in 0..n {
                    match ring.next(cursor) {
                        Next::Report(_, report) => {
                            prop_assert_eq!(report.seq, cursor + 1);
                            cursor = report.seq;
                        }
                        Next::Nothing => prop_assert!(cursor >= ring.last()),
                        Next::Gone => cursor = held(&ring).first().map_or(ring.last(), |first| first - 1).max(cursor),
                    }
                },
                Op::Backlog(budget) => if let Some(chunk) = chunk(&mut ring, cursor, budget) {
                    let bytes: usize = match &chunk.segments[..] {
                        [one] => one.reports.iter().map(prost::Message::encoded_len).sum(),
                        all => all.iter().map(prost::Message::encoded_len).sum(),
                    };
                    prop_assert!(bytes <= budget, "{} of {}", bytes, budget);
                    prop_assert!(chunk.segments.iter().all(|s| s.reports[0].key));
                    prop_assert!(chunk.last > cursor);
                    cursor = chunk.last;
                },
                Op::Ack(behind) => ring.acknowledge(ring.fate.sent().saturating_sub(behind)),
                Op::Resume(behind) => {
                    let mark = ring.last().saturating_sub(behind);
                    ring.resume(mark, &[]);
                    prop_assert!(ring.fate.doubtful.is_empty());
                    cursor = ring.acked();
                    // What was announced and perhaps not heard is announced again.
                    lost.retain(|seq| !ring.fate.lost.iter().any(|s| (s.first..=s.last).contains(seq)));
                }
                Op::Announce => for span in take_lost(&mut ring) {
                    for seq in span.first..=span.last {
                        prop_assert!(lost.insert(seq), "{} is lost twice", seq);
                    }
                },
            }
            let pending: BTreeSet<u64> = ring.fate.lost.iter().flat_map(|s| s.first..=s.last).collect();
            prop_assert_eq!(ring.lost_total(), (lost.len() + pending.len()) as u64);
            let held = held(&ring);
            for seq in ring.acked() + 1..=ring.last() {
                let places = [
                    held.contains(&seq),
                    ring.fate.doubtful.iter().any(|d| (d.first..=d.last).contains(&seq)),
                    pending.contains(&seq),
                    lost.contains(&seq),
                ];
                prop_assert_eq!(places.iter().filter(|p| **p).count(), 1, "{} is in {:?}", seq, places);
            }
            prop_assert_eq!(ring.unacked(), held.iter().filter(|seq| **seq > ring.acked()).count() as u64);
            let newest = ring.segments.back().map_or(0, |s| s.bytes + s.layout.bytes());
            prop_assert!(ring.bytes() <= 16_000.max(newest), "{} bytes", ring.bytes());
            let mut bytes = 0;
            let mut before: Option<&Arc<Layout>> = None;
            for segment in &ring.segments {
                bytes += segment.bytes;
                bytes += before.filter(|b| Arc::ptr_eq(b, &segment.layout)).map_or(segment.layout.bytes(), |_| 0);
                before = Some(&segment.layout);
            }
            prop_assert_eq!(ring.bytes(), bytes);
        }
    }
}
