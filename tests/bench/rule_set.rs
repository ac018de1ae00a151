//! Fifty rules over the hundred series of an agent, as Farol's rules and as Prometheus' ones. No value of the recording
//! is bad by them: what is measured is the looking. And the worst that fifty rules can be: each looks at each series.

use crate::rows::Series;
use crate::tape::{ONE_NAME, Tape};
use anyhow::Context;
use farol_monitor::config::{rules_in, rules_of};
use farol_rules::{Labels, Program, Rule, Ruleset, SourceShape};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Rules in the set.
pub(crate) const RULES: usize = 50;
/// Of these: a plain threshold, and the mean of a minute. Each looks at one series of an agent.
const PLAIN: usize = 25;
const MEAN: usize = 15;
/// The others look at several series of a name, by an expression on a label.
const SEVERAL: [(&str, &str, &str); 10] = [
    ("system_cpu_seconds_total", "mode", "user|nice|system"),
    ("system_cpu_seconds_total", "mode", "i.*"),
    ("system_cpu_seconds_total", "mode", ".*irq"),
    ("system_network_receive_bytes_total", "interface", "eth.*"),
    ("system_network_receive_packets_total", "interface", "eth.*"),
    ("system_network_receive_errors_total", "interface", "e.*"),
    ("system_network_receive_dropped_total", "interface", "e.*0"),
    ("system_network_transmit_bytes_total", "interface", "eth.*"),
    ("system_network_transmit_packets_total", "interface", "eth.*"),
    ("farol_agent_devices_left_out", "kind", ".*s"),
];
/// No recorded value is so large: bytes of a disk are 1e12.
const NEVER: f64 = 1e15;

/// Which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// None at all.
    None,
    /// Those that are shipped.
    Shipped,
    /// 25 plain thresholds and 15 means of a minute on one series each, 10 by an expression on several.
    Fifty,
    /// 50 plain thresholds, each on all series.
    All,
}

impl Which {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Shipped => "shipped",
            Self::Fifty => "fifty",
            Self::All => "all",
        }
    }

    /// The tape on which these rules find what they look at.
    pub(crate) fn tape(self, tape: Tape) -> Tape {
        if self == Self::All { tape.with_one_name() } else { tape }
    }

    /// The rules, as Farol has them.
    pub(crate) fn rules(self, series: &[Series]) -> anyhow::Result<Vec<Rule>> {
        let rules = match self {
            Self::None => return Ok(Vec::new()),
            Self::Shipped => rules_of(&[], true),
            Self::Fifty => rules_in("fifty", &farol(&fifty(series)?)),
            Self::All => rules_in("all", &farol(&all())),
        };
        rules.map_err(|problems| anyhow::anyhow!("{problems}"))
    }
}

/// How many elements of an agent these rules look at: so often is a rule evaluated for each report.
pub(crate) fn elements(rules: Vec<Rule>, series: &[Series]) -> anyhow::Result<usize> {
    let rules = Ruleset::new(rules).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let labels = |of: &BTreeMap<String, String>| -> Labels {
        of.iter().map(|(name, value)| (Arc::from(&**name), Arc::from(&**value))).collect()
    };
    let shape = series.iter().map(|series| (Arc::from(&*series.name), labels(&series.labels)));
    let shape = [SourceShape { interval_ms: 10_000, series: shape.collect() }];
    Ok(Program::new(&rules, &shape, &Labels::from([("agent", "bench:pod-0")])).len())
}

/// A rule, before it is written in anybody's words.
struct Asked {
    name: String,
    metric: String,
    /// A label and an expression on it.
    by: Option<(&'static str, &'static str)>,
    mean: bool,
    above: f64,
}

fn fifty(series: &[Series]) -> anyhow::Result<Vec<Asked>> {
    let alone = |s: &&Series| series.iter().filter(|other| other.name == s.name).count() == 1;
    let alone: Vec<&Series> = series.iter().filter(alone).collect();
    let mut asked = Vec::with_capacity(RULES);
    for number in 0..PLAIN + MEAN {
        let of =
            alone.get(number).context("the recording has too few series that are alone of their name")?;
        asked.push(Asked {
            name: format!("rule_{number}"),
            metric: of.name.clone(),
            by: None,
            mean: number >= PLAIN,
            above: NEVER,
        });
    }
    for (number, (metric, label, expression)) in (PLAIN + MEAN..).zip(SEVERAL) {
        let by = Some((label, expression));
        let name = format!("rule_{number}");
        asked.push(Asked { name, metric: metric.to_owned(), by, mean: false, above: NEVER });
    }
    Ok(asked)
}

fn all() -> Vec<Asked> {
    let rule = |number: usize| Asked {
        name: format!("rule_{number}"),
        metric: ONE_NAME.to_owned(),
        by: None,
        mean: false,
        // No two are the same.
        above: NEVER * (1 + number) as f64,
    };
    (0..RULES).map(rule).collect()
}

fn farol(asked: &[Asked]) -> String {
    let mut text = "rules:\n".to_owned();
    for Asked { name, metric, by, mean, above } in asked {
        write!(text, "  - {{name: {name}, metric: {metric}, critical: \"> {above}\", for: 1m")
            .expect("writing to a string cannot fail");
        if let Some((label, expression)) = by {
            write!(text, ", match: {{{label}: \"~{expression}\"}}").expect("writing to a string cannot fail");
        }
        text.push_str(if *mean { ", reduce: {avg: 1m}}\n" } else { "}\n" });
    }
    text
}

/// The fifty rules as a file of Prometheus' rules.
pub(crate) fn prometheus(series: &[Series]) -> anyhow::Result<String> {
    let mut text = "groups:\n  - name: bench\n    rules:\n".to_owned();
    for Asked { name, metric, by, mean, above } in fifty(series)? {
        let selector =
            by.map_or(metric.clone(), |(label, expression)| format!("{metric}{{{label}=~\"{expression}\"}}"));
        let value = if mean { format!("avg_over_time({selector}[1m])") } else { selector };
        writeln!(text, "      - {{alert: {name}, expr: '{value} > {above}', for: 1m}}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Recording;
    use std::path::Path;

    fn tape() -> Tape {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bench/rows.tsv"));
        Tape::new(Recording::read(path).unwrap()).unwrap()
    }

    fn elements_of(which: Which) -> usize {
        let tape = which.tape(tape());
        elements(which.rules(tape.series()).unwrap(), tape.series()).unwrap()
    }

    #[test]
    fn fifty_rules_look_at_one_series_each_or_at_several_and_the_worst_at_all() {
        let several = elements_of(Which::Fifty) - (PLAIN + MEAN);
        assert!(several >= 2 * SEVERAL.len(), "{several}");
        assert_eq!(elements_of(Which::All), RULES * 100);
        assert_eq!(elements_of(Which::None), 0);
        assert!(elements_of(Which::Shipped) > 0);
        assert_eq!(Which::Fifty.rules(tape().series()).unwrap().len(), RULES);
    }

    #[test]
    fn prometheus_gets_the_same_rules() {
        let text = prometheus(tape().series()).unwrap();
        assert_eq!(text.matches("alert:").count(), RULES);
        assert_eq!(text.matches("avg_over_time").count(), MEAN);
        assert_eq!(text.matches("=~").count(), SEVERAL.len());
    }
}
