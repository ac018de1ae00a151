//! The outbound beat: a dead man's switch elsewhere hears that this monitor lives, and how it does. Decides nothing; that
//! nobody hears it is a condition of the monitor.

use super::condition;
use crate::app::App;
use crate::config::Heartbeat;
use crate::notify::egress::Egress;
use farol_rules::{Labels, MonitorCondition};
use serde_json::json;
use std::sync::Arc;
use tokio::time::MissedTickBehavior;

/// So many beats in a row must go unheard.
const FAILING_AFTER: u32 = 3;

/// Beats until the monitor cleans up.
pub(crate) async fn run(app: Arc<App>, heartbeat: Heartbeat, egress: Egress) {
    let (client, url) = match egress.client_for(&heartbeat.url) {
        Ok(client) => client,
        Err(why) => {
            tracing::error!(error = %why, "there is no heartbeat: its address cannot be spoken to");
            tell(&app, Some(&why));
            return app.handle.cleaning().cancelled().await;
        }
    };
    let cleaning = app.handle.cleaning();
    let mut ticks = tokio::time::interval(heartbeat.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What was told before a restart is not known.
    let (mut failed, mut told) = (0, None);
    while cleaning.run_until_cancelled(ticks.tick()).await.is_some() {
        let sent = client.post(url.clone()).json(&body(&app)).send();
        let Some(sent) = cleaning.run_until_cancelled(sent).await else { return };
        let wrong = match sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it is answered with {}", answer.status())),
            Err(error) => Some(error.without_url().to_string()),
        };
        match wrong {
            None => {
                if told.replace(false) != Some(false) {
                    tell(&app, None);
                }
                failed = 0;
            }
            Some(why) => {
                failed += 1;
                tracing::warn!(error = %why, failed, "the heartbeat was not heard");
                if failed >= FAILING_AFTER && told.replace(true) != Some(true) {
                    tell(&app, Some(&why));
                }
            }
        }
    }
}

fn tell(app: &App, why: Option<&str>) {
    let seen = condition(MonitorCondition::HeartbeatFailing, Labels::default(), why);
    app.alerting.see(&[seen], app.clock.now());
}

fn body(app: &App) -> serde_json::Value {
    let (firing, health) = (app.alerting.book().firing(), app.journal.health());
    let status = match (health.failed, health.refusing.is_some()) {
        (true, _) => "unhealthy",
        (false, true) => "degraded",
        (false, false) => "healthy",
    };
    json!({
        "status": status,
        "agents": app.fleet.agents().len(),
        "firing_alerts": firing,
        "version": app.own.version(),
    })
}
