//! Files as they are written, and as crashes, disks and strangers leave them.

mod dropped;
mod keeper;
mod origin;
mod unread;

use super::folder::{Clocks, Folder};
use super::record::{self, Fault, Origin};
use crate::ring::{Job, Key, Layout, May, Piece, Ring, Room};
use bytes::Bytes;
use farol_wire::Boot;
use farol_wire::proto::{Block, Define, Report, Segment, Series};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const CLOCKS: Clocks = Clocks { boot_ms: 5_000, wall_ms: 1_700_000_005_000, oldest_ms: i64::MIN };

const ALL: May = May { write: true, remove: true, read: true, again: true };

/// As the start after all others sees it.
fn folder_of(path: &Path) -> Folder {
    Folder::new(path.to_owned(), boot(1_000), origin("web-1", "before"))
}

fn origin(agent: &str, machine: &str) -> Origin {
    Origin { agent: agent.to_owned(), machine: machine.to_owned(), ..Origin::default() }
}

fn boot(number: u64) -> Boot {
    Boot { number, nonce: 0xfeed }
}

/// Carries out all that is to be done. Gives what was read.
fn rest(ring: &mut Ring, folder: &mut Folder) {
    while let Some(job) = ring.job(5_000, ALL) {
        match job {
            Job::Write(write) => {
                let bytes = folder.write(&write).unwrap();
                ring.wrote(&write, bytes);
            }
            Job::Remove(keys) => keys.iter().for_each(|key| folder.remove(*key).unwrap()),
            Job::Note(notes) => folder.note(&notes).unwrap(),
            Job::Read(keys) => ring.read(folder.read(keys).0),
        }
    }
}

fn ring_of(boot: Boot) -> Ring {
    let mut ring = Ring::new(boot, 1 << 20);
    ring.spool(Room { bytes: 10 << 20, age_ms: 3_600_000 });
    ring
}

/// A boot that made so many reports of so many bytes while it was cut off, each written at once.
fn live(folder: &mut Folder, boot: Boot, reports: u64, bytes: usize) {
    let mut ring = ring_of(boot);
    let series = (1..=3).map(|id| Series { id, source: 1, name: format!("s{id}"), ..Default::default() });
    let layout = Arc::new(Layout::new(&Define { series: series.collect(), ..Default::default() }));
    for n in 0..reports {
        let key = ring.must_begin();
        if key {
            ring.begin(Arc::clone(&layout), 1_700_000_000_000, Vec::new());
        }
        let data = Bytes::from(vec![n as u8; bytes]);
        let blocks = vec![Block { source: 1, before_ms: 0, data }];
        ring.push(Report { at_ms: n, key, blocks, ..Default::default() });
        rest(&mut ring, folder);
    }
}

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    all.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

type Reports = BTreeMap<Boot, Vec<Report>>;

/// What the next start brings: reports by boot, what it says is lost, and how many files were damaged.
fn bring(path: &Path) -> (Reports, Vec<(Boot, u64, u64)>, u64) {
    let mut folder = folder_of(path);
    let scan = folder.scan(CLOCKS).unwrap();
    let mut ring = ring_of(boot(1_000));
    ring.found(scan.found, scan.left.len());
    let listed = ring.list_past(63);
    assert!(listed.is_sorted());
    ring.resume(0, &[]);
    let mut reports = Reports::new();
    let mut order = Vec::new();
    loop {
        match ring.backlog(0, 1 << 20) {
            Piece::Chunk(chunk) => {
                order.push(chunk.boot);
                let all = chunk.segments.into_iter().flat_map(|segment| segment.reports);
                reports.entry(chunk.boot).or_default().extend(all);
                assert!(ring.acknowledge_past(chunk.boot, chunk.last));
            }
            Piece::Wait(_) => rest(&mut ring, &mut folder),
            Piece::Nothing => break,
        }
    }
    assert!(order.is_sorted(), "oldest boot first");
    let lost = ring.take_lost().into_iter().map(|(boot, span)| (boot, span.first, span.last)).collect();
    let damaged = ring.spooled().damaged;
    rest(&mut ring, &mut folder);
    assert_eq!(ring.spooled().segments, 0);
    assert_eq!(files(path).keys().filter(|name| record::key(name).is_some()).count(), scan.left.len());
    (reports, lost, damaged)
}

