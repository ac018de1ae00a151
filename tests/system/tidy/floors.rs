//! Versions below which a library is known to be broken for us.

use super::{assert_none, read};

/// Package in `Cargo.lock`, least version, why.
const FLOORS: [(&str, &str, &str); 2] = [
    ("libsqlite3-sys", "0.37.0", "it bundles SQLite 3.51.3; earlier ones can corrupt a write-ahead log"),
    ("tonic", "0.14.3", "earlier ones bound a compressed message only by its compressed size"),
];

#[test]
fn locked_versions_are_not_below_their_floors() {
    assert_none(&problems(&read("Cargo.lock"), &FLOORS));
}

fn problems(lock: &str, floors: &[(&str, &str, &str)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (package, floor, why) in floors {
        let versions = locked(lock, package);
        if versions.is_empty() {
            problems.push(format!("{package} is not in Cargo.lock; is its floor still needed?"));
        }
        for version in versions.iter().filter(|version| number(version) < number(floor)) {
            problems.push(format!("{package} {version} is below {floor}: {why}"));
        }
    }
    problems
}

fn locked(lock: &str, package: &str) -> Vec<String> {
    let opening = format!("name = \"{package}\"\nversion = \"");
    let versions = lock.split(&opening).skip(1).filter_map(|rest| rest.split('"').next());
    versions.map(str::to_owned).collect()
}

/// Compared part by part; what is no number counts as 0, so that a pre-release of the floor passes and no more.
fn number(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).take(3).map(|part| part.parse().unwrap_or_default()).collect()
}

mod shown_to_fail {
    use super::problems;

    #[test]
    fn a_version_below_its_floor_and_a_floor_for_nothing_are_found() {
        let lock = "[[package]]\nname = \"tonic\"\nversion = \"0.14.2\"\n\n[[package]]\nname = \"tonic\"\nversion = \"0.15.0\"\n\n\
            [[package]]\nname = \"tonic-prost\"\nversion = \"0.1.0\"\n";
        let floor = |package, version| problems(lock, &[(package, version, "broken")]);
        assert_eq!(floor("tonic", "0.14.2"), Vec::<String>::new());
        assert_eq!(floor("tonic", "0.14.3"), ["tonic 0.14.2 is below 0.14.3: broken"]);
        assert_eq!(floor("tonic", "0.14.10").len(), 1, "compared as numbers");
        assert_eq!(floor("tonic-prost", "0.14.3").len(), 1);
        assert!(floor("axum", "0.8.0")[0].contains("not in Cargo.lock"));
    }
}
