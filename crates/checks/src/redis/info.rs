//! What INFO tells: figures, facts, and the states in which Redis answers but is not well. Pure.
//!
//! The hit rate is Redis's own, since its start. `memory_usage` is of `maxmemory`; without one (0), of the
//! memory of Redis's machine, as INFO tells it.

use farol_health::{Figure, Outcome, Unit};

/// Judges INFO's fields; `field` looks one up.
pub(super) fn outcome(field: &dyn Fn(&str) -> Option<String>) -> Outcome {
    let mut outcome = judge(field);
    for (key, name) in [("version", "redis_version"), ("role", "role"), ("mode", "redis_mode")] {
        if let Some(value) = field(name) {
            outcome = outcome.with_fact(key, value);
        }
    }
    let number = |name: &str| field(name).and_then(|text| text.parse::<f64>().ok());
    outcome = memory(outcome, &number);
    let (hits, misses) = (number("keyspace_hits"), number("keyspace_misses"));
    if let (Some(hits), Some(misses)) = (hits, misses)
        && hits + misses > 0.0
    {
        let percent = hits / (hits + misses) * 100.0;
        outcome = outcome.with(Figure::gauge("cache_hit_ratio", percent, Unit::Percent).shown_as("hit_rate"));
    }
    if let Some(clients) = number("connected_clients") {
        outcome = outcome.with(Figure::gauge("cache_clients_connected", clients, Unit::None));
    }
    for (name, value) in [
        ("cache_hits_total", hits),
        ("cache_misses_total", misses),
        ("cache_evicted_keys_total", number("evicted_keys")),
        ("cache_commands_total", number("total_commands_processed")),
    ] {
        if let Some(value) = value {
            outcome = outcome.with(Figure::counter(name, value, Unit::None));
        }
    }
    outcome
}

/// The answer of a server that answers PING but may not tell more.
pub(super) fn no_figures() -> Outcome {
    Outcome::healthy()
        .with_fact("hint", "the user may not run INFO, so there are no figures: ACL SETUSER … +info")
}

fn memory(mut outcome: Outcome, number: &dyn Fn(&str) -> Option<f64>) -> Outcome {
    let Some(used) = number("used_memory") else { return outcome };
    outcome = outcome.with(Figure::gauge("cache_memory_used_bytes", used, Unit::Bytes));
    let own = number("maxmemory").filter(|max| *max > 0.0);
    if let Some(max) = own {
        outcome = outcome.with(Figure::gauge("cache_memory_max_bytes", max, Unit::Bytes));
    }
    match own.or_else(|| number("total_system_memory").filter(|max| *max > 0.0)) {
        Some(max) => {
            let limit = if own.is_some() { "maxmemory" } else { "the machine" };
            let percent = used / max * 100.0;
            let figure = Figure::gauge("cache_memory_usage_percent", percent, Unit::Percent);
            outcome.with(figure.shown_as("memory_usage")).with_fact("memory_limit", limit)
        }
        None => outcome,
    }
}

fn judge(field: &dyn Fn(&str) -> Option<String>) -> Outcome {
    let is = |name: &str, value: &str| field(name).is_some_and(|v| v == value);
    let number = |name: &str| field(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    if is("loading", "1") {
        return Outcome::unhealthy("loading", "Redis loads its data and answers nobody yet: wait");
    }
    if is("role", "slave") && is("master_link_status", "down") {
        let message =
            "this replica has lost its primary and serves old data: look at the primary and the network";
        return Outcome::degraded("replica_link_down", message);
    }
    if is("rdb_last_bgsave_status", "err") || is("aof_last_write_status", "err") {
        let message = "Redis could not save its data and may refuse writes: free disk space, read its log";
        return Outcome::degraded("persistence_failed", message);
    }
    let max = number("maxmemory");
    if max > 0.0 && number("used_memory") >= max && is("maxmemory_policy", "noeviction") {
        let message =
            "the memory is full and nothing is evicted, so writes fail: raise maxmemory or set a policy";
        return Outcome::degraded("memory_full", message);
    }
    Outcome::healthy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::Status;

    type Fields = &'static [(&'static str, &'static str)];

    fn judged(fields: Fields) -> Outcome {
        outcome(&|key| fields.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()))
    }

    fn shown(outcome: &Outcome, key: &str) -> Option<f64> {
        outcome.figures.iter().find(|f| f.shown_as == Some(key)).map(|f| f.value)
    }

    #[test]
    fn the_hit_rate_is_left_out_until_something_was_looked_up() {
        assert_eq!(shown(&judged(&[("keyspace_hits", "0"), ("keyspace_misses", "0")]), "hit_rate"), None);
        let outcome = judged(&[("keyspace_hits", "95"), ("keyspace_misses", "5")]);
        assert_eq!(shown(&outcome, "hit_rate"), Some(95.0));
    }

    #[test]
    fn memory_usage_is_of_maxmemory_else_of_the_machine_else_left_out() {
        let table: [(Fields, Option<f64>); 3] = [
            (&[("used_memory", "45"), ("maxmemory", "100"), ("total_system_memory", "1000")], Some(45.0)),
            (&[("used_memory", "45"), ("maxmemory", "0"), ("total_system_memory", "1000")], Some(4.5)),
            (&[("used_memory", "45")], None),
        ];
        for (fields, expected) in table {
            assert_eq!(shown(&judged(fields), "memory_usage"), expected);
        }
    }

    #[test]
    fn states_in_which_redis_answers_but_is_not_well() {
        let table: [(Fields, Status, &str); 6] = [
            (&[("role", "master")], Status::Healthy, "ok"),
            (&[("loading", "1")], Status::Unhealthy, "loading"),
            (&[("role", "slave"), ("master_link_status", "up")], Status::Healthy, "ok"),
            (&[("role", "slave"), ("master_link_status", "down")], Status::Degraded, "replica_link_down"),
            (&[("rdb_last_bgsave_status", "err")], Status::Degraded, "persistence_failed"),
            (
                &[("maxmemory", "9"), ("used_memory", "9"), ("maxmemory_policy", "noeviction")],
                Status::Degraded,
                "memory_full",
            ),
        ];
        for (fields, status, reason) in table {
            let outcome = judged(fields);
            assert_eq!((outcome.status, outcome.reason.as_ref()), (status, reason), "{fields:?}");
        }
    }
}
