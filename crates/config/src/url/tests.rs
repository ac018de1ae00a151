//! Tables of addresses: what is well formed, and that no password is shown.

use super::*;
use proptest::prelude::*;

#[test]
fn urls_are_taken_apart() {
    for (text, scheme, user, host, port, path) in [
        ("http://127.0.0.1:8502", "http", None, "127.0.0.1", Some(8502), ""),
        ("HTTPS://example.org/a?b#c", "https", None, "example.org", None, "/a?b#c"),
        ("postgres://app:pw@db:5432/app", "postgres", Some("app"), "db", Some(5432), "/app"),
        ("postgres://app@[::1]:5432/app", "postgres", Some("app"), "::1", Some(5432), "/app"),
        ("postgres://a:1,b:2/app", "postgres", None, "a", Some(1), "/app"),
        ("postgres:///app?host=/run/postgresql", "postgres", None, "", None, "/app?host=/run/postgresql"),
        ("redis://:pw@cache", "redis", None, "cache", None, ""),
        ("redis+unix:///run/redis.sock", "redis+unix", None, "", None, "/run/redis.sock"),
        ("http://host:8080/@scope/x", "http", None, "host", Some(8080), "/@scope/x"),
    ] {
        let url: Url = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!((url.scheme(), url.user(), url.host()), (scheme, user, host), "{text}");
        assert_eq!((url.port(), url.path()), (port, path), "{text}");
    }
}

#[test]
fn what_is_no_url_is_refused_without_repeating_it() {
    for text in [
        "",
        "localhost:5432",
        "//host",
        "://host",
        "1a://host",
        "http://",
        "http:///path",
        "http://host:99999",
        "http://host:x",
        "http://ho st",
        "http://host\n",
        "http://[::1",
        "http://[nonsense]",
        "http://[::1]x",
        "postgres://app:12/hunter2@db/app",
        "postgres://app:hunter2/x@db/app",
        "host=db password=hunter2",
    ] {
        let why = text.parse::<Url>().expect_err(text);
        assert!(!why.contains("hunter2"), "{why}");
    }
}

#[test]
fn passwords_are_hidden_in_front_of_the_host_and_in_the_query() {
    for (text, shown) in [
        ("postgres://app:hunter2@db/app", "postgres://app:***@db/app"),
        ("postgres://app:hun@ter2@db/app", "postgres://app:***@db/app"),
        ("redis://:hunter2@cache", "redis://:***@cache"),
        ("postgres://db/app?user=a&password=hunter2&x=1", "postgres://db/app?user=a&password=***&x=1"),
        ("https://h/x?Access_Token=hunter2", "https://h/x?Access_Token=***"),
        ("https://h/x?a=b#c", "https://h/x?a=b#c"),
    ] {
        let url: Url = text.parse().unwrap();
        assert_eq!(url.redacted(), shown);
        assert_eq!(url.has_password(), shown.contains("***"), "{text}");
        assert_eq!(format!("{url} {url:?}"), format!("{shown} {shown}"));
        assert_eq!(serde_json::to_string(&url).unwrap(), format!("\"{shown}\""));
        assert_eq!(url.expose(), text);
    }
}

#[test]
fn a_host_and_port_reads_back_what_it_writes() {
    for text in ["db:5432", "[::1]:1", "10.0.0.1:65535", "my-host.example:80"] {
        assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
    }
    for text in ["db", "db:", "db:0", "db:65536", ":80", "[::1]", "::1:80", "a b:80", "http://x:80", ""] {
        assert!(text.parse::<HostPort>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_password_never_shows_through(password in "[a-zA-Z0-9:@!$%^*()=+,;~.-]{6,12}", path in "(/[a-z]{0,5})?") {
        let text = format!("postgres://app:{password}@db.example{path}");
        if let Ok(url) = text.parse::<Url>() {
            let shown = format!("{url:?}");
            prop_assert_eq!(shown, format!("postgres://app:***@db.example{path}"));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,30}|[a-z]{1,3}://[a-z0-9:@,/?#\\[\\]]{0,20}") {
        if let Ok(url) = text.parse::<Url>() {
            prop_assert_eq!(url.redacted().parse::<Url>().map(|url| url.host().to_owned()), Ok(url.host().to_owned()));
        }
    }
}
