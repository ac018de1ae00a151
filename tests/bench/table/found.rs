//! Looks results up. Of several that match, the last one counts.

use serde_json::Value;

/// Results, in the order in which they were measured.
pub(super) struct Found(pub(super) Vec<Value>);

impl Found {
    fn last(&self, bench: &str, is_it: impl Fn(&Value) -> bool) -> Option<&Value> {
        self.0.iter().rev().find(|line| line["bench"] == bench && is_it(line))
    }

    /// A figure of a system, with more to tell it by.
    pub(super) fn of(
        &self,
        bench: &str,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
        field: &str,
    ) -> Option<f64> {
        self.last(bench, |line| line["what"] == what && is_it(line))?[field].as_f64()
    }

    /// A figure of agents under load, at so many of them and so many seconds apart.
    pub(super) fn load(&self, agents: u64, interval: f64, field: &str) -> Option<f64> {
        self.last("load", |line| line["agents"] == agents && line["interval_seconds"] == interval)?[field]
            .as_f64()
    }

    /// A figure of failures that were told of; fewer than 200 have no 99th percentile worth the name.
    pub(super) fn alerts(&self, durability: &str, field: &str) -> Option<f64> {
        let enough = |line: &Value| line["trials"].as_u64().is_some_and(|trials| trials >= 200);
        self.last("alerts", |line| line["durability"] == durability && enough(line))?[field].as_f64()
    }

    /// A figure of a set of rules over so many agents, from a line that has it.
    pub(super) fn rules(&self, what: &str, set: &str, agents: u64, field: &str) -> Option<f64> {
        let is_it = |line: &Value| line["what"] == what && line["set"] == set && line["agents"] == agents;
        self.last("rules", |line| is_it(line) && line[field].is_number())?[field].as_f64()
    }

    /// A figure of what was fed below the transport.
    pub(super) fn feed(&self, mode: &str, field: &str) -> Option<f64> {
        self.last("feed", |line| line["mode"] == mode)?[field].as_f64()
    }

    pub(super) fn feed_agents(&self) -> Option<f64> {
        self.feed("rate", "agents")
    }

    /// The machines of the results, and what else ran on them meanwhile.
    pub(super) fn machines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for line in self.0.iter().filter(|line| line["bench"] == "machine") {
            let text = |field: &str| line[field].as_str().unwrap_or("?").to_owned();
            let told = format!(
                "{} cores, {}, {} MiB, {}, commit {}",
                line["cores"],
                text("cpu"),
                line["memory_mib"],
                text("kernel"),
                text("commit")
            );
            if !lines.contains(&told) {
                lines.push(told);
            }
        }
        let others = self.0.iter().filter_map(|line| line["other_cores_busy"].as_f64()).fold(0.0, f64::max);
        if others > 0.0 {
            lines.push(format!(
                "\nOther work kept up to {others} cores busy; above 0.2 the figures are worth less."
            ));
        }
        lines
    }

    /// What could not be measured because it is not installed.
    pub(super) fn missing(&self) -> Vec<String> {
        let missing = self.0.iter().filter(|line| line["bench"] == "missing");
        let mut missing: Vec<String> = missing
            .filter_map(|line| {
                Some(format!("{} (Debian's package `{}`)", line["what"].as_str()?, line["package"].as_str()?))
            })
            .collect();
        missing.dedup();
        missing
    }
}

/// Peers' figures in a row, those that are there.
pub(super) fn peers(figures: &[(&str, Option<f64>)], unit: &str) -> String {
    let told = figures
        .iter()
        .filter_map(|(name, figure)| Some(format!("{name} {}{unit}", number(*(figure.as_ref())?))));
    told.collect::<Vec<_>>().join(", ")
}

/// As it was rounded when it was measured.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value}") }
}
