//! Runs each check once, at once and all together: what a command line wants. Decides nothing about results.

use super::{Checked, Checker, Observer, RegisterError};
use crate::{ComponentView, Registration, Status};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Longer than any deadline: nothing runs a second time while the slowest is waited for.
const NEVER_AGAIN: Duration = Duration::from_secs(86_400);

/// Who has not answered yet.
struct Waiting {
    names: Mutex<HashSet<String>>,
    all_answered: Notify,
}

impl Observer for Waiting {
    fn checked(&self, name: &str, _: &Checked) {
        let mut names = self.names.lock();
        names.remove(name);
        if names.is_empty() {
            self.all_answered.notify_one();
        }
    }

    fn lapsed(&self, _: &str, _: &ComponentView) {}

    fn removed(&self, _: &str) {}
}

/// Runs each check once, without start grace: the first result counts. Takes as long as the longest deadline at
/// most. A run that says nothing because this process was starved leaves its component unknown. Components that are
/// told are left out: there is nobody to ask.
///
/// # Errors
/// As for [`Checker::new`].
pub async fn run_once(
    mut registrations: Vec<Registration>,
) -> Result<Vec<Arc<ComponentView>>, RegisterError> {
    registrations.retain(|registration| !registration.spec.told);
    if registrations.is_empty() {
        return Ok(Vec::new());
    }
    for Registration { spec, .. } in &mut registrations {
        spec.start_grace = Duration::ZERO;
        spec.interval = spec.interval.max(NEVER_AGAIN);
    }
    let names: Vec<String> = registrations.iter().map(|r| r.spec.name.clone()).collect();
    let waiting =
        Arc::new(Waiting { names: Mutex::new(names.iter().cloned().collect()), all_answered: Notify::new() });
    let checker = Checker::new(registrations, Arc::<Waiting>::clone(&waiting))?;
    checker.check_now(&names);
    let token = CancellationToken::new();
    tokio::select! {
        () = checker.clone().run(token) => {}
        () = waiting.all_answered.notified() => {}
    }
    let mut views = checker.snapshot().components.clone();
    for view in views.iter_mut().filter(|view| view.checked_ms.is_none()) {
        let view = Arc::make_mut(view);
        view.hard = Status::Unknown;
        view.soft = Status::Unknown;
        view.reason = "agent_starved".into();
        view.message = "this process got no processor time, so the run says nothing; try again".into();
    }
    Ok(views)
}
