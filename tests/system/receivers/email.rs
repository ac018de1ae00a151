//! Mail, taken by a server that parses it: TLS, login, threads, refusals, and servers that take their time.

use super::{alert, hostile, is_retry, message, over, receiver};
use crate::peers::{python, run};
use farol_monitor::notify::{Failure, Receiver, Sent};
use farol_tests::certificates::{Authority, Days};
use farol_tests::smtp::{MailServer, Protection};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// Reads a mail as Python does, and gives its headers and parts as JSON.
const PARSE: &str = r#"
import email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not mail.defects, mail.defects
parts = {p.get_content_type(): p.get_content() for p in mail.iter_parts()}
print(json.dumps({"headers": {k.lower(): str(v) for k, v in mail.items()}, "type": mail.get_content_type(), "parts": parts}))
"#;

async fn parsed(mail: &str) -> Value {
    let mut command = Command::new(python());
    command.args(["-c", PARSE]);
    let done = run(command, mail).await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    serde_json::from_str(&done.out).unwrap()
}

fn email(port: u16, more: &str) -> Arc<dyn Receiver> {
    receiver(&format!(
        "{{email: {{server: \"localhost:{port}\", from: Farol <farol@farol.test>, \
         to: [ops@farol.test, Bob <bob@farol.test>], {more}}}}}"
    ))
}

#[tokio::test]
async fn a_mail_comes_with_text_and_html_and_its_thread() {
    let server = MailServer::start(Protection::None).await.unwrap();
    let email = email(server.port(), "tls: none");
    let first = message("n1", vec![alert("a", "pay-1"), alert("b", "päy-2 ✓")]);
    assert_eq!(email.send(&first).await, Ok(Sent::default()));
    email.send(&first).await.unwrap();
    email.send(&over(&first, "n2")).await.unwrap();
    let mails = server.mails();
    assert_eq!((&*mails[0].from, &mails[0].to[..]), ("farol@farol.test", &["ops@farol.test".to_owned()][..]));
    let header = |i: usize, name: &str| mails[i].header(name).unwrap_or_default();
    assert_eq!(header(0, "message-id"), header(1, "message-id"), "a second copy is known as one");
    assert_ne!(header(0, "message-id"), header(2, "message-id"));
    for name in ["references", "in-reply-to", "subject"] {
        assert!(!header(0, name).is_empty() && header(0, name) == header(2, name), "{name}");
    }
    assert_eq!(header(0, "auto-submitted"), "auto-generated");
    assert_eq!(
        (header(0, "x-farol-state"), header(2, "x-farol-state")),
        ("firing".into(), "resolved".into())
    );
    let mail = parsed(&mails[0].data).await;
    assert_eq!(mail["type"], "multipart/alternative");
    assert_eq!(mail["headers"]["subject"], "[Farol] cpu_high");
    assert_eq!(mail["headers"]["to"], "ops@farol.test, Bob <bob@farol.test>", "it says who else is told");
    for kind in ["text/plain", "text/html"] {
        let part = mail["parts"][kind].as_str().unwrap();
        assert!(part.contains("FIRING 2: cpu_high") && part.contains("päy-2 ✓"), "{kind}: {part}");
        assert!(part.contains("https://farol.test/"), "{kind}: {part}");
    }
    assert!(parsed(&mails[2].data).await["parts"]["text/plain"].as_str().unwrap().contains("RESOLVED 2"));
}

#[tokio::test]
async fn what_labels_hold_forges_no_header_and_no_markup_and_does_not_end_the_mail() {
    let server = MailServer::start(Protection::None).await.unwrap();
    email(server.port(), "tls: none").send(&hostile()).await.unwrap();
    let mails = server.mails();
    assert_eq!((mails.len(), mails[0].to.len()), (1, 1));
    let mail = parsed(&mails[0].data).await;
    let headers = mail["headers"].as_object().unwrap();
    let known = [
        "from",
        "to",
        "date",
        "message-id",
        "in-reply-to",
        "references",
        "subject",
        "auto-submitted",
        "x-auto-response-suppress",
        "x-farol-state",
        "x-farol-notice",
        "mime-version",
        "content-type",
    ];
    assert!(headers.keys().all(|name| known.contains(&&**name)), "{headers:?}");
    assert!(headers["subject"].as_str().unwrap().contains("␍␊Bcc: evil@evil.test"), "{headers:?}");
    let (text, html) = (mail["parts"]["text/plain"].as_str(), mail["parts"]["text/html"].as_str());
    for literal in ["{{ 7*7 }}", "${HOME}", "<script>", "@channel", "␛[31mred", "[U+202E]gpj"] {
        assert!(text.unwrap().contains(literal), "{literal}: {text:?}");
    }
    assert!(html.unwrap().contains("&lt;script&gt;") && !html.unwrap().contains("<script"), "{html:?}");
}

