//! Status changes and blind times come back; what an agent tells later takes the place of staleness.

use super::{Case, Group, Place, change, component_key};
use farol_health::Status::{Healthy, Unhealthy, Unknown};
use farol_monitor::store::{ComponentFilter, Covered, StatusChange, Store};
use futures::FutureExt;

pub(super) const CASES: &[Case] = &[
    ("changes come in order, with the last one before", |place| in_order(place).boxed()),
    ("changes are found by agent, service and component", |place| filters(place).boxed()),
    ("a change at the same moment takes the place of the one before", |place| same_moment(place).boxed()),
    ("staleness gives way to what is told later", |place| covered(place).boxed()),
    ("blind times come back", |place| blind(place).boxed()),
];

async fn at(store: &dyn Store, component: &str, from_ms: i64, to_ms: i64) -> Vec<StatusChange> {
    let filter = ComponentFilter { component: Some(component.to_owned()), ..ComponentFilter::default() };
    store.status_changes(filter, from_ms, to_ms).await.unwrap()
}

async fn in_order(place: &dyn Place) {
    let store = place.open().await;
    let all: Vec<StatusChange> =
        [-3, 10, 20, 30, 41].map(|ms| change("a", ms, Some(Healthy), ms == 20)).into();
    let gone = change("b", 25, None, false);
    let changes = vec![all[3].clone(), all[0].clone(), gone.clone(), all[4].clone()];
    store.commit(&Group { changes, ..Group::default() }).await.unwrap();
    let changes = vec![all[2].clone(), all[1].clone()];
    store.commit(&Group { changes, ..Group::default() }).await.unwrap();
    for again in [false, true] {
        let store = if again { place.open().await } else { store.clone() };
        for (from_ms, to_ms, expected) in [
            (-100, 100, &all[..]),
            (20, 30, &all[1..4]),
            (21, 29, &all[2..3]),
            (50, 60, &all[4..]),
            (-100, -50, &[]),
            (-3, -3, &all[..1]),
        ] {
            assert_eq!(at(&*store, "a", from_ms, to_ms).await, expected, "{from_ms}..={to_ms}");
        }
        let mixed = store.status_changes(ComponentFilter::default(), 20, 30).await.unwrap();
        assert_eq!(mixed, [all[1].clone(), all[2].clone(), gone.clone(), all[3].clone()]);
    }
}

async fn filters(place: &dyn Place) {
    let store = place.open().await;
    let mut changes = Vec::new();
    for (agent, service, component) in ["a", "b"]
        .iter()
        .flat_map(|a| ["a", "b"].iter().flat_map(move |s| ["a", "b"].iter().map(move |c| (a, s, c))))
    {
        let mut one = change(component, 5, Some(Healthy), false);
        (one.key.agent, one.key.service) = ((*agent).into(), (*service).into());
        changes.push(one);
    }
    store.commit(&Group { changes, ..Group::default() }).await.unwrap();
    for mask in 0..8 {
        let wanted = |bit: u8| (mask & bit != 0).then(|| "b".to_owned());
        let filter = ComponentFilter { agent: wanted(1), service: wanted(2), component: wanted(4) };
        let found = store.status_changes(filter.clone(), 0, 10).await.unwrap();
        assert_eq!(found.len(), 8 >> u8::count_ones(mask), "{filter:?}");
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        assert!(found.iter().all(|c| fits(&filter.agent, &c.key.agent)
            && fits(&filter.service, &c.key.service)
            && fits(&filter.component, &c.key.component)));
    }
}

async fn same_moment(place: &dyn Place) {
    let store = place.open().await;
    let before = change("a", 5, Some(Unhealthy), false);
    let after = change("a", 5, Some(Healthy), false);
    store.commit(&Group { changes: vec![before.clone()], ..Group::default() }).await.unwrap();
    store.commit(&Group { changes: vec![before, after.clone()], ..Group::default() }).await.unwrap();
    assert_eq!(at(&*store, "a", 0, 10).await, [after]);
}

