//! The same with a disk, which may be slow, full, or fail: nothing is held, lost or in doubt twice, and what is said to
//! be on disk is there.

use super::*;
use std::collections::BTreeMap;

/// A disk in memory: a double.
#[derive(Default)]
struct Disk {
    files: BTreeMap<Key, (Bytes, Vec<Bytes>)>,
    notes: Vec<Note>,
    /// One job is begun, and ends later.
    busy: Option<Job>,
}

const ROOM: u64 = 64 << 10;

const ALL: May = May { write: true, remove: true, read: true, again: true };

impl Disk {
    fn begin(&mut self, ring: &mut Ring, now_ms: u64) -> bool {
        if self.busy.is_none() {
            self.busy = ring.job(now_ms, ALL);
        }
        self.busy.is_some()
    }

    /// `fails`: it refuses.
    fn end(&mut self, ring: &mut Ring, fails: bool) {
        match self.busy.take() {
            Some(Job::Write(write)) if !fails => {
                let key = write.key;
                match &write.head {
                    Some(head) => drop(self.files.insert(key, (head.clone(), write.reports.clone()))),
                    None => {
                        let reports =
                            &mut self.files.get_mut(&key).expect("a file is begun before it grows").1;
                        reports.truncate(write.from);
                        assert_eq!(reports.len(), write.from, "without a hole");
                        reports.extend(write.reports.iter().cloned());
                    }
                }
                let new: usize = write.head.iter().chain(&write.reports).map(|b| b.len() + 10).sum();
                ring.wrote(&write, write.at + new as u64);
            }
            Some(Job::Remove(keys)) if fails => ring.not_removed(keys),
            Some(Job::Remove(keys)) => keys.iter().for_each(|key| drop(self.files.remove(key))),
            Some(Job::Read(keys)) => {
                let of = |key| self.sent(key).filter(|_| !fails).map_or(Loaded::Damaged, Loaded::Segment);
                ring.read(keys.into_iter().map(|key| (key, of(key))).collect());
            }
            Some(Job::Note(notes)) if !fails => self.notes = notes,
            Some(Job::Note(_)) => ring.not_noted(),
            Some(Job::Write(_)) | None => {}
        }
    }

    fn sent(&self, key: Key) -> Option<Sent> {
        use prost::Message;
        let (head, reports) = self.files.get(&key)?;
        let mut sent = Sent::decode(head.clone()).unwrap();
        sent.reports = reports.iter().map(|body| Report::decode(body.clone()).unwrap()).collect();
        Some(sent)
    }

    /// Until there is nothing to do.
    fn rest(&mut self, ring: &mut Ring) {
        while self.begin(ring, 0) {
            self.end(ring, false);
        }
    }
}

fn ring_with_disk(room: u64) -> Ring {
    let mut ring = Ring::new(BOOT, 16_000);
    ring.spool(Room { bytes: room, age_ms: i64::MAX });
    ring
}

/// All that is held, in memory or on disk alone.
fn held_anywhere(ring: &Ring) -> BTreeSet<u64> {
    held(ring).into_iter().chain(ring.shelf.own.iter().flat_map(|e| e.first..=e.last)).collect()
}

fn drain(ring: &mut Ring, disk: &mut Disk) -> Vec<u64> {
    let (mut cursor, mut seqs) = (ring.acked(), Vec::new());
    loop {
        match ring.backlog(cursor, 1 << 20) {
            Piece::Chunk(chunk) => {
                cursor = chunk.last;
                for report in chunk.segments.iter().flat_map(|s| &s.reports) {
                    seqs.push(report.seq);
                }
            }
            Piece::Wait(_) => {
                assert!(disk.begin(ring, 0), "somebody must read");
                disk.end(ring, false);
            }
            Piece::Nothing => return seqs,
        }
    }
}

