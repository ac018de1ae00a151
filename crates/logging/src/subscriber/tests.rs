//! Events and spans become lines: what is inherited, what is kept, and that no text can forge a record.

mod forged;

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::Value;
use tracing::dispatcher::with_default;

use crate::memory::Memory;
use crate::{Config, Format, dispatch};

fn log(format: Format, level: &str, act: impl FnOnce()) -> Memory {
    let memory = Memory::default();
    let config = Config { format, level: level.parse().unwrap(), ..Config::default() };
    let (dispatch, guard) = dispatch(&config, memory.clone()).unwrap();
    with_default(&dispatch, act);
    drop(guard);
    memory
}

fn messages(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["message"].as_str().unwrap()).collect()
}

#[test]
fn fields_of_the_event_and_of_all_spans_are_on_the_line_and_the_inner_one_wins() {
    let records = log(Format::Json, "info", || {
        let outer = tracing::info_span!("outer", agent.id = "a", depth = 1, later = tracing::field::Empty);
        let _outer = outer.enter();
        let _inner = tracing::info_span!("inner", depth = 2, correlation_id = "c-1").entered();
        outer.record("later", 7);
        outer.record("agent.id", "b");
        tracing::info!(bytes = u64::MAX, ok = true, r#type = "x", "sent");
    })
    .records();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    for (key, expected) in [
        ("message", Value::from("sent")),
        ("level", "INFO".into()),
        ("target", module_path!().into()),
        ("correlation_id", "c-1".into()),
        ("agent.id", "b".into()),
        ("depth", 2.into()),
        ("later", 7.into()),
        ("bytes", u64::MAX.into()),
        ("ok", true.into()),
        ("type", "x".into()),
    ] {
        assert_eq!(record[key], expected, "{key} in {record}");
    }
    let at = record["timestamp"].as_str().unwrap();
    assert!(at.len() == 24 && at.ends_with('Z') && at.parse::<jiff::Timestamp>().is_ok(), "{at}");
}

#[test]
fn levels_keep_what_they_say() {
    let events = || {
        tracing::debug!("debug");
        tracing::info!(critical = true, "info");
        tracing::warn!("warning");
        tracing::error!("error");
        tracing::error!(critical = true, "critical");
    };
    let all = ["debug", "info", "warning", "error", "critical"];
    for (level, from) in
        [("trace", 0), ("debug", 0), ("info", 1), ("warning", 2), ("error", 3), ("critical", 4)]
    {
        let records = log(Format::Json, level, events).records();
        assert_eq!(messages(&records), all[from..], "{level}");
        assert_eq!(records.last().unwrap()["level"], "CRITICAL");
    }
}

#[test]
fn a_record_of_the_log_crate_keeps_its_own_target() {
    let records = log(Format::Json, "info", || {
        tracing::info!(target: "log", { log.target = "rustls", log.file = "a.rs", log.line = 5 }, "bridged");
    })
    .records();
    assert_eq!(records[0]["target"], "rustls");
    assert_eq!(records[0].as_object().unwrap().len(), 4, "{}", records[0]);
}

#[test]
fn an_error_is_told_with_its_sources() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read")]
    struct Outer(#[source] std::io::Error);
    let records = log(Format::Json, "info", || {
        let error = Outer(std::io::Error::other("disk\nis gone"));
        tracing::warn!(error = &error as &dyn std::error::Error, "failed");
    })
    .records();
    assert_eq!(records[0]["error"], "cannot read: disk\nis gone");
}

#[test]
fn a_value_that_logs_while_it_is_formatted_is_no_deadlock() {
    struct Talkative;
    impl std::fmt::Debug for Talkative {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!("from within");
            f.write_str("done")
        }
    }
    let records = log(Format::Json, "info", || {
        let span = tracing::info_span!("span", value = tracing::field::Empty);
        span.in_scope(|| {
            span.record("value", tracing::field::debug(Talkative));
            tracing::info!(own = ?Talkative, "outer");
        });
    })
    .records();
    let outer = records.iter().find(|record| record["message"] == "outer").unwrap();
    assert_eq!((&outer["value"], &outer["own"]), (&"done".into(), &"done".into()));
}

#[test]
fn a_panic_is_one_critical_record() {
    let records = log(Format::Json, "critical", || {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(super::log_panic));
        let panicked = std::panic::catch_unwind(|| panic!("lost\nall {}", 1));
        std::panic::set_hook(before);
        assert!(panicked.is_err());
    })
    .records();
    assert_eq!(messages(&records), ["panicked: lost\nall 1"]);
    assert_eq!(records[0]["level"], "CRITICAL");
    assert!(records[0]["panic.location"].as_str().unwrap().contains("tests.rs:"));
}

fn any_text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "\r\n",
        "\n{\"level\":\"CRITICAL\",\"message\":\"forged\"}\n",
        "\u{1b}[2K\u{1b}[31m",
        "\u{9b}",
        "\0",
        "\u{2028}\u{2029}\u{85}",
        "\u{202e}",
        "\"}",
        "\\",
        "\\u0000",
        " level=ERROR ",
    ]);
    let character = any::<char>().prop_map(String::from);
    prop::collection::vec(prop_oneof![hostile.prop_map(str::to_owned), character], 0..12)
        .prop_map(|pieces| pieces.concat())
}

fn log_everywhere(
    format: Format,
    id: &str,
    [message, field, shown, debugged, span, later]: &[String; 6],
) -> String {
    log(format, "info", || {
        let _request = tracing::info_span!("request", correlation_id = id).entered();
        let outer =
            tracing::info_span!("outer", span = span.as_str(), later = tracing::field::Empty).entered();
        outer.record("later", later.as_str());
        tracing::info!(field = field.as_str(), shown = %shown, debugged = ?debugged, "{message}");
    })
    .text()
}

proptest! {
    #[test]
    fn any_text_anywhere_is_one_line_of_json_that_decodes_to_it(
        texts in prop::array::uniform6(any_text()), id in any_text(),
    ) {
        let text = log_everywhere(Format::Json, &id, &texts);
        let line = text.strip_suffix('\n').unwrap();
        prop_assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{line:?}");
        let record: Value = serde_json::from_str(line).unwrap();
        let [message, field, shown, debugged, span, later] = &texts;
        let debugged = format!("{debugged:?}");
        for (key, expected) in [
            ("message", message), ("field", field), ("shown", shown), ("debugged", &debugged), ("span", span),
            ("later", later), ("correlation_id", &id),
        ] {
            prop_assert_eq!(record[key].as_str(), Some(expected.as_str()), "{}", key);
        }
        prop_assert_eq!(record["level"].as_str(), Some("INFO"));
        prop_assert_eq!(record.as_object().unwrap().len(), 10);
    }

    #[test]
    fn any_text_anywhere_is_one_line_of_text_without_control_characters(
        texts in prop::array::uniform6(any_text()), id in any_text(),
    ) {
        let text = log_everywhere(Format::Text, &id, &texts);
        let line = text.strip_suffix('\n').unwrap();
        prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        prop_assert_eq!(text.lines().count(), 1);
        prop_assert!(line.contains(" INFO     "));
    }
}
