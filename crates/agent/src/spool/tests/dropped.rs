//! What was dropped is counted once, announced until it is heard, and known to the next start.

use super::*;
use crate::ring::{Loss, Note, Span};

/// A start that finds what others left, with a Welcome that knows so much of them.
fn start(folder: &mut Folder, marks: &[(Boot, u64)]) -> (Ring, Vec<Boot>) {
    start_of(boot(1_000), folder, marks)
}

fn start_of(boot: Boot, folder: &mut Folder, marks: &[(Boot, u64)]) -> (Ring, Vec<Boot>) {
    let mut ring = ring_of(boot);
    let scan = folder.scan(CLOCKS).unwrap();
    ring.found(scan.found, 0);
    ring.inherit(&scan.notes);
    let listed = ring.list_past(63);
    ring.resume(0, marks);
    (ring, listed)
}

fn lost(ring: &mut Ring) -> Vec<(Boot, u64, u64)> {
    ring.take_lost().into_iter().map(|(of, Span { first, last })| (of, first, last)).collect()
}

/// Boots 7 and 8, of which all but the last file of 8 has to go.
fn scarce(path: &Path) {
    live(&mut folder_of(path), boot(7), 70, 5);
    live(&mut folder_of(path), boot(8), 150, 5);
    let mut folder = folder_of(path);
    let (mut ring, _) = start(&mut folder, &[]);
    ring.spool(Room { bytes: 8 << 10, age_ms: 3_600_000 });
    ring.begin(Arc::new(Layout::new(&Define::default())), 1_700_000_000_000, Vec::new());
    ring.push(Report { at_ms: 5_000, key: true, ..Default::default() });
    rest(&mut ring, &mut folder);
    assert_eq!(ring.spooled().dropped, 70 + 128);
}

#[test]
fn what_one_start_dropped_and_could_not_announce_is_announced_by_the_next_ones() {
    let temp = tempfile::tempdir().unwrap();
    scarce(temp.path());
    let expected = [(boot(7), 1, 70), (boot(8), 1, 128)];
    for _ in 0..2 {
        let mut folder = folder_of(temp.path());
        let (mut ring, _) = start(&mut folder, &[]);
        assert_eq!(lost(&mut ring), expected);
        assert_eq!(ring.spooled().dropped, 0, "the start that dropped them has counted them");
        rest(&mut ring, &mut folder);
    }
    let mut folder = Folder::new(temp.path().to_owned(), boot(2_000), origin("web-1", "before"));
    let (mut ring, _) = start_of(boot(2_000), &mut folder, &[]);
    assert_eq!(lost(&mut ring), expected);
    ring.begin(Arc::new(Layout::new(&Define::default())), 1_700_000_000_000, Vec::new());
    ring.push(Report { at_ms: 5_000, key: true, ..Default::default() });
    ring.acknowledge(1);
    rest(&mut ring, &mut folder);
    assert!(!temp.path().join(record::NOTES).exists(), "it was heard");
}

#[test]
fn a_hole_between_files_is_lost_only_beyond_what_the_monitor_knows() {
    for (mark, expected) in [(0, Some((65, 128))), (100, Some((101, 128))), (128, None), (130, None)] {
        let temp = tempfile::tempdir().unwrap();
        live(&mut folder_of(temp.path()), boot(7), 150, 5);
        fs::remove_file(temp.path().join(record::name(Key { boot: boot(7), first: 65 }))).unwrap();
        let (mut ring, listed) = start(&mut folder_of(temp.path()), &[(boot(7), mark)]);
        assert_eq!(listed, [boot(7)]);
        let expected: Vec<_> = expected.into_iter().map(|(first, last)| (boot(7), first, last)).collect();
        assert_eq!(lost(&mut ring), expected, "mark {mark}");
        let count: u64 = expected.iter().map(|(_, first, last)| last - first + 1).sum();
        assert_eq!(ring.spooled().dropped, count);
    }
}

