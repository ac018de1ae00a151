//! Tables of quantities, and that what is written is read back.

use super::*;
use proptest::prelude::*;

#[test]
fn durations_are_read() {
    let ms = Duration::from_millis;
    for (text, value) in [
        ("10s", Some(ms(10_000))),
        ("500ms", Some(ms(500))),
        ("1h30m", Some(ms(5_400_000))),
        ("1.5s", Some(ms(1_500))),
        ("0.000000001s", Some(Duration::from_nanos(1))),
        ("7d", Some(ms(7 * 86_400_000))),
        ("250us", Some(Duration::from_micros(250))),
        ("0", Some(Duration::ZERO)),
        ("0s", Some(Duration::ZERO)),
        ("2 s", Some(ms(2_000))),
        ("", None),
        ("10", None),
        ("s", None),
        (".s", None),
        ("-1s", None),
        ("1.2.3s", None),
        ("0.5ns", None),
        ("5 parsecs", None),
        ("10S", None),
        ("1e3s", None),
        ("10s ", None),
        ("99999999999999999999999999999999999999999999d", None),
        ("18446744073709551616s", None),
    ] {
        assert_eq!(duration(text), value, "{text:?}");
    }
}

#[test]
fn sizes_are_read() {
    for (text, value) in [
        ("20GB", Some(20_000_000_000)),
        ("256MiB", Some(256 << 20)),
        ("256 MiB", Some(256 << 20)),
        ("1.5kB", Some(1_500)),
        ("4096", Some(4096)),
        ("0", Some(0)),
        ("16777216TiB", None),
        ("1.0001kB", None),
        ("GB", None),
        ("20 gigabytes", None),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(bytes(text), value, "{text:?}");
    }
}

#[test]
fn numbers_follow_the_core_schema() {
    for (text, value) in [
        ("3", Some(3)),
        ("-3", Some(-3)),
        ("+3", Some(3)),
        ("0x1f", Some(31)),
        ("0o17", Some(15)),
        ("017", Some(17)),
        ("0x", None),
        ("0x-1", None),
        ("1_000", None),
        ("3.0", None),
        ("", None),
        ("٣", None),
        ("99999999999999999999999999999999999999999999", None),
    ] {
        assert_eq!(whole(text), value, "{text:?}");
    }
    for (text, value) in [
        ("0.5", Some(0.5)),
        ("-1e3", Some(-1000.0)),
        (".5", Some(0.5)),
        ("1e999", None),
        (".inf", None),
        ("inf", None),
        ("NaN", None),
        ("", None),
        ("e", None),
    ] {
        assert_eq!(number(text), value, "{text:?}");
    }
    for (text, value) in
        [("30%", Some(30.0)), ("30 %", Some(30.0)), ("2.5", Some(2.5)), ("%", None), ("30%%", None)]
    {
        assert_eq!(percent(text), value, "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(seconds in 0..=u64::MAX, nanos in 0..1_000_000_000_u32, size in 0..=u64::MAX) {
        let value = Duration::new(seconds, nanos);
        prop_assert_eq!(duration(&duration_text(value)), Some(value));
        prop_assert_eq!(bytes(&bytes_text(size)), Some(size));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}|[0-9.eE+-]{0,12}[a-zA-Z%]{0,3}") {
        let found = (duration(&text), bytes(&text), percent(&text), whole(&text), number(&text));
        prop_assert!(found.0.is_none() || !text.is_empty());
    }
}
