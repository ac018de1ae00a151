//! What must hold for the repository as a whole: edges between crates, the map in `ARCHITECTURE.md`, sizes,
//! names and headers of files, versions, scripts, and nothing of one machine in a committed file.
//! Each rule is a pure function that gives problems, and is shown to give them.

use std::path::{Path, PathBuf};
use std::process::Command;

mod edges;
mod floors;
mod leaks;
mod map;
mod scripts;
mod sources;

/// A file as git sees it: tracked, or new and not ignored.
struct File {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
    executable: bool,
}

impl File {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), executable: true }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package `tests` lies in the root").to_owned()
}

/// Every text file; binary ones have nothing to check.
fn files() -> Vec<File> {
    let output = run("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    output.split('\0').filter(|path| !path.is_empty()).filter_map(file).collect()
}

fn file(path: &str) -> Option<File> {
    use std::os::unix::fs::PermissionsExt as _;
    let on_disk = root().join(path);
    let executable = on_disk.metadata().ok()?.permissions().mode() & 0o111 != 0;
    Some(File { path: path.to_owned(), text: std::fs::read_to_string(on_disk).ok()?, executable })
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} failed: {errors}");
    String::from_utf8(output.stdout).expect("its output is UTF-8")
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