#[test]
fn a_boot_of_which_all_had_to_go_while_it_was_sent_is_asked_for_and_counted_once() {
    for (mark, expected) in [(0, Some((1, 60))), (40, Some((41, 60))), (60, None)] {
        let temp = tempfile::tempdir().unwrap();
        live(&mut folder_of(temp.path()), boot(7), 60, 5);
        let mut folder = folder_of(temp.path());
        let (mut ring, _) = start(&mut folder, &[]);
        while let Piece::Wait(_) = ring.backlog(0, 1 << 20) {
            rest(&mut ring, &mut folder);
        }
        ring.spool(Room { bytes: 4 << 10, age_ms: 3_600_000 });
        ring.close();
        ring.begin(Arc::new(Layout::new(&Define::default())), 1_700_000_000_000, Vec::new());
        ring.push(Report { at_ms: 5_000, key: true, ..Default::default() });
        rest(&mut ring, &mut folder);
        assert_eq!((lost(&mut ring), ring.spooled().past_reports), (Vec::new(), 0), "all in doubt");
        // The next start knows as much, and Hello must name the boot for its Welcome to tell.
        let (mut next, listed) = start(&mut folder_of(temp.path()), &[(boot(7), mark)]);
        assert!(listed.contains(&boot(7)));
        assert_eq!(ring.list_past(63), [boot(7)]);
        ring.resume(0, &[(boot(7), mark)]);
        let expected: Vec<_> = expected.into_iter().map(|(first, last)| (boot(7), first, last)).collect();
        let count: u64 = expected.iter().map(|(_, first, last)| last - first + 1).sum();
        for ring in [&mut ring, &mut next] {
            assert_eq!(lost(ring), expected, "mark {mark}");
            assert_eq!(ring.spooled().dropped, count, "once");
        }
    }
}

#[test]
fn a_damaged_file_of_notes_is_good_up_to_the_damage() {
    let temp = tempfile::tempdir().unwrap();
    scarce(temp.path());
    let file = temp.path().join(record::NOTES);
    let bytes = fs::read(&file).unwrap();
    let (of, begin) = record::origin(&bytes);
    assert_eq!(of, Some(origin("web-1", "before")));
    let whole = bytes[begin..].to_vec();
    let (all, _) = record::read_notes(&whole);
    assert_eq!(all.len(), 2);
    for at in 0..whole.len() {
        let (some, is_whole) = record::read_notes(&whole[..at]);
        assert!(all.starts_with(&some) && some.len() < 2 && (!is_whole || at == whole.len() / 2 || at == 0));
        let mut changed = whole.clone();
        changed[at] ^= 4;
        let (some, is_whole) = record::read_notes(&changed);
        assert!(all.starts_with(&some) && some.len() < 2 && !is_whole);
    }
}

#[test]
fn very_many_losses_are_announced_in_parts_each_when_the_one_before_was_heard() {
    let mut ring = ring_of(boot(10_000));
    let note = |number| Note { boot: boot(number), span: Span { first: 1, last: 2 }, was: Loss::Certain };
    ring.inherit(&(1..=1_200).map(note).collect::<Vec<_>>());
    let mut announced = Vec::new();
    for part in [500, 500, 200, 0] {
        for _ in 0..2 {
            ring.resume(ring.last(), &[]);
            let all = lost(&mut ring);
            assert_eq!((all.len(), lost(&mut ring).len()), (part, 0));
            announced.extend(all);
        }
        ring.begin(Arc::new(Layout::new(&Define::default())), 1_700_000_000_000, Vec::new());
        let later = ring.push(Report { at_ms: 5_000, key: true, ..Default::default() });
        ring.acknowledge(later);
    }
    announced.sort();
    announced.dedup();
    assert!(announced.into_iter().eq((1..=1_200).map(|number| (boot(number), 1, 2))));
}
