//! What alerts and their elements are called: alerts by a short name that is the same over restarts and cannot be made
//! to mean another alert, elements in messages by what tells them apart within theirs.

use aws_lc_rs::digest::{SHA256, digest};
use farol_rules::{AlertId, AlertView, Labels};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// So many bytes of the digest are an alert's name.
const BYTES: usize = 8;

/// Tells most things apart that are seen from several places, and is what people look for.
const AGENT: &str = "agent";
/// What has no labels at all is the monitor's own.
const OWN: &str = "monitor";

/// An alert's name in paths, commands and messages: the same as long as its rule and labels are.
pub(crate) fn short_id(id: &AlertId) -> String {
    let mut name = String::with_capacity(2 * BYTES);
    let whole = serde_json::to_string(id).unwrap_or_default();
    for byte in &digest(&SHA256, whole.as_bytes()).as_ref()[..BYTES] {
        write!(name, "{byte:02x}").expect("a string takes everything");
    }
    name
}

/// A name for each element, in their order: different ones.
pub(super) fn names(alert: &AlertView) -> Vec<String> {
    let all: Vec<&Labels> = alert.elements.iter().map(|element| &element.labels).collect();
    if let [one] = all[..] {
        return vec![alone(one, &alert.id.labels)];
    }
    let by_agent: Vec<&str> =
        all.iter().filter_map(|labels| labels.get(AGENT)).map(|agent| &**agent).collect();
    if by_agent.len() == all.len() && differ(&by_agent) {
        return by_agent.into_iter().map(str::to_owned).collect();
    }
    let Some(first) = all.first() else { return Vec::new() };
    let differs = |name: &Arc<str>, value: &Arc<str>| {
        all.iter().any(|labels| labels.get(name) != Some(value)) || first.get(name).is_none()
    };
    let apart = |labels: &&Labels| values(labels, differs);
    let names: Vec<String> = all.iter().map(apart).collect();
    let is_each_named = names.iter().all(|name| !name.is_empty()) && differ(&names);
    if is_each_named { names } else { all.iter().map(ToString::to_string).collect() }
}

/// The only one: what it has beside the labels of its alert, its agent first; or those.
fn alone(labels: &Labels, of_alert: &Labels) -> String {
    let own = |name: &Arc<str>, _: &Arc<str>| of_alert.get(name).is_none();
    if let Some(agent) = labels.get(AGENT).filter(|_| of_alert.get(AGENT).is_none()) {
        return agent.to_string();
    }
    let names = [values(labels, own), values(labels, |_, _| true)];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| OWN.to_owned())
}

fn values(labels: &Labels, which: impl Fn(&Arc<str>, &Arc<str>) -> bool) -> String {
    let values = labels.iter().filter(|(name, value)| which(name, value)).map(|(_, value)| &**value);
    values.collect::<Vec<_>>().join(" ")
}

fn differ<T: std::hash::Hash + Eq>(names: &[T]) -> bool {
    names.iter().collect::<HashSet<_>>().len() == names.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_rules::{AlertId, ElementView, Seen, Severity};

    fn named(of_alert: Labels, elements: &[Labels]) -> Vec<String> {
        let element =
            |labels: &Labels| ElementView { labels: labels.clone(), seen: Seen::default(), stale: false };
        names(&AlertView {
            id: AlertId { rule: "r".into(), labels: of_alert },
            labels: Labels::default(),
            severity: Severity::Critical,
            since_ms: 0,
            ended: None,
            elements: elements.iter().map(element).collect(),
            elements_count: elements.len(),
            held_by: Vec::new(),
            muted: None,
            acknowledged_by: None,
            holds: Vec::new(),
            holds_count: 0,
            annotations: Default::default(),
            incident: None,
            flapping: false,
            stale: false,
        })
    }

    #[test]
    fn elements_are_named_by_what_tells_them_apart() {
        let of = |agent: &str, mount: &str| {
            Labels::from([("agent", agent), ("kind", "postgres"), ("mount", mount), ("service", "pay")])
        };
        let service = Labels::from([("service", "pay")]);
        for (alert, elements, expected) in [
            (service.clone(), vec![of("a", "/"), of("b", "/")], vec!["a", "b"]),
            (service.clone(), vec![of("a", "/"), of("a", "/var")], vec!["/", "/var"]),
            (service.clone(), vec![of("a", "/"), of("a", "/x"), of("b", "/")], vec!["a /", "a /x", "b /"]),
            (service.clone(), vec![of("a", "/")], vec!["a"]),
            (of("a", "/"), vec![of("a", "/")], vec!["a postgres / pay"]),
            (Labels::from([("pod", "p")]), vec![Labels::from([("pod", "p")])], vec!["p"]),
            (Labels::default(), vec![Labels::default()], vec!["monitor"]),
            (service, vec![], vec![]),
        ] {
            assert_eq!(named(alert, &elements), expected, "{elements:?}");
        }
    }

    #[test]
    fn elements_that_would_be_called_the_same_have_all_their_labels() {
        let elements = [Labels::from([("x", "1")]), Labels::from([("y", "1")])];
        assert_eq!(named(Labels::default(), &elements), ["{x=\"1\"}", "{y=\"1\"}"]);
    }
}
