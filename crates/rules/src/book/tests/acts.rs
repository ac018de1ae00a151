//! What an alert starts: once in its episode, and not before somebody may hear of it.

use super::*;

fn acting(rule: Rule) -> Rule {
    Rule { actions: vec!["scale".into()], ..rule }
}

/// What was asked for since the last call.
fn acts(scene: &mut Scene) -> Vec<String> {
    let mut acts = std::mem::take(&mut scene.acts);
    acts.sort();
    acts
}

#[test]
fn what_is_held_back_starts_nothing_until_it_is_released_and_then_once() {
    let children = acting(cpu()).held_by("lost", &["agent"]);
    let mut scene = Scene::new(&[acting(lost()), children]);
    scene.see(&[is_lost("a", Is::On)]);
    scene.see(&[measured("a", 90.0), measured("b", 90.0)]);
    scene.until(5);
    assert_eq!(acts(&mut scene), ["do scale cpu/b/eu", "do scale lost/a/eu"]);
    scene.restart(5);
    scene.see(&[is_lost("a", Is::On), measured("a", 90.0), measured("b", 90.0)]);
    scene.until(10);
    assert_eq!(acts(&mut scene), Vec::<String>::new(), "nothing is asked for again");
    scene.see(&[is_lost("a", Is::Off)]);
    scene.until(70);
    assert_eq!(acts(&mut scene), ["do scale cpu/a/eu"]);
    scene.restart(5);
    scene.see(&[measured("a", 90.0), measured("b", 90.0)]);
    scene.until(75);
    assert_eq!(acts(&mut scene), Vec::<String>::new());
    scene.see(&[measured("a", 1.0)]);
    scene.see(&[measured("a", 90.0)]);
    assert_eq!(acts(&mut scene), ["do scale cpu/a/eu"], "another episode");
}

#[test]
fn what_is_silenced_or_taken_care_of_before_anybody_could_hear_of_it_starts_nothing() {
    let mut scene = Scene::new(&[acting(lost())]);
    scene.silence("s", is("alertname", "lost"), 0, 100);
    scene.see(&[is_lost("a", Is::On), is_lost("b", Is::On)]);
    scene.acknowledge("lost", agent("a"), None);
    scene.until(50);
    scene.restart(0);
    scene.see(&[is_lost("a", Is::On), is_lost("b", Is::On)]);
    scene.until(99);
    assert_eq!(acts(&mut scene), Vec::<String>::new());
    scene.until(120);
    assert_eq!(acts(&mut scene), ["do scale lost/b/eu"]);
    scene.book.unacknowledge(&AlertId { rule: "lost".into(), labels: agent("a") }, None, scene.now());
    scene.take();
    assert_eq!(acts(&mut scene), ["do scale lost/a/eu"]);
    scene.silence("t", is("alertname", "lost"), 120, 200);
    scene.until(300);
    assert_eq!(acts(&mut scene), Vec::<String>::new(), "once in an episode");
}
