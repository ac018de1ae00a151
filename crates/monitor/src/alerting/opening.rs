//! Alerting at the start, at a reload and at work: what it is put together from, and the tasks that it runs.

use super::{Alerting, LOG, Parts, Plan, condition, heartbeat};
use crate::act::{ActionRecord, Actions, Outcome, Population, Runner, Surroundings};
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
use std::time::Duration;

/// An action waits so long until what it is about to do is kept, then it acts all the same.
const RECORDED_WITHIN: Duration = Duration::from_millis(500);

/// A configuration that makes sense, and its receivers.
pub(crate) struct Prepared {
    plan: Plan,
    receivers: BTreeMap<Arc<str>, Arc<dyn Receiver>>,
}

/// What runs once the fleet is there.
pub(crate) struct Working {
    runner: Runner,
    back: Arc<Back>,
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
    let surroundings = surroundings(&back, clock, journal, &egress)?;
    let (actions, mut runner) = Actions::new(config.actions.clone(), surroundings);
    let (alive_until_ms, now) = (restored.last_commit_ms, clock.now());
    let was_alive_ms = alive_until_ms.unwrap_or(now.wall_ms);
    let breakers = super::keeping::breakers(&restored.documents);
    let gone = actions.breakers().restore(breakers, was_alive_ms, super::rules_moment(now));
    journal.documents(super::keeping::no_breakers(gone));
    let last = last_actions(&**store).await?;
    let parts = Parts {
        clock: Arc::clone(clock),
        journal: journal.clone(),
        events: Arc::clone(events),
        dispatcher,
        actions,
        heartbeat: config.heartbeat.clone(),
        egress,
        restart_grace: config.restart_grace,
    };
    let alerting = Alerting::restore(plan, &restored.documents, &**store, alive_until_ms, parts).await?;
    // Nobody else sets it.
    back.alerting.get_or_init(|| Arc::downgrade(&alerting));
    let is_over = |alert: &AlertId| {
        let view = alerting.book().view(alert, super::rules_moment(now));
        view.is_none_or(|view| view.ended.is_some())
    };
    alerting.actions.breakers().forget(is_over, super::rules_moment(now));
    // What was broken off is told.
    runner.restore(last, was_alive_ms, config.restart_grace);
    Ok((alerting, Working { runner, back }))
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
    let egress = Egress::new(Policy::default());
    let surroundings = surroundings(&back, clock, journal, &egress)?;
    let (actions, _) = Actions::new(crate::act::Settings::default(), surroundings);
    let parts = Parts {
        clock: Arc::clone(clock),
        journal: journal.clone(),
        events: Arc::clone(events),
        dispatcher,
        actions,
        heartbeat: None,
        egress,
        restart_grace: Duration::ZERO,
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
        // The configuration that a process starts with is in force, whatever became of a reload before.
        let reloaded = condition(MonitorCondition::ReloadFailed, Labels::default(), None);
        alerting.see(&[reloaded], app.clock.now());
        alerting.dispatcher().run(handle);
        self.back.fleet.get_or_init(|| Arc::downgrade(&app.fleet));
        handle.spawn("actions", self.runner.run(handle.cleaning()));
        handle.spawn("breakers", keep_breakers(Arc::clone(app)));
        let (heartbeat, egress) = (alerting.heartbeat.subscribe(), alerting.egress.clone());
        handle.spawn("heartbeat", heartbeat::run(Arc::clone(app), heartbeat, egress));
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

    /// What another configuration is taken over with, or what is wrong with it.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Prepared, String> {
        let plan = Plan::new(&config.alerting, &config.needs, config.external_url.as_deref())
            .map_err(|error| error.to_string())?;
        let egress = Egress::new(config.receivers.egress.clone());
        let receivers = receivers(&config.receivers, &egress).map_err(|error| format!("{error:#}"))?;
        Ok(Prepared { plan, receivers })
    }

