//! A disk that does not give what is there: it may another time, and nothing of it is taken for damage.

use super::*;
use crate::ring::{Loss, Note, Span};
use rustix::process::Uid;
use std::os::unix::fs::PermissionsExt;
use std::thread;

/// What somebody finds who may not read this file.
fn scan_without(path: &Path, file: &Path) -> super::super::folder::Scan {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o000)).unwrap();
    let scan = || {
        // Root may read everything; this thread alone is nobody now.
        rustix::thread::set_thread_uid(Uid::from_raw(65_534)).ok();
        folder_of(path).scan(CLOCKS).unwrap()
    };
    let all = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    all.filter(|other| other != file)
        .for_each(|other| fs::set_permissions(other, fs::Permissions::from_mode(0o666)).unwrap());
    let scan = thread::scope(|scope| scope.spawn(scan).join().unwrap());
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    scan
}

#[test]
fn a_file_that_cannot_be_read_at_the_start_is_kept_and_its_boot_comes_when_it_can() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    let mut folder = folder_of(path);
    live(&mut folder, boot(7), 150, 40);
    live(&mut folder, boot(8), 10, 40);
    let before = files(path);
    let second = path.join(before.keys().nth(1).unwrap());
    let scan = scan_without(path, &second);
    let boots: Vec<Boot> = scan.found.iter().map(|found| found.key.boot).collect();
    assert_eq!(boots, [boot(8)], "in order or not at all");
    assert!(scan.unread.is_some());
    assert_eq!(files(path), before, "nothing is deleted and nothing cut off");
    let (reports, lost, damaged) = bring(path);
    assert_eq!(seqs(&reports[&boot(7)]), (1..=150).collect::<Vec<_>>());
    assert_eq!((lost, damaged), (Vec::new(), 0));
}

#[test]
fn another_scan_finds_only_what_the_one_before_could_not_read() {
    let temp = tempfile::tempdir().unwrap();
    for number in [7, 8] {
        live(&mut folder_of(temp.path()), boot(number), 10, 40);
    }
    let mut folder = folder_of(temp.path());
    assert_eq!(folder.scan(CLOCKS).unwrap().found.len(), 2);
    live(&mut folder_of(temp.path()), boot(9), 10, 40);
    live(&mut folder_of(temp.path()), boot(1_000), 10, 40);
    let found = folder.scan(CLOCKS).unwrap().found;
    assert_eq!(found.iter().map(|found| found.key.boot).collect::<Vec<_>>(), [boot(9)]);
}

#[test]
fn what_the_disk_does_not_give_to_the_stream_waits_and_other_boots_go_on() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    live(&mut folder_of(path), boot(7), 100, 40);
    live(&mut folder_of(path), boot(8), 10, 40);
    let mut folder = folder_of(path);
    let mut ring = ring_of(boot(1_000));
    ring.found(folder.scan(CLOCKS).unwrap().found, 0);
    assert_eq!(ring.list_past(63), [boot(7), boot(8)]);
    ring.resume(0, &[]);
    // A folder in its place is opened and cannot be read.
    let first = path.join(files(path).keys().next().unwrap());
    let away = path.join("away");
    fs::rename(&first, &away).unwrap();
    fs::create_dir(&first).unwrap();
    let no_reads = May { again: false, ..ALL };
    let mut brought = Vec::new();
    loop {
        match ring.backlog(0, 1 << 20) {
            Piece::Chunk(chunk) => {
                brought.push((chunk.boot, chunk.last));
                assert!(ring.acknowledge_past(chunk.boot, chunk.last));
            }
            Piece::Wait(_) => {
                let Some(Job::Read(keys)) = ring.job(5_000, ALL) else { panic!("somebody must read") };
                ring.read(folder.read(keys).0);
            }
            Piece::Nothing => break,
        }
    }
    assert_eq!(brought, [(boot(8), 10)]);
    let spooled = ring.spooled();
    assert!(spooled.stuck && (spooled.dropped, spooled.damaged) == (0, 0), "{spooled:?}");
    assert!(!ring.others_wait(), "another stream could not bring it either");
    assert!(!ring.list_past(63).contains(&boot(7)));
    fs::remove_dir(&first).unwrap();
    fs::rename(&away, &first).unwrap();
    drop(ring.job(5_000, no_reads));
    assert!(ring.job(5_000, no_reads).is_none(), "only when its time has come");
    rest(&mut ring, &mut folder);
    assert!(!ring.spooled().stuck && ring.others_wait(), "the next stream brings it");
    assert_eq!(ring.list_past(63), [boot(7)]);
    assert_eq!(ring.spooled().past_reports, 100);
    assert!(ring.take_lost().is_empty());
}

#[test]
fn each_boot_that_waits_for_a_bad_file_gets_its_turn_whatever_the_others_do() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path();
    (7..=9).for_each(|number| live(&mut folder_of(path), boot(number), 10, 40));
    let mut folder = folder_of(path);
    let mut ring = ring_of(boot(1_000));
    ring.found(folder.scan(CLOCKS).unwrap().found, 0);
    let names: Vec<String> = files(path).into_keys().collect();
    for name in &names {
        fs::rename(path.join(name), path.join(format!("away-{name}"))).unwrap();
        fs::create_dir(path.join(name)).unwrap();
    }
    ring.list_past(63);
    ring.resume(0, &[]);
    while ring.backlog(0, 1 << 20) != Piece::Nothing {
        try_once(&mut ring, &folder);
    }
    assert_eq!(ring.list_past(63), []);
    for name in &names[1..] {
        fs::remove_dir(path.join(name)).unwrap();
        fs::rename(path.join(format!("away-{name}")), path.join(name)).unwrap();
    }
    (0..3).for_each(|_| try_once(&mut ring, &folder));
    assert_eq!(ring.list_past(63), [boot(8), boot(9)]);
}

fn try_once(ring: &mut Ring, folder: &Folder) {
    let Some(Job::Read(keys)) = ring.job(5_000, ALL) else { panic!("somebody must read") };
    ring.read(folder.read(keys).0);
}

#[test]
fn a_boot_that_was_listed_for_its_doubts_alone_is_brought_when_its_files_appear_and_bars_no_others() {
    let temp = tempfile::tempdir().unwrap();
    [7, 8].into_iter().for_each(|number| live(&mut folder_of(temp.path()), boot(number), 10, 40));
    let mut folder = folder_of(temp.path());
    let mut ring = ring_of(boot(1_000));
    let span = Span { first: 20, last: 25 };
    ring.inherit(&[Note { boot: boot(7), span, was: Loss::Doubtful }]);
    assert_eq!(ring.list_past(63), [boot(7)]);
    ring.resume(0, &[]);
    assert_eq!(ring.backlog(0, 1 << 20), Piece::Nothing);
    ring.go_live();
    assert!(!ring.others_wait());
    ring.found(folder.scan(CLOCKS).unwrap().found, 0);
    assert!(ring.others_wait());
    assert_eq!(ring.list_past(63), [boot(7), boot(8)]);
    ring.resume(0, &[]);
    for expected in [boot(7), boot(8)] {
        assert_eq!(ring.backlog(0, 1 << 20), Piece::Wait(expected));
        rest(&mut ring, &mut folder);
        let Piece::Chunk(chunk) = ring.backlog(0, 1 << 20) else { panic!("it was read") };
        assert_eq!((chunk.boot, chunk.last), (expected, 10));
        assert!(!ring.others_wait(), "what was sent is committed first");
        assert!(ring.acknowledge_past(chunk.boot, chunk.last));
    }
    assert!(!ring.others_wait());
}
