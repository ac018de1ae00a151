//! What turns the export on, and how mistakes are told.

use std::time::Duration;

use super::{LOCAL, OTLP_HEADERS, OTLP_KEYS, Otlp};

fn read(given: &[(&str, &str)]) -> (Option<Otlp>, String) {
    let known = |name| given.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    let (otlp, problems) = Otlp::of(|key| known(key.name));
    let told: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect();
    (otlp, told.join("\n"))
}

#[test]
fn nothing_is_exported_unless_it_is_asked_for() {
    let at = "http://collector:4317";
    let other = "https://logs.example:443";
    let some = |text: &str| Some(text.to_owned());
    for (given, expected) in [
        (&[][..], None),
        (&[("protocol", "http/protobuf"), ("sample", "0.5")], None),
        (&[("endpoint", at)], Some([some(at), some(at), some(at)])),
        (&[("endpoint", at), ("traces", "none")], Some([some(at), None, some(at)])),
        (&[("endpoint", at), ("logs_endpoint", other)], Some([some(other), some(at), some(at)])),
        (&[("metrics_endpoint", other)], Some([None, None, some(other)])),
        (&[("logs", "otlp")], Some([some(LOCAL), None, None])),
        (&[("traces", "true")], Some([None, some(LOCAL), None])),
        (&[("endpoint", at), ("logs", "false"), ("traces", "none"), ("metrics", "none")], None),
        (&[("endpoint", at), ("disabled", "true")], None),
        (&[("endpoint", "x"), ("protocol", "y"), ("disabled", "TRUE")], None),
    ] {
        let (otlp, told) = read(given);
        assert_eq!(otlp.map(|otlp| [otlp.logs, otlp.traces, otlp.metrics]), expected, "{given:?}");
        assert_eq!(told, "", "{given:?}");
    }
}

#[test]
fn settings_are_understood() {
    let (otlp, told) = read(&[
        ("endpoint", "https://collector:4317"),
        (OTLP_HEADERS, "api-key=a%20b%3D, Tenant=shop,"),
        ("timeout", "1500"),
        ("interval", "2m"),
        ("sample", "0.25"),
        ("service_name", "lighthouse"),
        ("ca", "ca.pem"),
    ]);
    assert_eq!(told, "");
    let otlp = otlp.unwrap();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(otlp.headers.0, [header("api-key", "a b="), header("tenant", "shop")]);
    assert_eq!((otlp.timeout, otlp.interval), (Duration::from_millis(1_500), Duration::from_secs(120)));
    assert_eq!((otlp.sample, otlp.service_name.as_deref()), (Some(0.25), Some("lighthouse")));
    assert_eq!(otlp.ca.as_deref().and_then(|path| path.to_str()), Some("ca.pem"));
    let shown = format!("{otlp:?}");
    assert!(shown.contains("api-key") && !shown.contains("a b=") && !shown.contains("shop"), "{shown}");
}

#[test]
fn all_problems_come_at_once_and_none_repeats_a_secret() {
    let (_, told) = read(&[
        ("endpoint", "http://user:s3cret@collector:4317"),
        ("logs", "console"),
        ("traces_endpoint", "collector"),
        ("metrics", "otlp"),
        (OTLP_HEADERS, "a=b,s3cret"),
        ("protocol", "http/protobuf"),
        ("timeout", "soon"),
        ("compression", "zstd"),
        ("interval", "10ms"),
        ("sample", "1.5"),
    ]);
    let keys: Vec<_> = told.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
    let expected = "endpoint logs traces_endpoint headers timeout compression interval sample protocol";
    assert_eq!(keys.join(" "), expected, "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn an_address_with_more_than_host_and_port_is_refused_and_not_repeated() {
    for (address, what) in [
        ("http://collector:4317/?token=s3cret", "a query"),
        ("http://collector:4317?token=s3cret", "a query"),
        ("http://collector:4317/s3cret", "a path"),
        ("https://collector:4317/v1/logs", "a path"),
        ("http://collector:4317/#s3cret", "a fragment"),
        ("http://collector:4317#s3cret", "a fragment"),
        ("http://s3cret@collector:4317", "a user"),
        ("http://user:s3cret@collector:4317/?token=s3cret", "a user"),
        ("ftp://collector:4317/s3cret", "is not the address"),
        ("http://:4317", "is not the address"),
        ("s3cret", "is not the address"),
    ] {
        for key in ["endpoint", "logs_endpoint", "traces_endpoint", "metrics_endpoint"] {
            let (_, told) = read(&[(key, address)]);
            assert!(told.starts_with(&format!("{key}: ")) && told.contains(what), "{address}: {told}");
            assert!(told.contains(LOCAL) && !told.contains("s3cret"), "{address}: {told}");
        }
    }
    for address in
        ["http://collector:4317", "https://collector:4317/", "http://[::1]:4317", "https://collector"]
    {
        let (otlp, told) = read(&[("endpoint", address)]);
        assert_eq!((otlp.unwrap().logs.as_deref(), told.as_str()), (Some(address), ""));
    }
}

#[test]
fn auto_says_nothing_under_any_key() {
    let (plain, _) = read(&[("endpoint", LOCAL)]);
    for key in OTLP_KEYS.iter().filter(|key| key.name != "endpoint") {
        assert_eq!(
            read(&[("endpoint", LOCAL), (key.name, "auto")]),
            (plain.clone(), String::new()),
            "{}",
            key.name
        );
    }
    assert_eq!(read(&[("endpoint", "auto")]), (None, String::new()));
}

#[test]
fn each_default_is_understood_and_each_variable_is_named_once() {
    assert_eq!(read(&[]), (None, String::new()));
    let mut names: Vec<_> =
        OTLP_KEYS.iter().map(|key| key.variable).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), OTLP_KEYS.len() - 1, "`sample` alone has none");
}
