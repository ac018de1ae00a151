//! The words of the board's events.

use super::*;

#[test]
fn a_change_says_how_many_are_up_and_needed_and_which_services_are_like_the_group() {
    let mut board = Board::default();
    let two = Policy { at_least: Some(2), ..Policy::default() };
    let services = [("payments".to_owned(), two), ("stock".to_owned(), Policy::default())].into();
    let members = BTreeSet::from(["payments".to_owned(), "stock".to_owned()]);
    let mut effects = Effects::default();
    board.declare(&services, &[("checkout".to_owned(), members)].into(), 0, &mut effects);
    for (agent, service, status) in [
        ("a", "stock", Status::Healthy),
        ("a", "payments", Status::Healthy),
        ("b", "payments", Status::Healthy),
        ("b", "payments", Status::Unhealthy),
    ] {
        let instance = Instance {
            shown: status.into(),
            ready: None,
            components: Vec::new(),
            drained_until_ms: None,
            is_past: false,
        };
        board.set(&agent.into(), &service.into(), Some(instance), 1, &mut effects);
    }
    let last = |kind| {
        let event = effects.events.iter().rfind(|event| event.kind == kind).unwrap();
        event.message.as_deref().unwrap()
    };
    assert_eq!(last(EventKind::ServiceStatus), "1 of 2 up, 2 needed, 1 unhealthy");
    assert_eq!(last(EventKind::GroupStatus), "unhealthy: payments");
}

#[test]
fn a_group_is_told_only_what_it_shows_without_what_is_past_also_when_all_is_told_anew() {
    let mut board = Board::default();
    let members = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    let mut effects = Effects::default();
    board.declare(&BTreeMap::new(), &[("all".to_owned(), members)].into(), 0, &mut effects);
    for (service, status, is_past) in [("a", Status::Healthy, false), ("b", Status::Unhealthy, true)] {
        let shown = status.into();
        let instance =
            Instance { shown, ready: None, components: Vec::new(), drained_until_ms: None, is_past };
        board.set(&"x".into(), &service.into(), Some(instance), 1, &mut effects);
    }
    for _ in 0..2 {
        let mut effects = Effects::default();
        board.untell();
        board.settle_all(2, &mut effects);
        let groups = effects.observed.iter().filter(|seen| matches!(seen, Observation::Group(..)));
        assert_eq!(Vec::from_iter(groups), [&Observation::Group("all".into(), Shown::Past)]);
    }
}
