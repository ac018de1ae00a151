//! Rules as people write them, right and wrong.

use super::*;
use farol_health::Status;
use farol_rules::{
    Flap, GroupBy, Judge, Matcher, Pattern, Reduction, Schedule, Severity, Subject, WindowMode,
};
use farol_series::Reduce;

fn one(text: &str) -> Rule {
    let mut rules =
        rules_in("r.yaml", &format!("rules:\n  - {text}")).unwrap_or_else(|p| panic!("{text}: {p}"));
    assert_eq!(rules.len(), 1);
    rules.remove(0)
}

fn problems(text: &str) -> String {
    rules_in("r.yaml", text).map(|rules| format!("no problem: {rules:?}")).unwrap_or_else(|p| p.to_string())
}

#[test]
fn everything_that_is_written_is_read() {
    let rule =
        one(r#"{name: cpu_high, metric: system_cpu_usage_percent, match: {cluster: eu, pod: "~pay-.*"},
      reduce: {avg: 1m}, warning: "> 75", critical: "> 85", clear: "< 70", for: 1m, keep_firing_for: 2m,
      flap: {changes: 4, within: 5m}, by: [cluster], labels: {team: sre}, actions: [grow],
      annotations: {summary: "CPU {{ value }}%", runbook: "https://x"}}"#);
    let text = |text: &str| Arc::<str>::from(text);
    let matcher = |label: &str, pattern: &str| Matcher {
        label: text(label),
        pattern: Pattern::parse(pattern).unwrap(),
    };
    let expected = Rule {
        name: text("cpu_high"),
        subject: Subject::Metric { name: text("system_cpu_usage_percent"), of: None },
        matchers: vec![matcher("cluster", "eu"), matcher("pod", "~pay-.*")],
        reduce: Some(Reduction { how: Reduce::Avg, over_ms: 60_000 }),
        judge: Judge::Thresholds {
            warning: "> 75".parse().ok(),
            critical: "> 85".parse().ok(),
            clear: "< 70".parse().ok(),
        },
        for_ms: 60_000,
        keep_firing_for_ms: 120_000,
        flap: Flap { changes: 4, within_ms: 300_000 },
        by: Some(vec![text("cluster")]),
        depends_on: Vec::new(),
        labels: [(text("team"), text("sre"))].into(),
        annotations: [(text("summary"), text("CPU {{ value }}%")), (text("runbook"), text("https://x"))]
            .into(),
        actions: vec![text("grow")],
    };
    assert_eq!(rule, expected);
}

#[test]
fn what_is_not_written_has_its_default() {
    let rule = one("{name: r, component: database}");
    let Judge::Statuses { statuses, stale, severity } = &rule.judge else { panic!("{rule:?}") };
    assert_eq!((&statuses[..], stale, severity), (&[Status::Unhealthy][..], &false, &Severity::Critical));
    assert_eq!((rule.for_ms, rule.keep_firing_for_ms, rule.flap), (0, 0, Flap::default()));
    assert_eq!(rule.by, Some(vec!["service".into(), "component".into()]));
    assert_eq!(one("{name: r, component: database, by: []}").by, Some(Vec::new()));
    assert_eq!(one("{name: r, metric: a, critical: '> 1'}").by, None);
    assert_eq!(one("{name: r, agent: lost}").judge, Judge::Condition { severity: Severity::Critical });
    let of = |text: &str| one(text).subject;
    assert_eq!(of("{name: r, component: '*'}"), Subject::Component { name: None, kind: None });
    let kind = Some(Pattern::parse("heartbeat").unwrap());
    assert_eq!(of("{name: r, kind: heartbeat}"), Subject::Component { name: None, kind });
    assert_eq!(of("{name: r, service: '*'}"), Subject::Service(None));
    let rule = one("{name: r, component: '*', status: [stale, unknown], severity: warning}");
    let statuses = vec![Status::Unknown];
    assert_eq!(rule.judge, Judge::Statuses { statuses, stale: true, severity: Severity::Warning });
}

/// Each rule, its lines parted by `;`, has exactly this problem.
fn each_has_its_problem(table: &[(&str, &str)]) {
    let rule = |rest: &str| format!("rules:\n- name: r\n  {}\n", rest.replace("; ", "\n  "));
    for (rest, expected) in table {
        let found = problems(&rule(rest));
        assert!(found.contains(expected), "{rest}:\n{found}\nis not\n{expected}");
        assert_eq!(found.lines().count(), 1, "one mistake, one problem: {rest}\n{found}");
    }
}

