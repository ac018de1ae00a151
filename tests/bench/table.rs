//! Results as the table of `docs/PERFORMANCE.md`: what was measured, what the peers had in the same run, the goal and
//! whether it is met. Measures nothing; what is not in the results is said to be missing.

mod found;
mod goals;

use anyhow::Context;
use found::Found;
use std::fmt::Write as _;
use std::path::PathBuf;

/// One row.
struct Row {
    what: &'static str,
    /// What Farol had; nothing where it was not measured.
    farol: Option<String>,
    peers: String,
    goal: &'static str,
    /// The measured value and the most it may be.
    verdict: Option<(f64, f64)>,
}

/// Reads files of JSON lines, prints the table.
#[allow(clippy::print_stdout, reason = "the result of a command")]
pub(crate) fn print(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            lines.push(serde_json::from_str(line).with_context(|| file.display().to_string())?);
        }
    }
    println!("{}", markdown(&Found(lines)));
    Ok(())
}

fn markdown(found: &Found) -> String {
    let mut text = String::new();
    for line in found.machines() {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    }
    text.push_str("\n| what | Farol | peers beside it | goal | verdict |\n|---|---|---|---|---|\n");
    for Row { what, farol, peers, goal, verdict } in goals::rows(found) {
        let verdict = match verdict {
            Some((value, most)) if value <= most => "met".to_owned(),
            Some((value, most)) => format!("**missed**, {:.1} times the goal", value / most),
            None if farol.is_some() => "–".to_owned(),
            None => "not measured".to_owned(),
        };
        let (farol, peers) = (farol.unwrap_or_else(|| "–".to_owned()), or_dash(peers));
        writeln!(text, "| {what} | {farol} | {peers} | {goal} | {verdict} |")
            .expect("writing to a string cannot fail");
    }
    for missing in found.missing() {
        writeln!(text, "\nNot installed, and left out: {missing}.").expect("writing to a string cannot fail");
    }
    text
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "–".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_tells_what_was_measured_what_the_peers_had_and_whether_the_goal_is_met() {
        let range =
            |what: &str, ms: f64| json!({"bench": "range", "what": what, "series": 100, "median_ms": ms});
        let lines = vec![range("farol-monitor", 2.5), range("prometheus", 8.7), range("farol-monitor", 4.5)];
        let row_of = |lines: &[serde_json::Value]| {
            let text = markdown(&Found(lines.to_vec()));
            text.lines().find(|line| line.contains("15 s step")).unwrap().to_owned()
        };
        let met = row_of(&lines[..2]);
        assert!(met.contains("| 2.5 ms |") && met.contains("Prometheus 8.7 ms"), "{met}");
        assert!(met.ends_with("| met |"), "{met}");
        let missed = row_of(&lines);
        assert!(missed.contains("| 4.5 ms |") && missed.contains("**missed**, 1.5 times"), "{missed}");
        assert!(row_of(&[]).ends_with("| not measured |"));
    }

    #[test]
    fn alerts_count_from_200_failures_on_and_rules_by_their_set_and_agents() {
        let alerts = |trials: u64, durability: &str, ms: f64| json!({"bench": "alerts", "trials": trials, "durability": durability, "p50_ms": ms, "p99_ms": ms});
        let rules = |what: &str, set: &str, agents: u64, us: f64| {
            let (pair, cores, kib) = (us / 100.0, us / 10.0, us * 10.0);
            json!({"bench": "rules", "what": what, "set": set, "agents": agents, "cpu_us_per_evaluation": us,
                "cpu_us_per_rule_and_series": pair, "cores_more": cores, "kib_per_agent_without_history": kib})
        };
        let lines = vec![
            alerts(200, "normal", 12.0),
            alerts(200, "full", 20.0),
            alerts(12, "normal", 1.0),
            rules("farol-monitor", "fifty", 15_000, 0.05),
            rules("farol-monitor", "fifty", 100, 7.0),
            rules("farol-monitor", "none", 15_000, 8.0),
            rules("farol-monitor", "shipped", 15_000, 8.1),
            rules("prometheus", "fifty", 1_000, 9.0),
        ];
        let text = markdown(&Found(lines));
        for row in [
            "p50 | 12 ms; 20 ms with durability full | – | ≤ 10 ms | **missed**, 1.2 times",
            "p99 | 12 ms; 20 ms with durability full | – | ≤ 50 ms | met",
            "| 0.0005 µs; 0.05 µs each time one looks | Prometheus with 1 000 agents 0.09 µs | ≤ 0.01 µs | met",
            "share of a core for these | 0.5 % | – | ≤ 1 % | met",
            "each of 100 series | – | – | ≤ 0.01 µs | not measured",
            "with the shipped rules, 15 000 below the transport | 1 KiB | – | none | – |",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }

    #[test]
    fn every_goal_is_a_row_and_what_is_not_installed_is_told() {
        let text = markdown(&Found(vec![json!({"bench": "missing", "what": "x", "package": "y"})]));
        assert!(text.lines().filter(|line| line.starts_with("| ")).count() > 15, "{text}");
        assert!(text.contains("left out: x (Debian's package `y`)"), "{text}");
    }
}
