//! Which crate may use which: the table in `ARCHITECTURE.md` against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{assert_none, read, run};

/// Package → the packages it uses, or may use.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// Two halves that must not know of each other even through a third crate.
const APART: [(&str, &str); 2] = [("farol-agent", "farol-monitor"), ("farol-monitor", "farol-agent")];

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let allowed = table(&read("ARCHITECTURE.md"));
    assert!(allowed.len() > 5, "the table of edges was not found in ARCHITECTURE.md");
    assert_none(&problems(&allowed, &actual(&metadata(), &["normal", "build"])));
}

#[test]
fn agent_and_monitor_never_depend_on_each_other() {
    let edges = actual(&metadata(), &["normal", "build", "dev"]);
    assert!(edges.contains_key("farol-agent") && edges.contains_key("farol-monitor"));
    assert_none(&apart_problems(&edges));
}

fn metadata() -> Value {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"];
    serde_json::from_str(&run(env!("CARGO"), &arguments)).expect("cargo prints JSON")
}

/// The edges between members of the workspace.
fn actual(metadata: &Value, kinds: &[&str]) -> Edges {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let uses = |package: &Value| {
        let edges = list(&package["dependencies"]).into_iter().filter(|edge| {
            edge["path"].is_string() && kinds.contains(&edge["kind"].as_str().unwrap_or("normal"))
        });
        edges.filter_map(|edge| text(&edge["name"])).collect()
    };
    list(&metadata["packages"])
        .iter()
        .filter_map(|package| Some((text(&package["name"])?, uses(package))))
        .collect()
}

/// Rows of the table whose last column is `may use`; `all` means every package of the table.
fn table(architecture: &str) -> Edges {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in architecture.lines() {
        let cells: Vec<_> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            inside = false;
        } else if cells.last() == Some(&"may use") {
            inside = true;
        } else if inside && cells.len() == 4 && cells[1].starts_with('`') {
            rows.push((cells[1].trim_matches('`').to_owned(), cells[3].to_owned()));
        }
    }
    let all: BTreeSet<String> = rows.iter().map(|(package, _)| package.clone()).collect();
    let expand = |words: &str| match words {
        "all" => all.clone(),
        _ => words.split_whitespace().filter(|word| *word != "–").map(package).collect(),
    };
    rows.iter().map(|(package, words)| (package.clone(), expand(words))).collect()
}

/// The table names crates by their folders.
fn package(folder: &str) -> String {
    if folder == "farol" { folder.to_owned() } else { format!("farol-{folder}") }
}

fn problems(allowed: &Edges, actual: &Edges) -> Vec<String> {
    let mut problems = Vec::new();
    for package in allowed.keys().filter(|package| !actual.contains_key(*package)) {
        problems
            .push(format!("ARCHITECTURE.md has a row for {package}, which is no member of the workspace"));
    }
    for (package, uses) in actual {
        let Some(may) = allowed.get(package) else {
            problems.push(format!("{package} has no row in ARCHITECTURE.md's table of edges"));
            continue;
        };
        problems.extend(
            uses.difference(may).map(|used| format!("{package} uses {used}: no such edge in the table")),
        );
    }
    problems
}

fn apart_problems(edges: &Edges) -> Vec<String> {
    let reaches = |(from, to): &(&str, &str)| reachable(edges, from).contains(*to);
    let apart = APART.iter().filter(|pair| reaches(pair));
    apart.map(|(from, to)| format!("{from} depends on {to}, directly or through another crate")).collect()
}

fn reachable(edges: &Edges, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(package) = next.pop() {
        for used in edges.get(&package).into_iter().flatten() {
            if seen.insert(used.clone()) {
                next.push(used.clone());
            }
        }
    }
    seen
}

mod shown_to_fail {
    use super::{Edges, actual, apart_problems, problems, table};

    fn edges(rows: &[(&str, &[&str])]) -> Edges {
        rows.iter()
            .map(|(package, uses)| {
                ((*package).to_owned(), uses.iter().map(|used| (*used).to_owned()).collect())
            })
            .collect()
    }

    const TABLE: &str = "| folder | package | decides | may use |\n|---|---|---|---|\n\
        | `crates/a` | `farol-a` | x | – |\n| `crates/farol` | `farol` | y | a |\n| `tests` | `farol-tests` | z | all |\n\n\
        | no | `farol-b` | edges | a |\n";

    #[test]
    fn the_table_is_read() {
        let expected = edges(&[
            ("farol-a", &[]),
            ("farol", &["farol-a"]),
            ("farol-tests", &["farol-a", "farol", "farol-tests"]),
        ]);
        assert_eq!(table(TABLE), expected);
    }

    #[test]
    fn an_edge_beyond_the_table_a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        let allowed = table(TABLE);
        let fine = edges(&[("farol-a", &[]), ("farol", &["farol-a"]), ("farol-tests", &["farol"])]);
        assert_eq!(problems(&allowed, &fine), Vec::<String>::new());
        let wrong = edges(&[("farol-a", &["farol"]), ("farol-c", &[]), ("farol", &[])]);
        let found = problems(&allowed, &wrong).join("; ");
        for expected in ["row for farol-tests", "farol-a uses farol:", "farol-c has no row"] {
            assert!(found.contains(expected), "{expected} in {found}");
        }
    }

    #[test]
    fn a_way_from_agent_to_monitor_is_found() {
        let wrong =
            edges(&[("farol-agent", &["farol-x"]), ("farol-x", &["farol-monitor"]), ("farol-monitor", &[])]);
        assert_eq!(apart_problems(&wrong).len(), 1);
        assert_eq!(apart_problems(&edges(&[("farol-agent", &[]), ("farol-monitor", &[])])).len(), 0);
    }

    #[test]
    fn only_members_and_the_asked_kinds_are_edges() {
        let metadata = serde_json::json!({"packages": [{"name": "farol", "dependencies": [
            {"name": "farol-a", "path": "/x", "kind": null}, {"name": "farol-b", "path": "/x", "kind": "dev"},
            {"name": "farol-c", "path": "/x", "kind": "build"}, {"name": "serde", "kind": null}]}]});
        assert_eq!(actual(&metadata, &["normal", "build"]), edges(&[("farol", &["farol-a", "farol-c"])]));
    }
}
