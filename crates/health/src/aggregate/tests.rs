//! One table for each line of the aggregation rules.

use super::*;

fn shown(word: &str) -> Aggregate {
    if word == "maintenance" {
        Aggregate::Maintenance
    } else {
        Aggregate::Status(word.parse().unwrap_or_else(|e| panic!("{e}")))
    }
}

/// Components as words: `healthy`, `optional unhealthy`, `drained unhealthy`.
fn parts(words: &str) -> Vec<Part> {
    words
        .split(',')
        .map(str::trim)
        .filter(|w| !w.is_empty())
        .map(|words| {
            let status = words.rsplit(' ').next().unwrap_or_default();
            Part {
                status: status.parse().unwrap_or_else(|e| panic!("{e}")),
                required: !words.contains("optional"),
                drained: words.contains("drained"),
            }
        })
        .collect()
}

#[test]
fn an_instance_is_as_bad_as_what_it_requires() {
    for (why, components, expected) in [
        ("all well", "healthy, healthy", "healthy"),
        ("any required unhealthy", "healthy, unknown, starting, degraded, unhealthy", "unhealthy"),
        ("else required unknown", "healthy, starting, degraded, unknown", "unknown"),
        ("else required starting", "healthy, degraded, starting, optional unhealthy", "starting"),
        ("else any degraded", "healthy, degraded", "degraded"),
        ("also an optional one", "healthy, optional degraded", "degraded"),
        ("an optional unhealthy", "healthy, optional unhealthy", "degraded"),
        ("an optional unknown", "healthy, optional unknown", "degraded"),
        ("an optional starting says nothing", "healthy, optional starting", "healthy"),
        ("nothing has begun", "optional starting, optional starting", "starting"),
        ("optional ones only", "optional unhealthy, optional unknown", "degraded"),
        ("drained ones are left out", "healthy, drained unhealthy, drained unknown", "healthy"),
        ("drained optional ones too", "healthy, optional drained unhealthy", "healthy"),
        ("all drained", "drained healthy, optional drained unhealthy", "maintenance"),
        ("no component", "", "healthy"),
    ] {
        assert_eq!(instance(parts(components)), shown(expected), "{why}: {components}");
    }
}

fn counts(words: &str) -> InstanceCounts {
    words.split_whitespace().map(shown).collect()
}

fn policy(at_least: Option<u32>, percent: Option<u8>, all: bool) -> Policy {
    Policy { at_least, percent, all }
}

#[test]
fn a_service_is_up_when_enough_instances_are() {
    let default = Policy::default();
    let two = policy(Some(2), None, false);
    for (why, policy, instances, expected) in [
        ("all up", default, "healthy healthy", "healthy"),
        ("enough up, one degraded", default, "healthy degraded", "degraded"),
        ("enough up, one unhealthy", default, "healthy unhealthy", "degraded"),
        ("enough up, one unknown", default, "healthy unknown", "degraded"),
        ("degraded is up", default, "degraded", "degraded"),
        ("none up", default, "unhealthy unhealthy", "unhealthy"),
        ("the unknown one could fill the gap", default, "unhealthy unknown", "unknown"),
        ("two wanted, two up", two, "healthy healthy unhealthy", "degraded"),
        ("two wanted, one up, one unknown", two, "healthy unknown unhealthy", "unknown"),
        ("two wanted, one up, none unknown", two, "healthy unhealthy", "unhealthy"),
        ("two wanted, one there", two, "healthy", "unhealthy"),
        ("two wanted, only one unknown", two, "unknown", "unhealthy"),
    ] {
        assert_eq!(service(&policy, &counts(instances)), shown(expected), "{why}: {instances}");
    }
}

#[test]
fn a_share_is_rounded_up_and_counts_unknown_instances_in() {
    let half = policy(None, Some(50), false);
    for (why, policy, instances, expected) in [
        ("2 of 3 are 50 %", half, "healthy healthy unhealthy", "degraded"),
        ("1 of 3 is not", half, "healthy unhealthy unhealthy", "unhealthy"),
        ("unknown ones are counted in N", half, "healthy healthy unknown unknown unknown", "unknown"),
        ("one per cent is one", policy_percent(1), "unhealthy unhealthy", "unhealthy"),
        ("all of one", policy_percent(100), "healthy", "healthy"),
        ("all", policy(None, None, true), "healthy healthy", "healthy"),
        ("all but one", policy(None, None, true), "healthy healthy unhealthy", "unhealthy"),
        ("all but an unknown one", policy(None, None, true), "healthy degraded unknown", "unknown"),
    ] {
        assert_eq!(service(&policy, &counts(instances)), shown(expected), "{why}: {instances}");
    }
    let many = InstanceCounts { healthy: u32::MAX, ..InstanceCounts::default() };
    assert_eq!(service(&policy_percent(100), &many), shown("healthy"));
}

fn policy_percent(percent: u8) -> Policy {
    policy(None, Some(percent), false)
}

#[test]
fn at_least_and_percent_must_both_hold() {
    let both = policy(Some(2), Some(50), false);
    for (instances, expected) in [
        ("healthy healthy", "healthy"),
        ("healthy", "unhealthy"),
        ("healthy healthy unhealthy unhealthy unhealthy", "unhealthy"),
        ("healthy healthy healthy unhealthy unhealthy", "degraded"),
    ] {
        assert_eq!(service(&both, &counts(instances)), shown(expected), "{instances}");
    }
}

#[test]
fn drained_and_starting_instances_are_left_out() {
    let all = policy(None, None, true);
    for (why, policy, instances, expected) in [
        ("a draining one", all, "healthy maintenance", "healthy"),
        ("a starting one while others exist", all, "healthy starting", "healthy"),
        ("also beside an unhealthy one", Policy::default(), "unhealthy starting", "unhealthy"),
        ("nobody left but starting", Policy::default(), "starting starting", "starting"),
        ("nobody left but draining", Policy::default(), "maintenance", "maintenance"),
        ("one goes, one comes", Policy::default(), "maintenance starting", "starting"),
        ("nobody at all", Policy::default(), "", "unknown"),
    ] {
        assert_eq!(service(&policy, &counts(instances)), shown(expected), "{why}: {instances}");
    }
}

#[test]
fn a_group_is_as_bad_as_its_worst_service() {
    for (services, expected) in [
        ("healthy healthy", "healthy"),
        ("healthy degraded", "degraded"),
        ("degraded starting", "starting"),
        ("starting unknown", "unknown"),
        ("unknown unhealthy healthy", "unhealthy"),
        ("healthy maintenance", "healthy"),
        ("maintenance unknown", "unknown"),
        ("maintenance maintenance", "maintenance"),
        ("", "unknown"),
    ] {
        assert_eq!(group(services.split_whitespace().map(shown)), shown(expected), "{services}");
    }
}

#[test]
fn counts_come_and_go_with_their_instances() {
    let all = ["unknown", "starting", "healthy", "degraded", "unhealthy", "maintenance"];
    let mut counts = InstanceCounts::default();
    for (number, word) in all.into_iter().enumerate() {
        counts.add(shown(word));
        assert_eq!(usize::from(shown(word).as_u8()), number, "one encoding everywhere");
        assert_eq!(shown(word).to_string(), word);
    }
    let one = 1;
    let each = InstanceCounts {
        healthy: one,
        degraded: one,
        unhealthy: one,
        unknown: one,
        starting: one,
        draining: one,
    };
    assert_eq!(counts, each);
    for word in all {
        counts.remove(shown(word));
    }
    assert_eq!(counts, InstanceCounts::default());
}
