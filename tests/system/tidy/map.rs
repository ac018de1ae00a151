//! `ARCHITECTURE.md` names every crate and top-level folder, and only paths that exist.

use std::collections::BTreeSet;

use super::{assert_none, files, read};

#[test]
fn the_map_names_every_folder_and_every_path_in_it_exists() {
    let paths: Vec<String> = files().into_iter().map(|file| file.path).collect();
    assert_none(&problems(&read("ARCHITECTURE.md"), &paths));
}

fn problems(architecture: &str, paths: &[String]) -> Vec<String> {
    let named = paths_in(architecture);
    let mut problems = Vec::new();
    for folder in folders(paths) {
        let inside = format!("{folder}/");
        if !named.iter().any(|path| *path == folder || path.starts_with(&inside)) {
            problems.push(format!("ARCHITECTURE.md does not name `{folder}`"));
        }
    }
    for path in named.iter().filter(|path| !exists(path, paths)) {
        problems.push(format!("ARCHITECTURE.md names `{path}`, which does not exist"));
    }
    problems
}

/// Top-level folders and crates.
fn folders(paths: &[String]) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let parts: Vec<_> = path.split('/').collect();
        match parts.as_slice() {
            ["crates", name, _, ..] => folders.insert(format!("crates/{name}")),
            [top, _, ..] => folders.insert((*top).to_owned()),
            _ => false,
        };
    }
    folders
}

/// What stands in back-ticks and looks like a path. HTTP routes begin with `/`, gRPC names have a dot in their
/// first part.
fn paths_in(text: &str) -> Vec<String> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|span| is_path(span)).map(|span| span.trim_end_matches('/').to_owned()).collect()
}

fn is_path(span: &str) -> bool {
    let spelled = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    let file = [".rs", ".toml", ".md", ".proto", ".yaml"].iter().any(|ending| span.ends_with(ending));
    let first = span.split('/').next().unwrap_or_default();
    let folder = span.contains('/') && !first.is_empty() && !first[1..].contains('.');
    spelled && (file || folder)
}

/// A bare file name, such as `main.rs`, stands for all files of that name.
fn exists(path: &str, paths: &[String]) -> bool {
    let inside = format!("{path}/");
    let named = format!("/{path}");
    paths.iter().any(|known| known == path || known.starts_with(&inside))
        || (!path.contains('/') && paths.iter().any(|known| known.ends_with(&named)))
}

mod shown_to_fail {
    use super::{is_path, problems};

    fn paths() -> Vec<String> {
        ["crates/health/src/lib.rs", "crates/health/src/main.rs", "scripts/test", ".ci/run", "clippy.toml"]
            .map(str::to_owned)
            .into()
    }

    #[test]
    fn a_folder_that_is_not_named_and_a_path_that_is_gone_are_found() {
        let fine =
            "`crates/health/src/lib.rs` `scripts/` `.ci/run` `main.rs` `clippy.toml` `/health` `a.v1.B/C`";
        assert_eq!(problems(fine, &paths()), Vec::<String>::new());
        let wrong = "`crates/health/src/gone.rs` `scripts/test` `deploy/` `deny.toml` .ci/run";
        let found = problems(wrong, &paths()).join("; ");
        for expected in
            ["not name `.ci`", "`crates/health/src/gone.rs`, which", "`deploy`, which", "`deny.toml`, which"]
        {
            assert!(found.contains(expected), "{expected} in {found}");
        }
        assert!(problems("`scripts/test` `.ci/run`", &paths()).join("").contains("not name `crates/health`"));
    }

    #[test]
    fn code_is_told_from_paths() {
        for (span, path) in [
            ("crates/wire", true),
            (".ci/run", true),
            ("main.rs", true),
            ("farol-agent", false),
            ("/health/ready", false),
            ("farol.v1.Fleet/Stream", false),
            ("<service>/<component>", false),
            ("health+json", false),
        ] {
            assert_eq!(is_path(span), path, "{span}");
        }
    }
}
