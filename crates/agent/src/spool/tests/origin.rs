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
