//! One attempt of one action, from the guard's word to the last record. Decides the order: what is about to be done is
//! told before it is done, the effect is looked at when it is due, and what was of no use is taken back.

use super::guard::Refusal;
use super::kubernetes::{self, Scale, Stop, Workload};
use super::record::{ActionRecord, Outcome};
use super::settings::{Action, Settings, What};
use super::webhook::{self, Operation, Order, Webhook};
use super::{Access, ActionRequest, Amount, Bounds, Failure, Inner, scale};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The running clock is looked at again after so long at most: it may stand still meanwhile.
const LOOK: Duration = Duration::from_secs(5);

/// An attempt.
pub(super) struct Attempt {
    inner: Arc<Inner>,
    settings: Arc<Settings>,
    /// `None` after a restart with a configuration that has it no more.
    action: Option<Action>,
    request: ActionRequest,
    record: ActionRecord,
    stopping: CancellationToken,
    running: Running,
    /// So long it waits, its effect being due, for something to be known of its alert; 0 but after a restart.
    known_by_ms: u64,
}

/// The guard's mark that it runs: taken away however the attempt ends.
struct Running {
    inner: Arc<Inner>,
    action: Arc<str>,
    /// Whether it counts. It does unless it surely changed nothing.
    touched: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(guard) = self.inner.state.lock().guards.get_mut(&self.action) {
            guard.ended(self.touched);
        }
    }
}

impl Attempt {
    pub(super) fn new(
        inner: &Arc<Inner>,
        settings: &Arc<Settings>,
        action: Action,
        request: ActionRequest,
        stopping: CancellationToken,
    ) -> Self {
        let record = inner.record(&request, Some(&action), Outcome::Started);
        Self::of(inner, Arc::clone(settings), Some(action), request, record, stopping)
    }

    /// One that waited for its effect when the monitor ended.
    pub(super) fn resumed(
        inner: &Arc<Inner>,
        record: ActionRecord,
        known_by_ms: u64,
        stopping: CancellationToken,
    ) -> Self {
        let settings = inner.settings.load_full();
        let same = |action: &&Action| action.what.target() == record.target;
        let action = settings.actions.get(&record.action).filter(same).cloned();
        let request = ActionRequest::again(&record);
        Self { known_by_ms, ..Self::of(inner, settings, action, request, record, stopping) }
    }

    fn of(
        inner: &Arc<Inner>,
        settings: Arc<Settings>,
        action: Option<Action>,
        request: ActionRequest,
        record: ActionRecord,
        stopping: CancellationToken,
    ) -> Self {
        let running =
            Running { inner: Arc::clone(inner), action: Arc::clone(&request.action), touched: true };
        Self {
            inner: Arc::clone(inner),
            settings,
            action,
            request,
            record,
            stopping,
            running,
            known_by_ms: 0,
        }
    }

    fn tell(&mut self, outcome: Outcome) {
        self.record.outcome = outcome;
        self.record.known_ms = self.inner.now().wall_ms;
        let record = &self.record;
        let (action, target, incident) = (&*record.action, &record.target, &record.incident);
        if record.outcome.is_bad() {
            tracing::warn!(action, target, incident, outcome = ?record.outcome, "an action did not help");
        } else {
            tracing::info!(action, target, incident, outcome = ?record.outcome, "an action");
        }
        self.inner.tell(record.clone());
    }

    pub(super) async fn carry_out(mut self) {
        let Some(action) = self.action.clone() else { return };
        let acted = match &action.what {
            What::Breaker { name, .. } => self.trip(name),
            What::Scale { workload, by, bounds } => self.scale(workload, *by, *bounds).await,
            What::Webhook { webhook, by, bounds } => self.order(webhook, *by, *bounds).await,
        };
        match acted {
            Err(Stop::Refused(refusal)) => {
                self.running.touched = false;
                // What was to be is not, since it was decided anew.
                self.record.after = None;
                self.tell(Outcome::Refused { refusal });
            }
            Err(Stop::ChangedByOthers { replicas }) => {
                self.running.touched = false;
                let why = format!("someone else made it {replicas} replicas");
                self.tell(Outcome::Failed { why, touched: false });
            }
            Err(Stop::Failed(Failure { message, touched })) => {
                self.running.touched = touched;
                self.tell(Outcome::Failed { why: message, touched });
            }
            Ok(()) if self.record.dry_run => self.tell(Outcome::WouldRun),
            Ok(()) => match action.verify {
                None => self.tell(Outcome::Done),
                Some(verify) => {
                    let due_run_ms = self.inner.now().run_ms.saturating_add(verify.after_ms);
                    self.tell(Outcome::Verifying { due_run_ms });
                    self.look_at_effect().await;
                }
            },
        }
    }

    fn trip(&mut self, name: &str) -> Result<(), Stop> {
        if self.record.dry_run {
            return Ok(());
        }
        let (inner, alert) = (&self.inner, &self.request.alert);
        let opened = inner.breakers.fire(name, alert, inner.now());
        opened.map_err(|error| Stop::from(Failure::untouched(error.to_string())))?;
        // One that ended since the guard was asked was told to be over before the breaker knew of it.
        if (inner.surroundings.firing)(alert, self.request.episode_ms) == Some(false) {
            inner.breakers.resolved(alert, inner.now());
        }
        Ok(())
    }