#[test]
fn what_memory_cannot_hold_comes_back_from_disk_in_order() {
    let (mut ring, mut disk, shared) = (ring_with_disk(1 << 20), Disk::default(), layout(3));
    for _ in 0..1_000 {
        push(&mut ring, 100, &shared);
        disk.rest(&mut ring);
    }
    assert!(ring.bytes() <= 16_000, "{}", ring.bytes());
    assert_eq!((ring.lost_total(), ring.unacked()), (0, 1_000));
    assert_eq!(ring.spooled().segments, disk.files.len());
    ring.resume(70, &[]);
    let seqs = drain(&mut ring, &mut disk);
    let first = seqs[0];
    assert!(first <= 71 && seqs.iter().copied().eq(first..=1_000), "{seqs:?}");
    ring.acknowledge(1_000);
    disk.rest(&mut ring);
    assert_eq!((disk.files.len(), ring.spooled()), (0, Spooled::default()));
}

#[test]
fn over_its_room_the_oldest_go_and_are_counted_one_by_one() {
    let (mut ring, mut disk, shared) = (ring_with_disk(ROOM), Disk::default(), layout(3));
    for _ in 0..2_000 {
        push(&mut ring, 100, &shared);
        disk.rest(&mut ring);
        assert!(ring.spooled().bytes <= ROOM, "{:?}", ring.spooled());
    }
    ring.resume(0, &[]);
    let seqs = drain(&mut ring, &mut disk);
    let lost = take_lost(&mut ring);
    assert_eq!(lost, [Span { first: 1, last: seqs[0] - 1 }], "the oldest, and no others");
    assert!(seqs.iter().copied().eq(seqs[0]..=2_000), "{seqs:?}");
    assert_eq!((ring.lost_total(), ring.spooled().dropped), (seqs[0] - 1, seqs[0] - 1));
}

#[test]
fn what_is_too_old_goes_and_what_a_monitor_would_refuse_too() {
    let mut ring = Ring::new(BOOT, 16_000);
    ring.spool(Room { bytes: 1 << 20, age_ms: 1_000 });
    let mut disk = Disk::default();
    for (series, count) in [(5, 60), (50, 60), (5, 200)] {
        let shared = layout(series);
        ring.begin(Arc::clone(&shared), 0, Vec::new());
        for n in 0..count {
            if n > 0 && ring.must_begin() {
                ring.begin(Arc::clone(&shared), 0, Vec::new());
            }
            ring.push(report(100, n == 0));
            disk.rest(&mut ring);
        }
    }
    assert!(ring.shelf.own.iter().any(|entry| entry.first == 61), "{:?}", ring.shelf.own);
    ring.shed_unfit(&Limits { max_series: 20, ..Limits::default() });
    let lost = take_lost(&mut ring);
    assert_eq!((lost[0].first, lost.last().unwrap().last), (61, 120), "{lost:?}");
    let on_disk: u64 = ring.shelf.own.iter().map(|e| e.last - e.first + 1).sum();
    assert!(on_disk > 100);
    // Reports here are made at 1 ms.
    assert!(ring.job(1_001, ALL).is_some(), "the unfit files are removed");
    assert_eq!(ring.shelf.own.iter().map(|e| e.last - e.first + 1).sum::<u64>(), on_disk);
    ring.job(1_002, ALL);
    assert!(ring.shelf.own.is_empty());
    assert_eq!(take_lost(&mut ring).into_iter().map(Span::len).sum::<u64>(), on_disk);
}

#[test]
fn an_open_stream_needs_no_disk_until_memory_is_short_and_the_end_leaves_nothing_in_memory_alone() {
    let (mut ring, shared) = (ring_with_disk(1 << 20), layout(3));
    ring.go_live();
    for _ in 0..5 {
        push(&mut ring, 100, &shared);
        assert!(ring.job(0, ALL).is_none());
    }
    ring.close();
    assert!(matches!(ring.job(0, ALL), Some(Job::Write(_))));
    ring.go_live();
    ring.finish();
    let mut disk = Disk::default();
    disk.rest(&mut ring);
    assert_eq!(disk.files.values().map(|(_, reports)| reports.len()).sum::<usize>(), 5);
    ring.acknowledge(5);
    disk.rest(&mut ring);
    assert!(disk.files.is_empty(), "the last acknowledgement came");
}

