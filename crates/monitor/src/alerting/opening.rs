//! Alerting at the start, at a reload and at work: what it is put together from, and the tasks that it runs.

use super::{Act, Alerting, LOG, Parts, Plan, condition, heartbeat};
use crate::act::{ActionRecord, ActionRequest, Actions, Outcome, Population, Runner, Surroundings};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Alerting as Settings, Config, Heartbeat, Receivers};
use crate::events::Events;
use crate::fleet::Fleet;
use crate::journal::Journal;
use crate::notify::egress::{Egress, Policy};
use crate::notify::receivers::Receiver;
use crate::notify::{Attempt, Dispatcher, Watch};
use crate::store::{Document, DocumentChange, DocumentKind, DocumentPage, Restored, Store};
use anyhow::Context;
use farol_rules::{AlertId, EntryKind, Labels, MonitorCondition, Rule, SavedBook};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::mpsc;

/// So many actions wait to be asked for.
const ASKED: usize = 64;

/// What runs once the fleet is there.
pub(crate) struct Working {
    runner: Runner,
    asked: mpsc::Receiver<Act>,
    egress: Egress,
    heartbeat: Option<Heartbeat>,
}

/// Alerting as it was when the monitor was last alive, and what runs for it.
pub(crate) async fn open(
    config: &Config,
    restored: &Restored,
    store: &Arc<dyn Store>,
    (journal, events, clock): (&Journal, &Arc<Events>, &Arc<Clock>),
) -> anyhow::Result<(Arc<Alerting>, Working)> {
    let plan = Plan::new(&config.alerting, &config.needs, config.external_url.as_deref())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let egress = Egress::new(config.receivers.egress.clone());
    let back = Arc::new(Back::default());
    let dispatcher = Dispatcher::new(journal.clone(), Arc::clone(store), Arc::clone(&back) as Arc<dyn Watch>);
    dispatcher.set_receivers(receivers(&config.receivers, &egress)?);
    let due = restored.documents.iter().filter(|document| document.kind == DocumentKind::Due);
    dispatcher.restore(due.cloned().collect());
    let surroundings = surroundings(&back, clock, &egress)?;
    let (actions, mut runner) = Actions::new(config.actions.clone(), surroundings);
    actions.breakers().restore(super::keeping::breakers(&restored.documents));
    runner.restore(last_actions(&**store).await?);
    let (ask, asked) = mpsc::channel(ASKED);
    let parts = Parts {
        clock: Arc::clone(clock),
        journal: journal.clone(),
        events: Arc::clone(events),
        dispatcher,
        actions,
        ask,
    };
    let alive_until_ms = restored.last_commit_ms;
    let alerting = Alerting::restore(plan, &restored.documents, &**store, alive_until_ms, parts).await?;
    // Nobody else sets it.
    back.0.get_or_init(|| Arc::downgrade(&alerting));
    Ok((alerting, Working { runner, asked, egress, heartbeat: config.heartbeat.clone() }))
}

/// Alerting without a rule, for those who have a monitor without its parts: benches, and tests of what only reads.
///
/// # Errors
/// No HTTP client can be made here.
pub fn without_rules(
    journal: &Journal,
    events: &Arc<Events>,
    clock: &Arc<Clock>,
    store: &Arc<dyn Store>,
) -> anyhow::Result<Arc<Alerting>> {
    let settings = Settings { rules: Vec::new(), route: None, windows: Vec::new() };
    let plan = Plan::new(&settings, &BTreeMap::new(), None).map_err(|error| anyhow::anyhow!("{error}"))?;
    let back = Arc::new(Back::default());
    let dispatcher = Dispatcher::new(journal.clone(), Arc::clone(store), Arc::clone(&back) as Arc<dyn Watch>);
    let surroundings = surroundings(&back, clock, &Egress::new(Policy::default()))?;
    let (actions, _) = Actions::new(crate::act::Settings::default(), surroundings);
    let (ask, _) = mpsc::channel(1);
    let parts = Parts {
        clock: Arc::clone(clock),
        journal: journal.clone(),
        events: Arc::clone(events),
        dispatcher,
        actions,
        ask,
    };
    Ok(Alerting::new(plan, SavedBook::default(), None, parts))
}

