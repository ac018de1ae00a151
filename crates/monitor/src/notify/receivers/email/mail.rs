//! One mail: a thread for each incident, text and HTML with the same words. No header holds a line end that is not
//! its own, and no mail server or person on holiday is asked to answer.

use crate::notify::message::{AlertWord, Message};
use crate::notify::receivers::{digest, token};
use crate::notify::{text, wording};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

/// The longest subject, in characters.
const SUBJECT: usize = 150;
/// So many alerts stand in one mail.
const ALERTS: usize = 100;
/// So many incidents' threads one mail is part of.
const INCIDENTS: usize = 10;

/// The mail as it goes over the wire.
pub(super) fn write(message: &Message, from: &Mailbox, to: &[Mailbox]) -> Result<Vec<u8>, String> {
    let domain = from.email.domain();
    let domain = if domain.is_ascii() { domain } else { "farol.invalid" };
    // Each notice has its own id, the same when it is sent again; a thread's root is never sent itself, so that no mail
    // is lost to those who drop what they have seen.
    let roots = roots(message, domain);
    let id = format!("<farol.{}@{domain}>", digest(&message.notice_id));
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(message.at_ms).unwrap_or_default());
    let mut mail = lettre::Message::builder()
        .from(from.clone())
        .date(at)
        .message_id(Some(id))
        .in_reply_to(roots.last().cloned().unwrap_or_default())
        .references(roots.join(" "))
        // The same for all mails of a group: some join mails only then.
        .subject(text::cut(&format!("[Farol] {}", wording::subject(message)), SUBJECT));
    for to in to {
        mail = mail.to(to.clone());
    }
    for (name, value) in [
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Farol-State", if message.firing().next().is_some() { "firing" } else { "resolved" }),
        ("X-Farol-Notice", &token(&message.notice_id)),
    ] {
        let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| "no header's name".to_owned())?;
        mail = mail.raw_header(HeaderValue::new(name, value.to_owned()));
    }
    let part = |kind: ContentType, body: String| SinglePart::builder().header(kind).body(body);
    let body = MultiPart::alternative()
        .singlepart(part(ContentType::TEXT_PLAIN, plain(message)))
        .singlepart(part(ContentType::TEXT_HTML, html(message)));
    let mail = mail.multipart(body).map_err(|error| format!("no mail can be made of this: {error}"))?;
    Ok(mail.formatted())
}

/// The threads that it is part of, the oldest first: those of its incidents, or where none is known its conversation's.
/// A root is made of an incident's id alone, so that it is the same in all mails about it.
fn roots(message: &Message, domain: &str) -> Vec<String> {
    // Their ids begin with the time at which they did.
    let began = |id: &str| id.split('-').next().and_then(|began| began.parse().ok()).unwrap_or(i64::MAX);
    let ids = message.alerts.iter().filter_map(|alert| alert.incident.as_deref());
    let ids: BTreeSet<(i64, &str)> = ids.map(|id| (began(id), id)).collect();
    if ids.is_empty() {
        return vec![format!("<farol.{}@{domain}>", digest(&message.conversation))];
    }
    let root = |(_, id): &(i64, &str)| format!("<farol.incident.{}@{domain}>", digest(id));
    ids.iter().take(INCIDENTS).map(root).collect()
}

fn plain(message: &Message) -> String {
    let mut body = format!("{}: {}\n", wording::state(message), wording::subject(message));
    if let Some(reason) = wording::reason(message) {
        body.push_str(&format!("({reason})\n"));
    }
    for alert in message.alerts.iter().take(ALERTS) {
        body.push_str(&format!("\n{}\n", wording::head(alert)));
        for line in lines(message, alert) {
            body.push_str(&format!("  {}\n", line.replace('\n', "\n  ")));
        }
    }
    body.push('\n');
    for line in ending(message) {
        body.push_str(&format!("{line}\n"));
    }
    if let Some(link) = wording::link(message) {
        body.push_str(&format!("{link}\n"));
    }
    body
}

fn html(message: &Message) -> String {
    let mut body = String::from("<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>");
    let title = format!("{}: {}", wording::state(message), wording::subject(message));
    body.push_str(&format!("<h2>{}</h2>", escaped(&title)));
    if let Some(reason) = wording::reason(message) {
        body.push_str(&format!("<p>{}</p>", escaped(reason)));
    }
    for alert in message.alerts.iter().take(ALERTS) {
        let colour = match (alert.ended, alert.severity) {
            (Some(_), _) => "#2e7d32",
            (None, farol_rules::Severity::Warning) => "#b26a00",
            (None, farol_rules::Severity::Critical) => "#b00020",
        };
        body.push_str(&format!("<h3 style=\"color:{colour}\">{}</h3>", escaped(&wording::head(alert))));
        let lines: Vec<String> = lines(message, alert).iter().map(|line| escaped(line)).collect();
        body.push_str(&format!("<p>{}</p>", lines.join("<br>")));
    }
    for line in ending(message) {
        body.push_str(&format!("<p>{}</p>", escaped(&line)));
    }
    if let Some(link) = wording::link(message) {
        body.push_str(&format!("<p><a href=\"{0}\">{0}</a></p>", escaped(link)));
    }
    body.push_str("</body></html>");
    body
}

