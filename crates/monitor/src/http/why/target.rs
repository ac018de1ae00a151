//! Which rules could look at what is asked about, and how that is now.

use super::super::problem::Problem;
use super::Question;
use super::element::{Candidate, Current};
use crate::app::App;
use crate::fleet::{Live, Presence, scoped};
use farol_health::aggregate::Aggregate;
use farol_rules::{
    AgentCondition, AlertId, Labels, Matcher, NAMED_AT_MOST, Pattern, Rule, Ruleset, Subject, Window,
    WindowMode, joined,
};
use std::sync::Arc;

/// More elements are counted and left out.
const LOOKED_AT: usize = 1_000;

/// Elements that the book knows and that have all these labels, those of these rules left out.
fn known(app: &App, labels: &[(&str, &str)], without: &[Candidate]) -> Vec<Candidate> {
    let matcher = |(label, value): &(&str, &str)| Matcher {
        label: (*label).into(),
        pattern: Pattern::Is((*value).into()),
    };
    let matchers: Vec<Matcher> = labels.iter().map(matcher).collect();
    let book = app.alerting.book();
    let mut found: Vec<Candidate> = Vec::new();
    for id in book.elements_with(&matchers).take(LOOKED_AT) {
        let is_there = |c: &&Candidate| c.rule.name == id.rule && c.labels == id.labels;
        if let Some(rule) = book.rules().rule(&id.rule).filter(|_| !without.iter().any(|c| is_there(&c))) {
            found.push(Candidate::known(rule, &id.labels));
        }
    }
    found.sort_by(|a, b| (&a.rule.name, &a.labels).cmp(&(&b.rule.name, &b.labels)));
    found
}

/// The elements of an alert.
pub(super) fn of_alert(app: &App, id: &AlertId) -> Vec<Candidate> {
    let book = app.alerting.book();
    let Some(rule) = book.rules().rule(&id.rule) else { return Vec::new() };
    let named = book.elements_named(id, NAMED_AT_MOST);
    named.into_iter().map(|element| Candidate::known(rule, &element.labels)).collect()
}

fn fits(pattern: Option<&Pattern>, text: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.matches(text))
}

fn rules(app: &App) -> Ruleset {
    app.alerting.book().rules().clone()
}

pub(super) fn component(app: &App, agent: &str, service: &str, component: &str) -> Result<Question, Problem> {
    let unknown = || {
        let detail =
            format!("agent `{agent:.100}` has no component `{component:.100}` of service `{service:.100}`");
        Problem::not_found("unknown_component", detail)
    };
    let found = app.fleet.agent(agent).ok_or_else(unknown)?;
    let (labels, kind, current) = {
        let live = found.live.lock();
        let mut all = live.components.iter();
        let one = all.find(|c| *c.service == *service && *c.name == *component).ok_or_else(unknown)?;
        let own = [("service", service), ("component", component), ("kind", &*one.kind)];
        let labels: Labels = live
            .rule_labels
            .iter()
            .map(|(name, value)| (Arc::clone(name), Arc::clone(value)))
            .chain(own.map(|(name, value)| (Arc::from(name), Arc::from(value))))
            .collect();
        let current = Current {
            status: Some(one.hard.as_str().to_owned()),
            message: Some(one.message.to_string()).filter(|message| !message.is_empty()),
            no_evidence: no_evidence(&live, one.stale, one.maintenance).or(of_status(one.hard.as_str())),
            ..Current::default()
        };
        (labels, Arc::clone(&one.kind), current)
    };
    let looks = |rule: &Rule| match &rule.subject {
        Subject::Component { name, kind: of } => fits(name.as_ref(), component) && fits(of.as_ref(), &kind),
        _ => false,
    };
    let rules = rules(app);
    let looking = rules.rules().iter().filter(|rule| looks(rule));
    let mut candidates: Vec<Candidate> = looking
        .map(|rule| Candidate { rule: Arc::clone(rule), labels: labels.clone(), current: current.clone() })
        .collect();
    let wanted = [("agent", agent), ("service", service), ("component", component)];
    candidates.extend(known(app, &wanted, &candidates));
    let about = format!("Component {component} of service {service} on agent {agent}");
    Ok(Question { about, candidates, text: Vec::new(), said: None })
}

/// Why a status says nothing, if it does not.
fn of_status(status: &str) -> Option<&'static str> {
    match status {
        "unknown" => Some("its status is unknown"),
        "starting" => Some("it is starting"),
        _ => None,
    }
}

/// Why a component's status says nothing now.
fn no_evidence(live: &Live, stale: bool, maintenance: bool) -> Option<&'static str> {
    match live.presence {
        Presence::Lost { .. } => Some("its agent is lost"),
        Presence::Restored { .. } => Some("its agent has not spoken since the monitor started"),
        Presence::Leaving { .. } => Some("its agent is leaving"),
        Presence::Here | Presence::Held { .. } if maintenance => Some("its agent holds it under maintenance"),
        Presence::Here | Presence::Held { .. } if stale => {
            Some("nothing was heard of it for too long, though its agent speaks")
        }
        Presence::Here | Presence::Held { .. } => None,
    }
}

