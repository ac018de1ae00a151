//! What each getter takes and refuses, and that all problems come at once.

use super::*;
use crate::{Secret, Sources, Url};
use proptest::prelude::*;
use std::fmt::Debug;
use std::fs;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
enum Mode {
    Mute,
    Drain,
}

const MODES: &[(&str, Mode)] = &[("mute", Mode::Mute), ("drain", Mode::Drain)];

fn read<T>(text: &str, reader: impl FnOnce(&mut Map<'_>) -> T) -> Result<T, String> {
    let tree = Sources::new().text("f.yaml", text).load().map_err(|problems| problems.to_string())?;
    tree.read(reader).map_err(|problems| problems.to_string())
}

#[test]
fn six_mistakes_in_one_file_are_told_at_once_with_their_lines() {
    let text = "\
name: payments 1
listen:
  http: 8511
  htpp: 127.0.0.1:1
interval: 5 parsecs
checks:
  - {name: db, deadline: 500ms, required: maybe}
  - name: cache
    interval: [5s]
  - {service: x}
name: twice
";
    let found = read(text, |m| {
        m.name("name").required();
        m.map("listen", |m| m.address("http").required());
        m.duration("interval")
            .within(Duration::from_millis(10)..=Duration::from_secs(3600))
            .or(Duration::from_secs(10));
        m.list("checks", |m| {
            m.name("name").required();
            m.name("service").or("host");
            m.duration("interval").or(Duration::from_secs(10));
            m.duration("deadline").or(Duration::from_secs(1));
            m.flag("required").or(true);
        });
    });
    let expected = "\
f.yaml:1: name: `payments 1` is not a name; use 1 to 128 letters, digits, `.` `_` `-`
f.yaml:3: listen.http: `8511` has no host; write `127.0.0.1:8511`, or `[::]:8511` for all interfaces
f.yaml:4: listen.htpp: unknown key `htpp`; did you mean `http`?
f.yaml:5: interval: `5 parsecs` is not a duration; write for instance `10s` or `500ms`
f.yaml:7: checks[0].required: `maybe` is neither yes nor no here; write `true` or `false`
f.yaml:9: checks[1].interval: is a list, a single value is wanted; write for instance `interval: 10s`
f.yaml:10: checks[2].name: is required; write for instance `name: payments-1`
f.yaml:11:1: `name` is given twice, first in line 1; remove one of them";
    assert_eq!(found, Err(expected.to_owned()));
}

/// Reads key `k` of a file, required, and gives the value's `Debug` or the message.
fn one<T: Debug>(text: &str, reader: impl FnOnce(&mut Map<'_>) -> T) -> String {
    match read(text, reader) {
        Ok(value) => format!("{value:?}"),
        Err(problems) => {
            problems.split_once("k: ").map_or(problems.clone(), |(_, message)| message.to_owned())
        }
    }
}

#[test]
fn words_are_taken_or_refused_with_advice() {
    type Reader = fn(&str) -> String;
    let text: Reader = |yaml| one(yaml, |m| m.text("k").required());
    let name: Reader = |yaml| one(yaml, |m| m.name("k").required());
    let agent: Reader = |yaml| one(yaml, |m| m.agent_id("k").required());
    let flag: Reader = |yaml| one(yaml, |m| m.flag("k").required());
    let address: Reader = |yaml| one(yaml, |m| m.address("k").required());
    let target: Reader = |yaml| one(yaml, |m| m.host_port("k").required());
    let mode: Reader = |yaml| one(yaml, |m| m.one_of("k", MODES).required());
    let parsed: Reader =
        |yaml| one(yaml, |m| m.parsed::<std::net::IpAddr>("k", "an IP address", "10.0.0.1").required());
    let checked: Reader = |yaml| {
        one(yaml, |m| {
            m.text("k").check(|v| if v == "x" { Ok(()) } else { Err("must be x".into()) }).required()
        })
    };
    for (reader, yaml, wanted) in [
        (text, "k: no", "\"no\""),
        (text, "k: 1.10", "\"1.10\""),
        (text, "k: 'null'", "\"null\""),
        (text, "k: null", "is required; write for instance `k: text`"),
        (text, "k:", "is required; write for instance `k: text`"),
        (text, "{}", "is required; write for instance `k: text`"),
        (text, "k: ''", "is empty; write a text, or remove the key"),
        (text, "k: {a: b}", "is a map, a single value is wanted; write for instance `k: text`"),
        (name, "k: a.b_c-1", "\"a.b_c-1\""),
        (name, "k: a:b", "`a:b` is not a name; use 1 to 128 letters, digits, `.` `_` `-`"),
        (agent, "k: a:b", "\"a:b\""),
        (agent, "k: a/b", "`a/b` is not a name; use 1 to 128 letters, digits, `.` `_` `-` `:`"),
        (flag, "k: TRUE", "true"),
        (flag, "k: yes", "`yes` is neither yes nor no here; write `true` or `false`"),
        (address, "k: '[::]:8501'", "[::]:8501"),
        (address, "k: localhost:0", "127.0.0.1:0"),
        (address, "k: :80", "`:80` has no host; write `127.0.0.1:80`, or `[::]:80` for all interfaces"),
        (
            address,
            "k: example.org:80",
            "`example.org:80` is not an address to listen on; write for instance `127.0.0.1:8501` or `[::]:8501`",
        ),
        (target, "k: db.example:5432", "HostPort { host: \"db.example\", port: 5432 }"),
        (target, "k: db", "`db` has no port; write for instance `db.example:5432`"),
        (mode, "k: drain", "Drain"),
        (mode, "k: Drain", "`Drain` is none of `mute`, `drain`"),
        (parsed, "k: ::1", "::1"),
        (
            parsed,
            "k: x",
            "`x` is not an IP address (invalid IP address syntax); write for instance `10.0.0.1`",
        ),
        (checked, "k: x", "\"x\""),
        (checked, "k: y", "must be x"),
    ] {
        assert_eq!(reader(yaml), wanted, "{yaml}");
    }
}

#[test]
fn amounts_are_taken_or_refused_with_advice() {
    type Reader = fn(&str) -> String;
    let duration: Reader = |yaml| one(yaml, |m| m.duration("k").required());
    let integer: Reader = |yaml| one(yaml, |m| m.integer::<u8>("k").within(1..=100).required());
    let number: Reader = |yaml| one(yaml, |m| m.number("k").within(0.0..=1.0).required());
    let percent: Reader = |yaml| one(yaml, |m| m.percent("k").required());
    let bytes: Reader = |yaml| one(yaml, |m| m.bytes("k").required());
    for (reader, yaml, wanted) in [
        (duration, "k: 1m30s", "90s"),
        (duration, "k: 10", "`10` has no unit; write for instance `10s` or `10ms`"),
        (integer, "k: '5'", "5"),
        (integer, "k: 0", "`0` is out of range; write a value from `1` to `100`"),
        (integer, "k: 300", "`300` is too large or too small here; write a value from `1` to `100`"),
        (integer, "k: 1.5", "`1.5` is not a whole number; write for instance `3`"),
        (number, "k: 0.25", "0.25"),
        (number, "k: .nan", "`.nan` is not a number; write for instance `0.5`"),
        (number, "k: 2", "`2` is out of range; write a value from `0` to `1`"),
        (percent, "k: 30%", "30.0"),
        (percent, "k: most", "`most` is not a percentage; write for instance `30%`"),
        (bytes, "k: 1KiB", "1024"),
        (bytes, "k: big", "`big` is not a size; write for instance `20GB` or `256MiB`"),
    ] {
        assert_eq!(reader(yaml), wanted, "{yaml}");
    }
}

#[test]
fn a_missing_value_has_its_default_and_a_wrong_one_still_lets_the_rest_be_read() {
    assert_eq!(
        read("", |m| (m.text("a").or("d"), m.integer("b").or(3_u32), m.flag("c").optional())),
        Ok(("d".into(), 3, None))
    );
    let mut rest = Vec::new();
    let found = read("a: x\nb: [1]\n", |m| {
        rest.push(m.integer::<i64>("a").or(7));
        rest.push(m.integer("b").within(5..=9).required());
        rest.push(m.integer("c").within(6..=9).required());
    });
    assert_eq!((rest, found.unwrap_err().lines().count()), (vec![7, 5, 6], 3));
}

#[test]
fn maps_and_lists_are_taken_or_refused_with_advice() {
    type Reader = fn(&str) -> String;
    let map: Reader = |yaml| one(yaml, |m| m.map("k", |m| m.text("a").optional()));
    let section: Reader = |yaml| one(yaml, |m| m.section("k", |m| m.text("a").or("d")));
    let strict: Reader = |yaml| one(yaml, |m| m.section("k", |m| m.text("a").required()));
    let list: Reader = |yaml| one(yaml, |m| m.list("k", |m| m.text("a").optional()));
    let texts: Reader = |yaml| one(yaml, |m| m.texts("k"));
    let entries: Reader =
        |yaml| one(yaml, |m| m.entries("k", |name, m| (name.len(), m.text("a").optional())));
    let named: Reader = |yaml| one(yaml, |m| m.texts_by_name("k"));
    let labels: Reader = |yaml| one(yaml, |m| m.labels("k"));
    let secrets: Reader = |yaml| one(yaml, |m| m.secret_pairs("k"));
    for (reader, yaml, wanted) in [
        (map, "k: {a: x}", "Some(Some(\"x\"))"),
        (map, "k:", "Some(None)"),
        (map, "{}", "None"),
        (map, "k: x", "is a single value, a map is wanted; write for instance `{key: value}`"),
        (section, "{}", "\"d\""),
        (strict, "k: [x]", "is a list, a map is wanted; write for instance `{key: value}`"),
        (list, "k: [{a: x}, {}]", "[Some(\"x\"), None]"),
        (list, "k: {a: x}", "is a map, a list is wanted; write for instance `k: [{…}]`"),
        (texts, "k: [x, 1]", "[\"x\", \"1\"]"),
        (texts, "k: x", "is a single value, a list is wanted; write for instance `k: [one, two]`"),
        (entries, "k: {b: {a: x}, a: }", "[(\"b\", (1, Some(\"x\"))), (\"a\", (1, None))]"),
        (named, "k: {c: [a, b]}", "[(\"c\", [\"a\", \"b\"])]"),
        (labels, "k: {pod: 1, cluster: eu}", "{\"cluster\": \"eu\", \"pod\": \"1\"}"),
        (secrets, "k: {Authorization: hunter2}", "[(\"Authorization\", ***)]"),
    ] {
        assert_eq!(reader(yaml), wanted, "{yaml}");
    }
}

#[test]
fn wrong_items_are_named_with_their_place() {
    type Reader = fn(&mut Map<'_>);
    let list: Reader = |m| drop(m.list("k", |m| m.text("a").optional()));
    let texts: Reader = |m| drop(m.texts("k"));
    let entries: Reader = |m| drop(m.entries("k", |_, m| m.text("a").optional()));
    let labels: Reader = |m| drop(m.labels("k"));
    for (reader, yaml, problem) in [
        (list, "k: [{}, x]", "f.yaml:1: k[1]: is a single value, a map is wanted"),
        (list, "k:\n- {b: 1}", "f.yaml:2: k[0].b: unknown key `b`; known here: a"),
        (texts, "k: [x, [y]]", "f.yaml:1: k[1]: is a list, a single value is wanted"),
        (texts, "k: [x, ~]", "f.yaml:1: k[1]: is nothing, a single value is wanted"),
        (entries, "k: {a b: {}}", "f.yaml:1: k.a b: `a b` is not a name"),
        (entries, "k: {a: x}", "f.yaml:1: k.a: is a single value, a map is wanted"),
        (labels, "k: {a-b: x}", "f.yaml:1: k.a-b: `a-b` is not a label's name"),
        (labels, "k: {a: \"x\\n\"}", "f.yaml:1: k.a: holds a control character"),
    ] {
        let problems = read(yaml, reader).expect_err(yaml);
        assert!(problems.starts_with(problem) && problems.lines().count() == 1, "{yaml}: {problems}");
    }
}

#[test]
fn problems_of_meaning_stand_at_the_key_or_the_map() {
    let found = read("a:\n  b: 1\n  c: 2\n", |m| {
        m.map("a", |m| {
            m.integer::<u8>("b").required();
            m.ignore("c");
            m.problem("b", "is more than `c`");
            m.problem("d", "belongs to `b`");
            m.problem_here("is odd");
            (m.at().to_owned(), m.keys(), m.has("d"))
        })
    });
    assert_eq!(
        found,
        Err("f.yaml:2: a: is odd\nf.yaml:2: a.d: belongs to `b`\nf.yaml:2: a.b: is more than `c`".into())
    );
}

#[test]
fn unknown_keys_name_what_is_known() {
    let found = read("x: 1\na: {y: 1}\n", |m| {
        m.text("name").optional();
        m.secret("password").optional();
        m.map("a", |_| ());
    });
    let expected = "f.yaml:1: x: unknown key `x`; known here: a, name, password\nf.yaml:2: a.y: unknown key `y`; nothing is set here";
    assert_eq!(found, Err(expected.to_owned()));
}

#[test]
fn secrets_come_from_text_or_a_file_and_are_in_no_message() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pw"), "hunter2\n").unwrap();
    fs::write(folder.path().join("url"), "postgres://app:hunter2@db/app").unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    let name = folder.path().join("f.yaml").to_string_lossy().into_owned();
    let load = |text: &str, vars: &[(&str, String)]| {
        let vars: Vec<(String, String)> = vars.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        let tree = Sources::new().text(&name, text).env("F", None, vars).load().unwrap();
        let read = tree.read(|m| (m.secret("password").optional(), m.url("url").optional()));
        let shown = format!("{read:?} {}", tree.dump());
        assert!(!shown.contains("hunter2"), "{shown}");
        (read.map_err(|problems| problems.to_string()), tree.dump())
    };
    let pair =
        || (Some(Secret::new("hunter2")), Some("postgres://app:hunter2@db/app".parse::<Url>().unwrap()));
    let pw = folder.path().join("pw").to_string_lossy().into_owned();

    assert_eq!(load("password: hunter2\nurl: postgres://app:hunter2@db/app", &[]).0, Ok(pair()));
    let (read, dump) = load("password_file: pw\nurl_file: url\n", &[]);
    assert_eq!(read, Ok(pair()));
    assert!(
        dump.starts_with(&format!("password_file: {pw}  # from {pw} (named by password_file)\n")),
        "{dump}"
    );
    assert_eq!(load("password: other\nurl_file: url", &[("F__PASSWORD_FILE", pw.clone())]).0, Ok(pair()));
    assert_eq!(
        load("password_file: none\nurl_file: url", &[("F__PASSWORD", "hunter2".into())]).0,
        Ok(pair())
    );

    for (text, problem) in [
        (
            "password: hunter2\npassword_file: pw",
            "f.yaml:2: password_file: is given as well as `password`; keep one",
        ),
        ("password_file: none", "none` does not exist; check the path"),
        ("password_file: empty", "empty` is empty; write the secret into it"),
        ("password_file: .", "` is a directory; name a file in it"),
        (
            "password: [hunter2]",
            "password: is a list, a single value is wanted; write for instance `password: …`",
        ),
        ("{password:hunter2}", "f.yaml:1: password: a space is missing after `password:`"),
        ("url: db:hunter2@x", "url: is not a URL: it has no `://`; write for instance"),
        ("url: postgres://a:hunter2@h:x/", "url: is not a URL: it has a port that is not between"),
    ] {
        let problems = load(text, &[]).0.expect_err(text);
        assert!(problems.contains(problem), "{problems}");
    }
}

#[test]
fn relative_paths_of_a_file_start_at_the_file() {
    let path = |m: &mut Map<'_>| m.path("k").or("default/x");
    let sources = |text| Sources::new().text("conf/f.yaml", text);
    let read = |sources: Sources| sources.load().unwrap().read(path).unwrap().to_string_lossy().into_owned();
    assert_eq!(read(sources("k: tls/cert.pem")), "conf/tls/cert.pem");
    assert_eq!(read(sources("k: /etc/cert.pem")), "/etc/cert.pem");
    assert_eq!(read(sources("").env("F", None, [("F__K", "cert.pem")])), "cert.pem");
    assert_eq!(read(sources("")), "default/x");
    let path_or = |text| {
        let tree = sources(text).load().unwrap();
        tree.read(|m| m.path_or("auto", "k").optional())
            .unwrap()
            .map(|path| path.to_string_lossy().into_owned())
    };
    for (text, expected) in [
        ("k: auto", Some("auto")),
        ("k: ./auto", Some("conf/./auto")),
        ("k: auto/x", Some("conf/auto/x")),
        ("", None),
    ] {
        assert_eq!(path_or(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_key_names_files_by_patterns_that_start_at_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("rules")).unwrap();
    for name in ["rules/b.yaml", "rules/a.yaml", "rules/.hidden.yaml", "rules/c.txt", "x.yaml"] {
        std::fs::write(at(name), "").unwrap();
    }
    for (text, expected) in [
        ("k: rules/*.yaml", &["rules/a.yaml", "rules/b.yaml"][..]),
        ("k: [x.yaml, rules/*, rules/a.yaml]", &["x.yaml", "rules/a.yaml", "rules/b.yaml", "rules/c.txt"]),
        ("k: ['*.yaml', none/*, no.yaml]", &["x.yaml", "no.yaml"]),
        ("k: []", &[]),
        ("", &[]),
    ] {
        std::fs::write(at("main.yaml"), text).unwrap();
        let tree = Sources::new().file(at("main.yaml")).load().unwrap();
        let files = tree.read(|m| m.files("k")).unwrap();
        assert_eq!(files, expected.iter().map(|name| at(name)).collect::<Vec<_>>(), "{text}");
    }
    for (text, problem) in [
        ("k: ['', 'a/*/b']", "k[0]: ``: is no file name"),
        ("k: ['', 'a/*/b']", "k[1]: `a/*/b`: `*` is understood in the last part"),
        ("k: {a: b}", "k: is a map, a single value is wanted"),
    ] {
        let tree = Sources::new().text("f.yaml", text).load().unwrap();
        let problems = tree.read(|m| m.files("k")).unwrap_err().to_string();
        assert!(problems.contains(problem), "{problems}");
    }
}

#[test]
fn problems_of_another_file_are_told_with_the_own_ones() {
    let tree = |name: &str| Sources::new().text(name, "k: x").load().unwrap();
    let mut sound = Vec::new();
    let problems = tree("main.yaml").read(|m| {
        sound.push(m.is_sound());
        let other = tree("other.yaml").read(|m| m.flag("k").required()).unwrap_err();
        m.report(other.iter().cloned());
        sound.push(m.is_sound());
        m.flag("k").required()
    });
    let problems = problems.unwrap_err().to_string();
    assert!(
        problems.starts_with("main.yaml:1: k: ") && problems.contains("\nother.yaml:1: k: "),
        "{problems}"
    );
    assert_eq!(sound, [true, false]);
}

#[test]
fn a_tree_can_be_read_from_any_thread() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Sources::new().load().unwrap());
}

/// A reader that uses every getter on whatever is there.
fn everything(m: &mut Map<'_>) {
    m.text("a").required();
    m.name("b").required();
    m.duration("c").required();
    m.integer::<u32>("a").within(1..=5).or(3);
    m.number("b").required();
    m.bytes("c").required();
    m.percent("a").required();
    m.flag("b").required();
    m.address("c").required();
    m.host_port("a").required();
    m.path("b").optional();
    m.one_of("c", MODES).required();
    m.secret("a").required();
    m.url("b").required();
    m.labels("c");
    m.texts("a");
    m.pairs("b");
    m.secret_pairs("c");
    m.texts_by_name("a");
    m.entries("b", |_, m| m.problem_here("no"));
    m.list("c", |m| m.texts("a"));
    m.section("a", |m| m.map("b", |m| m.text("c").optional()));
}

proptest! {
    #[test]
    fn any_yaml_and_environment_give_values_or_problems(
        text in "([abc]: ?|- |\\[|\\]|\\{|\\}|, |\n|\n  |x|1|~|'|\"|&a |\\*a|a){0,30}",
        vars in prop::collection::vec(("F__[ABC_]{0,6}", "\\PC{0,6}"), 0..4),
    ) {
        match Sources::new().text("f.yaml", &text).env("F", None, vars).alias("F__A", "b.c").load() {
            Ok(tree) => {
                prop_assert!(tree.read(everything).is_err_and(|problems| !problems.is_empty()));
                prop_assert!(Sources::new().text("dump", &tree.dump()).load().is_ok(), "{}", tree.dump());
            }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
