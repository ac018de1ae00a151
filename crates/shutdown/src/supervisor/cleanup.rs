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
            (next, waiting.iter().map(|cleanup| cleanup.deadline).collect())
        };
        let Some(next) = next else { return };
        let within = share(next.deadline, others, end.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        let failure = run_one(next.run, within).await;
        let duration_ms = began.elapsed().as_millis() as u64;
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

/// The time one cleanup gets: its own deadline where there is enough for all, else at most a level at which
/// all together fit. So those that need little get it, and one that wants everything gets what they leave.
fn share(own: Duration, mut others: Vec<Duration>, left: Duration) -> Duration {
    others.sort_unstable();
    let mut left = left;
    let mut sharing = others.len() as u32 + 1;
    for other in others {
        if other > left / sharing || own <= left / sharing {
            break;
        }
        left -= other;
        sharing -= 1;
    }
    own.min(left / sharing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleanup_gets_its_deadline_or_a_fair_share_of_what_is_left() {
        let cases: [(u64, &[u64], u64, u64); 9] = [
            (100, &[200], 5_000, 100),
            (5_000, &[5_000], 5_000, 2_500),
            (1_000, &[3_000], 2_000, 1_000),
            (3_000, &[1_000], 2_000, 1_000),
            (60_000, &[200, 100], 1_000, 700),
            (200, &[60_000], 1_000, 200),
            (900, &[60_000, 100], 1_000, 450),
            (1_000, &[], 400, 400),
            (1_000, &[0], 0, 0),
        ];
        let ms = Duration::from_millis;
        for (own, others, left, expected) in cases {
            let given = share(ms(own), others.iter().copied().map(ms).collect(), ms(left));
            assert_eq!(given, ms(expected), "{own} beside {others:?} in {left}");
        }
    }

    #[test]
    fn shares_taken_in_full_never_exceed_the_budget() {
        let all = [5_000_u64, 40, 900, 2_000, 7, 60_000, 900].map(Duration::from_millis);
        for budget in [0, 10, 500, 3_000, 5_000, 100_000].map(Duration::from_millis) {
            let mut left = budget;
            for index in 0..all.len() {
                let given = share(all[index], all[index + 1..].to_vec(), left);
                assert!(given <= left && given <= all[index]);
                let least = all[index].min(budget / all.len() as u32);
                assert!(given + Duration::from_millis(1) >= least, "{index} in {budget:?}: {given:?}");
                left -= given;
            }
        }
    }
}
