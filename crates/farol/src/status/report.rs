//! What `farol status` prints: tables for people, JSON for programs. The JSON's keys are promised in --help.

use super::picture::{Agent, Component, Group, Member, Picture, Policy, Service};
use crate::table::{self, age, since};
use crate::terminal::{Terminal, one_line};
use farol_health::Status;
use farol_health::aggregate::Aggregate;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The order in which instances are counted.
const SHOWN: [&str; 6] = ["healthy", "degraded", "unhealthy", "unknown", "starting", "draining"];

/// Services and groups, then what is not healthy and why, then the agents that are away, and one line for all.
pub(super) fn table(picture: &Picture, now: Timestamp, terminal: &Terminal) -> String {
    let mut parts = Vec::new();
    let mut part = |headings: &[&str], rows: Vec<Vec<String>>, more: bool| {
        if !rows.is_empty() {
            let rows = table::render(headings, &rows, terminal);
            parts.push(if more { format!("{rows}\n… and more, see --json") } else { rows });
        }
    };
    let Picture { fleet, services, groups, components, agents, .. } = picture;
    let rows = services.items.iter().map(|item| service(item, now)).collect();
    part(&["STATUS", "SERVICE", "INSTANCES", "NEEDS", "FOR"], rows, services.more);
    let rows = groups.items.iter().map(|item| group(item, now)).collect();
    part(&["STATUS", "GROUP", "SERVICES", "FOR"], rows, groups.more);
    let rows = components.items.iter().map(|item| component(item, now)).collect();
    part(&["STATUS", "COMPONENT", "SERVICE", "AGENT", "FOR", "WHY"], rows, components.more);
    let rows = agents.items.iter().map(|item| agent(item, now)).collect();
    part(&["AGENT", "IS", "LAST SEEN", "SERVICES"], rows, agents.more);
    if !fleet.store.takes {
        let reason = fleet.store.reason.as_deref().unwrap_or("it failed");
        parts.push(format!("The monitor's store takes nothing: {}", one_line(reason)));
    }
    parts.push(table::paint(&summary(picture), terminal.has_colour()));
    parts.join("\n\n")
}

fn service(service: &Service, now: Timestamp) -> Vec<String> {
    let count = |word: &&str| service.counts.get(*word).filter(|n| **n > 0).map(|n| format!("{n} {word}"));
    let counts: Vec<_> = SHOWN.iter().filter_map(count).collect();
    let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    vec![
        service.shown.to_string(),
        service.name.clone(),
        counts,
        needs(&service.policy),
        since(service.since, now),
    ]
}

fn needs(policy: &Policy) -> String {
    if policy.all {
        return "all".to_owned();
    }
    let at_least = policy.at_least.map(|n| n.to_string());
    let percent = policy.percent.map(|n| format!("{n} %"));
    at_least.into_iter().chain(percent).collect::<Vec<_>>().join(" and ")
}

/// Its services, each with its status where that is not healthy.
fn group(group: &Group, now: Timestamp) -> Vec<String> {
    let healthy = Aggregate::Status(Status::Healthy);
    let member = |member: &Member| match member.shown {
        shown if shown == healthy => member.service.clone(),
        shown => format!("{} ({shown})", member.service),
    };
    let services: Vec<_> = group.services.iter().map(member).collect();
    vec![group.shown.to_string(), group.name.clone(), services.join(", "), since(group.since, now)]
}

fn component(component: &Component, now: Timestamp) -> Vec<String> {
    vec![
        component.shown.to_string(),
        component.component.clone(),
        component.service.clone(),
        component.agent.clone(),
        since(component.changed_at, now),
        why(component),
    ]
}

fn why(component: &Component) -> String {
    let mut why = Vec::new();
    if component.stale {
        let age = component.age_ms.map_or_else(|| "long".to_owned(), age);
        why.push(format!("nothing heard for {age}, was {}", component.last_status));
    } else if component.shown != component.last_status {
        why.push(format!("{} beneath", component.last_status));
    }
    if !component.message.is_empty() {
        why.push(component.message.clone());
    }
    let why = why.join("; ");
    let failed = matches!(component.shown, Aggregate::Status(Status::Unhealthy | Status::Unknown));
    if failed && !component.required { format!("{why} (optional)").trim_start().to_owned() } else { why }
}

fn agent(agent: &Agent, now: Timestamp) -> Vec<String> {
    let (services, seen) = (agent.services.join(", "), since(agent.last_seen_at, now));
    let is = match agent.presence.as_str() {
        "here" if !agent.connected => format!("silent {seen}"),
        "restored" => "restored, unconfirmed".to_owned(),
        presence => presence.to_owned(),
    };
    vec![agent.id.clone(), is, format!("{seen} ago"), services]
}

fn summary(picture: &Picture) -> String {
    let Picture { fleet, services, .. } = picture;
    let status = picture.status();
    if services.items.is_empty() {
        return format!("{status}: no agent has spoken to this monitor yet");
    }
    let of = |counts: &BTreeMap<String, u64>, word: &str| counts.get(word).copied().unwrap_or(0);
    let bad = services.items.iter().filter(|service| service.shown != Status::Healthy.into()).count();
    let all = of(&fleet.components, "total");
    let parts = [
        (services.items.len() as u64, "service", bad as u64, "not healthy"),
        (all, "component", all.saturating_sub(of(&fleet.components, "healthy")), "not healthy"),
        (of(&fleet.agents, "total"), "agent", of(&fleet.agents, "lost"), "lost"),
    ];
    let word = |(n, what, bad, how): &(u64, &str, u64, &str)| {
        let many = if *n == 1 { "" } else { "s" };
        let bad = if *bad == 0 { String::new() } else { format!(" ({bad} {how})") };
        format!("{n} {what}{many}{bad}")
    };
    format!("{status}: {}", parts.iter().map(word).collect::<Vec<_>>().join(", "))
}

/// The whole as one object, its items as the monitor gave them.
pub(super) fn json(picture: &Picture, now: Timestamp) -> Value {
    json!({
        "status": picture.status().as_str(),
        "timestamp": format!("{now:.3}"),
        "fleet": picture.raw,
        "services": picture.services.raw,
        "groups": picture.groups.raw,
        "components": picture.components.raw,
        "agents": picture.agents.raw,
    })
}

#[cfg(test)]
mod tests;
