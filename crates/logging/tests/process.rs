//! The log of a whole process: this test starts itself again as a child and reads its standard error.

use std::process::{Command, Stdio};

/// Tells the child which part it plays.
const PART: &str = "FAROL_LOGGING_TEST_PART";

fn child(part: &str, format: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
    command.args(["--exact", "the_child", "--nocapture", "--test-threads=1"]);
    command.env(PART, part).env("LOG_FORMAT", format).env("LOG_LEVEL", "info").env("LOG_REPEATS", "0");
    command
}

/// Does nothing when the whole file is run; as a child it logs and panics.
#[test]
fn the_child() {
    let Ok(part) = std::env::var(PART) else { return };
    let config = farol_logging::Config::from_env(|name| std::env::var(name).ok()).unwrap();
    let guard = farol_logging::init(config.clone()).unwrap();
    let twice = farol_logging::init(config).unwrap_err();
    assert!(twice.to_string().contains("once"), "{twice}");
    let _span = tracing::info_span!("request", correlation_id = "c-1").entered();
    tracing::info!(agent.id = "a\nb", "first");
    let panicked = std::thread::spawn(|| panic!("lost\nall")).join();
    assert!(panicked.is_err());
    for number in 0..200 {
        tracing::info!(number, "last");
    }
    drop(guard);
    assert_eq!(part, "speak");
}

#[test]
fn each_line_of_standard_error_is_a_record_and_the_last_one_arrives() {
    let output = child("speak", "structured").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(records.len(), 202, "{text}");
    assert_eq!((&records[0]["agent.id"], &records[0]["correlation_id"]), (&"a\nb".into(), &"c-1".into()));
    assert_eq!(
        (&records[1]["level"], &records[1]["message"]),
        (&"CRITICAL".into(), &"panicked: lost\nall".into())
    );
    assert_eq!(records[201]["number"], 199);
}

#[test]
fn what_repeats_is_counted_and_told_at_the_end_at_the_latest() {
    let output = child("speak", "json").env("LOG_REPEATS", "10").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let records: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last: Vec<_> = records.iter().filter(|record| record["message"] == "last").collect();
    let told: u64 = last.iter().filter_map(|record| record["repeated"].as_u64()).sum();
    let written = last.iter().filter(|record| record.get("repeated").is_none()).count() as u64;
    assert_eq!(written + told, 200, "{text}");
    assert!(written >= 10 && told >= 1, "{text}");
}

#[test]
fn a_pipe_is_given_text_without_colour() {
    let output = child("speak", "text").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 202, "{text}");
    assert!(text.lines().all(|line| !line.contains(char::is_control)), "{text}");
    assert!(text.lines().next().unwrap().ends_with(r#"first agent.id="a\nb" correlation_id=c-1"#), "{text}");
}

#[test]
fn a_process_whose_standard_error_is_closed_lives_on() {
    let mut child = child("speak", "json").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
}
