//! The example files in `config/`: the real binaries take them, what stands free in them is the default, and they hold
//! every key that the readers know.

use crate::peers::{Done, run};
use farol_tests::process::command;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each binary and its example.
const EXAMPLES: [(&str, &str); 3] =
    [("farol-monitor", "monitor.yaml"), ("farol-agent", "agent.yaml"), ("farol", "farol.yaml")];
/// A key that is near to none.
const STRANGER: &str = "zzzzzzzzzzzz";
/// A key that has no place in that file: the reader knows it and refuses it, because it is the whole process's.
const REFUSED: (&str, &str, &str) = ("farol.yaml", "agent", "data_dir");
/// One of them may stand there.
const STORES: [&str; 2] = ["sqlite", "postgres"];
/// Maps whose keys are the user's: what holds for one of their entries holds for all.
const NAMED: [&str; 3] = ["services", "receivers", "actions"];

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(file)
}

fn text(file: &str) -> String {
    std::fs::read_to_string(example(file)).unwrap_or_else(|error| panic!("config/{file}: {error}"))
}

/// The example with every key in force: once with each of the stores, of which there can be one.
pub(crate) fn whole(file: &str) -> Vec<String> {
    let all: String = text(file).lines().map(|line| format!("{}\n", uncommented(line))).collect();
    let mut variants: Vec<String> = STORES.iter().map(|store| without(&all, store)).collect();
    variants.dedup();
    variants
}

/// A text without what stands under this key of `store`.
fn without(text: &str, key: &str) -> String {
    let indent_of = |line: &str| line.len() - line.trim_start().len();
    let (mut store, mut left_out) = (None, None);
    let mut kept = String::new();
    for line in text.lines() {
        let (indent, word) = (indent_of(line), line.trim_start());
        let ends = |begin: Option<usize>| begin.is_some_and(|begin| !word.is_empty() && indent <= begin);
        store = if word == "store:" { Some(indent) } else { store.filter(|_| !ends(store)) };
        left_out = left_out.filter(|_| !ends(left_out));
        if store.is_some_and(|store| indent == store + 2) && word == format!("{key}:") {
            left_out = Some(indent);
        }
        if left_out.is_none() {
            kept.push_str(&format!("{line}\n"));
        }
    }
    kept
}

/// `#key: value` is a key behind a `#`, `# text` is text.
fn uncommented(line: &str) -> String {
    let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
    match rest.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| !c.is_whitespace()) => format!("{indent}{key}"),
        _ => line.to_owned(),
    }
}

async fn ask(binary: &str, what: &str, file: Option<&Path>) -> Done {
    let mut command = command(binary, &[what]).expect("it is built");
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    run(command, "").await
}

/// What is dumped, without where it comes from.
async fn dump(binary: &str, file: Option<&Path>) -> String {
    let done = ask(binary, "--dump-config", file).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    done.out.lines().map(|line| format!("{}\n", line.split("  # from ").next().unwrap_or_default())).collect()
}

#[tokio::test]
async fn every_example_is_sound_as_it_is_and_with_all_its_keys() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    for (binary, file) in EXAMPLES {
        let mut paths = vec![example(file)];
        for (number, whole) in whole(file).iter().enumerate() {
            let path = folder.path().join(format!("{number}-{file}"));
            std::fs::write(&path, whole).expect("the file can be written");
            for name in pem_files(whole) {
                let pem =
                    if name.ends_with(".key") { made.signing_key.serialize_pem() } else { made.cert.pem() };
                std::fs::write(folder.path().join(name), pem).expect("the file can be written");
            }
            paths.push(path);
        }
        for path in paths {
            let done = ask(binary, "--check-config", Some(&path)).await;
            assert!(done.code == Some(0) && done.err.is_empty(), "{}: {done:?}", path.display());
        }
    }
}

/// The certificates and keys that a text names.
fn pem_files(text: &str) -> impl Iterator<Item = &str> {
    let values = text.lines().filter_map(|line| line.split_once(": ")?.1.split_whitespace().next());
    values.filter(|value| value.ends_with(".pem") || value.ends_with(".key"))
}

#[tokio::test]
async fn what_stands_free_is_the_default() {
    for (binary, file) in EXAMPLES {
        assert_eq!(dump(binary, Some(&example(file))).await, dump(binary, None).await, "{file}");
        let dump = ask(binary, "--dump-config", Some(&example(file))).await.out;
        // The name of this machine has no place in an example.
        let silent =
            |line: &&str| line.ends_with("# from default") && !line.trim_start().starts_with("name: ");
        let silent: Vec<_> = dump.lines().filter(silent).collect();
        assert!(silent.is_empty(), "config/{file} leaves out {silent:?}");
    }
}

#[tokio::test]
async fn every_key_that_the_readers_know_is_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all =
        EXAMPLES.iter().flat_map(|(binary, file)| whole(file).into_iter().map(move |w| (binary, file, w)));
    for (binary, file, whole) in all {
        let (binary, file) = (*binary, *file);
        let path = folder.path().join(file);
        std::fs::write(&path, with_strangers(&whole)).expect("the file can be written");
        let done = ask(binary, "--check-config", Some(&path)).await;
        assert_eq!(done.code, Some(64), "{done:?}");
        let (known, present) = (known(&done.err), present(&whole));
        assert!(known.len() > 5, "{file}: {}", done.err);
        for (map, mut keys) in known {
            if (file, map.as_str()) == (REFUSED.0, REFUSED.1) {
                assert!(keys.remove(REFUSED.2), "the exception is no longer needed");
            }
            let missing: Vec<_> =
                keys.difference(present.get(&map).unwrap_or(&BTreeSet::new())).cloned().collect();
            assert!(missing.is_empty(), "config/{file} does not show {missing:?} in `{map}`");
        }
    }
}