#[test]
fn a_write_that_ends_after_its_segment_was_committed_is_not_taken_for_a_copy() {
    let (mut ring, mut disk, shared) = (ring_with_disk(1 << 20), Disk::default(), layout(3));
    push(&mut ring, 10, &shared);
    disk.rest(&mut ring);
    push(&mut ring, 10, &shared);
    assert!(disk.begin(&mut ring, 0), "the second one is on its way");
    ring.acknowledge(2);
    push(&mut ring, 10, &shared);
    disk.end(&mut ring, false);
    disk.rest(&mut ring);
    let sent = disk.sent(Key { boot: BOOT, first: 1 }).expect("from its key frame on");
    assert_eq!(sent.reports.len(), 3);
}

#[derive(Clone, Debug)]
enum Op {
    Push(usize),
    Next(usize),
    Backlog,
    Ack(u64),
    Resume(u64),
    Close,
    Announce,
    Begin,
    End(bool),
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..2_500usize).prop_map(Op::Push),
        2 => (1..20usize).prop_map(Op::Next),
        4 => Just(Op::Backlog),
        2 => (0..40u64).prop_map(Op::Ack),
        1 => (0..60u64).prop_map(Op::Resume),
        2 => Just(Op::Close),
        1 => Just(Op::Announce),
        9 => Just(Op::Begin),
        9 => prop::bool::weighted(0.1).prop_map(Op::End),
    ]
}

proptest! {
    #[test]
    fn with_a_disk_too_every_report_is_in_one_place_and_what_is_on_disk_is_there(
        ops in prop::collection::vec(any_op(), 1..400),
    ) {
        let (mut ring, mut disk, shared) = (ring_with_disk(ROOM), Disk::default(), layout(3));
        let mut cursor = 0;
        let mut lost: BTreeSet<u64> = BTreeSet::new();
        for op in ops {
            match op {
                Op::Push(bytes) => drop(push(&mut ring, bytes, &shared)),
                Op::Next(n) => for _ in 0..n {
                    match ring.next(cursor) {
                        Next::Report(_, report) => cursor = report.seq,
                        Next::Nothing | Next::Gone => break,
                    }
                },
                Op::Backlog => if let Piece::Chunk(chunk) = ring.backlog(cursor, 20_000) {
                    let seqs: Vec<u64> =
                        chunk.segments.iter().flat_map(|s| &s.reports).map(|report| report.seq).collect();
                    prop_assert!(chunk.segments.iter().all(|s| s.reports[0].key));
                    prop_assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", seqs);
                    prop_assert!(chunk.last > cursor, "{} after {}", chunk.last, cursor);
                    prop_assert_eq!(seqs.last(), Some(&chunk.last));
                    cursor = chunk.last;
                },
                Op::Ack(behind) => ring.acknowledge(ring.fate.sent().saturating_sub(behind)),
                Op::Resume(behind) => {
                    ring.resume(ring.last().saturating_sub(behind), &[]);
                    ring.go_live();
                    cursor = ring.acked();
                    // What was announced and perhaps not heard is announced again.
                    lost.retain(|seq| !ring.fate.lost.iter().any(|s| (s.first..=s.last).contains(seq)));
                }
                Op::Close => ring.close(),
                Op::Announce => for span in take_lost(&mut ring) {
                    for seq in span.first..=span.last {
                        prop_assert!(lost.insert(seq), "{} is lost twice", seq);
                    }
                },
                Op::Begin => drop(disk.begin(&mut ring, 0)),
                Op::End(fails) => disk.end(&mut ring, fails),
            }
            let held = held_anywhere(&ring);
            let pending: BTreeSet<u64> = ring.fate.lost.iter().flat_map(|s| s.first..=s.last).collect();
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
            prop_assert!(ring.spooled().bytes <= ROOM, "{:?}", ring.spooled());
            let newest = ring.segments.back().map_or(0, |s| s.bytes + s.layout.bytes());
            prop_assert!(ring.bytes() <= 16_000.max(newest), "{} bytes", ring.bytes());
            for entry in &ring.shelf.own {
                let file = disk.sent(Key { boot: BOOT, first: entry.first });
                let seqs: Vec<u64> = file.into_iter().flat_map(|s| s.reports).map(|report| report.seq).collect();
                let expected: Vec<u64> = (entry.first..=entry.last).collect();
                prop_assert!(seqs.starts_with(&expected), "{:?} of {:?}", seqs, expected);
            }
        }
        // All that is not lost comes, in order and once, and no file is left when it is committed.
        disk.end(&mut ring, false);
        ring.resume(0, &[]);
        let expected = held_anywhere(&ring);
        let seqs: Vec<u64> = drain(&mut ring, &mut disk);
        prop_assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(seqs.iter().filter(|seq| **seq > ring.acked()).all(|seq| expected.contains(seq)));
        prop_assert_eq!(seqs.iter().filter(|s| **s > ring.acked()).count() as u64, ring.unacked());
        ring.acknowledge(u64::MAX);
        disk.rest(&mut ring);
        prop_assert_eq!(&disk.notes, &ring.notes());
        prop_assert!(disk.files.is_empty(), "{:?}", disk.files.keys());
    }
}

