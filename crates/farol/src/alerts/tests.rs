//! The commands about alerts against a monitor's answers, given by a thread of this process.

use crate::cli::Cli;
use crate::terminal::printed::Printed;
use crate::{Error, Found, Status};
use clap::Parser;
use farol_health::aggregate::Aggregate;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

/// One request: method, target, whether it showed the token, body.
#[derive(Debug, PartialEq, Eq)]
struct Asked(String, String, bool, String);

const ALERT: &str = r#"{"id":"3f0c000000000001","rule":"down","labels":{"alertname":"down","severity":"critical","service":"pay"},"severity":"critical","state":"firing","since":"2026-01-15T10:00:00Z","elements":{"count":2,"named":[]},"held_by":[],"muted":{"by":"silence s","author":"bob","reason":"x","until":"2999-01-15T12:00:00Z","others":2},"acknowledged":{"by":"ann","reason":"x"},"flapping":true,"stale":false,"annotations":{"summary":"pay is \u001b[31mdown"}}"#;

fn answer(method: &str, target: &str) -> (u16, String) {
    let path = target.split('?').next().unwrap_or_default();
    let list = |items: &str| format!(r#"{{"items":[{items}],"next":null}}"#);
    let warning = ALERT.replace("3f0c", "3f0d").replace("critical", "warning");
    match (method, path) {
        ("GET", "/api/v1/alerts") if target.contains("match=team%3Ax") => (200, list("")),
        ("GET", "/api/v1/alerts") if target.contains("match=team%3Ay") => (200, list(&warning)),
        ("GET", "/api/v1/alerts/down%7Bservice=%22pay%22%7D%237") => (200, ALERT.to_owned()),
        ("GET", "/api/v1/alerts") => (200, list(&format!("{warning},{ALERT}"))),
        ("POST", "/api/v1/alerts/3f0c000000000001/acknowledge") => (200, ALERT.to_owned()),
        ("POST", "/api/v1/silences") => {
            (200, r#"{"id":"s1","ends":"2026-01-15T12:00:00Z","mutes":{"whole":2,"partly":1}}"#.to_owned())
        }
        ("POST", "/api/v1/maintenance") => (
            503,
            r#"{"code":"not_recorded","detail":"it is in force, but the store has not taken it","id":"w1"}"#
                .to_owned(),
        ),
        ("GET", "/api/v1/maintenance/w1") => {
            (200, r#"{"id":"w1","active":true,"to":"2026-01-15T12:00:00Z","short":[{"service":"pay","up":1,"needed":2}]}"#.to_owned())
        }
        ("POST", "/api/v1/breakers/pay/open") => (200, r#"{"state":"open"}"#.to_owned()),
        ("POST", "/api/v1/breakers/pay/report") => (200, r#"{"state":"closed"}"#.to_owned()),
        ("POST", "/api/v1/breakers/pay/admit") => (200, r#"{"admission":"probe"}"#.to_owned()),
        ("POST", "/api/v1/breakers/shut/admit") => {
            (200, r#"{"admission":"denied","retry_after_ms":12400}"#.to_owned())
        }
        ("GET", "/api/v1/notifications") if target.contains("receiver=nobody") => {
            (404, r#"{"code":"unknown_receiver","detail":"there is no receiver `nobody`"}"#.to_owned())
        }
        ("GET", "/api/v1/notifications") if target.contains("state=dead&receiver=slow") => (200, list("")),
        ("GET", "/api/v1/notifications") if target.contains("receiver=full") => {
            (200, list(r#"{"id":"unkept"},{"id":"n0"}"#))
        }
        ("GET", "/api/v1/notifications") => (200, list(r#"{"id":"n2"},{"id":"n1"},{"id":"n0"}"#)),
        ("POST", "/api/v1/notifications/n0/resend") => (200, r#"{"id":"n0-r1"}"#.to_owned()),
        ("POST", "/api/v1/notifications/unkept/resend") => (
            503,
            r#"{"code":"not_recorded","detail":"it is in force, but the store has not taken it","id":"unkept-r1"}"#
                .to_owned(),
        ),
        ("POST", "/api/v1/notifications/n1/resend") => (200, r#"{"id":"n1-r1"}"#.to_owned()),
        ("GET", "/api/v1/why/component/a/pay/db") => {
            (200, r#"{"text":["first","  second\u001b[2J"]}"#.to_owned())
        }
        ("DELETE", _) => (204, String::new()),
        _ => (404, r#"{"code":"unknown","detail":"there is none"}"#.to_owned()),
    }
}

/// Runs a command line against the answers: what came of it, what was printed, and what was asked.
fn run(line: &[&str]) -> (Result<Found, Error>, String, Vec<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = String::new();
            let mut part = [0; 4_096];
            loop {
                let read = stream.read(&mut part).unwrap();
                text.push_str(std::str::from_utf8(&part[..read]).unwrap());
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break;
                }
            }
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let mut words = head.split(' ');
            let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            let (status, answer) = answer(&method, &target);
            let showed = head.contains("authorization: Bearer secret");
            if tell.send(Asked(method, target, showed, body.to_owned())).is_err() {
                return;
            }
            let head = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(format!("{head}{answer}").as_bytes()).unwrap();
        }
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("operator.token"), "secret\n").unwrap();
    let mut words: Vec<&str> = vec!["farol"];
    words.extend(line);
    words.extend(["--url", &url]);
    let data_dir = dir.path().to_str().unwrap();
    // Commands that only ask have no token.
    let operates = [&words[..], &["--data-dir", data_dir]].concat();
    let cli = Cli::try_parse_from(&operates).or_else(|_| Cli::try_parse_from(&words)).unwrap();
    let printed = Printed::default();
    let env = vec![("USER".into(), "bob".into())];
    let found = cli.command.unwrap().run(env, &mut printed.terminal());
    (found, printed.text(), asked.try_iter().collect())
}

#[test]
fn alerts_tells_by_its_code_how_bad_the_worst_is() {
    for (line, status) in [
        (&["alerts"][..], Status::Unhealthy),
        (&["alerts", "--match", "team:y"], Status::Degraded),
        (&["alerts", "--match", "team:x"], Status::Healthy),
    ] {
        let (found, text, _) = run(line);
        assert_eq!(found.unwrap(), Found::Status(Aggregate::Status(status)), "{line:?}: {text}");
    }
}

#[test]
fn alerts_are_listed_the_worst_first_and_cannot_colour_the_terminal() {
    let (_, text, asked) = run(&["alerts", "--all"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("critical") && lines[2].starts_with("warning"), "{text}");
    for word in [
        "down service=pay",
        "taken by ann, muted by silence s of bob for ",
        " and 2 more, flapping",
        "3f0c000000000001",
        "pay is  [31mdown",
    ] {
        assert!(lines[1].contains(word), "{word}: {text}");
    }
    assert!(asked[0].1.contains("state=all"), "{asked:?}");
    assert_eq!(run(&["alerts", "--match", "team:x"]).1, "Nothing fires.\n");
}

#[test]
fn an_alert_is_taken_by_the_beginning_of_its_id_and_signed_by_who_runs_the_command() {
    let (found, text, asked) = run(&["ack", "3f0c", "--reason", "disks", "--for", "2h"]);
    assert_eq!(found.unwrap(), Found::Fine);
    assert_eq!(text, "ann takes care of down service=pay.\n");
    let Asked(method, target, showed, body) = &asked[1];
    assert_eq!(
        (&**method, &**target, *showed),
        ("POST", "/api/v1/alerts/3f0c000000000001/acknowledge", true)
    );
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, serde_json::json!({"author": "bob", "reason": "disks", "lasts": "2h"}));
    assert!(!asked[0].2, "who only asks shows no token");
    let (found, _, asked) = run(&["ack", "3f0c", "--end"]);
    assert_eq!((found.unwrap(), &*asked[1].0), (Found::Fine, "DELETE"));
    let (found, _, asked) = run(&["ack", "down{service=\"pay\"}#7", "--reason", "disks"]);
    assert_eq!(found.unwrap(), Found::Fine, "{asked:?}");
    assert_eq!(asked[1].1, "/api/v1/alerts/3f0c000000000001/acknowledge");
}

#[test]
fn of_an_alert_that_ended_is_shown_for_how_long_it_fired_and_when_that_was() {
    let alert = serde_json::json!({
        "state": "ended", "ending": "recovered", "rule": "down", "severity": "critical",
        "since": "2026-01-15T10:00:00Z", "ended": "2026-01-15T10:03:00Z",
    });
    let row = super::row(&alert, "2026-01-15T10:04:40Z".parse().unwrap());
    assert_eq!((&*row[3], &*row[4]), ("3m 0s", "recovered 1m 40s ago"));
}

#[test]
fn an_alert_that_is_not_one_is_refused_with_the_ids_there_are() {
    for (wanted, words) in
        [("down", "3f0d000000000001"), ("3f0", "no alert is called"), ("none", "farol alerts --all")]
    {
        let error = run(&["ack", wanted, "--reason", "x"]).0.unwrap_err().to_string();
        assert!(error.contains(words), "{wanted}: {error}");
    }
}

#[test]
fn what_operators_want_is_sent_as_they_wrote_it() {
    let (_, text, asked) = run(&[
        "silence",
        "add",
        "service:pay",
        "pod:~web-.*",
        "--for",
        "2h",
        "--reason",
        "x",
        "--author",
        "ann",
    ]);
    assert_eq!(
        text,
        "Silence s1 until 2026-01-15T12:00:00Z. Alerts that fire and match it: 2, and 1 with some of their elements.\n"
    );
    let body: serde_json::Value = serde_json::from_str(&asked[0].3).unwrap();
    let expected = serde_json::json!({"match": {"service": "pay", "pod": "~web-.*"}, "author": "ann", "reason": "x", "lasts": "2h"});
    assert_eq!((body, asked[0].2), (expected, true));
    for (line, target) in [
        (&["silence", "end", "s/1"][..], "/api/v1/silences/s%2F1?author=bob"),
        (&["maintenance", "end", "w", "--author", "ann"], "/api/v1/maintenance/w?author=ann"),
        (&["breakers", "open", "pay", "--reason", "x"], "/api/v1/breakers/pay/open"),
        (&["breakers", "admit", "pay"], "/api/v1/breakers/pay/admit"),
        (&["breakers", "report", "pay", "--success"], "/api/v1/breakers/pay/report"),
        (&["notifications", "resend", "n1"], "/api/v1/notifications/n1/resend"),
    ] {
        let (found, _, asked) = run(line);
        assert_eq!((found.unwrap(), &*asked[0].1, asked[0].2), (Found::Fine, target, true));
    }
}

#[test]
fn a_call_that_is_not_to_be_made_is_not_taken_for_one_that_is() {
    let (found, text, _) = run(&["breakers", "admit", "shut"]);
    assert_eq!((found.unwrap(), &*text), (Found::NotAsExpected, "denied for 13 s\n"));
    let (_, _, asked) = run(&["breakers", "report", "pay", "--failure"]);
    assert_eq!(asked[0].3, r#"{"success":false}"#);
    assert!(Cli::try_parse_from(["farol", "breakers", "report", "pay"]).is_err(), "neither");
}

#[test]
fn all_that_is_dead_is_sent_again_the_oldest_first_whatever_is_refused_of_it() {
    let (found, printed, asked) = run(&["notifications", "resend", "--all", "--receiver", "pager"]);
    let refused = found.unwrap_err().to_string();
    assert!(refused.starts_with("n2: ") && !refused.contains('\n'), "{refused}");
    assert!(printed.contains("2 are due again."), "{printed}");
    assert!(asked[0].1.contains("state=dead") && asked[0].1.contains("receiver=pager"), "{asked:?}");
    let ids: Vec<&str> = asked[1..].iter().filter_map(|asked| asked.1.split('/').nth(4)).collect();
    assert_eq!(ids, ["n0", "n1", "n2"]);
}

#[test]
fn what_is_due_again_counts_as_that_though_the_store_has_not_taken_it() {
    let (found, printed, _) = run(&["notifications", "resend", "--all", "--receiver", "full"]);
    let unkept = found.unwrap_err().to_string();
    assert!(unkept.starts_with("unkept: it is in force, but") && !unkept.contains('\n'), "{unkept}");
    assert!(printed.contains("2 are due again."), "{printed}");
    let (_, json, _) = run(&["notifications", "resend", "--all", "--receiver", "full", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!({"items": [{"id": "n0-r1"}, {"id": "unkept-r1"}]}));
}

#[test]
fn nothing_dead_is_not_said_to_have_found_its_receiver() {
    let (_, printed, asked) = run(&["notifications", "--dead", "--receiver", "slow"]);
    assert!(printed.contains("Nothing is dead; 3 notices wait to be sent."), "{printed}");
    assert!(asked[1].1.contains("state=due") && asked[1].1.contains("receiver=slow"), "{asked:?}");
    for line in [
        &["notifications", "--dead", "--receiver", "nobody"][..],
        &["notifications", "resend", "--all", "--receiver", "nobody"],
    ] {
        let (found, printed, _) = run(line);
        assert!(found.unwrap_err().to_string().contains("no receiver `nobody`"), "{printed}");
        assert_eq!(printed, "");
    }
}

#[test]
fn what_was_not_kept_or_makes_no_sense_is_told() {
    let (unkept, text, _) = run(&["maintenance", "add", "n", "agent:a", "--for", "1h", "--reason", "x"]);
    let unkept = unkept.unwrap_err();
    assert!(unkept.to_string().starts_with("it is in force, but the store"), "{unkept}");
    assert!(!unkept.is_configuration());
    assert!(text.starts_with("Window w1 until 2026-01-15T12:00:00Z."), "{text}");
    assert!(text.contains("pay then has 1 of the 2 instances up that it needs"), "{text}");
    let wrong = run(&["silence", "add", "pay", "--for", "1h", "--reason", "x"]).0.unwrap_err();
    assert!(wrong.is_configuration() && wrong.to_string().contains("LABEL:PATTERN"), "{wrong}");
    let twice = run(&["silence", "add", "a:b", "a:c", "--for", "1h", "--reason", "x"]).0.unwrap_err();
    assert!(twice.is_configuration(), "{twice}");
    let none =
        run(&["silence", "add", "a:b", "--for", "1h", "--reason", "x", "--token-file", "/nonexistent"]).0;
    assert!(none.unwrap_err().to_string().contains("--token-file"));
    assert!(Cli::try_parse_from(["farol", "ack", "x"]).is_err(), "neither a reason nor the end");
    let endless =
        Cli::try_parse_from(["farol", "silence", "add", "a:b", "--reason", "x"]).unwrap_err().to_string();
    assert!(endless.contains("--for <TIME>|--until <TIME>"), "{endless}");
    let odd = Cli::try_parse_from(["farol", "incidents", "--since", "yesterday"]).unwrap_err().to_string();
    assert!(odd.contains("`yesterday`") && odd.contains("2026-01-15T10:00:00Z"), "{odd}");
}

#[test]
fn why_prints_the_monitors_lines() {
    let (found, text, _) = run(&["why", "component", "a", "pay", "db"]);
    assert_eq!((found.unwrap(), &*text), (Found::Fine, "first\n  second [2J\n"));
    let (_, json, _) = run(&["why", "component", "a", "pay", "db", "--json"]);
    assert!(json.starts_with("{\"text\":"), "{json}");
}