#[tokio::test]
async fn tls_is_spoken_as_set_and_only_with_whom_is_trusted() {
    let authority = Authority::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let config =
        |names: &[&str]| Arc::new(authority.sign(names, Days::default()).unwrap().server(None, &[]).unwrap());
    let told = message("n", vec![alert("a", "p")]);
    for (protection, tls) in [
        (Protection::StartTls(config(&["localhost"])), "starttls"),
        (Protection::Tls(config(&["localhost"])), "tls"),
    ] {
        let server = MailServer::start(protection).await.unwrap();
        let more = format!("tls: {tls}, ca: \"{}\", username: u, password: p", ca.display());
        email(server.port(), &more).send(&told).await.unwrap();
        let mails = server.mails();
        assert!(mails[0].encrypted, "{tls}");
        assert_eq!(mails[0].login.as_deref(), Some("PLAIN AHUAcA=="), "{tls}");
        let stranger = email(server.port(), &format!("tls: {tls}")).send(&told).await.unwrap_err();
        assert!(is_retry(&stranger) && stranger.why().contains("certificate"), "{tls}: {stranger:?}");
    }
    let server = MailServer::start(Protection::StartTls(config(&["other.test"]))).await.unwrap();
    let wrong = email(server.port(), &format!("ca: \"{}\"", ca.display())).send(&told).await.unwrap_err();
    assert!(wrong.why().contains("certificate"), "{wrong:?}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn without_starttls_nothing_is_said_in_plain_text() {
    let server = MailServer::start(Protection::None).await.unwrap();
    let failure = email(server.port(), "username: u, password: S3CRET")
        .send(&message("n", vec![alert("a", "p")]))
        .await
        .unwrap_err();
    assert!(failure.why().contains("offers no STARTTLS"), "{failure:?}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn each_refusal_means_what_it_says_and_repeats_no_more_than_its_codes() {
    let server = MailServer::start(Protection::None).await.unwrap();
    let email = email(server.port(), "tls: none, username: u, password: p");
    let told = message("n1", vec![alert("a", "p")]);
    for (word, answer, expected) in [
        ("GREETING", "554 5.7.1 S3CRET is not welcome", "unsure 554 5.7.1"),
        ("AUTH", "535 5.7.8 S3CRET", "unsure 535 5.7.8"),
        ("AUTH", "AUTH PLAIN S3CRET ?", "later what is no SMTP"),
        ("AUTH", "999 S3CRET", "later what is no SMTP"),
        ("MAIL", "530 S3CRET", "unsure 530"),
        ("RCPT", "452 4.2.2 S3CRET is full", "later 452 4.2.2"),
        ("RCPT", "550 5.1.1 S3CRET no such user", "dead 550 5.1.1"),
        (".", "451 S3CRET", "later 451"),
        (".", "554 5.6.0 S3CRET", "dead 554 5.6.0"),
    ] {
        server.mood(word, Duration::ZERO, Some(answer));
        let failure = email.send(&told).await.unwrap_err();
        let kind = match &failure {
            Failure::Retry { .. } => "later",
            Failure::Partly { .. } => "partly",
            Failure::Unsure { .. } => "unsure",
            Failure::Dead { .. } => "dead",
        };
        let why = failure.why().split(" answers ").nth(1).unwrap_or_default();
        assert_eq!(format!("{kind} {why}"), expected, "{failure:?}");
        server.mood(word, Duration::ZERO, None);
    }
    assert_eq!(email.send(&told).await, Ok(Sent::default()));
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_offers_no_login_that_is_known_is_said_to_be_that() {
    let server = MailServer::start(Protection::None).await.unwrap();
    let email = email(server.port(), "tls: none, username: u, password: S3CRET");
    for offers in ["250 mail.test", "250-mail.test\r\n250 AUTH XOAUTH2 CRAM-MD5"] {
        server.mood("EHLO", Duration::ZERO, Some(offers));
        let failure = email.send(&message("n1", vec![alert("a", "p")])).await.unwrap_err();
        assert!(matches!(failure, Failure::Unsure { .. }), "{offers}: {failure:?}");
        for word in ["offers no login by PLAIN or LOGIN", "`username`"] {
            assert!(failure.why().contains(word), "{offers}: {failure:?}");
        }
    }
    assert!(server.mails().is_empty());
}

/// Lets a server think about this for so long: time stands still but for that.
async fn thinks(server: &MailServer, word: &str, long: Duration) {
    while server.thinks().as_deref() != Some(word) {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(long).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_thinks_long_before_it_greets_and_before_it_takes_a_mail_gets_one() {
    // While a blocking task runs, no time passes by itself.
    let (_still, end) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || end.recv());
    let server = MailServer::start(Protection::None).await.unwrap();
    let (greets, takes) = (Duration::from_secs(40), Duration::from_secs(240));
    server.mood("GREETING", greets, None);
    server.mood(".", takes, None);
    let email = email(server.port(), "tls: none");
    let told = message("n", vec![alert("a", "p")]);
    let thought = async {
        thinks(&server, "GREETING", greets).await;
        thinks(&server, ".", takes).await;
        std::future::pending::<()>().await
    };
    let sent = tokio::select! {
        sent = tokio::time::timeout(email.deadline(), email.send(&told)) => sent,
        () = thought => unreachable!(),
    };
    assert_eq!((sent, server.mails().len()), (Ok(Ok(Sent::default())), 1));

    server.mood("GREETING", takes, None);
    let minute = Duration::from_secs(60);
    let (failure, ()) = tokio::join!(email.send(&told), thinks(&server, "GREETING", minute));
    let failure = failure.unwrap_err();
    assert!(is_retry(&failure) && failure.why().contains("in time"), "no copy is to be feared: {failure:?}");
}
