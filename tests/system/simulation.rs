//! The deterministic simulation: a monitor and its agents, the libraries as they are, on a simulated network in
//! simulated time, struck by faults that are drawn from a seed. What is shown, acknowledged and kept must be right
//! whatever happens. Each seed is a case of its own; `FAROL_SEED=17 cargo nextest run -p farol-tests simulation` runs
//! that one alone and prints what happens in it.
//!
//! A seed decides the plan (faults, their times, what checks say) exactly, and the network's delays by the order of
//! messages. Not from the seed: the waits of agents' back-off, the order in hash tables and in which `select!` looks;
//! so a seed that failed may have to be run more than once.

mod chance;
mod half_open;
mod hosts;
mod network;
mod oracle;
mod plan;
mod truth;
mod watcher;
mod world;

use plan::{Plan, SEEDS_OF_THEME};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Seeds run beside each other in one test.
const THREADS: usize = 2;

/// Runs these seeds, or the one that the environment names.
fn seeds(seeds: Range<u64>) {
    if let Some(seed) = std::env::var("FAROL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        let plan = Plan::of(seed);
        eprintln!("{plan:#?}");
        let outcome = world::run(&plan).unwrap();
        outcome.trace.lines().iter().for_each(|line| eprintln!("{line}"));
        eprintln!("seed {seed}: {} ms, trace {:016x}", outcome.lasted_ms, outcome.trace.hash());
        return;
    }
    let next = AtomicU64::new(seeds.start);
    let failed: Vec<String> = thread::scope(|threads| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return failed;
                }
                let ran = catch_unwind(AssertUnwindSafe(|| world::run(&Plan::of(seed))));
                match ran {
                    Ok(Ok(_)) => {}
                    Ok(Err(why)) => failed.push(format!("seed {seed}: {why}")),
                    Err(_) => failed.push(format!("seed {seed}: a panic, see above")),
                }
            }
        };
        let working: Vec<_> = (0..THREADS).map(|_| threads.spawn(work)).collect();
        working.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(
        failed.is_empty(),
        "{} of {seeds:?} failed; `FAROL_SEED=<seed> cargo nextest run -p farol-tests simulation` runs one alone:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// One quarter of the seeds of a theme: a test must not take long.
fn quarter(theme: u64, number: u64) -> Range<u64> {
    let first = theme * SEEDS_OF_THEME;
    first + SEEDS_OF_THEME * number / 4..first + SEEDS_OF_THEME * (number + 1) / 4
}

/// A promise, and the theme whose seeds try it.
macro_rules! promises {
    ($($promise:ident: $theme:literal;)*) => {$(
        mod $promise {
            use super::{quarter, seeds};

            #[test]
            fn in_the_first_quarter_of_its_seeds() {
                seeds(quarter($theme, 0));
            }

            #[test]
            fn in_the_second_quarter_of_its_seeds() {
                seeds(quarter($theme, 1));
            }

            #[test]
            fn in_the_third_quarter_of_its_seeds() {
                seeds(quarter($theme, 2));
            }

            #[test]
            fn in_the_last_quarter_of_its_seeds() {
                seeds(quarter($theme, 3));
            }
        }
    )*};
}

promises! {
    whatever_links_do_nothing_acknowledged_is_lost_and_nothing_unknown_is_shown_as_health: 0;
    whoever_crashes_nothing_acknowledged_is_lost_and_nothing_unknown_is_shown_as_health: 1;
    while_the_store_refuses_live_health_goes_on_and_nothing_is_lost_afterwards: 2;
    whatever_fails_together_nothing_acknowledged_is_lost_and_nothing_unknown_is_shown_as_health: 3;
}

#[test]
fn an_agent_cut_off_without_a_word_goes_to_another_monitor_within_its_keep_alive() {
    for seed in 0..5 {
        half_open::run(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}
