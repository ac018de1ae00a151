//! Peers of one Alertmanager, some of them in trouble: each hears everything as if it were alone.

use super::{BAD, DOWN, SOON, Scene, WAITS, WELL};
use farol_tests::alertmanager::Alertmanager;
use farol_tests::hook::{Hook, Mood, Told};
use farol_tests::wait::until;
use serde_json::Value;
use std::time::Duration;

/// What is told at once is told within this, on a busy machine too: who waited for the peer that hangs would be later.
const AT_ONCE: Duration = Duration::from_secs(8);
/// What a peer is posted to.
const PATH: &str = "/api/v2/alerts";

/// Which services' alerts are active there.
async fn active(alertmanager: &Alertmanager) -> Vec<String> {
    let alerts = alertmanager.alerts().await.unwrap();
    let service = |alert: &Value| alert["labels"]["service"].as_str().unwrap_or_default().to_owned();
    alerts.iter().map(service).collect()
}

/// Whether it was told that this service's alert fires, and then that it is over.
fn heard(told: &[Told], service: &str) -> bool {
    let alerts = told.iter().filter_map(|told| told.notice.as_array()).flatten();
    let own = alerts.filter(|alert| alert["labels"]["service"] == service);
    let own = own.filter(|alert| alert["labels"]["severity"] == "critical");
    let ends = |alert: &Value| alert["endsAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let fires: Vec<bool> = own.map(|alert| ends(alert) > jiff::Timestamp::now()).collect();
    fires.contains(&true) && fires.last() == Some(&false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_in_trouble_delays_no_other_and_hears_everything_when_it_is_well() {
    let (hook, server) = (Hook::start().await.unwrap(), Alertmanager::start().await.unwrap());
    let troubles = [("/refuses", Mood::Refuses(500, None)), ("/hangs", Mood::Hangs)];
    let path = |base: &str| format!("{base}{PATH}");
    let mut urls = vec![server.url(""), "http://127.0.0.1:1".to_owned()];
    for (base, mood) in &troubles {
        hook.mood(&path(base), mood.clone());
        urls.push(hook.url(base));
    }
    let further = format!(
        "default_rules: false\nreceivers: {{am: {{alertmanager: {{urls: {urls:?}}}}}}}\n\
         route: {{receiver: am, {WAITS}}}\n"
    );
    let scene = Scene::with(hook, DOWN, &further).await;
    let fleet = scene.fleet(8);
    for agent in 0..8 {
        scene.stack.shows(&format!("teller-{agent}"), "part", "healthy", SOON).await.unwrap();
    }
    for agent in 0..8 {
        fleet.say(agent, BAD);
        let fires = || async { active(&server).await == [format!("service-{agent}")] };
        until("it fires there", AT_ONCE, fires).await.unwrap();
        fleet.say(agent, WELL);
        until("it is over there", AT_ONCE, || async { active(&server).await.is_empty() }).await.unwrap();
    }
    for (base, _) in &troubles {
        assert!(scene.hook.taken(&path(base)).is_empty(), "{base}");
        scene.hook.mood(&path(base), Mood::Takes);
    }
    for (base, _) in &troubles {
        let all = |told: &[Told]| (0..8).all(|agent| heard(told, &format!("service-{agent}")));
        let long = Duration::from_secs(60);
        scene.hook.until("all of it", &path(base), long, |told| all(told)).await.unwrap();
    }
}
