//! Round trips of everything valid, and refusals of what a hostile peer may send.

use super::*;
use crate::proto;
use farol_health::Status;
use proptest::prelude::*;

fn any_labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9_]{0,20}", ".{0,40}", 0..6)
}

fn any_series() -> impl Strategy<Value = SeriesDef> {
    let kind = prop_oneof![Just(SeriesType::Gauge), Just(SeriesType::Counter)];
    (
        1..=crate::limits::MAX_ID,
        any::<u32>(),
        "[a-z_:][a-z0-9_:]{0,80}",
        any_labels(),
        kind,
        0..9u32,
        0..9u32,
        "[a-z]{0,9}",
    )
        .prop_map(|(id, source, name, labels, kind, e, d, unit)| SeriesDef {
            id,
            source,
            name,
            labels,
            kind,
            encoding: (e, d),
            unit,
        })
}

fn any_component() -> impl Strategy<Value = ComponentDef> {
    let name = "[A-Za-z0-9._-]{1,128}";
    (
        1..=crate::limits::MAX_ID,
        name,
        name,
        any::<bool>(),
        any::<bool>(),
        1..u32::MAX,
        "[a-z]{0,10}",
        any_labels(),
    )
        .prop_map(|(id, service, name, required, readiness, ttl_ms, kind, labels)| ComponentDef {
            id,
            service,
            name,
            required,
            readiness,
            ttl_ms,
            kind,
            labels,
        })
}

proptest! {
    #[test]
    fn a_definition_comes_back_as_it_was(
        series in prop::collection::vec(any_series(), 0..20),
        components in prop::collection::vec(any_component(), 0..20),
    ) {
        let set = Definition {
            sources: vec![SourceDef { id: 1, name: "system".into(), interval_ms: 10_000 }],
            series,
            components,
        };
        let (back, refused) = define(proto::Define::from(&set)).unwrap();
        prop_assert_eq!(back, set);
        prop_assert!(refused.is_empty());
    }

    #[test]
    fn a_status_comes_back_as_it_was(
        id: u32, hard in 0..5u8, soft in 0..5u8, reason in "[a-z_.0-9-]{0,64}", message in ".{0,200}", at in 1..u64::MAX,
        maintenance: bool,
    ) {
        let report = ComponentReport {
            id, hard: Status::from_u8(hard).unwrap(), soft: Status::from_u8(soft).unwrap(), reason,
            message, checked_ms: Some(at), maintenance,
        };
        prop_assert_eq!(component_report(report.clone().into()), report);
    }

    #[test]
    fn any_bytes_as_a_message_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        use prost::Message;
        if let Ok(message) = proto::Define::decode(&bytes[..]) {
            let _ = define(message).map(|(set, _)| proto::Define::from(&set));
        }
        if let Ok(message) = proto::Hello::decode(&bytes[..]) {
            let _ = Hello::try_from(message);
        }
        if let Ok(message) = proto::ComponentStatus::decode(&bytes[..]) {
            let report = component_report(message);
            prop_assert!(report.message.len() <= crate::limits::MESSAGE_BYTES);
        }
    }

    #[test]
    fn a_bitmap_gives_back_its_positions(positions in prop::collection::btree_set(0..2000usize, 0..50)) {
        let mut bitmap = Bitmap::default();
        positions.iter().for_each(|p| bitmap.set(*p));
        let back: Vec<usize> = Bitmap::from_bytes(bitmap.into_bytes()).positions().collect();
        prop_assert_eq!(back, positions.into_iter().collect::<Vec<_>>());
    }
}

fn hello() -> proto::Hello {
    proto::Hello {
        agent: "shop:payments-1".into(),
        role: proto::Role::Pod.into(),
        boot: Some(proto::Boot { number: 7, nonce: 9 }),
        ..Default::default()
    }
}

#[test]
fn a_hello_without_its_parts_is_refused_with_a_reason() {
    assert!(Hello::try_from(hello()).is_ok());
    type Spoil = fn(&mut proto::Hello);
    let cases: [(&str, Spoil); 6] = [
        ("is not an agent id", |h| h.agent = "a b".into()),
        ("is not an agent id", |h| h.agent = "x".repeat(129)),
        ("no role", |h| h.role = 0),
        ("no boot", |h| h.boot = None),
        ("not a scope", |h| h.scope = "../etc".into()),
        ("is not a label name", |h| {
            h.labels.insert("a\nb".into(), String::new());
        }),
    ];
    for (expected, spoil) in cases {
        let mut message = hello();
        spoil(&mut message);
        let error = Hello::try_from(message).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn bad_entries_of_a_define_are_refused_by_id_and_the_rest_is_taken() {
    let series = |id, name: &str, kind| proto::Series {
        id,
        source: 1,
        name: name.into(),
        r#type: kind,
        ..Default::default()
    };
    let message = proto::Define {
        sources: vec![proto::Source { id: 1, name: "system".into(), interval_ms: 1 }],
        series: vec![
            series(1, "good_total", 2),
            series(2, "bad name", 1),
            series(3, "new_kind", 9),
            series(0, "zero", 1),
        ],
        components: vec![proto::Component {
            id: 4,
            service: "host".into(),
            name: "a/b".into(),
            ..Default::default()
        }],
    };
    let (set, refused) = define(message).unwrap();
    assert_eq!(set.series.iter().map(|s| s.id).collect::<Vec<_>>(), [1]);
    assert_eq!(refused.len(), 4);
}

#[test]
fn a_status_of_a_newer_protocol_is_unknown_and_a_long_message_is_cut_at_a_character() {
    let report = component_report(proto::ComponentStatus {
        hard: 77,
        soft: -1,
        reason: "line\nbreak".into(),
        message: "é".repeat(2000),
        ..Default::default()
    });
    assert_eq!((report.hard, report.soft), (Status::Unknown, Status::Unknown));
    assert_eq!(report.reason, "other");
    assert!(report.message.len() <= crate::limits::MESSAGE_BYTES && report.message.chars().all(|c| c == 'é'));
}