    async fn scale(&mut self, workload: &Workload, by: Amount, bounds: Bounds) -> Result<(), Stop> {
        let access = self.access()?;
        if self.record.dry_run {
            let found = kubernetes::read(&access, workload).await?;
            let after = scale::target(found.replicas, by, bounds).map_err(Stop::Refused)?;
            (self.record.before, self.record.after) = (Some(found.replicas), Some(after));
            return Ok(());
        }
        let recorded = Arc::clone(&self.inner.surroundings.recorded);
        let changed = kubernetes::change(&access, workload, &recorded, |found| {
            // Since the guard was asked more may have gone bad.
            if let Some(wide) = self.inner.wide(&self.request, &self.settings.radius) {
                return Err(Stop::Refused(Refusal::BlastRadius(wide)));
            }
            let after = scale::target(found.replicas, by, bounds).map_err(Stop::Refused)?;
            self.about_to(found, after);
            Ok(after)
        })
        .await?;
        (self.record.before, self.record.after) = (Some(changed.before), Some(changed.after));
        Ok(())
    }

    fn about_to(&mut self, found: &Scale, after: u32) {
        (self.record.before, self.record.after) = (Some(found.replicas), Some(after));
        self.record.object = Some(found.uid.clone());
        self.tell(Outcome::Started);
    }

    async fn order(&mut self, webhook: &Webhook, by: Option<Amount>, bounds: Bounds) -> Result<(), Stop> {
        // Whether the other side knows what a dry run is cannot be known: it is not asked.
        if self.record.dry_run {
            return Ok(());
        }
        self.tell(Outcome::Started);
        (self.inner.surroundings.recorded)().await;
        let said = self.send(webhook, Operation::Scale, by, bounds).await?;
        (self.record.before, self.record.after) = (said.before, said.after);
        Ok(())
    }

    async fn send(
        &self,
        webhook: &Webhook,
        operation: Operation,
        by: Option<Amount>,
        bounds: Bounds,
    ) -> Result<webhook::Said, Stop> {
        let order = Order {
            id: &self.record.id,
            operation,
            action: &self.request.action,
            alert: &self.request.alert,
            incident: &self.request.incident,
            by,
            min: bounds.min,
            max: bounds.max,
            before: self.record.before,
            after: self.record.after,
        };
        let unix_s = self.inner.now().wall_ms.div_euclid(1_000);
        webhook::send(&self.inner.surroundings.client, webhook, &order, unix_s).await
    }

    fn access(&self) -> Result<Access, Stop> {
        let missing = "it is not known where the API server is; write `kubernetes: {url: …}`";
        self.settings.kubernetes.clone().ok_or_else(|| Failure::untouched(missing).into())
    }

    /// Waits until the effect is due, looks at it and takes back what was of no use.
    pub(super) async fn look_at_effect(mut self) {
        let Outcome::Verifying { due_run_ms } = self.record.outcome else { return };
        let firing = loop {
            let now = self.inner.now().run_ms;
            let mut left = due_run_ms.saturating_sub(now);
            if left == 0 {
                let firing = (self.inner.surroundings.firing)(&self.request.alert, self.request.episode_ms);
                left = self.known_by_ms.saturating_sub(now);
                if firing.is_some() || left == 0 {
                    break firing;
                }
            }
            tokio::select! {
                // What is stored says that it is awaited: the next start looks.
                () = self.stopping.cancelled() => return,
                () = sleep(LOOK.min(Duration::from_millis(left))) => {}
            }
        };
        let verify = self.action.as_ref().and_then(|action| action.verify);
        let outcome = match (firing, verify) {
            (None, _) => Outcome::Unverified,
            (Some(false), _) => Outcome::Effective,
            (Some(true), Some(verify)) if verify.roll_back => self.roll_back().await,
            (Some(true), _) => Outcome::NoEffect,
        };
        self.tell(outcome);
    }

    async fn roll_back(&mut self) -> Outcome {
        let undone = match self.inner.wide(&self.request, &self.settings.radius) {
            Some(wide) => Err(Stop::Refused(Refusal::BlastRadius(wide))),
            None => self.undo().await,
        };
        match undone {
            Ok(()) => Outcome::RolledBack,
            Err(Stop::Refused(refusal)) => Outcome::NotRolledBack { why: refusal.to_string() },
            Err(Stop::ChangedByOthers { replicas }) => {
                let why = format!("someone else made it {replicas} replicas meanwhile");
                Outcome::NotRolledBack { why }
            }
            Err(Stop::Failed(failure)) => Outcome::NotRolledBack { why: failure.message },
        }
    }

    async fn undo(&mut self) -> Result<(), Stop> {
        let Some(action) = self.action.clone() else { return Ok(()) };
        match &action.what {
            What::Scale { workload, .. } => {
                let (Some(before), Some(after)) = (self.record.before, self.record.after) else {
                    return Err(Failure::untouched("how many there were before is not known").into());
                };
                let object = self.record.object.as_deref();
                let recorded = &self.inner.surroundings.recorded;
                kubernetes::change(&self.access()?, workload, recorded, |found| {
                    let ours = found.replicas == after && object == Some(found.uid.as_str());
                    if ours { Ok(before) } else { Err(Stop::ChangedByOthers { replicas: found.replicas }) }
                })
                .await
                .map(drop)
            }
            What::Webhook { webhook, by, bounds } => {
                self.send(webhook, Operation::RollBack, *by, *bounds).await.map(drop)
            }
            What::Breaker { .. } => Ok(()),
        }
    }
}
