//! Which notice goes next, as a table of steps.

use super::*;

type Line = Queue<u64>;

fn entry(conversation: &str, order: u64) -> Entry<u64> {
    Entry { order, conversation: conversation.into(), repeat: false, weight: 1, since_ms: 0, load: order }
}

fn failed() -> Landing {
    Landing::Failed { why: "500".into(), pause: None }
}

/// Steps, and what they are to give. The draw is such that a wait is as long as it may be.
enum Step {
    Push(&'static str, u64),
    /// What goes at this time.
    Next(u64, &'static [u64]),
    Take(&'static str),
    Fail(&'static str, u64),
    Refuse(&'static str),
    Pause(&'static str, u64, u64),
    Wakes(Option<u64>),
}
use Step::{Fail, Next, Pause, Push, Refuse, Take, Wakes};

/// Waits are `1 + draw % bound` and `draw.rotate_left(32)` for the conversation: 0 makes both 1 ms.
const DRAW: u64 = 0;

fn play(steps: &[Step]) {
    let mut queue = Line::default();
    for (n, step) in steps.iter().enumerate() {
        match step {
            Push(conversation, order) => assert!(queue.push(entry(conversation, *order)).is_empty()),
            Next(now_ms, orders) => {
                let went: Vec<u64> = std::iter::from_fn(|| queue.next(*now_ms)).map(|e| e.order).collect();
                assert_eq!(went, *orders, "step {n}");
            }
            Take(conversation) => {
                let landed = queue.land(conversation, &Landing::Taken, 0, DRAW);
                assert!(matches!(landed, Some(Landed::Over(_))), "step {n}");
            }
            Fail(conversation, now_ms) => {
                let landed = queue.land(conversation, &failed(), *now_ms, DRAW);
                assert!(matches!(landed, Some(Landed::Again(_))), "step {n}");
            }
            Refuse(conversation) => {
                let landed = queue.land(conversation, &Landing::Refused { why: "404".into() }, 0, DRAW);
                assert!(matches!(landed, Some(Landed::Over(_))), "step {n}");
            }
            Pause(conversation, now_ms, pause_ms) => {
                let pause = Some(Duration::from_millis(*pause_ms));
                let landing = Landing::Failed { why: "429".into(), pause };
                assert!(queue.land(conversation, &landing, *now_ms, DRAW).is_some(), "step {n}");
            }
            Wakes(at_ms) => assert_eq!(queue.wakes_ms(), *at_ms, "step {n}"),
        }
    }
}

#[test]
fn a_conversation_goes_in_order_and_only_it_waits_for_its_first() {
    play(&[
        Push("a", 1),
        Push("a", 2),
        Push("b", 3),
        Next(0, &[1, 3]),
        Next(0, &[]),
        Take("b"),
        Next(0, &[]),
        Take("a"),
        Next(0, &[2]),
        Take("a"),
        Wakes(None),
    ]);
}

#[test]
fn four_conversations_go_at_once() {
    play(&[
        Push("a", 1),
        Push("b", 2),
        Push("c", 3),
        Push("d", 4),
        Push("e", 5),
        Next(0, &[1, 2, 3, 4]),
        Wakes(None),
        Take("c"),
        Next(0, &[5]),
    ]);
}

#[test]
fn one_conversation_asks_whether_a_receiver_that_fails_takes_again() {
    play(&[
        Push("a", 1),
        Push("b", 2),
        Push("c", 3),
        Push("d", 4),
        Push("e", 5),
        Next(0, &[1, 2, 3, 4]),
        Fail("a", 10),
        Next(20, &[]),
        Fail("b", 20),
        Fail("c", 30),
        Fail("d", 40),
        // Two conversations failed: not before the receiver's own wait is over, and the one that did not fail first.
        Wakes(Some(41)),
        Next(40, &[]),
        Next(41, &[5]),
        Next(1_000, &[]),
        Take("e"),
        Next(1_000, &[1, 2, 3, 4]),
    ]);
}

#[test]
fn a_conversation_that_fails_alone_is_passed_by() {
    play(&[
        Push("a", 1),
        Next(0, &[1]),
        Fail("a", 10),
        Push("b", 2),
        Next(10, &[2]),
        Wakes(Some(60_010)),
        Take("b"),
        Wakes(Some(11)),
        Next(11, &[1]),
    ]);
}

#[test]
fn a_pause_holds_for_the_whole_receiver() {
    play(&[
        Push("a", 1),
        Push("b", 2),
        Next(0, &[1, 2]),
        Pause("a", 10, 90_000),
        Take("b"),
        Push("c", 3),
        Wakes(Some(90_010)),
        Next(90_009, &[]),
        Next(90_010, &[1, 3]),
    ]);
}

#[test]
fn what_is_refused_makes_room_for_the_next() {
    play(&[Push("a", 1), Push("a", 2), Next(0, &[1]), Refuse("a"), Next(0, &[2]), Refuse("a"), Next(0, &[])]);
}

#[test]
fn what_was_tried_for_a_day_is_given_up_and_never_untried() {
    let day = i64::try_from(GIVE_UP_MS).unwrap();
    for (since_ms, now_ms, given_up) in
        [(0, GIVE_UP_MS - 1, false), (0, GIVE_UP_MS, true), (-day, 0, true), (1 - day, 0, false)]
    {
        let mut queue = Line::default();
        queue.push(Entry { since_ms, ..entry("a", 1) });
        queue.push(entry("a", 2));
        assert_eq!(queue.next(now_ms).unwrap().order, 1);
        let landed = queue.land("a", &failed(), now_ms, DRAW).unwrap();
        assert_eq!(
            matches!(landed, Landed::GivenUp(entry) if entry.order == 1),
            given_up,
            "{since_ms} {now_ms}"
        );
        let next = queue.next(now_ms + 1).unwrap().order;
        assert_eq!(next, if given_up { 2 } else { 1 });
    }
}

#[test]
fn without_room_repeats_go_first_and_then_the_longest_conversations_oldest() {
    let mut queue = Line::default();
    let half = BYTES_AT_MOST / 4;
    let push = |queue: &mut Line, conversation: &str, order, repeat| {
        let gone = queue.push(Entry { repeat, weight: half, ..entry(conversation, order) });
        gone.iter().map(|entry| entry.order).collect::<Vec<_>>()
    };
    for (conversation, order, repeat) in [("a", 1, true), ("a", 2, true), ("b", 3, false), ("c", 4, true)] {
        assert!(push(&mut queue, conversation, order, repeat).is_empty());
    }
    assert_eq!(queue.tells_full(false), None);
    assert_eq!(queue.next(0).unwrap().order, 1, "what is on its way never goes");
    assert_eq!(push(&mut queue, "b", 5, false), [2]);
    assert_eq!(queue.tells_full(false), Some(true));
    assert_eq!(push(&mut queue, "b", 6, true), [4]);
    assert_eq!(push(&mut queue, "b", 7, false), [6], "the new one's conversation as well");
    assert_eq!(push(&mut queue, "a", 8, false), [3]);
    assert_eq!(push(&mut queue, "d", 9, true), [9]);
    assert_eq!(queue.tells_full(true), None);
    assert!(
        matches!(queue.land("a", &Landing::Taken, 0, DRAW), Some(Landed::Over(entry)) if entry.order == 1)
    );
    assert_eq!(queue.tells_full(true), Some(false));
    assert_eq!(queue.load(), (3, 3 * half, 0));
    let still: Vec<u64> = queue.take_still().iter().map(|entry| entry.order).collect();
    assert_eq!((still, queue.is_empty()), (vec![5, 7, 8], true));
}

#[test]
fn a_receiver_that_is_set_up_anew_is_tried_at_once_but_not_within_its_pause() {
    let mut queue = Line::default();
    for (conversation, order) in [("a", 1), ("b", 2)] {
        queue.push(entry(conversation, order));
    }
    queue.next(0).unwrap();
    queue.next(0).unwrap();
    let long = u64::MAX - 1;
    queue.land("a", &failed(), 0, long);
    queue.land("b", &failed(), 0, long);
    assert!(queue.next(1).is_none());
    queue.hurry();
    assert_eq!(queue.next(1).unwrap().order, 1);
    assert!(queue.next(1).is_none(), "one first");
    let landing = Landing::Failed { why: "429".into(), pause: Some(Duration::from_secs(5)) };
    queue.land("a", &landing, 1, long);
    queue.hurry();
    assert!(queue.next(5_000).is_none());
    assert!(queue.next(5_001).is_some());
}

#[test]
fn a_receiver_that_is_unsure_for_ten_minutes_is_given_up_by_all_that_waited_so_long_one_right_after_the_other()
 {
    let (mut queue, late) = (Line::default(), UNSURE_MS as i64 - 1);
    for (conversation, order) in [("a", 1), ("b", 2), ("c", 3)] {
        queue.push(entry(conversation, order));
    }
    queue.push(Entry { since_ms: late, ..entry("d", 4) });
    let unsure = Landing::Unsure { why: "401".into() };
    let mut land = |conversation: &str, order: u64, now_ms: u64| {
        assert_eq!(queue.next(now_ms).map(|entry| entry.order), Some(order));
        // Waits are as long as they may be.
        queue.land(conversation, &unsure, now_ms, u64::MAX)
    };
    assert!(matches!(land("a", 1, 0), Some(Landed::Again(_))));
    for (conversation, order) in [("b", 2), ("c", 3)] {
        let landed = land(conversation, order, UNSURE_MS);
        assert!(matches!(landed, Some(Landed::GivenUp(_))), "{conversation}: {landed:?}");
    }
    assert!(matches!(land("d", 4, UNSURE_MS), Some(Landed::Again(_))), "it has its own ten minutes");
    let ends_ms = UNSURE_MS * 2;
    assert!(matches!(land("a", 1, ends_ms), Some(Landed::GivenUp(_))));
    queue.hurry();
    assert_eq!(queue.next(ends_ms).map(|entry| entry.order), Some(4));
    let landed = queue.land("d", &unsure, ends_ms, 0);
    assert!(matches!(landed, Some(Landed::GivenUp(_))), "it was unsure of this one before: {landed:?}");
}
