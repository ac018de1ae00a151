//! How often time is let pass over an agent: when something may change, and no oftener.

use super::*;

#[test]
fn looks_that_were_overtaken_do_not_multiply() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    for _ in 0..20 {
        scene.pass(2_000);
        scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Workload, 5_000, scene.now);
        scene.connect(1);
        scene.state(&agent, [Status::Healthy; 2], Some(scene.now.boot_ms));
    }
    for _ in 0..12 {
        scene.pass(10_000);
        scene.report(&agent, Vec::new());
    }
    // The next one, and at most one that it overtook and whose time has not come.
    assert!(scene.fleet.agenda.len() <= 2, "{}", scene.fleet.agenda.len());
}

#[test]
fn an_agent_that_its_services_need_is_looked_at_each_minute_when_it_should_be_forgotten() {
    let (mut scene, agent, link) = Scene::online(Role::Pod);
    let policy = Policy { at_least: Some(1), ..Policy::default() };
    scene.fleet.declare(&BTreeMap::from([("payments".into(), policy)]), &BTreeMap::new(), scene.now);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    scene.pass(forget_after_ms(Role::Pod) + 60_000);
    let mut looks = 0;
    let mut next_ms = agent.live.lock().look_ms;
    for _ in 0..4 * 600 {
        scene.pass(250);
        let look_ms = agent.live.lock().look_ms;
        looks += u32::from(look_ms != next_ms);
        next_ms = look_ms;
    }
    assert!((9..=11).contains(&looks), "{looks} looks in ten minutes");
    assert!(!agent.live.lock().is_forgotten);
}
