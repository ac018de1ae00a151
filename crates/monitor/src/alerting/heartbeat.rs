//! The outbound beat: a dead man's switch elsewhere hears that this monitor lives, and how it does. Decides nothing; that
//! nobody hears it is a condition of the monitor.

use super::condition;
use super::conditions::store_trouble;
use crate::app::App;
use crate::config::Heartbeat;
use crate::journal::StoreHealth;
use crate::notify::egress::Egress;
use farol_rules::{Labels, MonitorCondition};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// So many beats in a row must go unheard.
const FAILING_AFTER: u32 = 3;

/// Beats until the monitor cleans up, as it is configured now.
pub(crate) async fn run(app: Arc<App>, mut settings: watch::Receiver<Option<Heartbeat>>, egress: Egress) {
    let (cleaning, mut failed) = (app.handle.cleaning(), 0);
    loop {
        let now = settings.borrow_and_update().clone();
        if now.is_none() && failed >= FAILING_AFTER {
            tell(&app, None);
            failed = 0;
        }
        tokio::select! {
            () = cleaning.cancelled() => return,
            () = beat(&app, now, &egress, &mut failed) => {}
            Ok(()) = settings.changed() => {}
        }
    }
}

/// Beats for ever. `failed` beats in a row were not heard, over a change of the settings, too: that it is well again is
/// said when one is.
async fn beat(app: &App, heartbeat: Option<Heartbeat>, egress: &Egress, failed: &mut u32) {
    let Some(heartbeat) = heartbeat else { return std::future::pending().await };
    let (client, url) = match egress.client_for(&heartbeat.url) {
        Ok(client) => client,
        Err(why) => {
            tracing::error!(error = %why, "there is no heartbeat: its address cannot be spoken to");
            *failed = FAILING_AFTER;
            tell(app, Some(&why));
            return std::future::pending().await;
        }
    };
    let mut ticks = tokio::time::interval(heartbeat.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let wrong = match client.post(url.clone()).json(&body(app)).send().await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it is answered with {}", answer.status())),
            Err(error) => Some(error.without_url().to_string()),
        };
        let Some(why) = wrong else {
            if *failed >= FAILING_AFTER {
                tell(app, None);
            }
            *failed = 0;
            continue;
        };
        *failed = failed.saturating_add(1);
        tracing::warn!(error = %why, failed, "the heartbeat was not heard");
        if *failed == FAILING_AFTER {
            tell(app, Some(&why));
        }
    }
}

fn tell(app: &App, why: Option<&str>) {
    let seen = condition(MonitorCondition::HeartbeatFailing, Labels::default(), why);
    app.alerting.see(&[seen], app.clock.now());
}

/// A store that hangs is no better than one that refuses.
fn status(health: &StoreHealth) -> &'static str {
    match store_trouble(health) {
        _ if health.failed => "unhealthy",
        Some(_) => "degraded",
        None => "healthy",
    }
}

fn body(app: &App) -> serde_json::Value {
    let (firing, health) = (app.alerting.book().firing(), app.journal.health());
    json!({
        "status": status(&health),
        "agents": app.fleet.agents().len(),
        "firing_alerts": firing,
        "version": app.own.version(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::scene::Scene;
    use crate::notify::egress::Policy;
    use farol_config::Sources;
    use std::time::Duration;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    #[test]
    fn a_store_that_hangs_or_refuses_is_not_healthy() {
        let hangs = |s| StoreHealth { busy: Some(Duration::from_secs(s)), ..StoreHealth::default() };
        assert_eq!([1, 11].map(|s| status(&hangs(s))), ["healthy", "degraded"]);
        assert_eq!(status(&StoreHealth { failed: true, ..hangs(11) }), "unhealthy");
    }

    /// To this address; beats once a day, but at once when it is set up.
    fn heartbeat(to: &str) -> Option<Heartbeat> {
        let text = format!("heartbeat: {{url: \"http://{to}/\", every: 1d}}\n");
        let tree = Sources::new().text("monitor.yaml", &text).load().unwrap();
        tree.read(crate::config::Config::read).unwrap().heartbeat
    }

    #[tokio::test]
    async fn another_heartbeat_beats_as_soon_as_it_is_configured() {
        let scene = Scene::new().await;
        scene.rules("rules: [{name: r, monitor: heartbeat_failing}]\n");
        let (app, alerting) = (Arc::clone(&scene.app), &scene.app.alerting);
        let mut running = JoinSet::new();
        running.spawn(run(app, alerting.heartbeat.subscribe(), alerting.egress.clone()));
        let (first, second) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let [one, two] = [&first, &second].map(|one| one.local_addr().unwrap().to_string());
        let private = Policy { private: true, ..Policy::default() };
        let heard = |listener: TcpListener| async move {
            tokio::time::timeout(Duration::from_secs(10), listener.accept()).await.unwrap().unwrap()
        };
        let firing = async |wanted| {
            while alerting.book().firing() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // A literal private address is not spoken to until that is allowed.
        alerting.follow(heartbeat(&one), &Policy::default());
        tokio::time::timeout(Duration::from_secs(10), firing(1)).await.unwrap();
        alerting.follow(heartbeat(&one), &private);
        heard(first).await;
        alerting.follow(heartbeat(&two), &private);
        heard(second).await;
        assert_eq!(alerting.book().firing(), 1, "no beat was answered yet");
        alerting.follow(None, &private);
        tokio::time::timeout(Duration::from_secs(10), firing(0)).await.unwrap();
    }
}