fn seqs(reports: &[Report]) -> Vec<u64> {
    reports.iter().map(|report| report.seq).collect()
}

fn one_file() -> (Key, Vec<u8>) {
    let temp = tempfile::tempdir().unwrap();
    live(&mut folder_of(temp.path()), boot(7), 6, 5);
    let (name, bytes) = files(temp.path()).pop_first().unwrap();
    (record::key(&name).unwrap(), bytes)
}

/// What can be used of a changed file is a beginning of what was written.
fn holds_a_beginning(key: Key, changed: &[u8], whole: &Segment, what: &str) -> Option<Fault> {
    let usable = record::read(key, changed);
    let kept = usable.segment.map_or_else(Vec::new, |segment| {
        assert_eq!(
            (&segment.define, segment.wall_offset_ms),
            (&whole.define, whole.wall_offset_ms),
            "{what}"
        );
        segment.reports
    });
    assert!(whole.reports.starts_with(&kept), "{what}");
    if kept.len() < whole.reports.len() && usable.fault.is_none() {
        assert_eq!(usable.bytes, changed.len(), "{what}: only a cut between two records is not seen");
    }
    usable.fault
}

#[test]
fn any_flipped_bit_and_any_cut_of_a_file_leaves_what_stands_before_it() {
    let (key, bytes) = one_file();
    let whole = record::read(key, &bytes).segment.unwrap();
    assert_eq!(seqs(&whole.reports), [1, 2, 3, 4, 5, 6]);
    for at in 0..bytes.len() {
        holds_a_beginning(key, &bytes[..at], &whole, &format!("cut at {at}"));
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let fault = holds_a_beginning(key, &changed, &whole, &format!("bit {bit} of byte {at}"));
            assert!(fault.is_some(), "bit {bit} of byte {at} is not seen");
        }
    }
    let other = Key { first: 2, ..key };
    assert!(record::read(other, &bytes).segment.is_none(), "a file under another's name");
}

