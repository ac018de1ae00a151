//! The dump reads back as what was taken, and hides what is secret.

use crate::{Map, Sources, Tree};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn tree(text: &str) -> Tree {
    Sources::new().text("f.yaml", text).load().unwrap_or_else(|problems| panic!("{problems}"))
}

type Everything = (String, Duration, Vec<(String, u32, BTreeMap<String, String>)>, Vec<String>, Option<bool>);

fn everything(m: &mut Map<'_>) -> Everything {
    let name = m.text("name").or("farol");
    let interval = m.section("timing", |m| m.duration("interval").or(Duration::from_secs(90)));
    let checks = m.list("checks", |m| {
        let name = m.text("name").or("one");
        (name, m.integer("n").or(3), m.labels("labels"))
    });
    (name, interval, checks, m.texts("monitors"), m.flag("on").optional())
}

#[test]
fn every_value_is_shown_with_its_source() {
    let vars = [("F__TIMING__INTERVAL", "1h30m"), ("F__PASSWORD", "hunter2")];
    let text = "name: no\nmonitors: [a, 'b c']\nchecks:\n  - {name: x, labels: {cluster: eu}}\n  - {}\nurl: postgres://a:hunter2@db/x\n";
    let tree = Sources::new()
        .text("f.yaml", text)
        .env("F", None, vars)
        .flag("--on", "on", Some("true".to_owned()))
        .load()
        .unwrap();
    tree.read(|m| {
        everything(m);
        m.url("url").required();
        m.secret("password").required();
    })
    .unwrap();
    assert_eq!(
        tree.dump(),
        "name: \"no\"  # from f.yaml:1
timing:
  interval: 90m  # from F__TIMING__INTERVAL
checks:
  - name: x  # from f.yaml:4
    \"n\": 3  # from default
    labels:
      cluster: eu  # from f.yaml:4
  - name: one  # from default
    \"n\": 3  # from default
monitors:
  - a  # from f.yaml:2
  - b c  # from f.yaml:2
\"on\": true  # from --on
url: \"postgres://a:***@db/x\"  # from f.yaml:6
password: \"***\"  # from F__PASSWORD
"
    );
}

#[test]
fn a_default_list_is_shown_and_a_section_without_anything_is_not() {
    let tree = tree("other: {}");
    let read = tree.read(|m| {
        m.section("tls", |m| m.map("http", |_| ()));
        m.section("other", |_| ());
        m.texts_or("status", &["200-399", "401"])
    });
    assert_eq!(read.unwrap(), ["200-399", "401"]);
    let shown =
        "other: {}  # from f.yaml:1\nstatus:\n  - \"200-399\"  # from default\n  - \"401\"  # from default\n";
    assert_eq!(tree.dump(), shown);
}

#[test]
fn a_read_without_a_take_dumps_an_empty_map() {
    let tree = tree("");
    tree.read(|_| ()).unwrap();
    assert_eq!(tree.dump(), "{}\n");
}

/// Texts that look like something else to some YAML reader, and any others.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "no",
        "1.10",
        "~",
        "null",
        "-",
        "- a",
        "---",
        "...",
        "? a",
        ": a",
        "a: b",
        "a #b",
        "#",
        "'",
        "\"",
        "\\",
        " a",
        "a ",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "[a",
        "{a",
        "a]",
        "|",
        ">",
        "0x1f",
        "2020-01-01",
        "1:30",
        "true",
        "\t",
        "\r\n",
        "\u{feff}",
        "\u{2028}",
        "\u{85}",
        "\u{7f}",
        "\u{202e}",
        "--- a",
        "...a",
        "-a",
        "--a",
        ".a",
        "/a",
        "a:",
        "a,b",
        "<<",
        "=",
    ])
    .prop_map(str::to_owned);
    prop_oneof![odd, "[ -~]{1,12}", "\\PC{1,12}", any::<String>()]
        .prop_filter("not empty", |text| !text.is_empty())
}

fn quoted(text: &str) -> String {
    text.chars().fold(String::new(), |out, c| format!("{out}\\U{:08x}", u32::from(c)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_dump_loads_again_to_the_same_values(
        name in text(),
        list in prop::collection::vec(text(), 0..4),
        pairs in prop::collection::btree_map(text(), text(), 0..4),
    ) {
        let list_text: Vec<String> = list.iter().map(|text| format!("\"{}\"", quoted(text))).collect();
        let mut yaml = format!("name: \"{}\"\nlist: [{}]\npairs:\n", quoted(&name), list_text.join(", "));
        for (key, value) in &pairs {
            yaml += &format!("  ? \"{}\"\n  : \"{}\"\n", quoted(key), quoted(value));
        }
        let read = |tree: &Tree| {
            tree.read(|m| (m.text("name").required(), m.texts("list"), m.pairs("pairs"))).map_err(|e| e.to_string())
        };
        let first = tree(&yaml);
        let values = read(&first);
        prop_assert_eq!(values.clone(), Ok((name, list, pairs.into_iter().collect())));
        let dump = first.dump();
        prop_assert_eq!(read(&tree(&dump)), values, "{}", dump);
    }
}
