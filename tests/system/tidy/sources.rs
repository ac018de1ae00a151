//! How Rust files are named, opened and sized, and who may end the process.

use super::{File, assert_none, files};

/// Longer files that have a reason: path, reason.
const LONG: [(&str, &str); 0] = [];
const MAX_LINES: usize = 500;
const P90_LINES: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["mod", "util", "utils", "helper", "helpers", "common", "types", "core"];

/// A crate's first line when its documentation is its README.
const README: &str = r#"#![doc = include_str!("../README.md")]"#;

/// Split so that this file does not hold it.
const EXIT: &str = concat!("process::", "exit");

fn rust_files() -> Vec<File> {
    files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

#[test]
fn each_file_opens_with_what_it_decides() {
    assert_none(&header_problems(&rust_files()));
}

#[test]
fn names_say_what_is_inside() {
    assert_none(&name_problems(&rust_files()));
}

#[test]
fn files_are_short() {
    assert_none(&size_problems(&rust_files(), &LONG));
}

#[test]
fn only_main_and_the_supervisor_end_the_process() {
    assert_none(&exit_problems(&rust_files()));
}

fn header_problems(files: &[File]) -> Vec<String> {
    let silent = |file: &&File| {
        let first = file.text.lines().next().unwrap_or_default();
        let says = first.strip_prefix("//! ").is_some_and(|text| !text.trim().is_empty());
        !says && first != README
    };
    files.iter().filter(silent).map(|file| format!("{}: does not open with `//! …`", file.path)).collect()
}

fn name_problems(files: &[File]) -> Vec<String> {
    let empty = |file: &&File| {
        file.path.split('/').any(|part| EMPTY_NAMES.contains(&part.strip_suffix(".rs").unwrap_or(part)))
    };
    files.iter().filter(empty).map(|file| format!("{}: a name that says nothing", file.path)).collect()
}

fn size_problems(files: &[File], long: &[(&str, &str)]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        let excused = long.iter().any(|(path, _)| *path == file.path);
        if lines > MAX_LINES && !excused {
            problems.push(format!("{}: {lines} lines, over {MAX_LINES}; split it", file.path));
        }
        if lines <= MAX_LINES && excused {
            problems.push(format!("{}: {lines} lines; take it off the list of long files", file.path));
        }
        sizes.push(lines);
    }
    for (path, reason) in long {
        if reason.is_empty() || !files.iter().any(|file| file.path == *path) {
            problems.push(format!("{path}: on the list of long files without a reason or without existing"));
        }
    }
    sizes.sort_unstable();
    let p90 = sizes.get(sizes.len() * 9 / 10).copied().unwrap_or_default();
    if p90 > P90_LINES {
        problems.push(format!("one file in ten has over {p90} lines; at most {P90_LINES}"));
    }
    problems
}

fn exit_problems(files: &[File]) -> Vec<String> {
    let allowed = |file: &File| file.name() == "main.rs" || file.path.starts_with("crates/shutdown/");
    files
        .iter()
        .filter(|file| file.text.contains(EXIT) && !allowed(file))
        .map(|file| format!("{}: mentions {EXIT}; return an exit code to main", file.path))
        .collect()
}

mod shown_to_fail {
    use super::{EXIT, File, README, exit_problems, header_problems, name_problems, size_problems};

    fn sized(path: &str, lines: usize) -> File {
        File::of(path, &"x\n".repeat(lines))
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        for (text, count) in [
            ("//! Says it.\n", 0),
            (README, 0),
            ("use std;\n//! Late.\n", 1),
            ("//!\n", 1),
            ("", 1),
            ("// no\n", 1),
        ] {
            assert_eq!(header_problems(&[File::of("a.rs", text)]).len(), count, "{text:?}");
        }
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        for (path, count) in [
            ("crates/a/src/fleet.rs", 0),
            ("crates/a/src/encode.rs", 0),
            ("crates/a/src/fleet/mod.rs", 1),
            ("crates/a/src/utils.rs", 1),
            ("crates/core/src/lib.rs", 1),
        ] {
            assert_eq!(name_problems(&[File::of(path, "")]).len(), count, "{path}");
        }
    }

    #[test]
    fn long_files_and_stale_excuses_are_found() {
        let short = || (0..20).map(|_| sized("short.rs", 100));
        let with = |path, lines| short().chain([sized(path, lines)]).collect::<Vec<_>>();
        assert_eq!(size_problems(&with("a.rs", 500), &[]).len(), 0);
        assert_eq!(size_problems(&with("a.rs", 501), &[]).len(), 1);
        assert_eq!(size_problems(&with("a.rs", 501), &[("a.rs", "a table")]).len(), 0);
        assert_eq!(size_problems(&with("a.rs", 501), &[("a.rs", "")]).len(), 1);
        assert_eq!(size_problems(&with("a.rs", 500), &[("a.rs", "a table")]).len(), 1);
        assert_eq!(size_problems(&with("a.rs", 10), &[("gone.rs", "a table")]).len(), 1);
        let many: Vec<_> =
            (0..18).map(|_| sized("a.rs", 10)).chain([sized("b.rs", 450), sized("c.rs", 450)]).collect();
        assert!(size_problems(&many, &[])[0].starts_with("one file in ten has over 450"));
    }

    #[test]
    fn an_exit_elsewhere_is_found() {
        let text = format!("std::{EXIT}(1);");
        for (path, count) in [
            ("crates/agent/src/main.rs", 0),
            ("crates/shutdown/src/supervisor.rs", 0),
            ("crates/agent/src/lib.rs", 1),
            ("crates/agent/src/domain.rs", 1),
        ] {
            assert_eq!(exit_problems(&[File::of(path, &text)]).len(), count, "{path}");
        }
    }
}