    /// Who hears the heartbeat, and to which addresses it and actions may speak, from now on.
    pub(super) fn follow(&self, heartbeat: Option<Heartbeat>, egress: &Policy) {
        let may_go_elsewhere = self.egress.follow(egress);
        self.heartbeat.send_if_modified(|now| {
            let is_another = may_go_elsewhere || *now != heartbeat;
            *now = heartbeat;
            is_another
        });
    }

    /// Takes over another configuration.
    pub(crate) fn configure(&self, Prepared { plan, receivers }: Prepared, config: &Config, app: &App) {
        let (rules, now) = (plan.rules().clone(), self.clock.now());
        self.follow(config.heartbeat.clone(), &config.receivers.egress);
        // Before the routes that lead to them.
        self.dispatcher.set_receivers(receivers);
        let gone = self.actions.replace(config.actions.clone());
        self.journal.documents(super::keeping::no_breakers(gone));
        self.order(plan, now);
        app.fleet.take_rules(rules, now);
        app.fleet.set_restart_grace(config.restart_grace);
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

/// The way back to alerting from what it made, and to the fleet, which is there later.
#[derive(Default)]
struct Back {
    alerting: OnceLock<Weak<Alerting>>,
    fleet: OnceLock<Weak<Fleet>>,
}

impl Back {
    fn alerting(&self) -> Option<Arc<Alerting>> {
        self.alerting.get()?.upgrade()
    }

    /// How many there are of what an alert with these labels is about.
    fn population(&self, labels: &Labels) -> Population {
        let Some(fleet) = self.fleet.get().and_then(Weak::upgrade) else { return Population::default() };
        let service = labels.get("service").and_then(|service| fleet.service(service));
        let instances = service.map_or(0, |service| service.counts.counted());
        Population {
            instances: u32::try_from(instances).unwrap_or(u32::MAX),
            agents: u32::try_from(fleet.agents().len()).unwrap_or(u32::MAX),
        }
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

fn surroundings(
    back: &Arc<Back>,
    clock: &Arc<Clock>,
    journal: &Journal,
    egress: &Egress,
) -> anyhow::Result<Surroundings> {
    let client = egress.plain_client().map_err(|why| anyhow::anyhow!("{why}"))?;
    let (clock, journal) = (Arc::clone(clock), journal.clone());
    let (firing, tell, population) = (Arc::clone(back), Arc::clone(back), Arc::clone(back));
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
        population: Arc::new(move |labels: &Labels| population.population(labels)),
        recorded: Arc::new(move || Box::pin(recorded(journal.clone()))),
    })
}

/// Waits until all that was handed in is kept.
async fn recorded(journal: Journal) {
    let number = journal.documents(Vec::new());
    let mut documents = journal.committed_documents();
    let kept = documents.wait_for(|documents| documents.holds(number) || documents.lost >= number);
    let in_time = matches!(tokio::time::timeout(RECORDED_WITHIN, kept).await, Ok(Ok(documents)) if documents.holds(number));
    if !in_time {
        tracing::warn!("the store did not take in time what an action is about to do: it acts unrecorded");
    }
}

/// The last record of each of the last attempts that were not refused.
async fn last_actions(store: &dyn Store) -> anyhow::Result<Vec<ActionRecord>> {
    let page = DocumentPage { prefix: Some(super::keeping::RUNS.into()), ..DocumentPage::default() };
    let documents: Vec<Document> = store.documents(DocumentKind::Action, page).await?;
    let mut records: Vec<ActionRecord> =
        documents.iter().filter_map(|document| serde_json::from_slice(&document.body).ok()).collect();
    records.reverse();
    Ok(records)
}

/// Keeps the breakers whenever one changes.
async fn keep_breakers(app: Arc<App>) {
    let breakers = Arc::clone(app.alerting.actions().breakers());
    let (mut changes, cleaning) = (breakers.changes(), app.handle.cleaning());
    // What was restored is of another running clock.
    changes.mark_changed();
    while let Some(Ok(())) = cleaning.run_until_cancelled(changes.changed()).await {
        app.alerting.keep_breakers(|_| true, Vec::new());
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
            Sent::Retry { .. } | Sent::Partly { .. } => return,
            Sent::Dead { why } => format!("{} is not told: {why}", attempt.receiver),
        };
        let incidents = self.book.lock().incidents_of(&attempt.alerts);
        for (incident, alert) in incidents {
            self.note(&incident, EntryKind::Notified, Some(alert), text.clone());
        }
    }

    /// Whether an alert still fires in this episode; `None` where nothing is known of it now.
    fn still_fires(&self, alert: &AlertId, episode_ms: i64) -> Option<bool> {
        let book = self.book.lock();
        let view = book.view(alert, super::rules_moment(self.clock.now()));
        match view {
            Some(view) if view.since_ms == episode_ms && view.ended.is_none() => {
                book.is_known_to_fire(alert).then_some(true)
            }
            Some(_) | None => Some(false),
        }
    }

    /// Hands in the states of these breakers, and what belongs to them: gives the number of the hand-in.
    pub(crate) fn keep_breakers(&self, which: impl Fn(&str) -> bool, mut with: Vec<DocumentChange>) -> u64 {
        let _one_after_the_other = self.keeping_breakers.lock();
        let now = super::rules_moment(self.clock.now());
        let kept = self.actions.breakers().kept(now);
        let asked = kept.iter().filter(|kept| which(&kept.name));
        with.extend(asked.map(|kept| super::keeping::breaker(kept, now.wall_ms)));
        self.journal.documents(with)
    }

    /// An action was started, refused, or ended. Of a refusal this is told by who carries decisions out, too: it must
    /// bring about no other decision, for that one may wait for the first.
    fn acted(&self, record: &ActionRecord) {
        // What it did to a breaker is kept in one with it.
        let breaker = self.actions.breaker_of(record);
        self.keep_breakers(|name| breaker.as_deref() == Some(name), self.told(record));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::{Action, ActionRequest, BreakerPolicy, Policy, Settings as Acts, What};
    use crate::http::scene::Scene;

    #[tokio::test]
    async fn what_an_action_did_to_a_breaker_is_kept_in_one_with_the_word_of_it() {
        let mut scene = Scene::new().await;
        scene.write();
        let policy = BreakerPolicy { open_for_ms: 30_000, half_open_probes: 1 };
        let what = What::Breaker { name: "pay".into(), policy };
        let policy = Policy { cool_down_ms: 0, per_hour: 9, dry_run: false };
        let trip = Action { what, policy, verify: None };
        let (alerting, journal) = (&scene.app.alerting, &scene.app.journal);
        let actions = alerting.actions();
        actions.replace(Acts { actions: [("trip".into(), trip)].into(), ..Acts::default() });
        let request = ActionRequest {
            id: "run-1".into(),
            action: "trip".into(),
            alert: AlertId { rule: "slow".into(), labels: Labels::default() },
            episode_ms: 7,
            incident: "i-1".into(),
            labels: Labels::default(),
            asked_ms: 7,
        };
        let now = super::super::rules_moment(scene.app.clock.now());
        actions.breakers().fire("pay", &request.alert, now).unwrap();
        alerting.acted(&ActionRecord { outcome: Outcome::Done, ..actions.asked(&request) });
        let number = journal.documents(Vec::new());
        let mut committed = journal.committed_documents();
        committed.wait_for(|documents| documents.holds(number)).await.unwrap();
        let kept =
            |kind| scene.app.store.documents(kind, DocumentPage { limit: 9, ..DocumentPage::default() });
        assert_eq!(kept(DocumentKind::Action).await.unwrap().len(), 1);
        let breakers = super::super::keeping::breakers(&kept(DocumentKind::Breaker).await.unwrap());
        assert_eq!(breakers.len(), 1);
        assert_eq!(breakers[0].breaker, actions.breakers().kept(now)[0].breaker);
    }
}
