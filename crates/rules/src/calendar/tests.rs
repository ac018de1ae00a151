//! When a window stands, in every zone where clocks jump.

use super::*;
use proptest::prelude::*;

const HOUR_MS: u64 = 60 * MINUTE_MS;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn shown(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap().to_string()
}

fn recurring(zone: &str, days: &str, at: &str, lasts_ms: u64) -> Schedule {
    let (zone, days, at) = (zone.parse().unwrap(), days.parse().unwrap(), at.parse().unwrap());
    Schedule::Recurring(Recurring { zone, days, at, lasts_ms })
}

/// Zone, days, at, hours; after when; what begins then, and when that ends.
type Case =
    (&'static str, &'static str, &'static str, u64, &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    // 02:30 is left out on 29 March: at the jump, for as long as on every other day.
    (
        "Europe/Berlin",
        "daily",
        "02:30",
        1,
        "2026-03-28T00:00:00Z",
        &[
            ("2026-03-28T01:30:00Z", "2026-03-28T02:30:00Z"),
            ("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"),
            ("2026-03-30T00:30:00Z", "2026-03-30T01:30:00Z"),
        ],
    ),
    // The first and the last minute of what is left out, and the first after it.
    (
        "Europe/Berlin",
        "daily",
        "02:00",
        1,
        "2026-03-29T00:30:00Z",
        &[("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")],
    ),
    (
        "Europe/Berlin",
        "daily",
        "02:59",
        1,
        "2026-03-29T00:30:00Z",
        &[("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")],
    ),
    (
        "Europe/Berlin",
        "daily",
        "03:00",
        1,
        "2026-03-29T00:30:00Z",
        &[("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")],
    ),
    (
        "Europe/Berlin",
        "daily",
        "03:01",
        1,
        "2026-03-29T00:30:00Z",
        &[("2026-03-29T01:01:00Z", "2026-03-29T02:01:00Z")],
    ),
    // 02:30 comes twice on 25 October: the first time, and once.
    (
        "Europe/Berlin",
        "daily",
        "02:30",
        2,
        "2026-10-24T12:00:00Z",
        &[("2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"), ("2026-10-26T01:30:00Z", "2026-10-26T03:30:00Z")],
    ),
    // Eight hours are eight hours: over the jump it ends at 07:00, over the doubled hour at 05:00.
    (
        "Europe/Berlin",
        "sat",
        "22:00",
        8,
        "2026-03-25T00:00:00Z",
        &[("2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z")],
    ),
    (
        "Europe/Berlin",
        "sat",
        "22:00",
        8,
        "2026-10-22T00:00:00Z",
        &[("2026-10-24T20:00:00Z", "2026-10-25T04:00:00Z")],
    ),
    (
        "America/New_York",
        "sun",
        "02:30",
        1,
        "2026-03-03T00:00:00Z",
        &[("2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"), ("2026-03-15T06:30:00Z", "2026-03-15T07:30:00Z")],
    ),
    (
        "America/New_York",
        "sun, mon",
        "01:30",
        1,
        "2026-10-31T00:00:00Z",
        &[("2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"), ("2026-11-02T06:30:00Z", "2026-11-02T07:30:00Z")],
    ),
    // The evening there is the next day in UTC: days are those of the zone.
    (
        "America/New_York",
        "fri",
        "22:00",
        2,
        "2026-06-01T00:00:00Z",
        &[("2026-06-06T02:00:00Z", "2026-06-06T04:00:00Z")],
    ),
    // Half an hour is left out on 4 October and doubled on 5 April.
    (
        "Australia/Lord_Howe",
        "daily",
        "02:15",
        1,
        "2026-10-03T00:00:00Z",
        &[("2026-10-03T15:30:00Z", "2026-10-03T16:30:00Z"), ("2026-10-04T15:15:00Z", "2026-10-04T16:15:00Z")],
    ),
    (
        "Australia/Lord_Howe",
        "daily",
        "01:45",
        1,
        "2026-04-04T00:00:00Z",
        &[("2026-04-04T14:45:00Z", "2026-04-04T15:45:00Z"), ("2026-04-05T15:15:00Z", "2026-04-05T16:15:00Z")],
    ),
    // One minute after midnight the clocks there went back to the day before.
    (
        "America/St_Johns",
        "daily",
        "00:00",
        1,
        "2010-11-07T00:00:00Z",
        &[("2010-11-07T02:30:00Z", "2010-11-07T03:30:00Z"), ("2010-11-08T03:30:00Z", "2010-11-08T04:30:00Z")],
    ),
    // A whole day is left out.
    (
        "Pacific/Apia",
        "daily",
        "22:00",
        1,
        "2011-12-30T00:00:00Z",
        &[
            ("2011-12-30T08:00:00Z", "2011-12-30T09:00:00Z"),
            ("2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z"),
            ("2011-12-31T08:00:00Z", "2011-12-31T09:00:00Z"),
        ],
    ),
    ("UTC", "daily", "22:00", 8, "2026-03-28T22:00:00Z", &[("2026-03-29T22:00:00Z", "2026-03-30T06:00:00Z")]),
    // A month without the day is left out; the last day is there in each.
    (
        "UTC",
        "31",
        "00:00",
        1,
        "2027-01-01T00:00:00Z",
        &[("2027-01-31T00:00:00Z", "2027-01-31T01:00:00Z"), ("2027-03-31T00:00:00Z", "2027-03-31T01:00:00Z")],
    ),
    (
        "UTC",
        "1, -1",
        "00:00",
        24,
        "2028-02-10T00:00:00Z",
        &[("2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"), ("2028-03-01T00:00:00Z", "2028-03-02T00:00:00Z")],
    ),
    ("UTC", "29", "00:00", 1, "2027-01-29T00:00:00Z", &[("2027-03-29T00:00:00Z", "2027-03-29T01:00:00Z")]),
];