/// One letter a change: h healthy, u unhealthy, s stale, with its time.
fn line(text: &str) -> Vec<StatusChange> {
    let one = |word: &str| {
        let at_ms = word[1..].parse().unwrap();
        match &word[..1] {
            "h" => change("a", at_ms, Some(Healthy), false),
            "u" => change("a", at_ms, Some(Unhealthy), false),
            "s" => change("a", at_ms, Some(Unknown), true),
            "x" => change("a", at_ms, None, false),
            other => panic!("{other}"),
        }
    };
    text.split_whitespace().map(one).collect()
}

fn words(changes: &[StatusChange]) -> String {
    let word = |c: &StatusChange| match (c.status, c.stale) {
        (Some(Unknown), true) => format!("s{}", c.at_ms),
        (Some(Healthy), false) => format!("h{}", c.at_ms),
        (Some(Unhealthy), false) => format!("u{}", c.at_ms),
        (None, false) => format!("x{}", c.at_ms),
        other => panic!("{other:?}"),
    };
    changes.iter().map(word).collect::<Vec<_>>().join(" ")
}

async fn covered(place: &dyn Place) {
    // Before; covered times; what is told with them; after.
    type Case = (&'static str, &'static [(i64, i64)], &'static str, &'static str);
    let table: &[Case] = &[
        // Lost at 100, back at 300; the agent had been well all along.
        ("h10 s100 h300", &[(90, 300)], "", "h10 h300"),
        ("h10 s100 h300", &[(90, 301)], "", "h10 h300"),
        // It was ill in between.
        ("h10 s100 h300", &[(90, 300)], "u150 h200", "h10 u150 h200 h300"),
        // Only a part is told: the rest stays unknown.
        ("h10 s100 h300", &[(90, 200)], "", "h10 s200 h300"),
        ("h10 s100 h300", &[(150, 300)], "", "h10 s100 h150 h300"),
        ("h10 s100 h300", &[(150, 200)], "u160", "h10 s100 h150 u160 s200 h300"),
        // Piece by piece, in one group.
        ("h10 s100 h300", &[(90, 150), (150, 220), (220, 300)], "", "h10 h300"),
        // Still away.
        ("h10 s100", &[(90, 200)], "", "h10 s200"),
        // Nothing is told of the time before it was lost.
        ("s100 h300", &[(120, 300)], "", "s100 h300"),
        ("x10 s100 h300", &[(90, 300)], "u120", "x10 u120 h300"),
        // No staleness, nothing to do; and a time without length.
        ("h10 u100 h300", &[(90, 200)], "", "h10 u100 h300"),
        ("h10 s100 h300", &[(100, 100)], "", "h10 s100 h300"),
        ("h10 s100 u150 s200 h300", &[(0, 1_000)], "", "h10 u150 h300"),
    ];
    for (before, covered, told, after) in table {
        let store = place.open().await;
        // Each line has a component of its own in the same store.
        let name = format!("{before}|{covered:?}|{told}");
        let renamed = |changes: Vec<StatusChange>| {
            changes
                .into_iter()
                .map(|c| StatusChange { key: component_key("one", &name), ..c })
                .collect::<Vec<_>>()
        };
        store.commit(&Group { changes: renamed(line(before)), ..Group::default() }).await.unwrap();
        let times = covered.iter().map(|(from_ms, to_ms)| Covered {
            key: component_key("one", &name),
            from_ms: *from_ms,
            to_ms: *to_ms,
            stale_after: true,
        });
        let later = Group { covered: times.collect(), changes: renamed(line(told)), ..Group::default() };
        store.commit(&later).await.unwrap();
        assert_eq!(words(&at(&*store, &name, 0, 1_000).await), *after, "{name}");
    }
}

async fn blind(place: &dyn Place) {
    let store = place.open().await;
    store.commit(&Group { blind: vec![(50, 60), (10, 20)], ..Group::default() }).await.unwrap();
    store.commit(&Group { blind: vec![(10, 25), (50, 55)], ..Group::default() }).await.unwrap();
    for again in [false, true] {
        let store = if again { place.open().await } else { store.clone() };
        for (from_ms, to_ms, expected) in [
            (0, 100, &[(10, 25), (50, 60)][..]),
            (24, 50, &[(10, 25)]),
            (25, 50, &[]),
            (60, 70, &[]),
            (55, 56, &[(50, 60)]),
        ] {
            assert_eq!(store.blind(from_ms, to_ms).await.unwrap(), expected, "{from_ms}..{to_ms}");
        }
    }
}
