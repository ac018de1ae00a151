//! Where alerts go, tree by tree.

use super::*;
use crate::Pattern;

fn when(matchers: &[(&str, &str)], receiver: Option<&str>, routes: Vec<Route>) -> Route {
    let matchers = matchers
        .iter()
        .map(|(label, text)| Matcher { label: (*label).into(), pattern: Pattern::parse(text).unwrap() })
        .collect();
    Route { receiver: receiver.map(Arc::from), matchers, routes, ..Route::default() }
}

fn root(routes: Vec<Route>) -> Route {
    when(&[], Some("chat"), routes)
}

fn names(group_by: &[&str]) -> Option<GroupBy> {
    Some(GroupBy::Labels(group_by.iter().copied().map(Arc::from).collect()))
}

/// Receivers and places of an alert with these labels.
fn led<const N: usize>(tree: &Tree, labels: [(&str, &str); N]) -> Vec<String> {
    tree.lanes(&Labels::from(labels)).iter().map(|lane| format!("{} {}", lane.receiver, lane.path)).collect()
}

#[test]
fn the_first_child_that_matches_takes_it_and_the_next_only_if_that_one_continues() {
    let mut all = when(&[("severity", "~.+")], Some("log"), vec![]);
    all.continues = true;
    let shop = when(
        &[("team", "shop")],
        Some("shop-chat"),
        vec![
            when(&[("severity", "critical")], Some("pager"), vec![]),
            when(&[("cluster", "!eu")], None, vec![]),
        ],
    );
    let late = when(&[("severity", "critical")], Some("late"), vec![]);
    let tree = Tree::new(root(vec![all, shop, late])).unwrap();
    assert_eq!(led(&tree, []), ["chat route"]);
    assert_eq!(led(&tree, [("severity", "warning")]), ["log route.routes[0]"]);
    assert_eq!(
        led(&tree, [("severity", "critical"), ("team", "shop")]),
        ["log route.routes[0]", "pager route.routes[1].routes[0]"]
    );
    // A label that is missing is not `eu`; the receiver comes from the parent.
    assert_eq!(led(&tree, [("team", "shop")]), ["shop-chat route.routes[1].routes[1]"]);
    // No child of the child matches: the child itself takes it, and the brothers are not asked.
    assert_eq!(led(&tree, [("team", "shop"), ("cluster", "eu")]), ["shop-chat route.routes[1]"]);
    assert_eq!(led(&tree, [("severity", "critical")]), ["log route.routes[0]", "late route.routes[2]"]);
}

#[test]
fn peers_are_told_wherever_the_receiver_is_and_where_its_children_name_no_other() {
    let pager = when(&[("severity", "critical")], Some("pager"), vec![]);
    let inherits = when(&[("team", "shop")], None, vec![]);
    let peers = vec!["chat-b".into(), "chat-c".into()];
    let tree = Tree::new(Route { peers, ..root(vec![pager, inherits]) }).unwrap();
    assert_eq!(led(&tree, []), ["chat route", "chat-b route", "chat-c route"]);
    assert_eq!(led(&tree, [("severity", "critical")]), ["pager route.routes[0]"]);
    let all = ["chat route.routes[1]", "chat-b route.routes[1]", "chat-c route.routes[1]"];
    assert_eq!(led(&tree, [("team", "shop")]), all);
}

#[test]
fn one_receiver_is_told_once_of_one_group() {
    let twice = |group_by| {
        let mut first = when(&[], None, vec![]);
        first.continues = true;
        let second = Route { group_by, ..when(&[], None, vec![]) };
        Tree::new(root(vec![first, second])).unwrap().lanes(&Labels::from([("alertname", "x"), ("pod", "a")]))
    };
    assert_eq!(twice(None).len(), 1);
    assert_eq!(twice(None)[0].path, "route.routes[0]".into());
    assert_eq!(twice(names(&["pod"])).len(), 2);
}

#[test]
fn groups_and_waits_come_from_the_nearest_route_that_says_them() {
    let mut child = when(&[("team", "shop")], None, vec![when(&[("pod", "~.+")], None, vec![])]);
    child.group_by = names(&["pod", "zone"]);
    child.waits.critical_wait_ms = Some(7);
    child.routes[0].waits.group_wait_ms = Some(9);
    let mut alone = when(&[("team", "each")], None, vec![]);
    alone.group_by = Some(GroupBy::All);
    let mut top = root(vec![child, alone]);
    top.waits.repeat_interval_ms = Some(11);
    let tree = Tree::new(top).unwrap();

    let lane = |labels: &Labels| tree.lanes(labels).remove(0);
    let labels = Labels::from([("alertname", "x"), ("pod", "a"), ("severity", "warning"), ("service", "s")]);
    let by_root = lane(&labels);
    assert_eq!(by_root.group, Labels::from([("alertname", "x"), ("service", "s")]));
    assert_eq!(by_root.waits, Waits { repeat_interval_ms: 11, ..Waits::default() });

    let shop = lane(&labels.with(Labels::from([("team", "shop")]).iter()));
    assert_eq!(shop.group, Labels::from([("pod", "a")]));
    assert_eq!(
        (shop.waits.group_wait_ms, shop.waits.critical_wait_ms, shop.waits.repeat_interval_ms),
        (9, 7, 11)
    );

    let each = labels.with(Labels::from([("team", "each")]).iter());
    let raised = each.with(Labels::from([("severity", "critical")]).iter());
    assert_eq!(lane(&each).group.to_string(), r#"{alertname="x",pod="a",service="s",team="each"}"#);
    assert_eq!(lane(&each).group, lane(&raised).group, "a raise stays in its conversation");
}

#[test]
fn a_tree_that_would_lose_alerts_or_never_rest_is_refused() {
    let deep = |depth| (1..depth).fold(root(vec![]), |route, _| root(vec![route]));
    assert!(Tree::new(deep(DEPTH)).is_ok());
    let mut restless = root(vec![root(vec![])]);
    restless.routes[0].waits.repeat_interval_ms = Some(0);
    let continuing = Route { continues: true, ..root(vec![]) };
    for (route, says) in [
        (deep(DEPTH + 1), "stands 64 routes deep"),
        (Route::default(), "names no receiver"),
        (when(&[("a", "b")], Some("chat"), vec![]), "must take every alert"),
        (continuing, "cannot continue"),
        (restless, "`route.routes[0].repeat_interval` is 0"),
    ] {
        let error = Tree::new(route).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
