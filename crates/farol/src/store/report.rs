//! How an estimate looks: a table for people, JSON for programs.

use super::estimate::Estimate;
use crate::copies::size;
use crate::table;
use crate::terminal::Terminal;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn json(estimate: &Estimate) -> Value {
    let whole = |bytes: f64| bytes.round() as u64;
    let parts = estimate.parts.iter().map(|part| {
        json!({"part": part.name, "kept_seconds": part.kept.as_secs(), "disk_bytes": whole(part.bytes)})
    });
    let cut = estimate.cut.iter().map(|cut| json!({"part": cut.name, "kept_seconds": cut.kept.as_secs()}));
    json!({
        "agents": estimate.agents,
        "samples_per_second": estimate.samples_per_second,
        "bytes_per_sample": estimate.bytes_per_sample,
        "measured": estimate.measured,
        "parts": parts.collect::<Vec<_>>(),
        "disk_bytes": whole(estimate.disk_bytes),
        "memory_bytes": whole(estimate.memory_bytes),
        "budget_bytes": estimate.budget_bytes,
        "cut": cut.collect::<Vec<_>>(),
        "store_bytes": estimate.store_bytes,
    })
}

pub(super) fn table(estimate: &Estimate, terminal: &Terminal) -> String {
    let rows = estimate.parts.iter().map(|part| {
        let cut = estimate.cut.iter().find(|cut| cut.name == part.name);
        let cut = cut.map_or_else(String::new, |cut| format!("only {} fit the budget", span(cut.kept)));
        vec![part.name.to_owned(), span(part.kept), size(part.bytes.round() as u64), cut]
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    let over = estimate.disk_bytes > estimate.budget_bytes as f64;
    let budget = size(estimate.budget_bytes);
    let fits =
        if over { format!("over the budget of {budget}") } else { format!("fits the budget of {budget}") };
    let row = |name: &str, bytes: f64, word: String| {
        vec![name.to_owned(), String::new(), size(bytes.round() as u64), word]
    };
    rows.push(row("disk", estimate.disk_bytes, fits));
    rows.push(row("memory", estimate.memory_bytes, String::new()));
    let source = match (estimate.measured, estimate.store_bytes) {
        (true, _) => "measured in this store",
        (false, Some(_)) => "measured elsewhere: this store has sealed nothing yet",
        (false, None) => "measured elsewhere; `--data-dir` measures a store",
    };
    let now =
        estimate.store_bytes.map_or_else(String::new, |bytes| format!("; it takes {} now", size(bytes)));
    format!(
        "{} agents, {:.0} samples a second, {:.2} bytes a sample ({source}){now}\n\n{}",
        estimate.agents,
        estimate.samples_per_second,
        estimate.bytes_per_sample,
        table::render(&["PART", "KEPT", "BYTES", ""], &rows, terminal)
    )
}

/// The largest unit in which it is more than two.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        172_800.. => format!("{} d", seconds / 86_400),
        7_200.. => format!("{} h", seconds / 3_600),
        120.. => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::estimate::{Cut, Part};

    #[test]
    fn people_and_programs_are_told_the_same() {
        let day = Duration::from_secs(86_400);
        let part = |name, bytes| Part { name, kept: day, bytes };
        let estimate = Estimate {
            agents: 5,
            samples_per_second: 50.0,
            bytes_per_sample: 1.0,
            measured: false,
            store_bytes: None,
            parts: vec![part("samples", 4e9), part("statuses", 1e6)],
            disk_bytes: 4.001e9,
            memory_bytes: 2e6,
            budget_bytes: 2_001_000_000,
            cut: vec![Cut { name: "samples", kept: day / 2 }],
        };
        let text = table(&estimate, &Terminal::plain(std::io::sink()));
        for words in [
            "samples   24 h  4.0 GB  only 12 h fit the budget",
            "disk            4.0 GB  over the budget of 2.0 GB",
        ] {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
        let json = json(&estimate);
        assert_eq!(json["cut"][0], serde_json::json!({"part": "samples", "kept_seconds": 43_200}));
        assert_eq!((&json["disk_bytes"], &json["store_bytes"]), (&4_001_000_000_u64.into(), &Value::Null));
    }
}
