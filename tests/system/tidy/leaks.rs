//! Nothing of one machine or of one package registry stands in a committed file.

use super::{File, assert_none, files};

/// Each pattern is split so that this file does not hold it.
const HOSTS: [&str; 8] = [
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("deb.debian", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("registry-1.docker", ".io"),
];

/// Absolute folders that exist on the author's machine only.
const FOLDERS: [&str; 4] =
    [concat!("/", "work"), concat!("/", "root"), concat!("/", "home"), concat!("/", "Users")];

#[test]
fn no_file_names_a_registry_or_a_path_of_one_machine() {
    // Cargo writes its registry into its lock files, and no one else does.
    let written: Vec<_> = files().into_iter().filter(|file| file.name() != "Cargo.lock").collect();
    assert_none(&problems(&written));
}

fn problems(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let host = HOSTS.iter().find(|host| line.contains(*host));
            let folder = FOLDERS.iter().find(|folder| names_folder(line, folder));
            for found in host.into_iter().chain(folder) {
                problems.push(format!("{}:{}: names {found}", file.path, number + 1));
            }
        }
    }
    problems
}

/// `folder` followed by a deeper part, and not itself a deeper part of something else.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let mut after = line[at + folder.len()..].chars();
        let starts =
            before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-' | '/' | '}' | '>'));
        starts && after.next() == Some('/') && after.next().is_some_and(|c| c.is_alphanumeric() || c == '.')
    })
}

mod shown_to_fail {
    use super::{File, HOSTS, problems};

    #[test]
    fn hosts_and_machine_paths_are_found_with_their_lines() {
        let (work, home) = (concat!("/", "work"), concat!("/", "home"));
        for (text, count) in [
            (format!("fine\ncd {work}/main"), 1),
            (format!("\"{home}/ana/farol\""), 1),
            (work.to_owned(), 0),
            (format!("docs{work}/plan.md"), 0),
            (format!("{work}ers/x"), 0),
            (format!("see https://index.{}/x", HOSTS[0]), 1),
            (format!("files.{}", HOSTS[4]), 1),
            ("/usr/lib/postgresql /tmp/x".to_owned(), 0),
        ] {
            assert_eq!(problems(&[File::of("a", &text)]).len(), count, "{text}");
        }
        let found = problems(&[File::of("a.rs", &format!("x\n{work}/main"))]);
        assert_eq!(found, [format!("a.rs:2: names {work}")]);
    }
}