#[test]
fn mistakes_of_what_is_looked_at_and_when_it_is_bad_are_told_with_line_key_and_what_to_do() {
    each_has_its_problem(&[
        ("for: 1m", "r.yaml:2: rules[0]: says nothing of what it looks at; write for instance `metric: "),
        ("metric: a; service: b; critical: '> 1'", "r.yaml:4: rules[0].service: stands beside `metric`"),
        ("component: a; percent_of: b", "r.yaml:4: rules[0].percent_of: goes with `metric` only"),
        ("component: '~('", "r.yaml:3: rules[0].component: `(` is no regular expression"),
        ("agent: away", "r.yaml:3: rules[0].agent: `away` is none of `lost`, `restarting`"),
        ("monitor: tired", "r.yaml:3: rules[0].monitor: `tired` is none of `store_unusable`"),
        (
            "metric: a; critical: 85",
            "r.yaml:4: rules[0].critical: `85` is not a comparison (it begins with none of",
        ),
        (
            "metric: a; critical: '> x'",
            "rules[0].critical: `> x` is not a comparison (`x` is no number); write for",
        ),
        ("metric: a", "r.yaml:2: rules[0].critical: is missing, and `warning` too; write one of them"),
        (
            "metric: a; warning: '> 5'; clear: '< 6'",
            "r.yaml:5: rules[0].clear: (< 6) and `warning` (> 5) hold",
        ),
        (
            "metric: a; critical: '> 5'; status: [stale]",
            "r.yaml:5: rules[0].status: goes with component, service or",
        ),
        ("component: a; critical: '> 5'", "r.yaml:4: rules[0].critical: goes with metric only"),
        ("agent: lost; status: [unhealthy]", "rules[0].status: goes with component, service or group only"),
        (
            "component: a; status: [sick]",
            "r.yaml:4: rules[0].status: has `sick`, which is no status; write some of",
        ),
        ("component: a; status: []", "r.yaml:4: rules[0].status: is empty; write for instance"),
        ("service: a; status: [stale]", "r.yaml:4: rules[0].status: `stale` is for components only"),
        (
            "component: a; severity: bad",
            "r.yaml:4: rules[0].severity: `bad` is none of `warning`, `critical`",
        ),
    ]);
}

#[test]
fn mistakes_of_what_follows_are_told_with_line_key_and_what_to_do() {
    each_has_its_problem(&[
        (
            "metric: a; critical: '> 5'; reduce: {mean: 1m}",
            "r.yaml:5: rules[0].reduce.mean: unknown key `mean`",
        ),
        (
            "metric: a; critical: '> 5'; reduce: {avg: 1m, max: 1m}",
            "r.yaml:5: rules[0].reduce: is one reduction",
        ),
        ("metric: a; critical: '> 5'; reduce: {}", "r.yaml:5: rules[0].reduce: is one reduction"),
        (
            "metric: a; critical: '> 5'; reduce: {avg: 2d}",
            "r.yaml:5: rules[0].reduce.avg: `2d` is out of range",
        ),
        ("component: a; reduce: {avg: 1m}", "r.yaml:4: rules[0].reduce: goes with `metric` only"),
        ("component: a; for: 8d", "r.yaml:4: rules[0].for: `8d` is out of range; write a value from"),
        ("component: a; fro: 1d", "r.yaml:4: rules[0].fro: unknown key `fro`; did you mean `for`?"),
        ("component: a; match: {pod: '~['}", "r.yaml:4: rules[0].match: `pod`: `[` is no regular expression"),
        ("component: a; flap: {within: 2d}", "r.yaml:4: rules[0].flap.within: `2d` is out of range"),
        (
            "service: a; by: [agent]",
            "r.yaml:4: rules[0].by: has `agent`; what this rule looks at has only `service`",
        ),
        (
            "component: a; labels: {severity: x}",
            "r.yaml:4: rules[0].labels: sets `severity`, which is the alert's own",
        ),
        ("component: a; depends_on: [{on: [a]}]", "r.yaml:4: rules[0].depends_on[0].rule: is required"),
        ("component: a; depends_on: [{rule: r}]", "r.yaml:4: rules[0].depends_on: names the rule itself"),
        (
            "component: a; depends_on: [{rule: b}]",
            "r.yaml:4: rules[0].depends_on[0].rule: there is no rule `b`",
        ),
        (
            "component: a; depends_on: [{rule: agent_lost}]",
            "rule: `agent_lost` is a shipped rule, and `default_rules`",
        ),
    ]);
}

