//! Reloads, requests and time in any order: what must hold at every moment.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// Exactly these checks, each with a fingerprint.
    Replace(BTreeMap<u8, u64>),
    CheckNow(u8),
    Wait(u64),
    Block(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => prop::collection::btree_map(0_u8..6, 0_u64..3, 0..6).prop_map(Step::Replace),
        2 => (0_u8..6).prop_map(Step::CheckNow),
        3 => (0_u64..400).prop_map(Step::Wait),
        1 => (0_u64..400).prop_map(Step::Block),
    ]
}

fn script(kind: u8) -> Arc<Script> {
    Script::new(match kind % 6 {
        0 => vec![ok()],
        1 => vec![Act::Hang],
        2 => vec![Act::Panic, ok()],
        3 => vec![Act::After(40, Outcome::degraded("lag", ""))],
        4 => vec![Act::Block(200), ok()],
        _ => vec![refused(), ok(), ok()],
    })
}

async fn weather(steps: Vec<Step>) {
    let bench = Bench::start(Vec::new());
    let mut scripts = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Replace(checks) => {
                names = checks.keys().map(|n| format!("check-{n}")).collect();
                let registrations = checks.iter().map(|(n, fingerprint)| {
                    let script = script(*n);
                    scripts.push(Arc::clone(&script));
                    let name = format!("check-{n}");
                    let spec = Spec { interval: ms(60), deadline: ms(50), ttl: ms(150), ..spec(&name) };
                    Registration { fingerprint: *fingerprint, ..reg(spec, &script) }
                });
                bench.checker.replace(registrations.collect()).unwrap();
            }
            Step::CheckNow(n) => {
                let known = bench.checker.check_now(&[format!("check-{n}")]);
                assert_eq!(known, usize::from(names.contains(&format!("check-{n}"))));
            }
            Step::Wait(time) => tokio::time::sleep(ms(time)).await,
            Step::Block(time) => tokio::time::advance(ms(time)).await,
        }
        let shown: Vec<_> = bench.checker.snapshot().components.iter().map(|c| c.name.to_string()).collect();
        assert_eq!(shown, names);
        assert!(scripts.iter().all(|s| s.most_at_once() <= 1), "one check ran twice at once");
        assert!(bench.checker.0.board.lock().timers() <= 4 * names.len(), "timers pile up");
    }
    tokio::time::sleep(ms(400)).await;
    let running: usize = scripts.iter().map(|s| s.runs_now()).sum();
    assert!(running <= names.len(), "dropped checks still run");
    for component in &bench.checker.snapshot().components {
        assert_ne!(component.hard, Status::Starting, "{} was never judged", component.name);
        let age = paused_ms() - component.checked_ms.unwrap_or(0);
        assert!(age <= 150, "{} is {age} ms old", component.name);
    }
    let mut alive = std::collections::HashSet::new();
    for (_, told) in &*bench.log.0.lock() {
        match told {
            Told::Checked(name, _) => _ = alive.insert(name.clone()),
            Told::Removed(name) => _ = alive.remove(name),
            Told::Lapsed(..) => {}
        }
    }
    assert!(alive.iter().all(|name| names.contains(name)), "told of {alive:?} after it was removed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_runs_twice_piles_up_or_speaks_after_its_removal(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(weather(steps));
    }
}
