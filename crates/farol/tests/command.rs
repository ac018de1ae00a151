//! The real command: its exit codes, its streams, and its manners towards a pipe.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn farol(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farol"));
    command.args(args).stdin(Stdio::null()).env_remove("RUST_BACKTRACE").env_remove("NO_COLOR");
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = farol(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

/// A file with one check of a port, which is open or not.
fn file(open: bool, required: bool) -> (tempfile::NamedTempFile, Option<TcpListener>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(
        file,
        "agent: {{checks: [{{name: door, required: {required}, tcp: {{address: \"{address}\"}}}}]}}"
    )
    .unwrap();
    (file, open.then_some(listener))
}

#[test]
fn check_says_by_its_code_what_it_found() {
    for (open, required, expected) in [(true, true, 0), (false, false, 1), (false, true, 2)] {
        let (file, _open) = file(open, required);
        let (code, out, err) = run(&["check", "--config", file.path().to_str().unwrap()]);
        assert_eq!(code, expected, "{out}{err}");
        assert!(out.contains("door") && err.is_empty(), "{out}{err}");
        assert!(!out.contains('\u{1b}'), "no colour in a pipe: {out}");
    }
}

#[test]
fn wrong_words_and_wrong_files_end_with_64_and_a_clear_line() {
    let mut bad = tempfile::NamedTempFile::new().unwrap();
    bad.write_all(b"agent:\n  checks:\n    - {name: x, intervall: 5s, disk: {}}\n").unwrap();
    let bad = bad.path().to_str().unwrap();
    for (args, words) in [
        (&["chekc"][..], "unrecognized"),
        (&["check", "--timeout", "5"], "`5s`"),
        (&["healthcheck", "localhost"], "http://127.0.0.1:8501/health"),
        (&["status", "--url", "nowhere"], "invalid value"),
        (&["check", "--config", "/nonexistent/farol.yaml"], "/nonexistent/farol.yaml"),
        (
            &["check", "--config", bad],
            ":3: agent.checks[0].intervall: unknown key `intervall`; did you mean `interval`?",
        ),
    ] {
        let (code, out, err) = run(args);
        assert_eq!(code, 64, "{args:?}: {out}{err}");
        assert!(err.contains(words) && out.is_empty(), "{args:?}: {out}{err}");
    }
}

#[test]
fn healthcheck_is_0_or_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let (code, out, _) = run(&["healthcheck", &url]);
    assert_eq!(code, 1);
    assert!(out.starts_with("unhealthy: ") && out.lines().count() == 1, "{out}");
}

#[test]
fn help_version_and_completions_go_to_standard_output_with_0() {
    let version = format!("farol {}\n", env!("CARGO_PKG_VERSION"));
    for (args, words) in [
        (&["--help"][..], "Exit codes:"),
        (&["-h"], "farol --help"),
        (&["--version"], version.as_str()),
        (&["completions", "bash"], "complete -F _farol"),
        (&["completions", "zsh"], "#compdef farol"),
        (&["completions", "fish"], "complete -c farol"),
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        assert!(out.contains(words), "{args:?}: {out}");
    }
}

#[test]
fn a_reader_who_closes_the_pipe_is_no_failure() {
    let mut child =
        farol(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn an_output_that_cannot_be_written_is_told() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = farol(&["completions", "bash"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("farol: the output cannot be written: "), "{text}");
}