#[test]
fn windows_stand_where_the_clocks_of_their_zone_put_them() {
    for (zone, days, at, hours, after, expected) in CASES {
        let schedule = recurring(zone, days, at, hours * HOUR_MS);
        let mut after = ms(after);
        for (from, to) in *expected {
            let case = format!("{zone} {days} {at}: {from}");
            let span = schedule.next(after).unwrap();
            assert_eq!(
                (shown(span.from_ms), shown(span.to_ms)),
                ((*from).to_owned(), (*to).to_owned()),
                "{case}"
            );
            assert_eq!(schedule.active(span.from_ms), Some(span), "{case}");
            assert_eq!(schedule.active(span.to_ms - 1), Some(span), "{case}");
            assert_ne!(schedule.active(span.to_ms), Some(span), "{case}");
            assert_ne!(schedule.active(span.from_ms - 1), Some(span), "{case}");
            after = span.from_ms;
        }
    }
}

#[test]
fn a_window_that_stands_once_has_no_next_one_after_it_began() {
    let once = Schedule::Once { from_ms: 10, to_ms: 20 };
    let span = Some(Span { from_ms: 10, to_ms: 20 });
    for (now, active, next) in
        [(9, None, span), (10, span, None), (19, span, None), (20, None, None), (i64::MAX, None, None)]
    {
        assert_eq!((once.active(now), once.next(now)), (active, next), "{now}");
    }
    assert_eq!(once.check(), Ok(()));
    assert_eq!(Schedule::Once { from_ms: 10, to_ms: 10 }.check(), Err(CalendarError::Backwards));
    assert_eq!(Schedule::Once { from_ms: -1, to_ms: 10 }.check(), Err(CalendarError::OutOfRange(-1)));
    assert_eq!(
        Schedule::Once { from_ms: 0, to_ms: i64::MAX }.check(),
        Err(CalendarError::OutOfRange(i64::MAX))
    );
}

