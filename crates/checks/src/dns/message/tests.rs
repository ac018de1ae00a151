//! Messages as servers send them, and as nobody should.

use super::*;

const ID: u16 = 0xbeef;

fn asked(records: RecordType) -> Question {
    Question::new("www.Example.", records).unwrap()
}

/// An answer with these flags and records; a name is given as bytes of the wire.
fn answer(question: &Question, flags: u16, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
    let mut packet = question.encode(ID);
    packet[2..4].copy_from_slice(&(IS_ANSWER | flags).to_be_bytes());
    packet[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    for (owner, kind, data) in records {
        packet.extend_from_slice(owner);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 60]);
        packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        packet.extend_from_slice(data);
    }
    packet
}

/// The name in the question.
const HERE: &[u8] = &[0xc0, 12];

fn records(question: &Question, found: &[(&[u8], u16, &[u8])]) -> Result<Vec<String>, Wrong> {
    question.decode(ID, &answer(question, 0, found)).map(|answer| answer.records)
}

#[test]
fn a_question_is_written_as_the_standard_says() {
    let packet = asked(RecordType::Aaaa).encode(ID);
    assert_eq!(packet, b"\xbe\xef\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x1c\0\x01");
    assert_eq!(Question::new(".", RecordType::Ns).unwrap().encode(0)[12..], [0, 0, 2, 0, 1]);
    let long = format!("{}.example", "a".repeat(64));
    let longer = "a.".repeat(127) + "a";
    for name in ["a..b", ".a", "ä.example", "a b", "", &long, &longer] {
        assert!(Question::new(name, RecordType::A).is_err(), "{name}");
    }
}

#[test]
fn each_type_of_record_is_read() {
    let mail = [0, 10, 4, b'M', b'a', b'i', b'l', 0xc0, 16];
    let srv = [0, 10, 0, 5, 0x13, 0xc4, 3, b's', b'i', b'p', 0xc0, 16];
    for (kind, data, text) in [
        (RecordType::A, &[10, 0, 0, 1][..], "10.0.0.1"),
        (RecordType::Aaaa, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
        (RecordType::Ns, &[2, b'N', b's', 0xc0, 16], "ns.example"),
        (RecordType::Mx, &mail, "10 mail.example"),
        (RecordType::Srv, &srv, "10 5 5060 sip.example"),
        (RecordType::Txt, b"\x03v=1\x02 -", "v=1 -"),
    ] {
        let question = asked(kind);
        let found = records(&question, &[(HERE, kind.number(), data), (HERE, 46, b"signature")]);
        assert_eq!(found, Ok(vec![text.to_owned()]), "{kind}");
    }
}

#[test]
fn aliases_are_followed_and_foreign_records_left_out() {
    let (a, cname) = (RecordType::A.number(), RecordType::Cname.number());
    let cdn: &[u8] = &[3, b'c', b'd', b'n', 0xc0, 16];
    let question = asked(RecordType::A);
    let chain = [(cdn, a, &[10, 0, 0, 2][..]), (HERE, cname, cdn)];
    assert_eq!(records(&question, &chain), Ok(vec!["10.0.0.2".to_owned()]), "in any order");
    assert_eq!(records(&question, &chain[..1]), Ok(vec![]), "of a name nobody asked for");
    assert_eq!(records(&question, &[(HERE, cname, HERE)]), Ok(vec![]), "an alias of itself ends");
    let alias = asked(RecordType::Cname);
    assert_eq!(records(&alias, &chain[1..]), Ok(vec!["cdn.example".to_owned()]));
}

#[test]
fn an_answer_to_something_else_is_foreign() {
    let question = asked(RecordType::A);
    let fine = answer(&question, 0, &[]);
    assert!(question.decode(ID, &fine).is_ok());
    let other = answer(&asked(RecordType::Aaaa), 0, &[]);
    let name = answer(&Question::new("web.example", RecordType::A).unwrap(), 0, &[]);
    let query = question.encode(ID);
    for (packet, id) in [(&fine, ID + 1), (&other, ID), (&name, ID), (&query, ID), (&Vec::new(), ID)] {
        assert_eq!(question.decode(id, packet), Err(Wrong::Foreign));
    }
}

#[test]
fn codes_are_told_apart_and_a_cut_answer_is_asked_again() {
    let question = asked(RecordType::A);
    let decode = |flags| question.decode(ID, &answer(&question, flags, &[])).unwrap();
    assert!(decode(IS_CUT).cut);
    for (code, reason) in [(1, "format_error"), (2, "server_failure"), (5, "refused"), (9, "rcode_9")] {
        assert_eq!(decode(code).checked("ns:53").unwrap_err().reason, reason);
    }
    for (code, reason) in [(0, "no_records"), (3, "no_such_name")] {
        let answer = decode(code).checked("ns:53").unwrap();
        assert_eq!(answer.missing("a", RecordType::A).unwrap().reason, reason);
    }
    let mut bare = answer(&question, 1, &[]);
    bare[4..6].copy_from_slice(&[0, 0]);
    bare.truncate(12);
    assert_eq!(question.decode(ID, &bare).unwrap().code, 1);
}

#[test]
fn a_hostile_answer_is_unreadable_and_never_more() {
    let question = asked(RecordType::A);
    let (a, own) = (RecordType::A.number(), question.encode(ID).len());
    let itself = u8::try_from(own).unwrap();
    let forward: &[u8] = &[0xc0, itself + 30];
    let endless: &[u8] = &[0xc0, itself];
    for (owner, data) in [
        (forward, &[10, 0, 0, 1][..]),
        (endless, &[10, 0, 0, 1]),
        (&[0x40, 0], &[10, 0, 0, 1]),
        (HERE, &[10, 0, 0]),
        (HERE, &[10, 0, 0, 1, 2]),
    ] {
        assert_eq!(records(&question, &[(owner, a, data)]), Err(Wrong::Unreadable), "{owner:?} {data:?}");
    }
    let whole =
        answer(&question, 0, &[(HERE, a, &[10, 0, 0, 1]), (HERE, 5, &[3, b'c', b'd', b'n', 0xc0, 16])]);
    for length in 0..whole.len() {
        assert!(question.decode(ID, &whole[..length]).is_err(), "cut at {length}");
    }
    for at in 12..whole.len() {
        for byte in [0, 1, 63, 64, 0xc0, 0xff] {
            let mut wild = whole.clone();
            wild[at] = byte;
            // Any answer will do, as long as there is one.
            drop(question.decode(ID, &wild));
        }
    }
}