/// One line of a block of YAML as the examples are written.
struct Line<'t> {
    indent: usize,
    /// Begins an item of a list.
    is_item: bool,
    key: &'t str,
    /// Nothing stands behind the key: a map or a list follows.
    opens: bool,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        let body = line.trim_start();
        let (item, entry) = body.strip_prefix("- ").map_or((false, body), |entry| (true, entry));
        let (key, value) = entry.split_once(':').filter(|(key, _)| !key.starts_with('#'))?;
        let indent = line.len() - body.len() + if item { 2 } else { 0 };
        Some(Line { indent, is_item: item, key, opens: value.is_empty() })
    })
}

/// The text with a key that nobody knows in each map.
fn with_strangers(text: &str) -> String {
    let mut out = format!("{STRANGER}: 0\n");
    let mut rest = text.lines();
    let parsed: Vec<_> = lines(text).collect();
    for (at, line) in parsed.iter().enumerate() {
        let source = rest.by_ref().find(|source| lines(source).next().is_some()).unwrap_or_default();
        out.push_str(&format!("{source}\n"));
        let inner =
            parsed.get(at + 1).filter(|next| line.opens && next.indent > line.indent && !next.is_item);
        let indents = [line.is_item.then_some(line.indent), inner.map(|next| next.indent)];
        for indent in indents.into_iter().flatten() {
            // What belongs to the line itself must not come between: the stranger of an item stands after it.
            if !(line.is_item && line.opens) {
                out.push_str(&format!("{:indent$}{STRANGER}: 0\n", ""));
            }
        }
    }
    out
}

/// The keys of each map in a text.
fn present(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut maps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut path: Vec<(usize, &str)> = Vec::new();
    for line in lines(text) {
        path.retain(|(indent, _)| *indent < line.indent);
        let map: Vec<_> = path.iter().map(|(_, key)| *key).collect();
        maps.entry(general(&map.join("."))).or_default().insert(line.key.to_owned());
        path.push((line.indent, line.key));
    }
    maps
}

/// The keys that the readers know of each map, as their complaints about the stranger tell them.
fn known(complaints: &str) -> BTreeMap<String, BTreeSet<String>> {
    let stranger = format!("{STRANGER}: unknown key `{STRANGER}`; known here: ");
    let told = complaints.lines().filter_map(|line| line.split_once(&stranger));
    told.map(|(place, keys)| {
        let map = place.rsplit(": ").next().unwrap_or_default().trim_end_matches('.');
        (general(map), keys.split(", ").map(str::to_owned).collect())
    })
    .collect()
}

/// A map's path without the places in lists and the names of services and receivers.
fn general(path: &str) -> String {
    let mut parts: Vec<&str> =
        path.split('.').map(|part| part.split('[').next().unwrap_or_default()).collect();
    for at in 1..parts.len() {
        if NAMED.contains(&parts[at - 1]) {
            parts[at] = "*";
        }
    }
    parts.join(".")
}

mod shown_to_work {
    use super::{known, present, uncommented, with_strangers, without};

    const TEXT: &str =
        "# text\na: 1  # text\nlist:\n  - name: x\n    kind:\n      y: 2\nservices:\n  one:\n    k: 3\n";

    #[test]
    fn keys_behind_a_mark_are_told_from_text() {
        for (line, expected) in [
            ("#a: 1", "a: 1"),
            ("  #- b: 2", "  - b: 2"),
            ("# text: x", "# text: x"),
            ("c: 3  # x", "c: 3  # x"),
        ] {
            assert_eq!(uncommented(line), expected);
        }
    }

    #[test]
    fn one_of_the_stores_is_left_out_and_nothing_else() {
        let text =
            "a:\n  one:\n    b: 1\nstore:\n  one:\n    b: 1\n\n  two:\n    c: 2\nrest:\n  one:\n    d: 3\n";
        let expected = "a:\n  one:\n    b: 1\nstore:\n  two:\n    c: 2\nrest:\n  one:\n    d: 3\n";
        assert_eq!(without(text, "one"), expected);
        assert_eq!(without(text, "none"), text);
    }

    #[test]
    fn each_map_gets_one_stranger() {
        let expected = "Z: 0\na: 1  # text\nlist:\n  - name: x\n    Z: 0\n    kind:\n      Z: 0\n      y: 2\n\
                        services:\n  Z: 0\n  one:\n    Z: 0\n    k: 3\n";
        assert_eq!(with_strangers(TEXT), expected.replace('Z', super::STRANGER));
    }

    #[test]
    fn what_is_present_and_what_is_known_have_the_same_paths() {
        let maps = present(TEXT);
        let paths: Vec<_> = maps.keys().map(String::as_str).collect();
        assert_eq!(paths, ["", "list", "list.kind", "services", "services.*"]);
        let z = super::STRANGER;
        let complaints = format!(
            "f.yaml:1: {z}: unknown key `{z}`; known here: a, list\nf.yaml:4: list[0].kind.{z}: unknown key `{z}`; known here: y\n\
             f.yaml:9: services.one.{z}: unknown key `{z}`; known here: k, l\n"
        );
        let known = known(&complaints);
        assert_eq!(known.keys().map(String::as_str).collect::<Vec<_>>(), ["", "list.kind", "services.*"]);
        assert!(known["services.*"].contains("l") && maps["list.kind"].contains("y"));
    }
}
