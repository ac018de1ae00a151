//! What stands in a label comes out of every receiver as it is, and does no harm there.

use super::{HOOK, SOON, Scene, WAITS, webhook};
use farol_health::Status;
use farol_tests::hook::Hook;
use farol_tests::http_sink::HttpSink;
use farol_tests::smtp::{MailServer, Protection};
use farol_tests::speaker::Person;
use farol_tests::tellers::Tellers;
use farol_tests::wait::until;

/// What may stand in a label.
const HOSTILE: &str = "{{ 7*7 }} ${HOME} <script>alert(1)</script> @channel <!everyone> \
                       \r\nBcc: evil@evil.test\r\n\r\n.\r\n \x1b[31mred";

const RULES: &str = "rules:\n- name: value_high\n  metric: spoken_value\n  critical: \"> 2\"\n  annotations: {summary: \"high on {{ labels.pod }}\"}\n\
                     - name: part_down\n  component: part\n  annotations: {summary: \"it says {{ message }}\"}\n";

/// Webhook, Slack and mail are told of everything.
struct Receivers {
    scene: Scene,
    slack: HttpSink,
    mail: MailServer,
}

impl Receivers {
    async fn begin() -> Self {
        let (hook, slack) = (Hook::start().await.unwrap(), HttpSink::start().await.unwrap());
        let mail = MailServer::start(Protection::None).await.unwrap();
        let further = format!(
            "default_rules: false\nreceivers:\n  hook: {}\n  chat: {{slack: {{url: \"{}\"}}}}\n  \
             mail: {{email: {{server: \"localhost:{}\", tls: none, from: farol@farol.test, to: [ops@farol.test]}}}}\n\
             route: {{receiver: hook, {WAITS}, routes: [{{match: {{alertname: \"~.*\"}}, receiver: chat, continue: true}}, \
             {{match: {{alertname: \"~.*\"}}, receiver: mail, continue: true}}, {{match: {{alertname: \"~.*\"}}, receiver: hook}}]}}\n",
            webhook(&hook, HOOK),
            slack.url("/services/T/B/x"),
            mail.port()
        );
        Self { scene: Scene::with(hook, RULES, &further).await, slack, mail }
    }

    /// What they were told of the one alert that fires is there as it is, and does no harm.
    async fn are_told_literally(&self, alert: &serde_json::Value) {
        let summary = alert["annotations"]["summary"].as_str().unwrap();
        assert!(summary.contains("{{ 7*7 }} ${HOME} <script>"), "{summary}");
        assert!(!summary.contains(['\r', '\x1b']) && !summary.contains("49"), "{summary}");
        let (slack, mail) = (&self.slack, &self.mail);
        until("slack and mail are told", SOON, async || {
            !slack.taken().is_empty() && !mail.mails().is_empty()
        })
        .await
        .unwrap();
        let text = slack.taken()[0].json().to_string();
        for markup in ["<!", "<script", "\\r", "\\u001b"] {
            assert!(!text.contains(markup), "{markup}: {text}");
        }
        // What joins words without a space stands around what Slack would take for its own marks.
        let text = text.replace('\u{2060}', "");
        assert!(text.contains("{{ 7*7 }}") && text.contains("&lt;!everyone&gt;"), "{text}");
        let mails = mail.mails();
        assert_eq!((mails.len(), &mails[0].to[..]), (1, &["ops@farol.test".to_owned()][..]));
        assert_eq!(mails[0].header("bcc"), None);
        let head = mails[0].data.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains('\x1b') && !head.contains("evil"), "{head}");
        let (_, html) = mails[0].data.split_once("text/html").unwrap();
        assert!(!html.contains("<script"), "{html}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_label_comes_out_of_webhook_slack_and_mail_literally() {
    let receivers = Receivers::begin().await;
    let mut definition = Person::definition("shop");
    definition.series[0].labels.insert("pod".into(), HOSTILE.into());
    let mut fleet = Tellers::default();
    fleet.add(receivers.scene.stack.addresses().agents, Person::new("teller"), definition, Status::Healthy);
    let told = receivers.scene.hears(&["value_high fires"]).await.remove(0);
    let alert = &told.alerts()[0];
    assert_eq!(alert["labels"]["pod"], HOSTILE, "a program gets it as it is");
    receivers.are_told_literally(alert).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_check_says_comes_out_of_webhook_slack_and_mail_literally() {
    let receivers = Receivers::begin().await;
    let mut definition = Person::definition("shop");
    definition.series[0].name = "nobody_asks".into();
    let person = Person { words: HOSTILE.into(), ..Person::new("teller") };
    let mut fleet = Tellers::default();
    fleet.add(receivers.scene.stack.addresses().agents, person, definition, Status::Unhealthy);
    let told = receivers.scene.hears(&["part_down fires"]).await.remove(0);
    receivers.are_told_literally(&told.alerts()[0]).await;
}
