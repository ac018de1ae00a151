//! Whose files they are, and how old they are when clocks were set.

use super::*;
use crate::ring::{Loss, Note, Span};

#[test]
fn another_agents_files_are_left_as_they_are() {
    let temp = tempfile::tempdir().unwrap();
    live(&mut folder_of(temp.path()), boot(7), 10, 5);
    let before = files(temp.path());
    let scoped = Origin { scope: "shop".to_owned(), ..origin("web-1", "before") };
    for other in [origin("web-2", "before"), scoped] {
        let scan = Folder::new(temp.path().to_owned(), boot(8), other).scan(CLOCKS).unwrap();
        assert_eq!((scan.found.len(), scan.left.len()), (0, 1), "{scan:?}");
    }
    assert_eq!(files(temp.path()), before);
    assert_eq!(folder_of(temp.path()).scan(CLOCKS).unwrap().found.len(), 1);
    let note = Note { boot: boot(7), span: Span { first: 1, last: 5 }, was: Loss::Certain };
    folder_of(temp.path()).note(&[note]).unwrap();
    let notes_of = |agent| {
        Folder::new(temp.path().to_owned(), boot(8), origin(agent, "before")).scan(CLOCKS).unwrap().notes
    };
    assert_eq!((notes_of("web-1"), notes_of("web-2")), (vec![note], Vec::new()));
}

#[test]
fn a_wall_clock_that_was_set_makes_no_report_old_and_none_young_for_ever() {
    const DAY: i64 = 86_400_000;
    let temp = tempfile::tempdir().unwrap();
    // Made at 0 ms of its boot clock.
    live(&mut folder_of(temp.path()), boot(7), 10, 5);
    for (machine, set_ms, expected) in [
        ("before", 0, 0),
        ("before", 365 * DAY, 0),
        ("before", -365 * DAY, 0),
        ("after", 0, 0),
        ("after", 365 * DAY, -1_000),
        ("after", -365 * DAY, 5_000),
    ] {
        let clocks = Clocks { wall_ms: CLOCKS.wall_ms + set_ms, oldest_ms: -1_000, ..CLOCKS };
        let mut folder = Folder::new(temp.path().to_owned(), boot(8), origin("web-1", machine));
        let made_ms = folder.scan(clocks).unwrap().found[0].entry.unwrap().made_ms;
        assert_eq!(made_ms, expected, "{machine} {set_ms}");
    }
}

/// The versions of a file's records.
fn versions(mut bytes: &[u8]) -> Vec<u8> {
    let mut versions = Vec::new();
    while let [a, b, c, d, version, ..] = bytes {
        versions.push(*version);
        bytes = &bytes[10 + u32::from_le_bytes([*a, *b, *c, *d]) as usize..];
    }
    versions
}

#[test]
fn a_file_that_says_whose_it_is_begins_as_agents_from_before_leave_it_and_theirs_are_read() {
    let (key, bytes) = one_file();
    assert_eq!(versions(&bytes), [2, 1, 1, 1, 1, 1, 1, 1], "{key:?}");
    let temp = tempfile::tempdir().unwrap();
    let note = Note { boot: boot(7), span: Span { first: 1, last: 5 }, was: Loss::Certain };
    folder_of(temp.path()).note(&[note]).unwrap();
    assert_eq!(versions(&files(temp.path())[record::NOTES]), [2, 1]);
    // Without an origin, and with one of the first version.
    let (of, begin) = record::origin(&bytes);
    let mut first = bytes.clone();
    first[4] = 1;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&first[..6]);
    hasher.update(&first[10..begin]);
    first[6..10].copy_from_slice(&hasher.finalize().to_le_bytes());
    for (file, expected) in [(&bytes, &of), (&first, &of), (&bytes[begin..].to_vec(), &None)] {
        let usable = record::read(key, file);
        assert_eq!((usable.fault, &usable.origin), (None, expected));
        assert_eq!(seqs(&usable.segment.unwrap().reports), [1, 2, 3, 4, 5, 6]);
    }
}
