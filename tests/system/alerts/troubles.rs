//! Receivers that refuse, hang, hang up and ask for a pause: nobody else waits for them, and in the end each has heard
//! everything once and in order.

use super::{BAD, DOWN, SOON, Scene, WAITS, WELL, all, webhook};
use farol_tests::hook::{Hook, Mood};
use farol_tests::smtp::{MailServer, Protection};
use farol_tests::wait::until;
use std::time::Duration;
use tokio::time::Instant;

const GOOD: &str = "/good";
/// What is told at once is told within this, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_in_trouble_delays_no_other_and_hears_everything_once_when_it_is_well() {
    let troubles = [
        ("/refuses", Mood::Refuses(500, None)),
        ("/hangs", Mood::Hangs),
        ("/hangs-up", Mood::HangsUp),
        ("/busy", Mood::Refuses(429, Some(3))),
    ];
    let hook = Hook::start().await.unwrap();
    let (mut receivers, mut routes) = (format!("good: {}", webhook(&hook, GOOD)), String::new());
    for (path, mood) in &troubles {
        let name = path.trim_start_matches('/');
        receivers.push_str(&format!(", {name}: {}", webhook(&hook, path)));
        routes.push_str(&format!("{{match: {{service: \"~.*\"}}, receiver: {name}, continue: true}}, "));
        hook.mood(path, mood.clone());
    }
    let further = format!(
        "default_rules: false\nreceivers: {{{receivers}}}\nroute: {{receiver: good, {WAITS}, routes: [{routes}\
         {{match: {{service: \"~.*\"}}, receiver: good}}]}}\n"
    );
    let scene = Scene::with(hook, DOWN, &further).await;
    let fleet = scene.fleet(1);
    scene.stack.shows("teller-0", "part", "healthy", SOON).await.unwrap();

    let began = Instant::now();
    fleet.say(0, BAD);
    let fires = ["part_down fires"];
    scene.hook.until("the good one is told", GOOD, AT_ONCE, |told| all(told) == fires).await.unwrap();
    fleet.say(0, WELL);
    let both = ["part_down fires", "part_down recovered"];
    scene.hook.until("and told the end", GOOD, AT_ONCE, |told| all(told) == both).await.unwrap();
    // Each was tried, some more than once, and nobody has taken anything.
    let tried = |path: &str| scene.hook.told(path).len();
    until("each is tried", SOON, async || {
        tried("/refuses") >= 2 && tried("/hangs-up") >= 2 && tried("/hangs") >= 1
    })
    .await
    .unwrap();
    let busy = scene.hook.told("/busy")[0].at;
    for (path, _) in &troubles {
        assert!(scene.hook.taken(path).is_empty(), "{path}");
        let first = &scene.hook.told(path)[0];
        assert!(first.at - began < AT_ONCE && first.why() == "first", "{path}: {first:?}");
        scene.hook.mood(path, Mood::Takes);
    }
    for (path, _) in &troubles {
        let told = scene.hook.until("all of it", path, SOON, |told| all(told).len() >= 2).await.unwrap();
        assert_eq!(all(&told), both, "{path}");
    }
    let again = scene.hook.told("/busy")[1].at;
    assert!(again - busy >= Duration::from_secs(3), "tried again after {:?}", again - busy);
    // No copy comes late.
    let count = || troubles.iter().map(|(path, _)| scene.hook.taken(path).len()).sum::<usize>();
    farol_tests::wait::holds("nothing comes twice", super::QUIET, async || count() == 2 * troubles.len())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_and_a_mail_server_that_hangs_keep_nothing_from_others() {
    let (mail, stuck) = (
        MailServer::start(Protection::None).await.unwrap(),
        MailServer::start(Protection::None).await.unwrap(),
    );
    mail.answer("full@farol.test", "452 4.2.2 mailbox full");
    stuck.mood("GREETING", Duration::from_secs(3_600), None);
    let email = |server: &MailServer, to: &str| {
        let port = server.port();
        format!("{{email: {{server: \"localhost:{port}\", tls: none, from: farol@farol.test, to: [{to}]}}}}")
    };
    let hook = Hook::start().await.unwrap();
    let further = format!(
        "default_rules: false\nreceivers: {{good: {}, mail: {}, stuck: {}}}\nroute: {{receiver: good, {WAITS}, routes: [\
         {{match: {{service: \"~.*\"}}, receiver: stuck, continue: true}}, \
         {{match: {{service: \"~.*\"}}, receiver: mail, continue: true}}, {{match: {{service: \"~.*\"}}, receiver: good}}]}}\n",
        webhook(&hook, GOOD),
        email(&mail, "full@farol.test, ops@farol.test"),
        email(&stuck, "ops@farol.test")
    );
    let scene = Scene::with(hook, DOWN, &further).await;
    let fleet = scene.fleet(1);
    scene.stack.shows("teller-0", "part", "healthy", SOON).await.unwrap();
    let told = |to: &str| -> Vec<String> {
        let mails = mail.mails().into_iter().filter(|mail| mail.to == [to.to_owned()]);
        mails.filter_map(|mail| mail.header("x-farol-state")).collect()
    };

    fleet.say(0, BAD);
    until("the other is told", AT_ONCE, async || told("ops@farol.test") == ["firing"]).await.unwrap();
    fleet.say(0, WELL);
    let both = ["firing", "resolved"];
    until("and told the end", AT_ONCE, async || told("ops@farol.test") == both).await.unwrap();
    let hook = scene.hook.until("as is the hook", GOOD, AT_ONCE, |told| all(told).len() == 2).await.unwrap();
    assert_eq!(all(&hook), ["part_down fires", "part_down recovered"]);
    assert_eq!(told("full@farol.test"), [""; 0]);
    mail.answer("full@farol.test", "250 fine");
    until("there is room", SOON, async || told("full@farol.test") == both).await.unwrap();
    assert_eq!(told("ops@farol.test"), both, "nobody gets two");
}