pub(super) fn agent(app: &App, agent: &str) -> Result<Question, Problem> {
    let found = app.fleet.agent(agent).ok_or_else(|| {
        Problem::not_found(
            "unknown_agent",
            format!("there is no agent `{agent:.100}`; /api/v1/agents lists them"),
        )
    })?;
    let rules = rules(app);
    let now = app.clock.now();
    let live = found.live.lock();
    let presence = live.presence;
    let is_lost = matches!(presence, Presence::Lost { .. });
    let mut candidates: Vec<Candidate> = Vec::new();
    for rule in rules.rules() {
        let Subject::Agent(condition) = &rule.subject else { continue };
        let current = Current {
            status: (*condition == AgentCondition::Lost).then(|| presence.as_str().to_owned()),
            ..Current::default()
        };
        candidates.push(Candidate { rule: Arc::clone(rule), labels: live.rule_labels.clone(), current });
    }
    for (name, labels) in live.watch.elements().take(LOOKED_AT) {
        let Some(rule) = rules.rule(&name) else { continue };
        let value = last_sample(&live, rule, &labels, now);
        let no_evidence = value.is_none().then_some(if is_lost {
            "its agent is lost"
        } else {
            "there is no fresh sample of it"
        });
        let current = Current { value, no_evidence, ..Current::default() };
        candidates.push(Candidate { rule: Arc::clone(rule), labels, current });
    }
    drop(live);
    candidates.extend(known(app, &[("agent", agent)], &candidates));
    let text = vec![format!("It is {}.", presence.as_str())];
    Ok(Question { about: format!("Agent {agent}"), candidates, text, said: None })
}

/// The last sample of what a rule looks at, as it judges it: without its window.
fn last_sample(live: &Live, rule: &Rule, labels: &Labels, now: crate::clock::Moment) -> Option<f64> {
    let Subject::Metric { name, of } = &rule.subject else { return None };
    // Most are told apart by a look.
    let may_have = |key: &str, value: &str| {
        let is = |key: &str| labels.get(key).is_some_and(|known| known.ends_with(value));
        is(key) || is(&format!("exported_{key}"))
    };
    let find = |metric: &str| {
        let mut fresh = live.samples.fresh(now, live.interval_ms).filter(|sample| {
            let series = &sample.series.labels;
            sample.series.name == *metric
                && series.iter().all(|(k, v)| may_have(k, v))
                && joined(&live.rule_labels, &scoped(series, &live.scope)) == *labels
        });
        fresh.next().map(|sample| sample.value)
    };
    let value = find(name)?;
    match of {
        None => Some(value),
        Some(of) => find(of).filter(|total| *total > 0.0).map(|total| value / total * 100.0),
    }
}

pub(super) fn service(app: &App, service: &str) -> Result<Question, Problem> {
    let view = app.fleet.service(service).ok_or_else(|| {
        let detail = format!("there is no service `{service:.100}`; /api/v1/services lists them");
        Problem::not_found("unknown_service", detail)
    })?;
    let status = view.shown.as_str();
    let labels = Labels::from([("service", service)]);
    let rules = rules(app);
    let looks = |rule: &Rule| match &rule.subject {
        Subject::Service(pattern) => fits(pattern.as_ref(), service),
        _ => false,
    };
    let current =
        Current { status: Some(status.to_owned()), no_evidence: of_status(status), ..Current::default() };
    let looking = rules.rules().iter().filter(|rule| looks(rule));
    let mut candidates: Vec<Candidate> = looking
        .map(|rule| Candidate { rule: Arc::clone(rule), labels: labels.clone(), current: current.clone() })
        .collect();
    candidates.extend(known(app, &[("service", service)], &candidates));
    let (up, needed) = (view.counts.up(), view.policy.needed(view.counts.counted()));
    let mut text = vec![format!("It is {status}: {up} up, {needed} needed.")];
    let now_ms = app.clock.now().wall_ms;
    let drains: Vec<Window> = {
        let book = app.alerting.book();
        let all = book.windows().iter().filter(|window| window.mode == WindowMode::Drain);
        all.filter(|window| window.span(now_ms).is_some()).cloned().collect()
    };
    let drained =
        app.fleet.instances(service).into_iter().filter(|(_, shown)| *shown == Aggregate::Maintenance);
    text.extend(drained.take(NAMED_AT_MOST).map(|(agent, _)| {
        let by = drains.iter().filter(|window| app.fleet.is_meant(&window.matchers, service, &agent));
        let by: Vec<String> =
            by.map(|window| format!("window {} ({}: {})", window.id, window.author, window.name)).collect();
        let by = if by.is_empty() { "the agent itself".to_owned() } else { by.join(", ") };
        format!("Its instance on {agent} is drained by {by}, and does not count.")
    }));
    Ok(Question { about: format!("Service {service}"), candidates, text, said: None })
}