#[test]
fn rules_that_do_not_go_together_are_told_where_they_are_written() {
    for (on, expected) in [
        ("", "r.yaml:3: rules[1].depends_on: names `cut` and no labels; write"),
        (
            ", on: [agent]",
            "r.yaml:3: rules[1].depends_on: names `cut` and `agent`; what `b` looks at has only",
        ),
    ] {
        let text = format!(
            "rules:\n- {{name: cut, agent: lost}}\n- {{name: b, service: x, depends_on: [{{rule: cut{on}}}]}}\n"
        );
        let found = problems(&text);
        assert!(found.contains(expected), "{expected} is not in\n{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn all_mistakes_of_all_rules_come_at_once() {
    let text = "rules:\n- {name: a, metric: m}\n- {nam: b, service: x}\n- {name: c, component: '*', for: long}\n\
                - {name: c, agent: lost, depends_on: [{rule: a}, {rule: z}]}\n";
    let found = problems(text);
    for expected in [
        "r.yaml:2: rules[0].critical: is missing",
        "r.yaml:3: rules[1].name: is required",
        "r.yaml:3: rules[1].nam: unknown key",
        "r.yaml:4: rules[2].for: `long`",
        "r.yaml:5: rules[3].name: `c` is the name of the rule at r.yaml:4, too",
    ] {
        assert!(found.contains(expected), "{expected} is not in\n{found}");
    }
    assert_eq!(found.lines().count(), 5, "{found}");
}

#[test]
fn the_shipped_rules_make_sense_and_a_file_may_replace_one() {
    let shipped = rules_of(&[], true).unwrap();
    assert_eq!(rules_of(&[], false).unwrap(), []);
    for rule in &shipped {
        assert!(rule.annotations.contains_key("summary"), "{}", rule.name);
        let is_of_agents = matches!(rule.subject, Subject::Metric { .. } | Subject::Component { .. });
        let held = rule.depends_on.iter().any(|d| &*d.rule == "agent_lost" && d.on == [Arc::from("agent")]);
        assert_eq!(held, is_of_agents, "{}", rule.name);
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mine =
        at("a.yaml", "rules: [{name: cpu_usage, metric: mine, critical: '> 1'}, {name: more, service: x}]");
    let both = rules_of(std::slice::from_ref(&mine), true).unwrap();
    assert_eq!(both.len(), shipped.len() + 1);
    assert_eq!(both[0].subject, Subject::Metric { name: "mine".into(), of: None });
    let again = at("b.yaml", "rules: [{name: more, service: x}]");
    let twice = rules_of(&[mine, again], true).unwrap_err().to_string();
    assert!(twice.contains("b.yaml:1: rules[0].name: `more`") && twice.contains("a.yaml:1, too"), "{twice}");
    let missing = rules_of(&[folder.path().join("c.yaml")], true).unwrap_err().to_string();
    assert!(missing.contains("c.yaml: does not exist"), "{missing}");
}

#[test]
fn the_monitors_file_names_rule_files_and_all_problems_come_together() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/a.yaml"), "rules: [{name: a, agent: lost, for: x}]").unwrap();
    let main = folder.path().join("monitor.yaml");
    std::fs::write(&main, "rules: rules/*.yaml\ndefault_rules: perhaps\n").unwrap();
    let tree = Sources::new().file(&main).load().unwrap();
    let found = tree.read(|m| read(m, &[], &BTreeSet::new())).unwrap_err().to_string();
    assert!(found.contains("monitor.yaml:2: default_rules: "), "{found}");
    assert!(found.contains("rules/a.yaml:1: rules[0].for: "), "{found}");
    std::fs::write(&main, "rules: [rules/*.yaml]\ndefault_rules: false\n").unwrap();
    std::fs::write(folder.path().join("rules/a.yaml"), "rules: [{name: a, agent: lost}]").unwrap();
    let alerting =
        Sources::new().file(&main).load().unwrap().read(|m| read(m, &[], &BTreeSet::new())).unwrap();
    assert_eq!(alerting.rules.len(), 1);
}

fn route(text: &str) -> Result<Option<Route>, String> {
    let tree = Sources::new().text("m.yaml", text).load().map_err(|p| p.to_string())?;
    tree.read(|m| routes::read(m, &["ops", "shop"])).map_err(|p| p.to_string())
}

#[test]
fn a_route_says_who_is_told_and_its_children_what_differs() {
    let text = "route:\n  receiver: ops\n  group_by: [alertname]\n  group_wait: 10s\n  routes:\n  - match: {team: shop}\n    \
                receiver: shop\n    continue: true\n    group_by: ['...']\n    repeat_interval: 1d\n  - match: {a: '!b'}\n    \
                critical_wait: 5s\n";
    let root = route(text).unwrap().unwrap();
    assert_eq!((root.receiver.as_deref(), root.waits.group_wait_ms), (Some("ops"), Some(10_000)));
    assert_eq!(root.group_by, Some(GroupBy::Labels(vec!["alertname".into()])));
    let [first, second] = &root.routes[..] else { panic!("{root:?}") };
    assert_eq!((first.group_by.as_ref(), first.continues), (Some(&GroupBy::All), true));
    assert_eq!((first.waits.repeat_interval_ms, first.waits.group_wait_ms), (Some(86_400_000), None));
    assert_eq!((second.receiver.as_ref(), second.waits.critical_wait_ms), (None, Some(5_000)));
    assert_eq!(route("").unwrap(), None);
    for (text, expected) in [
        ("route: {group_wait: 1s}", "m.yaml:1: route: names no receiver; name the one"),
        (
            "route: {receiver: nobody}",
            "m.yaml:1: route.receiver: there is no receiver `nobody`; there are ops, shop",
        ),
        ("route: {receiver: ops, match: {a: b}}", "m.yaml:1: route: has matchers, but must take every alert"),
        (
            "route: {receiver: ops, routes: [{}]}",
            "m.yaml:1: route.routes[0]: has no `match` and takes everything",
        ),
        (
            "route: {receiver: ops, group_interval: 0s}",
            "m.yaml:1: route.group_interval: `0s` is out of range",
        ),
        ("route: {receiver: ops, group_by: ['...', a]}", "m.yaml:1: route.group_by: `...` stands alone"),
    ] {
        let found = route(text).unwrap_err();
        assert!(found.contains(expected) && found.lines().count() == 1, "{text}:\n{found}");
    }
}

fn windows(text: &str) -> Result<Vec<Window>, String> {
    let tree = Sources::new().text("m.yaml", text).load().map_err(|p| p.to_string())?;
    tree.read(windows::read).map_err(|p| p.to_string())
}

#[test]
fn maintenance_stands_in_a_calendar_once_or_again_and_again() {
    let nightly = "{name: nightly, match: {service: pay}, mode: drain, reason: copies, days: 'mon, fri', at: '22:30', \
                   lasts: 2h, zone: Europe/Berlin}";
    let once = "{name: move, match: {cluster: eu}, reason: new rooms, from: 2030-01-01T22:00:00Z, to: 2030-01-02T01:00:00Z}";
    let read = windows(&format!("maintenance:\n- {nightly}\n- {once}")).unwrap();
    let Schedule::Recurring(recurring) = &read[0].schedule else { panic!("{read:?}") };
    assert_eq!((recurring.zone.to_string(), recurring.lasts_ms), ("Europe/Berlin".to_owned(), 7_200_000));
    assert_eq!(
        (&*read[0].id, read[0].mode, read[1].mode),
        ("config:nightly", WindowMode::Drain, WindowMode::Mute)
    );
    let (from_ms, to_ms) = (1_893_535_200_000, 1_893_546_000_000);
    assert_eq!(read[1].schedule, Schedule::Once { from_ms, to_ms });
    for (text, expected) in [
        (
            "{name: a, reason: b, match: {x: y}}",
            "m.yaml:1: maintenance[0]: says nothing of when; write `from` and `to`",
        ),
        (
            "{name: a, reason: b, from: 2030-01-01T22:00:00Z, to: 2030-01-01T21:00:00Z, match: {x: y}}",
            "maintenance[0]: ",
        ),
        (
            "{name: a, reason: b, days: daily, at: '1:00', lasts: 1h, from: 2030-01-01T22:00:00Z, match: {x: y}}",
            "from: ",
        ),
        (
            "{name: a, reason: b, days: someday, at: '01:00', lasts: 1h, match: {x: y}}",
            "maintenance[0].days: `someday`",
        ),
        ("{name: a, reason: b, days: daily, at: '01:00', lasts: 1h}", "m.yaml:1: maintenance[0]: "),
    ] {
        let found = windows(&format!("maintenance: [{text}]")).unwrap_err();
        assert!(found.contains(expected), "{text}:\n{found}");
    }
}

#[test]
fn actions_that_there_are_not_and_annotations_that_are_no_templates_are_told_where_they_stand() {
    let text = "rules:\n  - {name: a, agent: lost, actions: [trip, tripp]}\n  \
                - {name: b, agent: lost, annotations: {summary: 'fine', runbook: '{{ value'}}\n";
    let known = BTreeSet::from([Arc::from("trip")]);
    let read = |known| together(None, [Sources::new().text("r.yaml", text)], known);
    let found = read(Some(&known)).unwrap_err().to_string();
    let lines: Vec<&str> = found.lines().collect();
    let action = "r.yaml:2: rules[0].actions: there is no action `tripp`; write it under `actions:`";
    assert!(lines[0].starts_with(action), "{found}");
    assert!(lines[1].starts_with("r.yaml:3: rules[1].annotations.runbook: line 1: "), "{found}");
    assert_eq!(lines.len(), 2, "{found}");
    // Where rules stand alone nobody knows the actions.
    assert_eq!(read(None).unwrap_err().to_string().lines().count(), 1);
}