fn lines(message: &Message, alert: &AlertWord) -> Vec<String> {
    let mut lines: Vec<String> = wording::summary(alert).into_iter().collect();
    let labels = wording::labels(message, alert);
    let labels: Vec<String> = labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.extend((!labels.is_empty()).then(|| labels.join(" ")));
    lines.push(wording::times(alert));
    lines.extend(wording::lists(alert));
    lines.extend(wording::annotations(alert).map(|(name, value)| format!("{name}: {value}")));
    lines
}

fn ending(message: &Message) -> Vec<String> {
    let mut lines = wording::remarks(message);
    if message.alerts.len() > ALERTS {
        lines.insert(0, format!("and {} more alerts", message.alerts.len() - ALERTS));
    }
    lines
}

/// For text and for attributes in double quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push_str("<br>"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receivers::tests::hostile;

    #[test]
    fn html_holds_no_markup_but_its_own() {
        let html = html(&hostile());
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
        assert!(
            html.contains("{{ 7*7 }}") && html.contains("${HOME}") && html.contains("@channel"),
            "{html}"
        );
        assert!(!html.contains('\r') && !html.contains('\x1b') && !html.contains('\u{202e}'), "{html}");
        assert_eq!(html.matches("<a ").count(), 1, "our own link only");
    }

    #[test]
    fn headers_cannot_be_forged_and_a_thread_keeps_its_subject() {
        let mut message = hostile();
        message.group = farol_rules::Labels::from([("pod", "a\r\nBcc: evil@evil.test\r\n\r\nbody")]);
        message.notice_id = "id\r\nX-Evil: 1".into();
        let to: Vec<Mailbox> = vec!["Ops <ops@farol.test>".parse().unwrap()];
        let from: Mailbox = "farol@farol.test".parse().unwrap();
        let mail = String::from_utf8(write(&message, &from, &to).unwrap()).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        for name in ["Bcc", "X-Evil"] {
            assert!(!head.lines().any(|line| line.starts_with(name)), "{head}");
        }
        assert_eq!(head.matches("Message-ID: <farol.").count(), 1, "{head}");
        assert!(mail.is_ascii(), "a server without 8BITMIME takes it");
        let again = String::from_utf8(write(&message, &from, &to).unwrap()).unwrap();
        let ids = |mail: &str| -> Vec<String> {
            let wanted = ["Message-ID", "References", "Subject", "Date"];
            mail.lines().filter(|l| wanted.iter().any(|w| l.starts_with(w))).map(str::to_owned).collect()
        };
        assert_eq!(ids(&mail), ids(&again));
    }

    /// Its headers, unfolded, and the values of three of them: id, references, what it answers.
    fn threads(incidents: &[Option<&str>], conversation: &str, notice: &str) -> [String; 3] {
        let mut message = hostile();
        let word = message.alerts.remove(0);
        let of = |id: &Option<&str>| AlertWord { incident: id.map(str::to_owned), ..word.clone() };
        message.alerts = incidents.iter().map(of).collect();
        (message.conversation, message.notice_id) = (conversation.into(), notice.into());
        let from: Mailbox = "farol@farol.test".parse().unwrap();
        let mail = String::from_utf8(write(&message, &from, std::slice::from_ref(&from)).unwrap()).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(head.lines().all(|line| line.len() <= 998), "no server takes longer lines: {head}");
        let head = head.replace("\r\n ", " ");
        ["Message-ID: ", "References: ", "In-Reply-To: "].map(|name| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name}: {head}")).trim().to_owned()
        })
    }

    #[test]
    fn groups_of_one_incident_share_a_thread_and_two_incidents_do_not() {
        let [id, one, answers] = threads(&[Some("1000-cpu")], "ops/a", "n1");
        let [other_id, same, _] = threads(&[None, Some("1000-cpu"), Some("1000-cpu")], "ops/b", "n2");
        assert!(one == same && one == answers && id != other_id && id != one, "{one} {same}");
        let [_, two, _] = threads(&[Some("2000-cpu")], "ops/a", "n3");
        assert_ne!(one, two, "another incident of the same group");
        let [_, both, last] = threads(&[Some("2000-cpu"), Some("1000-cpu")], "ops/a", "n4");
        assert_eq!((both, last), (format!("{one} {two}"), two), "the oldest first");
        let many: Vec<String> = (995..1010).map(|id| format!("{id}-cpu")).collect();
        let many: Vec<Option<&str>> = many.iter().map(|id| Some(id.as_str())).collect();
        let [_, many, last] = threads(&many, "ops/a", "n5");
        let many: Vec<&str> = many.split_whitespace().collect();
        assert!(many.len() == INCIDENTS && many[5] == one && many.ends_with(&[&last]), "{many:?}");
        let [_, none, _] = threads(&[None], "ops/a", "n6");
        assert_eq!(none, threads(&[None], "ops/a", "n7")[1], "where none is known: by conversation");
        assert_ne!(none, threads(&[None], "ops/b", "n8")[1]);
    }
}