#[test]
fn schedules_are_read_as_they_are_written() {
    for (text, written) in [
        (r#"{"once":{"from_ms":1,"to_ms":2}}"#, None),
        (r#"{"recurring":{"zone":"UTC","days":"daily","at":"22:00","lasts_ms":60000}}"#, None),
        (r#"{"recurring":{"zone":"Europe/Berlin","days":"mon, sun","at":"00:05","lasts_ms":60000}}"#, None),
        (
            r#"{"recurring":{"zone":"europe/berlin","days":["Sunday","MON","sun"],"at":"00:05","lasts_ms":60000}}"#,
            Some(r#"{"recurring":{"zone":"Europe/Berlin","days":"mon, sun","at":"00:05","lasts_ms":60000}}"#),
        ),
        (
            r#"{"recurring":{"zone":"UTC","days":[-1,15,"1"],"at":"00:05","lasts_ms":60000}}"#,
            Some(r#"{"recurring":{"zone":"UTC","days":"1, 15, -1","at":"00:05","lasts_ms":60000}}"#),
        ),
    ] {
        let schedule: Schedule = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&schedule).unwrap(), written.unwrap_or(text));
        let again: Schedule = serde_json::from_str(written.unwrap_or(text)).unwrap();
        assert_eq!(again, schedule);
        assert_eq!(schedule.check(), Ok(()));
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_what_to_write() {
    for (days, at, zone, part) in [
        ("\"daily\"", "22:00", "Mars/Olympus", "`Mars/Olympus` is not a time zone"),
        ("\"daily\"", "24:00", "UTC", "`24:00` is not a time of day"),
        ("\"daily\"", "7:30", "UTC", "`7:30` is not a time of day"),
        ("\"daily\"", "+7:30", "UTC", "`+7:30` is not a time of day"),
        ("\"daily\"", "22:60", "UTC", "`22:60` is not a time of day"),
        ("\"someday\"", "22:00", "UTC", "`someday` is not a day"),
        ("[0]", "22:00", "UTC", "`0` is not a day"),
        ("[32]", "22:00", "UTC", "`32` is not a day"),
        ("[-2]", "22:00", "UTC", "`-2` is not a day"),
        ("[]", "22:00", "UTC", "no day is named"),
        ("\" , \"", "22:00", "UTC", "no day is named"),
        ("[\"mon\", 1]", "22:00", "UTC", "do not go together"),
        ("\"daily, mon\"", "22:00", "UTC", "do not go together"),
    ] {
        let text =
            format!(r#"{{"recurring":{{"zone":"{zone}","days":{days},"at":"{at}","lasts_ms":60000}}}}"#);
        let error = serde_json::from_str::<Schedule>(&text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let unknown = r#"{"once":{"from_ms":1,"to_ms":2,"zone":"UTC"}}"#;
    assert!(serde_json::from_str::<Schedule>(unknown).is_err());
    for (days, lasts_ms, right) in [
        ("daily", MINUTE_MS - 1, false),
        ("daily", DAY_MS - 1, true),
        ("daily", DAY_MS, false),
        ("mon", DAY_MS, true),
        ("1", 31 * DAY_MS, true),
        ("1", 31 * DAY_MS + 1, false),
        ("1", u64::MAX, false),
    ] {
        assert_eq!(recurring("UTC", days, "22:00", lasts_ms).check().is_ok(), right, "{days} {lasts_ms}");
    }
}

#[test]
fn at_the_ends_of_the_calendar_nothing_is_in_force() {
    let schedule = recurring("UTC", "daily", "22:00", u64::MAX);
    for now in [i64::MIN, i64::MAX, LAST_MS + DAY_MS as i64] {
        assert_eq!((schedule.active(now), schedule.next(now)), (None, None), "{now}");
    }
    // What would end after the calendar is left out.
    assert_eq!(schedule.next(LAST_MS), None);
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let zone = prop_oneof![
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("America/Sao_Paulo"),
        Just("Pacific/Apia"),
        Just("UTC")
    ];
    let days = prop_oneof![Just("daily"), Just("mon, thu"), Just("sun"), Just("1, 31"), Just("29, -1")];
    (zone, days, 0..24_u8, 0..60_u8, 1..1440_u64).prop_map(|(zone, days, hour, minute, lasts)| {
        let lasts = if days == "daily" { lasts } else { lasts * 20 };
        recurring(zone, days, &format!("{hour:02}:{minute:02}"), lasts.min(1439 * 20) * MINUTE_MS)
    })
}

proptest! {
    #[test]
    fn in_force_is_what_began_last_and_is_not_over(
        schedule in schedules(),
        now_ms in ms("2010-01-01T00:00:00Z")..ms("2030-01-01T00:00:00Z"),
    ) {
        prop_assert_eq!(schedule.check(), Ok(()));
        // Everything that begins within the longest time it lasts, one after the other.
        let mut began = None;
        let mut at = now_ms - 100 * DAY_MS as i64;
        loop {
            let span = schedule.next(at).unwrap();
            prop_assert!(span.from_ms > at && span.to_ms > span.from_ms);
            if span.from_ms > now_ms {
                prop_assert_eq!(schedule.next(now_ms), Some(span));
                break;
            }
            began = Some(span);
            at = span.from_ms;
        }
        prop_assert_eq!(schedule.active(now_ms), began.filter(|span| span.holds(now_ms)));
    }
}
