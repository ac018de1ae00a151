//! Named cleanups, the last registered first. A failing, panicking or hanging one never skips the next:
//! each runs as a task of its own under a deadline that leaves the others their share.

use std::borrow::Cow;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::shared::Shared;
use crate::task::panic_text;

pub(crate) struct Cleanup {
    pub(crate) name: Cow<'static, str>,
    pub(crate) deadline: Duration,
    pub(crate) run: Box<dyn FnOnce() -> BoxFuture<'static, Option<String>> + Send>,
}

/// Runs all cleanups inside `budget`, those that are registered meanwhile included.
pub(crate) async fn run_all(shared: &Shared, budget: Duration) {
    let end = Instant::now() + budget;
    loop {
        let (next, others) = {
            let mut waiting = shared.cleanups.lock();
            let next = waiting.pop();
            (next, waiting.iter().map(|cleanup| cleanup.deadline).sum())
        };
        let Some(next) = next else { return };
        let within = share(next.deadline, others, end.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        let failure = run_one(next.run, within).await;
        let duration_ms = began.elapsed().as_millis();
        match failure {
            None => tracing::info!(cleanup = &*next.name, duration_ms, "cleanup done"),
            Some(why) => {
                tracing::error!(cleanup = &*next.name, duration_ms, error = %why, "cleanup failed");
                shared.failed(&next.name, &why);
            }
        }
    }
}

async fn run_one(
    run: Box<dyn FnOnce() -> BoxFuture<'static, Option<String>> + Send>,
    within: Duration,
) -> Option<String> {
    #[allow(
        clippy::disallowed_methods,
        reason = "a task of its own, so that a blocking cleanup can be left behind"
    )]
    let mut task = tokio::spawn(async move { run().await });
    match tokio::time::timeout(within, &mut task).await {
        Ok(Ok(failure)) => failure,
        Ok(Err(error)) => match error.try_into_panic() {
            Ok(panic) => Some(panic_text(&*panic)),
            Err(_) => Some("was cancelled".to_owned()),
        },
        Err(_) => {
            task.abort();
            Some(format!("cut after {} ms", within.as_millis()))
        }
    }
}

/// The time one cleanup gets: its own deadline, or its share when the rest would not get theirs.
fn share(own: Duration, others: Duration, left: Duration) -> Duration {
    let all = own + others;
    if all <= left || all.is_zero() { own } else { left.mul_f64(own.as_secs_f64() / all.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleanup_gets_its_deadline_or_its_share_of_what_is_left() {
        let ms = Duration::from_millis;
        for (own, others, left, expected) in [
            (ms(100), ms(200), ms(5_000), ms(100)),
            (ms(5_000), ms(5_000), ms(5_000), ms(2_500)),
            (ms(1_000), ms(3_000), ms(2_000), ms(500)),
            (ms(1_000), ms(0), ms(400), ms(400)),
            (ms(1_000), ms(0), ms(0), ms(0)),
            (ms(0), ms(0), ms(0), ms(0)),
        ] {
            assert_eq!(share(own, others, left), expected, "{own:?} {others:?} {left:?}");
        }
    }
}