impl Working {
    /// Runs what is to run, and lets the rules look at the fleet.
    pub(crate) fn run(self, app: &Arc<App>) {
        let (handle, alerting) = (&app.handle, &app.alerting);
        // Not in one statement: the fleet tells the book what it sees.
        let rules = alerting.book().rules().clone();
        app.fleet.take_rules(rules, app.clock.now());
        alerting.dispatcher().run(handle);
        handle.spawn("actions", self.runner.run(handle.cleaning()));
        handle.spawn("actions asked for", ask(Arc::clone(app), self.asked));
        handle.spawn("breakers", keep_breakers(Arc::clone(app)));
        if let Some(heartbeat) = self.heartbeat {
            handle.spawn("heartbeat", heartbeat::run(Arc::clone(app), heartbeat, self.egress));
        }
    }
}

impl Alerting {
    /// Takes over these rules and no others, for those who have a monitor without its parts: benches. Everything goes
    /// to the log.
    ///
    /// # Errors
    /// The rules make no sense together.
    pub fn take_rules(&self, rules: Vec<Rule>, fleet: &Fleet) -> anyhow::Result<()> {
        let settings = Settings { rules, route: None, windows: Vec::new() };
        let plan =
            Plan::new(&settings, &BTreeMap::new(), None).map_err(|error| anyhow::anyhow!("{error}"))?;
        let (rules, now) = (plan.rules().clone(), self.clock.now());
        self.order(plan, now);
        fleet.take_rules(rules, now);
        Ok(())
    }

    /// Takes over another configuration, or says what is wrong with it and stays as it was.
    pub(crate) fn configure(&self, config: &Config, app: &App) -> Result<(), String> {
        let plan = Plan::new(&config.alerting, &config.needs, config.external_url.as_deref())
            .map_err(|error| error.to_string())?;
        let egress = Egress::new(config.receivers.egress.clone());
        let receivers = receivers(&config.receivers, &egress).map_err(|error| format!("{error:#}"))?;
        let (rules, now) = (plan.rules().clone(), self.clock.now());
        // Before the routes that lead to them.
        self.dispatcher.set_receivers(receivers);
        self.actions.replace(config.actions.clone());
        self.order(plan, now);
        app.fleet.take_rules(rules, now);
        Ok(())
    }
}

/// The receivers of a configuration, and the log.
fn receivers(config: &Receivers, egress: &Egress) -> anyhow::Result<BTreeMap<Arc<str>, Arc<dyn Receiver>>> {
    let mut receivers = BTreeMap::from([(Arc::from(LOG), crate::notify::receivers::to_log())]);
    for (name, settings) in &config.by_name {
        let receiver = settings.build(egress).map_err(|why| anyhow::anyhow!("{why}"));
        receivers.insert(Arc::clone(name), receiver.with_context(|| format!("receivers.{name}"))?);
    }
    Ok(receivers)
}

/// The way back to alerting from what it made.
#[derive(Default)]
struct Back(OnceLock<Weak<Alerting>>);

impl Back {
    fn alerting(&self) -> Option<Arc<Alerting>> {
        self.0.get()?.upgrade()
    }
}

impl Watch for Back {
    fn attempted(&self, attempt: &Attempt) {
        if let Some(alerting) = self.alerting() {
            alerting.attempted(attempt);
        }
    }

    fn failing(&self, receiver: &str, why: Option<&str>) {
        self.see(MonitorCondition::ReceiverFailing, Labels::from([("receiver", receiver)]), why);
    }

    fn full(&self, receiver: &str, full: bool) {
        let why = full.then_some("too many notices wait for this receiver; the oldest are not sent");
        self.see(MonitorCondition::QueueFull, Labels::from([("queue", receiver)]), why);
    }
}

impl Back {
    fn see(&self, what: MonitorCondition, labels: Labels, why: Option<&str>) {
        if let Some(alerting) = self.alerting() {
            alerting.see(&[condition(what, labels, why)], alerting.clock.now());
        }
    }
}

fn surroundings(back: &Arc<Back>, clock: &Arc<Clock>, egress: &Egress) -> anyhow::Result<Surroundings> {
    let client = egress.plain_client().map_err(|why| anyhow::anyhow!("{why}"))?;
    let clock = Arc::clone(clock);
    let (firing, tell) = (Arc::clone(back), Arc::clone(back));
    Ok(Surroundings {
        client,
        now: Arc::new(move || super::rules_moment(clock.now())),
        firing: Arc::new(move |alert: &AlertId, episode_ms| {
            firing.alerting().and_then(|alerting| alerting.still_fires(alert, episode_ms))
        }),
        tell: Arc::new(move |record: ActionRecord| {
            if let Some(alerting) = tell.alerting() {
                alerting.acted(&record);
            }
        }),
    })
}