#[test]
fn of_what_a_disk_does_not_give_for_too_long_this_boots_is_lost_and_announced_exactly() {
    for hangs in [false, true] {
        let (mut ring, mut disk, shared) = (ring_with_disk(1 << 20), Disk::default(), layout(3));
        for _ in 0..1_000 {
            push(&mut ring, 100, &shared);
            disk.rest(&mut ring);
        }
        ring.resume(0, &[]);
        assert_eq!(ring.backlog(0, 1 << 20), Piece::Wait(BOOT));
        let Some(Job::Read(keys)) = ring.job(0, ALL) else { panic!("somebody must read") };
        let asked = keys.clone();
        if !hangs {
            ring.read(keys.into_iter().map(|key| (key, Loaded::Refused)).collect());
            assert_eq!(ring.backlog(0, 1 << 20), Piece::Wait(BOOT), "it is asked for again");
            assert!(ring.spooled().stuck && ring.lost_total() == 0);
        }
        let all: BTreeSet<u64> = held_anywhere(&ring);
        ring.give_up_reading();
        let last = if hangs { held(&ring).first().unwrap() - 1 } else { ring.shelf.own[0].first - 1 };
        assert!(hangs || last >= asked.last().unwrap().first);
        assert_eq!(take_lost(&mut ring), [Span { first: *all.first().unwrap(), last }]);
        if !hangs {
            let seqs = drain(&mut ring, &mut disk);
            assert!(seqs.iter().copied().eq(last + 1..=1_000), "the rest goes on");
        } else {
            assert!(
                matches!(ring.backlog(0, 1 << 20), Piece::Chunk(chunk) if chunk.segments[0].reports[0].seq == last + 1)
            );
        }
    }
}

#[test]
fn a_set_that_is_longer_than_a_message_loses_no_report_in_memory_or_on_disk() {
    let (mut ring, mut disk) = (Ring::new(BOOT, 200_000), Disk::default());
    ring.spool(Room { bytes: 10 << 20, age_ms: i64::MAX });
    let shared = layout(4_000);
    assert!(shared.bytes() > 40_000);
    for _ in 0..1_000 {
        push(&mut ring, 200, &shared);
        disk.rest(&mut ring);
    }
    assert!(!ring.shelf.own.is_empty() && ring.segments.len() > 1);
    ring.resume(0, &[]);
    let (mut cursor, mut seqs) = (0, Vec::new());
    loop {
        match ring.backlog(cursor, 40_000) {
            Piece::Chunk(chunk) => {
                cursor = chunk.last;
                seqs.extend(chunk.segments.iter().flat_map(|s| &s.reports).map(|report| report.seq));
            }
            Piece::Wait(_) => disk.rest(&mut ring),
            Piece::Nothing => break,
        }
    }
    assert!(seqs.iter().copied().eq(1..=1_000) && ring.lost_total() == 0, "{} lost", ring.lost_total());
}
