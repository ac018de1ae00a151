//! What is written comes back, in its order.

use super::*;
use crate::notify::message::tests::message;

#[test]
fn what_is_due_comes_back_and_keys_order_a_conversation() {
    let due = Due::new(message("pager", "db", "n/1"), 7);
    let DocumentChange::Put(document) = due.put() else { panic!("it is not to be missed") };
    assert!(document.key.starts_with("pager/") && document.key.ends_with("/00000000000000000007/n/1"));
    assert_eq!((document.kind, document.at_ms), (DocumentKind::Due, 1_000));
    let read = Due::read(document.clone()).unwrap();
    assert_eq!((read.message(), read.order, read.key()), (due.message(), 7, due.key()));
    let later = Due::new(message("pager", "db", "n/0"), 11);
    assert!(due.key() < later.key());
    for (key, body, part) in [
        ("pager/1/x/n", document.body.clone(), "place in the order"),
        ("pager", document.body.clone(), "place in the order"),
        (&*document.key, "{}".into(), "missing field"),
    ] {
        let broken = Document { key: key.into(), body, ..document.clone() };
        assert!(Due::read(broken).is_err_and(|why| why.contains(part)), "{key}");
    }
}

#[test]
fn no_id_is_too_long_for_a_key() {
    let due = Due::new(message(&"r".repeat(128), &"c".repeat(9_000), &"n".repeat(9_000)), u64::MAX);
    assert!(due.key().len() <= crate::store::DOCUMENT_KEY_AT_MOST);
    assert_ne!(key(DEAD, &"n".repeat(600)), key(DEAD, &"n".repeat(601)));
    assert!(key(DEAD, &"n".repeat(9_000)).len() <= crate::store::DOCUMENT_KEY_AT_MOST);
}

#[test]
fn a_notice_that_is_sent_again_is_counted() {
    for (id, next) in [
        ("n", "n-r1"),
        ("n-r1", "n-r2"),
        ("n-r9", "n-r10"),
        ("n-rx", "n-rx-r1"),
        ("n-r4294967295", "n-r4294967295"),
        ("", "-r1"),
    ] {
        assert_eq!(next_id(id), next);
    }
}

#[test]
fn a_record_that_cannot_be_read_hides_no_other() {
    let record = NoticeRecord {
        message: message("pager", "db", "n1"),
        outcome: Verdict::Dead,
        why: Some("404".into()),
        attempts: 2,
        first_ms: Some(1),
        last_ms: Some(2),
        over_ms: 3,
        resent_as: None,
    };
    let DocumentChange::Put(document) = record.put() else { panic!("a dead one is not to be missed") };
    assert_eq!((&*document.key, document.at_ms), ("dead/n1/", 3));
    let broken = Document { body: "{".into(), ..document.clone() };
    let letters = letters(vec![broken, document]);
    assert_eq!(letters, [Letter { place: (3, "dead/n1/".into()), record: record.clone() }]);
    let sent = NoticeRecord { outcome: Verdict::Sent, ..record };
    assert!(matches!(sent.put(), DocumentChange::PutSpare(d) if &*d.key == "sent/n1/"));
}
