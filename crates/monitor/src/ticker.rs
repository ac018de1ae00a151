//! The monitor's own tick: silence is seen, and time in which the monitor did not run is told.

use crate::alerting::{Conditions, Plans, blind_for};
use crate::app::App;
use crate::fleet::{Effects, Event, EventKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How late silence may be seen.
const EVERY: Duration = Duration::from_millis(250);

/// An agent whose keep-alive is not answered for so long gives its connection up.
const CONNECTIONS_LAST_MS: i64 = 10_000;

/// Ticks until `end`.
pub(crate) async fn run(app: Arc<App>, end: CancellationToken) {
    let mut cuts = app.store.sizes().over_budget;
    let (mut conditions, mut plans) = (Conditions::default(), Plans::default());
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                tick(&app, &mut conditions, &mut plans);
                cuts = tell_cuts(&app, cuts);
            }
            () = end.cancelled() => return,
        }
    }
}

/// Tells once that the store's budget takes history away before its age.
fn tell_cuts(app: &App, before: u64) -> u64 {
    let sizes = app.store.sizes();
    if before == 0 && sizes.over_budget > 0 {
        let text = "the store is over `store.budget`: the oldest history goes before its time";
        let now = app.clock.now();
        let event = Event::new(EventKind::Store, now.wall_ms).message(text.to_owned());
        app.ingest.outlet.publish(&Effects { events: vec![event], ..Effects::default() }, now);
    }
    sizes.over_budget
}

fn tick(app: &App, conditions: &mut Conditions, plans: &mut Plans) {
    let (now, blind) = app.clock.tick();
    if let Some((from_ms, to_ms)) = blind {
        app.journal.blind(from_ms, to_ms);
        let text = format!("the monitor did not run for {} ms; ages stood still meanwhile", to_ms - from_ms);
        tracing::warn!(blind_ms = to_ms - from_ms, "the monitor did not run for a while");
        app.alerting.see(blind_for(to_ms - from_ms).as_slice(), now);
        let event = Event::new(EventKind::Blind, now.wall_ms).message(text);
        app.ingest.outlet.publish(&Effects { events: vec![event], ..Effects::default() }, now);
        if to_ms - from_ms >= CONNECTIONS_LAST_MS {
            app.fleet.excuse(now);
        }
    }
    // Before anybody is found lost: what drains may be switched off.
    if let Some(planned) = plans.look(&app.alerting, now) {
        app.fleet.plan(planned, now);
    }
    app.fleet.tick(now);
    let has_room_again = app.alerting.book().has_room_again();
    if has_room_again {
        app.fleet.retell(now);
    }
    conditions.look(&app.alerting, &app.journal.health(), now);
    app.alerting.tick(now);
}