#[test]
fn a_start_skips_what_is_damaged_counts_it_announces_the_hole_and_brings_the_rest() {
    let temp = tempfile::tempdir().unwrap();
    let sound = temp.path().join("sound");
    fs::create_dir(&sound).unwrap();
    let mut folder = folder_of(&sound);
    live(&mut folder, boot(7), 150, 40);
    live(&mut folder, boot(8), 70, 40);
    let sound = files(&sound);
    assert_eq!(sound.len(), 5, "{:?}", sound.keys());
    let (middle, bytes) = sound.iter().nth(1).unwrap();
    assert_eq!(record::key(middle).unwrap().first, 65);
    let damages = (0..bytes.len()).step_by(512).flat_map(|at| [(at, true), (at, false)]);
    for (at, cut) in damages {
        let place = temp.path().join(format!("{at}-{cut}"));
        fs::create_dir(&place).unwrap();
        for (name, bytes) in &sound {
            let mut bytes = bytes.clone();
            if name == middle && cut {
                bytes.truncate(at);
            } else if name == middle {
                bytes[at] ^= 0x10;
            }
            fs::write(place.join(name), bytes).unwrap();
        }
        let (reports, lost, damaged) = bring(&place);
        // A cut between two records is told by the hole alone.
        assert!(
            damaged == 1 || cut && record::read(record::key(middle).unwrap(), &bytes[..at]).fault.is_none()
        );
        let [(of, first, 128)] = lost[..] else { panic!("{at} {cut}: {lost:?}") };
        assert_eq!(of, boot(7));
        let expected: Vec<u64> = (1..first).chain(129..=150).collect();
        assert_eq!(seqs(&reports[&boot(7)]), expected, "{at} {cut}");
        assert_eq!(seqs(&reports[&boot(8)]), (1..=70).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_repaired_once_is_sound_and_strangers_are_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    live(&mut folder_of(path), boot(7), 100, 40);
    let (name, bytes) = files(path).pop_last().unwrap();
    fs::write(path.join(&name), &bytes[..bytes.len() - 7]).unwrap();
    let half = format!("{}.new", record::name(Key { boot: boot(9), first: 1 }));
    fs::write(path.join(&half), "half").unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    fs::create_dir(path.join(record::name(Key { boot: boot(9), first: 3 }))).unwrap();
    // Written by a later version: the same first ten bytes, told by their checksum.
    let mut newer = bytes;
    newer[4] = 9;
    let length = 10 + u32::from_le_bytes([newer[0], newer[1], newer[2], newer[3]]) as usize;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&newer[..6]);
    hasher.update(&newer[10..length]);
    newer[6..10].copy_from_slice(&hasher.finalize().to_le_bytes());
    let later = record::name(Key { boot: boot(8), first: 1 });
    fs::write(path.join(&later), &newer).unwrap();
    let damaged_of = |found: &[crate::ring::Found]| found.iter().filter(|found| found.damaged).count();
    let first = folder_of(path).scan(CLOCKS).unwrap();
    assert_eq!((first.found.len(), damaged_of(&first.found), first.left.len()), (2, 1, 3), "{first:?}");
    let ages: Vec<_> = first.found.iter().map(|found| found.entry.unwrap().made_ms).collect();
    assert!(ages.contains(&0) && ages.contains(&64), "on this boot's clock: {ages:?}");
    let again = folder_of(path).scan(CLOCKS).unwrap();
    assert_eq!((again.found.len(), damaged_of(&again.found), again.left.len()), (2, 0, 3), "{again:?}");
    assert!(!path.join(half).exists() && path.join("notes.txt").exists());
    assert_eq!(fs::read(path.join(later)).unwrap(), newer);
}

#[test]
fn a_start_after_many_starts_brings_the_oldest_of_them_and_says_that_others_wait() {
    let temp = tempfile::tempdir().unwrap();
    for number in 1..=70 {
        live(&mut folder_of(temp.path()), boot(number), 2, 5);
    }
    let mut folder = folder_of(temp.path());
    let mut ring = ring_of(boot(1_000));
    ring.found(folder.scan(CLOCKS).unwrap().found, 0);
    let mut streams = 0;
    let mut known: Vec<(Boot, u64)> = Vec::new();
    while ring.spooled().past_reports > 0 {
        streams += 1;
        let listed = ring.list_past(63);
        // The monitor's store has the first report of each: a re-send from the key frame on is a no-op there.
        let marks: Vec<_> = listed.iter().map(|boot| (*boot, 1)).collect();
        ring.resume(0, &marks);
        assert!(!ring.acknowledge_past(listed[0], 2), "it was not sent on this stream");
        loop {
            match ring.backlog(0, 1 << 20) {
                Piece::Chunk(chunk) => {
                    assert!(listed.contains(&chunk.boot));
                    assert!(!ring.others_wait());
                    known.push((chunk.boot, chunk.last));
                    assert!(ring.acknowledge_past(chunk.boot, chunk.last));
                }
                Piece::Wait(_) => rest(&mut ring, &mut folder),
                Piece::Nothing => break,
            }
        }
        assert_eq!(ring.others_wait(), streams == 1);
    }
    assert_eq!(streams, 2);
    assert!(known.iter().copied().eq((1..=70).map(|number| (boot(number), 2))), "{known:?}");
    assert!(ring.take_lost().is_empty());
}

#[test]
fn an_earlier_boots_reports_that_had_to_go_are_lost_unless_the_next_monitor_knows_them() {
    for (mark, expected) in [(0, Some((1, 64))), (40, Some((41, 64))), (64, None)] {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = folder_of(temp.path());
        live(&mut folder, boot(7), 100, 5);
        let mut ring = ring_of(boot(1_000));
        ring.found(folder.scan(CLOCKS).unwrap().found, 0);
        ring.list_past(63);
        ring.resume(0, &[]);
        while let Piece::Wait(_) = ring.backlog(0, 1 << 20) {
            rest(&mut ring, &mut folder);
        }
        // Two files of a block each: one has to go, sent and not acknowledged.
        ring.spool(Room { bytes: 8 << 10, age_ms: 3_600_000 });
        ring.close();
        ring.begin(Arc::new(Layout::new(&Define::default())), 0, Vec::new());
        ring.push(Report { at_ms: 5_000, key: true, ..Default::default() });
        rest(&mut ring, &mut folder);
        assert_eq!(ring.take_lost(), [], "in doubt");
        ring.list_past(63);
        ring.resume(0, &[(boot(7), mark)]);
        let lost: Vec<_> =
            ring.take_lost().into_iter().map(|(of, span)| (of, span.first, span.last)).collect();
        let expected: Vec<_> = expected.into_iter().map(|(first, last)| (boot(7), first, last)).collect();
        assert_eq!(lost, expected, "mark {mark}");
    }
}