/// The last record of each of the last actions.
async fn last_actions(store: &dyn Store) -> anyhow::Result<Vec<ActionRecord>> {
    let page = DocumentPage { limit: 1_000, ..DocumentPage::default() };
    let documents: Vec<Document> = store.documents(DocumentKind::Action, page).await?;
    let mut records: Vec<ActionRecord> =
        documents.iter().filter_map(|document| serde_json::from_slice(&document.body).ok()).collect();
    records.reverse();
    Ok(records)
}

/// Asks for actions, with what only the fleet knows.
async fn ask(app: Arc<App>, mut asked: mpsc::Receiver<Act>) {
    let cleaning = app.handle.cleaning();
    while let Some(Some(act)) = cleaning.run_until_cancelled(asked.recv()).await {
        let service = act.labels.get("service").and_then(|service| app.fleet.service(service));
        let instances = service.map_or(0, |service| service.counts.counted());
        let population = Population {
            instances: u32::try_from(instances).unwrap_or(u32::MAX),
            agents: u32::try_from(app.fleet.agents().len()).unwrap_or(u32::MAX),
        };
        app.alerting.actions().start(ActionRequest {
            action: act.action,
            alert: act.alert,
            episode_ms: act.episode_ms,
            incident: act.incident.to_string(),
            labels: act.labels,
            population,
            at: super::rules_moment(app.clock.now()),
        });
    }
}

/// Keeps the breakers whenever one changes.
async fn keep_breakers(app: Arc<App>) {
    let breakers = Arc::clone(app.alerting.actions().breakers());
    let (mut changes, cleaning) = (breakers.changes(), app.handle.cleaning());
    while let Some(Ok(())) = cleaning.run_until_cancelled(changes.changed()).await {
        let at_ms = app.clock.now().wall_ms;
        let kept: Vec<DocumentChange> =
            breakers.kept().iter().map(|kept| super::keeping::breaker(kept, at_ms)).collect();
        app.journal.documents(kept);
    }
}

impl Alerting {
    /// A notice was sent, or was not: on the time lines of its alerts' incidents.
    fn attempted(&self, attempt: &Attempt) {
        use crate::notify::Outcome as Sent;
        let text = match &attempt.outcome {
            Sent::Sent { note: None } => format!("{} was told", attempt.receiver),
            Sent::Sent { note: Some(note) } => format!("{} was told; {note}", attempt.receiver),
            // The first failure is worth a line, and the end of it.
            Sent::Retry { why, .. } if attempt.number == 1 => {
                format!("{} could not be told, it is tried again: {why}", attempt.receiver)
            }
            Sent::Retry { .. } => return,
            Sent::Dead { why } => format!("{} is not told: {why}", attempt.receiver),
        };
        let incidents = self.book.lock().incidents_of(&attempt.alerts);
        for (incident, alert) in incidents {
            self.note(&incident, EntryKind::Notified, Some(alert), text.clone());
        }
    }

    /// Whether an alert still fires in this episode; `None` where nothing is known of it now.
    fn still_fires(&self, alert: &AlertId, episode_ms: i64) -> Option<bool> {
        let view = self.book.lock().view(alert, super::rules_moment(self.clock.now()));
        match view {
            Some(view) if view.stale => None,
            Some(view) => Some(view.since_ms == episode_ms && view.ended.is_none()),
            None => Some(false),
        }
    }

    /// An action was started, refused, or ended.
    fn acted(&self, record: &ActionRecord) {
        let at_ms = record.known_ms;
        self.journal.documents(vec![super::keeping::action(record, at_ms)]);
        let text = format!("action {} on {}: {}", record.action, record.target, record.outcome);
        self.note(&record.incident, EntryKind::Action, Some(record.alert.clone()), text);
        if record.outcome.is_bad() {
            let labels = Labels::from([("action", &*record.action)]);
            let why = record.outcome.to_string();
            let seen = super::conditions::happened_to(MonitorCondition::ActionFailed, labels, why);
            self.see(&[seen], self.clock.now());
        }
        if let Outcome::Refused { .. } = record.outcome {
            tracing::warn!(action = &*record.action, alert = %record.alert, outcome = %record.outcome, "an action is refused");
        }
    }
}
